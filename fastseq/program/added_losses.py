"""Losses that calls add: values of `add_loss`, and activity regularizers' penalties of outputs.

As in Keras, a layer has those of the last call of itself or of a model around it: the outermost call of a thread
forgets what all layers in it had, and calls inside it add to what the same call gave before. What a call adds is
`Added` while it runs and moves to the layers at its end, so that threads that call one model do not mix.

An activity regularizer's penalty is computed when `losses` is first read. Until then a copy of the output is kept: an
extra result of the program, since the caller may change the array that he got. A copy costs less than a sum in
float64, and who never reads `losses` pays for no sum. Programs of layers without an activity regularizer have no such
result, run as before, and take the short way (_call.pyx).
"""

import threading
import weakref
from collections import deque
from typing import NamedTuple

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.program.slots import Slot
from fastseq.tensors import nest


class _Calls(threading.local):
    added = None  # weak reference to the `Added` of the call that a thread is in


_calls = _Calls()
# Another one whenever a layer got losses, or layers came into another: since then calls have something to forget.
_news = object()
_outside = 0  # how many losses were added outside of all calls
# Another one whenever a call added to a layer's losses for the first time, or layers came into another.
_adders = object()


def outside():
    """A number that grows whenever a loss is added outside of a call, to a layer that may run natively."""
    return _outside


def adders():
    """An object that is another one whenever `adds` may give another answer for some layer."""
    return _adders


def adds(layer):
    """Whether a call ever added to the losses of `layer` or of one in it, which later calls have to forget."""
    return any(part._has_added for part in flattened(layer))


class Penalty(NamedTuple):
    """What a program adds to the losses of `layer`: the penalty of an output, or a value of a traced `add_loss`.

    regularizer: gives the penalty; None where the slot is the value itself. slot: the output, with `steps` timesteps of
    each row of the batch as rows; None where nothing computes the output, and then `losses` of the layer raises.
    """

    layer: object
    regularizer: object
    slot: Slot
    steps: int


class ActivityPenalty:
    """The penalty of an output of a call: an array whose rows are the batch's, each of so many timesteps.

    Keras divides it by the batch's rows, so that it does not depend on their number, and takes what TimeDistributed
    wraps timestep by timestep.
    """

    def __init__(self, regularizer, array, steps):
        self._regularizer, self._array, self._steps = regularizer, array, steps
        self._values = None

    def values(self):
        """A float for each timestep."""
        values = self._values
        if values is None:
            # Keras computes penalties of integers so: the factors become integers too.
            integers = None if self._array.dtype.kind == "f" else getattr(self._regularizer, "for_integers", None)
            regularizer = integers() if integers is not None else self._regularizer
            parts = parts_of(self._array, self._steps)
            values = self._values = [float(regularizer(part)) / rows_of(part) if part.size else 0.0 for part in parts]
            self._array = None
        return values


def parts_of(array, steps):
    """Views of the parts of an output that have a penalty each: the timesteps that TimeDistributed made rows."""
    return [array] if array.ndim == 0 else [array[t::steps] for t in range(steps)]


def rows_of(part):
    """What a part's penalty is divided by."""
    return max(1, len(part)) if part.ndim else 1


class _NotComputed:
    """Stands where nothing computes the penalty."""

    def __init__(self, layer):
        self._layer = layer

    def values(self):
        raise not_computed(self._layer)


def not_computed(cell):
    """The exception where a `Penalty` has no slot."""
    return UnsupportedError(
        f"Cell '{cell.name}' has an activity_regularizer, whose penalties inside a recurrent layer are not computed. "
        "Give the activity_regularizer to the recurrent layer."
    )


class Added(list):
    """(layer, value or `ActivityPenalty`) of everything that a call added so far, in order.

    program: the Builder that the call is traced for, whose `penalties` take what is added; None outside of traces.
    """

    program = None

    def note(self, layer, loss):
        self.append((layer, loss))

    def note_penalties(self, penalties, arrays):
        """penalties: `Penalty` each; arrays: the outputs."""
        arrays = iter(arrays)
        for layer, regularizer, slot, steps in penalties:
            if slot is None:
                self.note(layer, _NotComputed(layer))
            elif regularizer is None:
                self.note(layer, next(arrays)[()])  # a scalar where it has no axis
            else:
                self.note(layer, ActivityPenalty(regularizer, next(arrays), steps))

    def total(self, model):
        """The sum of what the layers in `model` added, a float. As in Keras, other layers do not count."""
        ours = {id(layer) for layer in flattened(model)}
        return sum(_sum(loss) for layer, loss in self if id(layer) in ours)


