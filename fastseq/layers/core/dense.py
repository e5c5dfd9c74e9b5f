"""Dense: y = activation(x kernel + bias) over the last axis; see https://keras.io/api/layers/core_layers/dense/."""

import numpy as np

from fastseq import activations, constraints, initializers, regularizers
from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.layers.core.activation import apply_activation
from fastseq.layers.dense_steps import dense_steps
from fastseq.layers.input_spec import InputSpec
from fastseq.program import packed_weights, packing_steps


class Dense(Layer):
    """y = activation(x kernel + bias) over the last axis: (..., I) float32 -> (..., units) float32, of any rank from 2.

    The weights are `kernel` (I, units) and, with use_bias, `bias` (units,).

    Args:
        units (int): Size of the output's last axis, at least 1.
        activation (str, dict or function, default None): Applied to the sum; None is linear.
        use_bias (bool, default True): Whether a bias is added.
        kernel_initializer (str, dict or Initializer, default "glorot_uniform"): What the kernel begins as.
        bias_initializer (str, dict or Initializer, default "zeros"): What the bias begins as.
        kernel_regularizer (str, dict or Regularizer, default None): Penalty on the kernel in training; None is none.
        bias_regularizer (str, dict or Regularizer, default None): Penalty on the bias in training; None is none.
        activity_regularizer (str, dict or Regularizer, default None): Penalty on the output in training; None is none.
        kernel_constraint (str, dict or Constraint, default None): Applied to the kernel after each step of training;
            None is none.
        bias_constraint (str, dict or Constraint, default None): Applied to the bias after each step of training; None
            is none.
        lora_rank (None, default None): Any other value raises.
        lora_alpha (None, default None): It goes with `lora_rank`; alone it has no effect.
        quantization_config (None, default None): Any other value raises.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Units below 1, lora_rank or quantization_config, and an input whose last size is unknown or has
            changed since the layer was built.

    Example:
        >>> layer = layers.Dense(2, kernel_initializer="ones")
        >>> layer(np.array([[1.0, 2.0, 3.0]]))
        array([[6., 6.]], dtype=float32)
    """

    keeps_time = time_axis.by_row

    def __init__(
        self, units, activation=None, use_bias=True, kernel_initializer="glorot_uniform", bias_initializer="zeros",
        kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None, kernel_constraint=None,
        bias_constraint=None, lora_rank=None, lora_alpha=None, quantization_config=None, **kwargs,
    ):  # fmt: skip
        if not isinstance(units, (int, np.integer)) or isinstance(units, bool) or units <= 0:
            raise ValueError(f"Dense: `units` must be a positive integer, got {units!r}.")
        for name, value in (("lora_rank", lora_rank), ("quantization_config", quantization_config)):
            if value is not None:
                raise ValueError(f"Dense: {name}={value!r} is not supported, merge or dequantize the model in Keras.")
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = int(units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.bias = None
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape):
        if input_shape[-1] is None:
            raise ValueError(f"Layer '{self.name}' needs a known last dimension, got input shape {input_shape}.")
        self.kernel = self.add_weight(
            (input_shape[-1], self.units), self.kernel_initializer, name="kernel",
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,), self.bias_initializer, name="bias",
                regularizer=self.bias_regularizer, constraint=self.bias_constraint,
            )  # fmt: skip
        self.input_spec = InputSpec(min_ndim=2, axes={-1: input_shape[-1]})
        self.built = True

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def _packed_weights(self):
        return packed_weights.dense(self.kernel, None if self.bias is None else self.bias._value)

    def _weights_for(self, p):
        if p.trains:
            return packing_steps.dense(p, p.weight(self.kernel), self.bias and p.weight(self.bias))
        return self.packed("dense", self._packed_weights)

    def _is_finite(self):
        return packed_weights.are_finite([self.kernel._value])

    def _rows(self):
        return self.kernel._value + (np.float32(0) if self.bias is None else self.bias._value)

    def emit(self, p, inputs):
        x = p.float32(inputs)
        if x.lookup is not None and x.lookup[1] is None and self.packed("finite", self._is_finite):
            # One-hot rows: the product is a row of the kernel.
            y = p.rows_of(x.lookup[0], self.packed("rows", self._rows), self.units)
            return apply_activation(p, self, self.activation, y)
        y = p.new((*x.shape[:-1], self.units))
        rows = x.size // x.shape[-1] if x.size else 0
        products = [(0, x.shape[-1], self._weights_for(p))]
        done = dense_steps(p, x, y, products, rows, self.units, self.activation, softmax=True)
        return y if done else apply_activation(p, self, self.activation, y)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
            "quantization_config": None,
        }


def reference_dense(x, kernel, bias=None, activation=None):
    """The naive twin, in the dtype of its arrays: x (..., I), kernel (I, N), bias (N,)."""
    y = x @ kernel
    return activations.get(activation)(y if bias is None else y + bias)
