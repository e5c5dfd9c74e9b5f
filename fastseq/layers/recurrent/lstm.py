"""LSTM and LSTMCell (Hochreiter & Schmidhuber 1997); see https://keras.io/api/layers/recurrent_layers/lstm/."""

import numpy as np

from fastseq import activations
from fastseq.layers.recurrent.cell import RecurrentCell
from fastseq.layers.recurrent.over_time import Recurrent
from fastseq.layers.recurrent.reference import reference_recurrence


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
    """Long short-term memory over (B, T, I) float32, with gates in the order i f c o. States: h and c, (B, units) each.

      i, f, o = recurrent_activation(x W + h U + b),  g = activation(x W + h U + b)
      c' = f c + i g,  h' = o activation(c')

    Call: `layer(sequences, initial_state=None, mask=None, training=False)`, with a list [h, c] and a bool mask (B, T).
    Source: Hochreiter and Schmidhuber 1997; the forget gate: Gers et al. 2000.

    Args:
        units (int): Size of the output and of each state, at least 1.
        activation (str, dict or function, default "tanh"): Of the candidate; your own function runs as native
            steps where it can be traced, else as a step in Python.
        recurrent_activation (str, dict or function, default "sigmoid"): Of the gates.
        use_bias (bool, default True): Whether biases are added.
        kernel_initializer (str, dict or Initializer, default "glorot_uniform"): What the kernel, of the inputs, begins
            as.
        recurrent_initializer (str, dict or Initializer, default "orthogonal"): What the recurrent kernel, of the state,
            begins as.
        bias_initializer (str, dict or Initializer, default "zeros"): What the bias begins as.
        unit_forget_bias (bool, default True): Whether the forget gate's bias begins as 1.
        kernel_regularizer (str, dict or Regularizer, default None): Penalty on the kernel in training; None is none.
        recurrent_regularizer (str, dict or Regularizer, default None): Penalty on the recurrent kernel in training;
            None is none.
        bias_regularizer (str, dict or Regularizer, default None): Penalty on the bias in training; None is none.
        activity_regularizer (str, dict or Regularizer, default None): Penalty on the output in training; None is none.
        kernel_constraint (str, dict or Constraint, default None): Applied to the kernel after each step of training;
            None is none.
        recurrent_constraint (str, dict or Constraint, default None): Applied to the recurrent kernel after each step;
            None is none.
        bias_constraint (str, dict or Constraint, default None): Applied to the bias after each step of training; None
            is none.
        dropout (float, default 0.0): With training=True, share of the inputs that are dropped; clipped to [0, 1].
        recurrent_dropout (float, default 0.0): With training=True, share of the state that is dropped; clipped to [0,
            1].
        seed (int or None, default None): Seed of the dropout's random numbers; None draws one.
        return_sequences (bool, default False): Whether the output is that of every timestep, (B, T, units), or of the
            last, (B, units).
        return_state (bool, default False): Whether a tuple of the output and the states, (B, units) each, is returned.
        go_backwards (bool, default False): Whether the last timestep comes first.
        stateful (bool, default False): Whether a call goes on from the states that the last call left, row by row.
        unroll (bool, default False): It changes nothing: the numbers are those of Keras's loop.
        use_cudnn (str or bool, default "auto"): "auto", True or False; kept for files, without effect; another value
            raises.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`, `zero_output_for_mask` (masked timesteps of a
            sequence are 0 rather than the last output), and `implementation` (with dropout: 1 draws factors for every
            gate, 2 one set for all).

    Raises:
        ValueError: Units below 1; in a call, another rank, T = 0, and masks and states of other shapes.

    Example:
        >>> layer = layers.LSTM(4, return_sequences=True, return_state=True)
        >>> sequence, h, c = layer(np.zeros((2, 5, 3)))
        >>> sequence.shape, h.shape, c.shape
        ((2, 5, 4), (2, 4), (2, 4))
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
    """One step of an LSTM: `cell(inputs, [h, c])` -> `(h, [h, c])`; in `RNN(cell)` it runs on LSTM's kernel.

    The inputs are (B, I) float32, the states (B, units). Called alone with training=True a cell keeps its dropout
    factors until `reset_dropout_mask()` and `reset_recurrent_dropout_mask()`, as Keras's do.

    Args:
        units (int): Size of the output and of each state, at least 1.
        activation (str, dict or function, default "tanh"): Of the candidate; your own function runs as native
            steps where it can be traced, else as a step in Python.
        recurrent_activation (str, dict or function, default "sigmoid"): Of the gates.
        use_bias (bool, default True): Whether biases are added.
        kernel_initializer (str, dict or Initializer, default "glorot_uniform"): What the kernel, of the inputs, begins
            as.
        recurrent_initializer (str, dict or Initializer, default "orthogonal"): What the recurrent kernel, of the state,
            begins as.
        bias_initializer (str, dict or Initializer, default "zeros"): What the bias begins as.
        unit_forget_bias (bool, default True): Whether the forget gate's bias begins as 1.
        kernel_regularizer (str, dict or Regularizer, default None): Penalty on the kernel in training; None is none.
        recurrent_regularizer (str, dict or Regularizer, default None): Penalty on the recurrent kernel in training;
            None is none.
        bias_regularizer (str, dict or Regularizer, default None): Penalty on the bias in training; None is none.
        kernel_constraint (str, dict or Constraint, default None): Applied to the kernel after each step of training;
            None is none.
        recurrent_constraint (str, dict or Constraint, default None): Applied to the recurrent kernel after each step;
            None is none.
        bias_constraint (str, dict or Constraint, default None): Applied to the bias after each step of training; None
            is none.
        dropout (float, default 0.0): With training=True, share of the inputs that are dropped; clipped to [0, 1].
        recurrent_dropout (float, default 0.0): With training=True, share of the state that is dropped; clipped to [0,
            1].
        seed (int or None, default None): Seed of the dropout's random numbers; None draws one.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`, and `implementation` (with dropout: 1 draws
            factors for every gate, 2 one set for all).

    Raises:
        ValueError: Units below 1; in a call, inputs and states of other shapes.

    Example:
        >>> h, states = layers.LSTMCell(4)(np.zeros((2, 3)), [np.zeros((2, 4)), np.zeros((2, 4))])
        >>> h.shape, len(states)
        ((2, 4), 2)
    """

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
