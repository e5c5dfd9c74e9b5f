"""Keras's activation functions on NumPy arrays.

Each function computes in the floating dtype of its input, so that a float64 input gives the float64 answer that the
native kernels are tested against. Integers, booleans and plain Python numbers and lists become float32, the float
type of Keras. Shapes are kept, except by ``glu``, which halves one axis. Reference: https://keras.io/api/layers/activations/
"""

import functools
import inspect
import math
import warnings

import numpy as np

from fastseq.configs import registry, serialization
from fastseq.tensors.symbolic import KerasTensor

# Constants of the paper (Klambauer et al., 2017, https://arxiv.org/abs/1706.02515).
_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_ALPHA = 1.6732632423543772848170429916717

_erfc = np.frompyfunc(math.erfc, 1, 1)


def _as_float(x):
    """``x`` as an array of a floating dtype."""
    if isinstance(x, KerasTensor):
        raise TypeError(
            "Activation functions work on arrays, and this is a symbolic tensor. "
            "Use fastseq.layers.Activation(name)(x) to put an activation into a model."
        )
    array = np.asarray(x)
    if array.dtype.kind == "f" and hasattr(x, "dtype"):
        return array
    if array.dtype.kind in "cOSUmM":
        raise TypeError(f"Activation functions take real numbers. Received: dtype={array.dtype}")
    return array.astype(np.float32)


def _activation(compute):
    """Give ``compute`` an array of a floating dtype, keep that dtype, and do not warn where IEEE infinities arise."""

    @functools.wraps(compute)
    def activation(x, *args, **kwargs):
        x = _as_float(x)
        with np.errstate(all="ignore"):
            return np.asarray(compute(x, *args, **kwargs), dtype=x.dtype)

    return activation


def linear(x):
    """``x`` itself, unchanged and not copied."""
    return x


@_activation
def relu(x, negative_slope=0.0, max_value=None, threshold=0.0):
    """``x`` above ``threshold`` (at most ``max_value``), ``negative_slope * (x - threshold)`` below it."""
    if negative_slope != 0.0 and max_value is None and threshold == 0:
        return leaky_relu(x, negative_slope)
    positive = np.where(x > threshold, x, 0.0) if threshold != 0 else np.maximum(x, 0.0)
    if max_value is not None:
        positive = np.clip(positive, 0.0, max_value)
    if negative_slope != 0.0:
        return positive - negative_slope * np.maximum(threshold - x, 0.0)
    return positive


@_activation
def leaky_relu(x, negative_slope=0.2):
    """``x`` if ``x > 0``, else ``negative_slope * x``."""
    return np.where(x > 0, x, negative_slope * x)


@_activation
def relu6(x):
    """``min(max(x, 0), 6)``."""
    return np.clip(x, 0.0, 6.0)


@_activation
def elu(x, alpha=1.0):
    """``x`` if ``x > 0``, else ``alpha * (exp(x) - 1)``. Clevert et al., 2016, https://arxiv.org/abs/1511.07289"""
    return np.where(x > 0, x, alpha * np.expm1(x))


@_activation
def selu(x):
    """``1.0507 * elu(x, 1.6733)``. Klambauer et al., 2017, https://arxiv.org/abs/1706.02515"""
    return np.where(x > 0, _SELU_SCALE * x, _SELU_SCALE * _SELU_ALPHA * np.expm1(x))


@_activation
def celu(x, alpha=1.0):
    """``max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)``. Barron, 2017, https://arxiv.org/abs/1704.07483"""
    return np.maximum(x, 0.0) + alpha * np.expm1(np.minimum(x, 0.0) / alpha)


@_activation
def softplus(x):
    """``log(exp(x) + 1)``, without overflow."""
    return np.logaddexp(x, x.dtype.type(0))


@_activation
def softsign(x):
    """``x / (|x| + 1)``."""
    return x / (np.abs(x) + 1)


@_activation
def squareplus(x, b=4):
    """``(x + sqrt(x^2 + b)) / 2``. Barron, 2021, https://arxiv.org/abs/2112.11687"""
    return (x + np.sqrt(np.square(x) + b)) / 2


@_activation
def soft_shrink(x, threshold=0.5):
    """``x`` moved towards zero by ``threshold``; zero if it would cross it."""
    return np.where(x > threshold, x - threshold, np.where(x < -threshold, x + threshold, 0.0))


@_activation
def hard_shrink(x, threshold=0.5):
    """``x`` if ``|x| > threshold``, else zero."""
    return np.where(np.abs(x) > threshold, x, 0.0)


