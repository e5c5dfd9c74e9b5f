"""Reshape layer; see https://keras.io/api/layers/reshaping_layers/reshape/."""

import math

import numpy as np

from fastseq.layers import time_axis
from fastseq.layers.base import Layer


class Reshape(Layer):
    """(B, ...) -> (B, *target_shape), of any dtype; the same memory.

    Args:
        target_shape (tuple of int): Sizes without the batch; one of them may be -1, which stands for what is left.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        TypeError: A target_shape that is no sequence of integers.
        ValueError: Sizes below -1, two of -1, and an input of another number of elements.

    Example:
        >>> layers.Reshape((-1, 2))(np.zeros((4, 6))).shape
        (4, 3, 2)
    """

    keeps_time = time_axis.whole_sequence("it may mix timesteps")

    def __init__(self, target_shape, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(target_shape, (list, tuple, np.ndarray)) or not all(
            isinstance(size, (int, np.integer)) and not isinstance(size, bool) for size in target_shape
        ):
            raise TypeError(f"Reshape: `target_shape` must be a tuple of integers, got {target_shape!r}.")
        self.target_shape = tuple(int(size) for size in target_shape)
        if any(size < -1 for size in self.target_shape) or self.target_shape.count(-1) > 1:
            raise ValueError(
                "Reshape: the sizes in `target_shape` are integers from 0, and one of them may be -1 for what is left: "
                f"got {self.target_shape}."
            )
        self.built = True

    def compute_output_shape(self, input_shape):
        sizes = self.target_shape
        if None in input_shape[1:]:
            return (input_shape[0], *(None if size == -1 else size for size in sizes))
        total, known = math.prod(input_shape[1:]), math.prod(size for size in sizes if size != -1)
        if -1 in sizes:
            fits = known > 0 and total % known == 0
        else:
            fits = known == total
        if not fits:
            raise ValueError(
                f"Layer '{self.name}' (Reshape) cannot make {total} elements of shape {tuple(input_shape[1:])} into "
                f"target_shape={sizes}."
            )
        return (input_shape[0], *(total // known if size == -1 else size for size in sizes))

    def _output_dtype(self, arguments):
        return arguments["inputs"].dtype

    def emit(self, p, inputs):
        return inputs.reshaped(self.compute_output_shape(inputs.shape))

    def get_config(self):
        return {**super().get_config(), "target_shape": self.target_shape}
