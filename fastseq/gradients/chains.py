"""Gradients of the elementwise operations and reductions of chains, each while it is still a chain of its own.

At a tie or a kink the gradient is TensorFlow's, which GradientTape gives.
"""

import math

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.gradients import chain_functions
from fastseq.gradients.elementwise import ACTIVATION_NAMES, activation_gradient
from fastseq.native.kinds import CUMULATIONS
from fastseq.program.packing_steps import FROM_VALUE
from fastseq.program.slots import Slot, strides_of

#: What has no gradient: results that change in jumps.
FLAT = {"equal", "less", "less_equal", "isnan", "logical_not", "float32_to_int32", "floor", "ceil", "round", "trunc",
        "sign"}  # fmt: skip


def _add(b, slot, strides, shape, gradient):
    """Adds the gradient over `shape` to that of an input that was read at `strides`."""
    b.add_strided(slot, shape, strides, gradient)


#: name -> function of (builder, x, y, dy), each the Slot or number: the gradient by the one operand.
UNARY = {
    "copy": lambda p, x, y, dy: dy,
    "negative": lambda p, x, y, dy: p.elementwise("negative", dy),
    "abs": lambda p, x, y, dy: p.elementwise("multiply", dy, p.elementwise("sign", x)),
    "sqrt": lambda p, x, y, dy: _of_root(p, y, dy),
    "square": lambda p, x, y, dy: p.elementwise("multiply", dy, p.elementwise("multiply", x, 2.0)),
    "reciprocal": lambda p, x, y, dy: _where_read(
        p, dy, p.elementwise("multiply", dy, p.elementwise("negative", p.elementwise("square", y)))
    ),
    "rsqrt": lambda p, x, y, dy: _of_inverse_root(p, y, dy),
    "exp": lambda p, x, y, dy: p.elementwise("multiply", dy, y),
    "expm1": lambda p, x, y, dy: p.elementwise("multiply", dy, p.elementwise("exp", x)),
    "log": lambda p, x, y, dy: p.elementwise("divide", dy, x),
    "log1p": lambda p, x, y, dy: p.elementwise("divide", dy, p.elementwise("add", x, 1.0)),
    "tanh": lambda p, x, y, dy: p.elementwise(
        "multiply", dy, p.elementwise("subtract", 1.0, p.elementwise("square", y))
    ),
    "sigmoid": lambda p, x, y, dy: p.elementwise(
        "multiply", dy, p.elementwise("multiply", y, p.elementwise("subtract", 1.0, y))
    ),
    "softplus": lambda p, x, y, dy: p.elementwise("multiply", dy, p.elementwise("sigmoid", x)),
    **chain_functions.UNARY,
}


def _where_read(p, dy, found):
    """At 0, where such a gradient is infinite, TensorFlow gives 0 for what nobody reads."""
    return p.elementwise("select", p.elementwise("equal", dy, 0.0, dtype="bool"), 0.0, found)


def _of_root(p, y, dy):
    return _where_read(p, dy, p.elementwise("divide", p.elementwise("multiply", dy, 0.5), y))


def _of_inverse_root(p, y, dy):
    cube = p.elementwise("multiply", y, p.elementwise("square", y))
    return _where_read(p, dy, p.elementwise("multiply", p.elementwise("multiply", dy, -0.5), cube))


def _of_larger(p, a, c, y, dy):
    """TensorFlow's maximum: all of it goes to the first operand where the two are equal."""
    first = p.elementwise("less_equal", c, a, dtype="bool")
    return p.elementwise("select", first, dy, 0.0), p.elementwise("select", first, 0.0, dy)


def _of_smaller(p, a, c, y, dy):
    first = p.elementwise("less_equal", a, c, dtype="bool")
    return p.elementwise("select", first, dy, 0.0), p.elementwise("select", first, 0.0, dy)


def _of_quotient(p, a, c, y, dy):
    by_first = p.elementwise("divide", dy, c)
    return by_first, p.elementwise("negative", p.elementwise("multiply", by_first, y))


#: name -> function of (builder, a, c, y, dy): the gradients by both operands.
BINARY = {
    "add": lambda p, a, c, y, dy: (dy, dy),
    "subtract": lambda p, a, c, y, dy: (dy, p.elementwise("negative", dy)),
    "multiply": lambda p, a, c, y, dy: (p.elementwise("multiply", dy, c), p.elementwise("multiply", dy, a)),
    "divide": _of_quotient,
    "maximum": _of_larger,
    "minimum": _of_smaller,
    **chain_functions.BINARY,
}


def _operand(b, chain, place):
    """The Slot of an input as a contiguous array over the chain's shape, or its number."""
    kind, i = place
    if kind == "n":
        return chain.numbers[i]
    slot, strides = chain.inputs[i]
    if list(strides) == strides_of(chain.shape, strides) and slot.shape == chain.shape:
        return slot
    return b.p.view(slot, chain.shape, strides)