@_activation
def sparse_plus(x):
    """Zero up to -1, ``(x + 1)^2 / 4`` between -1 and 1, ``x`` from 1."""
    return np.where(x <= -1, 0.0, np.where(x < 1, 0.25 * np.square(x + 1), x))


@_activation
def silu(x):
    """``x * sigmoid(x)``, also called swish. Ramachandran et al., 2017, https://arxiv.org/abs/1710.05941"""
    return x * sigmoid(x)


@_activation
def gelu(x, approximate=False):
    """``x`` times the normal distribution's CDF at ``x``. Hendrycks et al., 2016, https://arxiv.org/abs/1606.08415

    ``approximate=True`` is the paper's tanh formula.
    """
    if approximate:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    # erfc rather than 1 + erf: the sum loses every digit below x = -6 in float32 and -8.3 in float64.
    return 0.5 * x * np.asarray(_erfc(-x.astype(np.float64) * math.sqrt(0.5)), dtype=np.float64)


@_activation
def glu(x, axis=-1):
    """First half of ``axis`` times the sigmoid of its second half. Dauphin et al., 2017,
    https://arxiv.org/abs/1612.08083

    Raises:
        ValueError: the axis has an odd size.
    """
    if x.shape[axis] % 2 != 0:
        raise ValueError(f"axis size must be divisible by 2. Received: x.shape={x.shape} with axis={axis}")
    values, gates = np.split(x, 2, axis=axis)
    return values * sigmoid(gates)


@_activation
def tanh(x):
    """Hyperbolic tangent."""
    return np.tanh(x)


@_activation
def tanh_shrink(x):
    """``x - tanh(x)``."""
    return x - np.tanh(x)


@_activation
def threshold(x, threshold, default_value):
    """``x`` if ``x > threshold``, else ``default_value``."""
    return np.where(x > threshold, x, default_value)


@_activation
def sigmoid(x):
    """``1 / (1 + exp(-x))``, to full precision on both sides of zero."""
    # exp is only ever taken of a number <= 0: it cannot overflow, and the small side keeps its digits.
    decay = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, decay) / (1 + decay)


@_activation
def sparse_sigmoid(x):
    """Zero up to -1, ``(x + 1) / 2`` between -1 and 1, one from 1. Blondel et al., https://arxiv.org/abs/1901.02324"""
    return np.where(x <= -1, 0.0, np.where(x >= 1, 1.0, 0.5 * (x + 1)))


@_activation
def exponential(x):
    """``exp(x)``."""
    return np.exp(x)


@_activation
def hard_sigmoid(x):
    """``x / 6 + 0.5`` between -3 and 3, zero below, one above. For Keras 2 see ``hard_sigmoid_keras2``."""
    return np.clip(x + 3, 0.0, 6.0) / 6


@_activation
def hard_sigmoid_keras2(x):
    """``0.2 x + 0.5`` clipped to [0, 1]: what ``hard_sigmoid`` meant up to Keras 2, and so in files of that time."""
    return np.clip(0.2 * x + 0.5, 0.0, 1.0)


@_activation
def hard_silu(x):
    """``x * hard_sigmoid(x)``, also called hard swish. Howard et al., 2019, https://arxiv.org/abs/1905.02244"""
    return x * hard_sigmoid(x)


@_activation
def hard_tanh(x):
    """``x`` clipped to [-1, 1]."""
    return np.clip(x, -1.0, 1.0)


@_activation
def mish(x):
    """``x * tanh(softplus(x))``. Misra, 2019, https://arxiv.org/abs/1908.08681"""
    return x * np.tanh(softplus(x))


@_activation
def log_sigmoid(x):
    """``log(sigmoid(x))``, finite wherever ``x`` is."""
    return -softplus(-x)


@_activation
def softmax(x, axis=-1):
    """``exp(x) / sum(exp(x))`` over ``axis``: an int, a tuple of them, or None for all axes together.

    Warns, as Keras does, when the axis has size 1, because every answer is then 1.
    """
    if isinstance(axis, int) and -x.ndim <= axis < x.ndim and x.shape[axis] == 1:
        warnings.warn(
            f"softmax over axis {axis} of an array of shape {x.shape}: an axis of size 1 always gives 1. "
            "A single output usually wants a sigmoid.",
            stacklevel=3,
        )
    powers = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


@_activation
def log_softmax(x, axis=-1):
    """``log(softmax(x))`` over ``axis`` (an int, or None for all axes together), finite wherever ``x`` is."""
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


