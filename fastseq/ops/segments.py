"""Elements taken together by numbers that say where they belong, and counted. https://keras.io/api/ops/core/"""

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.ops import elementwise as e
from fastseq.ops import places as steps
from fastseq.ops.call_errors import names_its_errors
from fastseq.ops.creation import linspace
from fastseq.ops.documented import ARRAY, documented
from fastseq.ops.joining import part
from fastseq.ops.operation import operation
from fastseq.ops.reductions import reduced
from fastseq.ops.shapes import ravel
from fastseq.ops.values import (
    MixesTimesteps,
    Traced,
    broadcast,
    cast,
    common_dtype,
    elementwise,
    is_number,
    lift,
    together,
)
from fastseq.tensors import arrays
from fastseq.tensors.symbolic import KerasTensor
from fastseq.tensors.variable import Variable

_LOWEST = {"float32": float(np.finfo(np.float32).min), "int32": -(2**31)}
_HIGHEST = {"float32": float(np.finfo(np.float32).max), "int32": 2**31 - 1}
_SEGMENTS = {
    "data": ARRAY,
    "segment_ids": "(int32 array (n,)): To which segment each entry of the first axis belongs; below 0 to none.",
    "num_segments": "(int, default None): How many segments. None counts them by values, which needs arrays, where the "
    "numbers are known.",
    "sorted": "(bool, default False): Whether the numbers ascend; then num_segments is None.",
}
_RAISES = {
    "ValueError": "Numbers that are not one for each entry, or sorted=True with num_segments.",
    "IndexError": "A number from num_segments on.",
    "UnsupportedError": "num_segments=None of numbers that are not known before they are computed.",
}


def _known(values, name, instead):
    """An array whose values are known. Raises UnsupportedError for one that is computed."""
    if isinstance(values, (Traced, KerasTensor)):
        raise UnsupportedError(
            f"ops.{name}: the shape of its result depends on values, which a program for fixed shapes cannot have. "
            + instead
        )
    return values.numpy() if isinstance(values, Variable) else arrays.standardize(values, f"ops.{name}()")


def _count_of(kind, segment_ids, sorted):
    """How many segments TensorFlow makes of these numbers."""
    ids = _known(segment_ids, f"segment_{kind}", "Give num_segments.")
    if not ids.size:
        return 0
    if sorted:
        return int(ids[-1]) + 1
    return len(np.unique(ids)) if kind == "sum" else int(ids.max()) + 1


def _put_to_segments(kind, data, ids, count, empty):
    """kind: a name of PUT_KINDS; empty: what stands in a segment without entries."""
    name = "sum" if kind == "add" else "prod" if kind == "mul" else kind
    unknown = getattr(data.p, "unknown", ())
    if ids.ndim != 1 or data.ndim == 0 or (data.shape[0] != ids.shape[0] and data.shape[0] not in unknown):
        raise ValueError(
            f"ops.segment_{name}: a number for each entry of the first axis is wanted, got {ids.shape} for an array of "
            f"shape {data.shape}."
        )
    if data.time is not None or ids.time is not None:
        raise MixesTimesteps("it takes entries together by their numbers")
    if count == 0 and data.shape[0] == 0:
        return lift(data.p, np.zeros((0, *data.shape[1:]), data.dtype))
    ids = cast(ids, "int32")
    none = elementwise("less_int32", ids, 0, dtype="bool")
    steps.checked(data.p, elementwise("select", none, 0, ids, dtype="int32"), count, f"segment_{name}", wraps=False)
    # What belongs to no segment goes into one behind the last.
    places = elementwise("select", none, count, ids, dtype="int32")
    data = cast(data, "int32") if data.dtype == "bool" else data
    shape = (count + 1, *data.shape[1:])
    inner = int(np.prod(shape[1:], dtype=np.int64))
    before = None
    if kind != "add":
        before = broadcast(lift(data.p, np.asarray(empty[data.dtype], data.dtype)), shape)
    return part(steps.scatter(before, places, data, shape, (1, count + 1, inner), kind), 0, 0, count)


