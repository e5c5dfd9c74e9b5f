"""Layers that walk over time; Keras 1's and 2's name for the module of these layers."""

from fastseq.layers.recurrent.gru import GRU, GRUCell
from fastseq.layers.recurrent.lstm import LSTM, LSTMCell
from fastseq.layers.recurrent.rnn import RNN
from fastseq.layers.recurrent.simple_rnn import SimpleRNN, SimpleRNNCell
from fastseq.layers.recurrent.stacked_rnn_cells import StackedRNNCells

__all__ = ["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "SimpleRNN", "SimpleRNNCell", "StackedRNNCells"]
