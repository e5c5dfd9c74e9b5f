"""Layers of single timesteps and of shapes; Keras 1's and 2's name for the module of these layers."""

from fastseq.configs.lazy_names import Names, face

_NAMES = Names("fastseq.layers", {
    "core.activation": "Activation",
    "core.activity_regularization": "ActivityRegularization",
    "core.dense": "Dense",
    "core.flatten": "Flatten",
    "core.masking": "Masking",
    "core.permute": "Permute",
    "core.repeat_vector": "RepeatVector",
    "core.reshape": "Reshape",
    "noise.dropout": "Dropout",
    "noise.spatial_dropout1d": "SpatialDropout1D",
})  # fmt: skip

__all__ = list(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)
