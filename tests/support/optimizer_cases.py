"""Optimizers with every option, and weights with gradients to step with; shared by the tests of optimizers."""

import numpy as np

import fastseq

# (class, its own arguments): every optimizer, every option of its own
KINDS = [
    ("SGD", {"learning_rate": 0.1}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    ("RMSprop", {}),
    ("RMSprop", {"rho": 0.8, "momentum": 0.7, "epsilon": 1e-5}),
    ("RMSprop", {"centered": True}),
    ("RMSprop", {"centered": True, "momentum": 0.9}),
    ("Adam", {}),
    ("Adam", {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-4, "learning_rate": 0.02}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {}),
    ("AdamW", {"weight_decay": 0.1, "amsgrad": True}),
    ("Nadam", {}),
    ("Nadam", {"beta_1": 0.7, "beta_2": 0.95, "epsilon": 1e-3}),
    ("Adadelta", {"learning_rate": 1.0}),
    ("Adadelta", {"rho": 0.8, "epsilon": 1e-3, "learning_rate": 0.5}),
    ("Adagrad", {}),
    ("Adagrad", {"initial_accumulator_value": 0.5, "epsilon": 1e-2, "learning_rate": 0.1}),
]
NAMES = list(dict.fromkeys(name for name, _ in KINDS))
# Options that all optimizers share.
SHARED = [
    {"clipnorm": 0.5},
    {"clipnorm": 1e3},
    {"global_clipnorm": 0.5},
    {"clipvalue": 0.2},
    {"weight_decay": 0.05},
    {"weight_decay": 0.05, "clipvalue": 0.2},
    {"use_ema": True, "ema_momentum": 0.9},
    {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 3},
    {"gradient_accumulation_steps": 2},
    {"gradient_accumulation_steps": 3, "global_clipnorm": 0.3, "use_ema": True},
    {"loss_scale_factor": 8.0, "clipnorm": 0.5},
    {"loss_scale_factor": 8.0, "gradient_accumulation_steps": 2},
]
SHAPES = [(), (1,), (3, 5), (17,), (2, 3, 11)]


def id_of(case):
    return "-".join([case[0], *(f"{key}={value}" for key, value in case[1].items())]) if len(case) == 2 else None


def weights(shapes=SHAPES, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype("f") for shape in shapes]


def gradients(shapes=SHAPES, steps=10, seed=1):
    """For each step one gradient of each shape; sizes vary over the steps."""
    rng = np.random.default_rng(seed)
    return [
        [(rng.standard_normal(shape) * 3.0 ** rng.uniform(-2, 1)).astype("f") for shape in shapes]
            for _ in range(steps)]  # fmt: skip


def variables(values, names=None):
    names = names or [f"weight_{index}" for index in range(len(values))]
    return [fastseq.Variable(value, name) for value, name in zip(values, names)]


class Twin:
    """Mixed into an optimizer: the NumPy steps instead of the kernels."""

    def _has_native_update(self):
        return False


def twin_of(name):
    return type(name, (Twin, getattr(fastseq.optimizers, name)), {})
