"""EinsumDense: activation(einsum(equation, x, kernel) + bias); see https://keras.io/api/layers/core_layers/einsum_dense/."""

import math
import re
from typing import NamedTuple

import numpy as np

from fastseq import activations, constraints, initializers, regularizers
from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.layers.core.activation import apply_activation
from fastseq.layers.dense_steps import dense_steps
from fastseq.layers.input_spec import InputSpec
from fastseq.program import packed_weights, packing, packing_steps


class EinsumDense(Layer):
    """y = activation(einsum(equation, x, kernel) + bias), float32.

    Where each letter of the input is in the kernel or the result, it is a product of matrices (one for each value of
    the letters that all three have) and runs on Dense's kernel. Else, and where a letter stands twice in one term,
    NumPy's einsum computes it in float64.

    Args:
        equation (str): "ab,bc->ac", "...ab,bc->...ac" or "ab...,bc->ac...": input, kernel and result, with any letters.
        output_shape (int or tuple): The result's sizes without the batch and what "..." stands for; None where the
            input has the size.
        activation (str, dict or function, default None): Applied to the sum; None is linear.
        bias_axes (str, default None): The letters of the result that the bias has; None is no bias.
        kernel_initializer (str, dict or Initializer, default "glorot_uniform"): What the kernel begins as.
        bias_initializer (str, dict or Initializer, default "zeros"): What the bias begins as.
        kernel_regularizer (str, dict or Regularizer, default None): Penalty on the kernel in training; None is none.
        bias_regularizer (str, dict or Regularizer, default None): Penalty on the bias in training; None is none.
        kernel_constraint (str, dict or Constraint, default None): Applied to the kernel after each step of training;
            None is none.
        bias_constraint (str, dict or Constraint, default None): Applied to the bias after each step of training; None
            is none.
        lora_rank (None, default None): Any other value raises.
        lora_alpha (None, default None): Any other value raises.
        gptq_unpacked_column_size (None, default None): Any other value raises.
        quantization_config (None, default None): Any other value raises.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Another form of equation, sizes or letters that contradict each other, and the arguments that are
            not supported.

    Example:
        >>> layer = layers.EinsumDense("abc,cd->abd", output_shape=(None, 8), bias_axes="d")
        >>> layer(np.zeros((2, 5, 3))).shape
        (2, 5, 8)
    """

    def __init__(
        self, equation, output_shape, activation=None, bias_axes=None, kernel_initializer="glorot_uniform",
        bias_initializer="zeros", kernel_regularizer=None, bias_regularizer=None, kernel_constraint=None,
        bias_constraint=None, lora_rank=None, lora_alpha=None, gptq_unpacked_column_size=None,
        quantization_config=None, **kwargs,
    ):  # fmt: skip
        for name, value in (
            ("lora_rank", lora_rank), ("lora_alpha", lora_alpha), ("quantization_config", quantization_config),
            ("gptq_unpacked_column_size", gptq_unpacked_column_size),
        ):  # fmt: skip
            if value is not None:
                raise ValueError(
                    f"EinsumDense: {name}={value!r} is not supported, merge or dequantize the model in Keras."
                )
        super().__init__(**kwargs)
        self.equation = equation
        one = isinstance(output_shape, (int, np.integer))
        self.partial_output_shape = (output_shape,) if one else tuple(output_shape)
        self.bias_axes = bias_axes
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.bias = None

    def _analyze(self, input_shape):
        try:
            return analyze(self.equation, self.bias_axes, input_shape, self.partial_output_shape)
        except ValueError as error:
            raise ValueError(f"Layer '{self.name}' (EinsumDense): {error}") from None

    def build(self, input_shape):
        found = self._analyze(input_shape)
        initializer = self.kernel_initializer
        if isinstance(initializer, initializers.VarianceScaling) and (
            initializer.input_axes is None or initializer.output_axes is None
        ):
            # The equation says which axes are inputs and outputs. The initializer in the config stays as it was given.
            axes = {"input_axes": found.input_axes, "output_axes": found.output_axes}
            initializer = type(initializer).from_config({**initializer.get_config(), "seed": initializer.seed, **axes})
        self.kernel = self.add_weight(
            found.kernel, initializer, name="kernel", regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )  # fmt: skip
        if found.bias is not None:
            self.bias = self.add_weight(
                found.bias, self.bias_initializer, name="bias", regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )  # fmt: skip
        self.input_spec = InputSpec(ndim=len(input_shape))
        self.built = True

    def compute_output_shape(self, input_shape):
        return self._analyze(input_shape).output

    def keeps_time(self, timed, shapes, arguments):
        if not timed[0]:
            return False
        terms = _Terms.of(self.equation, len(shapes[0]))
        time = terms.input[1]
        if time in terms.kernel:
            time_axis.refuse(self, f"its equation '{self.equation}' has weights for every timestep, '{time}'")
        if (
            terms.result[:2] != terms.input[:2]
            or time in terms.input[2:] + terms.result[2:]
            or terms.input[0] in terms.kernel + terms.input[2:]
        ):
            time_axis.refuse(self, f"its equation '{self.equation}' does not leave batch and time as they are")
        if self.bias is not None:
            axis = 1 - len(terms.result)  # the bias has the result's last axes
            if -axis <= len(self.bias.shape) and self.bias.shape[axis] > 1:
                time_axis.refuse(self, f"its bias of shape {tuple(self.bias.shape)} has values for every timestep")
        return True

    def emit(self, p, inputs):
        x = p.float32(inputs)
        terms = _Terms.of(self.equation, len(x.shape))
        sizes = dict(zip(terms.kernel, self.kernel.shape))
        for label, size in zip(terms.input, x.shape):
            if sizes.setdefault(label, size) != size:
                raise ValueError(
                    f"Layer '{self.name}' (EinsumDense) with equation '{self.equation}' has size {sizes[label]} along "
                    f"'{label}', got an input of shape {x.shape}."
                )
        bias, done = self.bias, False
        if not terms.is_product():
            y = self._emit_numpy(p, x, terms, tuple(sizes[label] for label in terms.result))
        elif not terms.sums and not terms.units:
            # Nothing is summed: a factor for each element.
            kernel = self.kernel._held().transpose([terms.kernel.index(label) for label in terms.shared])
            kernel = packing_steps.block(p, self.kernel, kernel) if p.trains else p.constant(kernel)
            y = p.binary("multiply", _moved(p, x, terms.input, terms.rows + terms.shared), kernel)
            y = _moved(p, y, terms.rows + terms.shared, terms.result)
        else:
            y, bias, done = self._emit_product(p, x, terms, sizes)
        if bias is not None:
            y = p.binary("add", y, p.weight(bias))
        return y if done else apply_activation(p, self, self.activation, y)

    def _emit_product(self, p, x, terms, sizes):
        """(y, the bias that is still to be added, whether the activation is done)."""
        count, inputs, units = (math.prod(sizes[i] for i in part) for part in (terms.shared, terms.sums, terms.units))
        bias = None if p.trains else self._bias_of_units(terms)
        inside = self.bias is None or bias is not None
        if p.trains:
            packs = self._weights_in_steps(p, terms, count, inputs, units)
        else:
            packs = self.packed("products", lambda: self._packs(terms, count, inputs, units, bias))
        order = terms.rows + terms.shared + terms.units
        x = _moved(p, x, terms.input, terms.rows + terms.shared + terms.sums)
        y = p.new([sizes[label] for label in order])
        done = dense_steps(
            p, x, y, [(i * inputs, inputs, packed) for i, packed in enumerate(packs)],
            math.prod(sizes[label] for label in terms.rows), units, self.activation if inside else activations.linear,
            softmax=order == terms.result and len(terms.units) == 1,
        )  # fmt: skip
        return _moved(p, y, order, terms.result), None if inside else self.bias, done and inside

    def _packs(self, terms, count, inputs, units, bias):
        """The packed weights of each of the `count` products."""
        order = [terms.kernel.index(label) for label in terms.shared + terms.sums + terms.units]
        biases = [None] * count if bias is None else np.ascontiguousarray(bias).reshape(count, units)
        if order == sorted(order):
            packs = self.kernel.packed(packing.dense_form(inputs, units, count), packed_weights.PackedValue)
            return [{"w": w, "bias": packing.dense_bias(units, own)} for w, own in zip(packs, biases)]
        # Forms have no other order of axes: such a kernel is kept in both.
        kernels = np.ascontiguousarray(self.kernel._value.transpose(order)).reshape(count, inputs, units)
        return [packing.pack_dense(kernel, own) for kernel, own in zip(kernels, biases)]

    def _weights_in_steps(self, p, terms, count, inputs, units):
        """`_packs` without a bias, in a program for training."""
        order = [terms.kernel.index(label) for label in terms.shared + terms.sums + terms.units]
        kernels = packing_steps.block(p, self.kernel, self.kernel._held().transpose(order))
        own = [packing_steps.part(kernels, i * inputs * units, (inputs, units)) for i in range(count)]
        return [packing_steps.dense(p, kernel, None) for kernel in own]

    def _bias_of_units(self, terms):
        """The bias over the axes (shared, units); None without one, or where rows of a product differ in it."""
        if self.bias is None:
            return None
        value = self.bias._value
        value = value.reshape((1,) * (len(terms.result) - value.ndim) + value.shape)
        value = value.transpose([terms.result.index(label) for label in terms.rows + terms.shared + terms.units])
        if any(size != 1 for size in value.shape[: len(terms.rows)]):
            return None
        sizes = dict(zip(terms.kernel, self.kernel.shape))
        wanted = [sizes[label] for label in terms.shared + terms.units]
        return np.broadcast_to(value.reshape(value.shape[len(terms.rows) :]), wanted)

    def _emit_numpy(self, p, x, terms, shape):
        equation, weight = self.equation, self.kernel
        kernel = None if p.trains else weight._value.astype(np.float64)

        def product(array):
            # Training changes the weight between the runs.
            factor = weight._value.astype(np.float64) if kernel is None else kernel
            return np.ascontiguousarray(np.einsum(equation, array.astype(np.float64), factor), np.float32)

        def backward(gradient, array):
            from fastseq.gradients.einsum import einsum_gradient

            ends = (array, terms.input), (weight._value, terms.kernel)
            return [
                einsum_gradient(of.shape, labels, *other, gradient, terms.result)
                for (of, labels), other in (ends, ends[::-1])
            ]

        weights = [p.weight(weight)] if p.trains else []
        return p.python(self.name, product, [x], [np.zeros(shape, np.float32)], backward, weights)[0]

    def get_config(self):
        return {
            **super().get_config(),
            "output_shape": self.partial_output_shape,
            "equation": self.equation,
            "activation": activations.serialize(self.activation),
            "bias_axes": self.bias_axes,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
            "quantization_config": None,
        }


