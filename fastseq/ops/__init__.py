"""The functions of ``keras.ops``: on arrays, on symbolic tensors, and in what is traced of a user's own layers.

Reference: https://keras.io/api/ops/
"""

from fastseq.configs.lazy_names import Names, face

_NAMES = Names(__name__, {
    "creation": "ones_like zeros_like",
    "summation": "einsum",
    "elementwise": "abs absolute add cast clip divide equal erf exp expm1 greater greater_equal isnan less less_equal log "
    "log1p logical_and logical_not logical_or logical_xor maximum minimum multiply negative not_equal reciprocal "
    "rsqrt sqrt square subtract tanh true_divide where",
    "linear_algebra": "cross dot inner kron matmul norm outer tensordot vdot",
    "reductions": "all any mean std sum var",
    "shapes": "concatenate expand_dims reshape squeeze stack transpose",
})  # fmt: skip

__all__ = list(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)
