"""Learning rates that follow the step count. https://keras.io/api/optimizers/learning_rate_schedules/

Called with a step, they return np.float32; the arithmetic is that of float64, rounded once.
"""

import inspect
import math

import numpy as np

from fastseq.configs import serialization
from fastseq.configs.lazy_names import own_face


class LearningRateSchedule:
    """Base class: a subclass defines ``__call__(step)`` and ``get_config``.

    Raises:
        NotImplementedError: In a call, where a subclass does not define these.

    Example:
        >>> class Halves(schedules.LearningRateSchedule):
        ...     def __call__(self, step):
        ...         return np.float32(0.5 ** int(step))
        >>> float(Halves()(2))
        0.25
    """

    def __call__(self, step):
        raise NotImplementedError(f"Learning rate schedule '{type(self).__name__}' does not define __call__(step).")

    def get_config(self):
        """The arguments that make another one like it.

        Returns:
            dict, as `from_config` takes it.

        Raises:
            NotImplementedError: A subclass does not define it.
        """
        raise NotImplementedError(f"Learning rate schedule '{type(self).__name__}' does not define get_config().")

    @classmethod
    def from_config(cls, config):
        """One of these arguments.

        Args:
            config (dict): What `get_config` gives.

        Returns:
            A LearningRateSchedule.
        """
        return cls(**config)


class _Schedule(LearningRateSchedule):
    """Takes its arguments from the signature of ``__init__`` and gives them back as its config."""

    def __call__(self, step):
        return np.float32(self._rate(float(step)))

    def get_config(self):
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def _check_positive(self, name):
        if getattr(self, name) <= 0:
            raise ValueError(f"Argument `{name}` must be > 0. Received: {name}={getattr(self, name)}")


class ExponentialDecay(_Schedule):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``. Called with a step, it gives np.float32.

    Args:
        initial_learning_rate (float): The rate at step 0.
        decay_steps (int): Number of steps, above 0.
        decay_rate (float): How fast it falls.
        staircase (bool, default False): Whether the rate changes only after whole multiples of decay_steps.
        name (str, default "ExponentialDecay"): Kept in the config.

    Raises:
        ValueError: A decay_steps that is not above 0.

    Example:
        >>> float(schedules.ExponentialDecay(0.5, 10, 0.5)(20))
        0.125
    """

    def __init__(self, initial_learning_rate, decay_steps, decay_rate, staircase=False, name="ExponentialDecay"):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name
        self._check_positive("decay_steps")

    def _rate(self, step):
        part = step / self.decay_steps
        return self.initial_learning_rate * self.decay_rate ** (math.floor(part) if self.staircase else part)


class PiecewiseConstantDecay(_Schedule):
    """``values[i]`` up to and with step ``boundaries[i]``, the last value after all of them; np.float32.

    Args:
        boundaries (list of int): Steps, rising.
        values (list of float): Rates, one more than boundaries.
        name (str, default "PiecewiseConstant"): Kept in the config.

    Raises:
        ValueError: Another number of values.

    Example:
        >>> schedule = schedules.PiecewiseConstantDecay([10], [0.5, 0.25])
        >>> float(schedule(10)), float(schedule(11))
        (0.5, 0.25)
    """

    def __init__(self, boundaries, values, name="PiecewiseConstant"):
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "The length of boundaries should be 1 less than the length of values. Received: "
                f"boundaries={boundaries} of length {len(boundaries)}, and values={values} of length {len(values)}."
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def _rate(self, step):
        # Keras casts boundaries to the step's integers.
        return self.values[sum(step > int(boundary) for boundary in self.boundaries)]


class PolynomialDecay(_Schedule):
    """From one rate to the other as ``(1 - step / decay_steps) ** power``; np.float32.

    Args:
        initial_learning_rate (float): The rate at step 0.
        decay_steps (int): Number of steps, above 0.
        end_learning_rate (float, default 0.0001): The rate from decay_steps on.
        power (float, default 1.0): 1 is a straight line.
        cycle (bool, default False): Whether it begins again, over the next multiple of decay_steps, rather than stay at
            the end.
        name (str, default "PolynomialDecay"): Kept in the config.

    Raises:
        ValueError: A decay_steps that is not above 0.

    Example:
        >>> float(schedules.PolynomialDecay(1.0, 10, end_learning_rate=0.0)(5))
        0.5
    """

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        end_learning_rate=0.0001,
        power=1.0,
        cycle=False,
        name="PolynomialDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name
        self._check_positive("decay_steps")

    def _rate(self, step):
        steps = self.decay_steps
        if self.cycle:
            steps *= math.ceil(step / steps) if step else 1
        left = 1 - min(step, steps) / steps
        return (self.initial_learning_rate - self.end_learning_rate) * left**self.power + self.end_learning_rate


class InverseTimeDecay(_Schedule):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``; np.float32.

    Args:
        initial_learning_rate (float): The rate at step 0.
        decay_steps (int): Number of steps, above 0.
        decay_rate (float): How fast it falls.
        staircase (bool, default False): Whether the rate changes only after whole multiples of decay_steps.
        name (str, default "InverseTimeDecay"): Kept in the config.

    Raises:
        ValueError: A decay_steps that is not above 0.

    Example:
        >>> float(schedules.InverseTimeDecay(0.5, 10, 1.0)(10))
        0.25
    """

    def __init__(self, initial_learning_rate, decay_steps, decay_rate, staircase=False, name="InverseTimeDecay"):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name
        self._check_positive("decay_steps")

    def _rate(self, step):
        part = step / self.decay_steps
        return self.initial_learning_rate / (1 + self.decay_rate * (math.floor(part) if self.staircase else part))


