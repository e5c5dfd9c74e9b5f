"""Layers around layers; Keras 1's and 2's name for the module of these layers."""

from fastseq.configs.lazy_names import Names, face

_NAMES = Names("fastseq.layers", {
    "wrappers.bidirectional": "Bidirectional",
    "wrappers.time_distributed": "TimeDistributed",
    "wrappers.wrapper": "Wrapper",
})  # fmt: skip

__all__ = list(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)
