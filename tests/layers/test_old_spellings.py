"""Where Keras 1 and 2 kept the layers, and the registry that files are looked up in."""

import importlib

import pytest

from fastseq import layers

MODULES = {
    "core": "Dense Activation Dropout Flatten Reshape Permute RepeatVector Masking SpatialDropout1D "
    "ActivityRegularization",
    "recurrent": "LSTM GRU SimpleRNN RNN LSTMCell GRUCell SimpleRNNCell StackedRNNCells",
    "convolutional": "Conv1D Convolution1D SeparableConv1D DepthwiseConv1D Conv1DTranspose",
    "local": "LocallyConnected1D",
    "embeddings": "Embedding",
    "wrappers": "TimeDistributed Bidirectional",
    "merge": "Add Subtract Multiply Average Maximum Minimum Concatenate Dot "
    "add subtract multiply average maximum minimum concatenate dot",
    "advanced_activations": "LeakyReLU PReLU ELU ReLU Softmax",
    "noise": "GaussianNoise GaussianDropout AlphaDropout",
}


@pytest.mark.parametrize("module", MODULES)
def test_modules(module):
    found = importlib.import_module(f"fastseq.layers.{module}")
    for name in MODULES[module].split():
        assert getattr(found, name) is getattr(layers, name), name
    with pytest.raises(AttributeError, match="Conv9D"):
        _ = found.Conv9D


def test_registry_holds_every_layer():
    for name, cls in layers.REGISTRY.items():
        assert cls.__name__ == name and getattr(layers, name) is cls
    wanted = (
        "InputLayer Dense TimeDistributed LSTM GRU SimpleRNN Bidirectional Embedding Masking Activation Softmax ReLU "
        "LeakyReLU ELU PReLU Dropout SpatialDropout1D GaussianNoise GaussianDropout AlphaDropout "
        "ActivityRegularization Flatten Reshape RepeatVector Permute Identity Concatenate Add Subtract Multiply "
        "Average Maximum Minimum Dot"
    )
    assert set(wanted.split()) <= set(layers.REGISTRY)


def test_functions_are_not_hidden_by_the_modules_of_their_name():
    for name in ("concatenate", "dot", "add"):
        assert callable(getattr(layers, name))
        if name != "add":
            importlib.import_module(f"fastseq.layers.merge.{name}")
        assert callable(getattr(layers, name)) and callable(getattr(layers.merge, name))


def test_spellings_that_say_nothing_alone_are_refused():
    for leftover in ({"batch_size": 4}, {"input_length": 5}):
        with pytest.raises(ValueError, match="Unrecognized keyword"):
            layers.Dense(3, **leftover)
