"""`Model.compute_loss`: the loss of predictions, on arrays and in what `value_and_grad` traces."""

import numpy as np

from fastseq import ops, regularizers
from fastseq.ops.values import Traced, builder_of, lift
from fastseq.program.added_losses import rows_of
from fastseq.tensors import nest
from fastseq.tensors.variable import Variable
from fastseq.training.compiled import per_output
from fastseq.training.traced_losses import has_own_gradient, reduced


def compute_loss(model, y, y_pred, sample_weight):
    """See `Model.compute_loss`."""
    compiled = model._trainer_for("compute_loss").compiled
    names, predicted = compiled.names, nest.flatten(y_pred)
    labels = per_output(y, names, "y")
    weights = per_output(sample_weight, names, "sample_weight", spread=True)
    compiled.prepare(labels, predicted)
    p = builder_of(*predicted)
    found = [] if p is None else _penalties(p, model)
    for loss, truth, prediction, weight, factor in zip(
        compiled.losses, labels, predicted, weights, compiled.loss_weights
    ):
        if loss is not None:
            value = loss(truth, prediction, weight) if p is None else _traced(p, loss, truth, prediction, weight)
            found.append(value if factor is None else value * float(factor))
    if p is None:
        found += model.losses
    if not found:
        raise ValueError(f"Model '{model.name}' has no loss to compute: give compile() a loss=.")
    total = found[0]
    for value in found[1:]:
        total = total + value
    return total


def _traced(p, loss, truth, prediction, weight):
    truth, prediction = lift(p, truth), lift(p, prediction)
    mask = prediction._keras_mask
    values = _own_values(p, loss, truth, prediction) if has_own_gradient(loss) else loss.call(truth, prediction)
    weight = None if weight is None else ops.cast(lift(p, weight), "float32")
    total, _ = reduced(ops.cast(values, "float32"), weight, mask, loss.reduction)
    return total


def _own_values(p, loss, truth, prediction):
    """The values of a loss that says its gradient itself, as a step in Python."""
    prediction = ops.cast(prediction, "float32")

    def call(y_true, y_pred):
        with np.errstate(all="ignore"):
            return [np.ascontiguousarray(loss.call(y_true, y_pred), np.float32)]

    def backward(gradient, y_true, y_pred):
        with np.errstate(all="ignore"):
            found = loss.call_with_pullback(y_true, y_pred)[1](gradient)
        by_truth = [np.zeros_like(y_true)] if y_true.dtype == np.float32 else []
        return [*by_truth, np.ascontiguousarray(found, np.float32).reshape(y_pred.shape)]

    inputs = [truth.slot, prediction.slot]
    # Ones: of zeros there is no logarithm.
    example = call(*(np.ones(slot.shape, slot.dtype) if slot.dtype == "float32" else np.zeros(slot.shape, slot.dtype)
                     for slot in inputs))  # fmt: skip
    (values,) = p.python(f"loss {loss.name}", call, inputs, example, backward)
    return Traced(p, values)


# ---- penalties -------------------------------------------------------------------------------------------------------


def _penalties(p, model):
    """The penalties of weights and of outputs so far, traced."""
    found = [
        penalty(variable.regularizer, Traced(p, p.weight(variable)))
        for variable in model.trainable_weights
        if isinstance(variable, Variable) and variable.regularizer is not None
    ]
    for _, regularizer, slot, steps in p.penalties:
        x = Traced(p, slot)
        parts = [x] if slot is None or not slot.shape or steps == 1 else _timesteps(x, steps)
        found += [penalty(regularizer, part) / float(rows_of(part) if part.ndim else 1) for part in parts]
    return found


def _timesteps(x, steps):
    """The parts of an output that have a penalty each: the timesteps that TimeDistributed made rows."""
    apart = ops.reshape(x, (x.shape[0] // steps, steps, *x.shape[1:]))
    return [ops.squeeze(part, 1) for part in ops.split(apart, steps, axis=1)]


def penalty(regularizer, x):
    """A regularizer's penalty of a Traced array: of Keras's own by the formula, of a user's by its call."""
    kind = type(regularizer)
    if kind in (regularizers.L1, regularizers.L2, regularizers.L1L2):
        found = ops.zeros_like(ops.sum(x))
        if getattr(regularizer, "l1", 0.0):
            found = found + regularizer.l1 * ops.sum(ops.abs(x))
        if getattr(regularizer, "l2", 0.0):
            found = found + regularizer.l2 * ops.sum(ops.square(x))
        return found
    return lift(x.p, np.float32(regularizer(x))) if kind is regularizers.Regularizer else ops.sum(regularizer(x))
