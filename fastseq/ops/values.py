"""What an operation computes with while it is traced: `Traced`, an array of a program in the making, and the few
primitives that every operation is made of.

A primitive adds a native step to the program and says what becomes of the timesteps (`Traced.time`), by which streams
take or refuse whatever is made of it.
"""

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.ops.numpy_protocol import NumpyProtocol
from fastseq.program.cache import ProgramUsers
from fastseq.program.slots import Slot, strides_of
from fastseq.tensors import arrays, settings
from fastseq.tensors.operators import Operators
from fastseq.tensors.variable import Variable

_RANK = {"bool": 0, "int32": 1, "float32": 2}


class MixesTimesteps(UnsupportedError):
    """An operation takes timesteps together, so that no stream can compute it one at a time."""


class Traced(NumpyProtocol, Operators):
    """An array of a program in the making: a shape, a dtype, and no values yet.

    p: the Builder; slot: its Slot; time: the axis along which its timesteps lie, None where it has none or nobody asks.
    """

    __slots__ = ("p", "slot", "time")

    def __init__(self, p, slot, time=None):
        self.p = p
        self.slot = slot
        self.time = time

    @property
    def shape(self):
        return self.slot.shape

    @property
    def dtype(self):
        return self.slot.dtype

    @property
    def ndim(self):
        return len(self.slot.shape)

    @property
    def size(self):
        return self.slot.size

    @property
    def _keras_mask(self):
        return None if self.slot.mask is None else Traced(self.p, self.slot.mask, self.time)

    def __repr__(self):
        return f"<Traced shape={self.shape}, dtype={self.dtype}>"


def working_dtype(dtype):
    """The dtype that fastseq computes in where Keras is told this one: float32, int32 or bool."""
    name = settings.standardize_dtype(dtype)
    if settings.is_float_dtype(name):
        return "float32"
    if settings.is_int_dtype(name) or name == "bool":
        return "bool" if name == "bool" else "int32"
    raise ValueError(f"fastseq.ops computes in float32, int32 and bool, not in {name}.")


def is_number(value):
    """Whether it is a plain number, whose dtype gives way to that of arrays."""
    return isinstance(value, (bool, int, float)) and not isinstance(value, np.generic)


def builder_of(*values):
    """The Builder of the first Traced among them, None where there is none."""
    for value in values:
        if isinstance(value, Traced):
            return value.p
    return None


def lift(p, value):
    """`value` as a Traced of the program `p`: a weight, or an array, which becomes a constant of it."""
    if isinstance(value, Traced):
        return value
    if isinstance(value, Variable):
        if Variable.read_as.found is not None:
            return Variable.read_as.found(value)
        _hear_of_changes(p, value)
        return Traced(p, p.weight(value))
    array = arrays.standardize(value, "An operation")
    return Traced(p, p.constant(array).reshaped(array.shape))  # a constant has one axis at least


def _hear_of_changes(p, variable):
    """The cache of the program drops it when the weight changes: by the layer that owns it, or by itself."""
    if variable._owner is not None:
        p.use(variable._owner)
    elif p.cache is not None and variable._users is None:
        variable._users = ProgramUsers(p.cache)
    elif p.cache is not None:
        variable._users.add(p.cache)


def dtype_of(value):
    """float32, int32 or bool."""
    if isinstance(value, (Traced, Slot, Variable)):
        return value.dtype
    if isinstance(value, (float, np.floating)):
        return "float32"
    if isinstance(value, (bool, np.bool_)):
        return "bool"
    if isinstance(value, (int, np.integer)):
        return "int32"
    return arrays.standardize(value, "An operation").dtype.name


def common_dtype(*values):
    """The dtype of what is computed of these, by Keras's rules: bool, then int32, then float32."""
    return max((dtype_of(value) for value in values), key=_RANK.get)


