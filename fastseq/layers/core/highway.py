"""Highway and MaxoutDense of Keras 1, which no later Keras has; https://faroit.com/keras-docs/1.2.2/layers/core/."""

import numpy as np

from fastseq import activations, constraints, initializers, ops, regularizers
from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.layers.core.activation import apply_activation
from fastseq.layers.input_spec import InputSpec
from fastseq.layers.options import length_of
from fastseq.ops.values import Traced


class RowsOfWeights(Layer):
    """What the two share: the arguments of their weights, and inputs of (B, I)."""

    keeps_time = time_axis.by_row

    def __init__(
        self, use_bias=True, kernel_initializer="glorot_uniform", bias_initializer="zeros", kernel_regularizer=None,
        bias_regularizer=None, activity_regularizer=None, kernel_constraint=None, bias_constraint=None, **kwargs,
    ):  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(ndim=2)

    def _inputs_of(self, input_shape):
        if len(input_shape) != 2 or input_shape[1] is None:
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) takes inputs (batch, features) of a known number of "
                f"features, got shape {tuple(input_shape)}."
            )
        self.input_spec = InputSpec(ndim=2, axes={1: input_shape[1]})
        return input_shape[1]

    def _kernel(self, shape, name):
        return self.add_weight(
            shape, self.kernel_initializer, name=name, regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )  # fmt: skip

    def _bias(self, shape, name, initializer):
        return self.add_weight(
            shape, initializer, name=name, regularizer=self.bias_regularizer, constraint=self.bias_constraint
        )

    def _weights_config(self):
        return {
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }


class Highway(RowsOfWeights):
    """y = t activation(x kernel + bias) + (1 - t) x, where t = sigmoid(x carry_kernel + carry_bias): (B, I) -> (B, I).

    Keras 1 has this layer, and no later one does: in a .keras file it stands as "fastseq>Highway". Its files of Keras 1
    are read. carry_bias begins as ones. Source: Srivastava et al. 2015, https://arxiv.org/abs/1505.00387.

    Args:
        activation (str, dict or function, default None): Applied to the first sum; None is linear.
        use_bias (bool, default True): Whether biases are added.
        kernel_initializer (str, dict or Initializer, default "glorot_uniform"): What both kernels begin as.
        bias_initializer (str, dict or Initializer, default "zeros"): What the bias begins as.
        kernel_regularizer (str, dict or Regularizer, default None): Penalty on both kernels in training.
        bias_regularizer (str, dict or Regularizer, default None): Penalty on both biases in training.
        activity_regularizer (str, dict or Regularizer, default None): Penalty on the output in training.
        kernel_constraint (str, dict or Constraint, default None): Applied to both kernels after a step of training.
        bias_constraint (str, dict or Constraint, default None): Applied to both biases after a step of training.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Inputs of another rank, and of an unknown number of features.

    Example:
        >>> layers.Highway(activation="tanh")(np.zeros((2, 3))).shape
        (2, 3)
    """

    def __init__(
        self, activation=None, use_bias=True, kernel_initializer="glorot_uniform",
        bias_initializer="zeros", kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None,
        kernel_constraint=None, bias_constraint=None, **kwargs,
    ):  # fmt: skip
        super().__init__(
            use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip
        self.activation = activations.get(activation)

    def build(self, input_shape):
        n = self._inputs_of(input_shape)
        # In the order of Keras 1's files.
        self.kernel, self.carry_kernel = self._kernel((n, n), "kernel"), self._kernel((n, n), "carry_kernel")
        if self.use_bias:
            self.bias = self._bias((n,), "bias", self.bias_initializer)
            self.carry_bias = self._bias((n,), "carry_bias", "ones")
        self.built = True

    def emit(self, p, inputs):
        x = ops.cast(Traced(p, inputs), "float32")
        y, t = ops.matmul(x, self.kernel), ops.matmul(x, self.carry_kernel)
        if self.use_bias:
            y, t = ops.add(y, self.bias), ops.add(t, self.carry_bias)
        t, y = ops.sigmoid(t), Traced(p, apply_activation(p, self, self.activation, y.slot))
        return ops.add(ops.multiply(y, t), ops.multiply(ops.subtract(1.0, t), x)).slot

    def get_config(self):
        own = {"activation": activations.serialize(self.activation), **self._weights_config()}
        return {**super().get_config(), **own}


class MaxoutDense(RowsOfWeights):
    """The largest of `nb_feature` products: max over f of (x kernel[f] + bias[f]), (B, I) -> (B, units).

    Keras 1 has this layer, and no later one does: in a .keras file it stands as "fastseq>MaxoutDense". Its files of
    Keras 1 are read. Source: Goodfellow et al. 2013, https://arxiv.org/abs/1302.4389.

    Args:
        units (int): Size of the output's last axis, at least 1.
        nb_feature (int, default 4): How many products, at least 1.
        use_bias (bool, default True): Whether a bias is added.
        kernel_initializer (str, dict or Initializer, default "glorot_uniform"): What the kernel begins as.
        bias_initializer (str, dict or Initializer, default "zeros"): What the bias begins as.
        kernel_regularizer (str, dict or Regularizer, default None): Penalty on the kernel in training.
        bias_regularizer (str, dict or Regularizer, default None): Penalty on the bias in training.
        activity_regularizer (str, dict or Regularizer, default None): Penalty on the output in training.
        kernel_constraint (str, dict or Constraint, default None): Applied to the kernel after a step of training.
        bias_constraint (str, dict or Constraint, default None): Applied to the bias after a step of training.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Sizes that are no integers of at least 1, and inputs of another rank.

    Example:
        >>> layers.MaxoutDense(5, nb_feature=2)(np.zeros((2, 3))).shape
        (2, 5)
    """

    def __init__(
        self, units, nb_feature=4, use_bias=True, kernel_initializer="glorot_uniform",
        bias_initializer="zeros", kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None,
        kernel_constraint=None, bias_constraint=None, **kwargs,
    ):  # fmt: skip
        super().__init__(
            use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip
        self.units = length_of(units, "MaxoutDense", "units")
        self.nb_feature = length_of(nb_feature, "MaxoutDense", "nb_feature")

    def build(self, input_shape):
        n = self._inputs_of(input_shape)
        self.kernel = self._kernel((self.nb_feature, n, self.units), "kernel")
        if self.use_bias:
            self.bias = self._bias((self.nb_feature, self.units), "bias", self.bias_initializer)
        self.built = True

    def compute_output_shape(self, input_shape):
        return (*super().compute_output_shape(input_shape)[:-1], self.units)

    def emit(self, p, inputs):
        x = ops.cast(Traced(p, inputs), "float32")
        y = ops.einsum("bi,fio->bfo", x, self.kernel)
        return ops.max(ops.add(y, self.bias) if self.use_bias else y, axis=1).slot

    def get_config(self):
        return {**super().get_config(), "units": self.units, "nb_feature": self.nb_feature, **self._weights_config()}


def reference_highway(x, kernel, carry_kernel, bias, carry_bias):
    """The naive twin without an activation, in the dtype of its arrays."""
    t = 1 / (1 + np.exp(-(x @ carry_kernel + carry_bias)))
    return t * (x @ kernel + bias) + (1 - t) * x


def reference_maxout(x, kernel, bias):
    """The naive twin, in the dtype of its arrays: kernel (F, I, O), bias (F, O)."""
    return (x @ kernel + bias[:, None]).max(axis=0)
