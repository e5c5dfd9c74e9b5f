"""What Attention and AdditiveAttention share: scores of queries and keys, their softmax, and the sums of values."""

import numpy as np

from fastseq import ops
from fastseq.layers import binding, time_axis
from fastseq.layers.base import Layer
from fastseq.layers.noise.dropout import Dropout
from fastseq.ops.values import Traced
from fastseq.tensors import nest
from fastseq.tensors.symbolic import KerasTensor

_HIDDEN = 1e9  # what Keras takes off a score that its mask hides


class ScoredAttention(Layer):
    """Base of the layers of single scores. Call: `layer([query, value, key], mask=None, ...)`, the key left out or not.

    A subclass defines `_scores(query, key)`, (B, Tq, Tv) from (B, Tq, D) and (B, Tv, D), all Traced.
    """

    supports_masking = True
    _takes_several = True

    def __init__(self, use_scale, dropout=0.0, seed=None, **kwargs):
        causal = kwargs.pop("causal", False)
        super().__init__(**kwargs)
        self.use_scale = use_scale
        self.dropout = dropout
        self.seed = seed
        self.causal = bool(causal)  # of Keras 2, before `use_causal_mask` was an argument of the call
        self.scale = None
        self._dropout_layer = Dropout(dropout, seed=seed, name="dropout") if dropout > 0 else None

    # ---- what it is called with ------------------------------------------------------------------------------------

    def _check_list(self, inputs, mask=None):
        who = f"Layer '{self.name}' ({type(self).__name__})"
        if not isinstance(inputs, (list, tuple)) or nest.is_shape(inputs) or len(inputs) not in (2, 3):
            count = f" of {len(inputs)}" if isinstance(inputs, (list, tuple)) else ""
            raise ValueError(
                f"{who} takes a list of two or three inputs, [query, value] or [query, value, key], got a "
                f"{type(inputs).__name__}{count}."
            )
        if mask is not None and (not isinstance(mask, (list, tuple)) or len(mask) not in (2, 3)):
            raise ValueError(f"{who} takes a list of two or three masks, [query_mask, value_mask], got {mask!r}.")

    def build(self, input_shape):
        self._check_list(input_shape)
        self._add_weights(input_shape)
        self.built = True

    def compute_output_shape(self, input_shape):
        self._check_list(input_shape)
        return (*input_shape[0][:-1], input_shape[1][-1])

    def compute_output_spec(self, *args, **kwargs):
        output = super().compute_output_spec(*args, **kwargs)
        arguments = binding.bind(self, args, kwargs)
        if not arguments.get("return_attention_scores"):
            return output
        shapes = [tensor.shape for tensor in arguments["inputs"]]
        return output, KerasTensor((*shapes[0][:-1], shapes[-1][-2]), "float32")

    # ---- masks and time --------------------------------------------------------------------------------------------

    def symbolic_mask(self, inputs, masks, ops, rules):
        return [mask if mask is None else ops.same(mask) for mask in masks[:1]]

    def emit_mask(self, p, inputs, mask):
        return mask[0] if isinstance(mask, (list, tuple)) else mask

    def compute_mask(self, inputs, mask=None):
        self._check_list(inputs, mask)
        return None if mask is None else mask[0]

    def keeps_time(self, timed, shapes, arguments):
        if any(timed[1:]):
            time_axis.refuse(self, "it attends to all timesteps")
        return timed[0]

    # ---- running ---------------------------------------------------------------------------------------------------

    def emit(
        self, p, inputs, mask=None, training=False, return_attention_scores=False, use_causal_mask=False
    ):  # fmt: skip
        self._check_list(inputs if isinstance(inputs, (list, tuple)) else inputs.shape, mask)
        query, value, *key = (Traced(p, p.float32(slot)) for slot in inputs)
        scores = self._scores(query, key[0] if key else value)
        masks = [m if m is None else Traced(p, m) for m in mask or [None, None]]
        hidden = self._hidden(scores, masks[1], use_causal_mask or self.causal)
        if hidden is not None:
            scores = ops.where(hidden, ops.subtract(scores, _HIDDEN), scores)
        weights = ops.softmax(scores, axis=-1)
        if training and self._dropout_layer is not None:
            p.use(self._dropout_layer)
            weights = Traced(p, self._dropout_layer.emit(p, weights.slot, training=True))
        result = ops.matmul(weights, value)
        if masks[0] is not None:
            result = ops.where(ops.expand_dims(masks[0], -1), result, 0.0)
        return (result.slot, weights.slot) if return_attention_scores else result.slot

    @staticmethod
    def _hidden(scores, mask, causal):
        """Where scores do not count, a bool Traced that broadcasts to (B, Tq, Tv); None where all do."""
        if mask is not None:
            mask = ops.expand_dims(mask, -2) if mask.ndim == 2 else mask
        if causal:
            seen = np.tri(*scores.shape[-2:], dtype=bool)[None]
            mask = seen if mask is None else ops.logical_and(mask, seen)
        if isinstance(mask, np.ndarray):
            return Traced(scores.p, scores.p.constant(~mask))
        return None if mask is None else ops.logical_not(mask)

    def _own_config(self):
        return {}

    # ---- config and files ------------------------------------------------------------------------------------------

    def saved_tree(self):
        return {"vars": self._own_weights(), "children": {}}

    def get_config(self):
        config = {**super().get_config(), "use_scale": self.use_scale, **self._own_config()}
        config.update(dropout=self.dropout, seed=self.seed)
        return {**config, "causal": True} if self.causal else config


def softmax_of_scores(scores, hidden):
    """The naive twin's softmax, in the dtype of `scores` (B, Tq, Tv); hidden: bool, None where all count."""
    scores = scores if hidden is None else np.where(hidden, scores - _HIDDEN, scores)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
