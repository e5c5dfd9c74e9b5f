"""SimpleRNN, the Elman network, and SimpleRNNCell; see https://keras.io/api/layers/recurrent_layers/simple_rnn/."""

import numpy as np

from fastseq.layers.recurrent.cell import RecurrentCell
from fastseq.layers.recurrent.over_time import Recurrent
from fastseq.layers.recurrent.reference import reference_recurrence


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
    """h' = activation(x W + h U + b) over (B, T, I) float32. State: h, (B, units).

    Call: `layer(sequences, initial_state=None, mask=None, training=False)`, with h or a list of it and a bool mask (B,
    T). Source: Elman 1990.

    Args:
        units (int): Size of the output and of each state, at least 1.
        activation (str, dict or function, default "tanh"): Of the candidate; your own function runs as native
            steps where it can be traced, else as a step in Python.
        use_bias (bool, default True): Whether biases are added.
        kernel_initializer (str, dict or Initializer, default "glorot_uniform"): What the kernel, of the inputs, begins
            as.
        recurrent_initializer (str, dict or Initializer, default "orthogonal"): What the recurrent kernel, of the state,
            begins as.
        bias_initializer (str, dict or Initializer, default "zeros"): What the bias begins as.
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
        return_sequences (bool, default False): Whether the output is that of every timestep, (B, T, units), or of the
            last, (B, units).
        return_state (bool, default False): Whether a tuple of the output and the states, (B, units) each, is returned.
        go_backwards (bool, default False): Whether the last timestep comes first.
        stateful (bool, default False): Whether a call goes on from the states that the last call left, row by row.
        unroll (bool, default False): It changes nothing: the numbers are those of Keras's loop.
        seed (int or None, default None): Seed of the dropout's random numbers; None draws one.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`, and `zero_output_for_mask` (masked timesteps
            of a sequence are 0 rather than the last output).

    Raises:
        ValueError: Units below 1; in a call, another rank, T = 0, and masks and states of other shapes.

    Example:
        >>> layers.SimpleRNN(4)(np.zeros((2, 5, 3))).shape
        (2, 4)
    """

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
    """One step of a SimpleRNN: `cell(sequence, [h])` -> `(h, [h])`; in `RNN(cell)` it runs on SimpleRNN's kernel.

    The inputs are (B, I) float32, the state (B, units). Called alone with training=True a cell keeps its dropout
    factors until `reset_dropout_mask()` and `reset_recurrent_dropout_mask()`, as Keras's do.

    Args:
        units (int): Size of the output and of each state, at least 1.
        activation (str, dict or function, default "tanh"): Of the candidate; your own function runs as native
            steps where it can be traced, else as a step in Python.
        use_bias (bool, default True): Whether biases are added.
        kernel_initializer (str, dict or Initializer, default "glorot_uniform"): What the kernel, of the inputs, begins
            as.
        recurrent_initializer (str, dict or Initializer, default "orthogonal"): What the recurrent kernel, of the state,
            begins as.
        bias_initializer (str, dict or Initializer, default "zeros"): What the bias begins as.
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
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Units below 1; in a call, inputs and states of other shapes.

    Example:
        >>> h, states = layers.SimpleRNNCell(4)(np.zeros((2, 3)), [np.zeros((2, 4))])
        >>> h.shape, len(states)
        ((2, 4), 1)
    """

    def __init__(
        self, units, activation="tanh", use_bias=True, kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal", bias_initializer="zeros", kernel_regularizer=None,
        recurrent_regularizer=None, bias_regularizer=None, kernel_constraint=None, recurrent_constraint=None,
        bias_constraint=None, dropout=0.0, recurrent_dropout=0.0, seed=None, **kwargs,
    ):  # fmt: skip
        options = {key: value for key, value in locals().items() if key not in ("self", "units", "kwargs", "__class__")}
        super().__init__(units, options, **kwargs)

    # Keras's cell calls its input `sequence`.
    def emit(self, p, sequence, states, training=False):
        return super().emit(p, sequence, states, training)

    def compute_output_shape(self, sequence_shape, states_shape=None):
        return super().compute_output_shape(sequence_shape, states_shape)

    def _drops(self, rate):
        # A rate of 1 drops everything here; the cells with gates take it for no dropout.
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
