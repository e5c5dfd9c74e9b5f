"""What initializers share: dtypes, and random numbers from a seed."""

import numpy as np

from fastseq.configs import serialization
from fastseq.tensors.seeds import SeedGenerator, default_seed
from fastseq.tensors.settings import standardize_dtype


class Initializer:
    """Base class: a subclass defines ``__call__(shape, dtype=None)`` and, where it has arguments, ``get_config``.

    Example:
        >>> class Twos(initializers.Initializer):
        ...     def __call__(self, shape, dtype=None):
        ...         return np.full(shape, 2.0, dtype or "float32")
        >>> layers.Dense(1, kernel_initializer=Twos())(np.ones((1, 3)))
        array([[6.]], dtype=float32)
    """

    def __call__(self, shape, dtype=None):
        raise NotImplementedError(f"{type(self).__name__} does not define __call__(shape, dtype=None).")

    def get_config(self):
        """The arguments that make another one like it.

        Returns:
            dict, as `from_config` takes it.
        """
        return {}

    @classmethod
    def from_config(cls, config):
        """One of these arguments.

        Args:
            config (dict): What `get_config` gives.

        Returns:
            An Initializer.
        """
        return cls(**config)

    def clone(self):
        """Another one of the same config; one without a seed gets a new seed.

        Returns:
            An Initializer.
        """
        return self.from_config(self.get_config())


class RandomInitializer(Initializer):
    """Base of those that draw.

    Args:
        seed (int, SeedGenerator or dict, default None): An integer gives the same values at every call, also after a
            restart; they are not those of Keras's backends, which differ from one another too. None draws an integer
            once.

    Raises:
        ValueError: A seed of another type; in a call, a dtype that is not floating.

    Example:
        >>> initializers.RandomInitializer(seed=3).seed
        3
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
        dtype = float_dtype(dtype)
        return (mean + stddev * self._generator().standard_normal(shape)).astype(dtype)

    def _truncated_normal(self, shape, mean, stddev, dtype):
        dtype = float_dtype(dtype)
        generator = self._generator()
        values = np.asarray(generator.standard_normal(shape))
        outside = np.abs(values) > 2
        while outside.any():
            values[outside] = generator.standard_normal(np.count_nonzero(outside))
            outside = np.abs(values) > 2
        return np.asarray(mean + stddev * values, dtype=dtype)

    def _uniform(self, shape, minval, maxval, dtype):
        dtype = float_dtype(dtype)
        return np.asarray(self._generator().uniform(minval, maxval, shape), dtype=dtype)

    def get_config(self):
        return {"seed": serialization.serialize_keras_object(self._init_seed)}


def as_dtype(dtype):
    return np.dtype(standardize_dtype(dtype))


def float_dtype(dtype):
    dtype = as_dtype(dtype)
    if dtype.kind != "f":
        raise ValueError(f"Random initializers give floating numbers. Received: dtype={dtype}")
    return dtype
