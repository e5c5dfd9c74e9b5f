"""A user's loss and metric functions as native steps of a training program; see ops/functions.py.

A loss is traced where it has no gradient of its own (`call_with_pullback`): the program then has its steps, the
reduction's by fastseq.ops, and their gradients.
"""

import numpy as np

from fastseq import metrics, ops
from fastseq.losses.base import Loss, LossFunctionWrapper, squeeze_or_expand_to_same_rank
from fastseq.ops import functions
from fastseq.ops.tracing import CannotTrace
from fastseq.ops.values import Traced


def has_own_gradient(loss):
    """Whether a loss says its gradient itself, as the built-in ones do."""
    if type(loss).call_with_pullback is LossFunctionWrapper.call_with_pullback:
        return hasattr(loss.fn, "with_pullback")
    return type(loss).call_with_pullback is not Loss.call_with_pullback


def has_gradient_in_python(loss):
    """Whether a loss's gradient can be had outside of a program: its own, or that of CTC, which makes a small one."""
    return has_own_gradient(loss) or type(loss).value_and_gradient is not Loss.value_and_gradient


def traced_output(p, output, y, weights, wanted):
    """(TracedOutput, the metrics it does) for an `Output` with such labels and weights, None where a loss has a
    gradient of its own.

    p: the program that it is for. wanted: (weighted, Metric) of the output's metrics.
    Raises CannotTrace, with the reason, for a loss that has to run in Python.
    """
    loss = output.loss
    if has_own_gradient(loss) or loss.dtype != "float32":
        return None
    if not getattr(loss, "traced", True):
        raise CannotTrace("its class says traced = False")
    made = TracedOutput(output, y, weights)
    made.check(p, wanted)
    return made, [metric for _, metric in made.metrics]


class TracedOutput:
    """The loss of one output, and its metrics that are means of functions, in native steps.

    Args:
        output (Output): With its loss.
        y, weights (array): Labels, and sample weights or None: their shapes and dtypes are those of all batches.
    """

    def __init__(self, output, y, weights):
        self._output, self._loss = output, output.loss
        self._y_form, self._w_form = _form(y), None if weights is None else np.shape(weights)
        if self._y_form is None:
            raise CannotTrace(f"labels of dtype {y.dtype} are not float32, int32 or bool")
        self.rows = output.slot.shape[0]
        self.metrics = []

    def check(self, p, wanted):
        """Finds out whether the loss and which of the metrics are traced; raises CannotTrace for the loss."""
        scratch = type(p)(training=p.training)
        y, x = scratch.input(*self._y_form), scratch.input(self._output.slot.shape, "float32")
        mask = self._output.slot.mask
        given = [y, x if mask is None else x.with_mask(scratch.input(mask.shape, "bool"))]
        functions.emit(scratch, self._values, given, owner=self._loss)
        for weighted, metric in wanted:
            if type(metric) is not metrics.MeanMetricWrapper:
                continue  # a built-in function has its own way in NumPy, whose totals are in float64
            try:
                functions.emit(scratch, _values_of(metric), given)
            except CannotTrace:
                continue
            self.metrics.append((weighted, metric))

    def _values(self, given):
        return self._loss.call(*given)

    # ---- what a batch brings -------------------------------------------------------------------------------------

    def arrays(self, y, weights):
        """[labels] or [labels, sample weights] as the program takes them, None where they are of another form."""
        shape, dtype = self._y_form
        if y.shape != shape or (None if weights is None else weights.shape) != self._w_form:
            return None
        with np.errstate(invalid="ignore", over="ignore"):
            labels = np.ascontiguousarray(y, dtype)
        if dtype == "int32" and y.dtype != np.int32 and not (labels == y).all():
            return None  # numbers that int32 does not have
        return [labels] if weights is None else [labels, np.ascontiguousarray(weights, np.float32)]

    # ---- what the program does -----------------------------------------------------------------------------------

    def add_inputs(self, p):
        """Slots for what `arrays` gives."""
        self._y = p.input(*self._y_form)
        self._w = None if self._w_form is None else p.input(self._w_form, "float32")
        return [self._y] if self._w is None else [self._y, self._w]

    def add(self, p, factor, wants_gradient):
        """Adds the loss. Returns pairs (Slot, Slot of the gradient by it), and Slots of what the program tells: the
        loss, then sum and weight of each metric."""
        outer, p.layer_name = p.layer_name, f"loss {self._loss.name}"
        given = [self._y, self._output.slot]
        values = functions.run(p, self._values, given)
        weights = None if self._w is None else Traced(p, self._w)
        mask = self._output.slot.mask
        mask = None if mask is None else Traced(p, mask)
        total, end = reduced(ops.cast(values, "float32"), weights, mask, self._loss.reduction)
        ends = [(end.slot, p.constant(np.full((), factor, np.float32)))] if wants_gradient else []
        told = [_of_one(total)]
        for weighted, metric in self.metrics:
            p.layer_name = f"metric {metric.name}"
            values = ops.cast(functions.run(p, _values_of(metric), given), "float32")
            told.append(_sum_and_weight(values, weights if weighted else None, mask))
        p.layer_name = outer
        return ends, told