@_activation
def sparsemax(x, axis=-1):
    """``max(x - tau, 0)``, with the ``tau`` of Keras. Martins et al., 2016, https://arxiv.org/abs/1602.02068

    Keras 3.15 takes ``tau`` from the sum of all running sums over the support, where the paper takes the last one. The
    two agree only where one element is supported: Keras gives [0, 0, 0.167] for [0.1, 0.2, 0.9], the paper
    [0, 0.15, 0.85]. A model trained in Keras has learned with Keras's numbers, so these are they.
    """
    descending = -np.sort(-x, axis=axis)
    sums = np.cumsum(descending, axis=axis)
    ranks_shape = [1] * x.ndim
    ranks_shape[axis] = -1
    ranks = np.arange(1, x.shape[axis] + 1, dtype=x.dtype).reshape(ranks_shape)
    support = descending - (sums - 1) / ranks > 0
    count = np.sum(support, axis=axis, keepdims=True, dtype=x.dtype)
    tau = (np.sum(np.where(support, sums, 0), axis=axis, keepdims=True) - 1) / count
    return np.maximum(x - tau, 0.0)


ALL_OBJECTS_DICT = {
    function.__name__: function
    for function in (
        *(relu, leaky_relu, relu6, softmax, celu, elu, selu, softplus, softsign, squareplus, soft_shrink, sparse_plus),
        *(silu, gelu, glu, tanh, tanh_shrink, threshold, sigmoid, sparse_sigmoid, exponential, hard_sigmoid),
        *(hard_silu, hard_tanh, hard_shrink, linear, mish, log_softmax, log_sigmoid, sparsemax),
        # Not a name of Keras 3, which therefore refuses a file with it: no other activation gives its numbers.
        hard_sigmoid_keras2,
    )
}
swish = ALL_OBJECTS_DICT["swish"] = silu
hard_swish = ALL_OBJECTS_DICT["hard_swish"] = hard_silu


def serialize(activation):
    """The name of a built-in activation, or the config dict of any other function or object.

    Raises:
        UnsupportedError: a lambda, or an object with neither a name nor a get_config().
    """
    if ALL_OBJECTS_DICT.get(getattr(activation, "__name__", None)) is activation:
        return activation.__name__
    return serialization.serialize_keras_object(activation)


def deserialize(config, custom_objects=None):
    """The activation a config names; ``config`` itself if it is no activation's name, as in Keras."""
    return serialization.deserialize_keras_object(config, custom_objects, module_objects=ALL_OBJECTS_DICT)


def get(identifier):
    """An activation from None (``linear``), its name, its config dict, or a callable, which is returned as it is.

    A name that is no built-in activation is looked up among the custom objects.

    Raises:
        ValueError: no such activation.
    """
    if identifier is None:
        return linear
    found = identifier
    if isinstance(identifier, dict):
        found = deserialize(identifier)
    elif isinstance(identifier, str):
        found = ALL_OBJECTS_DICT.get(identifier) or registry.get_registered_object(identifier)
    if callable(found):
        return found
    raise ValueError(
        f"Could not interpret activation function identifier: {identifier}. "
        f"The built-in ones are {', '.join(sorted(ALL_OBJECTS_DICT))}."
    )


# Which arguments of an activation its native kernel takes, in its order of parameters.
_NATIVE_PARAMETERS = {
    "relu": ("negative_slope", "max_value", "threshold"),
    "leaky_relu": ("negative_slope",),
    "elu": ("alpha",),
    "celu": ("alpha",),
    "squareplus": ("b",),
    "soft_shrink": ("threshold",),
    "hard_shrink": ("threshold",),
    "threshold": ("threshold", "default_value"),
}


def native_spec(activation):
    """``(name, params)`` of the native kernel that computes ``activation``, or None if no kernel does.

    ``activation`` is a function of this module, or a ``functools.partial`` of one with keyword arguments. ``params``
    are up to three floats; relu's missing ``max_value`` is inf. A row-wise kernel works on the last axis only, and a
    ``threshold`` without its arguments cannot be called, so those give None, like any function of a user.
    """
    keywords = {}
    if isinstance(activation, functools.partial) and not activation.args:
        activation, keywords = activation.func, activation.keywords
    name = getattr(activation, "__name__", None)
    if name not in ALL_OBJECTS_DICT or ALL_OBJECTS_DICT[name] is not activation:
        return None
    arguments = {
        key: keywords.get(key, parameter.default)
        for key, parameter in list(inspect.signature(activation).parameters.items())[1:]
    }
    if set(keywords) - set(arguments) or inspect.Parameter.empty in arguments.values():
        return None
    if arguments.pop("axis", -1) != -1:
        return None
    if arguments.pop("approximate", False):
        name = "gelu_tanh"
    if name == "relu" and arguments["max_value"] is None:
        arguments["max_value"] = math.inf
    return name, tuple(float(arguments[key]) for key in _NATIVE_PARAMETERS.get(name, ()))
