"""Identity layer; see https://keras.io/api/layers/core_layers/identity/."""

from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.tensors import nest
from fastseq.tensors.symbolic import KerasTensor


class Identity(Layer):
    """Returns its input, an array of any shape and dtype or a nest of them.

    Args:
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Example:
        >>> layers.Identity()(np.array([1, 2]))
        array([1, 2], dtype=int32)
    """

    supports_masking = True
    keeps_time = time_axis.by_value
    _takes_several = True

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.built = True

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, inputs):
        return nest.map_structure(lambda tensor: KerasTensor(tensor.shape, tensor.dtype), inputs)

    def _keeps_masks(self, rules):
        return rules.identity

    def emit(self, p, inputs):
        return inputs if p.mask_rules.identity else nest.map_structure(lambda slot: slot.with_mask(None), inputs)
