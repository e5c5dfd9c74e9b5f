"""Keras 1's and 2's name for the module of this layer."""

from fastseq.layers.embeddings.embedding import Embedding

__all__ = ["Embedding"]
