"""Attention layer (Luong); see https://keras.io/api/layers/attention_layers/attention/."""

import numpy as np

from fastseq import ops
from fastseq.layers.attention.scored import ScoredAttention, softmax_of_scores


class Attention(ScoredAttention):
    """softmax(scores) value, the scores being products of queries and keys (Luong et al. 2015).

    Call: `layer([query, value, key], mask=None, training=False, return_attention_scores=False, use_causal_mask=False)`
    with query (B, Tq, D), value (B, Tv, V) and key (B, Tv, D), by default the value. The result is (B, Tq, V), with
    the scores behind the softmax (B, Tq, Tv) beside it where they are wanted. mask: [query_mask (B, Tq), value_mask
    (B, Tv)]: hidden values get no weight, hidden queries give zeros. With use_causal_mask a query sees the values up to
    its own place.

    Args:
        use_scale (bool, default False): Whether scores are multiplied by a weight, which begins as 1.
        score_mode (str, default "dot"): "dot", query . key; or "concat", a weight times the sum of tanh(query + key).
        dropout (float, default 0.0): Share of the weights of values that are dropped with training=True.
        seed (int or None, default None): Seed of the dropout; None draws one.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Another score_mode, other than two or three inputs, and shapes that do not fit.

    Example:
        >>> query, value = np.zeros((2, 3, 4)), np.ones((2, 5, 4))
        >>> layers.Attention()([query, value]).shape
        (2, 3, 4)
    """

    def __init__(self, use_scale=False, score_mode="dot", dropout=0.0, seed=None, **kwargs):
        super().__init__(use_scale, dropout, seed, **kwargs)
        if score_mode not in ("dot", "concat"):
            raise ValueError(f"Attention: `score_mode` must be 'dot' or 'concat', got {score_mode!r}.")
        self.score_mode = score_mode
        self.concat_score_weight = None

    def _add_weights(self, input_shape):
        if self.use_scale:
            self.scale = self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def _scores(self, query, key):
        if self.score_mode == "dot":
            scores = ops.matmul(query, ops.swapaxes(key, -2, -1))
            return scores if self.scale is None else ops.multiply(scores, self.scale)
        sums = ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3))
        if self.scale is not None:
            sums = ops.multiply(sums, self.scale)
        return ops.multiply(ops.sum(ops.tanh(sums), axis=-1), self.concat_score_weight)

    def _own_config(self):
        return {"score_mode": self.score_mode}


def reference_attention(query, value, key=None, hidden=None, scale=1.0, concat_score_weight=None):
    """The naive twin, in the dtype of its arrays: (B, Tq, D), (B, Tv, V), (B, Tv, D); hidden bool (B, Tq, Tv)."""
    key = value if key is None else key
    if concat_score_weight is None:
        scores = scale * np.einsum("bqd,bvd->bqv", query, key)
    else:
        scores = concat_score_weight * np.tanh(scale * (query[:, :, None] + key[:, None])).sum(axis=-1)
    return np.einsum("bqv,bvd->bqd", softmax_of_scores(scores, hidden), value)
