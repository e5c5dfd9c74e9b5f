"""Convolutions and pools over sequences: products over shifted views, and a step of their own. https://keras.io/api/ops/nn/"""

import numpy as np

from fastseq.ops import elementwise as e
from fastseq.ops import reductions
from fastseq.ops.contraction import contract
from fastseq.ops.documented import documented
from fastseq.ops.operation import operation
from fastseq.ops.shapes import reshape
from fastseq.ops.values import MixesTimesteps, Traced, cast, reordered, view
from fastseq.ops.windows import cut, padded, windows
from fastseq.program.pooling import pool
from fastseq.program.slots import strides_of

_SEQUENCES = "(array): (B, T, C), or (B, C, T) with data_format='channels_first'."
_STRIDES = "(int, default 1): From a window to the next."
_PADDING = "(str, default 'valid'): 'valid', or 'same': as many windows as elements are apart."
_FORMAT = "(str, default None): 'channels_last', which None is too, or 'channels_first'."
_DILATION = "(int, default 1): How far the elements of a window stand apart."
_CONVOLVES = {
    "ValueError": "Sizes that do not fit, an unknown padding, or no window at all.",
    "NotImplementedError": "Images and volumes.",
}


def _one(value, name, what):
    """The one integer of an option for each spatial axis."""
    found = value[0] if isinstance(value, (list, tuple)) and len(value) == 1 else value
    if not isinstance(found, (int, np.integer)) or isinstance(found, bool) or found < 1:
        raise ValueError(f"ops.{name}: {what}={value!r} is no integer from 1 on.")
    return int(found)


