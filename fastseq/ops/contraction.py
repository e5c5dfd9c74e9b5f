"""Sums of products of two arrays over labelled axes: what every product of fastseq.ops is made of.

An axis has a label; axes of both arrays with one label go together. Labels that the result has not are summed over.
"""

import itertools
import math
from typing import NamedTuple

from fastseq.native.kinds import ACTIVATION_KINDS
from fastseq.ops.values import MixesTimesteps, Traced, cast, reduce, reordered, view
from fastseq.program import packed_weights, packing, packing_steps
from fastseq.program.gradient_rules import register
from fastseq.program.products import TooManyAxes, matmul_step
from fastseq.program.slots import Slot, strides_of

register("dense", "gradients.products:dense_rule")


class _Read(NamedTuple):
    """An array as it is read: a Slot from its first element on, labels of axes, and the stride of each."""

    slot: Slot
    labels: list
    strides: dict


def sizes_of(p, name, *pairs):
    """Sizes by label of arrays, pairs (labels, shape); one of 1 broadcasts. Raises ValueError where they differ."""
    unknown, sizes = getattr(p, "unknown", ()), {}
    for labels, shape in pairs:
        for label, size in zip(labels, shape):
            before = sizes.get(label, 1)
            if before == 1 or (before in unknown and size != 1):
                sizes[label] = size
            elif size not in (1, before) and size not in unknown:
                shapes = ", ".join(str(tuple(shape)) for _, shape in pairs)
                raise ValueError(
                    f"ops.{name}: arrays of shapes {shapes} do not fit: {before} and {size} along one axis."
                )
    return sizes


def contract(a, b, a_labels, b_labels, result, name="einsum"):
    """The Traced with axes `result` of the products of `a` and `b`, both of one dtype, float32 or int32.

    Each label stands once in `a_labels`, in `b_labels` and in `result`.
    """
    sizes = sizes_of(a.p, name, (a_labels, a.shape), (b_labels, b.shape))
    time = _time(a, b, list(a_labels), list(b_labels), list(result), sizes)
    a, a_labels = _alone(a, list(a_labels), set(b_labels) | set(result))
    b, b_labels = _alone(b, list(b_labels), set(a_labels) | set(result))
    if a.dtype == "int32":
        y = _of_integers(a, b, a_labels, b_labels, list(result), sizes)
    else:
        y = _of_floats(a, b, a_labels, b_labels, list(result), sizes)
    return Traced(y.p, y.slot, time)


def _time(a, b, a_labels, b_labels, result, sizes):
    """The result's axis of timesteps."""
    times = {labels[x.time] for x, labels in ((a, a_labels), (b, b_labels)) if x.time is not None}
    if not times:
        return None
    label = times.pop()
    for x, labels in ((a, a_labels), (b, b_labels)):
        if label in labels and x.time != labels.index(label) and x.shape[labels.index(label)] != 1:
            raise MixesTimesteps("it meets timesteps with values for each of them")
    if times:
        raise MixesTimesteps("it meets timesteps with other timesteps")
    if label not in result:
        raise MixesTimesteps("it takes all timesteps together")
    return result.index(label)


def _alone(x, labels, others):
    """`x` summed over the labels that nothing else has."""
    gone = {i for i, label in enumerate(labels) if label not in others}
    if not gone:
        return x, labels
    untimed = Traced(x.p, x.slot)  # contract has looked at the timesteps
    found = reduce("sum" if x.dtype == "float32" else "sum_int32", untimed, gone, x.dtype)
    return found, [label for i, label in enumerate(labels) if i not in gone]


def _of_integers(a, b, a_labels, b_labels, result, sizes):
    """Sums that wrap around, of one pass."""
    summed = [label for label in a_labels if label not in result]
    order = [*result, *summed]
    shape = [sizes[label] for label in order]
    a, b = (_spread(x, labels, order, shape) for x, labels in ((a, a_labels), (b, b_labels)))
    y = a.p.elementwise("multiply_int32", a.slot, b.slot, dtype="int32")
    y = Traced(a.p, y)
    return reduce("sum_int32", y, set(range(len(result), len(order))), "int32") if summed else y


