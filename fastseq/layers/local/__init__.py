"""Keras 1's and 2's name for the module of this layer."""

from fastseq.layers.local.locally_connected1d import LocallyConnected1D

__all__ = ["LocallyConnected1D"]
