"""What is different for a layer while its model is loaded: weights wait for the file, and are no larger than it."""

import threading

import numpy as np

from fastseq.errors import FileFormatError
from fastseq.native import interrupts
from fastseq.tensors import weight_locks

_state = threading.local()
# Weights may stand in the file as float16 or compressed: 20 times is gzip on a model of nine tenths zeros.
_FLOOR, _RATIO = 64 << 20, 20
# What stateful layers keep does not stand in the file: 1 GiB is an LSTM of 1024 units for 131072 rows.
_STATES = 1 << 30


class WeightBudget:
    """Within it, in this thread, `initial_value` gives zeros, and no more of them than a file of `size` bytes can fill.

    A config that asks for a layer of 10^12 units is refused before anything is allocated; and no time goes into
    random or orthogonal values that are about to be replaced.
    """

    def __init__(self, size, optimizers_wait=False):
        """optimizers_wait: the loader makes the optimizers' variables, and `compile_from_config` does not."""
        self.optimizers_wait = optimizers_wait
        self._left = _FLOOR + _RATIO * size
        self._states_left = _STATES

    def __enter__(self):
        self._outer = getattr(_state, "budget", None)
        _state.budget = self
        return self

    def __exit__(self, *exception):
        _state.budget = self._outer

    def take(self, shape, layer):
        size = _bytes(shape)
        if size > self._left:
            raise FileFormatError(f"its weight of shape {tuple(shape)} is larger than the whole file", layer=layer)
        self._left -= size
        return np.zeros(shape, np.float32)

    def check(self, size, what):
        if size > self._left:
            raise FileFormatError(f"{what} of {size} bytes are larger than the whole file")

    def take_state(self, shape, layer):
        self._states_left -= _bytes(shape)
        if self._states_left < 0:
            raise FileFormatError(f"its states of shape {tuple(shape)} are larger than any model's", layer=layer)


def _bytes(shape):
    size = 4
    for length in shape:
        size *= int(length)
    return size


def kept_state(shape, layer):
    """Zeros of a state that a stateful layer keeps; while a file is being loaded, at most 1 GiB of them in all."""
    budget = getattr(_state, "budget", None)
    if budget is not None:
        budget.take_state(shape, layer)
    return np.zeros(shape, np.float32)


def optimizers_wait():
    """Whether the loader makes the optimizers' variables."""
    return getattr(getattr(_state, "budget", None), "optimizers_wait", False)


def check_optimizer_state(variables):
    """Raises FileFormatError where, while a file is being loaded, an optimizer would allocate more than goes with it.

    At most five arrays stand beside each weight: Adam's with amsgrad, a moving average and accumulated gradients.
    """
    budget = getattr(_state, "budget", None)
    if budget is not None:
        budget.check(5 * sum(_bytes(variable.shape) for variable in variables), "the variables of its optimizer")


def initial_value(initializer, shape, layer):
    """`initializer(shape)` in an array of the caller's own; zeros while a file is being loaded.

    layer: its name, for the message of FileFormatError. Nobody writes to those zeros, which thus take no memory.
    """
    budget = getattr(_state, "budget", None)
    return np.array(initializer(shape), np.float32) if budget is None else budget.take(shape, layer)


def assign_all(pairs, then=lambda: None, copy=True):
    """Assigns each (variable, value) and calls `then()`; where something of it raises, every variable is as it was.

    copy: False where the values are nobody else's, as for `Variable.assign`.
    Signals wait meanwhile, so that Ctrl-C leaves the weights of one file or of the other. A program that another thread
    makes meanwhile has all values of before, or all of these (ProgramCache).
    """
    with interrupts.whole(), weight_locks.changing:
        _assign_or_restore(pairs, then, copy)


def _assign_or_restore(pairs, then, copy):
    kept = [(variable, variable._content) for variable, _ in pairs]
    try:
        for variable, value in pairs:
            variable.assign(value, copy=copy)
        then()
    except BaseException:
        for variable, content in kept:
            variable._put(content)
        raise
