"""Who trains what: a second thread that would change the same weights, or the same totals, gets an error."""

import os
import threading
import weakref
from threading import get_ident

_lock = threading.Lock()
_taken = []  # weak references to the Turns that are not over; guarded by `_lock`


class Turn:
    """A model in the hands of one thread, as long as this object is alive or until it is `over`.

    Alive: where Ctrl-C comes before `over` can be reached, nothing stays taken for ever.
    """

    __slots__ = ("__weakref__", "_reference", "thread", "trainer", "trains")

    def __init__(self, trainer, trains):
        """trainer: the model's; trains: whether it changes weights, or totals alone.

        Raises RuntimeError where another thread changes any of it. Turns of one thread may lie within each other.
        """
        self.thread, self.trainer, self.trains = get_ident(), trainer, trains
        self._reference = weakref.ref(self)
        with _lock:
            if _taken and not self._is_free():
                doing = "trained" if trains else "evaluated"
                raise RuntimeError(
                    f"Model '{trainer.model.name}' cannot be {doing} now: another thread trains or evaluates it, or a "
                    "model that shares layers or the optimizer with it, and both would change the same weights and "
                    "totals. Let the threads take turns (threading.Lock), or give each a model of its own "
                    "(models.clone_model). Other threads may call the model and predict meanwhile."
                )
            _taken.append(self._reference)

    def _is_free(self):
        _taken[:] = [other for other in _taken if other() is not None]
        others = [other for other in (found() for found in _taken) if other and other.thread != self.thread]
        own = {id(thing) for thing in self._things()} if others else ()
        return not any(id(thing) in own for other in others for thing in other._things())

    def _things(self):
        """What nobody else may change meanwhile. Asked for only where there is somebody else: it takes 10 us."""
        if not self.trains:
            return [self.trainer]
        return [self.trainer, self.trainer.optimizer, *self.trainer.model.trainable_variables]

    def over(self):
        """Lets others begin."""
        with _lock:
            try:
                _taken.remove(self._reference)
            except ValueError:
                pass  # it is over, or began in the parent of this process


def _in_child():
    """Other threads, and what they had under way, stayed with the parent."""
    global _lock
    _lock = threading.Lock()
    here = get_ident()
    _taken[:] = [other for other in _taken if other() is not None and other().thread == here]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
