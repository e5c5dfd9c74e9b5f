"""Programs by what they were made for, those that were used last: of streams, decoders, training and optimizers."""

import threading

from fastseq.tensors import weight_locks

# Programs that train, of one model, function or optimizer: one for each shape of batches, or set of weights. A model's
# have the memory of what the forward pass keeps for the backward pass, 22 MB for LSTM(256) and 32 rows of 50 to 80
# timesteps.
MOST_THAT_TRAIN = 32


class KeptPrograms:
    """A table of at most so many programs, or of what holds them. Any number of threads may look things up.

    A base class: where `clear` is called because a weight changed, what is being made meanwhile is made again. `epoch`
    counts the calls of `clear`.

    Args:
        most (int): How many are kept.
    """

    def __init__(self, most):
        self._most = most
        self._found = {}  # the first is the one that was not used for longest
        self._lock = threading.Lock()
        self.epoch = 0

    def clear(self):
        """Forgets all of them."""
        with self._lock:
            self.epoch += 1
            self._found.clear()

    def drop_plain(self):
        """As of a ProgramCache: here is no short way."""

    def find(self, key, make):
        """(what there is for `key`, the epoch that it belongs to). `make()` makes it where there is nothing.

        Two threads may both make it; one of the two is kept.
        """
        with self._lock:
            there, value, epoch = key in self._found, self._found.pop(key, None), self.epoch
            if there:
                self._found[key] = value
        if not there:
            value, is_current = self._make(key, make, epoch)
            if not is_current:
                # It may have weights of before and of after: now none can change. Not so at once, as what is traced may
                # be code of a user's, which may wait for another thread.
                with weight_locks.building, weight_locks.changing:
                    epoch = self.epoch
                    value, _ = self._make(key, make, epoch)
        return value, epoch

    def _make(self, key, make, epoch):
        """(what `make` gives, whether nothing was cleared since `epoch`); it is kept where nothing was."""
        value = make()
        with weight_locks.changing, self._lock:  # weights that are just being set are all set then
            is_current = epoch == self.epoch
            if is_current:
                self._put(key, value)
        return value, is_current

    def replace(self, key, value):
        """Puts `value` in the place of what there is for `key`."""
        with self._lock:
            self._found.pop(key, None)
            self._put(key, value)

    def _put(self, key, value):
        self._found[key] = value
        if len(self._found) > self._most:
            del self._found[next(iter(self._found))]

    def __len__(self):
        return len(self._found)

    def values(self):
        """All that are kept, in the order in which they were used."""
        with self._lock:
            return list(self._found.values())
