"""Layers that are Python and become native: `call` is traced once for its shapes (ops/tracing.py).

A layer is traced when two traces of its call give the same steps, change nothing, and give what its Python gives on
random values; else it runs in Python, and `untraced` says why.
"""

import numpy as np

from fastseq.layers import python_calls
from fastseq.layers.binding import tensor_shapes
from fastseq.native._native import with_training
from fastseq.ops import functions
from fastseq.ops.numpy_protocol import ops_function
from fastseq.ops.operation import slots_of_result
from fastseq.ops.shape_builder import ShapeBuilder, traced_twice
from fastseq.ops.tracing import CannotTrace, is_tracing, not_tracing, note_set, program
from fastseq.ops.values import MixesTimesteps, Traced, lift
from fastseq.program.builder import Builder, PythonInside
from fastseq.program.slots import Slot
from fastseq.tensors import arrays, nest
from fastseq.tensors.catch_alls import by_name
from fastseq.tensors.symbolic import KerasTensor

reason_of = functions.reason_of
__all__ = ["CannotTrace", "is_tracing", "not_tracing"]  # of ops/tracing.py, for the layers


def run_traced(p, function, arguments, training=None, times=None):
    """What `function(**arguments)` returns, with Traced arrays in the places of the Slots among its arguments.

    times: the axis of timesteps by the id of a Slot. Raises CannotTrace for what no trace can hold.
    """
    return functions.run(p, lambda given: with_training(training, function, **given), arguments, times)


def _run(layer, p, arguments, times=None):
    return run_traced(p, by_name(layer, layer.call), arguments, arguments.get("training"), times)


def scratch_of(p):
    """A Builder for a trace that is thrown away, with what the call that `p` is made for says."""
    scratch = Builder(p.cache, training=p.training, trains=p.trains)
    scratch.mask_rules, scratch.weights, scratch.penalized = p.mask_rules, p.weights, p.penalized
    return scratch


_MOST_VERDICTS = 64
# How often a layer whose call fails to be traced is traced anew because an attribute was set; then it is its own call
# that sets it.
_MOST_FAILURES = 8


# What a call may be given beside arrays for a program of its own: not numbers, of which each would have one.
_OF_PROGRAMS = frozenset((np.ndarray, arrays.MaskedArray, bool, str, type(None)))


class _Reason(str):
    """Why a call runs in Python. lasting: whether another shape does not help; attribute: the one that it changes."""

    lasting, attribute = False, None

    @classmethod
    def of(cls, error):
        made = cls(functions.reason_of(error))
        made.lasting = functions.is_lasting(error)
        made.attribute = getattr(error, "attribute", None)
        return made


def _keys(p, arguments):
    """What decides whether a call can be traced: without its shapes, and with them."""
    general, exact = [p.training], [p.training, "shapes"]
    for name, value in arguments.items():
        for leaf in nest.flatten(value):
            is_slot = isinstance(leaf, Slot)
            general.append((name, (len(leaf.shape), leaf.dtype) if is_slot else repr(leaf)[:50]))
            exact.append((name, (leaf.shape, leaf.dtype) if is_slot else repr(leaf)[:50]))
    return tuple(general), tuple(exact)


class Traces:
    """What is known of the calls of one layer. Several threads may add to it.

    verdicts: what a call was like -> None where it is traced, else why not; last: what was last noted, None or why
    not; calls_python: whether its call on arrays is known to run in Python.
    """

    def __init__(self):
        self.verdicts = {}
        self.last = None
        self.calls_python = False
        self._failures = 0

    def note(self, key, reason):
        """Notes why something of the layer runs in Python, or None where it is traced."""
        self.verdicts.pop(key, None)
        if len(self.verdicts) >= _MOST_VERDICTS:
            self.verdicts = {}
        self.verdicts[key] = self.last = reason

    def attribute_set(self, key):
        """An attribute was set: what was traced has the value from before. Returns whether there was anything traced.

        A call that sets one itself fails to be traced, and it is not asked again for ever.
        """
        verdicts = self.verdicts
        failed = any(reason is not None for reason in list(verdicts.values()))
        if not verdicts or (
            failed and (self._failures >= _MOST_FAILURES or getattr(self.last, "attribute", "") == key)
        ):
            return False
        self._failures += failed
        self.verdicts, self.calls_python = {}, False
        return None in list(verdicts.values())


def attribute_set(layer, key):
    """An attribute of a built Python layer was set; returns whether programs may have its value from before."""
    note_set(layer, key)
    return layer._traces.attribute_set(key)


def _check(layer, p, arguments):
    """Raises CannotTrace where a traced call is not the Python call."""

    def call(given):
        return with_training(given.get("training"), by_name(layer, layer.call), **given)

    def python(given):
        return python_calls._checked_results(layer, call(given))

    functions.check(call, arguments, p, owner=layer, python=python)


