"""Integrals, powers, correlations and distances. https://keras.io/api/ops/numpy/"""

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.ops import elementwise as e
from fastseq.ops import places as steps
from fastseq.ops import reductions as r
from fastseq.ops.convolution import conv
from fastseq.ops.cumulative import diff
from fastseq.ops.documented import ARRAY, documented
from fastseq.ops.joining import part
from fastseq.ops.linear_algebra import matmul
from fastseq.ops.mathematical import log10, power
from fastseq.ops.operation import operation
from fastseq.ops.rounding import floor_divide, mod
from fastseq.ops.shapes import axis_of, expand_dims, moveaxis, ravel, swapaxes
from fastseq.ops.values import MixesTimesteps, Traced, cast, is_number, lift, together
from fastseq.ops.windows import cut, padded
from fastseq.tensors.symbolic import KerasTensor


@operation("Trapezoid", options=("x", "dx", "axis"))
@documented(
    "The integral along an axis of lines between values.",
    {"y": ARRAY, "x": "(array, default None): Where the values stand; None is at distances of `dx`.",
     "dx": "(float, default 1.0): From one value to the next.", "axis": "(int, default -1): The axis."},
    "float32 array without that axis.",
    "ops.trapezoid([1.0, 2.0, 4.0])\narray(4.5, dtype=float32)",
    {"ValueError": "An axis that is not there, or an `x` of another shape.",
     "UnsupportedError": "An `x` that is a symbolic tensor."},
)  # fmt: skip
def trapezoid(y, x=None, dx=1.0, axis=-1):
    y = cast(y, "float32")
    axis = axis_of(y, axis, "trapezoid")
    if axis == y.time:
        raise MixesTimesteps("it takes all timesteps together")
    y = moveaxis(y, axis, -1)
    count = max(y.shape[-1] - 1, 0)
    heights = e.multiply(0.5, e.add(part(y, y.ndim - 1, y.shape[-1] - count, count), part(y, y.ndim - 1, 0, count)))
    if isinstance(x, KerasTensor):
        raise UnsupportedError("ops.trapezoid: x is numbers that are known before, not a tensor of the graph.")
    if x is None:
        return r.sum(e.multiply(heights, float(dx)), -1)
    x = x if isinstance(x, Traced) else lift(y.p, np.asarray(x, np.float32))
    x = cast(x, "float32")
    steps_of_x = diff(x) if x.ndim == 1 else diff(moveaxis(x, axis, -1))
    return r.sum(e.multiply(heights, steps_of_x), -1)


@operation("Vander", options=("N", "increasing"))
@documented(
    "A matrix of powers: a row for each element.",
    {"x": "(array (n,)): The elements.", "N": "(int, default None): How many powers; None is n.",
     "increasing": "(bool, default False): Whether they ascend."},
    "An array (n, N) of the dtype of `x`, int32 of booleans.",
    "ops.vander([1.0, 2.0, 3.0])\narray([[1., 1., 1.],\n       [4., 2., 1.],\n       [9., 3., 1.]], dtype=float32)",
    {"ValueError": "More than one axis, or N below 0."},
)  # fmt: skip
def vander(x, N=None, increasing=False):
    N = x.shape[0] if N is None and x.ndim == 1 else N
    if x.ndim != 1 or N < 0:
        raise ValueError(f"ops.vander takes (n,) and N from 0 on, got shape {x.shape} and N={N}.")
    dtype = "int32" if x.dtype == "bool" else x.dtype
    powers = np.arange(N, dtype=np.float32)
    powers = powers if increasing else powers[::-1].copy()
    column = expand_dims(cast(x, "float32"), 1)
    return cast(power(column, steps.known(x.p, (N,), lambda: powers, "float32")), dtype)


@operation("Corrcoef")
@documented(
    "How rows go with each other: their covariances, divided by their standard deviations, within [-1, 1].",
    {"x": "(array (..., variables, samples)): Rows of samples."},
    "float32 array (..., variables, variables); NaN of a plain number.",
    "ops.corrcoef([[1.0, 2.0, 3.0], [1.0, 2.0, 3.5]])\n"
    "array([[1.        , 0.9933992 ],\n       [0.9933992 , 0.99999994]], dtype=float32)",
    {"ValueError": "One axis alone."},
)  # fmt: skip
def corrcoef(x):
    x = cast(x, "float32")
    if x.ndim == 0:
        return e.multiply(x, float("nan"))
    if x.ndim == 1:
        raise ValueError(f"ops.corrcoef takes rows of samples, (..., variables, samples), got shape {x.shape}.")
    centered = e.subtract(x, r.mean(x, -1, True))
    covariance = e.divide(matmul(centered, swapaxes(centered, -1, -2)), float(x.shape[-1] - 1))
    deviations = e.sqrt(e.divide(r.sum(e.square(centered), -1), float(x.shape[-1] - 1)))
    both = e.multiply(expand_dims(deviations, -1), expand_dims(deviations, -2))
    return e.clip(e.divide(covariance, both), -1.0, 1.0)


