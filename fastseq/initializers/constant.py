"""Initializers that draw nothing. https://keras.io/api/layers/initializers/"""

import numpy as np

from fastseq.configs import serialization
from fastseq.initializers.base import Initializer, as_dtype


class Zeros(Initializer):
    """All zeros, float32 unless the call says otherwise.

    Example:
        >>> initializers.Zeros()((2,))
        array([0., 0.], dtype=float32)
    """

    def __call__(self, shape, dtype=None):
        return np.zeros(shape, as_dtype(dtype))


class Ones(Initializer):
    """All ones, float32 unless the call says otherwise.

    Example:
        >>> initializers.Ones()((2,))
        array([1., 1.], dtype=float32)
    """

    def __call__(self, shape, dtype=None):
        return np.ones(shape, as_dtype(dtype))


class Constant(Initializer):
    """``value`` everywhere, float32 unless the call says otherwise.

    Args:
        value (float or array, default 0.0): A number, or an array that broadcasts to the shape.

    Raises:
        ValueError: In a call, where an array that was given in the place of an initializer has another shape.

    Example:
        >>> initializers.Constant(0.5)((2,))
        array([0.5, 0.5], dtype=float32)
    """

    _only_its_shape = False  # True of an array that was given in the place of an initializer

    def __init__(self, value=0.0):
        self.value = value

    def __call__(self, shape, dtype=None):
        if self._only_its_shape and tuple(shape) != self.value.shape:
            raise ValueError(
                f"An array of shape {self.value.shape} cannot initialize a weight of shape {tuple(shape)}."
            )
        dtype = as_dtype(dtype)
        return np.asarray(self.value).astype(dtype) * np.ones(shape, dtype)

    def get_config(self):
        return {"value": serialization.serialize_keras_object(self.value)}

    @classmethod
    def from_config(cls, config):
        return cls(serialization.deserialize_keras_object(config["value"]))


class Identity(Initializer):
    """``gain`` on the diagonal of a matrix, zeros elsewhere.

    Args:
        gain (float, default 1.0): What the diagonal holds.

    Raises:
        ValueError: In a call, a shape that is not of rank 2.

    Example:
        >>> initializers.Identity()((2, 2))
        array([[1., 0.],
               [0., 1.]], dtype=float32)
    """

    def __init__(self, gain=1.0):
        self.gain = gain

    def __call__(self, shape, dtype=None):
        if len(shape) != 2:
            raise ValueError(f"Identity initializes matrices only. Received: shape={shape} of rank {len(shape)}.")
        dtype = as_dtype(dtype)
        return (self.gain * np.eye(*shape)).astype(dtype)

    def get_config(self):
        # Keras leaves the gain out and so forgets it on saving; its own from_config reads it back all the same.
        return {"gain": self.gain}