def _segments(class_name, kind, summary, empty, example):
    """The public function around the operation, which counts segments where it is not told how many."""
    name = "sum" if kind == "add" else "prod" if kind == "mul" else kind

    def body(data, segment_ids, num_segments=None, sorted=False):
        if num_segments is None:
            raise UnsupportedError(f"ops.segment_{name}: num_segments is wanted, where a program is made for shapes.")
        found = _put_to_segments(kind, data, segment_ids, int(num_segments), empty)
        if not sorted or kind == "add":
            return found
        some = _put_to_segments("add", lift(data.p, np.ones(segment_ids.shape, np.int32)), segment_ids,
                                int(num_segments), None)  # fmt: skip
        some = Traced(some.p, some.slot.reshaped((*some.shape, *[1] * (found.ndim - 1))))
        return e.where(e.greater(some, 0), found, {"max": 0, "min": 0}.get(kind, 1))

    body.__name__ = body.__qualname__ = f"segment_{name}"
    made = operation(class_name, "math", options=("num_segments", "sorted"))(body)

    def decorate(function):
        def call(data, segment_ids, num_segments=None, sorted=False):
            if sorted and num_segments is not None:
                raise ValueError(f"ops.segment_{name}: num_segments is None where sorted is True, as in Keras.")
            count = _count_of(name, segment_ids, sorted) if num_segments is None else num_segments
            return made(data, segment_ids, count, sorted)

        call.__name__ = call.__qualname__ = function.__name__
        call.__module__ = function.__module__
        call.definition = made.definition
        returns = "An array (num_segments, ...) of the dtype of `data`, int32 of booleans."
        return documented(summary, _SEGMENTS, returns, example, _RAISES)(call)

    return decorate


@_segments("SegmentSum", "add", "The sum of each segment; 0 of one without entries.", None,
           "ops.segment_sum([1.0, 2.0, 3.0], [0, 1, 0], 2)\narray([4., 2.], dtype=float32)")  # fmt: skip
def segment_sum(data, segment_ids, num_segments=None, sorted=False): ...


@_segments("SegmentMax", "max", "The largest of each segment; of one without entries the smallest number there is, "
           "0 where sorted is True.", _LOWEST,
           "ops.segment_max([1.0, 2.0, 3.0], [0, 1, 0], 2)\narray([3., 2.], dtype=float32)")  # fmt: skip
def segment_max(data, segment_ids, num_segments=None, sorted=False): ...


@_segments("SegmentMin", "min", "The smallest of each segment; of one without entries the largest number there is, "
           "0 where sorted is True.", _HIGHEST,
           "ops.segment_min([1.0, 2.0, 3.0], [0, 1, 0], 2)\narray([1., 2.], dtype=float32)")  # fmt: skip
def segment_min(data, segment_ids, num_segments=None, sorted=False): ...


@_segments("SegmentProd", "mul", "The product of each segment; 1 of one without entries.", {"float32": 1.0, "int32": 1},
           "ops.segment_prod([1.0, 2.0, 3.0], [0, 1, 0], 2)\narray([3., 2.], dtype=float32)")  # fmt: skip
def segment_prod(data, segment_ids, num_segments=None, sorted=False): ...


# ---- counts ----------------------------------------------------------------------------------------------------------


@operation("Bincount", options=("minlength", "sparse"), plain=("length",))
def _counted(x, weights, length, minlength=0, sparse=False):
    rows, n = (1, x.shape[0]) if x.ndim == 1 else x.shape
    x = cast(x, "int32")
    weights = broadcast(lift(x.p, np.array(1, np.int32)), x.shape) if weights is None else weights
    weights = cast(weights, "int32") if weights.dtype == "bool" else weights
    found = steps.scatter(None, x, weights, (*x.shape[:-1], length), (rows, length, 1), "add", own=True)
    return found if n else e.zeros_like(found)


