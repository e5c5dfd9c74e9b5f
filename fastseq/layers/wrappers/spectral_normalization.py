"""SpectralNormalization; see https://keras.io/api/layers/regularization_layers/.

Source: Miyato et al. 2018, https://arxiv.org/abs/1802.05957.
"""

import numpy as np

from fastseq.configs.serialization import deserialize_keras_object, serialize_keras_object
from fastseq.initializers import TruncatedNormal
from fastseq.layers.base import Layer
from fastseq.layers.input_spec import InputSpec
from fastseq.layers.normalization import moving_statistics
from fastseq.native import kept_states
from fastseq.ops.elementwise import divide
from fastseq.ops.linear_algebra import matmul
from fastseq.ops.normalization import normalize
from fastseq.ops.shapes import transpose


class SpectralNormalization(Layer):
    """A layer whose kernel is divided by its largest singular value at the beginning of each call with training=True.

    The value comes from the power method, which goes on from call to call. As in Keras the kernel itself is changed,
    and a kernel of zeros stays. A call with training=True computes it in a step in Python, before the layer's own
    steps; without, the layer alone runs. Source: Miyato et al. 2018, https://arxiv.org/abs/1802.05957.

    Args:
        layer (Layer): A layer with a `kernel` or `embeddings`.
        power_iterations (int, default 1): Rounds of the power method in each call.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: What is no layer, or has neither a kernel nor embeddings, and power_iterations below 1.

    Example:
        >>> layer = layers.SpectralNormalization(layers.Dense(2, kernel_initializer="ones"), power_iterations=3)
        >>> _ = layer(np.ones((1, 3)), training=True)
        >>> layer.layer.kernel.numpy()[0].round(4)
        array([0.4082, 0.4082], dtype=float32)
    """

    # A timestep of TimeDistributed at a time where training=True.
    mixes_rows_in_training = True

    def __init__(self, layer, power_iterations=1, **kwargs):
        if not isinstance(layer, Layer):
            raise ValueError(f"SpectralNormalization takes a layer, got {layer!r}.")
        super().__init__(**kwargs)
        if not isinstance(power_iterations, int) or power_iterations <= 0:
            raise ValueError(
                f"SpectralNormalization: `power_iterations` must be a positive integer, got {power_iterations!r}."
            )
        self.layer = layer
        self.power_iterations = power_iterations

    @property
    def memory(self):
        """That of the layer inside."""
        return self.layer.memory

    def last_output(self, memory):
        return self.layer.last_output(memory)

    def keeps_time(self, timed, shapes, arguments):
        return self.layer.keeps_time(timed, shapes, arguments)

    def _argument_dtypes(self, name):
        return self.layer._argument_dtypes(next(iter(self.layer._signature.parameters)))

    def build(self, input_shape):
        self.layer._build_once({next(iter(self.layer._signature.parameters)): input_shape})
        self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[-1]})
        name = next((name for name in ("kernel", "embeddings") if hasattr(self.layer, name)), None)
        if name is None:
            raise ValueError(
                f"Layer '{self.name}' (SpectralNormalization): layer '{self.layer.name}' ({type(self.layer).__name__}) "
                "has neither a kernel nor embeddings."
            )
        self.kernel = getattr(self.layer, name)
        self._variables.append(self.kernel)  # as in Keras, whose files hold it twice
        self.vector_u = self.add_weight(
            (1, self.kernel.shape[-1]), TruncatedNormal(stddev=0.02), trainable=False, name="vector_u"
        )
        self.built = True

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def emit(self, p, inputs, training=False):
        arguments = {next(iter(self.layer._signature.parameters)): inputs}
        if "training" in self.layer._signature.parameters:
            arguments["training"] = training
        if not training:
            return self.layer.trace(p, arguments)
        in_place = p.trains
        if not in_place:
            moving_statistics.own(self.kernel)  # before the layer's steps take its place
        p.python(self.name, lambda: self._normalize(in_place), [], [np.zeros(1, np.float32)])
        p.trains = True  # then the layer's steps read the kernel anew in each run
        try:
            return self.layer.trace(p, arguments)
        finally:
            p.trains = in_place

    def _normalize(self, in_place):
        """Changes the kernel and `vector_u`; in_place: whether a training program owns the kernel's array."""
        kernel = self.kernel._held() if in_place else moving_statistics.own(self.kernel)
        result = [np.zeros(1, np.float32)]
        if not kernel.any():
            return result
        vector, found = self.normalized_weights()
        kept_states.write([moving_statistics.own(self.vector_u), kernel], [vector, found])
        self.layer._weights_changed()
        return result

    def normalized_weights(self):
        """The power method.

        Returns:
            (vector_u, kernel): float32 arrays, the singular vector and the kernel divided by the singular value.

        Example:
            >>> layer = layers.SpectralNormalization(layers.Dense(2, kernel_initializer="ones"))
            >>> layer.build((None, 3))
            >>> [array.shape for array in layer.normalized_weights()]
            [(1, 2), (3, 2)]
        """
        kernel, u = self.kernel.numpy(), self.vector_u.numpy()
        weights = kernel.reshape(-1, kernel.shape[-1])
        for _ in range(self.power_iterations):
            v = normalize(matmul(u, transpose(weights)), axis=None)
            u = normalize(matmul(v, weights), axis=None)
        sigma = matmul(matmul(v, weights), transpose(u))
        return u, divide(weights, sigma).reshape(kernel.shape)

    def get_config(self):
        config = {**super().get_config(), "layer": serialize_keras_object(self.layer)}
        return {**config, "power_iterations": self.power_iterations}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        return cls(deserialize_keras_object(config.pop("layer"), custom_objects=custom_objects), **config)
