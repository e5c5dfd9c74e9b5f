"""The layers, by Keras's names. REGISTRY is the closed table that model files are looked up in."""

from fastseq.configs.lazy_names import Names, face

REGISTRY = Names(__name__, {
    "advanced_activations.elu": "ELU",
    "advanced_activations.leaky_relu": "LeakyReLU",
    "advanced_activations.prelu": "PReLU",
    "advanced_activations.relu": "ReLU",
    "advanced_activations.softmax": "Softmax",
    "convolutional.conv1d": "Conv1D",
    "convolutional.conv1d_transpose": "Conv1DTranspose",
    "convolutional.depthwise_conv1d": "DepthwiseConv1D",
    "convolutional.separable_conv1d": "SeparableConv1D",
    "core.activation": "Activation",
    "core.activity_regularization": "ActivityRegularization",
    "core.dense": "Dense",
    "core.einsum_dense": "EinsumDense",
    "core.flatten": "Flatten",
    "core.identity": "Identity",
    "core.input_layer": "InputLayer",
    "core.masking": "Masking",
    "core.permute": "Permute",
    "core.repeat_vector": "RepeatVector",
    "core.reshape": "Reshape",
    "embeddings.embedding": "Embedding",
    "local.locally_connected1d": "LocallyConnected1D",
    "merge.concatenate": "Concatenate",
    "merge.dot": "Dot",
    "merge.merging": "Add Average Maximum Minimum Multiply Subtract",
    "noise.alpha_dropout": "AlphaDropout",
    "noise.dropout": "Dropout",
    "noise.gaussian_dropout": "GaussianDropout",
    "noise.gaussian_noise": "GaussianNoise",
    "noise.spatial_dropout1d": "SpatialDropout1D",
    "recurrent.gru": "GRU GRUCell",
    "recurrent.lstm": "LSTM LSTMCell",
    "recurrent.rnn": "RNN",
    "recurrent.simple_rnn": "SimpleRNN SimpleRNNCell",
    "recurrent.stacked_rnn_cells": "StackedRNNCells",
    "wrappers.bidirectional": "Bidirectional",
    "wrappers.time_distributed": "TimeDistributed",
})  # fmt: skip
# What else the module has: no config may ask for these by name.
_BESIDE = Names(__name__, {
    "base": "Layer",
    "convolutional.conv1d": "Convolution1D",
    "convolutional.conv1d_transpose": "Convolution1DTranspose",
    "convolutional.separable_conv1d": "SeparableConvolution1D",
    "core.input_layer": "Input",
    "input_spec": "InputSpec",
    "merge.concatenate": "concatenate",
    "merge.dot": "dot",
    "merge.functions": "add average maximum minimum multiply subtract",
})  # fmt: skip

__all__ = ["REGISTRY", *_BESIDE, *REGISTRY]
__getattr__, __dir__ = face(__name__, REGISTRY, _BESIDE)
