"""Shapes and dtypes of what an operation gives, found by tracing it where nothing is kept.

Unknown sizes are traced as numbers that nobody writes, twice: a size that comes out otherwise the second time is
unknown.
"""

import numpy as np

from fastseq.program.builder import Builder
from fastseq.program.slots import Slot
from fastseq.tensors.symbolic import KerasTensor

# (batch, every other unknown size) of the two traces. Primes, so that a size made of them is none of a model's own.
UNKNOWN = ((83, 97), (89, 101))


class _Unknown(int):
    """A number that stands for an unknown size; messages show what it stands for."""

    def __repr__(self):
        return "None"


# Constants up to so many elements are told by their values: larger ones are no numbers made of a size.
_TOLD = 4096


class ShapeBuilder(Builder):
    """A Builder whose steps are thrown away. sizes: the numbers that stand for unknown sizes.

    told: the numbers and small constants that the steps would compute with, in their order: two traces that differ in
    them compute with a size.
    """

    def __init__(self, sizes=()):
        super().__init__()
        self.unknown = frozenset(sizes)
        self.told = []

    def step(self, operation, **fields):
        self.told += [repr(value) for value in fields.values() if isinstance(value, float)]

    def python(self, name, function, inputs, examples, backward=None, weights=()):
        return [self.new(example.shape, example.dtype.name) for example in examples]

    def weight(self, variable):
        return self.new(variable.shape)

    def constant(self, array):
        array = np.asarray(array)
        self.told.append(array.tobytes() if array.size <= _TOLD else array.shape)
        return self.new(array.shape, array.dtype.name)

    def broadcast_shapes(self, *shapes):
        """NumPy's, but an unknown size beside a known one is the known one."""
        longest = max(map(len, shapes), default=0)
        result = []
        for sizes in zip(*((1,) * (longest - len(shape)) + tuple(shape) for shape in shapes)):
            found = {size for size in sizes if size != 1}
            known = found - self.unknown
            if len(known) > 1:
                return super().broadcast_shapes(*shapes)  # which raises
            result.append(max(known or found or {1}))
        return tuple(result)

    def elementwise(self, kind, *operands, dtype="float32"):
        self.told += [repr(operand) for operand in operands if not isinstance(operand, Slot)]
        return self.new(self.broadcast_shapes(*(o.shape for o in operands if isinstance(o, Slot))), dtype)

    def chain_activation(self, kind, x, parameters):
        return self.new(x.shape)

    def reduce(self, kind, x, axes, dtype="float32"):
        return self.new([size for axis, size in enumerate(x.shape) if axis not in axes], dtype)

    def view(self, x, shape, strides, offset=0):
        return self.new(shape, x.dtype)

    def copy(self, source, target, shape, source_strides, target_strides):
        pass


def traced_twice(trace, tensors):
    """KerasTensors of what `trace(builder, slots)` gives, a list of Slots, for these KerasTensors.

    trace: gets a Slot for each tensor.
    """
    found = []
    for batch, other in UNKNOWN:
        p = ShapeBuilder((batch, other))
        slots = []
        for tensor in tensors:
            unknown = [_Unknown(other if axis else batch) for axis in range(len(tensor.shape))]
            sizes = [own if size is None else size for own, size in zip(unknown, tensor.shape)]
            slots.append(p.new(sizes, tensor.dtype))
        found.append(trace(p, slots))
    return [
        KerasTensor(tuple(a if a == b else None for a, b in zip(x.shape, y.shape)), x.dtype) for x, y in zip(*found)
    ]
