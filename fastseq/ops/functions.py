"""A user's function of arrays as native steps: traced twice, compared with its Python, then added to a program.

Layers, losses, metrics, activations, regularizers and masks that a user wrote all come through here. Arguments are one
nest with Slots in the places of arrays, and the function takes that nest with Traced arrays in it.
"""

import numpy as np

from fastseq.native.kept_states import undone
from fastseq.ops.numpy_protocol import NeedsValues
from fastseq.ops.operation import slots_of_result
from fastseq.ops.tracing import (
    CannotTrace,
    ChangedMeanwhile,
    Watched,
    not_tracing,
    signature,
    where_raised,
    while_tracing,
)
from fastseq.ops.values import Traced
from fastseq.program import added_losses
from fastseq.program.builder import Builder, PythonInside
from fastseq.program.program import Program
from fastseq.program.slots import Slot
from fastseq.tensors import arrays, nest
from fastseq.tensors.variable import ReadWhileTraced

_MOST_TRIES = 20  # while other threads set attributes
_RESULTS = (Traced, np.ndarray, np.generic, int, float)


def run(p, function, given, times=None, free=None):
    """What `function(given)` returns while it is traced.

    given: a nest with Slots of the program `p`; times: the axis of timesteps by the id of a Slot; free: whether it may
    read weights of no layer, by default where the program reads weights anew in every run.
    Raises CannotTrace where it returns anything but arrays, numbers and None, and what it raises.
    """
    times = times or {}
    filled = nest.map_structure(
        lambda leaf: Traced(p, leaf, times.get(id(leaf))) if isinstance(leaf, Slot) else leaf, given
    )
    free = p.trains if free is None else free
    with added_losses.dropping(p) as added:
        result = while_tracing(lambda variable: _weight(p, variable, free), function, filled)
    if added:
        raise CannotTrace("a layer that its call calls on arrays adds a loss")
    for leaf in nest.flatten(result):
        if leaf is not None and not isinstance(leaf, _RESULTS):
            raise CannotTrace(f"its call returns a {type(leaf).__name__}")
    return result


def _weight(p, variable, free):
    """A weight that is read: the program hears of its changes through the layer that owns it."""
    if variable._owner is not None:
        p.use(variable._owner)
    elif not free:
        raise CannotTrace(f"it reads the weight '{variable.name}', which belongs to no layer")
    return Traced(p, p.weight(variable))


def check(function, given, like, owner=None, python=None):
    """Raises CannotTrace where a traced call of `function` is not the Python call.

    given: as of `run`, whose Slots tell shapes, dtypes and masks; like: the Builder of the program that it is for;
    owner: the object whose attributes must stay, with `tells_what_is_set` where it calls `note_set`; python: the
    function of the same nest of arrays to compare with, by default `function` itself.
    """
    for _ in range(_MOST_TRIES):
        try:
            return _check(function, given, like, owner, python)
        except ChangedMeanwhile:
            continue
    raise CannotTrace("other threads set its attributes all the time")


def _check(function, given, like, owner, python):
    watched = Watched(owner, getattr(owner, "tells_what_is_set", False))
    try:
        (builder, inputs, outputs, first), (*_, second) = (_trace(function, given, like, watched) for _ in range(2))
    finally:
        watched.put_back()
    if first != second:
        raise CannotTrace("two traces of its call differ")
    if any(step["op"] is None for step in builder.steps):
        return  # a layer inside is Python, and says why itself
    _compare(function if python is None else python, builder, inputs, outputs, given)


def _trace(function, given, like, watched):
    """(a Builder with the steps of a call, its inputs, its outputs and what it adds to the loss, their signature)."""
    builder, inputs = Builder(training=like.training), []
    builder.mask_rules, builder.penalized = like.mask_rules, like.penalized

    def input_of(leaf):
        inputs.append(builder.input(leaf.shape, leaf.dtype))
        return inputs[-1]

    def slot(leaf):
        if not isinstance(leaf, Slot):
            return leaf
        made = input_of(leaf)
        return made if leaf.mask is None else made.with_mask(input_of(leaf.mask))

    outputs = slots_of_result(builder, run(builder, function, nest.map_structure(slot, given), free=like.trains))
    outputs = [outputs, [wanted.slot for wanted in builder.penalties if wanted.regularizer is None]]
    watched.check()
    return builder, inputs, outputs, signature(builder.steps, inputs, outputs)


def _compare(function, builder, inputs, outputs, given):
    """Runs both on random values."""
    rng = np.random.default_rng(0)
    values = [
        rng.uniform(-1, 1, slot.shape).astype(np.float32) if slot.dtype == "float32"
        else rng.integers(0, 2, slot.shape).astype(slot.dtype)
        for slot in inputs
    ]  # fmt: skip
    flat = nest.flatten(outputs)
    kinds = {step["op"] for step in builder.steps}
    wanted = [slot for slot in flat if slot is not None]
    if "random" in kinds or builder._kept or builder._at_end:
        return  # random numbers, and states, differ from call to call
    traced = Program(builder, inputs, wanted, keeps=False).run(values) if wanted else []
    left = iter(values)

    def array(leaf):
        if not isinstance(leaf, Slot):
            return leaf
        made = next(left)
        return made if leaf.mask is None else arrays.with_mask(made, next(left))

    filled = nest.map_structure(array, given)
    with np.errstate(all="ignore"), added_losses.dropping() as added:
        python = nest.flatten(not_tracing(undone, lambda: function(filled)))
    if builder.penalized:
        python += [loss for _, loss in added if isinstance(loss, (np.ndarray, np.generic))]
    if len(flat) != len(python):
        raise CannotTrace("its call adds other losses as Python than as it was traced")
    if [leaf is None for leaf in flat] != [leaf is None for leaf in python]:
        raise CannotTrace("its call gives other results as Python than as it was traced")
    for mine, theirs in zip(traced, (leaf for leaf in python if leaf is not None), strict=True):
        theirs = np.asarray(theirs)
        if mine.shape != theirs.shape or not np.allclose(mine, theirs, rtol=1e-3, atol=1e-4, equal_nan=True):
            raise CannotTrace("its call gives other values as Python than as it was traced")


def emit(p, function, given, owner=None, python=None):
    """The Slots of what `function(given)` returns, its steps added to the program `p`.

    Arguments as of `check`. Raises CannotTrace, with the reason, where it has to run in Python; `p` is as before then.
    """
    try:
        check(function, given, p, owner, python)
        with p.undone_on_error():
            return slots_of_result(p, run(p, function, given))
    except PythonInside:
        raise
    except Exception as error:
        raise CannotTrace(reason_of(error)) from error


def reason_of(error):
    """Why there is no trace, in words that follow "it runs in Python: "."""
    return str(error) if isinstance(error, CannotTrace) else where_raised(error)


def is_lasting(error):
    """Whether a function that raised this while it was traced will not be traced for other shapes either."""
    return isinstance(error, (CannotTrace, NeedsValues, ReadWhileTraced))
