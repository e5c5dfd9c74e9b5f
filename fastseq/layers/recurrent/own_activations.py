"""Recurrent layers whose activations are a user's functions, as native steps: the twin in NumPy is traced."""

from types import SimpleNamespace

from fastseq import activations
from fastseq.layers.recurrent import traced_cells
from fastseq.ops import functions
from fastseq.tensors import nest


class _Twin:
    """The layer's formula as a cell."""

    def __init__(self, layer):
        self._layer = layer

    def __call__(self, inputs, states):
        layer = self._layer
        return layer._reference_step((layer.kernel, layer.recurrent_kernel, layer.bias))(inputs, states)


def emit(layer, p, sequences, mask, initial, fields, go_backwards):
    """(Slot of the outputs in the order in which they are computed, Slots of the states), or None where one of the
    functions cannot be traced.

    Arguments as of `_python_step`.
    """
    batch = sequences.shape[0]
    try:
        for function in layer._functions():
            if activations.native_spec(function) is None:
                given = [p.new((batch, layer.units))]
                functions.check(lambda given, function=function: function(*given), given, p, owner=function)
    except Exception as error:
        layer._traces.note("activation", f"its activation is not traced: {functions.reason_of(error)}")
        return None
    if initial[0] is None:
        initial = [p.constant(state) for state in layer.get_initial_state(batch)]
    walked = SimpleNamespace(
        go_backwards=go_backwards, zero_output_for_mask=fields["zero_masked"], name=layer.name, _traces=layer._traces
    )
    found = traced_cells.emit(
        walked, p, _Twin(layer), sequences, list(initial), mask, None, bool(fields["sequences"]), inner=False
    )
    return None if found is None else (found[0], nest.flatten(found[1]))
