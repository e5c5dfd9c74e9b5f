"""Arrays by their mean, variance and norm, and attention. https://keras.io/api/ops/nn/"""

import math

import numpy as np

from fastseq.ops import elementwise as e
from fastseq.ops import reductions
from fastseq.ops.contraction import contract
from fastseq.ops.documented import ARRAY, documented
from fastseq.ops.linear_algebra import norm
from fastseq.ops.nn import softmax
from fastseq.ops.operation import operation
from fastseq.ops.shapes import axis_of, expand_dims, reshape, time_in
from fastseq.ops.values import Traced, broadcast, cast, is_number, lift, reshaped, view
from fastseq.program.attention import HIDDEN, attention_step, is_fused
from fastseq.program.slots import strides_of
from fastseq.tensors.settings import epsilon as default_epsilon

_AXES_RAISES = {"ValueError": "An axis that is not there."}
_EPSILON = "(float, default None): What is added before the root; None is `epsilon()`."
_AXES = "(int or list, default -1): The axes that are normalized together."
_FLOAT = "float32 array of the shape of `x`."


def constant_for_gradients(x):
    """The values of `x`; no gradient goes through."""
    held = view(x, x.shape, strides_of(x.shape), time=x.time)
    if held.p.steps:  # where shapes alone are looked for there are none
        held.p.steps[-1]["flat"] = True
    return held


@operation("Moments", "nn", options=("axes", "keepdims", "synchronized"))
@documented(
    "The mean and the variance over axes.",
    {
        "x": ARRAY,
        "axes": "(int or list): The axes.",
        "keepdims": "(bool, default False): Whether these axes stay, with size 1.",
        "synchronized": "(bool, default False): Over several devices, which fastseq has not.",
    },
    "Two float32 arrays.",
    "ops.moments([1.0, 3.0], axes=0)\n(array(2., dtype=float32), array(1., dtype=float32))",
    {"ValueError": "An axis that is not there, or synchronized=True."},
)
def moments(x, axes, keepdims=False, synchronized=False):
    if synchronized:
        raise ValueError("ops.moments: synchronized=True is for several devices, which fastseq has not.")
    x = cast(x, "float32")
    axes = tuple(axes) if isinstance(axes, (list, tuple)) else axes
    mean = reductions.mean(x, axes, True)
    variance = reductions.mean(e.square(e.subtract(x, constant_for_gradients(mean))), axes, keepdims)
    return (mean if keepdims else reductions.mean(x, axes)), variance


@operation("Normalize", "nn", options=("axis", "order", "epsilon"))
@documented(
    "Vectors of length 1.",
    {
        "x": ARRAY,
        "axis": "(int or tuple, default -1): The axes of the vectors.",
        "order": "(int, default 2): The order of the norm that is the length.",
        "epsilon": "(float, default None): The smallest length that is divided by; None is `epsilon()`.",
    },
    _FLOAT,
    "ops.normalize([3.0, 4.0])\narray([0.6, 0.8], dtype=float32)",
    {"ValueError": "An order that is no integer from 1 on, or an axis that is not there."},
)
def normalize(x, axis=-1, order=2, epsilon=None):
    if not isinstance(order, int) or isinstance(order, bool) or order < 1:
        raise ValueError(f"ops.normalize: order={order!r} is no integer from 1 on.")
    x = cast(x, "float32")
    x = expand_dims(x, 0) if not x.ndim else x
    epsilon = default_epsilon() if epsilon is None else float(epsilon)
    if order == 2:
        inverse = e.rsqrt(reductions.sum(e.square(x), axis, True))
        return e.multiply(x, e.minimum(inverse, 1.0 / epsilon))
    return e.divide(x, e.maximum(norm(x, ord=order, axis=axis, keepdims=True), epsilon))


