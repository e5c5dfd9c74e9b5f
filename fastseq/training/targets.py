"""What turns a model's outputs into a loss in a training program: native steps where they can, else one in Python."""

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.ops.tracing import CannotTrace
from fastseq.program.added_losses import current
from fastseq.tensors import arrays
from fastseq.training.loss_steps import native_output
from fastseq.training.penalties import activity_gradient
from fastseq.training.traced_losses import has_gradient_in_python, traced_output


class Results:
    """What a step gave.

    loss: the weighted sum; each: the loss of each output that has one; values: the outputs as arrays with their masks,
    where a metric needs them; hits: (Metric, its sum, its weights) of native accuracies; added: the sum of what layers
    added to the loss, penalties of outputs and values of `add_loss`, or None where none did.
    """

    def __init__(self, loss, each, values, hits):
        self.loss, self.each, self.values, self.hits = loss, each, values, hits
        self.added = None


def targets_for(compiled, y, weights, native):
    """A function of a Builder, the `Output`s and the penalties (`Builder.penalties`), that gives what adds the loss.

    y, weights: a batch's labels and sample weights, a list each; native: False where native steps cannot read such
    labels.
    """

    def make(p, outputs, penalties):
        if native and any(output.loss is not None for output in outputs):
            found = [
                None if output.loss is None else _native_steps(p, output, y[i], weights[i], compiled.metrics_of(i))
                for i, output in enumerate(outputs)
            ]
            if all(entry is not None for entry, output in zip(found, outputs) if output.loss is not None):
                return NativeTarget(compiled, outputs, penalties, found)
        return PythonTarget(compiled, outputs, penalties)

    return make


def _native_steps(p, output, y, weights, wanted):
    """(what adds the loss of an output as native steps, the metrics that it does), or None."""
    found = native_output(output, y, weights, wanted)
    if found is not None:
        return found
    try:
        return traced_output(p, output, y, weights, wanted)
    except CannotTrace as error:
        output.untraced = str(error)
        return None


class NativeTarget:
    """Losses, and accuracies where they are plain ones, as native steps; activity regularizers in Python."""

    def __init__(self, compiled, outputs, penalties, found):
        self._outputs, self.penalties = outputs, penalties
        self._natives = [None if entry is None else entry[0] for entry in found]
        self._done = [[] if entry is None else entry[1] for entry in found]
        self._factors = [1.0 if factor is None else float(factor) for factor in compiled.loss_weights]
        done = [metric for listed in self._done for metric in listed]
        self._wants_values = any(metric not in done for *_, metric in compiled.all_metrics())
        self.rows = outputs[0].slot.shape[0]

    def add(self, p, inputs, trains):
        """(Slots of what `read` gets, pairs of a Slot and that of its gradient). Inputs for labels go to `inputs`."""
        sums, ends = [], []
        for native, factor in zip(self._natives, self._factors):
            if native is None:
                continue
            inputs += native.add_inputs(p)
            own_ends, own = native.add(p, factor, trains)
            sums, ends = sums + own, ends + own_ends
        if self.penalties:
            sums += [penalty.slot for penalty in self.penalties]
            ends += ends_of(p, self.penalties) if trains else []
        if self._wants_values:
            slots = [output.slot for output in self._outputs]
            sums += slots + [slot.mask for slot in slots if slot.mask is not None]
        return sums, ends

    def arrays(self, y, weights):
        """What the program takes of a batch, None where it has another form than the one it was made for."""
        found = []
        for native, labels, own in zip(self._natives, y, weights):
            if native is not None:
                taken = native.arrays(labels, own)
                if taken is None:
                    return None
                found += taken
        return found

    def read(self, found):
        """`Results` from the program's."""
        found = iter(found)
        loss, each, hits = 0.0, [], []
        for native, done, factor in zip(self._natives, self._done, self._factors):
            if native is None:
                continue
            value = float(next(found)[0])
            loss += value * factor
            each.append(value)
            # A mean over samples of means over timesteps.
            steps = native.rows / self.rows if self.rows else 1.0
            for metric in done:
                count, weight = next(found)
                hits.append((metric, float(count) / steps, float(weight) / steps))
        note(self.penalties, found)
        values = None
        if self._wants_values:
            values = [next(found) for _ in self._outputs]
            values = [
                arrays.with_mask(value, next(found)) if output.slot.mask is not None else value
                for value, output in zip(values, self._outputs)
            ]
        return Results(loss, each, values, hits)


