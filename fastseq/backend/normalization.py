"""The backend's biases and normalizations."""

from fastseq import ops
from fastseq.backend.documented import ARRAY, documented
from fastseq.tensors.settings import image_data_format

_EPSILON = "(float, default 0.001): What is added to the variance."


@documented(
    "`x` with a bias for each channel, or for each element of an entry of the batch.",
    {"x": ARRAY, "bias": "(array): Of one axis, or of one less than `x`.",
     "data_format": '(str, default None): "channels_last" or "channels_first"; None is `image_data_format()`.'},
    "An array of the shape of `x`.",
    "backend.bias_add([[1.0, 2.0]], [10.0, 20.0])\n"
    'array([[11., 22.]], dtype=float32)',
    {"ValueError": "A bias of another number of axes, or an unknown format."},
)  # fmt: skip
def bias_add(x, bias, data_format=None):
    data_format = image_data_format() if data_format is None else data_format
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(f"Unknown data_format: {data_format}")
    shape, ndim = tuple(ops.shape(bias)), ops.ndim(x)
    if len(shape) not in (1, ndim - 1):
        raise ValueError(f"backend.bias_add: a bias of shape {shape} has neither one axis nor {ndim - 1}.")
    if data_format == "channels_first" and ndim > 2:
        inner = (1,) * (ndim - 2) if len(shape) == 1 else shape[:-1]
        return ops.add(x, ops.reshape(bias, (1, shape[-1], *inner)))
    return ops.add(x, bias)


@documented(
    "`x` over its norm along axes, which is at least 1e-6.",
    {"x": ARRAY, "axis": "(int or tuple, default None): The axes; None is all."},
    "float32 array of the shape of `x`.",
    "backend.l2_normalize([3.0, 4.0])\narray([0.6, 0.8], dtype=float32)",
    {"ValueError": "An axis that is not there."},
)
def l2_normalize(x, axis=None):
    sums = ops.sum(ops.square(x), axis, keepdims=True)
    return ops.multiply(x, ops.rsqrt(ops.maximum(sums, 1e-12)))


@documented(
    "`(x - mean) / sqrt(var + epsilon) * gamma + beta`.",
    {"x": ARRAY, "mean": "(array): One for each element of `axis`, or what broadcasts.", "var": "(array): As `mean`.",
     "beta": "(array): As `mean`; None is 0.", "gamma": "(array): As `mean`; None is 1.",
     "axis": "(int, default -1): The axis that arrays of one axis belong to.", "epsilon": _EPSILON},
    "float32 array of the shape of `x`.",
    "backend.batch_normalization([[1.0, 2.0]], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 1.0])\n"
    'array([[0.9995004, 0.9995004]], dtype=float32)',
    {"ValueError": "Arrays that do not fit."},
)  # fmt: skip
def batch_normalization(x, mean, var, beta, gamma, axis=-1, epsilon=1e-3):
    if ops.ndim(mean) == 1:
        return ops.batch_normalization(x, mean, var, axis, beta, gamma, epsilon)
    return _normalized(x, mean, var, beta, gamma, epsilon)


def _normalized(x, mean, var, beta, gamma, epsilon):
    scale = ops.rsqrt(ops.add(var, epsilon))
    scale = scale if gamma is None else ops.multiply(scale, gamma)
    shift = ops.negative(ops.multiply(mean, scale))
    return ops.add(ops.multiply(x, scale), shift if beta is None else ops.add(beta, shift))


@documented(
    "`x` less its mean, over its deviation, along axes.",
    {"x": ARRAY, "gamma": "(array): What it is multiplied by, one for each element of the other axes; None is 1.",
     "beta": "(array): What is added; None is 0.", "reduction_axes": "(list of int): The axes.", "epsilon": _EPSILON},
    "tuple of the normalized array, its means, and its variances, both without these axes.",
    "backend.normalize_batch_in_training([[1.0], [3.0]], [1.0], [0.0], [0])[1:]\n"
    "(array([2.], dtype=float32), array([1.], dtype=float32))",
    {"ValueError": "An axis that is not there."},
)  # fmt: skip
def normalize_batch_in_training(x, gamma, beta, reduction_axes, epsilon=1e-3):
    axes = tuple(axis % ops.ndim(x) for axis in reduction_axes)
    mean, var = ops.moments(x, axes, keepdims=True)
    kept = [1 if axis in axes else size for axis, size in enumerate(ops.shape(x))]
    sizes = tuple(-1 if size is None else size for size in kept)
    gamma, beta = (None if part is None else ops.reshape(part, sizes) for part in (gamma, beta))
    return _normalized(x, mean, var, beta, gamma, epsilon), ops.squeeze(mean, axes), ops.squeeze(var, axes)
