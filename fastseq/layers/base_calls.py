"""Subclasses of native layers that override `call`: their own call runs, and the native layer in its super().call()."""

import inspect

from fastseq.layers import binding, traced_calls
from fastseq.program.cache import ProgramCache


def emit(layer, p, arguments):
    """What `layer.emit(p, **arguments)` adds, or the layer's own `call` where it overrides that of a native class."""
    if layer._is_python and _overrides(type(layer)):
        return traced_calls.emit(layer, p, arguments)
    return layer.emit(p, **arguments)


def _overrides(cls):
    """Whether `call` is defined nearer to the class than `emit`."""
    for base in cls.__mro__:
        if "emit" in vars(base):
            return False
        if "call" in vars(base):
            return True
    return False


def run(layer, args, kwargs):
    """`Layer.call`: the native layer on arrays, or in what is traced."""
    base = layer
    if layer._is_python:
        base = layer.__dict__.get("_base_call")
        if base is None or base._layer is not layer:  # none yet, or that of the layer it was copied from
            base = _BaseCall(layer)
            object.__setattr__(layer, "_base_call", base)
    if traced_calls.is_tracing() and traced_calls.belongs_to_trace(args, kwargs):
        return traced_calls.call_layer(base, args, kwargs)
    return base._programs.run(base, binding.convert(base, binding.bind(base, args, kwargs)))


class _BaseCall:
    """A layer as its native class computes it."""

    _is_python = False
    _rest_argument = None

    def __init__(self, layer):
        self._layer = layer
        self._programs = ProgramCache()
        signature = inspect.signature(layer.emit)
        self._signature = signature.replace(parameters=list(signature.parameters.values())[1:])

    def __getattr__(self, name):
        return getattr(self._layer, name)

    def trace(self, p, arguments):
        """As `Layer.trace`, without the layer's own call, masks and penalties."""
        p.use(self._layer)
        arguments, _ = binding.fill_masks_and_training(self, p, arguments)
        if "mask" not in self._signature.parameters:
            arguments.pop("mask", None)
        return self._layer.emit(p, **arguments)
