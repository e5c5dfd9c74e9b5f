"""An optimizer's step as the last steps of a training program: gradients never leave it."""

import numpy as np

from fastseq.native.kinds import BINARY_KINDS


def possible(optimizer, variables):
    """Whether the optimizer has kernels and nothing happens to gradients or weights but for them."""
    if optimizer.gradient_accumulation_steps or optimizer.use_ema or optimizer.loss_scale_factor is not None:
        return False
    return optimizer._has_native_update() and all(variable.constraint is None for variable in variables)


class FusedUpdates:
    """The updates of `variables`, all with gradients, by an optimizer for which they are `possible`.

    Around each run of the program: `begin()`, and `end()` whether it ran or raised. `begin` gives a key; a program that
    was made with another one is not for this step (clipping was switched on meanwhile, for one).
    """

    def __init__(self, optimizer, variables):
        self._optimizer = optimizer
        self._variables = variables
        self._indices = [optimizer._get_variable_index(variable) for variable in variables]
        # The program's last step counts: after an interrupt Python cannot know whether the weights changed.
        self._done, self._one = np.zeros(1, np.int32), np.ones(1, np.int32)
        self._seen, self._saved = 0, []

    def begin(self):
        optimizer = self._optimizer
        decays = [False] * len(self._variables)
        if optimizer.weight_decay is not None:
            decays = [optimizer._use_weight_decay(variable) for variable in self._variables]
        rate = np.float32(optimizer.learning_rate)
        self._seen = self._done[0]
        self._saved = [(variable, variable.numpy()) for variable in optimizer._shared_variables()]
        optimizer._before_update()
        return optimizer._updates.begin(self._indices, decays, rate, 1.0)

    def end(self):
        """Counts the step, or takes back what `begin` changed where it did not come to an end."""
        if self._done[0] != self._seen:
            self._seen = self._done[0]  # counted: a `begin` that raises before it looks counts nothing again
            self._optimizer._iterations._value += 1
            return
        for variable, value in self._saved:
            variable.assign(value)

    def append(self, p, gradients, key):
        """Adds the updates by `gradients`, Slots, to the end of the builder `p`."""

        def add():
            weights = [p.weight(variable) for variable in self._variables]
            self._optimizer._updates.append(p, gradients, weights, key)
            done = p.constant(self._done)
            sizes = dict.fromkeys(("n0", "n1", "n2", "n3", "n4"), 1)
            strides = dict.fromkeys([f"{letter}{i}" for letter in "ab" for i in range(5)], 0)
            p.step(
                "binary", a=done, b=p.constant(self._one), y=done, kind=BINARY_KINDS["add_int32"], **sizes, **strides
            )

        p.at_end(add)
