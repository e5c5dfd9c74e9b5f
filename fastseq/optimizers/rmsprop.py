"""RMSprop: steps divided by a running root mean square. https://keras.io/api/optimizers/rmsprop/"""

import numpy as np

from fastseq.optimizers.base import Optimizer


class RMSprop(Optimizer):
    """Steps divided by the root of the gradient's running mean square. Source: Tieleman and Hinton 2012.

    Args:
        learning_rate (float, schedule or function, default 0.001): A `LearningRateSchedule`, or a function without
            arguments, gives it anew for each step.
        rho (float, default 0.9): Decay of the running mean square, from 0 to 1.
        momentum (float, default 0.0): Share of the last step that is added to each.
        epsilon (float, default 1e-07): Added to the mean square.
        centered (bool, default False): Whether the mean gradient's square is taken off first (Graves 2013).
        weight_decay (float, default None): Share of themselves that weights lose in each step, times the learning rate;
            None is none.
        **kwargs: `clipnorm`, `clipvalue`, `use_ema`, `name` and the others of `Optimizer`.

    Raises:
        ValueError: As `Optimizer`.

    Example:
        >>> optimizers.RMSprop(0.01, momentum=0.9).momentum
        0.9
    """

    def __init__(
        self,
        learning_rate=0.001,
        rho=0.9,
        momentum=0.0,
        epsilon=1e-7,
        centered=False,
        weight_decay=None,
        **kwargs,
    ):
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")
        self._momentums = self.add_optimizer_variables(variables, "momentum") if self.momentum > 0 else None
        self._means = self.add_optimizer_variables(variables, "average_gradient") if self.centered else None

    def _native_update(self):
        return "rmsprop", (self._velocities, self._momentums, self._means), 0

    def _hyper(self, rate):
        return self.rho, 1 - self.rho, self.epsilon, self.momentum

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        rho, rest = np.float32(self.rho), np.float32(1 - self.rho)
        velocity = self._velocities[index]
        self.assign(velocity, rho * velocity + rest * np.square(gradient))
        spread = velocity.numpy()
        if self._means is not None:
            mean = self._means[index]
            self.assign(mean, rho * mean + rest * gradient)
            spread = spread - np.square(mean.numpy())
        step = learning_rate * gradient / np.sqrt(spread + np.float32(self.epsilon))
        if self._momentums is not None:
            momentum = self._momentums[index]
            self.assign(momentum, np.float32(self.momentum) * momentum + step)
            step = momentum.numpy()
        self.assign_sub(variable, step)

    def get_config(self):
        config = {"rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon, "centered": self.centered}
        return {**super().get_config(), **config}
