"""Axes taken apart and put together: blocks of images, windows as columns, patterns, pools of a given length.

https://keras.io/api/ops/nn/
"""

import math
import re

import numpy as np

from fastseq.ops import places as steps
from fastseq.ops.convolution import average_pool, max_pool
from fastseq.ops.documented import ARRAY, documented
from fastseq.ops.joining import concatenate
from fastseq.ops.operation import operation
from fastseq.ops.shapes import reshape, transpose
from fastseq.ops.values import MixesTimesteps, Traced, cast, reordered, view
from fastseq.ops.windows import cut, padded
from fastseq.program.slots import strides_of

_IMAGES = "(array (batch, height, width, channels)): Or channels behind the batch, by data_format."
_FORMAT = '(str, default "channels_last"): Where the channels stand; or "channels_first".'
_BLOCK = "(int): The side of a block."
_FITS = {"ValueError": "Other axes, or sizes that blocks do not fill."}


def _images(x, block_size, data_format, name):
    if x.ndim != 4 or data_format not in ("channels_last", "channels_first") or int(block_size) < 1:
        raise ValueError(
            f"ops.{name} takes four axes, blocks from 1 on, and channels_last or channels_first, got shape {x.shape}, "
            f"{block_size} and {data_format!r}."
        )
    return transpose(x, (0, 2, 3, 1)) if data_format == "channels_first" else x


def _divided(x, axis, by, name):
    size = x.shape[axis]
    if size % by and size not in getattr(x.p, "unknown", ()):
        raise ValueError(f"ops.{name}: {by} does not divide axis {axis} of shape {x.shape}.")
    return size // by


@operation("SpaceToDepth", "nn", options=("block_size", "data_format"))
@documented("The blocks of images as channels.", {"x": _IMAGES, "block_size": _BLOCK, "data_format": _FORMAT},
            "An array of the dtype of `x`, height and width divided by the side, and more channels.",
            "ops.space_to_depth(np.ones((1, 4, 4, 2), 'f'), 2).shape\n(1, 2, 2, 8)", _FITS)  # fmt: skip
def space_to_depth(x, block_size, data_format="channels_last"):
    x = _images(x, block_size, data_format, "space_to_depth")
    b = int(block_size)
    height, width = (_divided(x, axis, b, "space_to_depth") for axis in (1, 2))
    y = reshape(x, (x.shape[0], height, b, width, b, x.shape[3]))
    y = reshape(transpose(y, (0, 1, 3, 2, 4, 5)), (x.shape[0], height, width, b * b * x.shape[3]))
    return transpose(y, (0, 3, 1, 2)) if data_format == "channels_first" else y


@operation("DepthToSpace", "nn", options=("block_size", "data_format"))
@documented("Channels as the blocks of images.", {"x": _IMAGES, "block_size": _BLOCK, "data_format": _FORMAT},
            "An array of the dtype of `x`, height and width times the side, and less channels.",
            "ops.depth_to_space(np.ones((1, 2, 2, 8), 'f'), 2).shape\n(1, 4, 4, 2)", _FITS)  # fmt: skip
def depth_to_space(x, block_size, data_format="channels_last"):
    x = _images(x, block_size, data_format, "depth_to_space")
    b, (batch, height, width, _) = int(block_size), x.shape
    channels = _divided(x, 3, b * b, "depth_to_space")
    y = transpose(reshape(x, (batch, height, width, b, b, channels)), (0, 1, 3, 2, 4, 5))
    y = reshape(y, (batch, height * b, width * b, channels))
    return transpose(y, (0, 3, 1, 2)) if data_format == "channels_first" else y


# ---- windows as columns ----------------------------------------------------------------------------------------------

_WINDOWS = {
    "kernel_size": "(int or tuple of two): Height and width of a window.",
    "dilation": "(int or tuple of two, default 1): How far its elements stand apart.",
    "padding": "(int or tuple of two, default 0): Zeros around the image.",
    "stride": "(int or tuple of two, default 1): From a window to the next.",
}


def _two(value):
    return (int(value),) * 2 if isinstance(value, (int, np.integer)) else tuple(int(one) for one in value)


