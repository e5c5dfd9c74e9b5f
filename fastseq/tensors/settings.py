"""Settings that everything reads: the small number of divisors, the float type, names of dtypes."""

import numpy as np

_epsilon = 1e-7
_image_data_format = "channels_last"


def backend():
    """The name of this backend.

    Returns:
        "fastseq".

    Example:
        >>> backend.backend()
        'fastseq'
    """
    return "fastseq"


def floatx():
    """The one float type that the kernels compute in.

    Returns:
        "float32".

    Example:
        >>> backend.floatx()
        'float32'
    """
    return "float32"


def set_floatx(value):
    """Accepts "float32" only.

    Args:
        value (str): The name of a dtype.

    Raises:
        ValueError: Every other type.

    Example:
        >>> backend.set_floatx("float32")
    """
    if value != "float32":
        raise ValueError(f"fastseq computes in float32. Received: floatx={value!r}")


def epsilon():
    """The small number that constraints, losses and metrics add to a divisor.

    Returns:
        float.

    Example:
        >>> backend.epsilon()
        1e-07
    """
    return _epsilon


def set_epsilon(value):
    """Sets the number that ``epsilon`` returns.

    Args:
        value (float): Small and positive.

    Example:
        >>> backend.set_epsilon(1e-7)
    """
    global _epsilon
    _epsilon = value


def image_data_format():
    """Which axis of an image holds the channels.

    Returns:
        "channels_last" or "channels_first".

    Example:
        >>> backend.image_data_format()
        'channels_last'
    """
    return _image_data_format


def set_image_data_format(data_format):
    """Sets what ``image_data_format`` returns.

    Args:
        data_format (str): "channels_last" or "channels_first".

    Raises:
        ValueError: Another format.

    Example:
        >>> backend.set_image_data_format("channels_last")
    """
    global _image_data_format
    name = str(data_format).lower()
    if name not in ("channels_first", "channels_last"):
        raise ValueError(f"`data_format` should be 'channels_first' or 'channels_last'. Received: {data_format!r}")
    _image_data_format = name


def standardize_dtype(dtype):
    """The name of a dtype.

    Args:
        dtype (str or dtype): Anything that NumPy makes a dtype of; None is ``floatx``.

    Returns:
        str.

    Raises:
        ValueError: What is no dtype of a Keras tensor.

    Example:
        >>> backend.standardize_dtype(np.int32)
        'int32'
    """
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
    """Whether a dtype is a floating type.

    Args:
        dtype (str or dtype): Anything that NumPy makes a dtype of.

    Returns:
        bool.

    Example:
        >>> backend.is_float_dtype("float16")
        True
    """
    return _dtype_name(dtype) in ("float16", "bfloat16", "float32", "float64")


def is_int_dtype(dtype):
    """Whether a dtype is an integer type; bool is none.

    Args:
        dtype (str or dtype): Anything that NumPy makes a dtype of.

    Returns:
        bool.

    Example:
        >>> backend.is_int_dtype("bool")
        False
    """
    return _dtype_name(dtype) in {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


def _dtype_name(dtype):
    return dtype if isinstance(dtype, str) else np.dtype(dtype).name
