"""Initializers whose variance follows from the shape. https://keras.io/api/layers/initializers/"""

import math

from fastseq.initializers.base import RandomInitializer

# Standard deviation of a standard normal distribution that is cut off at two of them.
_TRUNCATED_STDDEV = 0.87962566103423978


class VarianceScaling(RandomInitializer):
    """Zero mean and variance ``scale / n``, with ``n`` from the shape's inputs and outputs.

    Args:
        scale (float, default 1.0): Positive.
        mode (str, default "fan_in"): "fan_in", "fan_out" or "fan_avg", the mean of both: what n is.
        distribution (str, default "truncated_normal"): "truncated_normal" (or "normal"), "untruncated_normal" or
            "uniform".
        seed (int, SeedGenerator or dict, default None): An integer gives the same values at every call, also after a
            restart; they are not those of Keras's backends, which differ from one another too. None draws an integer
            once.
        input_axes (list of int, default None): Axes whose sizes multiply to the inputs; both or neither count. None is
            the last axis but one.
        output_axes (list of int, default None): Axes whose sizes multiply to the outputs. None is the last; all other
            axes multiply both.

    Raises:
        ValueError: A scale that is not positive, an unknown mode or distribution, and a seed of another type.

    Example:
        >>> values = initializers.VarianceScaling(distribution="uniform", seed=1)((300, 5))
        >>> bool(np.abs(values).max() <= 0.1)  # sqrt(3 / 300)
        True
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
    """Uniform, variance 2 / (inputs + outputs). Source: Glorot and Bengio 2010,
    https://proceedings.mlr.press/v9/glorot10a.html.

    Args:
        seed (int, SeedGenerator or dict, default None): An integer gives the same values at every call, also after a
            restart; they are not those of Keras's backends, which differ from one another too. None draws an integer
            once.
        input_axes (list of int, default None): Axes whose sizes multiply to the inputs; both or neither count. None is
            the last axis but one.
        output_axes (list of int, default None): Axes whose sizes multiply to the outputs. None is the last; all other
            axes multiply both.

    Raises:
        ValueError: A seed of another type.

    Example:
        >>> bool(np.abs(initializers.GlorotUniform(seed=1)((300, 300))).max() <= 0.1)  # sqrt(6 / 600)
        True
    """

    _preset = (1.0, "fan_avg", "uniform")


class GlorotNormal(_NamedScaling):
    """Truncated normal, variance 2 / (inputs + outputs). Source: Glorot and Bengio 2010.

    Args:
        seed (int, SeedGenerator or dict, default None): An integer gives the same values at every call, also after a
            restart; they are not those of Keras's backends, which differ from one another too. None draws an integer
            once.
        input_axes (list of int, default None): Axes whose sizes multiply to the inputs; both or neither count. None is
            the last axis but one.
        output_axes (list of int, default None): Axes whose sizes multiply to the outputs. None is the last; all other
            axes multiply both.

    Raises:
        ValueError: A seed of another type.

    Example:
        >>> bool(abs(initializers.GlorotNormal(seed=1)((100, 100)).std() - 0.1) < 0.01)  # sqrt(2 / 200)
        True
    """

    _preset = (1.0, "fan_avg", "truncated_normal")


class LecunNormal(_NamedScaling):
    """Truncated normal, variance 1 / inputs. Source: Klambauer et al. 2017, https://arxiv.org/abs/1706.02515.

    Args:
        seed (int, SeedGenerator or dict, default None): An integer gives the same values at every call, also after a
            restart; they are not those of Keras's backends, which differ from one another too. None draws an integer
            once.
        input_axes (list of int, default None): Axes whose sizes multiply to the inputs; both or neither count. None is
            the last axis but one.
        output_axes (list of int, default None): Axes whose sizes multiply to the outputs. None is the last; all other
            axes multiply both.

    Raises:
        ValueError: A seed of another type.

    Example:
        >>> bool(abs(initializers.LecunNormal(seed=1)((100, 100)).std() - 0.1) < 0.01)
        True
    """

    _preset = (1.0, "fan_in", "truncated_normal")


class LecunUniform(_NamedScaling):
    """Uniform, variance 1 / inputs. Source: LeCun et al. 1998, "Efficient BackProp".

    Args:
        seed (int, SeedGenerator or dict, default None): An integer gives the same values at every call, also after a
            restart; they are not those of Keras's backends, which differ from one another too. None draws an integer
            once.
        input_axes (list of int, default None): Axes whose sizes multiply to the inputs; both or neither count. None is
            the last axis but one.
        output_axes (list of int, default None): Axes whose sizes multiply to the outputs. None is the last; all other
            axes multiply both.

    Raises:
        ValueError: A seed of another type.

    Example:
        >>> bool(abs(initializers.LecunUniform(seed=1)((100, 100)).std() - 0.1) < 0.01)
        True
    """

    _preset = (1.0, "fan_in", "uniform")


class HeNormal(_NamedScaling):
    """Truncated normal, variance 2 / inputs. Source: He et al. 2015, https://arxiv.org/abs/1502.01852.

    Args:
        seed (int, SeedGenerator or dict, default None): An integer gives the same values at every call, also after a
            restart; they are not those of Keras's backends, which differ from one another too. None draws an integer
            once.
        input_axes (list of int, default None): Axes whose sizes multiply to the inputs; both or neither count. None is
            the last axis but one.
        output_axes (list of int, default None): Axes whose sizes multiply to the outputs. None is the last; all other
            axes multiply both.

    Raises:
        ValueError: A seed of another type.

    Example:
        >>> bool(abs(initializers.HeNormal(seed=1)((200, 100)).std() - 0.1) < 0.01)
        True
    """

    _preset = (2.0, "fan_in", "truncated_normal")


class HeUniform(_NamedScaling):
    """Uniform, variance 2 / inputs. Source: He et al. 2015, https://arxiv.org/abs/1502.01852.

    Args:
        seed (int, SeedGenerator or dict, default None): An integer gives the same values at every call, also after a
            restart; they are not those of Keras's backends, which differ from one another too. None draws an integer
            once.
        input_axes (list of int, default None): Axes whose sizes multiply to the inputs; both or neither count. None is
            the last axis but one.
        output_axes (list of int, default None): Axes whose sizes multiply to the outputs. None is the last; all other
            axes multiply both.

    Raises:
        ValueError: A seed of another type.

    Example:
        >>> bool(abs(initializers.HeUniform(seed=1)((200, 100)).std() - 0.1) < 0.01)
        True
    """

    _preset = (2.0, "fan_in", "uniform")


def compute_fans(shape, input_axes=None, output_axes=None):
    """The inputs and outputs of a weight.

    Args:
        shape (tuple of int): The weight's shape.
        input_axes (list of int, default None): Axes whose sizes multiply to the inputs; both or neither count. None is
            the last axis but one.
        output_axes (list of int, default None): Axes whose sizes multiply to the outputs. None is the last; all other
            axes multiply both.

    Returns:
        (inputs, outputs), two int.

    Example:
        >>> initializers.compute_fans((5, 3, 4))
        (15, 20)
    """
    shape = tuple(shape)
    if input_axes is not None and output_axes is not None:
        return int(math.prod(shape[axis] for axis in input_axes)), int(math.prod(shape[axis] for axis in output_axes))
    if len(shape) < 2:
        fan = int(shape[0]) if shape else 1
        return fan, fan
    field = math.prod(shape[:-2])
    return int(shape[-2] * field), int(shape[-1] * field)
