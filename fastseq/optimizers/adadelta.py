"""Adadelta: steps as large as the last ones, in units of the gradient. https://keras.io/api/optimizers/adadelta/"""

import numpy as np

from fastseq.optimizers.base import Optimizer


class Adadelta(Optimizer):
    """Steps as large as the last ones, in units of the gradient, times the learning rate. Source: Zeiler 2012,
    https://arxiv.org/abs/1212.5701.

    Args:
        learning_rate (float, schedule or function, default 0.001): A `LearningRateSchedule`, or a function without
            arguments, gives it anew for each step.
        rho (float, default 0.95): Decay of the mean squares of gradients and steps, from 0 to 1.
        epsilon (float, default 1e-07): Added to both mean squares.
        weight_decay (float, default None): Share of themselves that weights lose in each step, times the learning rate;
            None is none.
        **kwargs: `clipnorm`, `clipvalue`, `use_ema`, `name` and the others of `Optimizer`.

    Raises:
        ValueError: As `Optimizer`.

    Example:
        >>> optimizers.Adadelta(1.0).rho
        0.95
    """

    def __init__(self, learning_rate=0.001, rho=0.95, epsilon=1e-7, weight_decay=None, **kwargs):
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.rho = rho
        self.epsilon = epsilon

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        names = ["accumulated_grad", "accumulated_delta_var"]
        self._accumulated_grads, self._accumulated_delta_vars = self.add_optimizer_variables(variables, names)

    def _native_update(self):
        return "adadelta", (self._accumulated_grads, self._accumulated_delta_vars, None), 0

    def _hyper(self, rate):
        return self.rho, 1 - self.rho, self.epsilon

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        squares, steps = self._accumulated_grads[index], self._accumulated_delta_vars[index]
        rho, rest, epsilon = np.float32(self.rho), np.float32(1 - self.rho), np.float32(self.epsilon)
        self.assign(squares, rho * squares + rest * np.square(gradient))
        step = np.sqrt(steps.numpy() + epsilon) * gradient / np.sqrt(squares.numpy() + epsilon)
        self.assign(steps, rho * steps + rest * np.square(step))
        self.assign_sub(variable, learning_rate * step)

    def get_config(self):
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}
