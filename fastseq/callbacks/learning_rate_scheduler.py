"""LearningRateScheduler. https://keras.io/api/callbacks/learning_rate_scheduler/"""

import numpy as np

from fastseq.callbacks.base import Callback


class LearningRateScheduler(Callback):
    """Sets the learning rate of each epoch. The rate stands in the logs as "learning_rate".

    Args:
        schedule (function): schedule(epoch, rate) gives the new rate, a float; or schedule(epoch) where it takes no
            more.
        verbose (int, default 0): 1 says what it does, 0 nothing.

    Raises:
        ValueError: In training, where `schedule` gives no float.

    Example:
        >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> halves = callbacks.LearningRateScheduler(lambda epoch, rate: 0.5 ** (epoch + 1))
        >>> history = model.fit(np.zeros((4, 2)), np.zeros((4, 1)), epochs=2, verbose=0, callbacks=[halves])
        >>> history.history["learning_rate"]
        [0.5, 0.25]
    """

    def __init__(self, schedule, verbose=0):
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the epoch's learning rate.

        Raises:
            ValueError: `schedule` gives no float.
        """
        optimizer = self.model.optimizer
        try:
            rate = self.schedule(epoch, float(optimizer.learning_rate))
        except TypeError:  # it takes the epoch alone
            rate = self.schedule(epoch)
        if not isinstance(rate, (float, np.float32, np.float64)):
            raise ValueError(f"The output of the `schedule` function should be a float. Got: {rate}")
        optimizer.learning_rate = rate
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)
