"""Dropout layer, and what it shares with the other noise; https://keras.io/api/layers/regularization_layers/dropout/.

Source: Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html.
"""

import numpy as np

from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.native.kinds import RANDOM_KINDS
from fastseq.tensors.seeds import default_seed, first_number, seed_state


class Noise(Layer):
    """Base of the layers that are the identity, of any dtype, unless called with training=True.

    seed: None or an integer. Two layers of one seed draw the same numbers, call after call; those of Keras differ.
    """

    supports_masking = True
    keeps_time = time_axis.by_value

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        if seed is not None and (not isinstance(seed, (int, np.integer)) or isinstance(seed, bool)):
            raise ValueError(f"{type(self).__name__}: `seed` must be None or an integer, got {seed!r}.")
        self.seed = seed
        seed = default_seed() if seed is None else seed & (2**64 - 1)
        self._seeds = seed_state(first_number(seed), self.name)
        self._random_state = self._seeds._value  # what native steps read and advance
        self.built = True

    def _seed_states(self):
        return [self._seeds] if self._amount() else []

    def _check_rate(self, name, value):
        if not 0 <= value <= 1:
            raise ValueError(f"{type(self).__name__}: `{name}` must be between 0 and 1, got {value}.")
        return value

    def _output_dtype(self, arguments):
        return arguments["inputs"].dtype

    def emit(self, p, inputs, training=False):
        if not training or not self._amount():
            return inputs
        if inputs.dtype != "float32":
            raise ValueError(f"Layer '{self.name}' adds noise to floating point inputs only, got {inputs.dtype}.")
        return self._emit_noise(p, inputs)

    def _amount(self):
        """How much noise; 0 for none."""
        return self.rate

    def _emit_noise(self, p, inputs):
        raise NotImplementedError

    def _draw(self, p, shape, kind, p0, p1):
        """Random numbers. kind "keep": p1 with probability 1 - p0, else 0; "normal": mean p0, deviation p1."""
        numbers = p.new(shape)
        state = p.random_state(self._random_state)
        p.step("random", state=state, y=numbers, count=numbers.size, kind=RANDOM_KINDS[kind], p0=p0, p1=p1)
        return numbers

    def _noise_shape(self, noise_shape, shape):
        """`noise_shape` with None as the input's size, checked to broadcast to it."""
        if noise_shape is None:
            return shape
        found = tuple(shape[i] if size is None and i < len(shape) else size for i, size in enumerate(noise_shape))
        if len(found) > len(shape) or any(s not in (1, n) for s, n in zip(found[::-1], shape[::-1])):
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) has noise_shape={noise_shape}, which does not broadcast "
                f"to its input of shape {shape}."
            )
        return found


class Dropout(Noise):
    """With training=True, sets inputs to 0 with probability `rate` and multiplies the others by 1 / (1 - rate).

    Without training=True it returns its input, of any shape and dtype. Source: Srivastava et al. 2014,
    https://jmlr.org/papers/v15/srivastava14a.html.

    Args:
        rate (float): Share of the inputs that are dropped, from 0 to 1.
        noise_shape (tuple, default None): Shape of the decisions, which broadcasts to the input; None in it stands for
            the input's size, and None alone for its shape.
        seed (int or None, default None): Seed of the random numbers. Two layers of one seed draw the same numbers, call
            after call; they are not those of Keras. None draws a seed.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: A rate outside [0, 1] and a noise_shape that does not fit; with training=True, inputs that are not
            floats.

    Example:
        >>> layer, x = layers.Dropout(0.5, seed=1), np.ones((2, 3))
        >>> np.array_equal(layer(x), x)
        True
        >>> sorted(set(layer(np.ones((1, 100)), training=True).ravel().tolist()))
        [0.0, 2.0]
    """

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.rate = self._check_rate("rate", rate)
        self.noise_shape = checked_noise_shape(type(self).__name__, noise_shape)

    def _emit_noise(self, p, inputs):
        return self._drop(p, inputs, self._noise_shape(self.noise_shape, inputs.shape))

    def _drop(self, p, inputs, noise_shape):
        zero = p.constant(np.zeros(1, np.float32))
        if self.rate == 1:
            return p.select(p.constant(np.zeros(1, bool)), inputs, zero)
        # Selected, not multiplied by 0: a dropped infinity or NaN is 0, as in Keras.
        kept = p.cast(self._draw(p, noise_shape, "keep", self.rate, 1.0), "bool")
        scale = p.constant(np.full(1, 1.0 / (1.0 - self.rate), np.float32))
        return p.select(kept, p.binary("multiply", inputs, scale), zero)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": self.noise_shape}


def checked_noise_shape(who, noise_shape):
    """A noise_shape= argument as a tuple. Raises ValueError where it is not made of positive integers and None."""
    if noise_shape is None:
        return None
    if isinstance(noise_shape, str) or not hasattr(noise_shape, "__iter__"):
        raise ValueError(f"{who}: `noise_shape` must be a tuple of integers and None, got {noise_shape!r}.")
    noise_shape = tuple(noise_shape)
    for size in noise_shape:
        if size is not None and (not isinstance(size, int) or size <= 0):
            raise ValueError(f"{who}: `noise_shape` must hold positive integers and None, got {noise_shape}.")
    return noise_shape
