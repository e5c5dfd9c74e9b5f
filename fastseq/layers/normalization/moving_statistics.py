"""Mean and variance of a batch, and the moving ones that follow them: weights that a call with training=True changes.

A program writes them at its very end, as states (Builder.keep), into the arrays that they are. Programs read them
there, so that those made before see every change.
"""

from fastseq.ops import elementwise as e
from fastseq.ops import reductions
from fastseq.ops.normalization import moments
from fastseq.ops.shapes import expand_dims, reshape
from fastseq.ops.values import Traced, broadcast, cast
from fastseq.program import packing
from fastseq.tensors import weight_locks
from fastseq.tensors.settings import epsilon


def own(variable):
    """The variable's array, which nobody else has: a copy the first time, and when it was assigned to.

    A program may write it at its place. Those that were made before have it, as every program comes here.
    """
    array = variable._held()
    if variable.__dict__.get("_own_array") is not array:
        with weight_locks.changing:
            array = variable._held()
            if variable.__dict__.get("_own_array") is not array:
                variable._content = variable._own_array = array = packing.aligned(array)
    return array


def read(p, variable):
    """The values of a moving statistic at this point of the program, Traced."""
    array = own(variable)
    p.weight(variable)  # a training program goes by it whether the array was replaced
    return Traced(p, p.kept(array))


def write(p, variable, value):
    """Notes that the variable has the value of `value`, Traced, after the call."""
    array = own(variable)
    p.weight(variable)
    p.keep(array, reshape(value, array.shape).slot)


def follow(p, variable, value, momentum):
    """Notes that the variable is momentum * variable + (1 - momentum) * value after the call. Returns that, Traced."""
    moved = e.add(e.multiply(read(p, variable), momentum), e.multiply(value, 1.0 - momentum))
    write(p, variable, moved)
    return moved


def of_batch(x, axis, mask=None):
    """(mean, variance) along an axis, over all other axes; of what a mask (..., without the last axis) leaves."""
    axes = [other for other in range(x.ndim) if other != axis % x.ndim]
    if mask is None:
        return moments(x, axes)
    seen = broadcast(expand_dims(cast(mask, "bool"), -1), x.shape)
    count = e.add(reductions.sum(cast(seen, "float32"), axes, True), epsilon())
    mean = e.divide(reductions.sum(e.where(seen, x, 0.0), axes, True), count)
    apart = e.where(seen, e.subtract(x, mean), 0.0)
    variance = e.divide(reductions.sum(e.square(apart), axes, True), count)
    return reshape(mean, (x.shape[axis],)), reshape(variance, (x.shape[axis],))
