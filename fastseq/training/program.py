"""One training step of a model as a program: forward with traces, the loss, backward."""

import warnings

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.gradients import append_backward
from fastseq.gradients.backward import Backward
from fastseq.layers import binding, inference, traced_calls
from fastseq.layers.weights import changes
from fastseq.native import runtime
from fastseq.native.kept_states import settled
from fastseq.program.added_losses import collecting, not_computed
from fastseq.program.builder import Builder
from fastseq.program.cache import _collect, _input_slot
from fastseq.program.program import Program
from fastseq.tensors import nest


def bound(model, x, training):
    """The call arguments of `model` for inputs x, converted."""
    arrange = getattr(getattr(model, "_functional", None) or model, "arrange", None)
    x = arrange(x, model) if arrange is not None else x
    return binding.convert(model, binding.bind(model, (x,), {"training": training}))


def _in_python(p):
    """What runs in Python, and why, as a sentence to follow another one; empty where nothing does."""
    told = [f"{step['name']} ({step['why']})" for step in p.steps if step["op"] is None and step.get("why")]
    return f" In Python run {', '.join(told)}." if told else ""


def check_traced(model, p):
    """Raises UnsupportedError where a model's own `call` is a step in Python: nothing in it can be trained."""
    if not model._is_python or not any(step.get("layer") is model for step in p.steps):
        return
    why = traced_calls.untraced(model) or "it has a backward() of its own"
    raise UnsupportedError(
        f"Model '{model.name}' ({type(model).__name__}) defines call() in Python, so it cannot be trained: {why}. "
        "Compute with layers, fastseq.ops, NumPy's functions and operators alone, or make the model of layers: "
        "Sequential, or Model(inputs, outputs)."
    )


def key_of(arguments):
    """(what a program for such arguments depends on, the arrays in them)."""
    found, key = [], [runtime.active_isa()]
    for name, value in arguments.items():
        key.append(name)
        _collect(value, found, key)
    return tuple(key), found


class TrainingProgram:
    """One step of a model for a batch of given shapes: forward, losses and, for training, gradients and updates.

    arguments: the call's, from `bound`; variables: the weights that gradients are wanted of, none of them for a test;
    target: what adds the losses, `NativeLosses` or `PythonLosses`, to the model's `Output`s.
    losses_of: takes the Slots of the outputs and gives a `Loss` or None, and labels, for each; updates: None, or the
    optimizer's FusedUpdates and its key, which then take the gradients; all variables must have one.
    Raises UnsupportedError, naming the layer, where no gradient is known, and NoGradientError.
    """

    def __init__(self, model, arguments, variables, losses_of, target_for, training=True, updates=None):
        self._changes = changes[0]
        p = Builder(training=training, trains=True, traces=bool(variables))
        inputs = []
        traced = {
            name: nest.map_structure(
                lambda leaf: _input_slot(p, inputs, leaf) if isinstance(leaf, np.ndarray) else leaf, value
            )
            for name, value in arguments.items()
        }
        slots = nest.flatten(model.trace(p, traced))
        for slot in slots:
            if slot.dtype != "float32":
                raise UnsupportedError(f"Model '{model.name}' has an output of {slot.dtype}: losses take float32.")
        if variables:
            check_traced(model, p)
        # A call that was traced may leave weights out, as in Keras, which warns; of one in Python nothing is known.
        unused = [v.path for v in variables if id(v) not in p.weights and not traced_calls.is_traced(v._owner)]
        if unused:
            raise UnsupportedError(
                f"Model '{model.name}' cannot be trained: no gradient is known of its weights {', '.join(unused)}. Set "
                f"trainable=False on their layers, or leave them out.{_in_python(p)}"
            )
        self._model = model
        self._arrays = [(variable, variable._held()) for variable, _ in p.weights.values()]
        outputs = [Output(slot, *told) for slot, told in zip(slots, losses_of(slots))]
        for penalty in p.penalties:
            if penalty.slot is None:
                raise not_computed(penalty.layer)
        self.target = target = target_for(p, outputs, list(p.penalties))
        results, ends = target.add(p, inputs, bool(variables))
        wanted = [p.weight(variable) for variable in variables]
        if variables:
            ends += _ends_of_losses(p, wanted)
        found = append_backward(p, ends, wanted, by_rows=updates is not None)
        self._has_gradient = [slot is not None for slot in found]
        self.updates, self._key = updates or (None, None)
        if updates is not None:
            if not all(self._has_gradient):
                raise NoGradientError
            self.updates.append(p, found, self._key)
            found = []
        self._result_count = len(results)
        self._program = Program(p, inputs, results + [slot for slot in found if slot is not None])

    def is_current(self):
        """Whether the weights still stand where the program reads them, and no layer was set to compute otherwise."""
        if self._changes != changes[0]:
            return False
        for variable, array in self._arrays:
            if variable._content is not array:
                return False
        return True

    def run(self, arrays, labels):
        """(`Results`, a gradient or None for each of the variables; none of them after updates).

        arrays: those in the arguments; labels: what the target's `arrays` gave.
        Raises StaleError where the optimizer's updates have become others.
        """
        if not self._program.has_python and not self.target.penalties:
            found, gradients = self._run(arrays, labels)
            return self.target.read(found), gradients
        with collecting(self._model) as added:
            found, gradients = self._run(arrays, labels)
            results = self.target.read(found)
        results.added = added.total(self._model) if added else None
        return results, gradients

    def _run(self, arrays, labels):
        if self.updates is None:
            found = self._program.run((*arrays, *labels))
            gradients = iter(found[self._result_count :])
            return found[: self._result_count], [next(gradients) if there else None for there in self._has_gradient]
        try:
            if self.updates.begin() != self._key:
                raise StaleError
            # Weights and states are of one step, whatever comes behind it.
            return settled(self._program.run, (*arrays, *labels)), []
        finally:
            self.updates.end()


