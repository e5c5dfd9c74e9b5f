"""What numbers are: NaN, infinite, near each other, parts of complex ones; and other dtypes. https://keras.io/api/ops/"""

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.ops import elementwise as e
from fastseq.ops.creation import zeros_like
from fastseq.ops.documented import ARRAY, NO_BROADCAST, NO_DTYPE, documented
from fastseq.ops.elementwise import BOOL, FLOAT
from fastseq.ops.operation import operation
from fastseq.ops.reductions import all as all_of
from fastseq.ops.values import cast, elementwise, together, working_dtype
from fastseq.tensors import settings

_INF = float("inf")
_MOST = float(np.finfo(np.float32).max)


def _question(class_name, summary, example):
    """A question to each float; the body gets it as float32."""

    def decorate(body):
        def function(x):
            return body(cast(x, "float32"))

        function.__name__ = function.__qualname__ = body.__name__
        function.__module__ = body.__module__
        return operation(class_name)(documented(summary, {"x": ARRAY}, BOOL, example)(function))

    return decorate


@_question(
    "Isfinite", "Whether it is neither infinite nor NaN.", "ops.isfinite([0.0, float('inf')])\narray([ True, False])"
)
def isfinite(x):
    return e.less(e.absolute(x), _INF)


@_question("Isinf", "Whether it is infinite.", "ops.isinf([0.0, float('inf')])\narray([False,  True])")
def isinf(x):
    return e.equal(e.absolute(x), _INF)


@_question("Isposinf", "Whether it is infinity.", "ops.isposinf([float('inf'), float('-inf')])\narray([ True, False])")
def isposinf(x):
    return e.equal(x, _INF)


@_question(
    "Isneginf", "Whether it is minus infinity.", "ops.isneginf([float('inf'), float('-inf')])\narray([False,  True])"
)
def isneginf(x):
    return e.equal(x, -_INF)


@_question(
    "Isreal",
    "Whether it has no imaginary part: no array here has one.",
    "ops.isreal([0.0, 1.0])\narray([ True,  True])",
)
def isreal(x):
    return e.logical_not(zeros_like(x, "bool"))


@operation("Signbit")
@documented("Whether it is negative; -0 is.", {"x": ARRAY}, BOOL, "ops.signbit([-0.0, 1.0])\narray([ True, False])")
def signbit(x):
    if x.dtype == "bool":
        return zeros_like(x)
    return elementwise("less_int32", x, 0, dtype="bool")  # the sign of a float is that of its bits as an integer


def _near(x1, x2, rtol, atol):
    allowed = e.add(e.multiply(e.absolute(x2), rtol), atol)
    return e.less_equal(e.absolute(e.subtract(x1, x2)), allowed)


def _both_nan(x1, x2):
    return e.logical_and(e.not_equal(x1, x1), e.not_equal(x2, x2))


_TOLERANCES = {
    "x1": ARRAY,
    "x2": ARRAY,
    "rtol": "(float, default 1e-5): How much of `x2` they may differ by.",
    "atol": "(float, default 1e-8): How much more they may.",
    "equal_nan": "(bool, default False): Whether NaN is like NaN.",
}


@operation("Isclose", options=("equal_nan",), plain=("rtol", "atol"))
@documented(
    "Whether `|x1 - x2| <= atol + rtol |x2|`. As in Keras on TensorFlow, an infinity is not like itself, and "
    "everything is like an infinite `x2`; integers must be equal.",
    _TOLERANCES,
    BOOL,
    "ops.isclose([1.0, 2.0], [1.0, 2.1])\narray([ True, False])",
    NO_BROADCAST,
)
def isclose(x1, x2, rtol=1e-5, atol=1e-8, equal_nan=False):
    (x1, x2), dtype = together(x1, x2)
    if dtype != "float32":
        return e.equal(x1, x2)
    close = _near(x1, x2, rtol, atol)
    return e.logical_or(close, _both_nan(x1, x2)) if equal_nan else close


