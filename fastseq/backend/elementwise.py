"""The backend's functions of each element, and its activations."""

from fastseq import ops
from fastseq.backend.documented import ARRAY, SAME, documented, same, two
from fastseq.ops import activation_classes

_FLOAT = "float32 array; integers and booleans are taken as float32."
_BOTH = "An array of the dtype that both have together: float32 before int32 before bool."

abs = same("abs", "backend.abs([-1.0, 2.0])\narray([1., 2.], dtype=float32)")
cos = same("cos", "backend.cos([0.0, 1.0])\narray([1.       , 0.5403023], dtype=float32)")
exp = same("exp", "backend.exp([0.0, 1.0])\narray([1.       , 2.7182817], dtype=float32)")
log = same("log", "backend.log([0.0, 1.0])\narray([-inf,   0.], dtype=float32)")
sign = same("sign", "backend.sign([-3.0, 0.0, 2.0])\narray([-1.,  0.,  1.], dtype=float32)")
sin = same("sin", "backend.sin([0.0, 1.0])\narray([0.        , 0.84147096], dtype=float32)")
square = same("square", "backend.square([-1.0, 3.0])\narray([1., 9.], dtype=float32)")
tanh = same("tanh", "backend.tanh([0.0, 1.0])\narray([0.       , 0.7615942], dtype=float32)")
sigmoid = same("sigmoid", "backend.sigmoid([0.0, 1.0])\narray([0.5      , 0.7310586], dtype=float32)")
softplus = same("softplus", "backend.softplus([0.0, 1.0])\narray([0.6931472, 1.3132617], dtype=float32)")
softsign = same("softsign", "backend.softsign([0.0, 1.0])\narray([0. , 0.5], dtype=float32)")
elu = same("elu", "backend.elu([-1.0, 2.0])\narray([-0.63212055,  2.        ], dtype=float32)")

equal = two("equal", "Whether two elements are equal.", "backend.equal([1.0, 2.0], 2.0)\narray([False,  True])")
not_equal = two(
    "not_equal", "Whether two elements differ.", "backend.not_equal([1.0, 2.0], 2.0)\narray([ True, False])"
)
greater = two("greater", "Whether `x > y`.", "backend.greater([1.0, 2.0], 1.0)\narray([False,  True])")
greater_equal = two(
    "greater_equal", "Whether `x >= y`.", "backend.greater_equal([1.0, 2.0], 1.0)\narray([ True,  True])"
)
less = two("less", "Whether `x < y`.", "backend.less([1.0, 2.0], 2.0)\narray([ True, False])")
less_equal = two("less_equal", "Whether `x <= y`.", "backend.less_equal([1.0, 2.0], 2.0)\narray([ True,  True])")
maximum = two(
    "maximum",
    "The larger of two elements; a NaN where one is.",
    "backend.maximum([1.0, 4.0], 3.0)\narray([3., 4.], dtype=float32)",
    _BOTH,
)
minimum = two(
    "minimum",
    "The smaller of two elements; a NaN where one is.",
    "backend.minimum([1.0, 4.0], 3.0)\narray([1., 3.], dtype=float32)",
    _BOTH,
)


@documented("Square root, of zero for negative numbers, as in Keras 2.", {"x": ARRAY}, _FLOAT,
            "backend.sqrt([-1.0, 4.0])\n"
    'array([0., 2.], dtype=float32)')  # fmt: skip
def sqrt(x):
    return ops.sqrt(ops.maximum(x, 0.0))


@documented(
    "`x ** a`.",
    {"x": ARRAY, "a": "(int, float or array): The exponent."},
    "An array of the dtype that both have together.",
    "backend.pow([2.0, 3.0], 2)\narray([4., 9.], dtype=float32)",
)
def pow(x, a):
    return ops.power(x, a)


@documented(
    "The nearest whole number, the even one of two.",
    {"x": ARRAY},
    SAME,
    "backend.round([0.5, 1.5, 2.4])\narray([0., 2., 2.], dtype=float32)",
)
def round(x):
    return ops.round(x)


@documented(
    "`x` kept between two values.",
    {"x": ARRAY, "min_value": "(float or array): The lower one; None is no bound.",
     "max_value": "(float or array): The upper one; None is no bound, and a number below `min_value` is that value."},
    SAME,
    "backend.clip([-1.0, 0.5, 3.0], 0, 1)\n"
    'array([0. , 0.5, 1. ], dtype=float32)',
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
    "backend.relu([-1.0, 2.0], alpha=0.5)\n"
    'array([-0.5,  2. ], dtype=float32)',
)  # fmt: skip
def relu(x, alpha=0.0, max_value=None, threshold=0.0):
    return activation_classes.relu(x, alpha, max_value, threshold)


@documented("The sigmoid of Keras 2 that is made of lines: `0.2 * x + 0.5`, at least 0 and at most 1.", {"x": ARRAY},
            _FLOAT, "backend.hard_sigmoid([-3.0, 0.0, 1.0])\n"
    'array([0. , 0.5, 0.7], dtype=float32)')  # fmt: skip
def hard_sigmoid(x):
    return ops.clip(ops.add(ops.multiply(x, 0.2), 0.5), 0.0, 1.0)


@documented(
    "`exp(x)` over its sum along an axis.",
    {"x": "(array): Of two axes at least.", "axis": "(int, default -1): The axis whose elements go together."},
    _FLOAT,
    "backend.softmax([[0.0, 0.0]])\narray([[0.5, 0.5]], dtype=float32)",
    {"ValueError": "An array of fewer axes, as in Keras 2, or an axis that is not there."},
)
def softmax(x, axis=-1):
    if ops.ndim(x) <= 1:
        raise ValueError(f"Cannot apply softmax to a tensor that is {ops.ndim(x)}D: it needs two axes at least.")
    return ops.softmax(x, axis)
