"""Keras 1's and 2's name for the module of these layers."""

from fastseq.layers.advanced_activations.elu import ELU
from fastseq.layers.advanced_activations.leaky_relu import LeakyReLU
from fastseq.layers.advanced_activations.prelu import PReLU
from fastseq.layers.advanced_activations.relu import ReLU
from fastseq.layers.advanced_activations.softmax import Softmax

__all__ = ["ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"]
