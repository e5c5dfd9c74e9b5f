"""BackupAndRestore: a run that was killed goes on where it was. https://keras.io/api/callbacks/backup_and_restore/

What it keeps is one NumPy file, written beside and then renamed, so that a kill at any moment leaves a whole one: the
weights, the optimizer's variables, the epoch and step to go on with, what the other callbacks of its list count, and
what the model says of its random numbers.
"""

import json
import os
import sys

import numpy as np

from fastseq.callbacks.base import Callback
from fastseq.callbacks.model_checkpoint import StepCount

_NAME = "latest.npz"


class BackupAndRestore(Callback):
    """Saves what training goes on with after every epoch or so many steps, and begins with what is there.

    A run that had been stopped (`stop_training`) trains no further, where Keras's would.

    Args:
        backup_dir: folder of its own for each run; made when it is first needed.
        save_freq: "epoch", or a number of steps; 0 is every step too.
        double_checkpoint: keep the file before the last too, and take it where the last one cannot be read.
        delete_checkpoint: delete the files when training has ended by itself.

    Of the model it uses `built`, `get_weights`, `set_weights`, `trainable_variables`, `optimizer` and `stop_training`,
    and if it has it `get_training_state()`, which gives a dict name -> array of what else a run depends on (the states
    of random generators), with `set_training_state(dict)`. It sets `_initial_epoch` and `_initial_batch`: the epoch to
    go on with and how many steps of it are done.

    Raises:
        ValueError: an empty folder name, another save_freq, a model without weights, or one whose weights are others.
    """

    _comes_last = True

    def __init__(self, backup_dir, save_freq="epoch", double_checkpoint=False, delete_checkpoint=True):
        super().__init__()
        if not backup_dir:
            raise ValueError("Empty `backup_dir` argument passed")
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._path = os.path.join(self.backup_dir, _NAME)
        self._steps = StepCount(save_freq)
        self._epoch = 0

    def on_train_begin(self, logs=None):
        if not self.model.built:
            raise ValueError("BackupAndRestore needs a model with weights: call it on an input, or build it, first.")
        found = None
        for path in (self._path, f"{self._path}.bkp"):
            if os.path.exists(path):
                try:
                    found = _read(path)
                    break
                except (OSError, ValueError):
                    if path != self._path or not os.path.exists(f"{self._path}.bkp"):
                        raise
        if found is not None:
            self._restore(found)

    def _restore(self, found):
        weights = _numbered(found, "weights")
        stored = [weight.shape for weight in weights]
        own = [tuple(weight.shape) for weight in self.model.get_weights()]
        if stored != own:
            raise ValueError(f"'{self._path}' is of another model: its weights are {stored}, this one's {own}.")
        optimizer = self.model.optimizer
        if optimizer is not None:
            if not optimizer.built:
                optimizer.build(self.model.trainable_variables)
            stored = _numbered(found, "optimizer")
            optimizer.load_own_variables({str(index): value for index, value in enumerate(stored)})
        self.model.set_weights(weights)
        place = json.loads(str(found["place"]))
        self._epoch = self.model._initial_epoch = place["epoch"]
        self.model._initial_batch = place["batch"]
        if place.get("stop"):  # files of earlier versions do not say
            self.model.stop_training = True
            if not place["batch"]:
                self.model._initial_epoch = sys.maxsize  # no epoch is left
        for name, callback in self._others():
            callback.set_state(_part(found, f"callback/{name}/"))
        if hasattr(self.model, "set_training_state"):
            self.model.set_training_state(_part(found, "state/"))

    def _others(self):
        """The callbacks of its list that have something to keep, with names that they have in the next run too."""
        for callback in self._listed:
            cls = type(callback)
            if cls.get_state is not Callback.get_state:
                same = [other for other in self._listed if type(other) is cls]
                yield f"{cls.__name__}-{next(i for i, other in enumerate(same) if other is callback)}", callback

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if self.save_freq == "epoch":
            self._save(epoch + 1, 0)

    def on_train_batch_end(self, batch, logs=None):
        if self._steps.is_due(batch):
            self._save(self._epoch, batch + 1)

    def _save(self, epoch, batch):
        from fastseq.saving import write

        arrays = {f"weights/{index}": weight for index, weight in enumerate(self.model.get_weights())}
        if self.model.optimizer is not None:
            store = {}
            self.model.optimizer.save_own_variables(store)
            arrays |= {f"optimizer/{key}": value for key, value in store.items()}
        for name, callback in self._others():
            arrays |= {f"callback/{name}/{key}": value for key, value in callback.get_state().items()}
        if hasattr(self.model, "get_training_state"):
            arrays |= {f"state/{key}": np.asarray(value) for key, value in self.model.get_training_state().items()}
        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and os.path.exists(self._path):
            os.replace(self._path, f"{self._path}.bkp")
        place = np.array(json.dumps({"epoch": epoch, "batch": batch, "stop": bool(self.model.stop_training)}))
        write.replace(self._path, lambda file: np.savez(file, place=place, **arrays))

    def on_train_end(self, logs=None):
        if not self.delete_checkpoint or not os.path.isdir(self.backup_dir):
            return
        # Its own files, and those that a killed run left half written; what else is in the folder stays.
        for name in os.listdir(self.backup_dir):
            if name in (_NAME, f"{_NAME}.bkp") or (name.startswith(_NAME) and name.endswith(".part")):
                os.unlink(os.path.join(self.backup_dir, name))
        if not os.listdir(self.backup_dir):
            os.rmdir(self.backup_dir)


def _read(path):
    from zipfile import BadZipFile

    try:
        with np.load(path, allow_pickle=False) as file:
            found = {key: file[key] for key in file.files}
        found["place"]
    except (BadZipFile, EOFError, KeyError, ValueError) as error:
        raise ValueError(f"'{path}' is no whole backup: {error}") from error
    return found


def _part(found, prefix):
    return {key[len(prefix) :]: value for key, value in found.items() if key.startswith(prefix)}


def _numbered(found, kind):
    count = sum(key.startswith(f"{kind}/") for key in found)
    return [found[f"{kind}/{index}"] for index in range(count)]
