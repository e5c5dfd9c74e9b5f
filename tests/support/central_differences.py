"""Gradients of recurrent layers by central differences of their naive twins in float64, all elements in one walk."""

import numpy as np

from fastseq.layers.recurrent.reference import reference_recurrence

STATES = ("h0", "c0")
WEIGHTS = ("kernel", "recurrent", "bias")
STEP = 1e-5


def double(arrays):
    return {name: array.astype("f8") for name, array in arrays.items()}


def differences(twin, states, values, gradients, mask=None, go_backwards=False, zero_masked=False):
    """The gradients of sum(y dy) + sum(hn dhn) + sum(cn dcn) by each of `values`, element by element.

    twin: function of a list of weights (kernel, recurrent, bias) that gives the step (x (..., B, I), states) -> (y,
    states) of one timestep; states: how many it has; values: x (B, T, I), perhaps h0 and c0 (B, H), and the weights, by
    name; gradients: dy (B, T, H) or (B, H), perhaps dhn and dcn (B, H); mask: None or (B, T) bool.
    """
    values, gradients = double(values), double(gradients)
    found = {}
    for name, array in values.items():
        moves = STEP * np.eye(array.size).reshape(array.size, *array.shape)
        copies = {other: value[None] for other, value in values.items()}
        copies[name] = np.concatenate([array + moves, array - moves])
        up, down = np.split(_losses(twin, states, copies, gradients, mask, go_backwards, zero_masked), 2)
        found[name] = ((up - down) / (2 * STEP)).reshape(array.shape)
    return found


def _losses(twin, states, copies, gradients, mask, go_backwards, zero_masked):
    """(P,) losses; copies: the values with a leading axis of P copies, or of one for all.

    The walk goes over the second axis, so x is (P, T, B, I) here.
    """
    bias = copies["bias"]
    bias = bias[:, None] if bias.ndim == 2 else np.moveaxis(bias, 1, 0)[:, :, None]  # (P, 1, n) or two of these
    step = twin([copies["kernel"], copies["recurrent"], bias])
    x = np.moveaxis(copies["x"], 2, 1)
    zeros = np.zeros((1, x.shape[2], copies["recurrent"].shape[1]))
    initial = [copies.get(name, zeros) for name in STATES[:states]]
    mask = None if mask is None else mask.T[None]
    outputs, final = reference_recurrence(step, x, initial, mask, go_backwards, zero_masked)
    dy = gradients["dy"]
    parts = [outputs * np.swapaxes(dy, 0, 1) if dy.ndim == 3 else outputs[:, -1] * dy]
    parts += [state * gradients[name] for state, name in zip(final, ("dhn", "dcn")) if name in gradients]
    return sum(np.sum(part, axis=tuple(range(1, part.ndim))) for part in parts)
