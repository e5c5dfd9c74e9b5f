"""Losses and accuracies as native steps, so that forward, loss and backward are one call without the GIL.

The numbers are those of fastseq.losses and fastseq.metrics, whose functions stay in charge of everything else: other
losses and metrics, labels and weights that broadcast, a user's own.
"""

import numpy as np

from fastseq import losses, metrics
from fastseq.native.kinds import HITS_KINDS, LOSS_BLOCK, LOSS_KINDS, LOSS_REDUCTIONS

_LOSS_KINDS = {
    losses.MeanSquaredError: LOSS_KINDS["squared"],
    losses.MeanAbsoluteError: LOSS_KINDS["absolute"],
    losses.Huber: LOSS_KINDS["huber"],
    losses.KLDivergence: LOSS_KINDS["divergence"],
    losses.BinaryCrossentropy: LOSS_KINDS["binary"],
    losses.CategoricalCrossentropy: LOSS_KINDS["categorical"],
    losses.SparseCategoricalCrossentropy: LOSS_KINDS["sparse"],
    losses.MeanAbsolutePercentageError: LOSS_KINDS["percentage"],
}
_REDUCTIONS = {
    "sum": LOSS_REDUCTIONS["sum"],
    "mean": LOSS_REDUCTIONS["mean"],
    "sum_over_batch_size": LOSS_REDUCTIONS["mean"],
    "mean_with_sample_weight": LOSS_REDUCTIONS["weighted_mean"],
}
_ACCURACIES = {
    metrics.BinaryAccuracy: HITS_KINDS["above"],
    metrics.CategoricalAccuracy: HITS_KINDS["largest"],
    metrics.SparseCategoricalAccuracy: HITS_KINDS["largest"],
}


