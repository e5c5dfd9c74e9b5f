"""Layers that add timesteps, leave some out or repeat them; Keras 2's name for the module of these layers."""

from fastseq.configs.lazy_names import Names, face

_NAMES = Names("fastseq.layers", {
    "core.flatten": "Flatten",
    "core.permute": "Permute",
    "core.repeat_vector": "RepeatVector",
    "core.reshape": "Reshape",
    "reshaping.cropping1d": "Cropping1D",
    "reshaping.up_sampling1d": "UpSampling1D",
    "reshaping.zero_padding1d": "ZeroPadding1D",
})  # fmt: skip

__all__ = list(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)
