"""The functions of ``keras.ops``: on arrays, on symbolic tensors, and in what is traced of a user's own layers.

Reference: https://keras.io/api/ops/
"""

from fastseq.configs.lazy_names import Names, face

_NAMES = Names(__name__, {
    "convolution": "average_pool conv conv_transpose depthwise_conv max_pool separable_conv",
    "creation": "ones_like zeros_like",
    "summation": "einsum",
    "elementwise": "abs absolute add cast clip divide equal erf exp expm1 greater greater_equal isnan less less_equal log "
    "log1p logical_and logical_not logical_or logical_xor maximum minimum multiply negative not_equal reciprocal "
    "rsqrt sqrt square subtract tanh true_divide where",
    "fourier": "fft irfft istft rfft stft",
    "linear_algebra": "cross dot inner kron matmul norm outer tensordot vdot",
    "nn": "celu elu gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu log_sigmoid "
    "log_softmax relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid "
    "sparsemax squareplus swish tanh_shrink threshold",
    "nn_losses": "binary_crossentropy categorical_crossentropy logsumexp sparse_categorical_crossentropy",
    "normalization": "batch_normalization dot_product_attention layer_normalization moments normalize "
    "rms_normalization",
    "reductions": "all any mean std sum var",
    "shapes": "concatenate expand_dims reshape squeeze stack transpose",
})  # fmt: skip

__all__ = list(_NAMES)
_look_up, __dir__ = face(__name__, _NAMES)

# Keras's linalg that takes a matrix apart.
_DECOMPOSITIONS = frozenset(
    "cholesky cholesky_inverse det eig eigh inv lstsq lu_factor matrix_rank pinv qr solve solve_triangular svd".split()
)


def __getattr__(name):
    if name in _DECOMPOSITIONS:
        raise AttributeError(
            f"fastseq.ops has no {name}: no function that takes a matrix apart ({', '.join(sorted(_DECOMPOSITIONS))})."
        )
    return _look_up(name)
