"""Wrapper, the base of layers around a layer; see https://keras.io/api/layers/base_layer/."""

from fastseq.configs.serialization import deserialize_keras_object, serialize_keras_object
from fastseq.layers.base import Layer


class Wrapper(Layer):
    """Base class of layers that hold another one, as in Keras: subclass it and define `call`.

    Args:
        layer (Layer): What is held; it is built with the shape that the wrapper is built with.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: What is no layer.

    Example:
        >>> class Twice(layers.Wrapper):
        ...     def call(self, x):
        ...         return self.layer(self.layer(x))
        >>> Twice(layers.Rescaling(3.0))(np.array([1.0]))
        array([9.], dtype=float32)
    """

    def __init__(self, layer, **kwargs):
        if not isinstance(layer, Layer):
            raise ValueError(f"{type(self).__name__} takes a layer, got {layer!r}.")
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape=None):
        if not self.layer.built:
            self.layer._build_once({next(iter(self.layer._signature.parameters)): input_shape})
        self.built = True

    def get_config(self):
        return {**super().get_config(), "layer": serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        return cls(deserialize_keras_object(config.pop("layer"), custom_objects=custom_objects), **config)
