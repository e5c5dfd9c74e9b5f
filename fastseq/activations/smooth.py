"""Activations that are made of exp, tanh, sqrt and erf. https://keras.io/api/layers/activations/"""

import math

import numpy as np

from fastseq.activations.on_arrays import activation_of

# Constants of the paper (Klambauer et al., 2017, https://arxiv.org/abs/1706.02515).
_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_ALPHA = 1.6732632423543772848170429916717

_erfc = np.frompyfunc(math.erfc, 1, 1)


@activation_of
def elu(x, alpha=1.0):
    """``x`` if ``x > 0``, else ``alpha * (exp(x) - 1)``. Source: Clevert et al. 2016, https://arxiv.org/abs/1511.07289.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.
        alpha (float, default 1.0): The negative of what it tends to.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.elu([-2.0, 0.5, 4.0]).round(4)
        array([-0.8647,  0.5   ,  4.    ], dtype=float32)
    """
    return np.where(x > 0, x, alpha * np.expm1(x))


@activation_of
def selu(x):
    """``1.0507 * elu(x, 1.6733)``. Source: Klambauer et al. 2017, https://arxiv.org/abs/1706.02515.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.selu([-2.0, 0.5, 4.0]).round(4)
        array([-1.5202,  0.5254,  4.2028], dtype=float32)
    """
    return np.where(x > 0, _SELU_SCALE * x, _SELU_SCALE * _SELU_ALPHA * np.expm1(x))


@activation_of
def celu(x, alpha=1.0):
    """``max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)``. Source: Barron 2017, https://arxiv.org/abs/1704.07483.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.
        alpha (float, default 1.0): The negative of what it tends to.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.celu([-2.0, 0.5, 4.0]).round(4)
        array([-0.8647,  0.5   ,  4.    ], dtype=float32)
    """
    return np.maximum(x, 0.0) + alpha * np.expm1(np.minimum(x, 0.0) / alpha)


@activation_of
def softplus(x):
    """``log(exp(x) + 1)``, without overflow.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.softplus([-2.0, 0.5, 4.0]).round(4)
        array([0.1269, 0.9741, 4.0182], dtype=float32)
    """
    return np.logaddexp(x, x.dtype.type(0))


@activation_of
def softsign(x):
    """``x / (|x| + 1)``.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.softsign([-2.0, 0.5, 4.0]).round(4)
        array([-0.6667,  0.3333,  0.8   ], dtype=float32)
    """
    return x / (np.abs(x) + 1)


@activation_of
def squareplus(x, b=4):
    """``(x + sqrt(x^2 + b)) / 2``. Source: Barron 2021, https://arxiv.org/abs/2112.11687.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.
        b (float, default 4): How round it is at 0.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.squareplus([-2.0, 0.5, 4.0]).round(4)
        array([0.4142, 1.2808, 4.2361], dtype=float32)
    """
    return (x + np.sqrt(np.square(x) + b)) / 2


@activation_of
def silu(x):
    """``x * sigmoid(x)``, also called swish. Source: Ramachandran et al. 2017, https://arxiv.org/abs/1710.05941.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.silu([-2.0, 0.5, 4.0]).round(4)
        array([-0.2384,  0.3112,  3.9281], dtype=float32)
    """
    return x * sigmoid(x)


@activation_of
def gelu(x, approximate=False):
    """``x`` times the normal distribution's CDF at ``x``. Source: Hendrycks et al. 2016,
    https://arxiv.org/abs/1606.08415.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.
        approximate (bool, default False): Whether to use the paper's tanh formula.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.gelu([-2.0, 0.5, 4.0]).round(4)
        array([-0.0455,  0.3457,  3.9999], dtype=float32)
    """
    if approximate:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    # erfc rather than 1 + erf: the sum loses every digit below x = -6 in float32 and -8.3 in float64.
    return 0.5 * x * np.asarray(_erfc(-x.astype(np.float64) * math.sqrt(0.5)), dtype=np.float64)


@activation_of
def glu(x, axis=-1):
    """First half of an axis times the sigmoid of its second half. Source: Dauphin et al. 2017,
    https://arxiv.org/abs/1612.08083.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.
        axis (int, default -1): The axis, of an even size.

    Returns:
        An array of the shape of ``x`` with half the size along the axis, in its floating dtype.

    Raises:
        ValueError: The axis has an odd size.

    Example:
        >>> activations.glu([[2.0, 4.0, 0.0, 0.0]])
        array([[1., 2.]], dtype=float32)
    """
    if x.shape[axis] % 2 != 0:
        raise ValueError(f"axis size must be divisible by 2. Received: x.shape={x.shape} with axis={axis}")
    values, gates = np.split(x, 2, axis=axis)
    return values * sigmoid(gates)


@activation_of
def tanh(x):
    """Hyperbolic tangent.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.tanh([-2.0, 0.5, 4.0]).round(4)
        array([-0.964 ,  0.4621,  0.9993], dtype=float32)
    """
    return np.tanh(x)


@activation_of
def tanh_shrink(x):
    """``x - tanh(x)``.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.tanh_shrink([-2.0, 0.5, 4.0]).round(4)
        array([-1.036 ,  0.0379,  3.0007], dtype=float32)
    """
    return x - np.tanh(x)


@activation_of
def sigmoid(x):
    """``1 / (1 + exp(-x))``, to full precision on both sides of zero.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.sigmoid([-2.0, 0.5, 4.0]).round(4)
        array([0.1192, 0.6225, 0.982 ], dtype=float32)
    """
    # exp is only ever taken of a number <= 0: it cannot overflow, and the small side keeps its digits.
    decay = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, decay) / (1 + decay)


@activation_of
def exponential(x):
    """``exp(x)``.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.exponential([-2.0, 0.5, 4.0]).round(4)
        array([ 0.1353,  1.6487, 54.5982], dtype=float32)
    """
    return np.exp(x)


@activation_of
def mish(x):
    """``x * tanh(softplus(x))``. Source: Misra 2019, https://arxiv.org/abs/1908.08681.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.mish([-2.0, 0.5, 4.0]).round(4)
        array([-0.2525,  0.3752,  3.9974], dtype=float32)
    """
    return x * np.tanh(softplus(x))


@activation_of
def log_sigmoid(x):
    """``log(sigmoid(x))``, finite wherever ``x`` is.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.log_sigmoid([-2.0, 0.5, 4.0]).round(4)
        array([-2.1269, -0.4741, -0.0181], dtype=float32)
    """
    return -softplus(-x)
