"""The layers, by Keras's names. REGISTRY is the closed table that model files are looked up in."""

from fastseq.layers.advanced_activations.elu import ELU
from fastseq.layers.advanced_activations.leaky_relu import LeakyReLU
from fastseq.layers.advanced_activations.prelu import PReLU
from fastseq.layers.advanced_activations.relu import ReLU
from fastseq.layers.advanced_activations.softmax import Softmax
from fastseq.layers.base import Layer
from fastseq.layers.core.activation import Activation
from fastseq.layers.core.activity_regularization import ActivityRegularization
from fastseq.layers.core.dense import Dense
from fastseq.layers.core.einsum_dense import EinsumDense
from fastseq.layers.core.flatten import Flatten
from fastseq.layers.core.identity import Identity
from fastseq.layers.core.input_layer import Input, InputLayer
from fastseq.layers.core.masking import Masking
from fastseq.layers.core.permute import Permute
from fastseq.layers.core.repeat_vector import RepeatVector
from fastseq.layers.core.reshape import Reshape
from fastseq.layers.embeddings.embedding import Embedding
from fastseq.layers.input_spec import InputSpec
from fastseq.layers.local.locally_connected1d import LocallyConnected1D
from fastseq.layers.merge.concatenate import Concatenate, concatenate
from fastseq.layers.merge.dot import Dot, dot
from fastseq.layers.merge.merging import (
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
from fastseq.layers.noise.alpha_dropout import AlphaDropout
from fastseq.layers.noise.dropout import Dropout
from fastseq.layers.noise.gaussian_dropout import GaussianDropout
from fastseq.layers.noise.gaussian_noise import GaussianNoise
from fastseq.layers.noise.spatial_dropout1d import SpatialDropout1D
from fastseq.layers.recurrent.gru import GRU, GRUCell
from fastseq.layers.recurrent.lstm import LSTM, LSTMCell
from fastseq.layers.recurrent.rnn import RNN
from fastseq.layers.recurrent.simple_rnn import SimpleRNN, SimpleRNNCell
from fastseq.layers.recurrent.stacked_rnn_cells import StackedRNNCells
from fastseq.layers.wrappers.bidirectional import Bidirectional
from fastseq.layers.wrappers.time_distributed import TimeDistributed

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
