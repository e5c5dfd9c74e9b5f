"""What the rows of the table of layers are made of (layer_cases.py): the class of a row, and its words."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import fastseq

B, T, N = 3, 4, 6
RATES = {"dropout": 0.2, "recurrent_dropout": 0.2}
# What a stream gives: each timestep of the whole sequence's result, or at the last timestep the whole result.
EACH, LAST = "each timestep", "the last timestep"
# Of the mask (B, T) of an input (B, T, N): it comes out as it went in; or the call raises, in Keras too.
KEPT, REFUSED = "kept", "refused"


class Case(NamedTuple):
    """A layer in the tests that go over all layers.

    make(k, x): what the layer makes of x, a Dense layer's output (B, T, N), or ids (B, T) where `ids` is true.
    stream: EACH, LAST, or the reason with which a stream refuses the layer, a pattern.
    mask: KEPT, REFUSED, or None where no mask comes out.
    benchmark: the class in asv_benchmarks/benchmarks that measures it, by default the one of its name; None where it
        computes nothing.
    options: functions of k that make the layer, each to be compared with Keras: on arrays of `shapes`, on a masked one
        within `ulps` of the largest value, and its gradients.
    streams: functions of k that make the layer, each of which streams every timestep of (B, any number, N).
    known: (function of k, input, output) that need no Keras; the output, or what makes it of the input and the layer's
        weights in float64, its naive twin.
    raises: (function of k, pattern of the ValueError's message).
    """

    make: Callable
    stream: str = EACH
    mask: str | None = KEPT
    benchmark: str | None = ""
    ids: bool = False
    options: tuple = ()
    shapes: tuple = ((3, N), (2, 5, N), (3, 7, 33, N))
    ulps: int = 1
    streams: tuple = ()
    known: tuple = ()
    raises: tuple = ()


def last(k, x, units=N):
    """(B, units) of x (B, T, N): what may stand behind it in a stream."""
    return k.GRU(units)(x)


def states(k, x, units, count):
    return [last(k, x, units) for _ in range(count)]


def two(name, **options):
    return lambda k, x: getattr(k, name)(**options)([x, k.Dense(N)(x)])


def one(name, *arguments, **options):
    return lambda k, x: getattr(k, name)(*arguments, **options)(x)


def cell(make, stream="what it does with the timesteps is not known"):
    """A cell that is called beside its layer, on what has no time axis."""
    return Case(make, stream, None, "RNN")


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def stream_of(k, layer):
    return fastseq.Sequential([k.Input((None, N)), layer]).stream()
