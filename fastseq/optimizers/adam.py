"""Adam and AdamW: steps from the gradient's first two moments. https://keras.io/api/optimizers/adam/"""

import numpy as np

from fastseq.optimizers.base import Optimizer


class Adam(Optimizer):
    """Steps from the gradient's first two moments. Source: Kingma and Ba 2014, https://arxiv.org/abs/1412.6980.

    Args:
        learning_rate (float, schedule or function, default 0.001): A `LearningRateSchedule`, or a function without
            arguments, gives it anew for each step.
        beta_1 (float, default 0.9): Decay of the mean of gradients, from 0 to 1.
        beta_2 (float, default 0.999): Decay of the mean of squared gradients, from 0 to 1.
        epsilon (float, default 1e-07): Added to the root of the second moment.
        amsgrad (bool, default False): Whether to divide by the largest second moment so far (Reddi et al. 2018).
        weight_decay (float, default None): Share of themselves that weights lose in each step, times the learning rate;
            None is none.
        **kwargs: `clipnorm`, `clipvalue`, `use_ema`, `name` and the others of `Optimizer`.

    Raises:
        ValueError: As `Optimizer`.

    Example:
        >>> w = fastseq.Variable([1.0], "w")
        >>> optimizers.Adam(0.1).apply([np.array([2.0])], [w])
        >>> w.numpy().round(4)
        array([0.9], dtype=float32)
    """

    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        amsgrad=False,
        weight_decay=None,
        **kwargs,
    ):
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        self._velocity_hats = self.add_optimizer_variables(variables, "velocity_hat") if self.amsgrad else None

    def _native_update(self):
        return "adam", (self._momentums, self._velocities, self._velocity_hats), 0

    def _corrected(self, rate):
        """The learning rate times the correction of the moments' start at zero, in float32 like Keras: 1 - 0.999^t
        loses five digits there at first, and so do the weights."""
        step, one = np.float32(int(self.iterations) + 1), np.float32(1)
        powers = np.power(np.float32(self.beta_1), step), np.power(np.float32(self.beta_2), step)
        return rate * np.sqrt(one - powers[1]) / (one - powers[0])

    def _hyper(self, rate):
        return 1 - self.beta_1, 1 - self.beta_2, self.epsilon, self._corrected(rate)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        self.assign_add(m, (gradient - m) * np.float32(1 - self.beta_1))
        self.assign_add(v, (np.square(gradient) - v) * np.float32(1 - self.beta_2))
        if self._velocity_hats is not None:
            hat = self._velocity_hats[index]
            self.assign(hat, np.maximum(hat, v))
            v = hat
        step = m.numpy() * self._corrected(learning_rate)
        self.assign_sub(variable, step / (np.sqrt(v.numpy()) + np.float32(self.epsilon)))

    def get_config(self):
        config = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "amsgrad": self.amsgrad}
        return {**super().get_config(), **config}


class AdamW(Adam):
    """Adam with weight decay. Source: Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101.

    Args:
        learning_rate (float, schedule or function, default 0.001): A `LearningRateSchedule`, or a function without
            arguments, gives it anew for each step.
        weight_decay (float, default 0.004): Share of themselves that weights lose in each step, times the learning
            rate.
        beta_1 (float, default 0.9): Decay of the mean of gradients, from 0 to 1.
        beta_2 (float, default 0.999): Decay of the mean of squared gradients, from 0 to 1.
        epsilon (float, default 1e-07): Added to the root of the second moment.
        amsgrad (bool, default False): Whether to divide by the largest second moment so far (Reddi et al. 2018).
        **kwargs: `clipnorm`, `clipvalue`, `use_ema`, `name` and the others of `Optimizer`.

    Raises:
        ValueError: A weight_decay of None, and as `Optimizer`.

    Example:
        >>> optimizers.AdamW(0.1).weight_decay
        0.004
    """

    def __init__(
        self,
        learning_rate=0.001,
        weight_decay=0.004,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        amsgrad=False,
        **kwargs,
    ):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, **kwargs)
        if self.weight_decay is None:
            raise ValueError("Argument `weight_decay` must be a float. Received: weight_decay=None")
