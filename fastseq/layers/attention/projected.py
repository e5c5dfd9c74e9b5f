"""What MultiHeadAttention and GroupQueryAttention share: products with weights before and after, masks, time."""

import math

import numpy as np

from fastseq import constraints, initializers, ops, regularizers
from fastseq.layers import binding, time_axis
from fastseq.layers.advanced_activations.softmax import Softmax
from fastseq.layers.attention import cached
from fastseq.layers.base import Layer
from fastseq.layers.core.einsum_dense import EinsumDense
from fastseq.layers.noise.dropout import Dropout
from fastseq.native.kinds import ATTENTION_SIZE
from fastseq.ops.values import Traced, cast
from fastseq.program.attention import attention_step, is_fused
from fastseq.tensors.symbolic import KerasTensor


class ProjectedAttention(Layer):
    """Base of the attention layers with heads. A subclass builds `_query_dense`, `_key_dense`, `_value_dense`,
    `_output_dense` (and `_gate_dense`, with use_gate) by `_dense`, and says of what axes attention is taken.

    options: the arguments that both have in common, by name.
    """

    supports_masking = True
    reads_all_alike = True

    def __init__(self, options, **kwargs):
        super().__init__(**kwargs)
        window, dropout, flash = options["sliding_window"], options["dropout"], options.pop("flash_attention")
        if window is not None and (not isinstance(window, int) or isinstance(window, bool) or window <= 0):
            raise ValueError(
                f"{type(self).__name__}: `sliding_window` must be None or a positive integer, got {window!r}."
            )
        if flash and dropout > 0:
            raise ValueError(f"{type(self).__name__}: flash_attention=True and dropout={dropout} exclude each other.")
        self._flash_attention = bool(flash)
        self.sliding_window, self.seed = window, options["seed"]
        self.use_gate, self.use_bias, self.dropout = options["use_gate"], options["use_bias"], dropout
        for room in (initializers, regularizers, constraints):
            kind = room.__name__.rpartition(".")[2][:-1]
            for name in [name for name in options if name.endswith(f"_{kind}")]:
                setattr(self, self._of_parts(name), room.get(options[name]))
        self._query_dense = self._key_dense = self._value_dense = self._output_dense = self._gate_dense = None
        self._softmax = self._dropout_layer = None

    def _of_parts(self, name):
        """The attribute that has the argument `name`, which is handed on to the layers inside."""
        return name

    # ---- building ------------------------------------------------------------------------------------------------

    def _dense(self, name, equation, output_shape, bias_axes, input_shape, activation=None):
        given = {
            key: getattr(self, self._of_parts(key))
            for key in (
                "kernel_regularizer", "bias_regularizer", "activity_regularizer", "kernel_constraint", "bias_constraint"
            )
        }  # fmt: skip
        for key in ("kernel_initializer", "bias_initializer"):
            initializer = getattr(self, key)
            given[key] = type(initializer).from_config(initializer.get_config())
        layer = EinsumDense(
            equation, output_shape, bias_axes=bias_axes if self.use_bias else None, activation=activation, name=name,
            dtype=self.dtype_policy, trainable=self._trainable, **given,
        )  # fmt: skip
        layer._within = self.path
        layer._build_once({"inputs": tuple(input_shape)})
        return layer

    def _check_lengths(self, value_shape, key_shape):
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}): `value` and `key` must have the same sizes but for the "
                f"last, got shapes {tuple(value_shape)} and {tuple(key_shape)}."
            )

    def _build_softmax(self, axes):
        self._softmax = Softmax(axis=axes, dtype=self.dtype_policy)
        self._dropout_layer = Dropout(rate=self.dropout, dtype=self.dtype_policy, seed=self.seed, name="dropout")

    def compute_output_spec(self, *args, **kwargs):
        output = super().compute_output_spec(*args, **kwargs)
        arguments = binding.bind(self, args, kwargs)
        if not arguments.get("return_attention_scores"):
            return output
        return output, KerasTensor(self._scores_shape(arguments["query"].shape, arguments["value"].shape), "float32")

    # ---- time ----------------------------------------------------------------------------------------------------

    #: Keys and values of all timesteps, and how many they are: see cached.py.
    memory = "states"
    keeps_time = cached.keeps_time

    # ---- running -------------------------------------------------------------------------------------------------

    def emit(
        self, p, query, value, key=None, query_mask=None, value_mask=None, key_mask=None, attention_mask=None,
        return_attention_scores=False, training=None, use_causal_mask=False,
    ):  # fmt: skip
        if self._flash_attention and return_attention_scores:
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) returns no scores where flash_attention=True."
            )
        key = value if key is None else key
        found = self._take_masks(p, (query, value, key), [query_mask, value_mask, key_mask])
        query_mask = found[0]
        masks = [m if m is None else Traced(p, m) for m in (*found, attention_mask)]
        mask = self._joined_mask(p, masks, use_causal_mask and self.sliding_window is not None, query, value)
        gate = None if self._gate_dense is None else Traced(p, self._trace_inside(p, self._gate_dense, query))
        slots = [
            self._trace_inside(p, dense, x)
            for dense, x in ((self._query_dense, query), (self._key_dense, key), (self._value_dense, value))
        ]
        q, k, v = (Traced(p, slot) for slot in slots)
        if p.states is None:
            result, scores = self._attend(p, q, k, v, mask, use_causal_mask, training, return_attention_scores)
        else:
            result = self._attend_kept(p, q, k, v, any(m is not None for m in masks))
        if gate is not None:
            result = ops.multiply(result, gate)
        y = self._trace_inside(p, self._output_dense, result.slot)
        y = y if query_mask is None else y.with_mask(query_mask)
        return (y, scores.slot) if return_attention_scores else y

    def _take_masks(self, p, inputs, masks):
        """The masks that count of query, value and key; masks: those that the call got."""
        return masks

    @staticmethod
    def _trace_inside(p, layer, x):
        outer = p.layer_name
        try:
            return layer.trace(p, {"inputs": x.with_mask(None)}).with_mask(None)
        finally:
            p.layer_name = outer

    def _joined_mask(self, p, masks, causal, query, value):
        """The masks (query (B, T), value (B, S), key (B, S), attention (B, T, S)) as one, a bool Traced; or None."""
        query_mask, value_mask, key_mask, attention_mask = (m if m is None else cast(m, "bool") for m in masks)
        found = None if query_mask is None else ops.expand_dims(query_mask, -1)
        for mask in (value_mask, key_mask):
            if mask is not None:
                found = _both(ops.expand_dims(mask, -2), found)
        length, sources = query.shape[1], value.shape[1]
        if self.sliding_window is not None:
            near = np.abs(np.arange(length)[:, None] - np.arange(sources)) < self.sliding_window
            near = near & np.tri(length, sources, dtype=bool) if causal else near
            found = _both(Traced(p, p.constant(near[None])), found)
        return _both(attention_mask, found)

    def _attend(self, p, q, k, v, mask, causal, training, wants_scores):
        """(sums of values (B, T, N, V), the scores behind the softmax or None) for projected arrays."""
        # Where nothing is hidden from a query as a whole, dropout that is not at work changes nothing.
        drops = self.dropout > 0 and (training or mask is not None)
        if not drops and not wants_scores and q.ndim == 4 and (mask is None or p.mask_rules.softmax_zeros):
            mask = None if mask is None else self._over_heads(mask, 4)
            return ops.dot_product_attention(q, k, v, mask=mask, scale=self._scale(), is_causal=causal), None
        if causal:
            seen = Traced(p, p.constant(np.tri(q.shape[1], k.shape[1], dtype=bool)[None]))
            mask = _both(mask, seen)
        k, v = self._repeated(k), self._repeated(v)
        equations = self._equations(q.ndim)
        scores = ops.einsum(equations[0], k, ops.multiply(q, self._scale()))
        hidden = None if mask is None else self._over_heads(mask, scores.ndim).slot
        # As in Keras, the scores have the mask that went into their softmax.
        weights = Traced(p, self._softmax.emit(p, scores.slot, hidden).with_mask(hidden))
        dropped = weights
        if self.dropout > 0 and training:
            p.use(self._dropout_layer)
            dropped = Traced(p, self._dropout_layer.emit(p, weights.slot, training=True))
        return ops.einsum(equations[1], dropped, v), weights

    def _attend_kept(self, p, q, k, v, masked):
        """The sums of values for the timesteps of a stream's call."""
        if masked:
            time_axis.refuse(self, "its input has a mask")
        if self.dropout > 0 and self.sliding_window is not None:
            time_axis.refuse(self, "it has both a sliding_window and dropout")
        keys, values, place = cached.kept(self, p, k, v)
        if not is_fused(p, q.shape, keys.shape, values.shape):
            time_axis.refuse(self, f"its heads are larger than {ATTENTION_SIZE}")
        window = self.sliding_window
        mask = None if window is None else cached.near(place, q.shape[1], keys.shape[1], window).slot
        y = attention_step(p, q.slot, keys.slot, values.slot, self._scale(), True, mask, place.slot)
        return Traced(p, y)

    def _over_heads(self, mask, ndim):
        """A mask of (B, T, S) with axes of 1 where scores have heads, `ndim` axes in all."""
        place = -2 * self._attended_axes() - 1
        for _ in range(ndim - mask.ndim):
            mask = ops.expand_dims(mask, place)
        return mask

    def _repeated(self, x):
        return x

    def _parts_config(self):
        names = ("kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer")
        names += ("activity_regularizer", "kernel_constraint", "bias_constraint")
        rooms = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}
        return {
            name: rooms[name.rpartition("_")[2]].serialize(getattr(self, self._of_parts(name))) for name in names
        }  # fmt: skip


def _both(first, second):
    """Where both hold; None holds everywhere."""
    if first is None or second is None:
        return second if first is None else first
    return ops.logical_and(first, second)


def reference_heads(query, key, value, hidden=None):
    """The naive twin of what is between the products with weights, in the dtype of its arrays.

    query (B, T, N, H), key (B, S, N, H), value (B, S, N, V); hidden: bool (B, N, T, S) or what broadcasts, None for
    nothing. A query from which all is hidden gets the mean of all values.
    """
    scores = np.einsum("btnh,bsnh->bnts", query, key) / math.sqrt(query.shape[-1])
    if hidden is not None:
        scores = np.where(hidden, -1e30, scores)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.einsum("bnts,bsnh->btnh", powers / powers.sum(axis=-1, keepdims=True), value)