def cast(value, dtype):
    """`value`, a Traced or a plain number, in another dtype."""
    if is_number(value):
        return {"float32": float, "int32": int, "bool": bool}[dtype](value)
    if value.dtype == dtype:
        return value
    if dtype == "float32":
        return elementwise("int32_to_float32", value)
    if dtype == "int32":
        return elementwise("float32_to_int32" if value.dtype == "float32" else "copy", value, dtype="int32")
    kind, zero = ("equal", 0.0) if value.dtype == "float32" else ("equal_int32", 0)
    return elementwise("logical_not", elementwise(kind, value, zero, dtype="bool"), dtype="bool")


def together(*values, at_least="bool"):
    """`values` as Traced or plain numbers of their common dtype, `at_least` that one."""
    p = builder_of(*values)
    lifted = [value if is_number(value) else lift(p, value) for value in values]
    dtype = max(common_dtype(*lifted), at_least, key=_RANK.get)
    return [cast(value, dtype) for value in lifted], dtype


# ---- primitives ------------------------------------------------------------------------------------------------------


def elementwise(kind, *operands, dtype="float32"):
    """One operation on every element (`Builder.elementwise`); operands: Traced, and plain numbers."""
    p = builder_of(*operands)
    slots = [operand.slot if isinstance(operand, Traced) else operand for operand in operands]
    result = p.elementwise(kind, *slots, dtype=dtype)
    return Traced(p, result, _common_time(operands, result.shape))


def _common_time(operands, shape):
    traced = [operand for operand in operands if isinstance(operand, Traced)]
    times = {operand.time + len(shape) - operand.ndim for operand in traced if operand.time is not None}
    if not times:
        return None
    time = times.pop()
    for operand in traced:
        own = time - len(shape) + operand.ndim  # its axis that meets the timesteps
        if times or (operand.time is None and own >= 0 and operand.shape[own] != 1):
            raise MixesTimesteps("it meets timesteps with other axes, or with values for each of them")
        if operand.time is not None and operand.shape[own] != shape[time]:
            raise MixesTimesteps("it broadcasts over timesteps")
    return time


def reduce(kind, x, axes, dtype="float32"):
    """Elements along `axes`, a set of axes counted from 0, taken together."""
    if x.time in axes:
        raise MixesTimesteps("it takes all timesteps together")
    time = None if x.time is None else x.time - sum(axis < x.time for axis in axes)
    return Traced(x.p, x.p.reduce(kind, x.slot, sorted(axes), dtype=dtype), time)


def view(x, shape, strides, offset=0, time=None):
    """What stands at `strides` from an element of `x` on; time: the result's axis of timesteps."""
    return Traced(x.p, x.p.view(x.slot, shape, strides, offset), time)


def reshaped(x, shape, time=None):
    """The same elements in another shape, with no step at all."""
    return Traced(x.p, x.slot.reshaped(shape), time)


def reordered(x, order):
    """`x` with its axes in another order."""
    if list(order) == list(range(x.ndim)):
        return x
    strides = strides_of(x.shape)
    time = None if x.time is None else list(order).index(x.time)
    return view(x, [x.shape[axis] for axis in order], [strides[axis] for axis in order], time=time)


def broadcast(x, shape, name="An operation"):
    """`x` in a shape that it broadcasts to. Raises ValueError for another one; name: the subject of its sentence."""
    shape = tuple(shape)
    if x.shape == shape:
        return x
    own, unknown = (1,) * (len(shape) - x.ndim) + x.shape, getattr(x.p, "unknown", frozenset())
    if len(own) != len(shape) or any(a not in (1, b) and unknown.isdisjoint((a, b)) for a, b in zip(own, shape)):
        raise ValueError(f"{name}: an array of shape {x.shape} does not broadcast to {shape}.")
    strides = [0 if size == 1 else stride for size, stride in zip(own, strides_of(own))]
    time = None if x.time is None else x.time + len(shape) - x.ndim
    if time is not None and x.shape[x.time] != shape[time]:
        raise MixesTimesteps("it broadcasts over timesteps")
    return view(x, shape, strides, time=time)