def emit(layer, p, arguments):
    """The layer's outputs as Slots: traced, or of a step in Python."""
    found = _emit_traced(layer, p, arguments)
    if found is not None:
        return found
    return not_tracing(python_calls.emit_python, layer, p, arguments, untraced(layer))


def _emit_traced(layer, p, arguments):
    """The layer's outputs as Slots, traced, or None where it has to run in Python."""
    if not layer.traced or (p.trains and _has_gradients_of_its_own(layer)):
        return None
    general, exact = _keys(p, arguments)
    verdicts = layer._traces.verdicts
    if verdicts.get(general) is not None or verdicts.get(exact) is not None:
        return None
    try:
        if general not in verdicts:
            _check(layer, p, arguments)
        with p.undone_on_error():
            outputs = slots_of_result(p, _run(layer, p, arguments))
    except PythonInside:
        raise
    except Exception as error:
        reason = _Reason.of(error)
        layer._traces.note(general if reason.lasting else exact, reason)
        return None
    layer._traces.note(general, None)
    return outputs


def emit_mask(layer, p, inputs, mask):
    """The masks of compute_mask as a nest of Slots and None: traced, or as a step in Python."""
    key = ("mask", *_keys(p, {"inputs": inputs, "mask": mask})[0])
    if not layer.traced or layer._traces.verdicts.get(key) is not None:
        return not_tracing(python_calls.emit_python_mask, layer, p, inputs, mask)

    def compute(given):
        masks = layer.compute_mask(*given)
        return nest.map_structure(
            lambda m: m if m is None or m.dtype == "bool" else ops_function("cast")(m, "bool"), masks
        )

    try:
        found = functions.emit(p, compute, [inputs, mask], owner=layer)
    except functions.CannotTrace as error:
        layer._traces.note(key, f"its compute_mask() is not traced: {error}")
        return not_tracing(python_calls.emit_python_mask, layer, p, inputs, mask)
    python_calls.check_masks(layer, nest.flatten(found))
    return found


def run_alone(layer, arguments, way):
    """The result of a layer's call on arrays by itself: of native steps where it is traced, else of its Python.

    way: as of ProgramCache.run.
    """
    traces = layer._traces
    if traces.calls_python or not layer.traced:
        return python_calls.run_python(layer, arguments)
    if all(type(leaf) in _OF_PROGRAMS for leaf in nest.flatten(list(arguments.values()))):
        try:
            return layer._programs.run(layer, arguments, way=way, native_only=True)
        except PythonInside as error:
            # Of other shapes it may be traced, where it was not for these alone.
            traces.calls_python = error.layer is not layer or getattr(traces.last, "lasting", True)
    return python_calls.run_python(layer, arguments)


def _has_gradients_of_its_own(layer):
    return any(getattr(layer, name, None) is not None for name in ("backward", "losses_backward"))


def untraced(layer):
    """Why the layer runs in Python, or None where it does not, or has not been called."""
    if not layer.traced:
        return "its class says traced = False"
    return layer._traces.last


def is_traced(layer):
    """Whether it is a layer in Python all of whose calls so far were traced."""
    verdicts = getattr(layer, "_traces", Traces()).verdicts
    return bool(verdicts) and all(reason is None for reason in verdicts.values())


def belongs_to_trace(args, kwargs):
    """Whether a layer's call, while this thread traces, is a part of that: on arrays alone too, as its weights are."""
    leaves = nest.flatten([args, kwargs])
    if any(isinstance(leaf, Traced) for leaf in leaves):
        return True
    return program() is not None and not any(isinstance(leaf, KerasTensor) for leaf in leaves)


def call_layer(layer, args, kwargs):
    """A layer's call inside a call that is traced: its steps go to the same program."""
    from fastseq.layers import binding

    arguments = binding.bind(layer, args, kwargs)
    leaves = [leaf for value in arguments.values() for leaf in nest.flatten(value)]
    p = next((leaf.p for leaf in leaves if isinstance(leaf, Traced)), None)
    if p is None:
        p, arguments = program(), binding.convert(layer, arguments)
    first = [leaf for leaf in nest.flatten(next(iter(arguments.values()))) if isinstance(leaf, Traced)]
    timed = any(leaf.time is not None for leaf in leaves if isinstance(leaf, Traced))
    time = _time_of_call(layer, first, arguments) if timed else None
    slots = {name: nest.map_structure(lambda leaf: _slot_of(p, leaf), value) for name, value in arguments.items()}
    outer = p.layer_name
    try:
        outputs = layer.trace(p, slots)
    finally:
        p.layer_name = outer
    return nest.map_structure(lambda slot: Traced(p, slot, time), outputs)


def _slot_of(p, leaf):
    """The Slot of an array among a call's arguments, which is a constant where it is not Traced; others as they are."""
    if not isinstance(leaf, np.ndarray):
        return leaf.slot if isinstance(leaf, Traced) else leaf
    slot, mask = lift(p, leaf).slot, arrays.mask_of(leaf)
    return slot if mask is None else slot.with_mask(lift(p, mask).slot)


