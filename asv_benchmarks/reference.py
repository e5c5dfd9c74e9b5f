"""Cells in NumPy float64: what every engine's output is held against."""

import numpy as np

from fastseq import activations, layers


def attention(x, weights):
    """The average over time of x (B, T, C), weighted by softmax(x . weights (C, 1)): (B, C)."""
    logits = (x @ weights)[..., 0]
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True) + 1e-7
    return (x * shares[..., None]).sum(axis=1)


def recurrence(step, x, weights, mask):
    """(B, T, units), or (B, units) of the last step; both directions side by side where there are two."""
    options = {"reset_after": step.kind == "GRU"} if step.kind.startswith("GRU") else {}
    outputs = []
    for i in range(1 + step.bidirectional):
        layer = getattr(layers, step.kind.split("_")[0])(step.units, go_backwards=bool(i), **options)
        found, _ = layer.reference(x, weights[3 * i : 3 * i + 3], mask)
        if step.sequences:
            outputs.append(found[:, ::-1] if i else found)
        else:
            outputs.append(found[:, -1])
    return np.concatenate(outputs, axis=-1)


def float64(cell, inputs=None):
    """A list of arrays, one for each of the cell's inputs or those given, by the naive twins of the layers."""
    mask = cell.mask()
    weights = [[w.astype("f8") for w in own] for own in cell.weights()]

    def apply(n, step, x, *others):
        if step.recurrent:
            return recurrence(step, x, weights[n], mask)
        if step.kind == "Dense":
            return activations.get(step.activation)(x @ weights[n][0] + weights[n][1])
        if step.kind == "Embedding":
            return weights[n][0][x]
        if step.kind == "RepeatVector":
            return np.repeat(x[:, None], step.units, axis=1)
        if step.kind == "Concatenate":
            return np.concatenate([x, *others], axis=-1)
        return attention(x, weights[n][0])

    return [cell.walk(x if cell.ids else x.astype("f8"), apply) for x in inputs or cell.inputs()]
