"""ActivityRegularization; see https://keras.io/api/layers/regularization_layers/activity_regularization/."""

from fastseq import regularizers
from fastseq.layers import time_axis
from fastseq.layers.base import Layer


class ActivityRegularization(Layer):
    """Returns its input, of any shape and dtype, and adds a penalty on it to the loss in training.

    Args:
        l1 (float, default 0.0): Factor of the sum of absolute values.
        l2 (float, default 0.0): Factor of the sum of squares.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: A factor that is negative or not finite.

    Example:
        >>> layer = layers.ActivityRegularization(l2=0.5)
        >>> y = layer(np.array([[1.0, 2.0]]))
        >>> [float(loss) for loss in layer.losses]
        [2.5]
    """

    supports_masking = True
    keeps_time = time_axis.by_value

    def __init__(self, l1=0.0, l2=0.0, **kwargs):
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.l1 = l1
        self.l2 = l2
        self.built = True

    def _output_dtype(self, arguments):
        return arguments["inputs"].dtype

    def emit(self, p, inputs):
        return inputs

    def get_config(self):
        config = super().get_config()
        config.pop("activity_regularizer", None)
        return {**config, "l1": self.l1, "l2": self.l2}