def _time_of_call(layer, tensors, arguments):
    if {leaf.time for leaf in tensors} == {0}:
        # Rows of the batch, which no layer of this library mixes where it does not train.
        if layer._is_python and not _keeps_rows(layer, arguments):
            raise MixesTimesteps(f"layer '{layer.name}' mixes rows")
        return 0
    if any(leaf.time not in (None, 1) for leaf in tensors):
        raise MixesTimesteps(f"it calls layer '{layer.name}' with timesteps along another axis than 1")
    if layer.memory is not None:
        raise MixesTimesteps(f"it calls layer '{layer.name}', which keeps something from timestep to timestep")
    try:
        if layer._is_python:
            kept = keeps_time(layer, [leaf.time == 1 for leaf in tensors], [leaf.shape for leaf in tensors], arguments)
        else:
            kept = layer.keeps_time([leaf.time == 1 for leaf in tensors], [leaf.shape for leaf in tensors], arguments)
    except ValueError as error:
        raise MixesTimesteps(str(error)) from None
    return 1 if kept else None


def keeps_time(layer, timed, shapes, arguments):
    """layers/time_axis.py's question to a Python layer: its call is traced with the timesteps marked. None where it
    cannot be traced."""
    found = _times_of_results(layer, timed, shapes, arguments, 1)
    if found is None or set(found) - {None, 1}:
        return None
    return found[0] == 1


def _keeps_rows(layer, arguments):
    """Whether each row of what a Python layer gives is computed of the same row of all tensors."""
    leaves = [leaf for value in arguments.values() for leaf in nest.flatten(value)]
    shapes = [leaf.shape for leaf in leaves if hasattr(leaf, "shape") and not isinstance(leaf, np.ndarray)]
    try:
        found = _times_of_results(layer, [True] * len(shapes), shapes, arguments, 0)
    except ValueError:
        return False
    return found is not None and set(found) == {0}


def _times_of_results(layer, timed, shapes, arguments, where):
    """The axis of timesteps of each result of a Python layer, None for those without; None where it is not traced.

    timed: for each tensor whether axis `where` of it is timesteps. Raises ValueError where it takes them together.
    """
    if untraced(layer) is not None:
        return None
    found, told = [], []
    for time in (7, 11):
        p, times, flags = ShapeBuilder(), {}, iter(zip(timed, shapes))

        def slot(leaf, p=p, times=times, flags=flags, time=time):
            if not hasattr(leaf, "shape") or isinstance(leaf, np.ndarray):
                return leaf
            is_timed, shape = next(flags, (False, leaf.shape))
            sizes = [time if axis == where and is_timed else size or 5 for axis, size in enumerate(shape)]
            made = p.new(sizes, leaf.dtype)
            if is_timed:
                times[id(made)] = where
            return made

        slots = nest.map_structure(slot, dict(arguments))
        try:
            result = nest.flatten(_run(layer, p, slots, times))
        except MixesTimesteps as error:
            raise ValueError(
                f"Layer '{layer.name}' ({type(layer).__name__}) cannot run in a stream: {error}."
            ) from None
        except Exception:
            return None
        found.append([leaf.time if isinstance(leaf, Traced) else None for leaf in result])
        told.append(p.told)
    if found[0] != found[1] or told[0] != told[1]:
        raise ValueError(
            f"Layer '{layer.name}' ({type(layer).__name__}) cannot run in a stream: it computes with the number of "
            "timesteps."
        )
    return found[0]


def output_shape(layer, arguments):
    """The shape of what a symbolic call with such arguments gives, or a nest of them.

    It comes from a trace where nothing is computed; where the call cannot be traced, from calls on zeros.
    """
    alone = layer._rest_argument in arguments and len(tensor_shapes(arguments, layer)) == 1
    if alone and "mask" in layer._signature.parameters and arguments.get("mask") is None:
        arguments = {**arguments, "mask": (None,) * len(arguments[layer._rest_argument])}  # as such a call is given it
    found = None if untraced(layer) is not None else _traced_shape(layer, arguments)
    return python_calls.infer_output_shape(layer, arguments) if found is None else found


def _traced_shape(layer, arguments):
    """As `output_shape`, or None where the call cannot be traced."""
    structure = []
    tensors = [leaf for leaf in nest.flatten(arguments) if isinstance(leaf, KerasTensor)]

    def trace(p, slots):
        given = dict(zip(map(id, tensors), slots))
        result = _run(layer, p, nest.map_structure(lambda leaf: given.get(id(leaf), leaf), arguments))
        structure[:] = [result]
        return nest.flatten(slots_of_result(p, result))

    try:
        found = [tensor.shape for tensor in traced_twice(trace, tensors)]
    except Exception:
        return None
    return nest.pack_like(structure[0], found) if nest.is_nested(structure[0]) else found[0]
