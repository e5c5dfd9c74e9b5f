"""Gradients of attention: its weights are computed anew from queries and keys, as a whole, (B, N, T, S)."""

import numpy as np

from fastseq.native.kinds import ACTIVATION_KINDS
from fastseq.program.attention import HIDDEN
from fastseq.program.products import matmul_step
from fastseq.program.slots import strides_of


class _Heads:
    """An array (B, T, groups, size) of the step as the batch of products sees it: (B, groups, heads of a group)."""

    def __init__(self, slot, group, heads):
        self.slot, (_, time, groups, size) = slot, slot.shape
        # Heads of queries stand side by side in their group; one head of keys serves them all.
        own = group * size if heads else size
        self.batch = [time * (groups * size), own, size if heads else 0]
        self.time, self.size = groups * size, size


def attention_rule(b, step):
    f = step["fields"]
    p, q, k, v, dy = b.p, f["q"], f["k"], f["v"], b.of(f["y"])
    batch, queries, heads, size = q.shape
    keys, groups, value_size = v.shape[1:]
    group = heads // groups
    sizes, scores_shape = [batch, groups, group], (batch, heads, queries, keys)
    apart = strides_of((*sizes, queries, keys))
    qs, ds = _Heads(q, group, True), _Heads(dy.reshaped((batch, queries, heads, value_size)), group, True)
    ks, vs = _Heads(k, group, False), _Heads(v, group, False)

    def over_keys(left, right):
        """(B, N, T, S): products of what queries and keys have."""
        found = p.new(scores_shape)
        matmul_step(
            p, left.slot, right.slot, found, sizes, (queries, left.size, keys), [*left.batch, left.time, 1],
            [*right.batch, 1, right.time], apart,
        )  # fmt: skip
        return found

    weights = _weights(p, f, over_keys(qs, ks))
    if b.wants(v):
        b.add(v, _of_keys(p, weights, ds, sizes, keys))
    if not (b.wants(q) or b.wants(k)):
        return
    d_weights, d_scores = over_keys(ds, vs), p.new(scores_shape)
    b.step(
        "row_activation_backward", y=weights, dy=d_weights, dx=d_scores, outer=batch * heads * queries, n=keys,
        inner=1, kind=ACTIVATION_KINDS["softmax"],
    )  # fmt: skip
    if f["mask"] is not None:  # a score that is hidden has no gradient, where all of a query's are hidden too
        d_scores = p.select(_seen(p, f, scores_shape), d_scores, p.constant(np.zeros(1, np.float32)))
    d_scores = p.affine(d_scores, f["scale"], 0.0)
    if b.wants(q):
        dq = p.new(q.shape)
        matmul_step(p, d_scores, k, dq, sizes, (queries, keys, size), apart, [*ks.batch, ks.time, 1],
                    [*qs.batch, qs.time, 1])  # fmt: skip
        b.add(q, dq)
    if b.wants(k):
        b.add(k, _of_keys(p, d_scores, qs, sizes, keys))


def _seen(p, f, shape):
    """Which scores count, a bool Slot that broadcasts to `shape`; None for all."""
    mask = f["mask"]
    if not f["causal"]:
        return mask
    tri = p.constant(np.tri(*shape[2:], dtype=bool))
    if mask is None:
        return tri
    whole = [p.broadcast(slot, shape) for slot in (mask, tri)]
    return p.mask_logic("and", *whole)


def _weights(p, f, scores):
    """The softmax of the scaled scores."""
    scores, seen = p.affine(scores, f["scale"], 0.0), _seen(p, f, scores.shape)
    if seen is not None:
        scores = p.select(seen, scores, p.constant(np.full(1, HIDDEN, np.float32)))
    return p.activation(("softmax", ()), scores)


def _of_keys(p, weights, of_queries, sizes, keys):
    """(B, S, groups, size): for each key the sum over the queries of all heads that it serves."""
    batch, groups, group = sizes
    queries, size = weights.shape[2], of_queries.size
    apart = strides_of((*sizes, queries, keys))
    found = p.new((group, batch, keys, groups, size))
    count = batch * keys * groups * size
    matmul_step(
        p, weights, of_queries.slot, found, sizes, (keys, queries, size), [*apart[:3], 1, keys],
        [*of_queries.batch, of_queries.time, 1], [keys * groups * size, size, count, groups * size, 1],
    )  # fmt: skip
    return found.reshaped(found.shape[1:]) if group == 1 else p.reduce("sum", found, (0,))