def _ends_of_losses(p, wanted):
    """Pairs (Slot, Slot of its gradient): the gradients of the losses that Python layers add."""
    backward = Backward(p, wanted) if p.python_losses else None
    return [end for losses in p.python_losses for end in losses.add_gradient(p, backward)]


class NoGradientError(Exception):
    """The loss does not depend on all the weights that a program should update."""


class StaleError(Exception):
    """A program's updates are not those that the optimizer would do now."""


class Output:
    """An output of the model in a step: its `loss`, and `end`, the Slot by which the loss is differentiated.

    Where a softmax or sigmoid is the last step, Keras computes a crossentropy of what went into it; then `end` is that,
    and not `slot`.
    """

    def __init__(self, slot, loss, labels):
        self.slot, self.loss, self.end = slot, loss, slot
        self.untraced = None  # why the loss is not traced
        if slot.activated is None or not getattr(loss, "takes_logits", lambda *_: False)(labels, slot):
            return
        activation, self.end = slot.activated
        if loss._fn_kwargs.get("from_logits"):
            warnings.warn(
                f"Loss {loss.name} has from_logits=True, but the output was produced by a {activation} activation and "
                "thus does not represent logits. Was this intended? As in Keras the loss is computed from what went "
                "into the activation.",
                stacklevel=2,
            )


def gradients_of(model, x, y, loss, sample_weight=None):
    """The loss of a model of one output on a batch, and its gradients by the trainable weights.

    x: as `predict_on_batch` takes it; y: the labels; loss: as compile takes it. Penalties of weights are not in it,
    but what layers add to the loss is.
    Returns (float, list of float32 arrays, None for a weight that the loss does not depend on).
    """
    return gradient_function(model, x, y, loss, sample_weight)()


def gradient_function(model, x, y, loss, sample_weight=None):
    """A function without arguments that computes what `gradients_of` returns, every time anew from the weights."""
    from fastseq.training.compiled import Compiled
    from fastseq.training.targets import targets_for

    inference.run(model, x)  # which builds it
    compiled = Compiled(["output"], loss, None, None, None)
    y, weights = [np.asarray(y)], [None if sample_weight is None else np.asarray(sample_weight)]
    arguments = bound(model, x, training=True)

    def losses_of(slots):
        compiled.prepare(y, slots)
        return list(zip(compiled.losses, y))

    def made():
        target_for = targets_for(compiled, y, weights, native=True)
        return TrainingProgram(model, arguments, model.trainable_variables, losses_of, target_for)

    program = made()

    def compute():
        nonlocal program
        if not program.is_current():
            program = made()
        results, gradients = program.run(key_of(arguments)[1], program.target.arrays(y, weights))
        return results.loss + (results.added or 0.0), gradients

    return compute
