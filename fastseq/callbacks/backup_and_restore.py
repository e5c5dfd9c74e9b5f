"""BackupAndRestore: a run that was killed goes on where it was. https://keras.io/api/callbacks/backup_and_restore/

What it keeps is one NumPy file, written beside and then renamed, so that a kill at any moment leaves a whole one: the
weights, the optimizer's variables, the epoch and step to go on with, what the other callbacks of its list count, and
what the model says of its random numbers.
"""

import json
import os
import sys
import warnings

import numpy as np

from fastseq.callbacks.base import Callback
from fastseq.callbacks.model_checkpoint import StepCount
from fastseq.errors import FileFormatError

_NAME = "latest.npz"
# More epochs or steps than any run has.
_MOST = 2**62
# Kinds of arrays that such a file may hold: truth values, whole and other numbers, text, dates.
_KINDS = "biufcUSmM"


class BackupAndRestore(Callback):
    """Saves what training goes on with after every epoch or so many steps, and begins with what is there.

    A run that had been stopped (`stop_training`) trains no further, where Keras's would.

    Of the model it uses `built`, `get_weights`, `set_weights`, `trainable_variables`, `optimizer` and `stop_training`,
    and if it has it `get_training_state()`, which gives a dict name -> array of what else a run depends on (the states
    of random generators), with `set_training_state(dict)`. It sets `_initial_epoch` and `_initial_batch`: the epoch to
    go on with and how many steps of it are done.

    Restoring is all or nothing: where a file turns out to be damaged, nothing of the model, its optimizer or the other
    callbacks has changed.

    Args:
        backup_dir (str or path): Folder of its own for each run; made when it is first needed.
        save_freq (str or int, default "epoch"): "epoch", or a number of steps; 0 is every step too.
        double_checkpoint (bool, default False): Whether to keep the file before the last too, and to take it, with a
            warning, where the last is damaged.
        delete_checkpoint (bool, default True): Whether to delete the files when training has ended by itself.

    Raises:
        ValueError: An empty folder name, another save_freq, a model without weights, or one whose weights are others.
        FileFormatError: A damaged file, which it names, and no whole one before it.

    Example:
        >>> import os, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> backup = callbacks.BackupAndRestore(folder, delete_checkpoint=False)
        >>> history = model.fit(np.zeros((4, 2)), np.zeros((4, 1)), epochs=2, verbose=0, callbacks=[backup])
        >>> len(os.listdir(folder))
        1
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
        self._damaged = False

    def on_train_begin(self, logs=None):
        """Takes what the last backup holds, where there is one.

        Raises:
            ValueError: A model without weights, and a backup of another model.
            FileFormatError: A backup that is broken.
            OSError: One that cannot be read.
        """
        if not self.model.built:
            raise ValueError("BackupAndRestore needs a model with weights: call it on an input, or build it, first.")
        kept = f"{self._path}.bkp"
        if not os.path.exists(self._path):
            if os.path.exists(kept):
                self._restore(kept)
            return
        try:
            self._restore(self._path)
        except TimeoutError:  # the error of a signal's handler, and no fault of the file
            raise
        except (OSError, ValueError) as error:
            if not os.path.exists(kept):
                raise
            try:
                self._restore(kept)
            except (OSError, ValueError):
                raise error from None
            # The next file takes its place, and not that of the whole one.
            self._damaged = True
            warnings.warn(f"Training goes on from '{kept}', the backup before the last: {error}", stacklevel=2)

    def _restore(self, path):
        """Takes everything from the file at `path`, or leaves everything as it was and raises."""
        from fastseq.saving import npz

        try:
            found = npz.read(path)
        except FileFormatError as error:
            raise FileFormatError(f"it is no whole backup: {error.reason}", path=path) from error
        place = _place(found, path)
        weights = _numbered(found, "weights", path)
        self._check_weights(weights, path)
        undo = []
        try:
            self._set(found, weights, undo, path)
        except BaseException as error:
            for put_back, before in reversed(undo):
                put_back(before)
            if isinstance(error, (MemoryError, ValueError)) or not isinstance(error, Exception):
                raise
            # A user's callback may raise anything over what it finds.
            raise FileFormatError(f"it is no whole backup ({type(error).__name__}: {error})", path=path) from error
        self._epoch = self.model._initial_epoch = place["epoch"]
        self.model._initial_batch = place["batch"]
        if place.get("stop"):  # files of earlier versions do not say
            self.model.stop_training = True
            if not place["batch"]:
                self.model._initial_epoch = sys.maxsize  # no epoch is left

    def _check_weights(self, weights, path):
        stored = [weight.shape for weight in weights]
        own = [tuple(weight.shape) for weight in self.model.get_weights()]
        if stored != own:
            raise ValueError(f"'{path}' is of another model: its weights are {stored}, this one's {own}.")
        for weight in weights:
            if weight.dtype.kind not in "biuf":
                raise FileFormatError(f"it is no whole backup: a weight of it is {weight.dtype}", path=path)

    def _set(self, found, weights, undo, path):
        """Gives everything its part of what was `found`. undo: gets (function, argument) to put each back with."""
        for name, callback in self._others():
            undo.append((callback.set_state, callback.get_state()))
            callback.set_state(_part(found, f"callback/{name}/"))
        optimizer = self.model.optimizer
        if optimizer is not None:
            if not optimizer.built:
                optimizer.build(self.model.trainable_variables)
            store = {}
            optimizer.save_own_variables(store)
            undo.append((optimizer.load_own_variables, store))
            stored = _numbered(found, "optimizer", path)
            optimizer.load_own_variables({str(index): value for index, value in enumerate(stored)})
        undo.append((self.model.set_weights, self.model.get_weights()))
        self.model.set_weights(weights)
        if hasattr(self.model, "set_training_state"):
            self.model.set_training_state(_part(found, "state/"))  # all of it or nothing, too

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
            arrays |= {f"callback/{name}/{key}": np.asarray(value) for key, value in callback.get_state().items()}
        if hasattr(self.model, "get_training_state"):
            arrays |= {f"state/{key}": np.asarray(value) for key, value in self.model.get_training_state().items()}
        for name, array in arrays.items():
            if np.asarray(array).dtype.kind not in _KINDS:
                raise ValueError(f"A backup holds numbers and text, and '{name}' is {np.asarray(array).dtype}.")
        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and os.path.exists(self._path) and not self._damaged:
            os.replace(self._path, f"{self._path}.bkp")
        stop = bool(self.model.stop_training)
        place = np.array(json.dumps({"epoch": epoch, "batch": batch, "stop": stop, "arrays": len(arrays)}))
        write.replace(self._path, lambda file: np.savez(file, place=place, **arrays))
        self._damaged = False

    def on_train_end(self, logs=None):
        if not self.delete_checkpoint or not os.path.isdir(self.backup_dir):
            return
        # Its own files, and those that a killed run left half written; what else is in the folder stays.
        for name in os.listdir(self.backup_dir):
            if name in (_NAME, f"{_NAME}.bkp") or (name.startswith(_NAME) and name.endswith(".part")):
                os.unlink(os.path.join(self.backup_dir, name))
        if not os.listdir(self.backup_dir):
            os.rmdir(self.backup_dir)


def _place(found, path):
    """The epoch and the step to go on with, a dict."""
    try:
        place = json.loads(str(found["place"]))
        sound = all(type(place[key]) is int and 0 <= place[key] < _MOST for key in ("epoch", "batch"))
    # No such array, another text, or numbers in the place of an object; or more nesting than Python reads.
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise FileFormatError(f"it is no whole backup ({type(error).__name__}: {error})", path=path) from error
    # A directory that was cut short still is one. (Files of earlier versions do not say.)
    if place.get("arrays", len(found) - 1) != len(found) - 1:
        raise FileFormatError(f"it is no whole backup: {len(found) - 1} arrays are left of it", path=path)
    if not sound:
        raise FileFormatError(f"it is no whole backup: training cannot go on at {str(place)[:200]}", path=path)
    return place


def _part(found, prefix):
    return {key[len(prefix) :]: value for key, value in found.items() if key.startswith(prefix)}


def _numbered(found, kind, path):
    count = sum(key.startswith(f"{kind}/") for key in found)
    try:
        return [found[f"{kind}/{index}"] for index in range(count)]
    except KeyError as error:
        raise FileFormatError(f"it is no whole backup: {error} is missing", path=path) from None
