"""Keras 1's and 2's name for the module of these layers."""

from fastseq.layers.bidirectional import Bidirectional
from fastseq.layers.time_distributed import TimeDistributed

__all__ = ["Bidirectional", "TimeDistributed"]