def ends_of(p, penalties):
    """Pairs of a Slot that adds to the loss and that of its gradient: ones, or what a step in Python gives."""
    values = [penalty.slot for penalty in penalties if penalty.regularizer is None and penalty.slot.dtype == "float32"]
    ends = [(slot, p.constant(np.ones(slot.shape, np.float32)).reshaped(slot.shape)) for slot in values]
    floats = [penalty for penalty in penalties if penalty.regularizer is not None and penalty.slot.dtype == "float32"]
    if not floats:
        return ends

    def step(*activities):
        found = [activity_gradient(penalty, array) for penalty, array in zip(floats, activities)]
        return [np.ascontiguousarray(gradient, np.float32) for gradient in found]

    slots = [penalty.slot for penalty in floats]
    gradients = p.python("penalties", step, slots, [np.zeros(slot.shape, np.float32) for slot in slots])
    return ends + list(zip(slots, gradients))


def note(penalties, arrays):
    """Notes what outputs and layers added in a call: `arrays` is an iterator over the program's results."""
    if penalties:
        current().note_penalties(penalties, [next(arrays) for _ in penalties])


class PythonTarget:
    """Losses in NumPy, in a step between the native ones."""

    def __init__(self, compiled, outputs, penalties):
        self._compiled, self._outputs, self.penalties = compiled, outputs, penalties
        self._y = self._weights = self._results = None
        self.rows = outputs[0].slot.shape[0]

    def add(self, p, inputs, trains):
        """As of `NativeTarget`."""
        self._trains = trains
        for output in self._outputs:
            if trains and output.loss is not None and not has_gradient_in_python(output.loss):
                raise UnsupportedError(_no_gradient(output))
        slots = [slot for output in self._outputs for slot in _slots_of(output)]
        ends = [output.end for output in self._outputs if output.loss is not None]
        examples = [np.zeros(slot.shape, np.float32) for slot in ends] + [np.zeros(1, np.float32)]
        *gradients, total = p.python("loss", self._step, slots, examples)
        ends = list(zip(ends, gradients))
        # A program without results would not run at all.
        results = [total]
        if trains:
            ends += ends_of(p, self.penalties)
        return results + [penalty.slot for penalty in self.penalties], ends if trains else []

    def arrays(self, y, weights):
        self._y, self._weights = y, weights
        return []

    def read(self, found):
        note(self.penalties, iter(found[1:]))
        results, self._results = self._results, None
        return results

    def _loss_of(self, number, loss, value, logits, mask):
        """The loss of an output and its gradient, which is zeros where nothing is trained and the loss has none."""
        y, weights = self._y[number], self._weights[number]
        if logits is not None:
            return loss.value_and_gradient_of_logits(y, logits, weights, mask)
        if self._trains or has_gradient_in_python(loss):
            return loss.value_and_gradient(y, value, weights, mask)
        found = loss(y, arrays.with_mask(value, mask), weights)
        return float(np.mean(found)), np.zeros_like(value)

    def _step(self, *found):
        found = list(found)
        loss, each, values, gradients = 0.0, [], [], []
        for number, output in enumerate(self._outputs):
            value = found.pop(0)
            mask = found.pop(0) if output.slot.mask is not None else None
            logits = found.pop(0) if output.end is not output.slot else None
            values.append(arrays.with_mask(value, mask))
            if output.loss is None:
                continue
            own, gradient = self._loss_of(number, output.loss, value, logits, mask)
            factor = self._compiled.loss_weights[number]
            if factor is not None:
                gradient = gradient * np.float32(factor)
            loss += own if factor is None else own * factor
            each.append(own)
            gradients.append(gradient)
        self._results = Results(loss, each, values, [])
        return [np.ascontiguousarray(gradient, np.float32) for gradient in (*gradients, [loss])]


def _no_gradient(output):
    why = output.untraced or "another loss of the model does"
    return (
        f"Loss '{output.loss.name}' has no gradient, so nothing can be trained with it: it runs in Python ({why}). "
        "Compute it with fastseq.ops, fastseq.backend, NumPy's functions and operators alone, and it is "
        "differentiated. Or use fastseq.losses.with_gradient(function, gradient), or give a Loss a method "
        "call_with_pullback."
    )


def _slots_of(output):
    found = [output.slot]
    found += [output.slot.mask] if output.slot.mask is not None else []
    return found + ([output.end] if output.end is not output.slot else [])