def _form(y):
    """(shape, dtype) in which labels go to a program, None for labels that are no numbers."""
    dtype = {"f": "float32", "i": "int32", "u": "int32", "b": "bool"}.get(y.dtype.kind)
    return None if dtype is None else (y.shape, dtype)


def _values_of(metric):
    def values(given):
        return metric._fn(*given, **metric._fn_kwargs)

    return values


def _of_one(value):
    return ops.reshape(value, (1,)).slot


def reduced(values, weights, mask, reduction):
    """(the reduced loss, what is differentiated) of Traced values, as Loss._reduced has them in NumPy.

    weights, mask: Traced, or None; reduction: a Loss's. Where nothing is reduced, the mean is told and the sum counts.
    """
    if mask is not None:
        factor = ops.cast(mask, "float32")
        if reduction in ("mean", "sum_over_batch_size"):  # valid entries of a mean weigh total / valid
            valid = ops.sum(factor)
            factor = factor * ops.where(ops.equal(valid, 0.0), 0.0, float(mask.size) / valid)
        weights = factor if weights is None else ops.multiply(*squeeze_or_expand_to_same_rank(factor, weights))
    if weights is not None:
        values, weights = squeeze_or_expand_to_same_rank(values, weights)
        values = values * weights
    total = ops.sum(values)
    if reduction == "sum":
        return total, total
    if reduction in (None, "none"):
        return total / float(max(values.size, 1)), total
    if reduction == "mean_with_sample_weight" and weights is not None:
        divisor = ops.sum(weights)
        total = total * ops.where(ops.equal(divisor, 0.0), 0.0, 1.0 / divisor)
    else:
        total = total / float(values.size) if values.size else total * 0.0
    return total, total


def _sum_and_weight(values, weights, mask):
    """A Slot (2,) of the sum of a mean metric's values and what they count together, as Mean.update_state has them."""
    if mask is not None:
        mask = ops.cast(mask, "float32")
        weights = mask if weights is None else ops.multiply(*squeeze_or_expand_to_same_rank(mask, weights))
    count = float(values.shape[0]) if values.ndim else 1.0
    if weights is not None:
        values, weights = squeeze_or_expand_to_same_rank(values, weights)
        if values.ndim > weights.ndim:
            values = ops.mean(values, axis=tuple(range(weights.ndim, values.ndim)))
        weights = weights + ops.zeros_like(values)  # of the values' shape
        values = values * weights
        if weights.ndim > 1:
            weights = ops.mean(weights, axis=tuple(range(1, weights.ndim)))
        count = ops.sum(weights)
    if values.ndim > 1:
        values = ops.mean(values, axis=tuple(range(1, values.ndim)))
    total = ops.sum(values)
    count = count if isinstance(count, Traced) else ops.zeros_like(total) + count
    return ops.stack([total, count]).slot
