"""Layers that walk over time; Keras 1's and 2's name for the module of these layers."""

from fastseq.configs.lazy_names import Names, face

_NAMES = Names("fastseq.layers", {
    "recurrent.gru": "GRU GRUCell",
    "recurrent.lstm": "LSTM LSTMCell",
    "recurrent.rnn": "RNN",
    "recurrent.simple_rnn": "SimpleRNN SimpleRNNCell",
    "recurrent.stacked_rnn_cells": "StackedRNNCells",
})  # fmt: skip

__all__ = list(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)
