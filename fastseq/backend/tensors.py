"""What the backend asks of a tensor, and its dtypes."""

import math

import numpy as np

from fastseq import ops
from fastseq.backend.documented import ARRAY, documented
from fastseq.ops.values import working_dtype
from fastseq.tensors.symbolic import KerasTensor

_ANY = {"x": "(object): Anything."}
_SHAPED = {"x": "(array or KerasTensor): Anything that NumPy makes an array of."}


@documented("Whether `x` is a symbolic tensor of the functional API.", _ANY, "bool.",
            "backend.is_keras_tensor(layers.Input((3,)))\n"
    'True')  # fmt: skip
def is_keras_tensor(x):
    return isinstance(x, KerasTensor)


@documented("Whether a tensor is sparse: there are none here.", {"tensor": "(object): Anything."}, "False.",
            "backend.is_sparse([1.0])\n"
    'False')  # fmt: skip
def is_sparse(tensor):
    return False


@documented("The tensor itself: there are no sparse ones here.", {"tensor": "(array): Anything."}, "`tensor`.",
            "backend.to_dense([1.0])\n"
    '[1.0]')  # fmt: skip
def to_dense(tensor):
    return tensor


@documented("The shape of an object that has one.", _ANY,
            "tuple, with None for unknown sizes; None for an object without a shape.",
            "backend.int_shape(layers.Input((3,)))\n"
    '(None, 3)')  # fmt: skip
def int_shape(x):
    return tuple(x.shape) if hasattr(x, "shape") else None


@documented("The shape of an array, or of a symbolic tensor.", _SHAPED, "tuple, with None for unknown sizes.",
            "backend.shape([[1.0, 2.0]])\n"
    '(1, 2)')  # fmt: skip
def shape(x):
    return ops.shape(x)


@documented("The number of axes.", _SHAPED, "int.", "backend.ndim([[1.0, 2.0]])\n2")
def ndim(x):
    return ops.ndim(x)


@documented("The number of elements.", _SHAPED, "int.", "backend.count_params(np.zeros((2, 3)))\n"
    '6',
            {"ValueError": "A symbolic tensor does not know a size."})  # fmt: skip
def count_params(x):
    sizes = ops.shape(x)
    if None in sizes:
        raise ValueError(f"backend.count_params: a tensor of shape {sizes} has unknown sizes.")
    return math.prod(sizes)


@documented("The name of the dtype of an array or tensor.", {"x": "(array, Variable or KerasTensor): What has one."},
            "str.", "backend.dtype(np.zeros(3, dtype=np.float32))\n"
    "'float32'")  # fmt: skip
def dtype(x):
    return x.dtype if isinstance(x.dtype, str) else x.dtype.name


@documented("`x` in another dtype.", {"x": ARRAY, "dtype": '(str): "float32", "int32" or "bool".'},
            "An array of that dtype.", 'backend.cast([1.5, 2.5], "int32")\n'
    'array([1, 2], dtype=int32)')  # fmt: skip
def cast(x, dtype):
    return ops.cast(x, dtype)


@documented(
    "`x` in float32.", {"x": ARRAY}, "float32 array.", "backend.cast_to_floatx([1, 2])\narray([1., 2.], dtype=float32)"
)
def cast_to_floatx(x):
    return ops.cast(x, "float32")


@documented(
    "An array of given values.",
    {"value": "(array, list or number): The values.",
     "dtype": '(str, default None): "float32", "int32" or "bool"; None is float32.',
     "shape": "(tuple of int, default None): The shape they are brought to; a single value is repeated.",
     "name": "(str, default None): For code that passes one; an array has none."},
    "An array.",
    "backend.constant([1.0, 2.0])\n"
    'array([1., 2.], dtype=float32)',
    {"ValueError": "Values that do not fit the shape."},
)  # fmt: skip
def constant(value, dtype=None, shape=None, name=None):
    array = np.array(value, working_dtype(dtype or "float32"))
    if shape is None:
        return array
    return np.full(shape, array) if array.size == 1 else array.reshape(shape)


@documented("The values of an array or weight.", {"x": "(array or Variable): What has values."}, "An array.",
            "backend.eval(backend.exp([0.0]))\n"
    'array([1.], dtype=float32)')  # fmt: skip
def eval(x):
    return np.asarray(x)


@documented("Prints an array, and hands it on. A call that prints is not traced.",
            {"x": ARRAY, "message": '(str, default ""): What is printed before it.',
             "summarize": "(int, default 3): How many elements of each axis's ends are printed; -1 is all."},
            "`x`.", 'backend.print_tensor([1.0], "x = ")\n'
    'x =  [1.]\n[1.0]')  # fmt: skip
def print_tensor(x, message="", summarize=3):
    array = np.asarray(x)
    with np.printoptions(threshold=array.size + 1 if summarize == -1 else 0, edgeitems=max(summarize, 1)):
        print(f"{message}{' ' if message else ''}{array}")
    return x


@documented("The values, through which no gradient goes.", {"variables": "(array, or list of arrays): The values."},
            "An array, or a list of them.", "backend.stop_gradient([1.0, 2.0])\n"
    'array([1., 2.], dtype=float32)')  # fmt: skip
def stop_gradient(variables):
    if isinstance(variables, (list, tuple)) and variables and hasattr(variables[0], "shape"):
        return [ops.stop_gradient(variable) for variable in variables]
    return ops.stop_gradient(variables)