def _sum(loss):
    if isinstance(loss, (ActivityPenalty, _NotComputed)):
        return sum(loss.values())
    return float(np.sum(loss, dtype=np.float64))


# ---- calls -----------------------------------------------------------------------------------------------------------


def current():
    """The `Added` of the call that this thread is in, or None.

    It is held by the call alone: where an interrupt comes just before the call could say that it ended, it is gone too.
    """
    reference = _calls.added
    return None if reference is None else reference()


class collecting:
    """Around a call of `layer`: gives the `Added` of the outermost call of this thread, which may be this one."""

    __slots__ = ("_added", "_layer", "_outermost")

    def __init__(self, layer):
        self._layer = layer

    def __enter__(self):
        added = current()
        self._outermost = added is None
        if added is None:
            if self._layer._forgotten is not _news:
                forget(self._layer)
            added = Added()
            _calls.added = weakref.ref(added)
        self._added = added
        return added

    def __exit__(self, kind, *_):
        if self._outermost:
            _calls.added = None
            if kind is None and self._added:
                found = {}
                for layer, loss in self._added:
                    found.setdefault(id(layer), (layer, []))[1].append(loss)
                for layer, losses in found.values():
                    _hold(layer, losses)
                    if not layer._has_added:
                        _note_adder(layer)


class dropping:
    """Around a call on zeros that only tells shapes, or one that is traced; gives the `Added` that is dropped."""

    def __init__(self, program=None):
        self._program = program

    def __enter__(self):
        self._outer, self._added = _calls.added, Added()
        self._added.program = self._program
        _calls.added = weakref.ref(self._added)
        return self._added

    def __exit__(self, *_):
        _calls.added = self._outer


def forget(layer):
    """Clears what `layer` and all layers in it had from calls:"""
    news = _news  # before the walk: what comes while it goes on is for the next one
    for part in flattened(layer):
        if part._added_losses:
            _hold(part, ())
    object.__setattr__(layer, "_forgotten", news)


def look_again():
    """After a change of which layers are in which: the next calls look for losses that are to be forgotten."""
    global _news, _adders
    _news, _adders = object(), object()


def _hold(layer, losses):
    global _news
    object.__setattr__(layer, "_added_losses", losses)  # past Layer's own, which looks for layers
    if losses:
        _news = object()


def _note_adder(layer):
    """From now on what calls `layer` does not take the short way (_call.pyx), which forgets nothing."""
    global _adders
    object.__setattr__(layer, "_has_added", True)
    _adders = object()
    layer._users.drop_plain()


def check(layer, value):
    """Raises ValueError where a value is nothing that `add_loss` takes."""
    if not isinstance(value, (np.ndarray, np.generic)) or value.dtype.kind not in "fiub":
        raise ValueError(
            "`add_loss()` can only be called from inside `build()` or `call()`, on a tensor input, that is a NumPy "
            f"array or scalar. Received invalid value: {value}. It is of layer '{layer.name}'."
        )


def add(layer, loss):
    """See `Layer.add_loss`."""
    global _outside
    losses = nest.flatten(loss)
    for value in losses:
        check(layer, value)
    added = current()
    if added is not None:
        for value in losses:
            added.note(layer, value)
    elif losses:
        _hold(layer, [*layer._added_losses, *losses])
        # The next call of this layer, or of one around it, must not run without a look at `outside`.
        _outside += 1
        layer._users.drop_plain()


# ---- what layers have ------------------------------------------------------------------------------------------------


def losses_of(layer):
    """See `Layer.losses`."""
    found = []
    for part in flattened(layer):
        for loss in _own(part):
            found += map(np.float32, loss.values()) if isinstance(loss, (ActivityPenalty, _NotComputed)) else [loss]
    weights = [variable for variable in layer.trainable_weights if variable.regularizer is not None]
    return found + [_scalar(variable.regularizer(variable._value)) for variable in weights]


def _scalar(value):
    return np.float32(value) if np.ndim(value) == 0 else np.asarray(value, np.float32)


def _own(layer):
    added = current()
    here = [] if added is None else [loss for owner, loss in added if owner is layer]
    # Outside of calls, and in calls of layers that do not belong to the outermost layer.
    return here or layer._added_losses


def flattened(layer):
    """`layer` and all layers in it, each once, in the order of Keras's `_flatten_layers`."""
    found, seen, todo = [layer], set(), deque(layer._sublayers())
    while todo:
        part = todo.popleft()
        if id(part) not in seen:
            seen.add(id(part))
            found.append(part)
            todo.extendleft(part._sublayers())
    return found
