"""Where seeds come from; see https://keras.io/api/random/seed_generator/."""

import contextlib
import contextvars
import random

import numpy as np

from fastseq.tensors.naming import auto_name
from fastseq.tensors.state_variable import StateVariable

_source = contextvars.ContextVar("fastseq_seed_source", default=random)


def default_seed():
    """A seed from Python's generator, as Keras: random.seed(n) makes a whole model repeatable."""
    return _source.get().randint(1, 10**9)


@contextlib.contextmanager
def drawn_apart():
    """Seeds drawn in the block come from elsewhere: making a copy does not advance Python's generator."""
    token = _source.set(random.Random())
    try:
        yield
    finally:
        _source.reset(token)


_WORD, _LONG = 0xFFFFFFFF, (1 << 128) - 1


def first_number(seed):
    """`np.random.default_rng(seed).integers(2**32)`: where the random numbers of a layer start.

    Every layer with a seed needs this one number when it is made, and numpy.random takes 10 ms to import, a tenth of
    what a process needs to load a model. So the same arithmetic stands here: SeedSequence's hash of the seed into four
    words (https://numpy.org/doc/stable/reference/random/bit_generators/generated/numpy.random.SeedSequence.html), and
    the first output of PCG64 (https://www.pcg-random.org/paper.html, XSL-RR 128/64).
    """
    if not isinstance(seed, int) or not 0 <= seed < 1 << 64:
        return int(np.random.default_rng(seed).integers(2**32, dtype=np.uint32))
    hashed = _hasher(0x43B0D7E5, 0x931E8875)
    pool = [hashed(word) for word in (seed & _WORD, seed >> 32, 0, 0)]
    for source in range(4):
        for target in range(4):
            if source != target:
                mixed = (0xCA01F9DD * pool[target] - 0x4973F715 * hashed(pool[source])) & _WORD
                pool[target] = mixed ^ mixed >> 16
    hashed = _hasher(0x8B51F9DD, 0x58F38DED)
    words = [hashed(pool[number % 4]) for number in range(8)]
    # Numbers of 64 bits have their low word first, those of 128 bits their high half.
    a, b, c, d = (low | high << 32 for low, high in zip(words[::2], words[1::2]))
    step = (c << 65 | d << 1 | 1) & _LONG
    state = step + (a << 64 | b)
    for _ in range(2):
        state = (state * 0x2360ED051FC65DA44385DF649FCCF645 + step) & _LONG
    folded, turn = (state >> 64 ^ state) & (1 << 64) - 1, state >> 122
    return (folded >> turn | folded << (64 - turn)) & _WORD


def _hasher(constant, factor):
    """SeedSequence's hash of one word; its constant is another for every call."""

    def hashed(word):
        nonlocal constant
        word ^= constant
        constant = constant * factor & _WORD
        word = word * constant & _WORD
        return word ^ word >> 16

    return hashed


def seed_state(start, layer_name):
    """The variable of a layer's random numbers: uint32 [where they start, count of draws]; every draw advances it."""
    return StateVariable([start, 0], "seed_generator_state", f"{layer_name}/seed_generator_state", "uint32")


class SeedGenerator:
    """A source of seeds: as ``seed=`` of an initializer it gives other values at every call, in a fixed order.

    Args:
        seed: integer; None draws one from Python's ``random``.
        name: name of the generator.

    Raises:
        ValueError: a seed that is no integer.
    """

    def __init__(self, seed=None, name=None):
        self.name = auto_name("SeedGenerator") if name is None else name
        self._initial_seed = seed
        seed = default_seed() if seed is None else seed
        if not isinstance(seed, int):
            raise ValueError(f"Argument `seed` must be an integer. Received: seed={seed}")
        self._seed = seed
        self._count = 0

    def next(self):
        """The next pair (seed, count); no two calls give the same one."""
        self._count += 1
        return self._seed, self._count - 1

    def get_config(self):
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
