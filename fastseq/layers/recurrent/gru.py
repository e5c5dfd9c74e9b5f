"""GRU and GRUCell (Cho et al. 2014, arXiv:1406.1078); see https://keras.io/api/layers/recurrent_layers/gru/."""

import numpy as np

from fastseq import activations
from fastseq.layers.recurrent.cell import RecurrentCell
from fastseq.layers.recurrent.over_time import Recurrent
from fastseq.layers.recurrent.reference import reference_recurrence


class _GRUGates:
    cell = "gru"

    def _bias_shape(self):
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def _operation(self):
        return "gru" if self.reset_after else "gru_reset_before"

    def _reference_step(self, weights):
        kernel, recurrent_kernel, bias = weights
        units = self.units
        given = 0 if bias is None else bias[0] if self.reset_after else bias
        inner = bias[1] if self.reset_after and bias is not None else 0

        def step(x, states):
            (h,) = states
            x_z, x_r, x_h = np.split(x @ kernel + given, 3, axis=-1)
            h_z, h_r = np.split((h @ recurrent_kernel + inner)[..., : 2 * units], 2, axis=-1)
            z = self.recurrent_activation(x_z + h_z)
            r = self.recurrent_activation(x_r + h_r)
            if self.reset_after:
                candidate = self.activation(x_h + r * (h @ recurrent_kernel + inner)[..., 2 * units :])
            else:
                candidate = self.activation(x_h + (r * h) @ recurrent_kernel[..., 2 * units :])
            h = z * h + (1 - z) * candidate
            return h, [h]

        return step

    def _extra_config(self):
        return {
            "recurrent_activation": activations.serialize(self.recurrent_activation),
            "reset_after": self.reset_after,
        }


class GRU(_GRUGates, Recurrent):
    """Gated recurrent unit over (B, T, I) float32, with gates in the order z r h. State: h, (B, units).

      z, r = recurrent_activation(x W + b + h U + b'),  h' = z h + (1 - z) candidate
      candidate = activation(x W + b + r (h U + b')) with reset_after=True (the default, CuDNN's form)
      candidate = activation(x W + b + (r h) U) with reset_after=False (the paper's third version)

    Call: `layer(sequences, initial_state=None, mask=None, training=False)`, with h or a list of it and a bool mask (B,
    T). Source: Cho et al. 2014, https://arxiv.org/abs/1406.1078.

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
        reset_after (bool, default True): Which form of the candidate is computed.
        use_cudnn (str or bool, default "auto"): "auto", True or False; kept for files, without effect; another value
            raises.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`, `zero_output_for_mask` (masked timesteps of a
            sequence are 0 rather than the last output), and `implementation` (with dropout: 1 draws factors for every
            gate, 2 one set for all).

    Raises:
        ValueError: Units below 1; in a call, another rank, T = 0, and masks and states of other shapes.

    Example:
        >>> layers.GRU(4)(np.zeros((2, 5, 3))).shape
        (2, 4)
    """

    def __init__(
        self, units, activation="tanh", recurrent_activation="sigmoid", use_bias=True,
        kernel_initializer="glorot_uniform", recurrent_initializer="orthogonal", bias_initializer="zeros",
        kernel_regularizer=None, recurrent_regularizer=None, bias_regularizer=None, activity_regularizer=None,
        kernel_constraint=None, recurrent_constraint=None, bias_constraint=None, dropout=0.0, recurrent_dropout=0.0,
        seed=None, return_sequences=False, return_state=False, go_backwards=False, stateful=False, unroll=False,
        reset_after=True, use_cudnn="auto", **kwargs,
    ):  # fmt: skip
        options = {key: value for key, value in locals().items() if key not in ("self", "units", "kwargs", "__class__")}
        super().__init__(units, options, **kwargs)


class GRUCell(_GRUGates, RecurrentCell):
    """One step of a GRU: `cell(inputs, [h])` -> `(h, [h])`; in `RNN(cell)` it runs on GRU's kernel.

    The inputs are (B, I) float32, the state (B, units). Called alone with training=True a cell keeps its dropout
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
        reset_after (bool, default True): Which form of the candidate is computed.
        seed (int or None, default None): Seed of the dropout's random numbers; None draws one.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`, and `implementation` (with dropout: 1 draws
            factors for every gate, 2 one set for all).

    Raises:
        ValueError: Units below 1; in a call, inputs and states of other shapes.

    Example:
        >>> h, states = layers.GRUCell(4)(np.zeros((2, 3)), [np.zeros((2, 4))])
        >>> h.shape, len(states)
        ((2, 4), 1)
    """

    def __init__(
        self, units, activation="tanh", recurrent_activation="sigmoid", use_bias=True,
        kernel_initializer="glorot_uniform", recurrent_initializer="orthogonal", bias_initializer="zeros",
        kernel_regularizer=None, recurrent_regularizer=None, bias_regularizer=None, kernel_constraint=None,
        recurrent_constraint=None, bias_constraint=None, dropout=0.0, recurrent_dropout=0.0, reset_after=True,
        seed=None, **kwargs,
    ):  # fmt: skip
        options = {key: value for key, value in locals().items() if key not in ("self", "units", "kwargs", "__class__")}
        super().__init__(units, options, **kwargs)


def reference_gru(x, kernel, recurrent_kernel, bias=None, states=None, mask=None, reset_after=True, **options):
    """The naive twin with the default activations, in the dtype of x (B, T, I): outputs (B, T, H) and [h].

    options: go_backwards, zero_output_for_mask.
    """
    units = recurrent_kernel.shape[0]
    if states is None:
        states = [np.zeros((x.shape[0], units), x.dtype)]
    step = GRU(units, reset_after=reset_after)._reference_step((kernel, recurrent_kernel, bias))
    return reference_recurrence(step, x, states, mask=mask, **options)
