"""What convolutions, pools and Fourier transforms of short times are made of: zeros around, pieces, windows."""

import numpy as np

from fastseq.ops.joining import concatenate
from fastseq.ops.values import broadcast, lift, view
from fastseq.program.slots import strides_of


def cut(x, axis, start, count):
    """`count` elements along an axis, from one on."""
    strides = strides_of(x.shape)
    shape = list(x.shape)
    shape[axis] = count
    return view(x, shape, strides, start * strides[axis], x.time)


def padded(x, axis, before, after, value=0.0):
    """So many more elements of one value around those along an axis."""

    def more(count):
        shape = list(x.shape)
        shape[axis] = count
        found = broadcast(lift(x.p, np.full((), value, np.float32)), shape)
        found.time = x.time
        return found

    parts = [more(before)] * (before > 0) + [x] + [more(after)] * (after > 0)
    return concatenate(parts, axis) if len(parts) > 1 else x


def windows(x, count, size, stride, dilation):
    """(B, count, size, C): windows over the middle axis of (B, T, C), `stride` apart, of elements `dilation` apart."""
    batch, across, one = strides_of(x.shape)
    return view(
        x, (x.shape[0], count, size, x.shape[2]), [batch, stride * across, dilation * across, one]
    )  # fmt: skip