def _spread(x, labels, order, shape):
    """`x` over all axes of `order`."""
    strides = dict(zip(labels, _strides(x.shape)))
    return view(Traced(x.p, x.slot), shape, [strides.get(label, 0) for label in order])


def _strides(shape):
    """Those of a contiguous array, 0 for sizes of 1."""
    return [0 if size == 1 else stride for size, stride in zip(shape, strides_of(shape))]


# ---- floats ----------------------------------------------------------------------------------------------------------


def _of_floats(a, b, a_labels, b_labels, result, sizes):
    p = a.p
    batch = [label for label in result if label in a_labels and label in b_labels]
    rows = [label for label in result if label in a_labels and label not in b_labels]
    columns = [label for label in result if label in b_labels and label not in a_labels]
    summed = [label for label in a_labels if label not in result]
    if not summed:  # a product of elements
        shape = [sizes[label] for label in result]
        a, b = (_spread(x, labels, result, shape) for x, labels in ((a, a_labels), (b, b_labels)))
        return Traced(p, p.elementwise("multiply", a.slot, b.slot))
    if not batch:
        for one, other, mine, its in ((a, b, rows, columns), (b, a, columns, rows)):
            packed = _weights(p, other, b_labels if other is b else a_labels, summed, its, sizes)
            if packed is not None:
                return _by_weights(one, a_labels if one is a else b_labels, mine, summed, its, packed, result, sizes)
    read_a = _joinable(p, _read(a, a_labels), (rows, summed), sizes)
    read_b = _joinable(p, _read(b, b_labels), (summed, columns), sizes)
    # The result lies as it is wanted, unless rows or columns would stand at no single stride.
    order = result
    if not all(_stride(part, dict(zip(order, strides_of([sizes[i] for i in order]))), sizes) is not None
               for part in (rows, columns)):  # fmt: skip
        order = [*batch, *rows, *columns]
    y = p.new([sizes[label] for label in order])
    y_strides = dict(zip(order, strides_of(y.shape)))
    m, k, n = (math.prod(sizes[label] for label in part) for part in (rows, summed, columns))

    def strides(read, *parts):
        return [*(read[label] if label in read else 0 for label in batch), *(_stride(i, read, sizes) for i in parts)]

    try:
        matmul_step(
            p, read_a.slot, read_b.slot, y, [sizes[label] for label in batch], (m, k, n),
            strides(read_a.strides, rows, summed), strides(read_b.strides, summed, columns),
            strides(y_strides, rows, columns),
        )  # fmt: skip
    except TooManyAxes:
        full = [*batch, *rows, *summed], [*batch, *summed, *columns]
        spread = [_spread(x, own, order, [sizes[i] for i in order])
                  for x, own, order in ((a, a_labels, full[0]), (b, b_labels, full[1]))]  # fmt: skip
        order, y = [*batch, *rows, *columns], p.new([sizes[label] for label in [*batch, *rows, *columns]])
        count = math.prod(sizes[label] for label in batch)
        matmul_step(p, spread[0].slot, spread[1].slot, y, [count], (m, k, n), [m * k, k, 1], [k * n, n, 1],
                    [m * n, n, 1])  # fmt: skip
    return reordered(Traced(p, y), [order.index(label) for label in result])


def _stride(labels, strides, sizes):
    """The one stride at which elements along these axes stand, in their order; None where there is none."""
    kept = [(sizes[label], strides[label]) for label in labels if sizes[label] != 1]
    for (_, before), (size, after) in itertools.pairwise(kept):
        if before != after * size:
            return None
    return kept[-1][1] if kept else 1


