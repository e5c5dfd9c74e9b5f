"""Programs by what they were made for, those that were used last: of streams, decoders and training."""

import threading


class KeptPrograms:
    """A table of at most so many programs, or of what holds them. Any number of threads may look things up.

    A base class: where `clear` is called because a weight changed, what is being made meanwhile is not kept. `epoch`
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

    def find(self, key, make):
        """(what there is for `key`, the epoch that it belongs to). `make()` makes it where there is nothing.

        Two threads may both make it; one of the two is kept.
        """
        with self._lock:
            there, value, epoch = key in self._found, self._found.pop(key, None), self.epoch
            if there:
                self._found[key] = value
        if not there:
            value = make()
            with self._lock:
                if epoch == self.epoch:
                    self._put(key, value)
        return value, epoch

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