def elementwise_rule(b, step):
    chain = step["chain"]
    ((kind, operands),), ((_, y),) = chain.code, chain.results
    dy = b.of(y)
    if dy is None or kind in FLAT or y.dtype != "float32":
        return
    if kind == "activation":
        _activation_rule(b, chain, operands, y, dy)
        return
    inputs = [chain.inputs[place[1]] if type(place) is tuple and place[0] == "x" else None for place in operands]
    if kind == "select":
        which = _operand(b, chain, operands[0])
        for place, sides in ((1, (dy, 0.0)), (2, (0.0, dy))):
            if inputs[place] is not None and b.wants(inputs[place][0]):
                _add(b, *inputs[place], chain.shape, b.p.elementwise("select", which, *sides))
        return
    values = [_operand(b, chain, place) for place in operands]
    if kind in UNARY:
        gradients = [UNARY[kind](b.p, values[0], y, dy)]
    elif kind in BINARY:
        gradients = BINARY[kind](b.p, *values, y, dy)
    else:
        raise UnsupportedError(f"Layer '{step['name']}' cannot be trained: no gradient is known of {kind}.")
    for read, gradient in zip(inputs, gradients):
        if read is not None and b.wants(read[0]):
            _add(b, *read, chain.shape, gradient)


def _activation_rule(b, chain, operands, y, dy):
    """That of the step "activation", whose slopes are native."""
    (slot, strides), number = chain.inputs[0], operands[1]
    if not b.wants(slot):
        return
    name = ACTIVATION_NAMES[number]
    if name in UNARY and name in FROM_VALUE:
        # As instructions they may be fused.
        _add(b, slot, strides, chain.shape, UNARY[name](b.p, None, y, dy))
        return
    p0, p1, p2 = chain.numbers
    fields = {
        "x": _operand(b, chain, operands[0]),
        "y": y,
        "count": y.size,
        "kind": number,
        "p0": p0,
        "p1": p1,
        "p2": p2,
    }
    fields, dx = activation_gradient(b, fields, dy)
    b.step("activation_backward", **fields)
    _add(b, slot, strides, chain.shape, dx)


def _spread(b, slot, shape, axes):
    """A Slot of what is left of a reduction, over the whole shape again."""
    left = iter(strides_of(slot.shape))
    return b.p.view(slot, shape, [0 if axis in axes else next(left) for axis in range(len(shape))])


def _of_the_others(b, x, shape, axes):
    """For each element of `x` over `shape` the product of the others along `axes`: of those before it by that of those
    behind it, so zeros and infinities are what they are for GradientTape."""
    p = b.p
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    order = [*kept, *axes]
    sizes, strides = [shape[axis] for axis in order], strides_of(shape)
    outer, n = math.prod(shape[axis] for axis in kept), math.prod(shape[axis] for axis in axes)
    rows = p.view(x, sizes, [strides[axis] for axis in order]).reshaped((outer, n))
    one = p.view(p.constant(np.ones(1, np.float32)), (outer, 1), (0, 0))
    ended = p.concatenate([one, rows, one], 1)
    before, behind = p.new(ended.shape), p.new(ended.shape)
    for y, backwards in ((before, 0), (behind, 1)):
        b.step("cumulate", x=ended, y=y, outer=outer, n=n + 2, inner=1, kind=CUMULATIONS["prod"], backwards=backwards)
    apart = (n + 2, 1)
    others = p.elementwise("multiply", p.view(before, (outer, n), apart), p.view(behind, (outer, n), apart, 2))
    back = dict(zip(order, strides_of(sizes)))
    return p.view(others, shape, [back[axis] for axis in range(len(shape))])


def reduce_rule(b, step):
    chain = step["chain"]
    (kind, axes), ((_, y),) = chain.reduction, chain.results
    dy = b.of(y)
    if dy is None or y.dtype != "float32":
        return
    ((slot, strides),) = chain.inputs
    count = 1
    for axis in axes:
        count *= chain.shape[axis]
    if kind == "mean":
        dy = b.p.elementwise("divide", dy, float(count))
    whole = _spread(b, dy, chain.shape, axes)
    x = slot if isinstance(slot, Slot) and slot.shape == chain.shape else b.p.view(slot, chain.shape, strides)
    if kind in ("sum", "mean"):
        gradient = whole
    elif kind in ("max", "min"):  # in equal parts to all that are as large
        hit = b.p.elementwise("equal", x, _spread(b, y, chain.shape, axes), dtype="bool")
        hits = b.p.elementwise("int32_to_float32", hit)
        share = b.p.elementwise("divide", hits, _spread(b, b.p.reduce("sum", hits, axes), chain.shape, axes))
        gradient = b.p.elementwise("multiply", whole, share)
    elif kind == "prod":
        gradient = b.p.elementwise("multiply", whole, _of_the_others(b, x, chain.shape, axes))
    else:
        return
    _add(b, slot, strides, chain.shape, gradient)
