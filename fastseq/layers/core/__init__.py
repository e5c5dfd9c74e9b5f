"""Keras 1's and 2's name for the module of these layers."""

from fastseq.layers.core.activation import Activation
from fastseq.layers.core.activity_regularization import ActivityRegularization
from fastseq.layers.core.dense import Dense
from fastseq.layers.core.flatten import Flatten
from fastseq.layers.core.masking import Masking
from fastseq.layers.core.permute import Permute
from fastseq.layers.core.repeat_vector import RepeatVector
from fastseq.layers.core.reshape import Reshape
from fastseq.layers.noise.dropout import Dropout
from fastseq.layers.noise.spatial_dropout1d import SpatialDropout1D

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
