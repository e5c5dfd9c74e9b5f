"""GroupQueryAttention layer; see https://keras.io/api/layers/attention_layers/group_query_attention/."""

import math

from fastseq import ops
from fastseq.layers.attention.projected import ProjectedAttention
from fastseq.tensors.naming import auto_name


class GroupQueryAttention(ProjectedAttention):
    """Attention of several heads of queries to fewer heads of keys and values (Ainslie et al. 2023).

    Called as `MultiHeadAttention`, with query (B, T, E) and value and key (B, S, E).

    Args:
        head_dim (int): Size of a head.
        num_query_heads (int): Heads of queries.
        num_key_value_heads (int): Heads of keys and values, each for as many heads of queries.
        dropout (float, default 0.0): Share of the weights of values that are dropped with training=True.
        use_bias (bool, default True): Whether the products have biases.
        sliding_window (int, default None): A query sees values less than this away; None is any distance.
        flash_attention (bool, default None): True changes no number; with dropout or scores wanted it raises, as in
            Keras.
        kernel_initializer (str, dict or Initializer, default "glorot_uniform"): What the kernels begin as.
        bias_initializer (str, dict or Initializer, default "zeros"): What the biases begin as.
        kernel_regularizer (str, dict or Regularizer, default None): Penalty on the kernels in training.
        bias_regularizer (str, dict or Regularizer, default None): Penalty on the biases in training.
        activity_regularizer (str, dict or Regularizer, default None): Penalty on what the products give, and on the
            result, in training.
        kernel_constraint (str, dict or Constraint, default None): Applied to the kernels after each step of training.
        bias_constraint (str, dict or Constraint, default None): Applied to the biases after each step of training.
        use_gate (bool, default False): Whether each head's result is multiplied by a sigmoid of the query.
        seed (int or None, default None): Seed of the dropout; None draws one.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Heads that do not divide, and shapes that do not fit.

    Example:
        >>> layer = layers.GroupQueryAttention(head_dim=4, num_query_heads=4, num_key_value_heads=2)
        >>> x = np.zeros((2, 5, 8))
        >>> layer(x, x).shape
        (2, 5, 8)
    """

    class_in_keras = "GroupedQueryAttention"  # by which Keras names layers and weights; its users call it as we do

    def __init__(
        self, head_dim, num_query_heads, num_key_value_heads, dropout=0.0, use_bias=True, sliding_window=None,
        flash_attention=None, kernel_initializer="glorot_uniform", bias_initializer="zeros", kernel_regularizer=None,
        bias_regularizer=None, activity_regularizer=None, kernel_constraint=None, bias_constraint=None, use_gate=False,
        seed=None, **kwargs,
    ):  # fmt: skip
        kwargs["name"] = kwargs.get("name") or auto_name(self.class_in_keras)
        super().__init__({
            "dropout": dropout, "use_bias": use_bias, "sliding_window": sliding_window,
            "flash_attention": flash_attention, "kernel_initializer": kernel_initializer,
            "bias_initializer": bias_initializer, "kernel_regularizer": kernel_regularizer,
            "bias_regularizer": bias_regularizer, "activity_regularizer": activity_regularizer,
            "kernel_constraint": kernel_constraint, "bias_constraint": bias_constraint, "use_gate": use_gate,
            "seed": seed,
        }, **kwargs)  # fmt: skip
        if num_query_heads % num_key_value_heads:
            raise ValueError(
                f"GroupQueryAttention: `num_query_heads` must be divisible by `num_key_value_heads`, got "
                f"{num_query_heads} and {num_key_value_heads}."
            )
        self.head_dim = head_dim
        self.num_query_heads = num_query_heads
        self.num_key_value_heads = num_key_value_heads

    # ---- building ------------------------------------------------------------------------------------------------

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        queries, others, size = self.num_query_heads, self.num_key_value_heads, self.head_dim
        self._query_dense = self._dense("query", "bqm,muh->bquh", (None, queries, size), "uh", query_shape)
        self._key_dense = self._dense("key", "bkm,mvh->bkvh", (None, others, size), "vh", key_shape)
        if self.use_gate:
            self._gate_dense = self._dense(
                "gate", "bqm,muh->bquh", (None, queries, size), "uh", query_shape, "sigmoid"
            )  # fmt: skip
        self._value_dense = self._dense("value", "bkm,mvh->bkvh", (None, others, size), "vh", value_shape)
        self._build_softmax(-1)
        shape = (None, None, queries, size)
        self._output_dense = self._dense("attention_output", "bquh,uhm->bqm", (None, query_shape[-1]), "m", shape)
        self.built = True

    def compute_output_shape(self, query_shape, value_shape, key_shape=None):
        if query_shape[-1] != value_shape[-1]:
            raise ValueError(
                f"Layer '{self.name}' (GroupQueryAttention) takes `query` and `value` of one last size, got shapes "
                f"{tuple(query_shape)} and {tuple(value_shape)}."
            )
        self._check_lengths(value_shape, value_shape if key_shape is None else key_shape)
        return tuple(query_shape)

    def _scores_shape(self, query_shape, value_shape):
        return (query_shape[0], self.num_query_heads, query_shape[1], value_shape[1])

    # ---- running -------------------------------------------------------------------------------------------------

    def _scale(self):
        return 1.0 / math.sqrt(self.head_dim)

    def _attended_axes(self):
        return 1

    def _equations(self, rank):
        return "bkuh,bquh->buqk", "buqk,bkuh->bquh"

    def _repeated(self, x):
        return ops.repeat(x, self.num_query_heads // self.num_key_value_heads, axis=2)

    # ---- files ---------------------------------------------------------------------------------------------------

    def get_config(self):
        return {
            **super().get_config(), "head_dim": self.head_dim, "num_query_heads": self.num_query_heads,
            "num_key_value_heads": self.num_key_value_heads, "use_bias": self.use_bias, "use_gate": self.use_gate,
            "sliding_window": self.sliding_window, "dropout": self.dropout, **self._parts_config(), "seed": self.seed,
        }  # fmt: skip
