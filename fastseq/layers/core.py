"""Keras 1's and 2's name for the module of these layers."""

from fastseq.layers.activation import Activation
from fastseq.layers.activity_regularization import ActivityRegularization
from fastseq.layers.dense import Dense
from fastseq.layers.dropout import Dropout
from fastseq.layers.flatten import Flatten
from fastseq.layers.masking import Masking
from fastseq.layers.permute import Permute
from fastseq.layers.repeat_vector import RepeatVector
from fastseq.layers.reshape import Reshape
from fastseq.layers.spatial_dropout1d import SpatialDropout1D

__all__ = [
    "Activation",
    "ActivityRegularization",
    "Dense",
    "Dropout",
    "Flatten",
    "Masking",
    "Permute",
    "RepeatVector",
    "Reshape",
    "SpatialDropout1D",
]