@operation("BatchNorm", "nn", options=("axis", "epsilon"))
@documented(
    "`(x - mean) / sqrt(variance + epsilon) * scale + offset`, with a value of each for every place along an axis.",
    {
        "x": ARRAY,
        "mean": "(array): (n,).",
        "variance": "(array): (n,).",
        "axis": "(int): The axis, of size n.",
        "offset": "(array, default None): (n,); None adds nothing.",
        "scale": "(array, default None): (n,); None multiplies by nothing.",
        "epsilon": "(float, default 0.001): What is added to the variance.",
    },
    _FLOAT,
    "ops.batch_normalization([[1.0, 3.0]], [2.0, 2.0], [1.0, 1.0], axis=-1)\n"
    "array([[-0.9995004,  0.9995005]], dtype=float32)",
    _AXES_RAISES,
)
def batch_normalization(x, mean, variance, axis, offset=None, scale=None, epsilon=1e-3):
    x = cast(x, "float32")
    axis = axis_of(x, axis, "batch_normalization")
    mean, variance, offset, scale = (_along(x, value, axis) for value in (mean, variance, offset, scale))
    inverse = e.rsqrt(e.add(variance, float(epsilon)))
    inverse = inverse if scale is None else e.multiply(inverse, scale)
    shift = e.negative(e.multiply(mean, inverse)) if offset is None else e.subtract(offset, e.multiply(mean, inverse))
    return e.add(e.multiply(x, inverse), shift)


def _along(x, value, axis):
    """A vector along an axis of `x`."""
    if value is None or is_number(value):
        return value
    value = cast(value, "float32")
    if value.ndim != 1:
        return value
    return reshape(value, [-1 if at == axis else 1 for at in range(x.ndim)])


@operation("LayerNorm", "nn", options=("axis", "epsilon", "rms_scaling"))
@documented(
    "`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, with the mean and variance of each array over some axes.",
    {
        "x": ARRAY,
        "gamma": "(array, default None): Over these axes; None multiplies by nothing.",
        "beta": "(array, default None): Over these axes; None adds nothing.",
        "axis": _AXES,
        "epsilon": _EPSILON,
        "rms_scaling": "(bool, default False): Whether the mean is left in, as in Keras's older files, and beta out.",
    },
    _FLOAT,
    "ops.layer_normalization([[1.0, 3.0]])\narray([[-1.,  1.]], dtype=float32)",
    _AXES_RAISES,
)
def layer_normalization(x, gamma=None, beta=None, axis=-1, epsilon=None, rms_scaling=False):
    x = cast(x, "float32")
    axes = sorted(
        axis_of(x, one, "layer_normalization") for one in (axis if isinstance(axis, (list, tuple)) else [axis])
    )
    gamma, beta = (_over_axes(x, value, axes) for value in (gamma, beta))
    epsilon = default_epsilon() if epsilon is None else float(epsilon)
    if rms_scaling:
        inverse = e.rsqrt(e.add(reductions.var(x, axes, True), epsilon))
        y = e.multiply(x, inverse)
        return y if gamma is None else e.multiply(y, gamma)
    mean, variance = moments(x, axes, keepdims=True)
    inverse = e.rsqrt(e.add(variance, epsilon))
    inverse = inverse if gamma is None else e.multiply(inverse, gamma)
    shift = e.multiply(e.negative(mean), inverse)
    shift = shift if beta is None else e.add(shift, beta)
    return e.add(e.multiply(x, inverse), shift)


def _over_axes(x, value, axes):
    if value is None or is_number(value):
        return value
    value = cast(value, "float32")
    if value.ndim == x.ndim or axes == [x.ndim - 1]:
        return value
    return reshape(value, [size if at in axes else 1 for at, size in enumerate(x.shape)])


@operation("RMSNorm", "nn", options=("axis", "epsilon"))
@documented(
    "`x / sqrt(mean(x^2) + epsilon) * scale`, with the mean over some axes.",
    {"x": ARRAY, "scale": "(array, default None): None multiplies by nothing.", "axis": _AXES, "epsilon": _EPSILON},
    _FLOAT,
    "ops.rms_normalization([[3.0, 4.0]])\narray([[0.84852815, 1.1313709 ]], dtype=float32)",
    _AXES_RAISES,
)
def rms_normalization(x, scale=None, axis=-1, epsilon=None):
    x = cast(x, "float32")
    x = expand_dims(x, 0) if not x.ndim else x
    epsilon = default_epsilon() if epsilon is None else float(epsilon)
    axis = tuple(axis) if isinstance(axis, (list, tuple)) else axis
    y = e.multiply(x, e.rsqrt(e.add(reductions.mean(e.square(x), axis, True), epsilon)))
    return y if scale is None else e.multiply(y, cast(scale, "float32"))


# ---- attention -------------------------------------------------------------------------------------------------------


