"""The functions of ``keras.backend``, under the names and with the arguments of Keras 2, made of ``fastseq.ops``.

They take what ``fastseq.ops`` takes: arrays, symbolic tensors, weights, and arrays of a call that is traced. Results
are float32, int32 or bool. Where Keras 2 computes otherwise than ``keras.ops``, so do they: the square root of a
negative number is 0 here.

Reference: the backend page of Keras 2, https://keras.io/2.16/api/utils/backend_utils/
"""

from fastseq.backend import missing
from fastseq.configs.lazy_names import Names, face

_NAMES = Names(__name__, {
    "ctc": "ctc_batch_cost ctc_decode",
    "elementwise": "abs clip cos elu equal exp greater greater_equal hard_sigmoid less less_equal log maximum minimum "
    "not_equal pow relu round sigmoid sign sin softmax softplus softsign sqrt square tanh",
    "graphs": "function gradients",
    "losses": "binary_crossentropy binary_focal_crossentropy categorical_crossentropy categorical_focal_crossentropy "
    "in_top_k sparse_categorical_crossentropy",
    "loops": "foldl foldr in_test_phase in_train_phase map_fn rnn switch",
    "naming": "clear_session get_uid name_scope reset_uids",
    "normalization": "batch_normalization bias_add l2_normalize normalize_batch_in_training",
    "products": "batch_dot dot",
    "random": "dropout random_bernoulli random_binomial random_normal random_normal_variable random_uniform "
    "random_uniform_variable truncated_normal",
    "reductions": "all any argmax argmin cumprod cumsum logsumexp max mean min prod std sum var",
    "settings": "backend epsilon floatx image_data_format is_float_dtype is_int_dtype set_epsilon set_floatx "
    "set_image_data_format standardize_dtype",
    "shapes": "arange batch_flatten concatenate expand_dims eye flatten gather one_hot ones ones_like "
    "permute_dimensions repeat repeat_elements reshape reverse slice spatial_2d_padding spatial_3d_padding squeeze "
    "stack temporal_padding tile transpose zeros zeros_like",
    "tensors": "cast cast_to_floatx constant count_params dtype eval int_shape is_keras_tensor is_sparse ndim "
    "print_tensor shape stop_gradient to_dense",
    "variables": "batch_get_value batch_set_value get_value moving_average_update set_value update update_add "
    "update_sub variable",
})  # fmt: skip

__all__ = list(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES, reasons=missing.REASONS)
