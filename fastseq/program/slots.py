"""Slots: contiguous arrays inside a program, and their shapes and strides."""

import numpy as np


class Buffer:
    """Memory behind slots. kind: "input", "output" (bound at each run), "arena", or "constant".

    first, last: the steps that use it, of an arena's; shared: None, or a Buffer that it lies in (loops.py).
    """

    def __init__(self, kind, nbytes, array=None, number=None):
        self.kind = kind
        self.nbytes = nbytes
        self.array = array
        self.number = number
        self.first = self.last = None
        self.shared = None
        self.offset = None


class Slot:
    """A contiguous array inside a program: shape (ints), dtype "float32", "int32" or "bool", and perhaps a mask.

    lookup: None, or where the rows come from: (int32 ids Slot of shape[:-1], the table (n, shape[-1]) whose rows they
    are; None for one-hot rows). A layer may take them from there instead.
    moves: inside a loop, the bytes by which it lies further on each time (`Builder.loop`).
    activated: None, or ("softmax" or "sigmoid", the Slot that went into it), which a crossentropy goes on from. As
    Keras's tensors have it: of the activation's very result, not of the same memory in another shape.
    """

    __slots__ = ("activated", "buffer", "dtype", "lookup", "mask", "moves", "offset", "shape")

    def __init__(self, buffer, shape, dtype, offset=0, mask=None, lookup=None, activated=None, moves=0):
        self.buffer = buffer
        self.shape = tuple(shape)
        self.dtype = dtype
        self.offset = offset
        self.mask = mask
        self.lookup = lookup
        self.activated = activated
        self.moves = moves

    @property
    def size(self):
        return product(self.shape)

    @property
    def itemsize(self):
        return np.dtype(self.dtype).itemsize

    def with_mask(self, mask):
        return Slot(self.buffer, self.shape, self.dtype, self.offset, mask, self.lookup, self.activated, self.moves)

    def reshaped(self, shape):
        """The same memory in another shape; no mask."""
        lookup = None
        if self.lookup is not None and tuple(shape)[-1:] == self.shape[-1:]:
            ids, table = self.lookup
            lookup = ids.reshaped(shape[:-1]), table
        return Slot(self.buffer, shape, self.dtype, self.offset, lookup=lookup, moves=self.moves)

    def at(self, elements):
        """The same memory from an element on, for steps that walk it by strides of their own."""
        return Slot(self.buffer, self.shape, self.dtype, self.offset + elements * self.itemsize, moves=self.moves)

    def part(self, shape, offset, moves):
        """What a loop sees of it: an array of `shape`, `offset` bytes on the first time, `moves` further each time."""
        return Slot(self.buffer, shape, self.dtype, self.offset + offset, moves=moves)

    def __repr__(self):
        return f"<Slot {self.shape} {self.dtype} {self.buffer.kind}>"


def strides_of(shape, of_ones=None):
    """Strides, in elements, of a contiguous array; `of_ones` has those of sizes of 1, which say nothing."""
    strides, step = [], 1
    for axis in reversed(range(len(shape))):
        strides.append(of_ones[axis] if of_ones is not None and shape[axis] == 1 else step)
        step *= shape[axis]
    return strides[::-1]


def strides_over(shape):
    """Strides of a contiguous array that is read again along sizes of 1: 0 for these."""
    return strides_of(shape, (0,) * len(shape))


def product(shape):
    return int(np.prod(shape, dtype=np.int64))


def merged(shape, *strides):
    """(sizes, strides of each operand), with dimensions that belong together for all of them as one.

    Raises ValueError where more than 5 are left, which no step walks.
    """
    sizes, found = [], [[] for _ in strides]
    for size, *own in zip(shape, *strides):
        if sizes and all(known[-1] == stride * size for known, stride in zip(found, own)):
            sizes[-1] *= size
            for known, stride in zip(found, own):
                known[-1] = stride
        else:
            sizes.append(size)
            for known, stride in zip(found, own):
                known.append(stride)
    if len(sizes) > 5:
        raise ValueError(f"Arrays of {len(shape)} dimensions in this order are not supported, 5 are.")
    return sizes, *found


def padded(values, fill):
    """Five entries, what is missing filled in at the front."""
    return [fill] * (5 - len(values)) + list(values)


def broadcast_strides(*shapes):
    """(NumPy's broadcast shape, five sizes, five strides per operand), with dimensions that belong together merged."""
    shape = np.broadcast_shapes(*shapes)
    operands = []
    for own in shapes:
        own = (1,) * (len(shape) - len(own)) + tuple(own)
        operands.append(strides_over(own))
    sizes, merged = [], []
    for size, strides in zip(shape, zip(*operands)):
        if sizes and all(before == after * size for before, after in zip(merged[-1], strides)):
            sizes[-1] *= size
            merged[-1] = strides
        else:
            sizes.append(size)
            merged.append(strides)
    if len(sizes) > 5:
        raise ValueError(f"Broadcasting {' with '.join(map(str, shapes))} takes {len(sizes)} dimensions, more than 5.")
    per_operand = list(zip(*merged)) if merged else [()] * len(shapes)
    return shape, padded(sizes, 1), [padded(strides, 0) for strides in per_operand]


def same_array(first, second):
    """Whether two constants have the same values; those that are one array are not looked at."""
    if first is second:
        return True
    return first.shape == second.shape and np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