def _moved(p, slot, labels, wanted):
    """`slot`, whose axes are `labels`, with its axes in the order `wanted`; copied only where that is another."""
    return slot if labels == wanted else p.transpose(slot, [labels.index(label) for label in wanted])


_ELLIPSIS = r"(\.\.\.)?"
_EQUATION = rf"{_ELLIPSIS}([a-zA-Z]+){_ELLIPSIS},([a-zA-Z]+)->{_ELLIPSIS}([a-zA-Z]+){_ELLIPSIS}"


def _split(equation):
    """(input, kernel, result, the side the ellipsis is on: "left", "right" or None). Raises ValueError."""
    found = re.fullmatch(_EQUATION, equation) if isinstance(equation, str) else None
    if found:
        left, given, right, kernel, result_left, result, result_right = found.groups()
        if left == result_left and right == result_right and not (left and right) and not (right and len(given) < 2):
            return given, kernel, result, "left" if left else "right" if right else None
    raise ValueError(
        f"invalid einsum equation {equation!r}, it must be in the form [X],[Y]->[Z], ...[X],[Y]->...[Z], or "
        "[X]...,[Y]->[Z]...."
    )


class _Terms(NamedTuple):
    """An equation for inputs of one rank: its three terms, and what each axis is for.

    A label is a letter, or a number for an axis behind the ellipsis. rows: in input and result; shared: in all three;
    sums: in input and kernel; units: in kernel and result.
    """

    input: tuple
    kernel: tuple
    result: tuple
    rows: tuple
    shared: tuple
    sums: tuple
    units: tuple

    @classmethod
    def of(cls, equation, ndim):
        given, kernel, result, side = _split(equation)
        rest = tuple(range(ndim - len(given)))
        kernel = tuple(kernel)
        given, result = ((*rest, *term) if side == "left" else (*term, *rest) for term in (given, result))
        rows = tuple(label for label in given if label in result and label not in kernel)
        shared = tuple(label for label in given if label in result and label in kernel)
        sums = tuple(label for label in given if label not in result and label in kernel)
        units = tuple(label for label in result if label not in given)
        return cls(given, kernel, result, rows, shared, sums, units)

    def is_product(self):
        """Whether it is one of matrices, in an order of axes that the copy operation can make."""
        if any(len(set(term)) < len(term) for term in (self.input, self.kernel, self.result)):
            return False
        flat = self.rows + self.shared + self.sums
        stays = self.input == flat and self.result == self.rows + self.shared + self.units
        return len(flat) == len(self.input) and (stays or max(len(self.input), len(self.result)) <= 5)


