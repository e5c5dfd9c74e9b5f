"""Layers that normalize; Keras 1's and 2's name for the module of BatchNormalization and LayerNormalization."""

from fastseq.configs.lazy_names import Names, face

_NAMES = Names("fastseq.layers", {
    "normalization.batch_normalization": "BatchNormalization",
    "normalization.layer_normalization": "LayerNormalization",
    "normalization.unit_normalization": "UnitNormalization",
})  # fmt: skip

__all__ = list(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)
