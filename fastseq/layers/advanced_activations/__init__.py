"""Activations that are layers; Keras 1's and 2's name for the module of these layers."""

from fastseq.configs.lazy_names import Names, face

_NAMES = Names("fastseq.layers", {
    "advanced_activations.elu": "ELU",
    "advanced_activations.leaky_relu": "LeakyReLU",
    "advanced_activations.prelu": "PReLU",
    "advanced_activations.relu": "ReLU",
    "advanced_activations.softmax": "Softmax",
})  # fmt: skip

__all__ = list(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)
