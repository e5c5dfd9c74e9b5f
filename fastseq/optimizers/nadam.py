"""Nadam: Adam with Nesterov momentum. https://keras.io/api/optimizers/Nadam/"""

import numpy as np

from fastseq.optimizers.base import Optimizer
from fastseq.tensors.state_variable import StateVariable

_ONE = np.float32(1)


class Nadam(Optimizer):
    """Adam with Nesterov momentum. Source: Dozat 2016, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ.

    Args:
        learning_rate (float, schedule or function, default 0.001): A `LearningRateSchedule`, or a function without
            arguments, gives it anew for each step.
        beta_1 (float, default 0.9): Decay of the mean of gradients, from 0 to 1.
        beta_2 (float, default 0.999): Decay of the mean of squared gradients, from 0 to 1.
        epsilon (float, default 1e-07): Added to the root of the second moment.
        weight_decay (float, default None): Share of themselves that weights lose in each step, times the learning rate;
            None is none.
        **kwargs: Those of `Optimizer`, and `schedule_decay` of Keras 1 and 2, where it was 0.004: the momentum of step
            t is beta_1 (1 - 0.96^(schedule_decay t) / 2). Keras 3 computes what 1 means, has no such argument, and
            refuses a config that holds another value.

    Raises:
        ValueError: As `Optimizer`.

    Example:
        >>> optimizers.Nadam(schedule_decay=0.004).schedule_decay
        0.004
    """

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, weight_decay=None, **kwargs):
        self.schedule_decay = float(kwargs.pop("schedule_decay", 1.0))
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        self._u_product = self._track(StateVariable(1.0, "u_product", f"{self.name}/u_product"))

    def _native_update(self):
        return "nadam", (self._momentums, self._velocities, None), 0

    def _warmed(self, step):
        """beta_1 of a step, which grows towards its final value."""
        power = np.power(np.float32(0.96), np.float32(step) * np.float32(self.schedule_decay))
        return np.float32(self.beta_1) * (_ONE - np.float32(0.5) * power)

    def _before_update(self):
        self._u_product._value *= self._warmed(int(self.iterations) + 1)

    def _shared_variables(self):
        return [self._u_product]

    def _factors(self):
        """Factors of the first moment, the gradient and the second moment, in float32 like Keras."""
        step = int(self.iterations) + 1
        now, following = self._warmed(step), self._warmed(step + 1)
        product = np.float32(self._u_product)
        moment = following / (_ONE - product * following)
        gradient = (_ONE - now) / (_ONE - product)
        return moment, gradient, _ONE / (_ONE - np.power(np.float32(self.beta_2), np.float32(step)))

    def _hyper(self, rate):
        return _ONE - np.float32(self.beta_1), _ONE - np.float32(self.beta_2), self.epsilon, *self._factors()

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        self.assign_add(m, (gradient - m) * (_ONE - np.float32(self.beta_1)))
        self.assign_add(v, (np.square(gradient) - v) * (_ONE - np.float32(self.beta_2)))
        of_moment, of_gradient, of_square = self._factors()
        mean = of_moment * m + of_gradient * gradient
        self.assign_sub(variable, mean * learning_rate / (np.sqrt(v * of_square) + np.float32(self.epsilon)))

    def load_own_variables(self, store):
        """As `Optimizer` does. Keras before 3.10 kept the product before the moments, not behind them."""
        if self.built and self._momentums and len(store.keys()) == len(self._variables):
            place = next(i for i, variable in enumerate(self._variables) if variable is self._momentums[0])
            if np.shape(store[str(place)]) == () != self._momentums[0].shape:
                order = [*range(place), *range(place + 1, len(self._variables)), place]
                store = {str(new): store[str(old)] for new, old in enumerate(order)}
        super().load_own_variables(store)

    def get_config(self):
        config = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        if self.schedule_decay != 1:
            config["schedule_decay"] = self.schedule_decay
        return {**super().get_config(), **config}
