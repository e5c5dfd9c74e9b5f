"""TensorFlow's functions in files of Keras 2, by the names that a TFOpLambda has for them, as calls of fastseq.ops.

Each is written with TensorFlow's own signature: an argument that is not in it, or has a value with no equivalent, makes
the operation one that is not known.
"""

import inspect
import itertools

from fastseq.saving.keras2_calls import Call, NotKnown, is_tensor

_DTYPES = ("float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
           "uint64", "bool")  # fmt: skip
_MOST_AXES, _LONGEST = 32, 100_000  # the timesteps of a mask, which the model then holds as a constant


def call(name, first, keywords):
    """The Call that a function of TensorFlow is. Raises NotKnown.

    first: its first argument; keywords: all others.
    """
    function = TABLE.get(name) if isinstance(name, str) else None
    if function is None:
        raise NotKnown(name)
    try:
        bound = inspect.signature(function).bind(first, **keywords)
        return function(*bound.args, **bound.kwargs)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
        raise NotKnown(f"{name}: {error}") from error


def _must(condition):
    if not condition:
        raise NotKnown("an argument without an equivalent")


def _whole(value):
    """A list of whole numbers, from one of them or from a list."""
    value = value if isinstance(value, list) else [value]
    _must(all(type(item) is int for item in value))
    return value


def unary(name):
    return lambda x: Call(name, x)


def binary(name):
    return lambda x, y: Call(name, x, y)


def swapped(name):
    return lambda x, y: Call(name, y, x)


def reduction(name):
    return lambda input_tensor, axis=None, keepdims=False: Call(
        name, input_tensor, axis=axis if axis is None or type(axis) is int else _whole(axis), keepdims=bool(keepdims)
    )


def cast(x, dtype):
    _must(dtype in _DTYPES)
    return Call("cast", x, dtype)


def matmul(a, b, transpose_a=False, transpose_b=False, adjoint_a=False, adjoint_b=False, a_is_sparse=False,
           b_is_sparse=False, output_type=None, grad_a=False, grad_b=False):  # fmt: skip
    _must(output_type is None)
    a = Call("swapaxes", a, -1, -2) if transpose_a or adjoint_a else a
    b = Call("swapaxes", b, -1, -2) if transpose_b or adjoint_b else b
    return Call("matmul", a, b)


def l2_normalize(x, axis=None, epsilon=1e-12, dim=None):
    axis = dim if axis is None else axis
    squares = Call("sum", Call("square", x), axis=axis, keepdims=True)
    return Call("multiply", x, Call("rsqrt", Call("maximum", squares, epsilon)))


def norm(tensor, ord="euclidean", axis=None, keepdims=None):
    _must(ord in ("euclidean", 2) and (type(axis) is int or ord == "euclidean"))
    return Call("sqrt", Call("sum", Call("square", tensor), axis=axis, keepdims=bool(keepdims)))


def clip(t, clip_value_min, clip_value_max):
    if is_tensor(clip_value_min) or is_tensor(clip_value_max):
        return Call("maximum", Call("minimum", t, clip_value_max), clip_value_min)
    return Call("clip", t, clip_value_min, clip_value_max)


def squeeze(input, axis=None, squeeze_dims=None):
    axis = squeeze_dims if axis is None else axis
    return Call("squeeze", input, axis=None if axis in (None, []) else _whole(axis))


def transpose(a, perm=None, conjugate=False):
    return Call("transpose", a, axes=None if perm is None else _whole(perm))


def reshape(tensor, shape):
    """A size that is a tensor, as of tf.shape(x)[0], is whatever is left; of two of them nothing is known here."""
    _must(isinstance(shape, list))
    sizes = [-1 if is_tensor(size) else size for size in shape]
    return Call("reshape", tensor, _whole(sizes))


def get_item(tensor, slice_spec, var=None):
    return Call("get_item", tensor, key([*slice_spec] if isinstance(slice_spec, list) else [slice_spec]))


def key(parts):
    """The key of an index, as Keras 3 writes it."""

    def part(value):
        if value is None or type(value) is int:
            return value
        _must(isinstance(value, dict))
        if value.get("class_name") == "__ellipsis__":
            return {"class_name": "__ellipsis__", "config": {}}
        bounds = value.get("config", value)
        found = {name: bounds[name] for name in ("start", "stop", "step")}
        _must(all(bound is None or type(bound) is int for bound in found.values()))
        return {"class_name": "__slice__", "config": found}

    return [part(value) for value in parts]


def bounds(start, stop, step=None):
    """A slice, as a file has it."""
    return {"start": start, "stop": stop, "step": step}


