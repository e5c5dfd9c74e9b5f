"""The functions of ``keras.ops``: on arrays, on symbolic tensors, and in what is traced of a user's own layers.

Reference: https://keras.io/api/ops/
"""

from fastseq.configs.lazy_names import Names, face

_NAMES = Names(__name__, {
    "control_flow": "cond fori_loop map scan stop_gradient switch vectorized_map while_loop",
    "creation": "arange array convert_to_numpy convert_to_tensor empty empty_like eye full full_like identity "
    "is_tensor linspace ones ones_like tri zeros zeros_like",
    "cumulative": "cumprod cumsum diff",
    "diagonals": "diag diagflat diagonal trace tril triu",
    "elementwise": "abs absolute add cast clip divide equal erf exp expm1 greater greater_equal isnan less less_equal log "
    "log1p logical_and logical_not logical_or logical_xor maximum minimum multiply negative not_equal reciprocal "
    "rsqrt sqrt square subtract tanh true_divide where",
    "indexing": "get_item multi_hot one_hot scatter scatter_update slice slice_update take take_along_axis",
    "joining": "append array_split concatenate dsplit dstack hsplit hstack meshgrid split stack unstack vsplit vstack",
    "linear_algebra": "cross dot inner kron matmul norm outer tensordot vdot",
    "nn": "celu elu gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu log_sigmoid log_softmax "
    "relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid sparsemax squareplus "
    "swish tanh_shrink threshold",
    "nn_losses": "binary_crossentropy categorical_crossentropy logsumexp sparse_categorical_crossentropy",
    "normalization": "batch_normalization dot_product_attention layer_normalization moments normalize rms_normalization",
    "summation": "einsum",
    "reductions": "all any mean std sum var",
    "repeating": "extract_sequences flip fliplr flipud pad repeat roll rot90 tile",
    "shapes": "broadcast_to expand_dims moveaxis ndim ravel reshape shape size squeeze swapaxes transpose",
    "sorting": "argmax argmin argsort digitize in_top_k median percentile quantile searchsorted sort top_k",
})  # fmt: skip

__all__ = list(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)