class CosineDecay(_Schedule):
    """Half a cosine down to ``alpha`` times the rate, after a linear rise to ``warmup_target`` where there is one;
    np.float32.

    Source: Loshchilov and Hutter 2017, https://arxiv.org/abs/1608.03983.

    Args:
        initial_learning_rate (float): The rate at step 0.
        decay_steps (int): Number of steps of the half cosine, above 0.
        alpha (float, default 0.0): The last rate as a share of the first.
        name (str, default "CosineDecay"): Kept in the config.
        warmup_target (float, default None): The rate after the rise; None is no rise.
        warmup_steps (int, default 0): Number of steps of the rise.

    Raises:
        ValueError: A decay_steps that is not above 0.

    Example:
        >>> round(float(schedules.CosineDecay(0.1, 100)(50)), 4)
        0.05
    """

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        alpha=0.0,
        name="CosineDecay",
        warmup_target=None,
        warmup_steps=0,
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps
        self._check_positive("decay_steps")

    def _rate(self, step):
        start = self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return (self.warmup_target - start) * step / self.warmup_steps + start
            start, step = self.warmup_target, step - self.warmup_steps
        return start * _cosine(min(step, self.decay_steps) / self.decay_steps, 1.0, self.alpha)


class CosineDecayRestarts(_Schedule):
    """Half cosines one after the other, each ``t_mul`` times as long and from ``m_mul`` times the rate as the last;
    np.float32.

    Source: Loshchilov and Hutter 2017, https://arxiv.org/abs/1608.03983.

    Args:
        initial_learning_rate (float): The rate at step 0.
        first_decay_steps (int): Number of steps of the first half cosine, above 0.
        t_mul (float, default 2.0): What the length is multiplied with at each restart.
        m_mul (float, default 1.0): What the rate is multiplied with at each restart.
        alpha (float, default 0.0): Each cosine's last rate as a share of the first.
        name (str, default "SGDRDecay"): Kept in the config.

    Raises:
        ValueError: A first_decay_steps that is not above 0.

    Example:
        >>> schedule = schedules.CosineDecayRestarts(0.1, 100)
        >>> [round(float(schedule(step)), 4) for step in (0, 50, 100)]
        [0.1, 0.05, 0.1]
    """

    def __init__(self, initial_learning_rate, first_decay_steps, t_mul=2.0, m_mul=1.0, alpha=0.0, name="SGDRDecay"):
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name
        self._check_positive("first_decay_steps")

    def _rate(self, step):
        part, length, restarts = step / self.first_decay_steps, 1.0, 0
        if self.t_mul == 1.0:
            restarts, part = divmod(part, 1.0)
        # Counted rather than taken from a logarithm, which falls on either side of a whole number at a restart.
        while part >= length:
            part, length, restarts = part - length, length * self.t_mul, restarts + 1
            if length < 1e-9:  # shrinking periods have come to their end, where Keras gives NaN too
                return math.nan
        part /= length
        return self.initial_learning_rate * _cosine(part, self.m_mul**restarts, self.alpha)


def _cosine(part, factor, alpha):
    return (1 - alpha) * 0.5 * factor * (1 + math.cos(math.pi * part)) + alpha


_CLASSES = (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LearningRateSchedule,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
ALL_OBJECTS_DICT = {cls.__name__: cls for cls in _CLASSES}
__all__ = [*ALL_OBJECTS_DICT, "deserialize", "serialize"]


def serialize(learning_rate_schedule):
    """The config dict of a schedule.

    Args:
        learning_rate_schedule (LearningRateSchedule): What is described.

    Returns:
        dict, in Keras's form.

    Raises:
        UnsupportedError: An object without `get_config()`.

    Example:
        >>> schedules.serialize(schedules.CosineDecay(0.1, 100))["class_name"]
        'CosineDecay'
    """
    return serialization.serialize_keras_object(learning_rate_schedule)


def deserialize(config, custom_objects=None):
    """The schedule of a config dict.

    Args:
        config (dict): What `serialize` gives.
        custom_objects (dict, default None): Name -> class or function of your own, beside the registered ones.

    Returns:
        A LearningRateSchedule.

    Raises:
        UnsupportedError: A class that nobody registered.
        FileFormatError: A config of no known form.

    Example:
        >>> schedules.deserialize(schedules.serialize(schedules.CosineDecay(0.1, 100))).decay_steps
        100
    """
    return serialization.deserialize_keras_object(config, custom_objects, module_objects=ALL_OBJECTS_DICT)


__getattr__, __dir__ = own_face(globals())
