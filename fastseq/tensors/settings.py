"""Settings that everything reads: the small number of divisors, the float type, names of dtypes."""

import numpy as np

_epsilon = 1e-7
_image_data_format = "channels_last"


def backend():
    """``"fastseq"``."""
    return "fastseq"


def floatx():
    """``"float32"``, the one float type the kernels compute in."""
    return "float32"


def set_floatx(value):
    """Accepts ``"float32"`` only, and raises ValueError for every other type."""
    if value != "float32":
        raise ValueError(f"fastseq computes in float32. Received: floatx={value!r}")


def epsilon():
    """The small number that constraints, losses and metrics add to a divisor."""
    return _epsilon


def set_epsilon(value):
    """Sets the number that ``epsilon`` returns."""
    global _epsilon
    _epsilon = value


def image_data_format():
    """``"channels_last"`` or ``"channels_first"``."""
    return _image_data_format


def set_image_data_format(data_format):
    """Sets what ``image_data_format`` returns. Raises ValueError for an unknown format."""
    global _image_data_format
    name = str(data_format).lower()
    if name not in ("channels_first", "channels_last"):
        raise ValueError(f"`data_format` should be 'channels_first' or 'channels_last'. Received: {data_format!r}")
    _image_data_format = name


def standardize_dtype(dtype):
    """The name of ``dtype``, with None for ``floatx``. Raises ValueError for what is no dtype of a Keras tensor."""
    if dtype is None:
        return floatx()
    if isinstance(dtype, str) and dtype in ("bfloat16", "string"):
        return dtype
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = None
    if name is None or not (is_float_dtype(name) or is_int_dtype(name) or name in ("bool", "complex64", "complex128")):
        raise ValueError(f"Invalid dtype: {dtype}")
    return name


def is_float_dtype(dtype):
    """Whether ``dtype`` is a floating type."""
    return _dtype_name(dtype) in ("float16", "bfloat16", "float32", "float64")


def is_int_dtype(dtype):
    """Whether ``dtype`` is an integer type; bool is none."""
    return _dtype_name(dtype) in {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


def _dtype_name(dtype):
    return dtype if isinstance(dtype, str) else np.dtype(dtype).name
