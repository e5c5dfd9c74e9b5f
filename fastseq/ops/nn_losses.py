"""Crossentropies, and the logarithm of sums of exponentials. https://keras.io/api/ops/nn/"""

import numpy as np

from fastseq.ops import elementwise as e
from fastseq.ops import reductions
from fastseq.ops.documented import ARRAY, AXIS, KEEPDIMS, documented
from fastseq.ops.nn import log_softmax
from fastseq.ops.normalization import constant_for_gradients
from fastseq.ops.operation import operation
from fastseq.ops.shapes import axis_of, expand_dims, squeeze
from fastseq.ops.values import Traced, cast, lift
from fastseq.tensors.settings import epsilon

_FLOAT = "float32 array."


@operation("Logsumexp", "math", options=("axis", "keepdims"))
@documented(
    "The logarithm of the sum of exponentials, which does not overflow.",
    {"x": ARRAY, "axis": AXIS, "keepdims": KEEPDIMS},
    _FLOAT,
    "ops.logsumexp([1000.0, 1000.0])\narray(1000.6932, dtype=float32)",
    {"ValueError": "An axis that is not there."},
)
def logsumexp(x, axis=None, keepdims=False):
    x = cast(x, "float32")
    largest = constant_for_gradients(reductions.reduced("max", x, axis, True, "logsumexp"))
    largest = e.where(e.less(e.absolute(largest), float("inf")), largest, 0.0)
    sums = e.log(reductions.sum(e.exp(e.subtract(x, largest)), axis, True))
    found = e.add(sums, largest)
    if keepdims:
        return found
    return squeeze(found, tuple(sorted(reductions.axes_of(x, axis, "logsumexp"))))


def _logits_of(output, kind):
    """What went into the activation that gave `output`, None where no activation of that kind did."""
    found = output.slot.activated
    return Traced(output.p, found[1], output.time) if found is not None and found[0] == kind else None


def _check_alike(name, target, output, last=True):
    """Raises ValueError where shapes differ; last: whether the last sizes are compared as well."""
    unknown = set(getattr(output.p, "unknown", ()))
    mine, its = (target.shape, output.shape) if last else (target.shape, output.shape[:-1])
    if len(mine) != len(its) or any(a != b and not {a, b} & unknown for a, b in zip(mine, its)):
        rest = "one shape" if last else "one shape but for the last axis of the output"
        raise ValueError(f"ops.{name} takes target and output of {rest}, got {target.shape} and {output.shape}.")


def _clipped(output):
    """Probabilities that have a logarithm, as Keras clips them."""
    return e.clip(output, epsilon(), 1.0 - epsilon())


@operation("BinaryCrossentropy", "nn", options=("from_logits",))
@documented(
    "`-target * log(output) - (1 - target) * log(1 - output)`.",
    {
        "target": ARRAY,
        "output": "(array): Probabilities, of the shape of `target`.",
        "from_logits": "(bool, default False): Whether `output` has yet to go through a sigmoid.",
    },
    "float32 array of that shape.",
    "ops.binary_crossentropy([0.0, 1.0], [0.1, 0.9])\narray([0.10536055, 0.10536055], dtype=float32)",
    {"ValueError": "Other shapes."},
)
def binary_crossentropy(target, output, from_logits=False):
    target, output = cast(target, "float32"), cast(output, "float32")
    _check_alike("binary_crossentropy", target, output)
    logits = _logits_of(output, "sigmoid")
    if from_logits or logits is not None:
        x = output if logits is None else logits
        # log(1 + exp(-abs(x))) + max(x, 0) - x target, as TensorFlow has it
        tail = e.log1p(e.exp(e.negative(e.absolute(x))))
        return e.add(e.subtract(e.maximum(x, 0.0), e.multiply(x, target)), tail)
    output = _clipped(output)
    own = e.multiply(target, e.log(output))
    return e.negative(e.add(own, e.multiply(e.subtract(1.0, target), e.log(e.subtract(1.0, output)))))


@operation("CategoricalCrossentropy", "nn", options=("from_logits", "axis"))
@documented(
    "`-sum(target * log(output))` over the classes.",
    {
        "target": "(array): What share each class has.",
        "output": "(array): Probabilities, of the shape of `target`; they are divided by their sum.",
        "from_logits": "(bool, default False): Whether `output` has yet to go through a softmax.",
        "axis": "(int, default -1): The axis of the classes.",
    },
    "float32 array without that axis.",
    "ops.categorical_crossentropy([[0.0, 1.0]], [[0.1, 0.9]])\narray([0.10536055], dtype=float32)",
    {"ValueError": "Other shapes, no axes, or an axis that is not there."},
)
def categorical_crossentropy(target, output, from_logits=False, axis=-1):
    target, output = cast(target, "float32"), cast(output, "float32")
    if not target.ndim:
        raise ValueError("ops.categorical_crossentropy takes arrays with axes, got a scalar.")
    _check_alike("categorical_crossentropy", target, output)
    axis = axis_of(output, axis, "categorical_crossentropy")
    logits = _logits_of(output, "softmax")
    if from_logits or logits is not None:
        logs = log_softmax(output if logits is None else logits, axis)
    else:
        logs = e.log(_clipped(e.divide(output, reductions.sum(output, axis, True))))
    return e.negative(reductions.sum(e.multiply(target, logs), axis))


@operation("SparseCategoricalCrossentropy", "nn", options=("from_logits", "axis"))
@documented(
    "`-log` of the probability of the class that is right.",
    {
        "target": "(int array): The numbers of the classes; a last axis of size 1 more is let through.",
        "output": "(array): Probabilities of the classes along the last axis.",
        "from_logits": "(bool, default False): Whether `output` has yet to go through a softmax.",
        "axis": "(int, default -1): The last axis.",
    },
    "float32 array without the last axis.",
    "ops.sparse_categorical_crossentropy([1], [[0.1, 0.9]])\narray([0.10536056], dtype=float32)",
    {"ValueError": "Other shapes, another axis, or a number that is no class."},
)
def sparse_categorical_crossentropy(target, output, from_logits=False, axis=-1):
    name = "sparse_categorical_crossentropy"
    target, output = cast(target, "int32"), cast(output, "float32")
    if not output.ndim:
        raise ValueError(f"ops.{name} takes an output with axes, got a scalar.")
    if axis not in (-1, output.ndim - 1):
        raise ValueError(f"ops.{name}: classes stand in the last axis, got axis={axis} of shape {output.shape}.")
    if target.ndim == output.ndim and target.shape[-1] == 1:
        target = squeeze(target, -1)
    _check_alike(name, target, output, last=False)
    classes = output.shape[-1]
    _check_classes(target, classes, name)
    logits = _logits_of(output, "softmax")
    if logits is not None:
        output = logits
    elif not from_logits:
        output = e.log(_clipped(output))
    right = e.equal(expand_dims(target, -1), lift(output.p, np.arange(classes, dtype=np.int32)))
    own = reductions.sum(e.where(right, output, 0.0), -1)
    return e.subtract(logsumexp(output, -1), own)


def _check_classes(target, classes, name):
    """Adds the step that raises where a target is no class, as TensorFlow does."""

    def failure(position, value):
        return ValueError(f"ops.{name}: target {value} at place {position} is none of {classes} classes.")

    target.p.step("check_ids", failure=failure, ids=target.slot, floats=None, count=target.slot.size, limit=classes)
