"""AdditiveAttention layer (Bahdanau); see https://keras.io/api/layers/attention_layers/additive_attention/."""

import numpy as np

from fastseq import ops
from fastseq.layers.attention.scored import ScoredAttention, softmax_of_scores


class AdditiveAttention(ScoredAttention):
    """softmax(scores) value, a score being the sum of scale tanh(query + key) (Bahdanau et al. 2015).

    Call: `layer([query, value, key], mask=None, training=False, return_attention_scores=False, use_causal_mask=False)`
    with query (B, Tq, D), value (B, Tv, V) and key (B, Tv, D), by default the value. The result is (B, Tq, V), with
    the scores behind the softmax (B, Tq, Tv) beside it where they are wanted. Masks are those of `Attention`.

    Args:
        use_scale (bool, default True): Whether each of the D terms of a score has a weight; else they count as they
            are.
        dropout (float, default 0.0): Share of the weights of values that are dropped with training=True.
        **kwargs: `seed` (int or None), and `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Other than two or three inputs, and shapes that do not fit.

    Example:
        >>> query, value = np.zeros((2, 3, 4)), np.ones((2, 5, 4))
        >>> layers.AdditiveAttention()([query, value]).shape
        (2, 3, 4)
    """

    def __init__(self, use_scale=True, dropout=0.0, **kwargs):
        super().__init__(use_scale, dropout, **kwargs)

    def _add_weights(self, input_shape):
        if self.use_scale:
            self.scale = self.add_weight((input_shape[0][-1],), "glorot_uniform", name="scale")

    def _scores(self, query, key):
        sums = ops.tanh(ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3)))
        return ops.sum(sums if self.scale is None else ops.multiply(sums, self.scale), axis=-1)


def reference_additive_attention(query, value, key=None, hidden=None, scale=1.0):
    """The naive twin, in the dtype of its arrays: (B, Tq, D), (B, Tv, V), (B, Tv, D); hidden bool (B, Tq, Tv)."""
    key = value if key is None else key
    scores = (scale * np.tanh(query[:, :, None] + key[:, None])).sum(axis=-1)
    return np.einsum("bqv,bvd->bqd", softmax_of_scores(scores, hidden), value)
