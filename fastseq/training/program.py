"""One training step of a model as a program: forward with traces, the loss, backward."""

import numpy as np

from fastseq import nest, runtime
from fastseq.builder import ACTIVATION_KINDS, Builder
from fastseq.errors import UnsupportedError
from fastseq.gradients import append_backward
from fastseq.layers import calling
from fastseq.program import Program, _collect, _input_slot
from fastseq.training.penalties import penalty, penalty_gradient


def bound(model, x, training):
    """The call arguments of `model` for inputs x, converted. Raises UnsupportedError for a model that is Python."""
    if model._is_python:
        raise UnsupportedError(
            f"Model '{model.name}' ({type(model).__name__}) defines call() in Python, so it cannot be trained. Make it "
            "of layers: Sequential, or Model(inputs, outputs)."
        )
    arrange = getattr(getattr(model, "_functional", None) or model, "arrange", None)
    x = arrange(x, model) if arrange is not None else x
    return calling.convert(model, calling.bind(model, (x,), {"training": training}))


def key_of(arguments):
    """(what a program for such arguments depends on, the arrays in them)."""
    found, key = [], [runtime.active_isa()]
    for name, value in arguments.items():
        key.append(name)
        _collect(value, found, key)
    return tuple(key), found


class TrainingProgram:
    """Gradients of a model's loss for inputs of given shapes.

    variables: the weights that gradients are wanted of; losses: a `Loss` or None for each output, of which `Output.end`
    depends; training: what layers are told. Call `run(arrays, compute)`; compute(outputs) gets the model's `Output`s
    with the batch's values and returns the loss and, for each output that has a loss, the gradient by its end.
    Raises UnsupportedError, naming the layer, where no gradient is known.
    """

    def __init__(self, model, arguments, variables, losses, training=True):
        p = Builder(training=training, trains=True)
        inputs = []
        traced = {
            name: nest.map_structure(
                lambda leaf: _input_slot(p, inputs, leaf) if isinstance(leaf, np.ndarray) else leaf, value
            )
            for name, value in arguments.items()
        }
        outputs = nest.flatten(model.trace(p, traced))
        for slot in outputs:
            if slot.dtype != "float32":
                raise UnsupportedError(f"Model '{model.name}' has an output of {slot.dtype}: losses take float32.")
        unused = [variable.path for variable in variables if id(variable) not in p.weights]
        if unused:
            raise UnsupportedError(
                f"Model '{model.name}' cannot be trained: no gradient is known of its weights {', '.join(unused)}. Set "
                "trainable=False on their layers, or leave them out."
            )
        self.variables = variables
        self._arrays = [(variable, variable._value) for variable, _ in p.weights.values()]
        self._outputs = [Output(p, slot, loss) for slot, loss in zip(outputs, losses)]
        self._penalties = list(p.penalties)
        self._compute = None
        wanted = [p.weight(variable) for variable in variables]
        found = append_backward(p, self._add_loss(p), wanted)
        self._has_gradient = [slot is not None for slot in found]
        results = [slot for slot in found if slot is not None]
        # A program without results would not run at all.
        self._program = Program(p, inputs, results or [self._total])

    def _add_loss(self, p):
        """The step between forward and backward: pairs of a Slot and its gradient's."""
        activities = [slot for _, slot in self._penalties]
        slots = [slot for output in self._outputs for slot in output.slots()]
        ends = [output.end for output in self._outputs if output.loss is not None] + activities
        examples = [np.zeros(slot.shape, np.float32) for slot in ends] + [np.zeros(1, np.float32)]

        def step(*arrays):
            arrays = list(arrays)
            for output in self._outputs:
                output.take(arrays)
            total, gradients = self._compute(self._outputs)
            gradients = list(gradients)
            for (regularizer, _), activity in zip(self._penalties, arrays):
                # Keras divides by the rows, so that a penalty does not depend on the batch's size.
                rows = max(1, len(activity))
                total += penalty(regularizer, activity) / rows
                gradients.append(penalty_gradient(regularizer, activity) / np.float32(rows))
            self._loss = total
            return [np.ascontiguousarray(gradient, np.float32) for gradient in (*gradients, [total])]

        *gradients, self._total = p.python("loss", step, slots + activities, examples)
        return list(zip(ends, gradients))

    def is_current(self):
        """Whether the weights still stand where the program reads them."""
        return all(variable._value is array for variable, array in self._arrays)

    def run(self, arrays, compute):
        """(the loss, a gradient or None for each of the variables)."""
        self._compute = compute
        try:
            found = iter(self._program.run(tuple(arrays)))
        finally:
            self._compute = None
        return self._loss, [next(found) if there else None for there in self._has_gradient]


class Output:
    """An output of the model in a step: `value`, `mask` (or None), and `logits` where the loss is computed of them.

    Keras computes a crossentropy of what went into the softmax or sigmoid that gave the output, where that is its last
    step. end: the Slot that the loss's gradient is by.
    """

    def __init__(self, p, slot, loss):
        self.slot, self.loss, self.end = slot, loss, slot
        self.value = self.mask = self.logits = None
        wanted = getattr(loss, "activation", None)
        step = next((step for step in reversed(p.steps) if _writes(step, slot)), None)
        if wanted is None or step is None or loss._fn_kwargs.get("from_logits"):
            return
        fields = step["fields"]
        if fields["kind"] == ACTIVATION_KINDS[wanted] and fields["y"].shape == slot.shape:
            self.end = fields["x"]

    def slots(self):
        found = [self.slot]
        found += [self.slot.mask] if self.slot.mask is not None else []
        return found + ([self.end] if self.end is not self.slot else [])

    def take(self, arrays):
        """Takes its values from the front of the list `arrays`."""
        self.value = arrays.pop(0)
        self.mask = arrays.pop(0) if self.slot.mask is not None else None
        self.logits = arrays.pop(0) if self.end is not self.slot else None

    def value_and_gradient(self, y_true, sample_weight=None):
        """The loss of this output and its gradient by the end."""
        if self.logits is not None:
            return self.loss.value_and_gradient_of_logits(y_true, self.logits, sample_weight, self.mask)
        return self.loss.value_and_gradient(y_true, self.value, sample_weight, self.mask)


def _writes(step, slot):
    return step["op"] in ("activation", "row_activation") and step["fields"]["y"].buffer is slot.buffer


def gradients_of(model, x, y, loss, sample_weight=None):
    """The loss of a model of one output on a batch, and its gradients by the trainable weights.

    x: as `predict_on_batch` takes it; y: the labels; loss: as compile takes it. Penalties of weights are not in it.
    Returns (float, list of float32 arrays, None for a weight that the loss does not depend on).
    """
    from fastseq import losses

    predicted = model(x)
    chosen = losses.for_output(loss, np.asarray(y), predicted)
    arguments = bound(model, x, training=True)
    program = TrainingProgram(model, arguments, model.trainable_variables, [chosen])

    def compute(outputs):
        value, gradient = outputs[0].value_and_gradient(y, sample_weight)
        return value, [gradient]

    return program.run(key_of(arguments)[1], compute)
