"""GRU and GRUCell (Cho et al. 2014, arXiv:1406.1078); see https://keras.io/api/layers/recurrent_layers/gru/."""

import numpy as np

from fastseq import activations
from fastseq.layers.recurrent.cell import RecurrentCell, reference_recurrence
from fastseq.layers.recurrent.over_time import Recurrent


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
    """Keras's GRU, gates in the order z r h. State: h, (B, units).

    z, r = recurrent_activation(x W + b + h U + b');  h' = z h + (1 - z) candidate, where the candidate is
    activation(x W + b + r (h U + b')) with reset_after=True (the default, CuDNN's form) and
    activation(x W + b + (r h) U) with reset_after=False (the paper's third version).
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
    """One step of a GRU: `cell(inputs, [h])` -> `(h, [h])`; in `RNN(cell)` it runs on GRU's kernel."""

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
