"""SpatialDropout1D, 2D and 3D; see https://keras.io/api/layers/regularization_layers/spatial_dropout1d/.

Source: Tompson et al. 2014, https://arxiv.org/abs/1411.4280.
"""

from fastseq.layers.input_spec import InputSpec
from fastseq.layers.noise.dropout import Dropout
from fastseq.layers.options import data_format_of


class SpatialDropout1D(Dropout):
    """Dropout of whole features: (B, T, F), where a feature is dropped at all timesteps or at none.

    Source: Tompson et al. 2014, https://arxiv.org/abs/1411.4280.

    Args:
        rate (float): Share of the features that are dropped, from 0 to 1.
        seed (int or None, default None): Seed of the random numbers. Two layers of one seed draw the same numbers, call
            after call; they are not those of Keras. None draws a seed.
        name (str, default None): The layer's name; None makes one.
        dtype (str, default None): None or "float32".
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: A rate outside [0, 1], and inputs of another rank.

    Example:
        >>> y = layers.SpatialDropout1D(0.5, seed=1)(np.ones((1, 10, 8)), training=True)
        >>> bool((y == y[:, :1]).all())
        True
    """

    def __init__(self, rate, seed=None, name=None, dtype=None, **kwargs):
        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kwargs)
        if self.noise_shape is not None:
            raise ValueError("SpatialDropout1D: `noise_shape` is the layer's own choice, use Dropout to give one.")
        self.input_spec = InputSpec(ndim=3)

    def _emit_noise(self, p, inputs):
        batch, _, features = inputs.shape
        return self._drop(p, inputs, (batch, 1, features))

    def get_config(self):
        return {"rate": self.rate, "seed": self.seed, "name": self.name, "dtype": self.dtype}


class SpatialDropout2D(Dropout):
    """Dropout of whole channels: (B, T, H, C), where a channel of a row is dropped everywhere or nowhere.

    Source: Tompson et al. 2014, https://arxiv.org/abs/1411.4280.

    Args:
        rate (float): Share of the channels that are dropped, from 0 to 1.
        data_format (str, default None): "channels_last", or "channels_first" where the channels follow the batch; None
            is what `backend.image_data_format()` says.
        seed (int or None, default None): Seed of the random numbers. Two layers of one seed draw the same numbers, call
            after call; they are not those of Keras. None draws a seed.
        name (str, default None): The layer's name; None makes one.
        dtype (str, default None): None or "float32".

    Raises:
        ValueError: A rate outside [0, 1], another data_format, and inputs of another rank.

    Example:
        >>> y = layers.SpatialDropout2D(0.5, seed=1)(np.ones((1, 4, 4, 8)), training=True)
        >>> bool((y == y[:, :1, :1]).all())
        True
    """

    _ndim = 4

    def __init__(self, rate, data_format=None, seed=None, name=None, dtype=None):
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.data_format = data_format_of(data_format, type(self).__name__)
        self.input_spec = InputSpec(ndim=self._ndim)

    def _emit_noise(self, p, inputs):
        ones = (1,) * (self._ndim - 2)
        first = self.data_format == "channels_first"
        batch, channels = inputs.shape[0], inputs.shape[1 if first else -1]
        return self._drop(p, inputs, (batch, channels, *ones) if first else (batch, *ones, channels))

    def get_config(self):
        own = {"rate": self.rate, "seed": self.seed, "name": self.name, "dtype": self.dtype}
        return {**own, "data_format": self.data_format}


class SpatialDropout3D(SpatialDropout2D):
    """Dropout of whole channels: (B, T, H, W, C), where a channel of a row is dropped everywhere or nowhere.

    Source: Tompson et al. 2014, https://arxiv.org/abs/1411.4280.

    Args:
        rate (float): Share of the channels that are dropped, from 0 to 1.
        data_format (str, default None): "channels_last", or "channels_first" where the channels follow the batch; None
            is what `backend.image_data_format()` says.
        seed (int or None, default None): Seed of the random numbers. Two layers of one seed draw the same numbers, call
            after call; they are not those of Keras. None draws a seed.
        name (str, default None): The layer's name; None makes one.
        dtype (str, default None): None or "float32".

    Raises:
        ValueError: A rate outside [0, 1], another data_format, and inputs of another rank.

    Example:
        >>> y = layers.SpatialDropout3D(0.5, seed=1)(np.ones((1, 4, 4, 4, 8)), training=True)
        >>> bool((y == y[:, :1, :1, :1]).all())
        True
    """

    _ndim = 5