def cut(input_, begin, size):
    """tf.slice: `size` elements from `begin` on, -1 for all that are left."""
    pairs = zip(_whole(begin), _whole(size), strict=True)
    return get_item(input_, [bounds(start, None if n == -1 else start + n) for start, n in pairs])


def strided_slice(input_, begin, end, strides=None, begin_mask=0, end_mask=0, ellipsis_mask=0, new_axis_mask=0,
                  shrink_axis_mask=0, var=None):  # fmt: skip
    begin, end = _whole(begin), _whole(end)
    strides = [1] * len(begin) if strides is None else _whole(strides)
    parts = []
    for at, (start, stop, step) in enumerate(zip(begin, end, strides, strict=True)):
        bit = 1 << at
        if ellipsis_mask & bit:
            parts.append({"class_name": "__ellipsis__"})
        elif new_axis_mask & bit:
            parts.append(None)
        elif shrink_axis_mask & bit:
            parts.append(start)
        else:
            parts.append(bounds(None if begin_mask & bit else start, None if end_mask & bit else stop, step))
    return get_item(input_, parts)


def split(value, num_or_size_splits, axis=0, num=None):
    sections = num_or_size_splits
    if isinstance(sections, list):
        _must(-1 not in sections)
        sections = list(itertools.accumulate(_whole(sections)))[:-1]
    return Call("split", value, sections, axis=axis)


def gather(params, indices, validate_indices=None, axis=None, batch_dims=0):
    _must(batch_dims in (0, None))
    return Call("take", params, indices, axis=0 if axis is None else axis)


def pad(tensor, paddings, mode="CONSTANT", constant_values=0):
    _must(isinstance(mode, str) and mode.lower() in ("constant", "reflect", "symmetric"))
    if mode.lower() == "constant":
        return Call("pad", tensor, paddings, "constant", constant_values)
    return Call("pad", tensor, paddings, mode.lower())


def where(condition, x=None, y=None):
    _must(x is not None and y is not None)
    return Call("where", condition, x, y)


def one_hot(indices, depth, on_value=None, off_value=None, axis=None, dtype=None):
    _must(dtype is None or dtype in _DTYPES)
    axis = -1 if axis is None else axis
    if on_value in (None, 1) and off_value in (None, 0):
        return Call("one_hot", indices, depth, axis=axis, dtype=dtype or "float32")
    values = [default if value is None else value for value, default in ((on_value, 1), (off_value, 0))]
    dtype = dtype or ("float32" if float in map(type, values) else "int32")
    return Call("cast", Call("where", Call("one_hot", indices, depth, axis=axis, dtype="bool"), *values), dtype)


def cumulated(name, neutral):
    """neutral: the function of what an exclusive sum or product begins with."""

    def function(x, axis=0, exclusive=False, reverse=False):
        _must(type(axis) is int and -_MOST_AXES <= axis < _MOST_AXES)
        x = Call("flip", x, axis=axis) if reverse else x
        if exclusive:
            first = get_item(x, along(axis, 0, 1))
            x = Call("concatenate", [Call(neutral, first), get_item(x, along(axis, None, -1))], axis=axis)
        x = Call(name, x, axis=axis)
        return Call("flip", x, axis=axis) if reverse else x

    return function


def along(axis, start, stop):
    """The index of a slice along one axis, counted from the front or from the back."""
    own, whole = bounds(start, stop), bounds(None, None)
    return [*[whole] * axis, own] if axis >= 0 else [{"class_name": "__ellipsis__"}, own, *[whole] * (-1 - axis)]


def arg(name):
    def function(input, axis=None, output_type=None, dimension=None):
        axis = dimension if axis is None else axis
        return Call(name, input, axis=0 if axis is None else axis)

    return function


def divide_no_nan(x, y):
    return Call("where", Call("equal", y, 0.0), 0.0, Call("divide", x, y))


def times_no_nan(function):
    """x * function(y), and 0 where x is 0."""
    return lambda x, y: Call("where", Call("equal", x, 0.0), 0.0, Call("multiply", x, function(y)))


def sigmoid_cross_entropy(labels, logits):
    lost = Call("subtract", Call("relu", logits), Call("multiply", logits, labels))
    return Call("add", lost, Call("log1p", Call("exp", Call("negative", Call("absolute", logits)))))


def sequence_mask(lengths, maxlen=None, dtype="bool"):
    _must(type(maxlen) is int and 0 < maxlen <= _LONGEST and dtype in _DTYPES)
    return Call("cast", Call("less", list(range(maxlen)), Call("expand_dims", lengths, -1)), dtype)


def ordered(name):
    def function(values, axis=-1, direction="ASCENDING", stable=False):
        _must(direction == "ASCENDING")
        return Call(name, values, axis=axis)

    return function


