"""Layers that are Python and become native: `call` is traced once for its shapes (ops/tracing.py).

A layer is traced when two traces of its call give the same steps, change nothing, and give what its Python gives on
random values; else it runs in Python, and `untraced` says why.
"""

import threading

import numpy as np

from fastseq.layers import python_calls
from fastseq.native._native import with_training
from fastseq.native.kept_states import undone
from fastseq.ops.operation import slots_of_result
from fastseq.ops.shape_builder import ShapeBuilder, traced_twice
from fastseq.ops.tracing import CannotTrace, Watched, signature, traced_weights, where_raised
from fastseq.ops.values import MixesTimesteps, Traced, lift
from fastseq.program import added_losses
from fastseq.program.builder import Builder
from fastseq.program.program import Program
from fastseq.program.slots import Slot
from fastseq.tensors import nest
from fastseq.tensors.symbolic import KerasTensor


class _Tracing(threading.local):
    depth = 0


_tracing = _Tracing()


class not_tracing:
    """A context in which a traced call runs Python on arrays: weights have their values."""

    def __enter__(self):
        self._depth, _tracing.depth = _tracing.depth, 0
        self._weights = traced_weights(None)
        self._weights.__enter__()

    def __exit__(self, *error):
        _tracing.depth = self._depth
        self._weights.__exit__(*error)


def is_tracing():
    """Whether this thread traces a call at the moment."""
    return _tracing.depth > 0


def run_traced(p, function, arguments, training=None, times=None):
    """What `function(**arguments)` returns, with Traced arrays in the places of the Slots among its arguments.

    times: the axis of timesteps by the id of a Slot. Raises CannotTrace for what no trace can hold.
    """
    times = times or {}
    filled = {
        name: nest.map_structure(
            lambda leaf: Traced(p, leaf, times.get(id(leaf))) if isinstance(leaf, Slot) else leaf, value
        )
        for name, value in arguments.items()
    }
    _tracing.depth += 1
    try:
        with traced_weights(lambda variable: lift(p, variable)), added_losses.dropping() as added:
            result = with_training(training, function, **filled)
    finally:
        _tracing.depth -= 1
    if added:
        raise CannotTrace("its call adds a loss")
    for leaf in nest.flatten(result):
        if leaf is not None and not isinstance(leaf, (Traced, np.ndarray, np.generic, int, float)):
            raise CannotTrace(f"its call returns a {type(leaf).__name__}")
    return result


def _run(layer, p, arguments, times=None):
    return run_traced(p, layer.call, arguments, arguments.get("training"), times)


def scratch_of(p):
    """A Builder for a trace that is thrown away, with what the call that `p` is made for says."""
    scratch = Builder(training=p.training)
    scratch.mask_rules = p.mask_rules
    return scratch


def reason_of(error):
    """Why a call is not traced, in words."""
    return str(error) if isinstance(error, CannotTrace) else where_raised(error)


def _key(p, arguments):
    """What decides whether a call can be traced, beside its shapes."""
    parts = []
    for name, value in arguments.items():
        for leaf in nest.flatten(value):
            parts.append((name, (len(leaf.shape), leaf.dtype) if isinstance(leaf, Slot) else repr(leaf)[:50]))
    return p.training, tuple(parts)


def _check(layer, p, arguments):
    """Raises CannotTrace where a traced call is not the Python call."""
    watched, found = Watched(layer), []
    for _ in range(2):
        builder, inputs = scratch_of(p), []

        def slot(leaf, builder=builder, inputs=inputs):
            if not isinstance(leaf, Slot):
                return leaf
            inputs.append(builder.input(leaf.shape, leaf.dtype))
            return inputs[-1]

        given = {name: nest.map_structure(slot, value) for name, value in arguments.items()}
        outputs = slots_of_result(builder, _run(layer, builder, given))
        watched.check()
        found.append((builder, inputs, outputs, signature(builder.steps, inputs, outputs)))
    (builder, inputs, outputs, first), (*_, second) = found
    if first != second:
        raise CannotTrace("two traces of its call differ")
    if any(step["op"] is None for step in builder.steps):
        return  # a layer inside is Python, and says why itself
    _compare(layer, builder, inputs, outputs, arguments)


