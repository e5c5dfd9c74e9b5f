"""`Model.compute_loss`: the loss of predictions, on arrays and in what `value_and_grad` traces."""

import numpy as np

from fastseq import ops
from fastseq.layers.traced_penalties import losses_of
from fastseq.ops.values import Traced, builder_of, lift
from fastseq.tensors import nest
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
    found = [] if p is None else [ops.sum(ops.cast(loss, "float32")) for loss in losses_of(p, model)]
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
