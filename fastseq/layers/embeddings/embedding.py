"""Embedding: rows of a table, looked up by id; see https://keras.io/api/layers/core_layers/embedding/."""

import warnings

import numpy as np

from fastseq import constraints, initializers, regularizers
from fastseq.layers import time_axis
from fastseq.layers.base import Layer


class Embedding(Layer):
    """Looks ids up in a table: (...) ids -> (..., output_dim) float32.

    Ids are integers of 32 bits; floats lose their fraction, as in Keras. Keras takes negative ids from the table's end
    and, on a GPU, zeros for ids past it; both hide a wrong vocabulary, so here they are errors.

    Args:
        input_dim (int): Number of ids, at least 1.
        output_dim (int): Size of a vector, at least 1.
        embeddings_initializer (str, dict or Initializer, default "uniform"): What the table (input_dim, output_dim)
            begins as.
        embeddings_regularizer (str, dict or Regularizer, default None): Penalty on the table in training; None is none.
        embeddings_constraint (str, dict or Constraint, default None): Applied to the table after each step of training;
            None is none.
        mask_zero (bool, default False): Whether id 0 is masked.
        weights (array or list, default None): A table to begin with, float32 (input_dim, output_dim), or a list of one;
            of Keras 1 and 2.
        lora_rank (None, default None): Any other value raises.
        lora_alpha (None, default None): Any other value raises.
        quantization_config (None, default None): Any other value raises.
        **kwargs: Those of `Layer`, and `input_length` of Keras 1 and 2, which means nothing any more.

    Raises:
        ValueError: Sizes below 1 and arguments that are not supported; in a call, an id outside [0, input_dim).

    Example:
        >>> layer = layers.Embedding(3, 2, weights=[[0, 0], [1, 2], [3, 4]])
        >>> layer(np.array([[1, 2]])).tolist()
        [[[1.0, 2.0], [3.0, 4.0]]]
    """

    makes_masks = True
    keeps_time = time_axis.by_value

    def __init__(
        self, input_dim, output_dim, embeddings_initializer="uniform", embeddings_regularizer=None,
        embeddings_constraint=None, mask_zero=False, weights=None, lora_rank=None, lora_alpha=None,
        quantization_config=None, **kwargs,
    ):  # fmt: skip
        for name, value in (("input_dim", input_dim), ("output_dim", output_dim)):
            if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
                raise ValueError(
                    f"Embedding: `{name}` must be a positive integer, got {value!r} of type {type(value).__name__}."
                )
        for name, value in (("lora_rank", lora_rank), ("quantization_config", quantization_config)):
            if value is not None:
                raise ValueError(f"Embedding: {name}={value!r} is not supported: merge or dequantize it in Keras.")
        if lora_alpha is not None:
            raise ValueError("Embedding: `lora_alpha` goes with `lora_rank`, which is not supported.")
        if kwargs.get("input_length") is not None:
            warnings.warn("Argument `input_length` of Embedding has no meaning any more: remove it.", stacklevel=2)
            # With a length known, the layer can start a Sequential model, as in Keras 2.
            length = kwargs.pop("input_length")
            if "batch_input_shape" not in kwargs and "input_shape" not in kwargs:
                kwargs["input_shape"] = tuple(length) if isinstance(length, (list, tuple)) else (length,)
        kwargs.pop("input_length", None)
        super().__init__(**kwargs)
        self.input_dim = input_dim
        self.output_dim = output_dim
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = bool(mask_zero)
        self.supports_masking = self.mask_zero
        self.autocast = False
        if weights is not None:
            self.build()
            self.set_weights(weights if isinstance(weights, list) and len(weights) == 1 else [weights])

    def build(self, input_shape=None):
        if self.built:
            return
        self._embeddings = self.add_weight(
            (self.input_dim, self.output_dim), self.embeddings_initializer, name="embeddings",
            regularizer=self.embeddings_regularizer, constraint=self.embeddings_constraint,
        )  # fmt: skip
        self.built = True

    @property
    def embeddings(self):
        """The table, a Variable of shape (input_dim, output_dim). Raises AttributeError before the layer is built."""
        if not self.built:
            raise AttributeError(f"Layer '{self.name}' must be built before its `embeddings` are used.")
        return self._embeddings

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.output_dim)

    @property
    def _masks_are_kept(self):
        return self.mask_zero

    def symbolic_mask(self, inputs, masks, ops, rules):
        return [ops.not_equal(inputs[0], 0)] if self.mask_zero else []

    def compute_mask(self, inputs, mask=None):
        return super().compute_mask(inputs, mask) if self.mask_zero else None

    def _argument_dtypes(self, name):
        # Straight from float64 to an id; with mask_zero the float itself decides: Keras masks 0.0 and not 0.5.
        return None if self.mask_zero else "int32"

    def emit(self, p, inputs):
        ids = p.cast(inputs, "int32")
        shape = ids.shape

        def failure(position, value):
            where = tuple(int(i) for i in np.unravel_index(position, shape))
            got = {-(2**63): "NaN", 2**63 - 1: "a number from 2**63 on", 1 - 2**63: "a number below -2**63"}.get(
                value, value
            )
            return ValueError(
                f"Layer '{self.name}' (Embedding) takes ids in the range [0, {self.input_dim}), "
                f"got {got} at position {where} of its input of shape {shape}."
            )

        # What the caller gave is checked before anything runs, so that a wrong id changes no state.
        given = ids is inputs and ids.buffer.kind == "input"
        floats = inputs if inputs.dtype == "float32" else None  # told as it was, where it is no number of 32 bits
        p.step("check_ids", failure=failure, first=given, ids=ids, floats=floats, count=ids.size, limit=self.input_dim)
        y = p.rows_of(ids, p.weight(self.embeddings) if p.trains else self.embeddings._value, self.output_dim)
        if not self.mask_zero:
            return y
        return y.with_mask(inputs if inputs.dtype == "bool" else p.mask_logic("nonzero", inputs))

    def get_config(self):
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
            "quantization_config": None,
        }


def reference_embedding(ids, table, mask_zero=False):
    """The naive twin: (rows of table (V, E) at ids (...), their mask or None)."""
    ids = np.asarray(ids)
    return table[ids.astype(int)], ids != 0 if mask_zero else None