def _compare(layer, builder, inputs, outputs, arguments):
    """Runs both on random values."""
    rng = np.random.default_rng(0)
    values = [
        rng.uniform(-1, 1, slot.shape).astype(np.float32) if slot.dtype == "float32"
        else rng.integers(0, 2, slot.shape).astype(slot.dtype)
        for slot in inputs
    ]  # fmt: skip
    flat = nest.flatten(outputs)
    kinds = {step["op"] for step in builder.steps}
    traced = Program(builder, inputs, flat, keeps=False).run(values)
    if "random" in kinds or builder._kept:
        return  # random numbers, and states, differ from call to call
    given = iter(values)
    filled = {
        name: nest.map_structure(lambda leaf: next(given) if isinstance(leaf, Slot) else leaf, value)
        for name, value in arguments.items()
    }
    with np.errstate(all="ignore"), added_losses.dropping(), not_tracing():
        result = undone(lambda: with_training(filled.get("training"), layer.call, **filled))
    python = nest.flatten(python_calls._checked_results(layer, result))
    for mine, theirs in zip(traced, python, strict=True):
        if mine.shape != theirs.shape or not np.allclose(mine, theirs, rtol=1e-3, atol=1e-4, equal_nan=True):
            raise CannotTrace("its call gives other values as Python than as it was traced")


def emit(layer, p, arguments):
    """The layer's outputs as Slots, traced, or None where it has to run in Python."""
    if not layer.traced or (p.trains and _has_gradients_of_its_own(layer)):
        return None
    key = _key(p, arguments)
    known = key in layer._trace_verdicts
    if known and layer._trace_verdicts[key] is not None:
        return None
    try:
        if not known:
            _check(layer, p, arguments)
        with p.undone_on_error():
            outputs = slots_of_result(p, _run(layer, p, arguments))
    except Exception as error:
        layer._trace_verdicts[key] = reason_of(error)
        return None
    layer._trace_verdicts[key] = None
    return outputs


def _has_gradients_of_its_own(layer):
    return any(getattr(layer, name, None) is not None for name in ("backward", "losses_backward"))


def untraced(layer):
    """Why the layer runs in Python, or None where it does not, or has not been called."""
    if not layer.traced:
        return "its class says traced = False"
    return next((reason for reason in layer._trace_verdicts.values() if reason is not None), None)


def call_layer(layer, args, kwargs):
    """A layer's call inside a call that is traced: its steps go to the same program."""
    from fastseq.layers import binding

    arguments = binding.bind(layer, args, kwargs)
    leaves = [leaf for value in arguments.values() for leaf in nest.flatten(value)]
    p = next(leaf.p for leaf in leaves if isinstance(leaf, Traced))
    first = [leaf for leaf in nest.flatten(next(iter(arguments.values()))) if isinstance(leaf, Traced)]
    timed = any(leaf.time is not None for leaf in leaves if isinstance(leaf, Traced))
    time = _time_of_call(layer, first, arguments) if timed else None
    slots = {
        name: nest.map_structure(lambda leaf: leaf.slot if isinstance(leaf, Traced) else leaf, value)
        for name, value in arguments.items()
    }
    outer = p.layer_name
    try:
        outputs = layer.trace(p, slots)
    finally:
        p.layer_name = outer
    return nest.map_structure(lambda slot: Traced(p, slot, time), outputs)


def _time_of_call(layer, tensors, arguments):
    if {leaf.time for leaf in tensors} == {0}:
        return 0  # rows of the batch, which no layer mixes where it does not train
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
    if untraced(layer) is not None:
        return None
    found = []
    for time in (7, 11):
        p, times, flags = ShapeBuilder(), {}, iter(zip(timed, shapes))

        def slot(leaf, p=p, times=times, flags=flags, time=time):
            if not hasattr(leaf, "shape") or isinstance(leaf, np.ndarray):
                return leaf
            is_timed, shape = next(flags, (False, leaf.shape))
            sizes = [time if axis == 1 and is_timed else size or 5 for axis, size in enumerate(shape)]
            made = p.new(sizes, leaf.dtype)
            if is_timed:
                times[id(made)] = 1
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
    if set(found[0]) - {None, 1}:
        return None
    return found[0][0] == 1


def output_shape(layer, input_shape):
    """The shape of what a call gives, or a nest of them, from a trace where nothing is computed; None where the call
    cannot be traced."""
    if untraced(layer) is not None:
        return None
    name = next(iter(layer._signature.parameters))
    structure, tensors = [], nest.flatten(nest.map_shapes(KerasTensor, input_shape))

    def trace(p, slots):
        given = iter(slots)
        result = _run(layer, p, {name: nest.map_shapes(lambda shape: next(given), input_shape)})
        structure[:] = [result]
        return nest.flatten(slots_of_result(p, result))

    try:
        found = [tensor.shape for tensor in traced_twice(trace, tensors)]
    except Exception:
        return None
    return nest.pack_like(structure[0], found) if nest.is_nested(structure[0]) else found[0]