@operation("Correlate", options=("mode",))
@documented(
    "Sums of products of a sequence and another one that is moved along it.",
    {"x1": "(array (n,)): The sequence.", "x2": "(array (m,)): What is moved along.",
     "mode": '(str, default "valid"): "valid" where the second one lies within the first, "same" for as many sums as '
     'the longer has elements, "full" where they meet at all.'},
    "float32 array (n - m + 1,), (max(n, m),) or (n + m - 1,).",
    "ops.correlate([1.0, 2.0, 3.0], [0.0, 1.0, 0.5], mode='full')\narray([0.5, 2. , 3.5, 3. , 0. ], dtype=float32)",
    {"ValueError": "Other axes, an unknown mode, or with \"valid\" a second one that is longer."},
)  # fmt: skip
def correlate(x1, x2, mode="valid"):
    if mode not in ("valid", "same", "full"):
        raise ValueError(f"Invalid mode: '{mode}'. Mode must be one of: 'full', 'same', 'valid'.")
    (x1, x2), _ = together(x1, x2, at_least="float32")
    if any(is_number(one) or one.ndim != 1 for one in (x1, x2)):
        raise ValueError(f"ops.correlate takes (n,) and (m,), got {getattr(x1, 'shape', ())} and "
                         f"{getattr(x2, 'shape', ())}.")  # fmt: skip
    if x1.time is not None or x2.time is not None:
        raise MixesTimesteps("it takes timesteps together")
    n, m = x1.shape[0], x2.shape[0]
    if mode != "valid":
        x1 = padded(x1, 0, m - 1, m - 1)
    rows = Traced(x1.p, x1.slot.reshaped((1, x1.shape[0], 1)))
    found = ravel(conv(rows, Traced(x2.p, x2.slot.reshaped((m, 1, 1)))))
    return found if mode != "same" else cut(found, 0, (n + m - 1 - max(n, m)) // 2, max(n, m))


@operation("UnravelIndex", options=("shape",))
@documented(
    "The index along each axis of places that are counted through all elements.",
    {"indices": "(int32 array): Places.", "shape": "(tuple of int): Of the array that they are places of."},
    "A tuple of int32 arrays, one for each axis.",
    "ops.unravel_index([5, 7], (2, 4))\n(array([1, 1], dtype=int32), array([1, 3], dtype=int32))",
    {"ValueError": "A size that is not known, or below 1.", "TypeError": "Places that are no integers."},
)  # fmt: skip
def unravel_index(indices, shape):
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if any(not isinstance(size, (int, np.integer)) or size < 1 for size in shape):
        raise ValueError(f"ops.unravel_index: `shape` is made of sizes above 0. Received: shape={shape}")
    if indices.dtype == "float32":
        raise TypeError("ops.unravel_index: indices are integers, got float32.")
    rest, found = cast(indices, "int32"), []
    for size in reversed(shape):
        found.append(mod(rest, size))
        rest = floor_divide(rest, size)
    return tuple(reversed(found))


@operation("Argpartition", options=("kth", "axis"))
@documented(
    "Where elements stand so that those before the one at `kth` are not larger, and those behind it not smaller: here "
    "in ascending order.",
    {"x": ARRAY, "kth": "(int): Which element is in its place.",
     "axis": "(int, default -1): The axis; None makes one row of all elements first."},
    "int32 array.",
    "ops.argpartition([3, 1, 2], 1)\narray([1, 2, 0], dtype=int32)",
    {"ValueError": "An axis or a place that is not there."},
)  # fmt: skip
def argpartition(x, kth, axis=-1):
    x, axis = (ravel(x), 0) if axis is None else (x, axis_of(x, axis, "argpartition"))
    size = x.shape[axis]
    if not -size <= kth < size:
        raise ValueError(f"ops.argpartition: kth={kth} is out of bounds: axis {axis}, shape {x.shape}.")
    return steps.argsorted(x, axis)


@operation("CDist", "math")
@documented(
    "The Euclidean distance of each row of an array from each row of another.",
    {"x": "(array (..., m, d)): Rows.", "y": "(array (..., n, d)): Rows."},
    "float32 array (..., m, n).",
    "ops.cdist([[0.0, 0.0], [1.0, 1.0]], [[1.0, 0.0]])\narray([[1.],\n       [1.]], dtype=float32)",
    {"ValueError": "Less than two axes, or rows of other lengths."},
)  # fmt: skip
def cdist(x, y):
    x, y = cast(x, "float32"), cast(y, "float32")
    unknown = getattr(x.p, "unknown", frozenset())
    if x.ndim < 2 or y.ndim < 2 or (x.shape[-1] != y.shape[-1] and unknown.isdisjoint((x.shape[-1], y.shape[-1]))):
        raise ValueError(f"ops.cdist takes (..., m, d) and (..., n, d), got {x.shape} and {y.shape}.")
    return e.sqrt(r.sum(e.square(e.subtract(expand_dims(x, -2), expand_dims(y, -3))), -1))


@operation("PSNR", "nn", options=("max_val",))
@documented(
    "The peak signal-to-noise ratio of two arrays, in decibels: 10 log10(max_val^2 / mean squared difference).",
    {"x1": ARRAY, "x2": "(array): One of the same shape.", "max_val": "(float): The largest value that they may have."},
    "float32 array of no axes; infinity of equal arrays.",
    "ops.psnr([0.0, 1.0], [0.0, 0.5], 1.0)\narray(9.0309, dtype=float32)",
    {"ValueError": "Arrays of two shapes."},
)  # fmt: skip
def psnr(x1, x2, max_val):
    (x1, x2), _ = together(x1, x2, at_least="float32")
    if getattr(x1, "shape", ()) != getattr(x2, "shape", ()):
        raise ValueError(f"Input shapes {x1.shape} and {x2.shape} must match for PSNR calculation. ")
    noise = r.mean(e.square(e.subtract(x1, x2)))
    return e.multiply(10.0, log10(e.divide(float(max_val) ** 2, noise)))
