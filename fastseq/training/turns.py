"""Who trains what: a second thread that would change the same weights, or the same totals, gets an error."""

import os
import weakref
from threading import get_ident

# Weak references to the Turns that are not over, in the order in which they began. Without a lock: Ctrl-C may come
# anywhere, and one that is never given back would stop everybody. Each change of the list is one call into C.
_taken = []


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
        _taken.append(self._reference)
        # Of two that begin at the same time the first in the list goes on.
        if _taken[0] is not self._reference and not self._is_free():
            self.over()
            doing = "trained" if trains else "evaluated"
            raise RuntimeError(
                f"Model '{trainer.model.name}' cannot be {doing} now: another thread trains or evaluates it, or a "
                "model that shares layers, a metric or the optimizer with it, and both would change the same weights "
                "and totals. Let the threads take turns (threading.Lock), or give each a model of its own "
                "(models.clone_model). Other threads may call the model and predict meanwhile."
            )

    def _is_free(self):
        others = []
        for reference in list(_taken):
            other = reference()
            if other is self:
                break
            if other is None:
                _forget(reference)
            elif other.thread != self.thread:
                others.append(other)
        own = {id(thing) for thing in self._things()} if others else ()
        return not any(id(thing) in own for other in others for thing in other._things())

    def _things(self):
        """What nobody else may change meanwhile. Asked for only where there is somebody else: it takes 10 us."""
        changed = [self.trainer, *self.trainer.given_metrics()]
        if self.trains:
            changed += [self.trainer.optimizer, *self.trainer.model.trainable_variables]
        return changed

    def over(self):
        """Lets others begin."""
        _forget(self._reference)


def _forget(reference):
    try:
        _taken.remove(reference)
    except ValueError:
        pass  # another thread forgot it, or it began in the parent of this process


def _in_child():
    """Other threads, and what they had under way, stayed with the parent."""
    here = get_ident()
    _taken[:] = [other for other in _taken if other() is not None and other().thread == here]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
