"""Connectionist temporal classification as a loss. https://keras.io/api/losses/probabilistic_losses/

It computes with `fastseq.ops`, so that `fit` has it in its program: native steps, with their gradients.
"""

import numpy as np

from fastseq import ops
from fastseq.gradients import append_backward
from fastseq.losses.base import Loss, LossFunctionWrapper
from fastseq.ops.values import Traced
from fastseq.program.builder import Builder
from fastseq.program.program import Program


def ctc(y_true, y_pred):
    """The loss of `ops.ctc_loss`, for labels that end where the first class, the blank, begins.

    Args:
        y_true (int32 array (batch, longest)): The labels, each a class; as many of a row count as are not 0.
        y_pred (float32 array (batch, timesteps, classes)): Logits, without a softmax; all timesteps count.

    Returns:
        float32 array (batch,).

    Raises:
        ValueError: Arrays of other axes, or of two batches.

    Example:
        >>> losses.ctc(np.array([[1, 2, 0]]), np.zeros((1, 3, 4), "f"))
        array([2.5494452], dtype=float32)
    """
    shapes = tuple(y_true.shape), tuple(y_pred.shape)
    if tuple(map(len, shapes)) != (2, 3):
        raise ValueError(
            "Loss ctc: the labels have shape (batch, longest), the predictions (batch, timesteps, classes); got "
            f"{shapes[0]} and {shapes[1]}."
        )
    batch, timesteps, _ = shapes[1]
    lengths = ops.sum(ops.cast(ops.not_equal(y_true, 0), "int32"), axis=-1)
    return ops.ctc_loss(y_true, y_pred, lengths, np.full(batch, timesteps, np.int32), mask_index=0)


class CTC(LossFunctionWrapper):
    """The loss of `ctc`, reduced.

    Args:
        reduction (str, default "sum_over_batch_size"): "sum_over_batch_size" or "mean" (the sum divided by the number
            of values), "sum", "mean_with_sample_weight" (divided by the sum of the weights), "none" or None.
        name (str, default "ctc"): Of the loss, which logs have where there are several.
        dtype (str, default None): "float32", which None means, or "float64" for the reduction; values are float32.

    Raises:
        ValueError: As `Loss`.

    Example:
        >>> round(float(losses.CTC()(np.array([[1, 2, 0]]), np.zeros((1, 3, 4)))), 4)
        2.5494
    """

    def __init__(self, reduction="sum_over_batch_size", name="ctc", dtype=None):
        super().__init__(ctc, reduction=reduction, name=name, dtype=dtype)

    def call(self, y_true, y_pred):
        values = super().call(y_true, y_pred)
        return values if isinstance(values, Traced) else values.astype(self.dtype)

    def value_and_gradient(self, y_true, y_pred, sample_weight=None, mask=None):
        def call(y_true, y_pred):
            values = self.call(y_true, y_pred)
            by_row = _gradient(y_true, y_pred)
            return values, lambda upstream: upstream.reshape(-1, 1, 1) * by_row

        return self._value_and_gradient(call, y_true, y_pred, sample_weight, mask)

    def get_config(self):
        return Loss.get_config(self)


def _gradient(y_true, y_pred):
    """Of each row's loss by its logits: rows are of each other independent."""
    p = Builder(trains=True)
    labels, logits = p.input(y_true.shape, "int32"), p.input(y_pred.shape, "float32")
    values = ctc(Traced(p, labels), Traced(p, logits)).slot
    (gradient,) = append_backward(p, [(values, p.constant(np.ones(values.shape, np.float32)))], [logits])
    given = [np.ascontiguousarray(y_true, np.int32), np.ascontiguousarray(y_pred, np.float32)]
    return Program(p, [labels, logits], [gradient]).run(given)[0]