@names_its_errors
@documented(
    "How often each number from 0 on stands in an array; the result is as long as the largest one asks for, so the "
    "array's values have to be known. `ops.segment_sum` with num_segments has a fixed shape.",
    {"x": "(int32 array (n,) or (rows, n)): Numbers from 0 on.",
     "weights": "(array, default None): What each counts; None is 1.",
     "minlength": "(int, default 0): How long the result is at least.", "sparse": "(bool): True is not supported."},
    "int32 array, or of the dtype of `weights`, (length,) or (rows, length).",
    "ops.bincount([1, 2, 2])\narray([0, 1, 2], dtype=int32)",
    {"ValueError": "Other axes, weights of another shape, or a number below 0.",
     "UnsupportedError": "Values that are not known before they are computed, or sparse=True."},
)  # fmt: skip
def bincount(x, weights=None, minlength=0, sparse=False):
    if sparse:
        raise UnsupportedError("ops.bincount: fastseq has no sparse arrays, sparse=True is not supported.")
    x = _known(x, "bincount", "Take ops.segment_sum with num_segments.").astype(np.int32)
    shape = None if weights is None else tuple(weights.shape if hasattr(weights, "shape") else np.shape(weights))
    if x.ndim not in (1, 2) or shape not in (None, x.shape):
        raise ValueError(f"ops.bincount takes (n,) or (rows, n) and weights of that shape, got {x.shape} and {shape}.")
    if x.size and x.min() < 0:
        raise ValueError(f"ops.bincount: numbers from 0 on are wanted, got {x.min()}.")
    length = max(int(x.max()) + 1 if x.size else 0, int(minlength))
    if not x.size or not length:
        return np.zeros((*x.shape[:-1], length), "int32" if weights is None else common_dtype(weights, 0))
    return _counted(x, weights, length)


@operation("Histogram", options=("bins", "range"))
@documented(
    "How many elements lie between bounds at equal distances; the last one includes its upper bound.",
    {"x": "(array (n,)): The elements.", "bins": "(int, default 10): How many distances.",
     "range": "(tuple of two numbers, default None): The first and the last bound; None is the smallest and largest "
     "element. What lies outside is not counted."},
    "(float32 array (bins,), float32 array (bins + 1,) of bounds).",
    "ops.histogram([0.0, 1.0, 1.5, 2.0], bins=2)\n(array([1., 3.], dtype=float32), array([0., 1., 2.], dtype=float32))",
    {"TypeError": "bins that are no int.", "ValueError": "bins below 1, more than one axis, or a range that descends."},
)  # fmt: skip
def histogram(x, bins=10, range=None):
    if not isinstance(bins, int):
        raise TypeError(f"Argument `bins` must be of type `int`. Received: bins={bins}")
    if bins < 1 or x.ndim > 1:
        raise ValueError(f"ops.histogram takes (n,) and bins from 1 on, got shape {x.shape} and bins={bins}.")
    if range and (len(range) != 2 or range[1] < range[0]):
        raise ValueError(f"ops.histogram: range={range} is not two ascending numbers.")
    if x.time is not None:
        raise MixesTimesteps("it takes all timesteps together")
    x = ravel(cast(x, "float32"))
    low, high = (float(range[0]), float(range[1])) if range else (
        reduced("min", x, None, False, "histogram"), reduced("max", x, None, False, "histogram"))  # fmt: skip
    bounds = linspace(lift(x.p, np.array(low, np.float32)) if is_number(low) else low, high, bins + 1)
    inside = e.logical_and(e.greater_equal(x, low), e.less_equal(x, high))
    places = steps.searched(part(bounds, 0, 1, bins - 1), x, True)
    return steps.scatter(None, places, cast(inside, "float32"), (bins,), (1, bins, 1), "add"), bounds


@operation("IsIn", options=("assume_unique", "invert"))
@documented(
    "Whether each element stands in another array.",
    {"x1": ARRAY, "x2": ARRAY, "assume_unique": "(bool, default False): Changes nothing.",
     "invert": "(bool, default False): Whether it does not, instead; as in Keras False where `x2` is empty."},
    "bool array of the shape of `x1`.",
    "ops.isin([1, 2, 3], [3, 5])\narray([False, False,  True])",
)  # fmt: skip
def isin(x1, x2, assume_unique=False, invert=False):
    (x1, x2), _ = together(x1, x2)
    p = x1.p if isinstance(x1, Traced) else x2.p
    x1, x2 = lift(p, x1), ravel(lift(p, x2))
    one = Traced(p, x1.slot.reshaped((*x1.shape, 1)), x1.time)
    found = reduced("max_int32", e.equal(one, x2), -1, False, "isin", "bool") if x2.size else e.equal(x1, 0)
    if not x2.size:
        return e.logical_and(found, False)
    return e.logical_not(found) if invert else found
