"""Adagrad: steps divided by the root of all squared gradients so far. https://keras.io/api/optimizers/adagrad/"""

import numpy as np

from fastseq.initializers import Constant
from fastseq.optimizers.base import Optimizer


class Adagrad(Optimizer):
    """Steps divided by the root of all squared gradients so far. Source: Duchi et al. 2011,
    https://jmlr.org/papers/v12/duchi11a.html.

    Args:
        learning_rate (float, schedule or function, default 0.001): A `LearningRateSchedule`, or a function without
            arguments, gives it anew for each step.
        initial_accumulator_value (float, default 0.1): What the sums of squares begin as.
        epsilon (float, default 1e-07): Added to the sums of squares.
        weight_decay (float, default None): Share of themselves that weights lose in each step, times the learning rate;
            None is none.
        **kwargs: `clipnorm`, `clipvalue`, `use_ema`, `name` and the others of `Optimizer`.

    Raises:
        ValueError: As `Optimizer`.

    Example:
        >>> optimizers.Adagrad(0.1).initial_accumulator_value
        0.1
    """

    def __init__(self, learning_rate=0.001, initial_accumulator_value=0.1, epsilon=1e-7, weight_decay=None, **kwargs):
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        start = Constant(self.initial_accumulator_value)
        self._accumulators = self.add_optimizer_variables(variables, "accumulator", start)

    def _native_update(self):
        return "adagrad", (self._accumulators, None, None), 0

    def _hyper(self, rate):
        return (self.epsilon,)

    def update_step(self, gradient, variable, learning_rate):
        total = self._accumulators[self._get_variable_index(variable)]
        self.assign_add(total, np.square(gradient))
        root = np.sqrt(total.numpy() + np.float32(self.epsilon))
        self.assign_sub(variable, learning_rate * gradient / root)

    def get_config(self):
        config = {"initial_accumulator_value": self.initial_accumulator_value, "epsilon": self.epsilon}
        return {**super().get_config(), **config}