class NativeOutput:
    """The loss and the accuracies of one output of a model in native steps. Made by `native_output`."""

    def __init__(self, output, weighted, chosen):
        shape = output.slot.shape
        self._output, self._loss = output, output.loss
        self._shape, self._n = shape, shape[-1]
        self.rows = int(np.prod(shape[:-1], dtype=np.int64))
        self._classes = type(output.loss) is losses.SparseCategoricalCrossentropy
        self._weighted = weighted
        self._metrics = chosen  # (weighted, Metric)

    # ---- what a batch brings -------------------------------------------------------------------------------------

    def arrays(self, y, weights):
        """[labels] or [labels, sample weights] as the program takes them, None where they are of another form."""
        labels = self._labels(y)
        if labels is None or (weights is None) == self._weighted:
            return None
        if weights is None:
            return [labels]
        weights = _weights(weights, self._shape)
        return None if weights is None else [labels, weights]

    def _labels(self, y):
        if not self._classes:
            # Of (B, T) with (B, T, 1) Keras makes one value for each sample, not for each timestep.
            if y.shape != self._shape and not (self._n == 1 and len(self._shape) == 2 and y.shape == self._shape[:1]):
                return None
            return np.ascontiguousarray(y, np.float32).reshape(self._shape)
        if y.shape not in (self._shape[:-1], (*self._shape[:-1], 1)) or y.dtype.kind not in "iuf":
            return None
        if y.dtype == np.int32:
            return np.ascontiguousarray(y).reshape(self.rows)
        with np.errstate(invalid="ignore"):
            labels = y.astype(np.int32, order="C")
        # Fractions, and numbers that int32 does not have.
        return labels.reshape(self.rows) if (labels == y).all() else None

    # ---- what the program does -----------------------------------------------------------------------------------

    def add_inputs(self, p):
        """Slots for what `arrays` gives."""
        kind = "int32" if self._classes else "float32"
        self._y = p.input((self.rows,) if self._classes else self._shape, kind)
        self._w = p.input((self.rows,), "float32") if self._weighted else None
        return [self._y] + ([self._w] if self._weighted else [])

    def add(self, p, factor, wants_gradient):
        """Adds the loss. Returns pairs (Slot, Slot of the gradient by it), none unless wanted, and Slots of float64
        sums: the loss, then hits and weights of each metric."""
        output, loss = self._output, self._loss
        if self._classes:
            self._check_classes(p)
        mask = output.slot.mask
        arguments = getattr(loss, "_fn_kwargs", {})
        smoothing = arguments.get("label_smoothing", 0.0)
        shift = 0.5 if type(loss) is losses.BinaryCrossentropy else 1.0 / self._n
        gradient = p.new(self._shape) if wants_gradient else None
        weights, even = None, 1.0 / self.rows
        if mask is not None or self._w is not None:
            weights, even = p.new((self.rows,)), 0.0
            p.step("loss_weights", mask=mask, weights=self._w, y=weights, rows=self.rows,
                   reduction=_REDUCTIONS[loss.reduction])  # fmt: skip
        elif loss.reduction == "sum":
            even = 1.0
        partial = p.new((self._blocks(), 1), "float64")
        p.step(
            "loss", x=output.end, **self._label_fields(), weights=weights, dx=gradient, partial=partial, rows=self.rows,
            n=self._n, kind=_LOSS_KINDS[type(loss)],
            logits=int(output.end is not output.slot or bool(arguments.get("from_logits"))), even=even,
            factor=factor, label_scale=1.0 - smoothing, label_shift=shift * smoothing,
            delta=arguments.get("delta", 0.0),
        )  # fmt: skip
        sums = [_column_sums(p, partial)]
        for weighted, metric in self._metrics:
            partial = p.new((self._blocks(), 2), "float64")
            p.step(
                "hits", x=output.slot, **self._label_fields(), mask=mask, weights=self._w if weighted else None,
                partial=partial, rows=self.rows, n=self._n, kind=_ACCURACIES[type(metric)],
                threshold=metric._fn_kwargs.get("threshold", 0.0),
            )  # fmt: skip
            sums.append(_column_sums(p, partial))
        return [(output.end, gradient)] if wants_gradient else [], sums

    def _blocks(self):
        return -(-self.rows // LOSS_BLOCK)

    def _label_fields(self):
        return {"y": None, "classes": self._y} if self._classes else {"y": self._y, "classes": None}

    def _check_classes(self, p):
        def failure(position, value):
            return ValueError(
                f"Loss {self._loss.name}: class {value} is outside the {self._n} classes of the predictions (labels of "
                f"shape {self._shape[:-1]}, predictions of {self._shape})."
            )

        p.step("check_ids", failure=failure, first=True, ids=self._y, floats=None, count=self.rows, limit=self._n)


def native_output(output, y, weights, wanted):
    """(NativeOutput, the metrics it does) for an `Output` with such labels and weights; None where there is none.

    wanted: (weighted, Metric) of the output's metrics.
    """
    loss, slot = output.loss, output.slot
    arguments = getattr(loss, "_fn_kwargs", {})
    shape = slot.shape
    if type(loss) not in _LOSS_KINDS or loss.dtype != "float32" or loss.reduction not in _REDUCTIONS:
        return None
    if len(shape) < 2 or 0 in shape or arguments.get("ignore_class") is not None:
        return None
    axis = arguments.get("axis", -1)
    if isinstance(axis, bool) or axis not in (-1, len(shape) - 1):
        return None
    if slot.mask is not None and slot.mask.shape != shape[:-1]:
        return None
    if type(loss) in (losses.CategoricalCrossentropy, losses.SparseCategoricalCrossentropy) and shape[-1] == 1:
        return None  # the one warns, the other means something else
    made = NativeOutput(output, weights is not None, [])
    if made.arrays(y, weights) is None:
        return None
    made._metrics = [(weighted, metric) for weighted, metric in wanted if _is_native(metric, made._classes)]
    return made, [metric for _, metric in made._metrics]


def _is_native(metric, classes):
    if type(metric) not in _ACCURACIES or metric._fn_kwargs.keys() - {"threshold"}:
        return False
    return (type(metric) is metrics.SparseCategoricalAccuracy) == classes


def _weights(weights, shape):
    """Sample weights that are one for each value of the loss, flat; None for others."""
    if weights.shape == (*shape[:-1], 1):
        weights = weights[..., 0]
    if weights.shape != shape[:-1]:
        return None
    return np.ascontiguousarray(weights, np.float32).reshape(-1)


def _column_sums(p, partial):
    count, width = partial.shape
    sums = p.new((width,), "float64")
    p.step("column_sums", x=partial, y=sums, count=count, width=width)
    return sums
