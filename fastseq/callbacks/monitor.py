"""Callbacks that watch a number: EarlyStopping and ReduceLROnPlateau, and their base."""

import operator
import warnings

import numpy as np

from fastseq.callbacks.base import Callback


class MonitorCallback(Callback):
    """Base of those that watch whether a number gets better.

    monitor: its name in the logs; mode: "min", "max", or "auto", which knows the loss and the built-in metrics of the
    model; min_delta: changes up to this size count for nothing. Warns of another mode and takes "auto".
    """

    _state = ("best",)  # attributes that a run which goes on must know

    def __init__(self, monitor="val_loss", mode="auto", baseline=None, min_delta=0):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(f"{type(self).__name__} mode '{mode}' is unknown, fallback to auto mode.", stacklevel=3)
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(min_delta)
        self.monitor_op = None

    def _set_monitor_op(self):
        """The comparison, once the model's metrics are there. Raises ValueError where auto mode cannot tell."""
        mode = self.mode if self.mode != "auto" else self._direction()
        if mode is None:
            raise ValueError(
                f"{type(self).__name__} callback received monitor={self.monitor}, of which it is not known whether it "
                "should rise or fall. Pass mode='max' or mode='min'."
            )
        self.monitor_op = operator.lt if mode == "min" else operator.gt
        if mode == "min":
            self.min_delta *= -1

    def _direction(self):
        name = self.monitor.removeprefix("val_")
        found = "min" if name == "loss" else None
        for metric in _flat(getattr(self.model, "metrics", ())):
            if metric.name == name and hasattr(metric, "_direction"):
                found = "max" if metric._direction == "up" else "min"
        return found

    def get_state(self):
        found = {name: getattr(self, name) for name in self._state}
        return {name: np.asarray(value) for name, value in found.items() if value is not None}

    def set_state(self, state):
        """As `Callback.set_state`.

        Raises:
            ValueError: What `get_state` cannot have given; nothing has changed then.
        """
        found = {name: state.get(name) for name in self._state}
        for name, value in found.items():
            if value is not None and (value.ndim or value.dtype.kind not in "biuf"):
                raise ValueError(f"{type(self).__name__} counts in '{name}', which cannot be {str(value)[:100]!r}.")
        for name, value in found.items():
            setattr(self, name, None if value is None else value.item())

    def _is_improvement(self, value, reference):
        return reference is None or bool(self.monitor_op(value - self.min_delta, reference))


def _flat(metrics):
    for metric in metrics:
        if isinstance(getattr(metric, "metrics", None), (list, tuple)):
            yield from _flat(metric.metrics)
        elif hasattr(metric, "name"):
            yield metric