def _read(x, labels):
    """`x` as it is read, past a step that only puts its axes in another order."""
    slot, strides = source_of(x)
    return _Read(slot, labels, dict(zip(labels, strides)))


def source_of(x):
    """(Slot, strides) at which the elements of `x` are found, before a step that only made a copy of them."""
    for step in reversed(x.p.steps[-32:]):
        chain = step.get("chain")
        if chain is None or chain.reduction is not None or chain.results[0][1].buffer is not x.slot.buffer:
            continue
        if [name for name, _ in chain.code] != ["copy"] or len(chain.inputs) != 1 or chain.shape != x.shape:
            break
        ((slot, strides),) = chain.inputs
        return (
            (slot, list(strides))
            if slot.dtype == x.dtype and _is_apart(x.shape, strides)
            else (x.slot, _strides(x.shape))
        )
    return x.slot, _strides(x.shape)


def _is_apart(shape, strides):
    """Whether elements that are read at other places are others, but for axes of stride 0."""
    reach = 1
    for stride, size in sorted((stride, size) for stride, size in zip(strides, shape) if size > 1 and stride):
        if stride < reach:
            return False
        reach = stride * size
    return True


def _joinable(p, read, parts, sizes):
    """`read`, copied in another order where the axes of a part stand at no single stride."""
    if all(_stride(part, read.strides, sizes) is not None for part in parts):
        return read
    labels = [label for label in read.labels if not any(label in part for part in parts)] + [*parts[0], *parts[1]]
    strides = [read.strides[label] for label in labels]
    shape = [sizes[label] if stride else 1 for label, stride in zip(labels, strides)]
    if any(sizes[label] != size and label in (*parts[0], *parts[1]) for label, size in zip(labels, shape)):
        shape = [sizes[label] for label in labels]  # what is broadcast over a batch need not be copied for each
    slot = p.view(read.slot, shape, strides)
    return _Read(slot, labels, dict(zip(labels, _strides(shape))))


# ---- weights ---------------------------------------------------------------------------------------------------------


def _weights(p, x, labels, summed, columns, sizes):
    """The packed fields of a dense step, where `x` is a layer's weight of order (summed, columns)."""
    if labels != [*summed, *columns] or not x.size or not columns:
        return None
    shape = math.prod(sizes[label] for label in summed), math.prod(sizes[label] for label in columns)
    if math.prod(shape) != x.size or x.slot.offset or x.slot.size * 4 != x.slot.buffer.nbytes:
        return None
    variable = next((v for v, slot in p.weights.values() if slot.buffer is x.slot.buffer), None)
    if p.trains:
        return None if variable is None else packing_steps.dense(p, x.slot.reshaped(shape), None)
    if variable is None:
        return None
    (w,) = variable.packed(packing.dense_form(*shape), packed_weights.PackedValue)
    return {"w": w, "bias": packing.dense_bias(shape[1], None)}


def _by_weights(x, labels, rows, summed, columns, packed, result, sizes):
    """The product by packed weights, as a Dense layer's."""
    p = x.p
    x = reordered(Traced(p, x.slot), [labels.index(label) for label in [*rows, *summed]])
    order = [*rows, *columns]
    y = p.new([sizes[label] for label in order])
    count, inputs, units = (math.prod(sizes[label] for label in part) for part in (rows, summed, columns))
    p.step(
        "dense", x=x.slot, y=y, **packed, rows=count, inputs=inputs, units=units, x_stride=inputs, y_stride=units,
        activation=ACTIVATION_KINDS["linear"], p0=0.0, p1=0.0, p2=0.0, softmax=0,
    )  # fmt: skip
    return reordered(Traced(p, y), [order.index(label) for label in result])


def product_dtype(values):
    """Values of one dtype that products are taken in: float32 or int32."""
    dtype = "float32" if any(x.dtype == "float32" for x in values) else "int32"
    return [cast(x, dtype) for x in values]
