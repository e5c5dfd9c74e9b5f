"""SimpleRNN, the Elman network, and SimpleRNNCell; see https://keras.io/api/layers/recurrent_layers/simple_rnn/."""

import numpy as np

from fastseq.layers.recurrent.cell import RecurrentCell, reference_recurrence
from fastseq.layers.recurrent.over_time import Recurrent


class _SimpleGates:
    cell = "simple_rnn"

    def _mask_count(self):
        return 1

    def _reference_step(self, weights):
        kernel, recurrent_kernel, bias = weights

        def step(x, states):
            h = self.activation(x @ kernel + (0 if bias is None else bias) + states[0] @ recurrent_kernel)
            return h, [h]

        return step


class SimpleRNN(_SimpleGates, Recurrent):
    """Keras's SimpleRNN: h' = activation(x W + h U + b). State: h, (B, units)."""

    def __init__(
        self, units, activation="tanh", use_bias=True, kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal", bias_initializer="zeros", kernel_regularizer=None,
        recurrent_regularizer=None, bias_regularizer=None, activity_regularizer=None, kernel_constraint=None,
        recurrent_constraint=None, bias_constraint=None, dropout=0.0, recurrent_dropout=0.0, return_sequences=False,
        return_state=False, go_backwards=False, stateful=False, unroll=False, seed=None, **kwargs,
    ):  # fmt: skip
        options = {key: value for key, value in locals().items() if key not in ("self", "units", "kwargs", "__class__")}
        super().__init__(units, options, **kwargs)

    def get_config(self):
        # Keras leaves its seed out of this layer's config.
        return {key: value for key, value in super().get_config().items() if key != "seed"}


class SimpleRNNCell(_SimpleGates, RecurrentCell):
    """One step of a SimpleRNN: `cell(sequence, [h])` -> `(h, [h])`; in `RNN(cell)` it runs on SimpleRNN's kernel."""

    def __init__(
        self, units, activation="tanh", use_bias=True, kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal", bias_initializer="zeros", kernel_regularizer=None,
        recurrent_regularizer=None, bias_regularizer=None, kernel_constraint=None, recurrent_constraint=None,
        bias_constraint=None, dropout=0.0, recurrent_dropout=0.0, seed=None, **kwargs,
    ):  # fmt: skip
        options = {key: value for key, value in locals().items() if key not in ("self", "units", "kwargs", "__class__")}
        super().__init__(units, options, **kwargs)

    # Keras's cell calls its input so.
    def emit(self, p, sequence, states, training=False):
        return super().emit(p, sequence, states, training)

    def compute_output_shape(self, sequence_shape, states_shape=None):
        return super().compute_output_shape(sequence_shape, states_shape)

    def _drops(self, rate):
        # Unlike the cells with gates, it drops everything at a rate of 1.
        return rate > 0


def reference_simple_rnn(x, kernel, recurrent_kernel, bias=None, states=None, mask=None, **options):
    """The naive twin with the default activation, in the dtype of x (B, T, I): outputs (B, T, H) and [h].

    options: go_backwards, zero_output_for_mask.
    """
    units = recurrent_kernel.shape[0]
    if states is None:
        states = [np.zeros((x.shape[0], units), x.dtype)]
    step = SimpleRNN(units)._reference_step((kernel, recurrent_kernel, bias))
    return reference_recurrence(step, x, states, mask=mask, **options)
