"""The backend's crossentropies."""

from fastseq import ops
from fastseq.backend.documented import documented
from fastseq.ops.values import Traced
from fastseq.tensors.settings import epsilon

_LOGITS = "(bool, default False): Whether `output` has yet to go through a sigmoid or softmax."
_TARGET = "(array): What is right: 0, 1, or between."
_OUTPUT = "(array): Probabilities, of the shape of `target`."
_AXIS = "(int, default -1): The axis of the classes."
_ALPHA = "(float, default 0.25): The weight."
_GAMMA = "(float, default 2.0): How much less what is nearly right counts."
_FLOAT = "float32 array."


def _is_activated(output, kind):
    """Whether it has come out of such an activation in this program: then Keras takes what went in."""
    return isinstance(output, Traced) and output.slot.activated is not None and output.slot.activated[0] == kind


@documented(
    "`-target * log(output) - (1 - target) * log(1 - output)`; Keras 2 adds epsilon to what has a logarithm taken.",
    {"target": _TARGET, "output": _OUTPUT, "from_logits": _LOGITS},
    _FLOAT,
    "backend.binary_crossentropy([0.0, 1.0], [0.1, 0.9])\narray([0.10536041, 0.10536041], dtype=float32)",
    {"ValueError": "Other shapes."},
)
def binary_crossentropy(target, output, from_logits=False):
    if from_logits or _is_activated(output, "sigmoid"):
        return ops.binary_crossentropy(target, output, from_logits)
    output, target = ops.clip(output, epsilon(), 1.0 - epsilon()), ops.cast(target, "float32")
    own = ops.multiply(target, ops.log(ops.add(output, epsilon())))
    rest = ops.multiply(ops.subtract(1.0, target), ops.log(ops.add(ops.subtract(1.0, output), epsilon())))
    return ops.negative(ops.add(own, rest))


@documented(
    "The binary crossentropy, less where the output is nearly right.",
    {"target": _TARGET, "output": _OUTPUT,
     "apply_class_balancing": "(bool, default False): Whether `alpha` weighs targets of 1, and `1 - alpha` those of 0.",
     "alpha": _ALPHA, "gamma": _GAMMA, "from_logits": _LOGITS},
    _FLOAT,
    "backend.binary_focal_crossentropy([0.0, 1.0], [0.1, 0.9])\n"
    'array([0.0010536, 0.0010536], dtype=float32)',
    {"ValueError": "Other shapes."},
)  # fmt: skip
def binary_focal_crossentropy(target, output, apply_class_balancing=False, alpha=0.25, gamma=2.0, from_logits=False):
    target = ops.cast(target, "float32")
    share, other = ops.sigmoid(output) if from_logits else output, ops.subtract(1.0, target)
    right = ops.add(ops.multiply(target, share), ops.multiply(other, ops.subtract(1.0, share)))
    factor = ops.power(ops.subtract(1.0, right), gamma)
    found = ops.multiply(factor, binary_crossentropy(target, output, from_logits))
    if not apply_class_balancing:
        return found
    return ops.multiply(ops.add(ops.multiply(target, alpha), ops.multiply(other, 1.0 - alpha)), found)


@documented(
    "`-sum(target * log(output))` over the classes.",
    {"target": "(array): What share each class has.", "output": _OUTPUT, "from_logits": _LOGITS, "axis": _AXIS},
    "float32 array without that axis.",
    "backend.categorical_crossentropy([[0.0, 1.0]], [[0.1, 0.9]])\narray([0.10536055], dtype=float32)",
    {"ValueError": "Other shapes, or an axis that is not there."},
)
def categorical_crossentropy(target, output, from_logits=False, axis=-1):
    return ops.categorical_crossentropy(target, output, from_logits, axis)


@documented(
    "The categorical crossentropy, less where the output is nearly right.",
    {"target": "(array): What share each class has.", "output": _OUTPUT, "alpha": _ALPHA, "gamma": _GAMMA,
     "from_logits": _LOGITS, "axis": _AXIS},
    "float32 array without that axis.",
    "backend.categorical_focal_crossentropy([[0.0, 1.0]], [[0.1, 0.9]])\n"
    'array([0.0002634], dtype=float32)',
    {"ValueError": "Other shapes, or an axis that is not there."},
)  # fmt: skip
def categorical_focal_crossentropy(target, output, alpha=0.25, gamma=2.0, from_logits=False, axis=-1):
    target = ops.cast(target, "float32")
    output = ops.softmax(output, axis) if from_logits else output
    output = ops.clip(ops.divide(output, ops.sum(output, axis, keepdims=True)), epsilon(), 1.0 - epsilon())
    factor = ops.multiply(ops.power(ops.subtract(1.0, output), gamma), alpha)
    return ops.sum(ops.multiply(factor, ops.multiply(ops.negative(target), ops.log(output))), axis)


@documented(
    "`-log` of the probability of the class that is right.",
    {"target": "(int array): The numbers of the classes; a last axis of size 1 more is let through.",
     "output": "(array): Probabilities of the classes.", "from_logits": _LOGITS, "axis": _AXIS,
     "ignore_class": "(int, default None): A number whose loss is 0."},
    "float32 array without that axis.",
    "backend.sparse_categorical_crossentropy([1], [[0.1, 0.9]])\n"
    'array([0.10536056], dtype=float32)',
    {"ValueError": "Other shapes, or a number that is no class."},
)  # fmt: skip
def sparse_categorical_crossentropy(target, output, from_logits=False, axis=-1, ignore_class=None):
    if axis % ops.ndim(output) != ops.ndim(output) - 1:
        output = ops.moveaxis(output, axis, -1)
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(target, output, from_logits)
    target = ops.cast(target, "int32")
    target = ops.squeeze(target, -1) if ops.ndim(target) == ops.ndim(output) else target
    counts = ops.not_equal(target, ignore_class)
    found = ops.sparse_categorical_crossentropy(ops.where(counts, target, 0), output, from_logits)
    return ops.where(counts, found, 0.0)


@documented(
    "Whether the right class is among the `k` most probable.",
    {"predictions": "(array): (batch, classes).", "targets": "(int array): (batch,), the right classes.",
     "k": "(int): How many."},
    "bool array (batch,).",
    "backend.in_top_k([[0.1, 0.9]], [1], 1)\n"
    'array([ True])',
    {"ValueError": "Other shapes."},
)  # fmt: skip
def in_top_k(predictions, targets, k):
    return ops.in_top_k(targets, predictions, k)
