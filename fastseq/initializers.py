"""Keras's weight initializers on NumPy's random generators.

Called as ``initializer(shape, dtype=None)``, they return an array of that shape, float32 unless ``dtype`` says
otherwise. Distributions, arguments and the meaning of seeds are Keras's: the same integer seed gives the same values
at every call, also after a restart; the values themselves differ from those of Keras's backends, which differ from one
another too. Reference: https://keras.io/api/layers/initializers/
"""

import inspect
import math

import numpy as np

from fastseq.configs import serialization
from fastseq.tensors.naming import to_snake_case
from fastseq.tensors.seeds import SeedGenerator, default_seed
from fastseq.tensors.settings import standardize_dtype

# Standard deviation of a standard normal distribution that is cut off at two of them.
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer:
    """Base class: a subclass defines ``__call__(shape, dtype=None)`` and, where it has arguments, ``get_config``."""

    def __call__(self, shape, dtype=None):
        raise NotImplementedError(f"{type(self).__name__} does not define __call__(shape, dtype=None).")

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def clone(self):
        """Another one of the same config; one without a seed gets a new seed."""
        return self.from_config(self.get_config())


class Zeros(Initializer):
    """All zeros."""

    def __call__(self, shape, dtype=None):
        return np.zeros(shape, _dtype(dtype))


class Ones(Initializer):
    """All ones."""

    def __call__(self, shape, dtype=None):
        return np.ones(shape, _dtype(dtype))


class Constant(Initializer):
    """``value`` everywhere: a number, or an array that broadcasts to the shape."""

    _only_its_shape = False  # True of an array that was given in the place of an initializer

    def __init__(self, value=0.0):
        self.value = value

    def __call__(self, shape, dtype=None):
        if self._only_its_shape and tuple(shape) != self.value.shape:
            raise ValueError(
                f"An array of shape {self.value.shape} cannot initialize a weight of shape {tuple(shape)}."
            )
        dtype = _dtype(dtype)
        return np.asarray(self.value).astype(dtype) * np.ones(shape, dtype)

    def get_config(self):
        return {"value": serialization.serialize_keras_object(self.value)}

    @classmethod
    def from_config(cls, config):
        return cls(serialization.deserialize_keras_object(config["value"]))


class Identity(Initializer):
    """``gain`` on the diagonal of a matrix, zeros elsewhere. Raises ValueError for a shape that is not of rank 2."""

    def __init__(self, gain=1.0):
        self.gain = gain

    def __call__(self, shape, dtype=None):
        if len(shape) != 2:
            raise ValueError(f"Identity initializes matrices only. Received: shape={shape} of rank {len(shape)}.")
        dtype = _dtype(dtype)
        return (self.gain * np.eye(*shape)).astype(dtype)

    def get_config(self):
        # Keras leaves the gain out and so forgets it on saving; its own from_config reads it back all the same.
        return {"gain": self.gain}


class RandomInitializer(Initializer):
    """Base of those that draw. ``seed``: an integer, a SeedGenerator or its config; None draws an integer once.

    Raises:
        ValueError: a seed of another type, or a call with a dtype that is not floating.
    """

    def __init__(self, seed=None):
        self._init_seed = seed
        if seed is None:
            seed = default_seed()
        elif isinstance(seed, dict):
            seed = serialization.deserialize_keras_object(seed)
        if not isinstance(seed, (int, SeedGenerator)):
            raise ValueError(f"`seed` should be an integer or a SeedGenerator. Received: seed={seed}")
        self.seed = seed

    def _generator(self):
        seed, count = self.seed.next() if isinstance(self.seed, SeedGenerator) else (self.seed, 0)
        # Keras keeps 32 bits of a seed, so negative ones are seeds too. Two words: (1, 0) and (0, 1) must differ.
        return np.random.Generator(np.random.PCG64([seed & 0xFFFFFFFF, count]))

    def _normal(self, shape, mean, stddev, dtype):
        dtype = _float_dtype(dtype)
        return (mean + stddev * self._generator().standard_normal(shape)).astype(dtype)

    def _truncated_normal(self, shape, mean, stddev, dtype):
        dtype = _float_dtype(dtype)
        generator = self._generator()
        values = np.asarray(generator.standard_normal(shape))
        outside = np.abs(values) > 2
        while outside.any():
            values[outside] = generator.standard_normal(np.count_nonzero(outside))
            outside = np.abs(values) > 2
        return np.asarray(mean + stddev * values, dtype=dtype)

    def _uniform(self, shape, minval, maxval, dtype):
        dtype = _float_dtype(dtype)
        return np.asarray(self._generator().uniform(minval, maxval, shape), dtype=dtype)

    def get_config(self):
        return {"seed": serialization.serialize_keras_object(self._init_seed)}


