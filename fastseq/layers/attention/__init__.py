"""Layers that weigh the timesteps of one sequence by those of another, or of the same one."""

from fastseq.configs.lazy_names import Names, face

_NAMES = Names("fastseq.layers", {
    "attention.additive_attention": "AdditiveAttention",
    "attention.attention": "Attention",
    "attention.grouped_query_attention": "GroupQueryAttention",
    "attention.multi_head_attention": "MultiHeadAttention",
})  # fmt: skip

__all__ = list(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)
