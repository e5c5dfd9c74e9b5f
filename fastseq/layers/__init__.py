"""The layers, by Keras's names. REGISTRY is the closed table that model files are looked up in."""

from fastseq.layers.activation import Activation
from fastseq.layers.activity_regularization import ActivityRegularization
from fastseq.layers.alpha_dropout import AlphaDropout
from fastseq.layers.base import Layer
from fastseq.layers.bidirectional import Bidirectional
from fastseq.layers.concatenate import Concatenate, concatenate
from fastseq.layers.dense import Dense
from fastseq.layers.dot import Dot, dot
from fastseq.layers.dropout import Dropout
from fastseq.layers.einsum_dense import EinsumDense
from fastseq.layers.elu import ELU
from fastseq.layers.embedding import Embedding
from fastseq.layers.flatten import Flatten
from fastseq.layers.gaussian_dropout import GaussianDropout
from fastseq.layers.gaussian_noise import GaussianNoise
from fastseq.layers.gru import GRU, GRUCell
from fastseq.layers.identity import Identity
from fastseq.layers.input_layer import Input, InputLayer
from fastseq.layers.input_spec import InputSpec
from fastseq.layers.leaky_relu import LeakyReLU
from fastseq.layers.locally_connected1d import LocallyConnected1D
from fastseq.layers.lstm import LSTM, LSTMCell
from fastseq.layers.masking import Masking
from fastseq.layers.merging import (
    Add,
    Average,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    maximum,
    minimum,
    multiply,
    subtract,
)
from fastseq.layers.permute import Permute
from fastseq.layers.prelu import PReLU
from fastseq.layers.relu import ReLU
from fastseq.layers.repeat_vector import RepeatVector
from fastseq.layers.reshape import Reshape
from fastseq.layers.rnn import RNN
from fastseq.layers.simple_rnn import SimpleRNN, SimpleRNNCell
from fastseq.layers.softmax import Softmax
from fastseq.layers.spatial_dropout1d import SpatialDropout1D
from fastseq.layers.stacked_rnn_cells import StackedRNNCells
from fastseq.layers.time_distributed import TimeDistributed

REGISTRY = {
    cls.__name__: cls
    for cls in (
        *(Activation, ActivityRegularization, Add, AlphaDropout, Average, Bidirectional, Concatenate, Dense, Dot),
        *(Dropout, ELU, EinsumDense, Embedding, Flatten, GRU, GRUCell, GaussianDropout, GaussianNoise, Identity),
        *(InputLayer, LSTM, LSTMCell, LeakyReLU, LocallyConnected1D, Masking, Maximum, Minimum, Multiply, PReLU),
        *(Permute, RNN, ReLU, RepeatVector, Reshape, SimpleRNN, SimpleRNNCell, Softmax, SpatialDropout1D),
        *(StackedRNNCells, Subtract, TimeDistributed),
    )
}

__all__ = ["REGISTRY", "Input", "InputSpec", "Layer", *REGISTRY]
__all__ += ["add", "average", "concatenate", "dot", "maximum", "minimum", "multiply", "subtract"]