class RandomNormal(RandomInitializer):
    """Normal distribution."""

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed=seed)

    def __call__(self, shape, dtype=None):
        return self._normal(shape, self.mean, self.stddev, dtype)

    def get_config(self):
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class TruncatedNormal(RandomNormal):
    """Normal distribution; values more than two standard deviations from the mean are drawn again."""

    def __call__(self, shape, dtype=None):
        return self._truncated_normal(shape, self.mean, self.stddev, dtype)


class RandomUniform(RandomInitializer):
    """Uniform distribution from ``minval`` to ``maxval``."""

    def __init__(self, minval=-0.05, maxval=0.05, seed=None):
        self.minval = minval
        self.maxval = maxval
        super().__init__(seed=seed)

    def __call__(self, shape, dtype=None):
        return self._uniform(shape, self.minval, self.maxval, dtype)

    def get_config(self):
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


class VarianceScaling(RandomInitializer):
    """Zero mean and variance ``scale / n``, with ``n`` from the shape's inputs and outputs.

    Args:
        scale: positive number.
        mode: "fan_in", "fan_out" or "fan_avg", the mean of both.
        distribution: "truncated_normal" (or "normal"), "untruncated_normal" or "uniform".
        seed: see RandomInitializer.
        input_axes, output_axes: axes whose sizes multiply to the fans; both or neither count. By default the last axis
            is the output, the one before the input, and all others multiply both.

    Raises:
        ValueError: a scale that is not positive, an unknown mode or distribution.
    """

    def __init__(
        self, scale=1.0, mode="fan_in", distribution="truncated_normal", seed=None, input_axes=None, output_axes=None
    ):
        if scale <= 0.0:
            raise ValueError(f"`scale` must be positive. Received: scale={scale}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"`mode` should be 'fan_in', 'fan_out' or 'fan_avg'. Received: mode={mode}")
        distribution = distribution.lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        if distribution not in ("uniform", "truncated_normal", "untruncated_normal"):
            raise ValueError(
                "`distribution` should be 'uniform', 'truncated_normal' or 'untruncated_normal'. "
                f"Received: distribution={distribution}"
            )
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = input_axes
        self.output_axes = output_axes
        super().__init__(seed=seed)

    def __call__(self, shape, dtype=None):
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return self._uniform(shape, -limit, limit, dtype)
        if self.distribution == "untruncated_normal":
            return self._normal(shape, 0.0, math.sqrt(variance), dtype)
        return self._truncated_normal(shape, 0.0, math.sqrt(variance) / _TRUNCATED_STDDEV, dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


class _NamedScaling(VarianceScaling):
    """A VarianceScaling whose scale, mode and distribution are its name."""

    _preset = ()

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        super().__init__(*self._preset, seed=seed, input_axes=input_axes, output_axes=output_axes)

    def get_config(self):
        config = super().get_config()
        return {key: config[key] for key in ("seed", "input_axes", "output_axes")}


class GlorotUniform(_NamedScaling):
    """Uniform, variance 2 / (inputs + outputs). Glorot & Bengio, 2010, https://proceedings.mlr.press/v9/glorot10a.html"""

    _preset = (1.0, "fan_avg", "uniform")


class GlorotNormal(_NamedScaling):
    """Truncated normal, variance 2 / (inputs + outputs). Glorot & Bengio, 2010."""

    _preset = (1.0, "fan_avg", "truncated_normal")


class LecunNormal(_NamedScaling):
    """Truncated normal, variance 1 / inputs. Klambauer et al., 2017, https://arxiv.org/abs/1706.02515"""

    _preset = (1.0, "fan_in", "truncated_normal")


class LecunUniform(_NamedScaling):
    """Uniform, variance 1 / inputs. LeCun et al., 1998, "Efficient BackProp"."""

    _preset = (1.0, "fan_in", "uniform")


class HeNormal(_NamedScaling):
    """Truncated normal, variance 2 / inputs. He et al., 2015, https://arxiv.org/abs/1502.01852"""

    _preset = (2.0, "fan_in", "truncated_normal")


class HeUniform(_NamedScaling):
    """Uniform, variance 2 / inputs. He et al., 2015, https://arxiv.org/abs/1502.01852"""

    _preset = (2.0, "fan_in", "uniform")


class Orthogonal(RandomInitializer):
    """``gain`` times a random matrix with orthonormal rows or columns, whichever are fewer.

    More than two axes count as a matrix with all but the last one in its rows. Saxe et al., 2014,
    https://arxiv.org/abs/1312.6120. Raises ValueError for a shape of rank below 2.
    """

    def __init__(self, gain=1.0, seed=None):
        self.gain = gain
        super().__init__(seed=seed)

    def __call__(self, shape, dtype=None):
        if len(shape) < 2:
            raise ValueError(f"Orthogonal needs at least two axes. Received: shape={shape} of rank {len(shape)}.")
        dtype = _float_dtype(dtype)
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(self._normal((max(rows, columns), min(rows, columns)), 0.0, 1.0, np.float64))
        # The signs of R's diagonal make Q uniform among the orthogonal matrices; QR alone prefers some.
        q *= np.sign(np.diagonal(r))
        return np.ascontiguousarray(self.gain * (q.T if rows < columns else q), dtype=dtype).reshape(shape)

    def get_config(self):
        return {**super().get_config(), "gain": self.gain}


def compute_fans(shape, input_axes=None, output_axes=None):
    """``(inputs, outputs)`` of a weight of this shape; see VarianceScaling for the axes."""
    shape = tuple(shape)
    if input_axes is not None and output_axes is not None:
        return int(math.prod(shape[axis] for axis in input_axes)), int(math.prod(shape[axis] for axis in output_axes))
    if len(shape) < 2:
        fan = int(shape[0]) if shape else 1
        return fan, fan
    field = math.prod(shape[:-2])
    return int(shape[-2] * field), int(shape[-1] * field)


def _dtype(dtype):
    return np.dtype(standardize_dtype(dtype))


def _float_dtype(dtype):
    dtype = _dtype(dtype)
    if dtype.kind != "f":
        raise ValueError(f"Random initializers give floating numbers. Received: dtype={dtype}")
    return dtype


_CLASSES = (
    *(Initializer, Constant, Identity, Ones, Zeros, GlorotNormal, GlorotUniform, HeNormal, HeUniform, LecunNormal),
    *(LecunUniform, Orthogonal, RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling),
)
# What makes seeds, which configs name beside them.
RANDOM_OBJECTS_DICT = {"SeedGenerator": SeedGenerator}
ALL_OBJECTS_DICT = {
    **{cls.__name__: cls for cls in _CLASSES},
    **{to_snake_case(cls.__name__): cls for cls in _CLASSES},
    "IdentityInitializer": Identity,
    "OrthogonalInitializer": Orthogonal,
    "normal": RandomNormal,
    "uniform": RandomUniform,
    "one": Ones,
    "zero": Zeros,
}
zeros, ones, constant, identity, orthogonal = Zeros, Ones, Constant, Identity, Orthogonal
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
variance_scaling, glorot_normal, glorot_uniform = VarianceScaling, GlorotNormal, GlorotUniform
he_normal, he_uniform, lecun_normal, lecun_uniform = HeNormal, HeUniform, LecunNormal, LecunUniform


def serialize(initializer):
    """The config dict of an initializer."""
    return serialization.serialize_keras_object(initializer)


def deserialize(config, custom_objects=None):
    """The initializer of a config dict or name."""
    return serialization.deserialize_keras_object(config, custom_objects, module_objects=ALL_OBJECTS_DICT)


def get(identifier):
    """An initializer from its name, config dict, class, an array of the weight's shape, or any callable; None is None.

    Raises:
        ValueError: no such initializer.
    """
    if identifier is None:
        return None
    found = identifier
    if isinstance(identifier, (dict, str)):
        found = deserialize(identifier)
    elif isinstance(identifier, (np.ndarray, np.generic)):
        found = _given_values(identifier)
    if inspect.isclass(found):
        found = found()
    if callable(found):
        return found
    raise ValueError(
        f"Could not interpret initializer identifier: {identifier}. "
        f"The built-in ones are {', '.join(sorted(to_snake_case(cls.__name__) for cls in _CLASSES[1:]))}."
    )


def _given_values(array):
    """An initializer that files and copies can hold: a Constant."""
    found = Constant(array)
    found._only_its_shape = True
    return found
