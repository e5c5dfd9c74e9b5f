"""SpatialDropout1D; see https://keras.io/api/layers/regularization_layers/spatial_dropout1d/.

Source: Tompson et al. 2014, https://arxiv.org/abs/1411.4280.
"""

from fastseq.layers.input_spec import InputSpec
from fastseq.layers.noise.dropout import Dropout


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
