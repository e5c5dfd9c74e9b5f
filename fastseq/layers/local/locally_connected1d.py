"""LocallyConnected1D of Keras 2: a convolution over time with weights of its own at every position.

Keras 3 has no such layer. The reference is tf_keras 2 (layers/locally_connected/locally_connected1d.py), and
https://faroit.com/keras-docs/2.1.2/layers/local/ describes it.
"""

import numpy as np

from fastseq import activations, constraints, initializers, regularizers
from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.layers.core.activation import apply_activation
from fastseq.layers.dense_steps import dense_steps
from fastseq.layers.input_spec import InputSpec
from fastseq.program import packing, packing_steps


class LocallyConnected1D(Layer):
    """(B, T, C) float32 -> (B, T', filters): at each of T' positions a Dense of its own over `kernel_size` timesteps.

    With kernel_size=1 it is one Dense per timestep. Keras 2 has this layer, and Keras 3 does not: in a .keras file it
    stands as "fastseq>LocallyConnected1D", which Keras 3 reads only where `custom_objects` has a class under that name.

    Args:
        filters (int): Size of the output's last axis, at least 1.
        kernel_size (int): Timesteps under one position; a list of one integer will do.
        strides (int, default 1): Timesteps between two positions; a list of one integer will do.
        padding (str, default "valid"): "valid", T' = ceil((T - kernel_size + 1) / strides), or "same", T' = ceil(T /
            strides), where timesteps that are not there count as nothing.
        data_format (str, default None): "channels_last", which None means too, or "channels_first", which takes (B, C,
            T) and gives (B, filters, T').
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
        implementation (int, default 1): How Keras 2 kept the kernel; the result is one. 1 is (T', kernel_size C,
            filters), "valid" only; 2 is (T, C, T', filters), of which the connected ones count; 3 is the connected ones
            alone, by output, then input.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Other values of these, inputs whose T or C is unknown or has changed since the layer was built, and
            a T too short for one window.

    Example:
        >>> layers.LocallyConnected1D(4, kernel_size=3)(np.zeros((2, 10, 8))).shape
        (2, 8, 4)
    """

    keeps_time = time_axis.whole_sequence("it has weights of its own for every timestep")

    def __init__(
        self, filters, kernel_size, strides=1, padding="valid", data_format=None, activation=None, use_bias=True,
        kernel_initializer="glorot_uniform", bias_initializer="zeros", kernel_regularizer=None, bias_regularizer=None,
        activity_regularizer=None, kernel_constraint=None, bias_constraint=None, implementation=1, **kwargs,
    ):  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = _positive(filters, "filters")
        self.kernel_size = (_positive(kernel_size, "kernel_size"),)
        self.strides = (_positive(strides, "strides"),)
        self.padding = _one_of(padding, "padding", ("valid", "same"))
        formats = ("channels_last", "channels_first")
        self.data_format = _one_of(formats[0] if data_format is None else data_format, "data_format", formats)
        self.implementation = _one_of(implementation, "implementation", (1, 2, 3))
        if self.implementation == 1 and self.padding != "valid":
            raise ValueError("LocallyConnected1D: implementation=1 has padding='valid' only, take 2 or 3 for 'same'.")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.bias = None
        self.input_spec = InputSpec(ndim=3)

    @property
    def _first(self):
        return self.data_format == "channels_first"

    def _sizes(self, input_shape):
        """(T, C, T') for an input shape; T and T' may be None."""
        if len(input_shape) != 3:
            raise ValueError(
                f"Layer '{self.name}' (LocallyConnected1D) takes inputs of 3 dimensions, got shape {input_shape}."
            )
        length, channels = (input_shape[2], input_shape[1]) if self._first else input_shape[1:]
        if length is None:
            return None, channels, None
        positions = length if self.padding == "same" else length - self.kernel_size[0] + 1
        return length, channels, -(-positions // self.strides[0])

    def build(self, input_shape):
        length, channels, positions = self._sizes(input_shape)
        if length is None or channels is None:
            raise ValueError(
                f"Layer '{self.name}' (LocallyConnected1D) has weights for every timestep and channel, so it needs to "
                f"know how many there are: got input shape {input_shape}."
            )
        if positions <= 0:
            raise ValueError(
                f"Layer '{self.name}' (LocallyConnected1D) needs at least kernel_size={self.kernel_size[0]} timesteps "
                f"for padding='valid', got input shape {input_shape}."
            )
        self.output_length, self._length, self._channels = positions, length, channels
        if self.implementation == 1:
            shape = (positions, self.kernel_size[0] * channels, self.filters)
        elif self.implementation == 2:
            shape = (length, channels, positions, self.filters)
            shape = (channels, length, self.filters, positions) if self._first else shape
        else:
            shape = (self._connected_steps() * channels * self.filters,)
        self.kernel = self.add_weight(
            shape, self.kernel_initializer, name="kernel",
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip
        if self.use_bias:
            self.bias = self.add_weight(
                (positions, self.filters), self.bias_initializer, name="bias",
                regularizer=self.bias_regularizer, constraint=self.bias_constraint,
            )  # fmt: skip
        known = {1: channels, 2: length} if self._first else {1: length, 2: channels}
        self.input_spec = InputSpec(ndim=3, axes=known)
        self.built = True

    def compute_output_shape(self, input_shape):
        positions = self._sizes(input_shape)[2]
        shape = (self.filters, positions) if self._first else (positions, self.filters)
        return (input_shape[0], *shape)

    def _windows(self):
        """[first, end) timesteps under each output position."""
        size, stride = self.kernel_size[0], self.strides[0]
        before = size // 2 if self.padding == "same" else 0
        starts = [position * stride - before for position in range(self.output_length)]
        return [(max(0, start), min(self._length, start + size)) for start in starts]

    def _connected_steps(self):
        """Timesteps under all windows together; in closed form, since a hostile file may ask for 10^12 of them."""
        size, stride, positions = self.kernel_size[0], self.strides[0], self.output_length
        if self.padding == "valid":
            return positions * size
        before = size // 2
        after = size - before
        inside = min(positions, max(0, (self._length - after) // stride + 1))  # windows that end inside
        ends = stride * inside * (inside - 1) // 2 + after * inside + self._length * (positions - inside)
        clipped = min(positions, before // stride + 1)  # windows that start at or before the first timestep
        triangle = positions * (positions - 1) // 2 - clipped * (clipped - 1) // 2
        return ends - (stride * triangle - before * (positions - clipped))

    def _products(self, pack):
        """(first column, inputs, packed weights) of every position, for x as (B, T C): dense_steps' `products`.

        pack(block, bias): packs views of the kernel, (width, channels, filters), and of the bias, (filters,) or None.
        """
        kernel, channels, filters = self.kernel._value, self._channels, self.filters
        bias = None if self.bias is None else self.bias._value
        if bias is not None and self._first:
            # Keras 2 reshapes (T', filters) to (filters, T'), it does not transpose.
            bias = bias.reshape(filters, self.output_length).T
        products, done = [], 0
        for position, (start, end) in enumerate(self._windows()):
            width, inputs = end - start, (end - start) * channels
            if self.implementation == 1:
                block = kernel[position].reshape((channels, width, filters) if self._first else (width, channels, -1))
                block = block.swapaxes(0, 1) if self._first else block
            elif self.implementation == 2 and self._first:
                block = kernel[:, start:end, :, position].swapaxes(0, 1)
            elif self.implementation == 2:
                block = kernel[start:end, :, position]
            elif self._first:
                block = kernel.reshape(filters, -1)[:, done : done + inputs].reshape(filters, channels, width).T
            else:
                block = kernel[done * filters : (done + inputs) * filters].reshape(filters, width, channels)
                block = block.transpose(1, 2, 0)
            done += inputs
            products.append((start * channels, inputs, pack(block, None if bias is None else bias[position])))
        return products

    def _pack(self, block, bias):
        return packing.pack_dense(np.ascontiguousarray(block).reshape(-1, self.filters), bias)

    def _products_for(self, p):
        if not p.trains:
            return self.packed("products", lambda: self._products(self._pack))

        def pack(block, bias):
            kernel = packing_steps.block(p, self.kernel, block)
            bias = None if bias is None else packing_steps.block(p, self.bias, bias)
            return packing_steps.dense(p, kernel.reshaped((kernel.size // self.filters, self.filters)), bias)

        return self._products(pack)

    def emit(self, p, inputs):
        x = p.float32(inputs)
        x = p.transpose(x, (0, 2, 1)) if self._first else x
        products = self._products_for(p)
        y = p.new((x.shape[0], self.output_length, self.filters))
        done = dense_steps(p, x, y, products, x.shape[0], self.filters, self.activation, softmax=not self._first)
        y = p.transpose(y, (0, 2, 1)) if self._first else y
        return y if done else apply_activation(p, self, self.activation, y)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
            "implementation": self.implementation,
        }


def _positive(value, name):
    """A positive integer, or the only one in a list, as a plain int."""
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"LocallyConnected1D: `{name}` must be a positive integer, got {value!r}.")
    return int(value)


def _one_of(value, name, allowed):
    found = value.lower() if isinstance(value, str) else value
    if isinstance(found, bool) or found not in allowed:
        raise ValueError(f"LocallyConnected1D: `{name}` must be one of {allowed}, got {value!r}.")
    return found


def reference_locally_connected1d(
    x, kernel, filters, bias=None, kernel_size=1, strides=1, padding="valid", data_format="channels_last",
    implementation=1, activation=None,
):  # fmt: skip
    """The naive twin, in the dtype of its arrays: one weight after the other into a (T C, T' filters) matrix."""
    first, same = data_format == "channels_first", padding == "same"
    length, channels = (x.shape[2], x.shape[1]) if first else x.shape[1:]
    positions = -(-(length if same else length - kernel_size + 1) // strides)
    connections = []
    for t in range(positions):
        start = t * strides - (kernel_size // 2 if same else 0)
        for s in range(max(0, start), min(length, start + kernel_size)):
            for c in range(channels):
                column = c * length + s if first else s * channels + c
                row = c * kernel_size + s - start if first else (s - start) * channels + c
                for f in range(filters):
                    connections.append((f * positions + t if first else t * filters + f, column, (t, row, f)))
    matrix = np.zeros((length * channels, positions * filters), kernel.dtype)
    for number, (output, column, place) in enumerate(sorted(connections)):
        if implementation == 1:
            matrix[column, output] = kernel[place]
        elif implementation == 2:
            matrix[column, output] = kernel.reshape(matrix.shape)[column, output]
        else:
            matrix[column, output] = kernel[number]
    y = (x.reshape(len(x), -1) @ matrix).reshape(len(x), *((filters, positions) if first else (positions, filters)))
    return activations.get(activation)(y if bias is None else y + bias.reshape(y.shape[1:]))
