"""LSTM and LSTMCell (Hochreiter & Schmidhuber 1997); see https://keras.io/api/layers/recurrent_layers/lstm/."""

import numpy as np

from fastseq import activations
from fastseq.layers.recurrent.cell import RecurrentCell, reference_recurrence
from fastseq.layers.recurrent.over_time import Recurrent


class _LSTMGates:
    cell = "lstm"
    state_count = 2

    def _bias_initializer(self):
        if not self.unit_forget_bias:
            return self.bias_initializer

        def with_ones_for_forget(shape, dtype=None):
            bias = np.asarray(self.bias_initializer((4 * self.units,)))
            bias[self.units : 2 * self.units] = 1.0
            return bias

        return with_ones_for_forget

    def _reference_step(self, weights):
        kernel, recurrent_kernel, bias = weights

        def step(x, states):
            h, c = states
            gates = x @ kernel + h @ recurrent_kernel
            i, f, g, o = np.split(gates if bias is None else gates + bias, 4, axis=-1)
            c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
            h = self.recurrent_activation(o) * self.activation(c)
            return h, [h, c]

        return step

    def _extra_config(self):
        return {
            "recurrent_activation": activations.serialize(self.recurrent_activation),
            "unit_forget_bias": self.unit_forget_bias,
        }


class LSTM(_LSTMGates, Recurrent):
    """Keras's LSTM, gates in the order i f c o. States: h and c, (B, units) each.

    i, f, o = recurrent_activation(x W + h U + b), g = activation(x W + h U + b);
    c' = f c + i g,  h' = o activation(c').
    """

    def __init__(
        self, units, activation="tanh", recurrent_activation="sigmoid", use_bias=True,
        kernel_initializer="glorot_uniform", recurrent_initializer="orthogonal", bias_initializer="zeros",
        unit_forget_bias=True, kernel_regularizer=None, recurrent_regularizer=None, bias_regularizer=None,
        activity_regularizer=None, kernel_constraint=None, recurrent_constraint=None, bias_constraint=None,
        dropout=0.0, recurrent_dropout=0.0, seed=None, return_sequences=False, return_state=False, go_backwards=False,
        stateful=False, unroll=False, use_cudnn="auto", **kwargs,
    ):  # fmt: skip
        options = {key: value for key, value in locals().items() if key not in ("self", "units", "kwargs", "__class__")}
        super().__init__(units, options, **kwargs)


class LSTMCell(_LSTMGates, RecurrentCell):
    """One step of an LSTM: `cell(inputs, [h, c])` -> `(h, [h, c])`; in `RNN(cell)` it runs on LSTM's kernel."""

    def __init__(
        self, units, activation="tanh", recurrent_activation="sigmoid", use_bias=True,
        kernel_initializer="glorot_uniform", recurrent_initializer="orthogonal", bias_initializer="zeros",
        unit_forget_bias=True, kernel_regularizer=None, recurrent_regularizer=None, bias_regularizer=None,
        kernel_constraint=None, recurrent_constraint=None, bias_constraint=None, dropout=0.0, recurrent_dropout=0.0,
        seed=None, **kwargs,
    ):  # fmt: skip
        options = {key: value for key, value in locals().items() if key not in ("self", "units", "kwargs", "__class__")}
        super().__init__(units, options, **kwargs)


def reference_lstm(x, kernel, recurrent_kernel, bias=None, states=None, mask=None, **options):
    """The naive twin with the default activations, in the dtype of x (B, T, I): outputs (B, T, H) and [h, c].

    options: go_backwards, zero_output_for_mask.
    """
    units = recurrent_kernel.shape[0]
    if states is None:
        states = [np.zeros((x.shape[0], units), x.dtype)] * 2
    step = LSTM(units)._reference_step((kernel, recurrent_kernel, bias))
    return reference_recurrence(step, x, states, mask=mask, **options)
