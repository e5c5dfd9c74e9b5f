"""The backend's random numbers, from the generators of fastseq's initializers.

They are not those of TensorFlow for the same seed. A call that is traced would have the same ones for ever: such a call
runs in Python, and layers.Dropout and layers.GaussianNoise draw natively.
"""

import numpy as np

from fastseq import initializers, ops
from fastseq.backend.documented import documented
from fastseq.backend.variables import refuse_while_traced, variable
from fastseq.tensors.symbolic import KerasTensor

_SHAPE = "(tuple of int): Sizes."
_DTYPE = "(str, default None): A floating one; values are float32."
_SEED = "(int, default None): The same values for the same integer; None draws anew."
_NAME = "(str, default None): The weight's name."
_FLOAT = "float32 array."
_RAISES = {"ValueError": "A dtype that is not floating."}
_VARIABLE = "Variable."


def _drawn(name, initializer, shape, dtype):
    refuse_while_traced(name, "draws random numbers")
    return initializer(tuple(shape), dtype)


@documented(
    "Values of a normal distribution.",
    {"shape": _SHAPE, "mean": "(float, default 0.0): Its mean.",
     "stddev": "(float, default 1.0): Its standard deviation.", "dtype": _DTYPE, "seed": _SEED},
    _FLOAT,
    "backend.random_normal((2,)).shape\n"
    '(2,)',
    _RAISES,
)  # fmt: skip
def random_normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
    return _drawn("random_normal", initializers.RandomNormal(mean, stddev, seed), shape, dtype)


@documented(
    "Values of a normal distribution, none more than two standard deviations from its mean.",
    {"shape": _SHAPE, "mean": "(float, default 0.0): Its mean.",
     "stddev": "(float, default 1.0): Its standard deviation before values are left out.", "dtype": _DTYPE,
     "seed": _SEED},
    _FLOAT,
    "backend.truncated_normal((2,)).shape\n"
    '(2,)',
    _RAISES,
)  # fmt: skip
def truncated_normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
    return _drawn("truncated_normal", initializers.TruncatedNormal(mean, stddev, seed), shape, dtype)


@documented(
    "Values between two bounds, all alike probable.",
    {"shape": _SHAPE, "minval": "(float, default 0.0): The lower bound.",
     "maxval": "(float, default 1.0): The upper bound, left out.", "dtype": _DTYPE, "seed": _SEED},
    _FLOAT,
    "backend.random_uniform((2,)).shape\n"
    '(2,)',
    _RAISES,
)  # fmt: skip
def random_uniform(shape, minval=0.0, maxval=1.0, dtype=None, seed=None):
    return _drawn("random_uniform", initializers.RandomUniform(minval, maxval, seed), shape, dtype)


@documented(
    "Ones with a probability, else zeros.",
    {"shape": _SHAPE, "p": "(float, default 0.0): The probability of a 1.",
     "dtype": '(str, default None): "float32", "int32" or "bool"; None is float32.', "seed": _SEED},
    "An array.",
    "backend.random_bernoulli((2,), 0.5).shape\n"
    '(2,)',
)  # fmt: skip
def random_bernoulli(shape, p=0.0, dtype=None, seed=None):
    return ops.cast(random_uniform(shape, seed=seed) < p, dtype or "float32")


@documented(
    "Ones with a probability, else zeros: `random_bernoulli` under its older name.",
    {"shape": _SHAPE, "p": "(float, default 0.0): The probability of a 1.",
     "dtype": '(str, default None): "float32", "int32" or "bool"; None is float32.', "seed": _SEED},
    "An array.",
    "backend.random_binomial((2,), 0.5).shape\n"
    '(2,)',
)  # fmt: skip
def random_binomial(shape, p=0.0, dtype=None, seed=None):
    return random_bernoulli(shape, p, dtype, seed)


@documented(
    "A weight of values of a normal distribution.",
    {
        "shape": _SHAPE,
        "mean": "(float): Its mean.",
        "scale": "(float): Its standard deviation.",
        "dtype": _DTYPE,
        "name": _NAME,
        "seed": _SEED,
    },
    _VARIABLE,
    "backend.random_normal_variable((2,), 0.0, 1.0).shape\n(2,)",
    _RAISES,
)
def random_normal_variable(shape, mean, scale, dtype=None, name=None, seed=None):
    return variable(random_normal(shape, mean, scale, dtype, seed), dtype, name)


@documented(
    "A weight of values between two bounds.",
    {"shape": _SHAPE, "low": "(float): The lower bound.", "high": "(float): The upper bound, left out.",
     "dtype": _DTYPE, "name": _NAME, "seed": _SEED},
    _VARIABLE,
    "backend.random_uniform_variable((2,), 0.0, 1.0).shape\n"
    '(2,)',
    _RAISES,
)  # fmt: skip
def random_uniform_variable(shape, low, high, dtype=None, name=None, seed=None):
    return variable(random_uniform(shape, low, high, dtype, seed), dtype, name)


@documented(
    "Zeros in the places of a share of the elements; the rest is divided by the share that stays.",
    {"x": "(array): float32.", "level": "(float): The share, at least 0 and below 1.",
     "noise_shape": "(tuple of int, default None): Where it is 1, an axis has one choice; None is the shape of `x`.",
     "seed": _SEED},
    "float32 array of the shape of `x`.",
    "backend.dropout([1.0, 2.0, 3.0], 0.5).shape\n"
    '(3,)',
    {"ValueError": "A share that is none.", "TypeError": "A symbolic tensor: layers.Dropout takes those."},
)  # fmt: skip
def dropout(x, level, noise_shape=None, seed=None):
    if isinstance(x, KerasTensor):
        raise TypeError("backend.dropout draws its numbers at once. In a graph of layers use layers.Dropout.")
    if not 0 <= level < 1:
        raise ValueError(f"backend.dropout: level is at least 0 and below 1, got {level!r}.")
    refuse_while_traced("dropout", "draws random numbers: layers.Dropout draws natively")
    shape = ops.shape(x) if noise_shape is None else noise_shape
    shape = [own if size is None else size for size, own in zip(shape, ops.shape(x), strict=True)]
    stays = np.asarray(random_uniform(shape, seed=seed)) >= level
    return ops.where(stays, ops.multiply(x, 1.0 / (1.0 - level)), 0.0)
