"""Cells in NumPy float64: what every engine's output is held against."""

import convolutions
import numpy as np
from cells import EPSILON, HEADS

from fastseq import activations, layers
from fastseq.layers.normalization.batch_normalization import reference_batch_normalization
from fastseq.layers.normalization.layer_normalization import reference_layer_normalization


def attention(x, weights):
    """The average over time of x (B, T, C), weighted by softmax(x . weights (C, 1)): (B, C)."""
    logits = (x @ weights)[..., 0]
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True) + 1e-7
    return (x * shares[..., None]).sum(axis=1)


def normalized(x):
    """x less its mean over the last axis, over its standard deviation."""
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)


def own_lstm(x, kernel, recurrent, bias, gamma, state_gamma):
    """(B, T, units): the gates' sums are normalized before their bias, the state before its tanh."""
    sigmoid, outputs = activations.get("sigmoid"), []
    h = c = np.zeros((len(x), len(recurrent)))
    for t in range(x.shape[1]):
        i, f, g, o = np.split(normalized(x[:, t] @ kernel + h @ recurrent) * gamma + bias, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(normalized(c) * state_gamma)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def transformer(x, *weights):
    """Attention of HEADS heads and two dense layers, each with its input added, and normalized: (B, T, C)."""
    mixed, mixed_bias, out, out_bias, gamma1, beta1, wide, wide_bias, narrow, narrow_bias, gamma2, beta2 = weights
    parts = (x @ mixed + mixed_bias).reshape(*x.shape[:2], 3, HEADS, -1)
    query, key, value = parts.transpose(2, 0, 3, 1, 4)  # each (B, heads, T, C / heads)
    shares = np.exp(query @ key.swapaxes(-1, -2) / np.sqrt(query.shape[-1]))
    heads = shares / shares.sum(axis=-1, keepdims=True) @ value
    attended = heads.swapaxes(1, 2).reshape(x.shape) @ out + out_bias
    x = normalized(x + attended) * gamma1 + beta1
    return normalized(x + np.maximum(x @ wide + wide_bias, 0) @ narrow + narrow_bias) * gamma2 + beta2


def multi_head_attention(x, causal, *weights):
    """(B, T, C) of (B, T, C); weights as Keras's layer has them."""
    parts = [np.einsum("btc,cnh->bnth", x, weights[i]) + weights[i + 1][:, None] for i in (0, 2, 4)]
    scores = parts[0] @ parts[1].swapaxes(-1, -2) / np.sqrt(parts[0].shape[-1])
    if causal:
        scores = np.where(np.tri(x.shape[1], dtype=bool), scores, -np.inf)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    heads = shares / shares.sum(axis=-1, keepdims=True) @ parts[2]
    return np.einsum("bnth,nhc->btc", heads, weights[6]) + weights[7]


USERS = {
    "OwnLSTM": own_lstm, "Attention": attention, "Transformer": transformer,
    "InstantNorm": lambda x, gamma, beta: normalized(x) * gamma + beta,
}  # fmt: skip


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
        if step.kind in USERS:
            return USERS[step.kind](x, *weights[n])
        if step.kind == "MultiHeadAttention":
            return multi_head_attention(x, step.causal, *weights[n])
        if step.kind in convolutions.KINDS:
            return convolutions.reference(step, x, *weights[n])
        if step.kind == "Last":
            return x[:, -1]
        if step.recurrent:
            return recurrence(step, x, weights[n], mask)
        if step.kind == "Dense":
            return activations.get(step.activation)(x @ weights[n][0] + weights[n][1])
        if step.kind == "Embedding":
            return weights[n][0][x]
        if step.kind == "RepeatVector":
            return np.repeat(x[:, None], step.units, axis=1)
        if step.kind == "LayerNormalization":
            return reference_layer_normalization(x, *weights[n], epsilon=EPSILON)
        if step.kind == "BatchNormalization":
            return reference_batch_normalization(x, *weights[n], epsilon=EPSILON)
        return np.concatenate([x, *others], axis=-1)

    return [cell.walk(x if cell.ids else x.astype("f8"), apply) for x in inputs or cell.inputs()]
