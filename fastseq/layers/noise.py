"""Keras 1's and 2's name for the module of these layers."""

from fastseq.layers.alpha_dropout import AlphaDropout
from fastseq.layers.gaussian_dropout import GaussianDropout
from fastseq.layers.gaussian_noise import GaussianNoise

__all__ = ["AlphaDropout", "GaussianDropout", "GaussianNoise"]