class _Sequences:
    """(B, T, C) in float32, and the way back to the layout and the timesteps of what it was made of."""

    def __init__(self, x, name, padding, data_format):
        if x.ndim in (4, 5):
            raise NotImplementedError(f"ops.{name} takes sequences, (B, T, C), not images; got shape {x.shape}.")
        if x.ndim != 3:
            raise ValueError(f"ops.{name} takes sequences, (B, T, C), got shape {x.shape}.")
        if data_format not in (None, "channels_last", "channels_first"):
            raise ValueError(f"ops.{name}: data_format={data_format!r} is not known.")
        self.padding = padding.lower() if isinstance(padding, str) else padding
        if self.padding not in ("valid", "same"):
            raise ValueError(f"ops.{name}: padding={padding!r} is neither 'valid' nor 'same'.")
        self.name, self.first = name, data_format == "channels_first"
        self.given = cast(x, "float32")
        x = reordered(self.given, [0, 2, 1]) if self.first else self.given
        self.timed = x.time is not None
        self.x, self.unknown = Traced(x.p, x.slot), getattr(x.p, "unknown", ())
        self.time = x.time

    def places(self, size, stride, dilation):
        """(number of windows, elements that `same` adds before the first one, those behind the last one)."""
        if self.timed and (self.time != 1 or size > 1 or stride > 1):
            raise MixesTimesteps("it takes timesteps together")
        length, reach = self.x.shape[1], (size - 1) * dilation + 1
        before = after = 0
        if self.padding == "same":
            count = -(-length // stride)
            missing = max((count - 1) * stride + reach - length, 0)
            before, after = missing // 2, missing - missing // 2
        else:
            count = max((length - reach) // stride + 1, 0)
        if not count and length not in self.unknown and self.x.size:
            raise ValueError(f"ops.{self.name}: windows of {reach} in shape {self.x.shape} leave no result.")
        return count, before, after

    def windows(self, size, stride, dilation):
        """(B, count, size, C)."""
        count, before, after = self.places(size, stride, dilation)
        return windows(padded(self.x, 1, before, after), count, size, stride, dilation)

    def back(self, y):
        y = Traced(y.p, y.slot, 1 if self.timed else None)
        return reordered(y, [0, 2, 1]) if self.first else y

    def check_channels(self, channels, groups_allowed=False):
        own = self.x.shape[2]
        if own in self.unknown or channels in self.unknown:
            return
        if not channels or own % channels or (own != channels and not groups_allowed):
            raise ValueError(f"ops.{self.name}: a kernel for {channels} channels does not fit the {own} of the input.")


def _kernel(kernel, name, ndim=3):
    if kernel.ndim != ndim:
        raise ValueError(f"ops.{name}: a kernel of sequences has {ndim} axes, got shape {kernel.shape}.")
    return cast(kernel, "float32")


@operation("Conv", "nn", options=("strides", "padding", "data_format", "dilation_rate"))
@documented(
    "Sums over windows of sequences, with weights for each place in the window.",
    {
        "inputs": _SEQUENCES,
        "kernel": "(array): (K, C / groups, filters).",
        "strides": _STRIDES,
        "padding": _PADDING,
        "data_format": _FORMAT,
        "dilation_rate": _DILATION,
    },
    "float32 array (B, windows, filters), or channels first.",
    "ops.conv(np.ones((1, 5, 2), np.float32), np.ones((3, 2, 4), np.float32)).shape\n(1, 3, 4)",
    _CONVOLVES,
)
def conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    return _conv("conv", inputs, kernel, strides, padding, data_format, dilation_rate)


def _conv(name, inputs, kernel, strides, padding, data_format, dilation_rate):
    x = _Sequences(inputs, name, padding, data_format)
    kernel = _kernel(kernel, name)
    size, channels, filters = kernel.shape
    x.check_channels(channels, groups_allowed=True)
    found = x.windows(size, _one(strides, name, "strides"), _one(dilation_rate, name, "dilation_rate"))
    groups = x.x.shape[2] // channels if channels and x.x.shape[2] not in x.unknown else 1
    if groups == 1:
        return x.back(contract(found, kernel, "btkc", "kco", "bto", name))
    if filters % groups:
        raise ValueError(f"ops.{name}: {filters} filters are no multiple of {groups} groups.")
    # Groups one after the other: the channels of each, and its filters.
    batch, count, size, _ = found.shape
    across = strides_of(found.shape)
    apart = view(found, (batch, count, size, groups, channels), [*across[:3], channels, 1])
    shape = (size, channels, groups, filters // groups)
    y = contract(apart, reshape(kernel, shape), "btkgc", "kcgo", "btgo", name)
    return x.back(reshape(y, (batch, count, filters)))


@operation("DepthwiseConv", "nn", options=("strides", "padding", "data_format", "dilation_rate"))
@documented(
    "Sums over windows of each channel of sequences by itself.",
    {
        "inputs": _SEQUENCES,
        "kernel": "(array): (K, C, multiplier).",
        "strides": _STRIDES,
        "padding": _PADDING,
        "data_format": _FORMAT,
        "dilation_rate": _DILATION,
    },
    "float32 array (B, windows, C * multiplier), or channels first.",
    "ops.depthwise_conv(np.ones((1, 5, 2), np.float32), np.ones((3, 2, 1), np.float32)).shape\n(1, 3, 2)",
    _CONVOLVES,
)
def depthwise_conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    return _depthwise("depthwise_conv", inputs, kernel, strides, padding, data_format, dilation_rate)


def _depthwise(name, inputs, kernel, strides, padding, data_format, dilation_rate):
    x = _Sequences(inputs, name, padding, data_format)
    kernel = _kernel(kernel, name)
    size, channels, multiplier = kernel.shape
    x.check_channels(channels)
    found = x.windows(size, _one(strides, name, "strides"), _one(dilation_rate, name, "dilation_rate"))
    batch, count = found.shape[:2]
    products = e.multiply(reshape(found, (batch, count, size, channels, 1)), kernel)
    return x.back(reshape(reductions.sum(products, 2), (batch, count, channels * multiplier)))


@operation("SeparableConv", "nn", options=("strides", "padding", "data_format", "dilation_rate"))
@documented(
    "`depthwise_conv`, then a product over the channels.",
    {
        "inputs": _SEQUENCES,
        "depthwise_kernel": "(array): (K, C, multiplier).",
        "pointwise_kernel": "(array): (1, C * multiplier, filters).",
        "strides": _STRIDES,
        "padding": _PADDING,
        "data_format": _FORMAT,
        "dilation_rate": _DILATION,
    },
    "float32 array (B, windows, filters), or channels first.",
    "ops.separable_conv(np.ones((1, 5, 2), np.float32), *[np.ones((1, 2, n), np.float32) for n in (1, 3)]).shape\n"
    "(1, 5, 3)",
    _CONVOLVES,
)
def separable_conv(inputs, depthwise_kernel, pointwise_kernel, strides=1, padding="valid", data_format=None,
                   dilation_rate=1):  # fmt: skip
    y = _depthwise("separable_conv", inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return _conv("separable_conv", y, pointwise_kernel, 1, "valid", data_format, 1)


@operation("ConvTranspose", "nn", options=("strides", "padding", "output_padding", "data_format", "dilation_rate"))
@documented(
    "The transposed map of a convolution: each element is spread over a window of the result.",
    {
        "inputs": _SEQUENCES,
        "kernel": "(array): (K, filters, C).",
        "strides": _STRIDES,
        "padding": _PADDING,
        "output_padding": "(int, default None): How many elements the result is longer; None is as Keras chooses.",
        "data_format": _FORMAT,
        "dilation_rate": _DILATION,
    },
    "float32 array (B, length, filters), or channels first.",
    "ops.conv_transpose(np.ones((1, 5, 2), np.float32), np.ones((3, 4, 2), np.float32), strides=2).shape\n(1, 11, 4)",
    _CONVOLVES,
)
def conv_transpose(inputs, kernel, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1):
    x = _Sequences(inputs, "conv_transpose", padding, data_format)
    kernel = _kernel(kernel, "conv_transpose")
    size, filters, channels = kernel.shape
    x.check_channels(channels)
    if x.timed:
        raise MixesTimesteps("it spreads timesteps")
    stride, dilation = (
        _one(v, "conv_transpose", w) for v, w in ((strides, "strides"), (dilation_rate, "dilation_rate"))
    )
    batch, length, _ = x.x.shape
    reach = (size - 1) * dilation + 1
    extra = output_padding[0] if isinstance(output_padding, (list, tuple)) else output_padding
    if x.padding == "valid":
        extra = max(reach, stride) - reach if extra is None else extra
        total, before = (length - 1) * stride + reach + extra, 0
    else:
        total = length * stride if extra is None else (length - 1) * stride + reach % 2 + extra
        before = max((length - 1) * stride + reach - total, 0) // 2
    spread = contract(x.x, kernel, "btc", "koc", "btko", "conv_transpose")
    whole = length * stride + (size - 1) * dilation
    y = None
    for place in range(size):
        piece = padded(cut(spread, 2, place, 1), 2, 0, stride - 1)
        piece = reshape(piece, (batch, length * stride, filters))
        piece = padded(piece, 1, place * dilation, whole - length * stride - place * dilation)
        y = piece if y is None else e.add(y, piece)
    return x.back(cut(padded(y, 1, 0, max(0, before + total - whole)), 1, before, total))


# ---- pools -----------------------------------------------------------------------------------------------------------

_POOL = {
    "inputs": _SEQUENCES,
    "pool_size": "(int): Elements of a window.",
    "strides": "(int, default None): From a window to the next; None is `pool_size`.",
    "padding": _PADDING,
    "data_format": _FORMAT,
}
_OPTIONS = ("pool_size", "strides", "padding", "data_format")


def _pool(name, kind, inputs, pool_size, strides, padding, data_format):
    x = _Sequences(inputs, name, padding, data_format)
    size = _one(pool_size, name, "pool_size")
    stride = size if strides is None else _one(strides, name, "strides")
    count, before, _ = x.places(size, stride, 1)
    p, axis = x.given.p, 2 if x.first else 1
    return Traced(p, pool(p, x.given.slot, kind, axis, size, stride, before, count), x.given.time)


@operation("MaxPool", "nn", options=_OPTIONS)
@documented(
    "The largest element of each window of sequences.", _POOL, "float32 array (B, windows, C), or channels first.",
    "ops.max_pool(np.ones((1, 5, 2), np.float32), 2).shape\n"
    "(1, 2, 2)", _CONVOLVES,
)  # fmt: skip
def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    # The gradient of equal elements goes to the first one, as TensorFlow's does.
    return _pool("max_pool", "max", inputs, pool_size, strides, padding, data_format)


@operation("AveragePool", "nn", options=_OPTIONS)
@documented(
    "The mean of each window of sequences; of 'same', of the elements that are there.", _POOL,
    "float32 array (B, windows, C), or channels first.", "ops.average_pool(np.ones((1, 5, 2), np.float32), 2).shape\n"
    "(1, 2, 2)",
    _CONVOLVES,
)  # fmt: skip
def average_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    return _pool("average_pool", "mean", inputs, pool_size, strides, padding, data_format)