class EarlyStopping(MonitorCallback):
    """Stops training when a number has not got better for a while. It warns where the number is missing.

    Args:
        monitor (str, default "val_loss"): Name in the logs of the number that is watched; those of validation begin
            with "val_".
        min_delta (float, default 0): Changes up to this size count for nothing.
        patience (int, default 0): Epochs without a change for the better that are let go.
        verbose (int, default 0): 1 says what it does, 0 nothing.
        mode (str, default "auto"): "min", "max", or "auto", which knows the loss and the built-in metrics of the model.
        baseline (float, default None): What the number has to beat; None is its first value.
        restore_best_weights (bool, default False): Whether at the end the weights become those of the best epoch.
        start_from_epoch (int, default 0): Epochs before it do not count.

    Raises:
        ValueError: In training, where mode "auto" cannot tell.

    Example:
        >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
        >>> model.compile("sgd", "mse")
        >>> stop = callbacks.EarlyStopping("loss", patience=2)
        >>> history = model.fit(np.zeros((4, 2)), np.zeros((4, 1)), epochs=9, verbose=0, callbacks=[stop])
        >>> len(history.epoch)
        3
    """

    def __init__(
        self,
        monitor="val_loss",
        min_delta=0,
        patience=0,
        verbose=0,
        mode="auto",
        baseline=None,
        restore_best_weights=False,
        start_from_epoch=0,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._reset()

    _state = ("best", "wait", "best_epoch", "stopped_epoch")

    def get_state(self):
        weights = enumerate(self.best_weights or ())
        return {**super().get_state(), **{f"best_weights/{index}": np.asarray(weight) for index, weight in weights}}

    def set_state(self, state):
        """As `Callback.set_state`.

        Raises:
            ValueError: Weights of another model, and what `get_state` cannot have given; nothing has changed then.
        """
        weights = [
            state.get(f"best_weights/{index}") for index in range(sum(n.startswith("best_weights/") for n in state))
        ]
        shapes = [getattr(weight, "shape", None) for weight in weights]
        own = [tuple(weight.shape) for weight in self.model.get_weights()] if weights else []
        if shapes != own:
            raise ValueError(f"EarlyStopping's best weights have the shapes {shapes}, the model's {own}.")
        super().set_state({"stopped_epoch": np.array(0), **state})  # backups of earlier versions do not have it
        self.best_weights = weights or None

    def _reset(self):
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = self.best_weights = None

    def on_train_begin(self, logs=None):
        self._reset()

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor_op is None:
            self._set_monitor_op()
        current = self.get_monitor_value(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            # Should nothing ever be an improvement (NaN), these are the best there are.
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self._is_improvement(current, self.best):
            self.best, self.best_epoch = current, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._is_improvement(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)

    def get_monitor_value(self, logs):
        """The number that is watched; warns where it is missing.

        Args:
            logs (dict or None): Name -> number.

        Returns:
            float, or None where it is missing.
        """
        value = (logs or {}).get(self.monitor)
        if value is None:
            _warn_missing("Early stopping conditioned", self.monitor, logs)
        return value


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by `factor` when a number has not got better for `patience` epochs.

    The rate stands in the logs as "learning_rate". It warns where the number is missing.

    Args:
        monitor (str, default "val_loss"): Name in the logs of the number that is watched; those of validation begin
            with "val_".
        factor (float, default 0.1): Below 1.
        patience (int, default 10): Epochs without a change for the better that are let go.
        verbose (int, default 0): 1 says what it does, 0 nothing.
        mode (str, default "auto"): "min", "max", or "auto", which knows the loss and the built-in metrics of the model.
        min_delta (float, default 0.0001): Changes up to this size count for nothing.
        cooldown (int, default 0): Epochs after a change that do not count.
        min_lr (float, default 0.0): The rate falls no lower.

    Raises:
        ValueError: A factor of 1 or more; in training, where mode "auto" cannot tell.

    Example:
        >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1)])
        >>> model.compile(optimizers.SGD(0.5), "mse")
        >>> slower = callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1)
        >>> history = model.fit(np.zeros((4, 2)), np.zeros((4, 1)), epochs=3, verbose=0, callbacks=[slower])
        >>> history.history["learning_rate"]
        [0.5, 0.5, 0.25]
    """

    def __init__(
        self,
        monitor="val_loss",
        factor=0.1,
        patience=10,
        verbose=0,
        mode="auto",
        min_delta=1e-4,
        cooldown=0,
        min_lr=0.0,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau does not support a factor >= 1.0. Received factor={factor}")
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self._reset()

    _state = ("best", "wait", "cooldown_counter")

    def _reset(self):
        self.best = None
        self.cooldown_counter = self.wait = 0

    def on_train_begin(self, logs=None):
        self._reset()

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor_op is None:
            self._set_monitor_op()
        logs = {} if logs is None else logs
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        current = logs.get(self.monitor)
        if current is None:
            _warn_missing("Learning rate reduction is conditioned", self.monitor, logs)
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch):
        optimizer = self.model.optimizer
        rate = float(optimizer.learning_rate)
        if rate <= np.float32(self.min_lr):
            return
        rate = max(rate * self.factor, self.min_lr)
        optimizer.learning_rate = rate
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {rate}.")
        self.cooldown_counter = self.cooldown
        self.wait = 0

    def in_cooldown(self):
        """Whether epochs do not count yet after a change.

        Returns:
            bool.
        """
        return self.cooldown_counter > 0


def _warn_missing(what, monitor, logs):
    warnings.warn(
        f"{what} on metric `{monitor}` which is not available. Available metrics are: {','.join(logs or {})}",
        stacklevel=3,
    )
