"""What all convolutions over time share: their arguments, windows, shapes, and how they run in streams."""

import numpy as np

from fastseq import activations, constraints, initializers, regularizers
from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.layers.core.activation import apply_activation
from fastseq.layers.input_spec import InputSpec
from fastseq.native.kinds import ACTIVATION_KINDS
from fastseq.program import convolutions
from fastseq.program.convolutions import Window
from fastseq.tensors import settings


class Convolution(Layer):
    """A layer whose output at a timestep is computed from a window of timesteps.

    A subclass has `paddings`, makes the weights in `_add_weights(channels)`, says its output's `_channels(C)`, and adds
    its steps in `_convolve`. parts: of which weights there are an initializer, a regularizer and a constraint.
    """

    paddings = ("valid", "same")
    parts = ("kernel", "bias")
    strides_or_dilation = False  # whether both may not be above 1

    def _set_options(self, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, options):
        self.kernel_size = (self._positive(kernel_size, "kernel_size"),)
        self.strides = (self._positive(strides, "strides"),)
        self.padding = padding.lower() if isinstance(padding, str) else padding
        if self.padding not in self.paddings:
            raise ValueError(f"{self._who}: `padding` must be one of {self.paddings}, got {padding!r}.")
        self.data_format = settings.image_data_format() if data_format is None else data_format
        if self.data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                f"{self._who}: `data_format` must be 'channels_last' or 'channels_first', got {data_format!r}."
            )
        self.dilation_rate = (self._positive(dilation_rate, "dilation_rate"),)
        if self.strides_or_dilation and self.strides[0] > 1 and self.dilation_rate[0] > 1:
            raise ValueError(f"{self._who}: strides={strides!r} and dilation_rate={dilation_rate!r} go with 1 alone.")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        for name in self.parts:
            setattr(self, f"{name}_initializer", initializers.get(options[f"{name}_initializer"]))
            setattr(self, f"{name}_regularizer", regularizers.get(options[f"{name}_regularizer"]))
            setattr(self, f"{name}_constraint", constraints.get(options[f"{name}_constraint"]))
        self.bias = None
        self.input_spec = InputSpec(min_ndim=3)

    @property
    def _who(self):
        return f"Layer '{self.name}' ({type(self).__name__})"

    def _positive(self, value, name):
        """A positive integer, or the only one in a list where Keras takes lists, as a plain int."""
        listed = name in ("kernel_size", "strides", "dilation_rate") and isinstance(value, (list, tuple))
        only = value[0] if listed and len(value) == 1 else value
        if not isinstance(only, (int, np.integer)) or isinstance(only, bool) or only < 1:
            raise ValueError(f"{self._who}: `{name}` must be a positive integer, got {value!r}.")
        return int(only)

    # ---- shapes and time -----------------------------------------------------------------------------------------

    @property
    def _first(self):
        return self.data_format == "channels_first"

    @property
    def _span(self):
        """Timesteps from the first of a window to its last."""
        return (self.kernel_size[0] - 1) * self.dilation_rate[0]

    @property
    def memory(self):
        """What it keeps in a stream: "inputs", those before a causal window's last timestep, or None."""
        return "inputs" if self.padding == "causal" and self._span else None

    def keeps_time(self, timed, shapes, arguments):
        if timed[0] and self._first:
            time_axis.refuse(self, "with data_format='channels_first' its axis 1 is the channels, and time its axis 2")
        if timed[0] and self.strides[0] > 1:
            time_axis.refuse(self, f"with strides={self.strides} it gives fewer timesteps than it gets")
        if timed[0] and self._span and not self.memory:
            others = "; with 'causal' it does not" if "causal" in self.paddings else ""
            time_axis.refuse(self, f"with padding={self.padding!r} it reads later timesteps{others}")
        return timed[0]

    def _sizes(self, input_shape):
        """(T, C) of an input shape; either may be None."""
        if len(input_shape) != 3:
            order = "channels, timesteps" if self._first else "timesteps, channels"
            raise ValueError(f"{self._who} takes (batch, {order}), got shape {tuple(input_shape)}.")
        return (input_shape[2], input_shape[1]) if self._first else (input_shape[1], input_shape[2])

    def _positions(self, time):
        """T' for T timesteps; either may be None."""
        if time is None:
            return None
        inside = time - self._span if self.padding == "valid" else time
        if inside <= 0:
            raise ValueError(
                f"{self._who} needs at least {time - inside + 1} timesteps for one window (kernel_size="
                f"{self.kernel_size}, dilation_rate={self.dilation_rate}, padding={self.padding!r}), got {time}."
            )
        return -(-inside // self.strides[0])

    def _window(self, time, positions):
        missing = max(0, (positions - 1) * self.strides[0] + self._span + 1 - time)
        before = {"valid": 0, "same": missing // 2, "causal": self._span}[self.padding]
        return Window(self.kernel_size[0], self.strides[0], self.dilation_rate[0], before)

    def _channels(self, channels):
        """Of the output, for C channels of the input, which may be None."""
        return self.filters

    def build(self, input_shape):
        time, channels = self._sizes(input_shape)
        if channels is None:
            raise ValueError(f"{self._who} needs a known number of channels, got input shape {tuple(input_shape)}.")
        self._positions(time)
        self._add_weights(channels)
        if self.use_bias:
            self.bias = self._add("bias", (self._channels(channels),))
        self.input_spec = InputSpec(min_ndim=3, axes={1 if self._first else -1: channels})
        self.built = True

    def _add(self, name, shape, part=None):
        """Makes a weight. part: the name of its arguments, where it is another one."""
        part = part or name
        return self.add_weight(
            shape, getattr(self, f"{part}_initializer"), name=name, regularizer=getattr(self, f"{part}_regularizer"),
            constraint=getattr(self, f"{part}_constraint"),
        )  # fmt: skip

    def compute_output_shape(self, input_shape):
        time, channels = self._sizes(input_shape)
        sizes = self._positions(time), self._channels(channels)
        return (input_shape[0], *(sizes[::-1] if self._first else sizes))

    # ---- running -------------------------------------------------------------------------------------------------

    def emit(self, p, inputs):
        x = p.float32(inputs)
        x = p.transpose(x, (0, 2, 1)) if self._first else x
        positions = self._positions(x.shape[1])
        y = p.new((x.shape[0], positions, self._channels(x.shape[2])))
        done = self._convolve(p, x, y)
        y = p.transpose(y, (0, 2, 1)) if self._first else y
        return y if done else apply_activation(p, self, self.activation, y)

    def _own_activation(self, p):
        """The (name, parameters) of an activation that the kernel applies to its sums, or None for the others."""
        spec = activations.native_spec(self.activation)
        if p.trains:  # gradients need what went into the others
            return spec if spec in (("linear", ()), ("tanh", ()), ("exponential", ())) else None
        return spec if spec is not None and ACTIVATION_KINDS[spec[0]] < ACTIVATION_KINDS["softmax"] else None

    def _earlier(self, p, x):
        return convolutions.earlier(p, x, self._span) if self.memory else None

    def get_config(self):
        serialized = {}
        for part, module in (("initializer", initializers), ("regularizer", regularizers)):
            serialized |= {f"{n}_{part}": module.serialize(getattr(self, f"{n}_{part}")) for n in self.parts}
        serialized["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        for name in self.parts:
            serialized[f"{name}_constraint"] = constraints.serialize(getattr(self, f"{name}_constraint"))
        return {
            **super().get_config(),
            **self._sizes_config(),
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **serialized,
        }
