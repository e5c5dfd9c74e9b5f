"""What losses the Python steps of a program may add (`Layer.add_loss`), and the steps of their gradients."""

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.program import added_losses


class PythonLosses:
    """The losses of one Python step, as training needs them: found while the program is made, checked in each run.

    layer: the step's layer; slots: the step's inputs; weights: Slots of its trainable weights; timesteps: number of
    timesteps that TimeDistributed made rows of the batch.
    """

    def __init__(self, layer, slots, weights, timesteps):
        self.layer, self._timesteps = layer, timesteps
        self.slots, self.weights = slots, weights
        self.needed = False

    def guarded(self, function):
        """`function`, the step's, which raises UnsupportedError where it adds a loss that would count wrongly."""

        def run(*arrays):
            added = added_losses.current()
            if added is None:  # outside of calls: in the timesteps of streams, where nothing is trained
                with added_losses.collecting(self.layer):
                    return function(*arrays)
            before = len(added)
            results = function(*arrays)
            if len(added) > before:
                self._check(added[before][0])
            return results

        return run

    def _check(self, owner):
        where = "" if owner is self.layer else f", in a call of layer '{owner.name}',"
        if self.needed:
            raise UnsupportedError(
                f"Layer '{self.layer.name}' ({type(self.layer).__name__}) adds a loss by add_loss(){where} whose "
                "gradient training needs. Define losses_backward(*inputs), which returns the gradients of the sum of "
                "all losses that call() adds, by its float inputs and then by its trainable weights; zeros for a loss "
                "that does not depend on them. Or set trainable=False on the layer and on all layers before it."
            )
        if self._timesteps > 1:
            raise UnsupportedError(
                f"Layer '{self.layer.name}' ({type(self.layer).__name__}) adds a loss by add_loss(){where} that it "
                "does not add for zeros. Inside TimeDistributed, which calls it once for all timesteps then, it has to "
                "add one every time, or never."
            )

    def add_gradient(self, p, backward):
        """Notes whether the gradient is needed, and returns pairs (Slot, Slot of the losses' gradient by it).

        backward: a gradients.Backward, which knows what depends on what is trained.
        """
        ends = [slot for slot in (*self.slots, *self.weights) if slot.dtype == "float32"]
        wanted = bool(self.layer.trainable_weights) or any(backward.wants(slot) for slot in ends)
        function = getattr(self.layer, "losses_backward", None)
        if function is None or not wanted:
            self.needed = wanted
            return []

        def gradients(*arrays):
            return checked_gradients(self.layer, "losses_backward", function(*arrays), self.slots, self.weights)

        examples = [np.zeros(slot.shape, np.float32) for slot in ends]
        found = p.python(f"{self.layer.name} losses_backward", gradients, self.slots, examples)
        return list(zip(ends, found))


def checked_gradients(layer, method, found, slots, weights):
    """What a layer's backward() returned, as float32 arrays; raises ValueError where their shapes are others.

    slots, weights: of the inputs, of which only those of floats count, and of the trainable weights.
    """
    inputs = [slot.shape for slot in slots if slot.dtype == "float32"]
    weights = [slot.shape for slot in weights]
    found = [np.asarray(array, np.float32) for array in (found if isinstance(found, (list, tuple)) else [found])]
    if [array.shape for array in found] != inputs + weights:
        wanted = f"its inputs have {inputs}"
        if weights:
            wanted += f", its trainable weights, whose gradients come after those, {weights}"
        raise ValueError(
            f"Layer '{layer.name}': {method}() gave gradients of the shapes {[a.shape for a in found]}, {wanted}."
        )
    return found
