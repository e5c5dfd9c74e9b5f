"""Keras's settings, of which the backend has the names."""

from fastseq.configs.lazy_names import publish
from fastseq.tensors.settings import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    is_float_dtype,
    is_int_dtype,
    set_epsilon,
    set_floatx,
    set_image_data_format,
    standardize_dtype,
)

__all__ = [
    "backend", "epsilon", "floatx", "image_data_format", "is_float_dtype", "is_int_dtype", "set_epsilon", "set_floatx",
    "set_image_data_format", "standardize_dtype",
]  # fmt: skip
publish({**globals(), "__name__": "fastseq.backend"})