def add_n(inputs):
    total, *others = inputs if isinstance(inputs, list) else [inputs]
    for other in others:
        total = Call("add", total, other)
    _must(isinstance(total, Call))
    return total


def band_part(input, num_lower, num_upper):
    _must((num_lower, num_upper) in ((-1, 0), (0, -1)))
    return Call("tril" if num_lower == -1 else "triu", input)


def like(name):
    def function(input, dtype=None, optimize=True):
        _must(dtype is None or dtype in _DTYPES)
        return Call(name, input, dtype=dtype)

    return function


def silu(features, beta=1.0):
    _must(beta == 1)
    return Call("silu", features)


TABLE = {
    "__operators__.getitem": get_item,
    "cast": cast,
    "linalg.matmul": matmul,
    "math.l2_normalize": l2_normalize,
    "norm": norm,
    "compat.v1.norm": norm,
    "clip_by_value": clip,
    "squeeze": squeeze,
    "compat.v1.squeeze": squeeze,
    "transpose": transpose,
    "compat.v1.transpose": transpose,
    "reshape": reshape,
    "slice": cut,
    "strided_slice": strided_slice,
    "split": split,
    "gather": gather,
    "compat.v1.gather": gather,
    "pad": pad,
    "compat.v1.pad": pad,
    "where": where,
    "compat.v2.where": where,
    "one_hot": one_hot,
    "math.cumsum": cumulated("cumsum", "zeros_like"),
    "math.cumprod": cumulated("cumprod", "ones_like"),
    "math.argmax": arg("argmax"),
    "math.argmin": arg("argmin"),
    "compat.v1.argmax": arg("argmax"),
    "compat.v1.argmin": arg("argmin"),
    "math.divide_no_nan": divide_no_nan,
    "math.reciprocal_no_nan": lambda x: divide_no_nan(1.0, x),
    "math.xlogy": times_no_nan(unary("log")),
    "math.xlog1py": times_no_nan(unary("log1p")),
    "math.xdivy": lambda x, y: Call("where", Call("equal", x, 0.0), 0.0, Call("divide", x, y)),
    "math.reduce_euclidean_norm": lambda input_tensor, axis=None, keepdims=False: norm(
        input_tensor, axis=axis, keepdims=keepdims
    ),
    "compat.v1.nn.sigmoid_cross_entropy_with_logits": sigmoid_cross_entropy,
    "nn.sigmoid_cross_entropy_with_logits": sigmoid_cross_entropy,
    "sequence_mask": sequence_mask,
    "sort": ordered("sort"),
    "argsort": ordered("argsort"),
    "math.top_k": lambda input, k=1, sorted=True: Call("top_k", input, k, sorted=sorted),
    "linalg.trace": lambda x: Call("trace", x, axis1=-2, axis2=-1),
    "linalg.diag_part": lambda input, k=0: Call("diagonal", input, offset=k, axis1=-2, axis2=-1),
    "compat.v1.nn.crelu": lambda features, axis=-1: Call(
        "concatenate", [Call("relu", features), Call("relu", Call("negative", features))], axis=axis
    ),
    "math.add_n": add_n,
    "linalg.band_part": band_part,
    "zeros_like": like("zeros_like"),
    "ones_like": like("ones_like"),
    "compat.v1.zeros_like": like("zeros_like"),
    "compat.v1.ones_like": like("ones_like"),
    "nn.silu": silu,
    "nn.swish": silu,
    "nn.bias_add": lambda value, bias, data_format=None: Call("add", value, bias),
    "math.squared_difference": lambda x, y: Call("square", Call("subtract", x, y)),
    "expand_dims": lambda input, axis=None: Call("expand_dims", input, axis),
    "compat.v1.expand_dims": lambda input, axis=None, dim=None: Call(
        "expand_dims", input, dim if axis is None else axis
    ),
    "concat": lambda values, axis: Call("concatenate", values, axis=axis),
    "stack": lambda values, axis=0: Call("stack", values, axis=axis),
    "unstack": lambda value, num=None, axis=0: Call("unstack", value, num=num, axis=axis),
    "tile": lambda input, multiples: Call("tile", input, _whole(multiples)),
    "repeat": lambda input, repeats, axis=None: Call("repeat", input, repeats, axis=axis),
    "broadcast_to": lambda input, shape: Call("broadcast_to", input, _whole(shape)),
    "reverse": lambda tensor, axis: Call("flip", tensor, axis=_whole(axis)),
    "roll": lambda input, shift, axis: Call("roll", input, shift, axis=axis),
    "tensordot": lambda a, b, axes: Call("tensordot", a, b, axes=axes),
    "nn.softmax": lambda logits, axis=None: Call("softmax", logits, axis=-1 if axis is None else axis),
    "nn.log_softmax": lambda logits, axis=None: Call("log_softmax", logits, axis=-1 if axis is None else axis),
    "nn.leaky_relu": lambda features, alpha=0.2: Call("leaky_relu", features, negative_slope=alpha),
    "nn.gelu": lambda features, approximate=False: Call("gelu", features, approximate=approximate),
    "math.round": unary("round"),
    "identity": unary("copy"),
    "stop_gradient": unary("stop_gradient"),
}
TABLE.update(
    {f"math.{old}": reduction(new) for old, new in (
        ("reduce_sum", "sum"), ("reduce_mean", "mean"), ("reduce_max", "max"), ("reduce_min", "min"),
        ("reduce_prod", "prod"), ("reduce_any", "any"), ("reduce_all", "all"), ("reduce_std", "std"),
        ("reduce_variance", "var"), ("reduce_logsumexp", "logsumexp"),
    )}
)  # fmt: skip
for _name in ("sum", "mean", "max", "min", "prod", "any", "all", "logsumexp"):
    TABLE[f"reduce_{_name}"] = TABLE[f"math.reduce_{_name}"]