class _Shapes(NamedTuple):
    kernel: tuple
    bias: tuple
    output: tuple
    input_axes: list
    output_axes: list


def analyze(equation, bias_axes, input_shape, output_shape):
    """Shapes of kernel, bias (or None) and output, and the kernel's axes that are inputs and outputs.

    output_shape: as the layer's argument. As in Keras, a size that it leaves open stays None in the output's shape. Of
    two or more sizes between the batch and the letters, which a leading "..." stands for, Keras 3.15 tells the reverse
    of what it computes; here the shape is that of the result.
    Raises ValueError for a contradiction.
    """
    given, kernel, result, side = _split(equation)
    elided = len(input_shape) - len(given)
    if elided < 0 or (elided and side is None):
        raise ValueError(f"equation '{equation}' does not go with an input of {len(input_shape)} axes, {input_shape}.")
    output = [input_shape[0], *output_shape]
    if side == "left":
        output[1:1] = input_shape[1:elided]
    else:
        output += input_shape[len(given) :]
    if len(output) != len(result) + elided:
        raise ValueError(
            f"equation '{equation}' wants an output_shape of {len(output_shape) + len(result) + elided - len(output)} "
            f"sizes for an input of shape {input_shape}, got {output_shape}."
        )
    first = elided if side == "left" else 0
    inputs = {letter: input_shape[first + i] for i, letter in enumerate(given)}
    outputs = {letter: output[first + i] for i, letter in enumerate(result)}
    for letter, size in inputs.items():
        if outputs.get(letter) is not None and outputs[letter] != size:
            raise ValueError(
                f"input shape and output shape do not match at shared dimension '{letter}': the input {input_shape} "
                f"has {size}, the output {tuple(output)} has {outputs[letter]}."
            )
    for letter in result:
        if letter not in given and letter not in kernel:
            raise ValueError(f"dimension '{letter}' of the output '{result}' is in neither '{given}' nor '{kernel}'.")
    for letter in kernel:
        if letter not in outputs and letter not in inputs:
            raise ValueError(f"dimension '{letter}' of the kernel '{kernel}' is in neither '{given}' nor '{result}'.")
    weights = tuple(outputs[letter] if letter in outputs else inputs[letter] for letter in kernel)
    input_axes = [i for i, letter in enumerate(kernel) if letter not in outputs]
    output_axes = [i for i, letter in enumerate(kernel) if letter in outputs]
    bias = None
    if bias_axes is not None:
        if not bias_axes or set(bias_axes) - set(result):
            raise ValueError(f"bias_axes={bias_axes!r} must be dimensions of the output '{result}'.")
        begin = min(result.index(letter) for letter in bias_axes)
        bias = tuple(outputs[letter] if letter in bias_axes else 1 for letter in result[begin:])
        bias += (1,) * (elided if side == "right" else 0)
    return _Shapes(weights, bias, tuple(output), input_axes, output_axes)


def reference_einsum_dense(x, kernel, equation, bias=None, activation=None):
    """The naive twin, in the dtype of its arrays: x and kernel by the letters of `equation`."""
    y = np.einsum(equation, x, kernel)
    return activations.get(activation)(y if bias is None else y + bias)
