"""Rescaling layer; see https://keras.io/api/layers/preprocessing_layers/image_preprocessing/rescaling/."""

import numpy as np

from fastseq.configs import serialization
from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.tensors import settings


class Rescaling(Layer):
    """x * scale + offset, in float32, of any shape.

    Args:
        scale (float or array): The factor; an array broadcasts to the input from its last axis on. Where the image data
            format is "channels_first", an array gets axes of size 1 behind its own, up to three, as in Keras.
        offset (float or array, default 0.0): What is added.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: A scale or an offset that is no number and no array of numbers, and one that does not broadcast to
            the input's shape.

    Example:
        >>> layers.Rescaling(1 / 255, offset=-0.5)(np.array([[0, 255]]))
        array([[-0.5,  0.5]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, scale, offset=0.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale
        self.offset = offset
        self._arrays()
        self.built = True

    def _arrays(self):
        """{argument: float32 array of at least one axis}."""
        found = {}
        for name, value in (("scale", self.scale), ("offset", self.offset)):
            try:
                found[name] = np.asarray(value, np.float32)
            except (TypeError, ValueError):
                raise ValueError(
                    f"Layer '{self.name}' (Rescaling) takes a number or an array of numbers as its {name}, "
                    f"got {value!r}."
                ) from None
        if found["scale"].ndim and settings.image_data_format() == "channels_first":
            found["scale"] = found["scale"].reshape(found["scale"].shape + (1,) * (3 - found["scale"].ndim))
        return {name: np.atleast_1d(array) for name, array in found.items()}

    def keeps_time(self, timed, shapes, arguments):
        behind = len(shapes[0]) - 1  # axes from time on
        for name, array in self._arrays().items():
            if timed[0] and array.ndim >= behind and array.shape[-behind] > 1:
                time_axis.refuse(self, f"its {name} of shape {array.shape} has a value for every timestep")
        return timed[0]

    def emit(self, p, inputs):
        y = p.float32(inputs)
        for kind, (name, array) in zip(("multiply", "add"), self._arrays().items()):
            if array.ndim > len(y.shape) or any(n not in (1, m) for n, m in zip(array.shape[::-1], y.shape[::-1])):
                raise ValueError(
                    f"Layer '{self.name}' (Rescaling) takes as its {name} what broadcasts to its input of shape "
                    f"{y.shape}, got one of shape {array.shape}."
                )
            y = p.binary(kind, y, p.constant(array))
        return y

    def get_config(self):
        arguments = {"scale": self.scale, "offset": self.offset}
        return {**super().get_config(), **serialization.serialize_keras_object(arguments)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        arguments = {name: config[name] for name in ("scale", "offset") if name in config}
        return cls(**{**config, **serialization.deserialize_keras_object(arguments, custom_objects)})
