"""The rows of the attention layers in the table of layers (layer_cases.py).

What is compared with Keras, calls of several inputs and their masks, is in tests/layers/attention/.
"""

from layer_rows import Case

ALL = "it attends to all timesteps"
CAUSAL = f"{ALL}, where use_causal_mask=True takes those up to each one's own"


def _pair(name, **options):
    return lambda k, x: getattr(k, name)(**options)([x, k.Dense(6)(x)])


CASES = {
    "AdditiveAttention": Case(_pair("AdditiveAttention", dropout=0.2), ALL),
    "Attention": Case(_pair("Attention", use_scale=True, score_mode="concat", dropout=0.2), ALL),
    "GroupQueryAttention": Case(
        lambda k, x: k.GroupQueryAttention(3, 4, 2)(x, x), CAUSAL,
        raises=((lambda k: k.GroupQueryAttention(3, 4, 3), "`num_query_heads` must be divisible"),),
    ),
    "MultiHeadAttention": Case(
        lambda k, x: k.MultiHeadAttention(2, 3, dropout=0.2)(x, x), CAUSAL,
        raises=(
            (lambda k: k.MultiHeadAttention(0, 3), "`num_heads` must be a positive integer, got 0"),
            (lambda k: k.MultiHeadAttention(2, 2.5), "`key_dim` must be a positive integer, got 2.5"),
            (lambda k: k.MultiHeadAttention(2, 3, sliding_window=0), "`sliding_window` must be None or a positive"),
            (lambda k: k.MultiHeadAttention(2, 3, dropout=0.1, flash_attention=True), "exclude each other"),
        ),
    ),
}  # fmt: skip