class _Grid:
    """Windows over an image of some size: how many there are along both axes, and where they begin."""

    def __init__(self, size, kernel_size, dilation, padding, stride, name):
        self.kernel, self.dilation, self.padding = _two(kernel_size), _two(dilation), _two(padding)
        self.stride, self.size = _two(stride), [one + 2 * more for one, more in zip(size, self.padding)]
        reach = [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation)]
        self.counts = [(one - own) // by + 1 for one, own, by in zip(self.size, reach, self.stride)]
        if min(self.counts) < 1 or min(self.kernel + self.dilation + self.stride) < 1 or min(self.padding) < 0:
            raise ValueError(f"ops.{name}: windows of {self.kernel} leave nothing of an image of {tuple(self.size)}.")


@operation("Unfold", "nn", options=("kernel_size", "dilation", "padding", "stride"))
@documented(
    "Windows over images as columns.", {"x": "(array (batch, channels, height, width)): Images.", **_WINDOWS},
    "An array (batch, channels * window, windows) of the dtype of `x`.",
    "ops.unfold(np.ones((1, 2, 4, 4), 'f'), 2, stride=2).shape\n(1, 8, 4)",
    {"ValueError": "Other axes, or no window at all."},
)  # fmt: skip
def unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    if x.ndim != 4:
        raise ValueError(f"ops.unfold takes images, (batch, channels, height, width), got shape {x.shape}.")
    if x.time is not None:
        raise MixesTimesteps("it takes timesteps together")
    grid = _Grid(x.shape[2:], kernel_size, dilation, padding, stride, "unfold")
    x = cast(x, "int32") if x.dtype == "bool" else x
    for axis, more in ((2, grid.padding[0]), (3, grid.padding[1])):
        x = padded(x, axis, more, more, 0) if more else x
    a, b, c, d = strides_of(x.shape)
    steps_of = [way * by for kind in (grid.dilation, grid.stride) for way, by in zip((c, d), kind)]
    windows = view(x, (*x.shape[:2], *grid.kernel, *grid.counts), [a, b, *steps_of])
    return reshape(windows, (x.shape[0], x.shape[1] * math.prod(grid.kernel), math.prod(grid.counts)))


@operation("Fold", "nn", options=("output_size", "kernel_size", "dilation", "padding", "stride"))
@documented(
    "Columns of windows put back into images; where windows meet they are added.",
    {"x": "(array (batch, channels * window, windows)): Columns, as `unfold` gives them.",
     "output_size": "(int or tuple of two): Height and width of the images.", **_WINDOWS},
    "An array (batch, channels, height, width) of the dtype of `x`.",
    "ops.fold(np.ones((1, 8, 4), 'f'), 4, 2, stride=2).shape\n(1, 2, 4, 4)",
    {"ValueError": "Other axes or sizes, or no window at all."},
)  # fmt: skip
def fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
    height, width = _two(output_size)
    grid = _Grid((height, width), kernel_size, dilation, padding, stride, "fold")
    window, count = math.prod(grid.kernel), math.prod(grid.counts)
    if x.ndim != 3 or x.shape[1] % window or x.shape[2] != count:
        raise ValueError(f"ops.fold takes (batch, channels * {window}, {count}), got shape {x.shape}.")
    if x.time is not None:
        raise MixesTimesteps("it takes timesteps together")
    x = cast(x, "int32") if x.dtype == "bool" else x
    channels = x.shape[1] // window
    rows = [np.arange(k)[:, None] * d + np.arange(n) * s
            for k, d, n, s in zip(grid.kernel, grid.dilation, grid.counts, grid.stride)]  # fmt: skip
    places = rows[0][:, None, :, None] * grid.size[1] + rows[1][None, :, None, :]
    places = steps.checked(x.p, places.reshape(-1), math.prod(grid.size), "fold")
    values = reshape(x, (x.shape[0], channels, window * count))
    found = steps.scatter(None, places, values, (x.shape[0], channels, *grid.size),
                          (x.shape[0] * channels, math.prod(grid.size), 1), "add")  # fmt: skip
    return cut(cut(found, 2, grid.padding[0], height), 3, grid.padding[1], width)


# ---- patterns --------------------------------------------------------------------------------------------------------


def _groups(pattern, name):
    """[names of one axis of the pattern]."""
    found = [group.strip("() ").split() for group in re.findall(r"\w+|\([^()]*\)", pattern)]
    names = [one for group in found for one in group]
    if len(set(names)) != len(names) or not re.fullmatch(r"[\w\s()]*", pattern):
        raise ValueError(f"ops.rearrange: {name} {pattern!r} is no list of different names, with groups in brackets.")
    return found


@operation("Rearrange", "einops", plain=("pattern", "axes_lengths"))
@documented(
    "Axes taken apart, put into another order and together, as a pattern says.",
    {"tensor": ARRAY, "pattern": "(str): Names of axes before and behind an arrow; those in brackets are one axis.",
     "**axes_lengths": "(int): The size of an axis by its name; of a group all but one are wanted."},
    "An array of the dtype of `tensor`.",
    "ops.rearrange(np.ones((2, 6, 4), 'f'), 'b (t n) c -> b t (n c)', n=3).shape\n(2, 2, 12)",
    {"ValueError": "A pattern that does not fit the shape, or names that differ on both sides."},
)  # fmt: skip
def rearrange(tensor, pattern, **axes_lengths):
    sides = pattern.split("->")
    if len(sides) != 2:
        raise ValueError(f"ops.rearrange: {pattern!r} has no two sides with an arrow between.")
    before, after = _groups(sides[0], "pattern"), _groups(sides[1], "pattern")
    names = [name for group in before for name in group]
    if len(before) != tensor.ndim or sorted(names) != sorted(name for group in after for name in group):
        raise ValueError(f"ops.rearrange: {pattern!r} does not fit an array of shape {tensor.shape}.")
    sizes = {name: int(size) for name, size in axes_lengths.items()}
    for group, size in zip(before, tensor.shape):
        missing = [name for name in group if name not in sizes]
        known = math.prod(sizes[name] for name in group if name in sizes)
        if len(missing) > 1 or (size % known if missing else size != known):
            raise ValueError(f"ops.rearrange: {' '.join(group)} of {pattern!r} does not fit a size of {size}.")
        sizes |= {name: size // known for name in missing}
    x = reshape(tensor, [sizes[name] for name in names])
    x = reordered(x, [names.index(name) for group in after for name in group])
    return reshape(x, [math.prod(sizes[name] for name in group) for group in after])


# ---- pools of a given length -----------------------------------------------------------------------------------------


def _adaptive(pool, inputs, output_size, data_format, name):
    if inputs.ndim in (4, 5):
        raise NotImplementedError(f"ops.{name} takes sequences, (B, T, C), not images; got shape {inputs.shape}.")
    size = output_size[0] if isinstance(output_size, (tuple, list)) else output_size
    if inputs.ndim != 3 or not isinstance(size, int) or size < 1:
        raise ValueError(f"ops.{name} takes (B, T, C) and a length from 1 on, got {inputs.shape} and {output_size}.")
    if inputs.time is not None:
        raise MixesTimesteps("it takes timesteps together")
    first = data_format == "channels_first"
    x = reordered(cast(inputs, "float32"), [0, 2, 1]) if first else cast(inputs, "float32")
    length = x.shape[1]
    if length in getattr(x.p, "unknown", ()):
        raise ValueError("Input length must be statically known for adaptive pooling")
    starts = np.arange(size) * length // size
    reaches = -(-(np.arange(size) + 1) * length // size) - starts  # of each window; two at most differ
    parts, at, before = [], np.zeros(size, np.int64), 0
    for reach in sorted(set(reaches.tolist())):
        pooled = pool(x, reach, 1, "valid")
        at = np.where(reaches == reach, before + starts, at)
        before += pooled.shape[1]
        parts.append(pooled)
    all_of_them = concatenate(parts, 1) if len(parts) > 1 else parts[0]
    places = steps.checked(x.p, at, all_of_them.shape[1], name)
    y = steps.gather(all_of_them, places, 1, (x.shape[0], size, x.shape[2]))
    return reordered(Traced(y.p, y.slot), [0, 2, 1]) if first else y


_POOLS = {
    "inputs": "(array): (B, T, C), or (B, C, T) with data_format='channels_first'; T is known.",
    "output_size": "(int): How many windows, of nearly one length each.",
    "data_format": "(str, default None): 'channels_last', which None is too, or 'channels_first'.",
}
_POOL_RAISES = {"ValueError": "Other axes, a length below 1, or a T that is not known.",
                "NotImplementedError": "Images and volumes."}  # fmt: skip


@operation("AdaptiveAveragePool", "nn", options=("output_size", "data_format"))
@documented("The means of so many windows over a sequence.", _POOLS, "float32 array (B, output_size, C).",
            "ops.adaptive_average_pool(np.ones((1, 7, 2), 'f'), 3).shape\n(1, 3, 2)", _POOL_RAISES)  # fmt: skip
def adaptive_average_pool(inputs, output_size, data_format=None):
    return _adaptive(average_pool, inputs, output_size, data_format, "adaptive_average_pool")


@operation("AdaptiveMaxPool", "nn", options=("output_size", "data_format"))
@documented("The largest elements of so many windows over a sequence.", _POOLS, "float32 array (B, output_size, C).",
            "ops.adaptive_max_pool(np.ones((1, 7, 2), 'f'), 3).shape\n(1, 3, 2)", _POOL_RAISES)  # fmt: skip
def adaptive_max_pool(inputs, output_size, data_format=None):
    return _adaptive(max_pool, inputs, output_size, data_format, "adaptive_max_pool")
