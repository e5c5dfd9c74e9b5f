"""fastseq runs trained Keras sequence models on CPUs, without TensorFlow.

    import fastseq

    model = fastseq.load_model("model.keras")
    probabilities = model.predict(ids)

The names, arguments and meanings are those of Keras 3.15: see https://keras.io/api/.
"""

import fastseq.native  # noqa: F401 - first of all, as it says in one sentence what is wrong where C is not built
from fastseq import activations, backend, constraints, initializers, layers, models, regularizers, saving
from fastseq.configs.lazy_names import Modules, Some, face, publish
from fastseq.errors import FileFormatError, UnsupportedError
from fastseq.layers import Input, Layer
from fastseq.models import Model, Sequential
from fastseq.native.runtime import (
    active_isa,
    available_isas,
    get_num_threads,
    num_threads,
    set_num_threads,
    show_config,
)
from fastseq.saving import from_keras, load_model
from fastseq.tensors.symbolic import KerasTensor
from fastseq.tensors.variable import Variable
from fastseq.version import __version__ as __version__

__all__ = [
    "FileFormatError",
    "Input",
    "KerasTensor",
    "Layer",
    "Model",
    "Sequential",
    "UnsupportedError",
    "Variable",
    "active_isa",
    "activations",
    "available_isas",
    "backend",
    "callbacks",
    "constraints",
    "decoding",
    "from_keras",
    "get_num_threads",
    "initializers",
    "layers",
    "load_model",
    "losses",
    "metrics",
    "models",
    "num_threads",
    "optimizers",
    "regularizers",
    "saving",
    "set_num_threads",
    "show_config",
    "value_and_grad",
]
publish(globals())

# Imported when they are first asked for: 15 ms that a program which only predicts does not need.
__getattr__, __dir__ = face(
    __name__, Modules(__name__, "callbacks decoding losses metrics ops optimizers"),
    Some("fastseq.training.value_and_grad", "value_and_grad"),
    {name: globals()[name] for name in __all__ if name in globals()},
)  # fmt: skip
