"""The functions of ``keras.ops``: on arrays, on symbolic tensors, and in what is traced of a user's own layers.

Reference: https://keras.io/api/ops/
"""

from fastseq.configs.lazy_names import Names, face

_NAMES = Names(__name__, {
    "creation": "ones_like zeros_like",
    "elementwise": "abs absolute add cast clip divide equal erf exp expm1 greater greater_equal isnan less "
    "less_equal log log1p logical_and logical_not logical_or logical_xor maximum minimum multiply negative not_equal "
    "reciprocal rsqrt sqrt square subtract tanh true_divide where",
    "integers": "bitwise_and bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift "
    "bitwise_xor gcd lcm left_shift right_shift",
    "mathematical": "arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt cos cosh deg2rad erfc erfinv exp2 "
    "fabs hypot i0 ldexp log10 log2 logaddexp logaddexp2 power rad2deg sin sinc sinh tan",
    "nan_reductions": "nanargmax nanargmin nanmax nanmean nanmin nanprod nanstd nansum nanvar",
    "reductions": "all amax amin any average count_nonzero max mean min prod ptp std sum var",
    "rounding": "ceil divide_no_nan floor floor_divide fmax fmin fmod heaviside mod nextafter round sign trunc",
    "shapes": "concatenate expand_dims reshape squeeze stack transpose",
    "special_values": "allclose angle conj conjugate copy imag isclose isfinite isinf isneginf isposinf isreal "
    "nan_to_num real saturate_cast select signbit view view_as_complex view_as_real",
})  # fmt: skip

__all__ = list(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)
