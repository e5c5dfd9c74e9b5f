"""The functions of ``keras.ops``: on arrays, on symbolic tensors, and in what is traced of a user's own layers.

Reference: https://keras.io/api/ops/
"""

from fastseq.configs.lazy_names import Modules, Names, face

_NAMES = Names(__name__, {
    "control_flow": "cond fori_loop map scan stop_gradient switch vectorized_map while_loop",
    "blocks": "adaptive_average_pool adaptive_max_pool depth_to_space fold rearrange space_to_depth unfold",
    "convolution": "average_pool conv conv_transpose depthwise_conv max_pool separable_conv",
    "creation": "arange array convert_to_numpy convert_to_tensor empty empty_like eye full full_like identity "
    "is_tensor linspace ones ones_like tri zeros zeros_like",
    "ctc": "ctc_decode ctc_loss",
    "cumulative": "cumprod cumsum diff nancumprod nancumsum",
    "diagonals": "diag diagflat diagonal trace tril triu",
    "elementwise": "abs absolute add cast clip divide equal erf exp expm1 greater greater_equal isnan less less_equal "
    "log log1p logical_and logical_not logical_or logical_xor maximum minimum multiply negative not_equal reciprocal "
    "rsqrt sqrt square subtract tanh true_divide where",
    "fourier": "fft irfft istft rfft stft",
    "functional": "associative_scan custom_gradient dtype vectorize",
    "indexing": "get_item multi_hot one_hot scatter scatter_update slice slice_update take take_along_axis",
    "integers": "bitwise_and bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor "
    "gcd lcm left_shift right_shift",
    "joining": "append array_split concatenate dsplit dstack hsplit hstack meshgrid split stack unstack vsplit vstack",
    "linear_algebra": "cross dot inner kron matmul norm outer tensordot vdot",
    "mathematical": "arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt cos cosh deg2rad erfc erfinv exp2 fabs "
    "hypot i0 ldexp log10 log2 logaddexp logaddexp2 power rad2deg sin sinc sinh tan",
    "nan_reductions": "nanargmax nanargmin nanmax nanmean nanmin nanprod nanstd nansum nanvar",
    "nan_order": "nanmedian nanpercentile nanquantile",
    "nn": "celu elu gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu log_sigmoid "
    "log_softmax relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid "
    "sparsemax squareplus swish tanh_shrink threshold",
    "nn_losses": "binary_crossentropy categorical_crossentropy logsumexp sparse_categorical_crossentropy",
    "normalization": "batch_normalization dot_product_attention layer_normalization moments normalize "
    "rms_normalization",
    "numerical": "argpartition cdist corrcoef correlate psnr trapezoid unravel_index vander",
    "reductions": "all amax amin any average count_nonzero max mean min prod ptp std sum var",
    "repeating": "extract_sequences flip fliplr flipud pad repeat roll rot90 tile",
    "rounding": "ceil divide_no_nan floor floor_divide fmax fmin fmod heaviside mod nextafter round sign trunc",
    "segments": "bincount histogram isin segment_max segment_min segment_prod segment_sum",
    "shapes": "broadcast_to expand_dims moveaxis ndim ravel reshape shape size squeeze swapaxes transpose",
    "sorting": "argmax argmin argsort digitize in_top_k median percentile quantile searchsorted sort top_k",
    "special_values": "allclose angle conj conjugate copy imag isclose isfinite isinf isneginf isposinf isreal "
    "nan_to_num real saturate_cast select signbit view view_as_complex view_as_real",
    "spaces": "bartlett blackman geomspace hamming hanning kaiser logspace",
    "summation": "einsum",
})  # fmt: skip

__all__ = list(_NAMES)
# Keras's functions that take a matrix apart.
_DECOMPOSITIONS = (
    "cholesky cholesky_inverse det eig eigh inv logdet lstsq lu_factor matrix_rank pinv qr slogdet solve "
    "solve_triangular svd"
)
_IMAGES = "fastseq runs sequence models, and has no functions of images alone"
REASONS = {
    **dict.fromkeys(
        _DECOMPOSITIONS.split(), f"no function takes a matrix apart ({_DECOMPOSITIONS.replace(' ', ', ')})"
    ),
    **dict.fromkeys(("image", "fft2", "ifft2"), _IMAGES),
}

__getattr__, __dir__ = face(
    __name__, _NAMES, Names(__name__, {"refused": "nonzero unique", "functional": "jvp", "special_values": "polar"}),
    Modules(__name__, "linalg nn numpy"), reasons=REASONS,
)  # fmt: skip