_BINARY = {
    "add": "add", "subtract": "subtract", "multiply": "multiply", "truediv": "divide", "divide": "divide",
    "floordiv": "floor_divide", "floormod": "mod", "mod": "mod", "pow": "power", "maximum": "maximum",
    "minimum": "minimum", "greater": "greater", "greater_equal": "greater_equal", "less": "less",
    "less_equal": "less_equal", "equal": "equal", "not_equal": "not_equal", "logical_and": "logical_and",
    "logical_or": "logical_or", "logical_xor": "logical_xor", "atan2": "arctan2",
}  # fmt: skip
TABLE.update({f"math.{old}": binary(new) for old, new in _BINARY.items()})
TABLE.update({old: binary(new) for old, new in _BINARY.items() if old in (
    "add", "subtract", "multiply", "truediv", "pow", "maximum", "minimum", "greater", "less", "equal", "not_equal")
})  # fmt: skip
for _old, _new in (("add", "add"), ("sub", "subtract"), ("mul", "multiply"), ("truediv", "divide"), ("div", "divide"),
                   ("floordiv", "floor_divide"), ("mod", "mod"), ("pow", "power"), ("matmul", "matmul"),
                   ("and", "logical_and"), ("or", "logical_or"), ("xor", "logical_xor")):  # fmt: skip
    TABLE[f"__operators__.{_old}"] = binary(_new)
    TABLE[f"__operators__.r{_old}"] = swapped(_new)
for _old, _new in (("eq", "equal"), ("ne", "not_equal"), ("lt", "less"), ("le", "less_equal"), ("gt", "greater"),
                   ("ge", "greater_equal")):  # fmt: skip
    TABLE[f"__operators__.{_old}"] = binary(_new)
for _old, _new in (("neg", "negative"), ("abs", "absolute"), ("invert", "logical_not")):
    TABLE[f"__operators__.{_old}"] = unary(_new)
_UNARY = {
    "abs": "absolute", "negative": "negative", "exp": "exp", "expm1": "expm1", "log": "log", "log1p": "log1p",
    "sqrt": "sqrt", "rsqrt": "rsqrt", "square": "square", "reciprocal": "reciprocal", "tanh": "tanh", "sin": "sin",
    "cos": "cos", "tan": "tan", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "sinh": "sinh", "cosh": "cosh",
    "sign": "sign", "floor": "floor", "ceil": "ceil", "erf": "erf", "sigmoid": "sigmoid", "softplus": "softplus",
    "softsign": "softsign", "log_sigmoid": "log_sigmoid", "logical_not": "logical_not", "is_nan": "isnan",
    "is_inf": "isinf", "is_finite": "isfinite", "erfc": "erfc", "erfinv": "erfinv", "asinh": "arcsinh",
    "acosh": "arccosh", "atanh": "arctanh", "rint": "round", "bessel_i0": "i0",
}  # fmt: skip
TABLE.update({f"math.{old}": unary(new) for old, new in _UNARY.items()})
TABLE.update({old: unary(new) for old, new in _UNARY.items() if old in (
    "abs", "negative", "exp", "sqrt", "square", "tanh", "sin", "cos", "sign", "floor", "sigmoid")
})  # fmt: skip
TABLE.update(
    {f"nn.{name}": unary(name) for name in ("relu", "relu6", "elu", "selu", "sigmoid", "softplus", "softsign")}
)
TABLE["nn.tanh"] = unary("tanh")
