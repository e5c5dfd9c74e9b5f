"""A model of one weight that callbacks can work on, and the loop that `fit` is to them."""

import os

import numpy as np

import fastseq
from fastseq import callbacks, optimizers


class Model:
    """Every step has gradient -1, or random numbers of the model's own where `noisy`, and a learning rate of 1."""

    def __init__(self, noisy=False, seed=0, shape=(2, 3)):
        self.variable = fastseq.Variable(np.zeros(shape), "kernel")
        self.trainable_variables = [self.variable]
        self.optimizer = optimizers.Adam(0.1) if noisy else optimizers.SGD(1.0)
        self.noise = np.random.Generator(np.random.PCG64(seed)) if noisy else None
        self.built = True
        self.stop_training = False
        self.metrics = []
        self.epochs = 0
        self._initial_epoch = self._initial_batch = 0

    def step(self):
        gradient = -np.ones(self.variable.shape)
        if self.noise is not None:
            gradient = gradient * self.noise.standard_normal(self.variable.shape)
        self.optimizer.apply([gradient], self.trainable_variables)

    def get_weights(self):
        return [self.variable.numpy()]

    def set_weights(self, weights):
        self.variable.assign(weights[0])

    def save(self, path, overwrite=True):
        with open(path, "wb") as file:
            np.save(file, self.variable.numpy())

    save_weights = save

    def get_training_state(self):
        if self.noise is None:
            return {}
        state = self.noise.bit_generator.state["state"]
        return {name: np.array(str(value)) for name, value in state.items()}

    def set_training_state(self, found):
        if self.noise is not None:
            state = self.noise.bit_generator.state
            state["state"] = {name: int(str(value)) for name, value in found.items()}
            self.noise.bit_generator.state = state


class Killer(callbacks.Callback):
    """Ends the process at a step, counted over epochs, without anything being closed or written."""

    def __init__(self, step):
        super().__init__()
        self.left = step

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            os._exit(9)


def run(model, listed, logs, steps=2):
    """Trains `model` for one epoch with each of `logs`; returns the History, where there is one."""
    model.stop_training = False
    listed.on_train_begin()
    last = None
    for epoch in range(model._initial_epoch, len(logs)):
        listed.on_epoch_begin(epoch)
        start, model._initial_batch = model._initial_batch, 0
        for batch in range(start, steps):
            listed.on_train_batch_begin(batch)
            if hasattr(model, "step"):
                model.step()
            listed.on_train_batch_end(batch, logs[epoch])
            if model.stop_training:
                break
        last = logs[epoch]
        listed.on_epoch_end(epoch, last)
        model.epochs = epoch + 1
        if model.stop_training:
            break
    listed.on_train_end(last)
    return listed._history


def broken_run(model, folder, freq, double, *more):
    """Six epochs of four steps with a backup, and callbacks that count epochs, which are returned."""
    counting = [
        callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=2, cooldown=1),
        callbacks.EarlyStopping("loss", patience=10, restore_best_weights=False),
    ]
    backup = callbacks.BackupAndRestore(folder, save_freq=freq, double_checkpoint=double)
    listed = callbacks.CallbackList([backup, *counting, *more], model=model)
    # The killer comes after the backup: a kill within a step is one of the step before.
    listed.callbacks.sort(key=lambda callback: isinstance(callback, Killer))
    run(model, listed, [{"loss": loss} for loss in (1.0, 0.5, 0.5, 0.5, 0.5, 0.5)], steps=4)
    return counting