@operation("AllClose", options=("rtol", "atol", "equal_nan"))
@documented(
    "Whether all elements are equal, or finite and near each other: `|x1 - x2| <= atol + rtol |x2|`.",
    _TOLERANCES,
    "bool array of no axes.",
    "ops.allclose([1.0, 2.0], [1.0, 2.1])\narray(False)",
    NO_BROADCAST,
)
def allclose(x1, x2, rtol=1e-5, atol=1e-8, equal_nan=False):
    (x1, x2), dtype = together(x1, x2)
    found = e.equal(x1, x2)
    if dtype == "float32":
        finite = e.less(e.maximum(e.absolute(x1), e.absolute(x2)), _INF)
        found = e.logical_or(found, e.logical_and(finite, _near(x1, x2, rtol, atol)))
        if equal_nan:
            found = e.logical_or(found, _both_nan(x1, x2))
    return all_of(found)


@operation("NanToNum", options=("nan", "posinf", "neginf"))
@documented(
    "Numbers in the place of NaN and infinities.",
    {
        "x": ARRAY,
        "nan": "(float, default 0): In the place of NaN.",
        "posinf": "(float, default None): In that of infinity; None is the largest float32.",
        "neginf": "(float, default None): In that of minus infinity; None is the smallest.",
    },
    "An array of the dtype of `x`.",
    "ops.nan_to_num([float('nan'), float('inf')])\narray([0.0000000e+00, 3.4028235e+38], dtype=float32)",
)
def nan_to_num(x, nan=0.0, posinf=None, neginf=None):
    if x.dtype != "float32":
        return elementwise("copy", x, dtype=x.dtype)
    x = e.where(e.isnan(x), float(nan), x)
    x = e.where(e.equal(x, _INF), _MOST if posinf is None else float(posinf), x)
    return e.where(e.equal(x, -_INF), -_MOST if neginf is None else float(neginf), x)


# ---- complex numbers, which no array here has ------------------------------------------------------------------------


def _copied(class_name, summary, example):
    def decorate(body):
        def function(x):
            return elementwise("copy", x, dtype=x.dtype)

        function.__name__ = function.__qualname__ = body.__name__
        function.__module__ = body.__module__
        documentation = documented(summary, {"x": ARRAY}, "An array of the dtype of `x`.", example)
        return operation(class_name)(documentation(function))

    return decorate


@_copied("Copy", "The same elements in an array of their own.", "ops.copy([1.0, 2.0])\narray([1., 2.], dtype=float32)")
def copy(x): ...


@_copied("Real", "The real part: `x` itself.", "ops.real([1.0, 2.0])\narray([1., 2.], dtype=float32)")
def real(x): ...


@_copied("Conjugate", "The complex conjugate: `x` itself.", "ops.conjugate([1.0, 2.0])\narray([1., 2.], dtype=float32)")
def conjugate(x): ...


conj = conjugate


@operation("Imag")
@documented(
    "The imaginary part: 0.",
    {"x": ARRAY},
    "An array of the dtype of `x`.",
    "ops.imag([1.0, 2.0])\narray([0., 0.], dtype=float32)",
)
def imag(x):
    return zeros_like(x)


@operation("Angle")
@documented(
    "The angle of a complex number: 0, and pi below 0.",
    {"x": ARRAY},
    FLOAT,
    "ops.angle([1.0, -2.0])\narray([0.       , 3.1415927], dtype=float32)",
)
def angle(x):
    return e.where(e.less(cast(x, "float32"), 0.0), float(np.pi), 0.0)


def _refused(name):
    def function(x):
        raise UnsupportedError(f"ops.{name}: fastseq has no complex arrays; give the real and the imaginary part.")

    function.__name__ = function.__qualname__ = name
    function.__module__ = __name__
    return documented(
        "Keras's function of complex numbers, which fastseq does not have.",
        {"x": ARRAY},
        "Nothing.",
        f"ops.{name}([1.0, 2.0])\n"
        "Traceback (most recent call last):\n"
        "    ...\n"
        f"fastseq.UnsupportedError: ops.{name}: fastseq has no complex arrays; give the real and the imaginary part.",
        {"UnsupportedError": "Always."},
    )(function)


