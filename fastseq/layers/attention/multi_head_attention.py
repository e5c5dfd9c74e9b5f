"""MultiHeadAttention layer; see https://keras.io/api/layers/attention_layers/multi_head_attention/."""

import math
import string

from fastseq.layers import arguments
from fastseq.layers.attention.projected import ProjectedAttention


class MultiHeadAttention(ProjectedAttention):
    """Attention of several heads, each with products of its own (Vaswani et al. 2017).

    Call: `layer(query, value, key=None, query_mask=None, value_mask=None, key_mask=None, attention_mask=None,
    return_attention_scores=False, training=None, use_causal_mask=False)` with query (B, T, ...), value and key
    (B, S, ...), the key by default the value. The result is (B, T, E), E being the query's last size or output_shape;
    beside it stand the scores behind the softmax (B, num_heads, T, S) where they are wanted. Masks that ride on the
    inputs hide queries (B, T) and values (B, S); attention_mask (B, T, S) says what each query sees, and with
    use_causal_mask it sees nothing behind its own place. As in Keras, a query_mask counts that the query carries, and
    no other.

    Args:
        num_heads (int): Heads.
        key_dim (int): Size of a head's queries and keys.
        value_dim (int, default None): Size of a head's values; None is key_dim.
        dropout (float, default 0.0): Share of the weights of values that are dropped with training=True.
        use_bias (bool, default True): Whether the products have biases.
        output_shape (int or tuple, default None): The result's sizes behind the timesteps; None is the query's last.
        attention_axes (int or tuple, default None): Axes over which it attends; None are all but batch and features.
        sliding_window (int, default None): A query sees values less than this away; None is any distance.
        flash_attention (bool, default None): True changes no number; with dropout or scores wanted it raises, as in
            Keras.
        kernel_initializer (str, dict or Initializer, default "glorot_uniform"): What the kernels begin as.
        bias_initializer (str, dict or Initializer, default "zeros"): What the biases begin as.
        kernel_regularizer (str, dict or Regularizer, default None): Penalty on the kernels in training.
        bias_regularizer (str, dict or Regularizer, default None): Penalty on the biases in training.
        activity_regularizer (str, dict or Regularizer, default None): Penalty on what the products give in training.
        kernel_constraint (str, dict or Constraint, default None): Applied to the kernels after each step of training.
        bias_constraint (str, dict or Constraint, default None): Applied to the biases after each step of training.
        use_gate (bool, default False): Whether each head's result is multiplied by a sigmoid of the query.
        seed (int or None, default None): Seed of the dropout; None draws one.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Sizes that are no positive integers, other axes, and shapes that do not fit.

    Example:
        >>> layer, x = layers.MultiHeadAttention(num_heads=2, key_dim=4), np.zeros((2, 5, 8))
        >>> layer(x, x, use_causal_mask=True).shape
        (2, 5, 8)
    """

    def __init__(
        self, num_heads, key_dim, value_dim=None, dropout=0.0, use_bias=True, output_shape=None, attention_axes=None,
        sliding_window=None, flash_attention=None, kernel_initializer="glorot_uniform", bias_initializer="zeros",
        kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None, kernel_constraint=None,
        bias_constraint=None, use_gate=False, seed=None, **kwargs,
    ):  # fmt: skip
        for name, value in (("num_heads", num_heads), ("key_dim", key_dim), ("value_dim", value_dim)):
            if (value is not None or name != "value_dim") and (not isinstance(value, int) or value <= 0):
                raise ValueError(f"MultiHeadAttention: `{name}` must be a positive integer, got {value!r}.")
        super().__init__({
            "dropout": dropout, "use_bias": use_bias, "sliding_window": sliding_window,
            "flash_attention": flash_attention, "kernel_initializer": kernel_initializer,
            "bias_initializer": bias_initializer, "kernel_regularizer": kernel_regularizer,
            "bias_regularizer": bias_regularizer, "activity_regularizer": activity_regularizer,
            "kernel_constraint": kernel_constraint, "bias_constraint": bias_constraint, "use_gate": use_gate,
            "seed": seed,
        }, **kwargs)  # fmt: skip
        self.num_heads, self.key_dim, self.value_dim = num_heads, key_dim, value_dim or key_dim
        self._output_shape = _sizes(output_shape)
        if isinstance(attention_axes, int):
            attention_axes = (attention_axes,)
        if attention_axes and not isinstance(attention_axes, (list, tuple)):
            raise ValueError(f"MultiHeadAttention: `attention_axes` are an integer or several, got {attention_axes!r}.")
        self.attention_axes = None if attention_axes is None else tuple(attention_axes)

    def _of_parts(self, name):
        # Keras's layer has no penalty of its own: those inside have it.
        return "_parts_activity_regularizer" if name == "activity_regularizer" else name

    @property
    def query_dense(self):
        """The product that queries go through, an EinsumDense; None before the layer is built."""
        return self._query_dense

    @property
    def key_dense(self):
        """The product that keys go through, an EinsumDense; None before the layer is built."""
        return self._key_dense

    @property
    def value_dense(self):
        """The product that values go through, an EinsumDense; None before the layer is built."""
        return self._value_dense

    @property
    def output_dense(self):
        """The product that the heads' results go through, an EinsumDense; None before the layer is built."""
        return self._output_dense

    # ---- building ------------------------------------------------------------------------------------------------

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        self._check_lengths(value_shape, key_shape)
        self._query_dense = self._head_dense("query", query_shape, self.key_dim)
        self._key_dense = self._head_dense("key", key_shape, self.key_dim)
        if self.use_gate:
            self._gate_dense = self._head_dense("gate", query_shape, self.value_dim, "sigmoid")
        self._value_dense = self._head_dense("value", value_shape, self.value_dim)
        rank = len(value_shape) + 1
        axes = range(1, rank - 2) if self.attention_axes is None else self.attention_axes
        self.attention_axes = tuple(axis if axis >= 0 else rank - 1 + axis for axis in axes)
        count = rank + len(self.attention_axes) - 1
        self._build_softmax(tuple(range(count - len(self.attention_axes), count)))
        output_shape = self._output_shape or (query_shape[-1],)
        equation, bias_axes = _product(len(query_shape) - 1, 2, len(output_shape))
        free = [None] * (len(query_shape) - 2)
        inputs = (*query_shape[:-1], self.num_heads, self.value_dim)
        self._output_dense = self._dense("attention_output", equation, [*free, *output_shape], bias_axes, inputs)
        self.built = True

    def _head_dense(self, name, shape, size, activation=None):
        equation, bias_axes = _product(len(shape) - 1, 1, 2)
        output_shape = [*[None] * (len(shape) - 2), self.num_heads, size]
        return self._dense(name, equation, output_shape, bias_axes, shape, activation)

    def compute_output_shape(self, query_shape, value_shape, key_shape=None):
        self._check_lengths(value_shape, value_shape if key_shape is None else key_shape)
        return (*query_shape[:-1], *(self._output_shape or query_shape[-1:]))

    def _scores_shape(self, query_shape, value_shape):
        axes = [axis for axis in range(len(query_shape) - 1) if axis not in self.attention_axes]
        return (
            *(query_shape[axis] for axis in axes), self.num_heads,
            *(query_shape[axis] for axis in self.attention_axes), *(value_shape[axis] for axis in self.attention_axes),
        )  # fmt: skip

    # ---- running -------------------------------------------------------------------------------------------------

    def _take_masks(self, p, inputs, masks):
        if not p.mask_rules.explicit:
            return [slot.mask for slot in inputs]  # Keras 2's layer looks for itself
        if not p.mask_rules.heads_take_masks:
            return masks
        masks = [inputs[0].mask, *masks[1:]]
        for slot in inputs:
            slot.mask = None
        return masks

    def _scale(self):
        return 1.0 / math.sqrt(self.key_dim)

    def _attended_axes(self):
        return len(self.attention_axes)

    def _equations(self, rank):
        """Those of the scores, of keys and queries, and of the sums of values."""
        letters = string.ascii_lowercase
        axes = self.attention_axes
        batch = [axis for axis in range(rank - 1) if axis not in axes]
        target, source, free = letters[:rank], "", rank
        for axis in range(rank):
            source += letters[free] if axis in axes else letters[axis]
            free += axis in axes
        scores = "".join(target[axis] for axis in (*batch, *axes)) + "".join(source[axis] for axis in axes)
        return f"{source},{target}->{scores}", f"{scores},{source}->{target}"

    # ---- files ---------------------------------------------------------------------------------------------------

    def saved_tree(self):
        tree = super().saved_tree()
        public = {f"_{name}_dense": f"{name}_dense" for name in ("query", "key", "value", "output")}
        children = {public.get(key, key): value for key, value in tree["children"].items()}
        return {"vars": tree["vars"], "children": children}

    def get_config(self):
        return {
            **super().get_config(), "num_heads": self.num_heads, "key_dim": self.key_dim, "value_dim": self.value_dim,
            "dropout": self.dropout, "use_bias": self.use_bias, "use_gate": self.use_gate,
            "output_shape": self._output_shape, "attention_axes": self.attention_axes,
            "sliding_window": self.sliding_window, **self._parts_config(), "seed": self.seed,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        # Keras 2 keeps the shapes that it was built for here.
        shapes = [config.pop(f"{name}_shape", None) for name in ("query", "value", "key")]
        layer = cls(**config)
        if None not in shapes:
            shapes = [arguments.tuples(shape) for shape in shapes]
            layer._build_once(dict(zip(("query", "value", "key"), shapes)))
        return layer


def _sizes(output_shape):
    if not output_shape:
        return output_shape
    try:
        return (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
    except TypeError:
        raise ValueError(
            f"MultiHeadAttention: `output_shape` must be an integer or several, got {output_shape!r}."
        ) from None


def _product(free, bound, made):
    """(equation, bias axes) of a product over the last `bound` axes that makes `made` ones; `free` ones stay."""
    letters = string.ascii_lowercase
    stay, summed, new = letters[:free], letters[free : free + bound], letters[free + bound : free + bound + made]
    return f"{stay}{summed},{summed}{new}->{stay}{new}", new
