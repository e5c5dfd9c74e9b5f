"""Keras 1's and 2's name for the module of these layers."""

from fastseq.layers.wrappers.bidirectional import Bidirectional
from fastseq.layers.wrappers.time_distributed import TimeDistributed

__all__ = ["Bidirectional", "TimeDistributed"]
