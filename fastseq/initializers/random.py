"""Initializers that draw from one distribution, whatever the shape. https://keras.io/api/layers/initializers/"""

import math

import numpy as np

from fastseq.initializers.base import RandomInitializer, float_dtype


class RandomNormal(RandomInitializer):
    """Normal distribution.

    Args:
        mean (float, default 0.0): Its mean.
        stddev (float, default 0.05): Its standard deviation.
        seed (int, SeedGenerator or dict, default None): An integer gives the same values at every call, also after a
            restart; they are not those of Keras's backends, which differ from one another too. None draws an integer
            once.

    Raises:
        ValueError: A seed of another type; in a call, a dtype that is not floating.

    Example:
        >>> values = initializers.RandomNormal(seed=1)((1000,))
        >>> bool(abs(values.std() - 0.05) < 0.01)
        True
    """

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed=seed)

    def __call__(self, shape, dtype=None):
        return self._normal(shape, self.mean, self.stddev, dtype)

    def get_config(self):
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class TruncatedNormal(RandomNormal):
    """Normal distribution; values more than two standard deviations from the mean are drawn again.

    Args:
        mean (float, default 0.0): Its mean.
        stddev (float, default 0.05): Its standard deviation before values are left out.
        seed (int, SeedGenerator or dict, default None): An integer gives the same values at every call, also after a
            restart; they are not those of Keras's backends, which differ from one another too. None draws an integer
            once.

    Raises:
        ValueError: A seed of another type; in a call, a dtype that is not floating.

    Example:
        >>> bool(np.abs(initializers.TruncatedNormal(seed=1)((1000,))).max() <= 0.1)
        True
    """

    def __call__(self, shape, dtype=None):
        return self._truncated_normal(shape, self.mean, self.stddev, dtype)


class RandomUniform(RandomInitializer):
    """Uniform distribution from ``minval`` to ``maxval``.

    Args:
        minval (float, default -0.05): The lower bound.
        maxval (float, default 0.05): The upper bound.
        seed (int, SeedGenerator or dict, default None): An integer gives the same values at every call, also after a
            restart; they are not those of Keras's backends, which differ from one another too. None draws an integer
            once.

    Raises:
        ValueError: A seed of another type; in a call, a dtype that is not floating.

    Example:
        >>> bool(np.abs(initializers.RandomUniform(seed=1)((1000,))).max() <= 0.05)
        True
    """

    def __init__(self, minval=-0.05, maxval=0.05, seed=None):
        self.minval = minval
        self.maxval = maxval
        super().__init__(seed=seed)

    def __call__(self, shape, dtype=None):
        return self._uniform(shape, self.minval, self.maxval, dtype)

    def get_config(self):
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


class Orthogonal(RandomInitializer):
    """``gain`` times a random matrix with orthonormal rows or columns, whichever are fewer.

    More than two axes count as a matrix with all but the last one in its rows. Source: Saxe et al. 2014,
    https://arxiv.org/abs/1312.6120.

    Args:
        gain (float, default 1.0): What the matrix is multiplied with.
        seed (int, SeedGenerator or dict, default None): An integer gives the same values at every call, also after a
            restart; they are not those of Keras's backends, which differ from one another too. None draws an integer
            once.

    Raises:
        ValueError: A seed of another type; in a call, a shape of rank below 2, and a dtype that is not floating.

    Example:
        >>> q = initializers.Orthogonal(seed=1)((3, 3))
        >>> bool(np.allclose(q @ q.T, np.eye(3), atol=1e-6))
        True
    """

    def __init__(self, gain=1.0, seed=None):
        self.gain = gain
        super().__init__(seed=seed)

    def __call__(self, shape, dtype=None):
        if len(shape) < 2:
            raise ValueError(f"Orthogonal needs at least two axes. Received: shape={shape} of rank {len(shape)}.")
        dtype = float_dtype(dtype)
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(self._normal((max(rows, columns), min(rows, columns)), 0.0, 1.0, np.float64))
        # The signs of R's diagonal make Q uniform among the orthogonal matrices; QR alone prefers some.
        q *= np.sign(np.diagonal(r))
        return np.ascontiguousarray(self.gain * (q.T if rows < columns else q), dtype=dtype).reshape(shape)

    def get_config(self):
        return {**super().get_config(), "gain": self.gain}
