"""Layers that draw random numbers; Keras 1's and 2's name for the module of these layers."""

from fastseq.configs.lazy_names import Names, face

_NAMES = Names("fastseq.layers", {
    "noise.alpha_dropout": "AlphaDropout",
    "noise.gaussian_dropout": "GaussianDropout",
    "noise.gaussian_noise": "GaussianNoise",
})  # fmt: skip

__all__ = list(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)
