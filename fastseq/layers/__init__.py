"""The layers, by Keras's names. REGISTRY is the closed table that model files are looked up in."""

from fastseq.configs.lazy_names import Names, face
from fastseq.layers.refused import REASONS

REGISTRY = Names(__name__, {
    "advanced_activations.elu": "ELU",
    "advanced_activations.leaky_relu": "LeakyReLU",
    "advanced_activations.prelu": "PReLU",
    "advanced_activations.relu": "ReLU",
    "advanced_activations.softmax": "Softmax",
    "core.activation": "Activation",
    "core.activity_regularization": "ActivityRegularization",
    "core.dense": "Dense",
    "core.einsum_dense": "EinsumDense",
    "core.flatten": "Flatten",
    "core.highway": "Highway MaxoutDense",
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
    "noise.spatial_dropout1d": "SpatialDropout1D SpatialDropout2D SpatialDropout3D",
    "pooling.adaptive_pooling1d": "AdaptiveAveragePooling1D AdaptiveMaxPooling1D",
    "pooling.global_pooling1d": "GlobalAveragePooling1D GlobalMaxPooling1D",
    "pooling.pooling1d": "AveragePooling1D MaxPooling1D",
    "preprocessing.mel_spectrogram": "MelSpectrogram",
    "preprocessing.rescaling": "Rescaling",
    "preprocessing.stft_spectrogram": "STFTSpectrogram",
    "recurrent.gru": "GRU GRUCell",
    "recurrent.lstm": "LSTM LSTMCell",
    "recurrent.rnn": "RNN",
    "recurrent.simple_rnn": "SimpleRNN SimpleRNNCell",
    "recurrent.stacked_rnn_cells": "StackedRNNCells",
    "reshaping.cropping1d": "Cropping1D",
    "reshaping.up_sampling1d": "UpSampling1D",
    "reshaping.zero_padding1d": "ZeroPadding1D",
    "wrappers.bidirectional": "Bidirectional",
    "wrappers.time_distributed": "TimeDistributed",
})  # fmt: skip
# Layers of Keras 1 and 2 that Keras 3 does not have.
NOT_IN_KERAS = "Highway LocallyConnected1D MaxoutDense".split()
# What else the module has: no config may ask for these by name.
_BESIDE = Names(__name__, {
    "base": "Layer",
    "wrappers.wrapper": "Wrapper",
    "core.input_layer": "Input",
    "input_spec": "InputSpec",
    "merge.concatenate": "concatenate",
    "merge.dot": "dot",
    "pooling.global_pooling1d": "GlobalAvgPool1D GlobalMaxPool1D",
    "pooling.pooling1d": "AvgPool1D MaxPool1D",
    "merge.functions": "add average maximum minimum multiply subtract",
})  # fmt: skip

__all__ = ["REGISTRY", *_BESIDE, *REGISTRY]
__getattr__, __dir__ = face(__name__, REGISTRY, _BESIDE, reasons=REASONS)
