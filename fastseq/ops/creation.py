"""Arrays of given values. https://keras.io/api/ops/numpy/"""

import numpy as np

from fastseq.ops.documented import ARRAY, documented
from fastseq.ops.operation import operation
from fastseq.ops.values import broadcast, cast, lift, working_dtype

_LIKE = {"x": ARRAY, "dtype": "(str, default None): None is that of `x`."}


def _filled(x, value, dtype):
    # The values of x do not matter: only its sizes, which may be those of another batch each time.
    dtype = x.dtype if dtype is None else working_dtype(dtype)
    constant = cast(lift(x.p, np.array(value)), dtype)
    filled = broadcast(constant, x.shape)
    filled.time = x.time
    return filled


@operation("ZerosLike", options=("dtype",))
@documented("Zeros in the shape of an array.", _LIKE, "An array.", "ops.zeros_like([1.0, 2.0])")
def zeros_like(x, dtype=None):
    return _filled(x, 0, dtype)


@operation("OnesLike", options=("dtype",))
@documented("Ones in the shape of an array.", _LIKE, "An array.", "ops.ones_like([1.0, 2.0])")
def ones_like(x, dtype=None):
    return _filled(x, 1, dtype)
