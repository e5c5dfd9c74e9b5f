"""Attention between queries, keys and values: the step "attention" (src_c/kernels/attention_inl.h).

Scores stand in blocks that never leave the caches; all arrays are read by strides.
"""

from fastseq.native.kinds import ATTENTION_SIZE
from fastseq.program import gradient_rules
from fastseq.program.slots import strides_over

gradient_rules.register("attention", "gradients.attention:attention_rule")

HIDDEN = 3.38953e38 * -0.7  # the score of what a mask hides, as in Keras


def is_fused(p, q, k, v):
    """Whether the step takes such shapes: (B, T, N, H), (B, S, K, H) and (B, S, K, V), N a multiple of K."""
    sizes = (*q, *k, *v)
    if not all(type(size) is int and size > 0 for size in sizes) or set(sizes) & set(_unknown(p)):
        return False
    batches = q[0] == k[0] == v[0]
    return batches and k[:3] == v[:3] and q[2] % k[2] == 0 and q[3] == k[3] and max(q[3], v[3]) <= ATTENTION_SIZE


def _unknown(p):
    return getattr(p, "unknown", ())


def attention_step(p, q, k, v, scale, causal, mask=None, place=None):
    """Adds the step and returns its result, (B, T, N, V).

    Args:
        p (Builder): Gets the step.
        q, k, v (Slot): float32, as of `is_fused`.
        scale (float): What scores are multiplied by.
        causal (bool): Whether a query sees the keys up to its own place alone.
        mask (Slot): bool, which broadcasts to (B, N, T, S); None hides nothing.
        place (Slot): float32 (B), the place of the first query among the keys; None is 0.
    """
    batch, queries, heads, size = q.shape
    _, keys, groups, value_size = v.shape
    y = p.new((batch, queries, heads, value_size))
    strides = (0, 0, 0, 0)
    if mask is not None:
        strides = strides_over((1,) * (4 - len(mask.shape)) + tuple(mask.shape))
    p.step(
        "attention", q=q, k=k, v=v, mask=mask, place=place, y=y, stats=None, batch=batch, queries=queries, keys=keys,
        heads=heads, group=heads // groups, size=size, value_size=value_size, causal=int(causal), scale=scale,
        q_batch=queries * heads * size, q_time=heads * size, q_head=size, k_batch=keys * groups * size,
        k_time=groups * size, k_head=size, v_batch=keys * groups * value_size, v_time=groups * value_size,
        v_head=value_size, m_batch=strides[0], m_head=strides[1], m_time=strides[2], m_key=strides[3],
    )  # fmt: skip
    return y
