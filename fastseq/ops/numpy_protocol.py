"""NumPy's own functions and methods on arrays that are traced: the functions of fastseq.ops of the same meaning.

What asks for values while they are not there yet raises NeedsValues, and the layer runs as Python instead.
"""

import importlib


class NeedsValues(TypeError):
    """Python asked for the values of an array while a call was traced."""


#: NumPy's names of functions that have another one in fastseq.ops.
_NAMES = {
    "abs": "absolute", "fabs": "absolute", "multiply": "multiply", "true_divide": "divide", "concat": "concatenate",
    "amax": "max", "amin": "min", "permute_dims": "transpose", "conjugate": "copy", "remainder": "mod",
    "pow": "power", "acos": "arccos", "asin": "arcsin", "atan": "arctan", "atan2": "arctan2", "acosh": "arccosh",
    "asinh": "arcsinh", "atanh": "arctanh", "invert": "bitwise_not", "positive": "copy", "around": "round",
}  # fmt: skip
#: Keyword arguments of NumPy's functions that say nothing here where they have these values.
_IDLE = {"out": (None,), "dtype": (None,), "order": ("K", "C"), "casting": ("same_kind",), "where": (True,),
         "subok": (True, False), "copy": (True, False), "optimize": (True, False, "optimal", "greedy"),
         "initial": (None,)}  # fmt: skip


def ops_function(name):
    """The function of fastseq.ops for one of NumPy, or NeedsValues."""
    ops = importlib.import_module("fastseq.ops")
    name = _NAMES.get(name, name)
    if name not in ops.__all__:
        raise NeedsValues(f"NumPy's {name}() has no function of fastseq.ops")
    return getattr(ops, name)


def _plain_arguments(name, kwargs):
    """`kwargs` without those that say nothing. Raises NeedsValues for others that fastseq.ops does not take."""
    found = {}
    for key, value in kwargs.items():
        if key in _IDLE and any(value is idle or (isinstance(idle, str) and value == idle) for idle in _IDLE[key]):
            continue
        if key in ("out", "dtype", "where", "casting"):
            raise NeedsValues(f"NumPy's {name}({key}=...) is not traced")
        if "no value" not in repr(value):  # NumPy's own mark for an argument that was not given
            found[key] = value
    return found


def _refused(what):
    def method(self, *args, **kwargs):
        raise NeedsValues(f"{what} asks for the values of an array")

    return method


def _method(name):
    def method(self, *args, **kwargs):
        return ops_function(name)(self, *args, **_plain_arguments(name, kwargs))

    method.__name__ = name
    return method


def _both_ways(name):
    def forward(self, other):
        return ops_function(name)(self, other)

    def backward(self, other):
        return ops_function(name)(other, self)

    return forward, backward


class NumpyProtocol:
    """What NumPy, and Python, ask of an array."""

    __slots__ = ()
    __array_priority__ = 1000

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method == "reduce":
            name = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_or": "any",
                    "logical_and": "all"}.get(ufunc.__name__, f"{ufunc.__name__}.reduce")  # fmt: skip
            kwargs.setdefault("axis", 0)
            return ops_function(name)(*inputs, **_plain_arguments(name, kwargs))
        if method != "__call__":
            raise NeedsValues(f"NumPy's {ufunc.__name__}.{method}() is not traced")
        return ops_function(ufunc.__name__)(*inputs, **_plain_arguments(ufunc.__name__, kwargs))

    def __array_function__(self, function, types, args, kwargs):
        name = function.__name__
        if name in ("shape", "ndim", "size"):
            return getattr(args[0], name)
        return ops_function(name)(*args, **_plain_arguments(name, kwargs))

    __array__ = _refused("numpy.asarray()")
    __bool__ = _refused("A truth value, as of `if` or `while`,")
    __float__ = _refused("float()")
    __int__ = _refused("int()")
    __index__ = _refused("An index")
    __complex__ = _refused("complex()")
    __contains__ = _refused("`in`")
    __setitem__ = _refused("Assigning to elements")
    __reduce__ = _refused("Copying or pickling")
    tolist = _refused("tolist()")
    item = _refused("item()")
    tobytes = _refused("tobytes()")

    def __len__(self):
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __iter__(self):
        if not self.shape:
            raise TypeError("iteration over an array without axes")
        return (self[i] for i in range(self.shape[0]))

    # Of integers the bits, as in NumPy; of booleans these are truth values. Symbolic tensors have Keras's logical ones.
    __and__, __rand__ = _both_ways("bitwise_and")
    __or__, __ror__ = _both_ways("bitwise_or")
    __xor__, __rxor__ = _both_ways("bitwise_xor")
    __lshift__, __rlshift__ = _both_ways("left_shift")
    __rshift__, __rrshift__ = _both_ways("right_shift")

    def __invert__(self):
        return ops_function("bitwise_not")(self)

    def __pos__(self):
        return self

    def __eq__(self, other):
        return ops_function("equal")(self, other)

    __hash__ = object.__hash__

    def numpy(self):
        """Itself: what reads a weight's value in a traced call goes on with it."""
        return self

    @property
    def T(self):
        return ops_function("transpose")(self)

    def astype(self, dtype, **kwargs):
        return ops_function("cast")(self, dtype)

    def reshape(self, *shape, **kwargs):
        return ops_function("reshape")(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes):
        return ops_function("transpose")(self, (axes[0] if len(axes) == 1 else axes) or None)

    def copy(self, **kwargs):
        return self

    def flatten(self, **kwargs):
        return ops_function("reshape")(self, (-1,))

    ravel = flatten


for _name in ("sum", "mean", "max", "min", "std", "var", "prod", "any", "all", "argmax", "argmin", "clip", "squeeze",
              "swapaxes", "take", "dot", "cumsum", "cumprod", "repeat", "round", "sort", "argsort"):  # fmt: skip
    setattr(NumpyProtocol, _name, _method(_name))
