"""The layers, by Keras's names. REGISTRY is the closed table that model files are looked up in."""

from fastseq.layers.activation import Activation
from fastseq.layers.base import Layer
from fastseq.layers.dense import Dense
from fastseq.layers.gru import GRU
from fastseq.layers.input_spec import InputSpec
from fastseq.layers.lstm import LSTM
from fastseq.layers.simple_rnn import SimpleRNN

REGISTRY = {cls.__name__: cls for cls in (Activation, Dense, GRU, LSTM, SimpleRNN)}