view_as_complex = _refused("view_as_complex")
view_as_real = _refused("view_as_real")


@documented(
    "Keras's function that makes complex numbers, which fastseq does not have.",
    {"abs_": ARRAY, "angle": ARRAY},
    "Nothing.",
    "ops.polar([1.0], [2.0])\nTraceback (most recent call last):\n    ...\n"
    "fastseq.UnsupportedError: ops.polar: fastseq has no complex arrays; take abs_ * cos(angle) and abs_ * sin(angle).",
    {"UnsupportedError": "Always."},
)
def polar(abs_, angle):
    raise UnsupportedError("ops.polar: fastseq has no complex arrays; take abs_ * cos(angle) and abs_ * sin(angle).")


# ---- other dtypes, and choices ---------------------------------------------------------------------------------------


@operation("View", options=("dtype",))
@documented(
    "The same bits as another dtype: float32 as integers, and back.",
    {"x": ARRAY, "dtype": '(str, default None): "float32", "int32" or "uint32"; None is that of `x`.'},
    "An array of that dtype.",
    'ops.view([1.0], "int32")\narray([1065353216], dtype=int32)',
    {"ValueError": "A dtype of another size."},
)
def view(x, dtype=None):
    wanted = x.dtype if dtype is None else settings.standardize_dtype(dtype)
    if wanted != x.dtype and (x.dtype == "bool" or wanted not in ("float32", "int32", "uint32")):
        raise ValueError(f"ops.view: an array of dtype {x.dtype} cannot be seen as {wanted}: elements differ in size.")
    return elementwise("copy", x, dtype=working_dtype(wanted))


@operation("SaturateCast", "core", options=("dtype",))
@documented(
    "`x` in another dtype, where what it cannot hold becomes its largest or smallest number.",
    {"x": ARRAY, "dtype": "(str): Any of Keras; integers are kept in int32, floats in float32."},
    "An array of that dtype as fastseq has it.",
    'ops.saturate_cast([-3.0, 300.0], "uint8")\narray([  0, 255], dtype=int32)',
    NO_DTYPE,
)
def saturate_cast(x, dtype):
    name, kept = settings.standardize_dtype(dtype), working_dtype(dtype)
    if name == "bfloat16":
        low, high = -3.3895314e38, 3.3895314e38
    elif kept == "float32":
        high = min(float(np.finfo(name).max), _MOST)
        low = -high
    elif name == "bool":
        low, high = 0, 1
    else:
        low = max(int(np.iinfo(name).min), -(2**31))
        high = min(int(np.iinfo(name).max), 2**31 - 1)
    if x.dtype == "bool":
        return cast(x, kept)
    if x.dtype == "float32":
        high = min(float(high), float(np.float32(2**31 - 128))) if kept == "int32" else float(high)  # a float in int32
        return cast(e.minimum(e.maximum(x, float(low)), high), kept)
    if kept != "float32":
        x = e.minimum(e.maximum(x, low), high)
    elif high < 2**31:
        x = e.minimum(e.maximum(x, int(low)), int(high))
    return cast(x, kept)


@operation("Select", several=("condlist", "choicelist"))
@documented(
    "The choice of the first condition that holds, for each element.",
    {
        "condlist": "(list of arrays): What is not 0 counts as true.",
        "choicelist": "(list of arrays): As many.",
        "default": "(array, default 0): Where none holds.",
    },
    "An array of the dtype that the choices and the default have together.",
    "ops.select([[True, False], [True, True]], [[1.0, 2.0], [3.0, 4.0]])\narray([1., 4.], dtype=float32)",
    {"ValueError": "Lists of other lengths, or empty ones."},
)
def select(condlist, choicelist, default=0):
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError(
            f"ops.select: it takes a condition for each choice; got {len(condlist)} conditions and {len(choicelist)} "
            "choices."
        )
    (*choices, found), _ = together(*choicelist, default)
    for condition, choice in zip(reversed(condlist), reversed(choices)):
        found = e.where(condition, choice, found)
    return found
