"""Where seeds come from; see https://keras.io/api/random/seed_generator/."""

import contextlib
import contextvars
import random

from fastseq.naming import auto_name
from fastseq.state import StateVariable

_source = contextvars.ContextVar("fastseq_seed_source", default=random)


def default_seed():
    """A seed from Python's generator, as Keras: random.seed(n) makes a whole model repeatable."""
    return _source.get().randint(1, 10**9)


@contextlib.contextmanager
def drawn_apart():
    """Seeds drawn in the block come from elsewhere: who makes a copy does not advance Python's generator."""
    token = _source.set(random.Random())
    try:
        yield
    finally:
        _source.reset(token)


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
