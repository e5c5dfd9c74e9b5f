"""SGD: gradient descent with momentum. https://keras.io/api/optimizers/sgd/"""

import numpy as np

from fastseq.optimizers.base import Optimizer


class SGD(Optimizer):
    """Gradient descent: w -= learning_rate * gradient.

    Args:
        learning_rate (float, schedule or function, default 0.01): A `LearningRateSchedule`, or a function without
            arguments, gives it anew for each step.
        momentum (float, default 0.0): Share of the last step that is added to each, from 0 to 1.
        nesterov (bool, default False): Whether to step by the momentum that the next step would have (Sutskever et al.
            2013).
        weight_decay (float, default None): Share of themselves that weights lose in each step, times the learning rate;
            None is none.
        **kwargs: `clipnorm`, `clipvalue`, `use_ema`, `name` and the others of `Optimizer`.

    Raises:
        ValueError: A momentum outside [0, 1], and as `Optimizer`.

    Example:
        >>> w = fastseq.Variable([1.0], "w")
        >>> optimizers.SGD(0.1).apply([np.array([2.0])], [w])
        >>> w.numpy()
        array([0.8], dtype=float32)
    """

    def __init__(self, learning_rate=0.01, momentum=0.0, nesterov=False, weight_decay=None, **kwargs):
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        if not isinstance(momentum, float) or momentum < 0 or momentum > 1:
            raise ValueError(f"`momentum` must be a float between [0, 1]. Received: momentum={momentum}")
        self.momentum = momentum
        self.nesterov = nesterov

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.momentums = self.add_optimizer_variables(variables, "momentum") if self.momentum != 0 else None

    def _native_update(self):
        return "sgd", (self.momentums, None, None), self.nesterov

    def _options(self):
        return (bool(self.nesterov),)

    def _hyper(self, rate):
        return (self.momentum,)

    def update_step(self, gradient, variable, learning_rate):
        step = gradient * learning_rate
        if self.momentums is None:
            self.assign_sub(variable, step)
            return
        m, momentum = self.momentums[self._get_variable_index(variable)], np.float32(self.momentum)
        self.assign(m, m * momentum - step)
        self.assign_add(variable, m * momentum - step if self.nesterov else m.numpy())

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
