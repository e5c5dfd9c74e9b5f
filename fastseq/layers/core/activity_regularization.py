"""ActivityRegularization; see https://keras.io/api/layers/regularization_layers/activity_regularization/."""

from fastseq import regularizers
from fastseq.layers import time_axis
from fastseq.layers.base import Layer


class ActivityRegularization(Layer):
    """Returns its input, of any shape and dtype; l1 and l2 are factors of a penalty, which training adds."""

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