@operation(
    "DotProductAttention", "nn", options=("is_causal", "flash_attention", "attn_logits_soft_cap"), plain=("scale",)
)
@documented(
    "Sums of `value` with weights that are the softmax of the scaled products of `query` and `key`.",
    {
        "query": "(array): (B, T, N, H).",
        "key": "(array): (B, S, K, H), N a multiple of K.",
        "value": "(array): (B, S, K, H).",
        "bias": "(array, default None): Added to the scores, (B, N, T, S) or what broadcasts to it.",
        "mask": "(bool array, default None): Which scores count, (B, N, T, S) or what broadcasts to it.",
        "scale": "(float, default None): What scores are multiplied by; None is 1 / sqrt(H).",
        "is_causal": "(bool, default False): Whether a query sees the keys up to its own place alone.",
        "flash_attention": "(bool, default None): True raises, as in Keras on TensorFlow.",
        "attn_logits_soft_cap": "(float, default None): Any other raises, as in Keras on TensorFlow.",
    },
    "float32 array (B, T, N, H).",
    "ops.dot_product_attention(*[np.ones((1, 2, 1, 4), np.float32)] * 3).shape\n(1, 2, 1, 4)",
    {"ValueError": "Arrays of other than four axes, heads that do not fit, or an option of JAX."},
)
def dot_product_attention(query, key, value, bias=None, mask=None, scale=None, is_causal=False, flash_attention=None,
                          attn_logits_soft_cap=None):  # fmt: skip
    if flash_attention or attn_logits_soft_cap is not None:
        raise ValueError(
            "ops.dot_product_attention: flash_attention and attn_logits_soft_cap are JAX's alone, got "
            f"{flash_attention!r} and {attn_logits_soft_cap!r}."
        )
    query, key, value = (cast(x, "float32") for x in (query, key, value))
    scale = float(scale) if isinstance(scale, np.generic) else scale
    shapes = [x.shape for x in (query, key, value)]
    if any(len(shape) != 4 for shape in shapes):
        raise ValueError(f"ops.dot_product_attention takes arrays of four axes, got shapes {shapes}.")
    if bias is None and is_fused(query.p, *shapes) and all(x.time is None for x in (query, key, value)):
        mask = mask if mask is None else lift(query.p, mask)
        if mask is None or (mask.dtype == "bool" and mask.time is None and _broadcasts(mask.shape, query, key)):
            scale = 1.0 / math.sqrt(query.shape[3]) if scale is None else scale
            if not is_number(scale):
                query, scale = e.multiply(query, scale), 1.0
            y = attention_step(
                query.p, query.slot, key.slot, value.slot, scale, is_causal, None if mask is None else mask.slot
            )
            return Traced(query.p, y)
    key, value = (_heads(x, query.shape[2], shapes) for x in (key, value))
    scores = contract(query, key, "btnh", "bsnh", "bnts", "dot_product_attention")
    scores = e.multiply(scores, 1.0 / math.sqrt(query.shape[3] or 1) if scale is None else scale)
    if bias is not None:
        scores = e.add(scores, cast(bias, "float32"))
    if is_causal:
        seen = lift(query.p, np.tri(*scores.shape[2:], dtype=bool))
        mask = seen if mask is None else e.logical_and(mask, seen)
    if mask is not None:
        scores = e.where(mask, scores, HIDDEN)
    return contract(softmax(scores), value, "bnts", "bsnh", "btnh", "dot_product_attention")


def _broadcasts(mask, query, key):
    """Whether a mask of this shape broadcasts to the scores."""
    (batch, queries, heads, _), keys = query.shape, key.shape[1]
    sizes = zip(mask[::-1], (keys, queries, heads, batch))
    return len(mask) <= 4 and all(size in (1, wanted) for size, wanted in sizes)


def _heads(x, heads, shapes):
    """`x` with each of its heads for several of the query's."""
    own = x.shape[2]
    if own in (heads, 1) or {own, heads} & set(getattr(x.p, "unknown", ())):
        return x
    if not own or heads % own:
        raise ValueError(f"ops.dot_product_attention: {heads} heads are no multiple of {own}, in shapes {shapes}.")
    batch, count, _, size = x.shape
    apart = reshaped(x, (batch, count, own, 1, size), time_in(x, (batch, count, own, 1, size)))
    spread = broadcast(apart, (batch, count, own, heads // own, size))
    return reshape(spread, (batch, count, heads, size))
