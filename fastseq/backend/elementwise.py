"""The backend's functions of each element, and its activations."""

from fastseq import ops
from fastseq.backend.documented import ARRAY, SAME, documented, same, two
from fastseq.ops import activation_classes

_FLOAT = "float32 array; integers and booleans are taken as float32."
_BOTH = "An array of the dtype that both have together: float32 before int32 before bool."

abs, cos, exp, log, sign, sin, square, tanh = map(
    same, ("abs", "cos", "exp", "log", "sign", "sin", "square", "tanh")
)  # fmt: skip
sigmoid, softplus, softsign, elu = map(same, ("sigmoid", "softplus", "softsign", "elu"))

equal = two("equal", "Whether two elements are equal.", "[1.0, 2.0], 2.0")
not_equal = two("not_equal", "Whether two elements differ.", "[1.0, 2.0], 2.0")
greater = two("greater", "Whether `x > y`.", "[1.0, 2.0], 1.0")
greater_equal = two("greater_equal", "Whether `x >= y`.", "[1.0, 2.0], 1.0")
less = two("less", "Whether `x < y`.", "[1.0, 2.0], 2.0")
less_equal = two("less_equal", "Whether `x <= y`.", "[1.0, 2.0], 2.0")
maximum = two("maximum", "The larger of two elements; a NaN where one is.", "[1.0, 4.0], 3.0", _BOTH)
minimum = two("minimum", "The smaller of two elements; a NaN where one is.", "[1.0, 4.0], 3.0", _BOTH)


@documented("Square root, of zero for negative numbers, as in Keras 2.", {"x": ARRAY}, _FLOAT,
            "backend.sqrt([-1.0, 4.0])")  # fmt: skip
def sqrt(x):
    return ops.sqrt(ops.maximum(x, 0.0))


@documented(
    "`x ** a`.",
    {"x": ARRAY, "a": "(int, float or array): The exponent."},
    "An array of the dtype that both have together.",
    "backend.pow([2.0, 3.0], 2)",
)
def pow(x, a):
    return ops.power(x, a)


@documented("The nearest whole number, the even one of two.", {"x": ARRAY}, SAME, "backend.round([0.5, 1.5, 2.4])")
def round(x):
    return ops.round(x)


@documented(
    "`x` kept between two values.",
    {"x": ARRAY, "min_value": "(float or array): The lower one; None is no bound.",
     "max_value": "(float or array): The upper one; None is no bound, and a number below `min_value` is that value."},
    SAME,
    "backend.clip([-1.0, 0.5, 3.0], 0, 1)",
)  # fmt: skip
def clip(x, min_value, max_value):
    if isinstance(min_value, (int, float)) and isinstance(max_value, (int, float)):
        max_value = max_value if max_value >= min_value else min_value
    return ops.clip(x, min_value, max_value)


@documented(
    "`activations.relu` with the argument names of Keras 2.",
    {"x": ARRAY, "alpha": "(float, default 0.0): The slope below the threshold.",
     "max_value": "(float, default None): Largest value; None is no bound.",
     "threshold": "(float, default 0.0): Where the output begins to be x."},
    _FLOAT,
    "backend.relu([-1.0, 2.0], alpha=0.5)",
)  # fmt: skip
def relu(x, alpha=0.0, max_value=None, threshold=0.0):
    return activation_classes.relu(x, alpha, max_value, threshold)


@documented("The sigmoid of Keras 2 that is made of lines: `0.2 * x + 0.5`, at least 0 and at most 1.", {"x": ARRAY},
            _FLOAT, "backend.hard_sigmoid([-3.0, 0.0, 1.0])")  # fmt: skip
def hard_sigmoid(x):
    return ops.clip(ops.add(ops.multiply(x, 0.2), 0.5), 0.0, 1.0)


@documented(
    "`exp(x)` over its sum along an axis.",
    {"x": "(array): Of two axes at least.", "axis": "(int, default -1): The axis whose elements go together."},
    _FLOAT,
    "backend.softmax([[0.0, 0.0]])",
    {"ValueError": "An array of fewer axes, as in Keras 2, or an axis that is not there."},
)
def softmax(x, axis=-1):
    if ops.ndim(x) <= 1:
        raise ValueError(f"Cannot apply softmax to a tensor that is {ops.ndim(x)}D: it needs two axes at least.")
    return ops.softmax(x, axis)
