"""Keras 1's and 2's name for the module of these layers."""

from fastseq.layers.noise.alpha_dropout import AlphaDropout
from fastseq.layers.noise.gaussian_dropout import GaussianDropout
from fastseq.layers.noise.gaussian_noise import GaussianNoise

__all__ = ["AlphaDropout", "GaussianDropout", "GaussianNoise"]
