"""The largest values and the means of windows over time; Keras 1's and 2's name for the module of these layers."""

from fastseq.configs.lazy_names import Names, face

_NAMES = Names("fastseq.layers", {
    "pooling.pooling1d": "AveragePooling1D AvgPool1D MaxPool1D MaxPooling1D",
    "pooling.global_pooling1d": "GlobalAveragePooling1D GlobalAvgPool1D GlobalMaxPool1D GlobalMaxPooling1D",
})  # fmt: skip

__all__ = list(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)
