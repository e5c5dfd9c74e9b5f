"""Keras 1's and 2's name for the module of these layers."""

from fastseq.layers.elu import ELU
from fastseq.layers.leaky_relu import LeakyReLU
from fastseq.layers.prelu import PReLU
from fastseq.layers.relu import ReLU
from fastseq.layers.softmax import Softmax

__all__ = ["ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"]
