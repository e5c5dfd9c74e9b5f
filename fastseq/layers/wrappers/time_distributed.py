"""TimeDistributed wrapper; see https://keras.io/api/layers/recurrent_layers/time_distributed/."""

import numpy as np

from fastseq.layers import time_axis
from fastseq.layers.walk import all_layers
from fastseq.layers.wrappers.wrapper import Wrapper
from fastseq.program.builder import Builder
from fastseq.program.mask_steps import any_of_last
from fastseq.tensors import nest
from fastseq.tensors.catch_alls import first_argument


class TimeDistributed(Wrapper):
    """Applies a layer or a model to every timestep of (B, T, ...).

    The timesteps become rows of one batch, (B T, ...), without a copy, so TimeDistributed(Dense(n)) and Dense(n) run
    the same kernel on the same memory. A layer that keeps states between calls is run timestep after timestep.

    Args:
        layer (Layer): What is applied.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: What is no layer, inputs of fewer than 3 dimensions, T = 0, and a mask that does not fit.

    Example:
        >>> layers.TimeDistributed(layers.Dense(4))(np.zeros((2, 5, 3))).shape
        (2, 5, 4)
    """

    supports_masking = True

    def __init__(self, layer, **kwargs):
        super().__init__(layer, **kwargs)

    def keeps_time(self, timed, shapes, arguments):
        time_axis.needs_time(self, timed, shapes)
        if any(getattr(inner, "stateful", False) for inner in (self.layer, *all_layers(self.layer))):
            time_axis.refuse(self, "the layer inside is stateful")
        return True

    def _inner_shape(self, input_shape):
        if not isinstance(input_shape, (tuple, list)) or len(input_shape) < 3:
            raise ValueError(
                f"Layer '{self.name}' (TimeDistributed) takes inputs of at least 3 dimensions, got shape {input_shape}."
            )
        return (input_shape[0], *input_shape[2:])

    def build(self, input_shape):
        self.layer._build_once(first_argument(self.layer, self._inner_shape(input_shape)))
        self.built = True

    def compute_output_shape(self, input_shape):
        inner = self.layer.compute_output_shape(self._inner_shape(input_shape))
        return nest.map_shapes(lambda shape: (shape[0], input_shape[1], *shape[1:]), inner)

    def emit(self, p, inputs, training=None, mask=None):
        batch, time, *rest = inputs.shape
        if time == 0:
            raise ValueError(f"Layer '{self.name}' needs at least one timestep, got an input of shape {inputs.shape}.")
        if mask is not None and tuple(mask.shape[:2]) != (batch, time):
            raise ValueError(
                f"Layer '{self.name}' takes a mask that starts with (batch, timesteps) = {(batch, time)}, "
                f"got {mask.shape}."
            )
        words = p.mask_rules.words
        rows = None if mask is None else mask.reshaped((batch * time, *mask.shape[2:]))
        # Keras 3 calls the layer's call(), so the layer inside gets the mask of this call and no other.
        flat = inputs.reshaped((batch * time, *rest)).with_mask(rows if words else None)
        in_training = training and not words and _mixes_rows(self.layer)
        if _keeps_states(self.layer) or in_training or self._adds_losses(p, flat, training, rows):
            outputs = self._emit_steps(p, inputs, training, None if words else mask)
            return self._repeat_last(p, outputs, mask) if words and mask is not None else outputs
        p.timesteps *= time
        outputs = self._trace_inner(p, flat, training, rows)
        p.timesteps //= time

        def apart(slot):
            found = slot.reshaped((batch, time, *slot.shape[1:]))
            return found.with_mask(self._mask_of_words(p, slot.mask, mask, (batch, time))) if words else found

        return nest.map_structure(apart, outputs)

    @staticmethod
    def _mask_of_words(p, inner, mask, rows):
        """Keras 2's mask of an output: what the layer inside made of its rows, else the timesteps' own."""
        if inner is not None:
            return inner.reshaped((*rows, *inner.shape[1:]))
        while mask is not None and len(mask.shape) > 2:
            mask = any_of_last(p, mask)
        return mask

    @staticmethod
    def _repeat_last(p, outputs, mask):
        """Keras 2's outputs of a layer that keeps states: at a masked timestep those of the one before, first zeros."""

        def repeat(slot):
            batch, time, *rest = slot.shape
            width, y = _row_size(rest), p.new(slot.shape)
            last = p.constant(np.zeros((batch, width), np.float32))
            for t in range(time):
                x = p.contiguous_copy(slot.at(t * width), (batch, width), (time * width, 1))
                holds = p.contiguous_copy(mask.at(t), (batch, 1), (time, 1))
                last = p.select(holds, x, last)
                p.copy(last, y.at(t * width), (batch, width), (width, 1), (time * width, 1))
            return y

        return nest.map_structure(lambda slot: repeat(p.float32(slot)).with_mask(mask), outputs)

    def _trace_inner(self, p, inputs, training, mask):
        before = len(p.penalties)
        parameters = self.layer._signature.parameters
        arguments = first_argument(self.layer, inputs)
        if training is not None and "training" in parameters:
            arguments["training"] = training
        if mask is not None and "mask" in parameters:
            arguments["mask"] = mask
        outputs = self.layer.trace(p, arguments)
        # Keras calls the layer's call(), so the layer's own penalty does not count; it is the last that was noted.
        while p.penalties[before:] and p.penalties[-1].layer is self.layer and p.penalties[-1].regularizer is not None:
            p.penalties.pop()
        return outputs

    def _adds_losses(self, p, inputs, training, mask):
        """Whether the wrapped layer adds losses by `add_loss`: one for each timestep."""
        if not _is_python(self.layer):
            return False
        probe = Builder(training=p.training, trains=p.trains)
        probe.mask_rules = p.mask_rules
        self._trace_inner(probe, inputs, training, mask)
        return probe.adds_losses

    def _emit_steps(self, p, inputs, training, mask):
        batch, time, *rest = inputs.shape
        size = _row_size(rest)
        found = []
        for t in range(time):
            x = p.contiguous_copy(inputs.at(t * size), (batch, size), (time * size, 1)).reshaped((batch, *rest))
            width = None if mask is None else _row_size(mask.shape[2:])
            rows = None
            if mask is not None:
                rows = p.contiguous_copy(mask.at(t * width), (batch, width), (time * width, 1))
                rows = rows.reshaped((batch, *mask.shape[2:]))
            found.append(self._trace_inner(p, x, training, rows))
        flat = [nest.flatten(outputs) for outputs in found]
        stacked = []
        for slots in zip(*flat):
            shape = slots[0].shape[1:]
            width = _row_size(shape)
            y = p.new((batch, time, *shape), slots[0].dtype)
            for t, slot in enumerate(slots):
                p.copy(slot, y.at(t * width), (batch, width), (width, 1), (time * width, 1))
            stacked.append(y)
        return nest.pack_like(found[0], stacked)


def _row_size(shape):
    size = 1
    for length in shape:
        size *= length
    return size


def _is_python(layer):
    return layer._is_python or any(_is_python(inner) for inner in layer._sublayers())


def _keeps_states(layer):
    return getattr(layer, "stateful", False) or any(_keeps_states(inner) for inner in layer._sublayers())


def _mixes_rows(layer):
    """Whether a call with training=True goes by all rows, or changes weights: Keras 3 calls it for each timestep."""
    found = getattr(layer, "mixes_rows_in_training", False)
    return found or any(_mixes_rows(inner) for inner in layer._sublayers())
