"""Ids to vectors; Keras 1's and 2's name for the module of this layer."""

from fastseq.configs.lazy_names import Names, face

_NAMES = Names("fastseq.layers", {
    "embeddings.embedding": "Embedding",
})  # fmt: skip

__all__ = list(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)
