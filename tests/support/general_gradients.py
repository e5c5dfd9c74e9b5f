"""Gradients of layers on the general recurrent kernel, by the steps that training strings, and their float64 twin.

Dropout factors are given, by kind ("dropout", "recurrent_dropout"): arrays (gates, B, n) of 0 and 1 / (1 - rate).
"""

import numpy as np
from central_differences import STATES, WEIGHTS, double
from central_differences import differences as central_differences

from fastseq.gradients import append_backward
from fastseq.program.builder import Builder
from fastseq.program.program import Program


def general_gradients(layer, values, gradients, factors=None, mask=None, go_backwards=False, zero_masked=False):
    """(y and final states, dict of gradients) of one walk of a built `layer`.

    values: x, perhaps h0 and c0; gradients: dy, of (B, T, H) or (B, H), perhaps dhn and dcn.
    """
    p = Builder(training=True, trains=True)
    slots = {name: p.constant(array) for name, array in values.items()}
    batch, time, _ = values["x"].shape
    units, sequences = layer.units, gradients["dy"].ndim == 3
    y = p.new(gradients["dy"].shape)
    initial = [slots.get(name) for name in STATES[: layer.state_count]]
    final = [p.new((batch, units)) for _ in range(layer.state_count)]
    layer.walk(
        p, slots["x"], None if mask is None else p.constant(mask), initial, final, True, y,
        time * units if sequences else units, units, return_sequences=sequences, go_backwards=go_backwards,
        zero_output_for_mask=zero_masked, draw=lambda p, kind, batch, width: p.constant(factors[kind]),
    )()  # fmt: skip
    assert any(step["op"] == "recurrent_general" for step in p.steps)
    outputs = dict(zip(("dy", "dhn", "dcn"), (y, *final)))
    slots |= {name: p.weight(weight) for name, weight in zip(WEIGHTS, layer.weights)}
    ends = [(outputs[name], p.constant(array)) for name, array in gradients.items()]
    found = dict(zip(slots, append_backward(p, ends, list(slots.values()))))
    results = Program(p, [], [y, *final, *found.values()]).run(())
    count = 1 + layer.state_count
    return results[:count], dict(zip(found, results[count:]))


def _gates(array, gates):
    return np.split(array, gates, axis=-1)


def twin_step(layer, weights, factors):
    """One step of the layer with dropout factors, (x, states) -> (output, states), in the arrays' dtype."""
    kernel, recurrent, bias = weights
    gates, cell = layer.gates, layer._operation()
    act, rec = layer._functions()

    def times(kind, array, gate):
        given = None if factors is None else factors.get(kind)
        return array if given is None else array * given[gate if len(given) > 1 else 0]

    def products(kind, array, weight):
        return [times(kind, array, g) @ part for g, part in enumerate(_gates(weight, gates))]

    def step(x, states):
        h = states[0]
        given, inner = bias if cell == "gru" else (bias, np.zeros_like(bias))
        sums = [part + more for part, more in zip(products("dropout", x, kernel), _gates(given, gates))]
        from_h = [part + more for part, more in zip(products("recurrent_dropout", h, recurrent), _gates(inner, gates))]
        if cell == "simple_rnn":
            h = act(sums[0] + from_h[0])
            return h, [h]
        if cell == "lstm":
            i, f, g, o = (a + b for a, b in zip(sums, from_h))
            c = rec(f) * states[1] + rec(i) * act(g)
            h = rec(o) * act(c)
            return h, [h, c]
        z, r = rec(sums[0] + from_h[0]), rec(sums[1] + from_h[1])
        if cell == "gru":
            candidate = act(sums[2] + r * from_h[2])
        else:
            candidate = act(sums[2] + times("recurrent_dropout", r * h, 2) @ _gates(recurrent, gates)[2])
        h = z * h + (1 - z) * candidate
        return h, [h]

    return step


def differences(layer, values, gradients, factors=None, **walk):
    """The gradients by each of `values` and of the layer's weights, by central differences in float64."""
    factors = None if factors is None else double(factors)
    values = values | dict(zip(WEIGHTS, layer.get_weights()))
    return central_differences(
        lambda weights: twin_step(layer, weights, factors), layer.state_count, values, gradients, **walk
    )
