"""StackedRNNCells: cells one on top of the other; https://keras.io/api/layers/recurrent_layers/stacked_rnn_cell/."""

import numpy as np

from fastseq.configs.serialization import deserialize_keras_object, serialize_keras_object
from fastseq.layers.base import Layer
from fastseq.tensors import nest


def first_states(cell, batch_size):
    """A cell's states before the first timestep: what its get_initial_state() says, else zeros by its state_size."""
    make = getattr(cell, "get_initial_state", None)
    if make is not None:
        return nest.map_structure(lambda state: np.asarray(state, np.float32), make(batch_size=batch_size))
    size = cell.state_size
    if isinstance(size, int):
        return np.zeros((batch_size, size), np.float32)
    return [np.zeros((batch_size, n), np.float32) for n in size]


def output_size(cell):
    """Width of a cell's output: its output_size, else the size of its first state."""
    size = getattr(cell, "output_size", None)
    if size is None:
        size = cell.state_size[0] if isinstance(cell.state_size, (list, tuple)) else cell.state_size
    return size


def call_cell(cell, inputs, states, training):
    """(output, new states) of any cell; `training` goes to those that take it."""
    takes_training = isinstance(cell, Layer) and "training" in cell._signature.parameters
    run = cell if callable(cell) else cell.call
    return run(inputs, states, training=training) if takes_training else run(inputs, states)


class StackedRNNCells(Layer):
    """Cells that behave as one: each takes the output of the one before. Call: `cell(inputs, states, training=False)`.

    The states are a list with the states of every cell; it returns (output of the last cell, list of new states).

    Args:
        cells (list): Cells of this library or your own.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: No cells, and cells without `call` or `state_size`.

    Example:
        >>> stack = layers.StackedRNNCells([layers.GRUCell(4), layers.GRUCell(2)])
        >>> layers.RNN(stack)(np.zeros((2, 5, 3))).shape
        (2, 2)
    """

    def __init__(self, cells, **kwargs):
        super().__init__(**kwargs)
        if not cells:
            raise ValueError("StackedRNNCells takes at least one cell.")
        for cell in cells:
            for name in ("call", "state_size"):
                if not hasattr(cell, name):
                    raise ValueError(f"StackedRNNCells takes cells with `{name}`, got {cell!r}.")
        self.cells = cells

    @property
    def state_size(self):
        """The sizes of every cell's states, a list."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self):
        """The width of the last cell's output."""
        return output_size(self.cells[-1])

    def get_initial_state(self, batch_size=None):
        """The states before the first timestep.

        Args:
            batch_size (int, default None): Rows.

        Returns:
            A list of every cell's states.
        """
        return [first_states(cell, batch_size) for cell in self.cells]

    def build(self, input_shape):
        shape = tuple(input_shape)
        for cell in self.cells:
            if isinstance(cell, Layer):
                cell._build_once({"inputs": shape})
            shape = (input_shape[0], output_size(cell))
        self.built = True

    def compute_output_shape(self, inputs_shape, states_shape=None):
        batch = inputs_shape[0]
        if states_shape is None:
            states_shape = [
                [(batch, n) for n in size] if isinstance(size, (list, tuple)) else (batch, size)
                for size in self.state_size
            ]
        output = (batch, self.output_size)
        return [output, states_shape[0] if len(self.cells) == 1 else list(states_shape)]

    def compute_output_spec(self, *args, **kwargs):
        return tuple(super().compute_output_spec(*args, **kwargs))

    def call(self, inputs, states, training=False):
        new_states = []
        for cell, state in zip(self.cells, states):
            in_list = nest.is_nested(state)
            inputs, new = call_cell(cell, inputs, list(state) if in_list else [state], training)
            if not in_list and nest.is_nested(new) and len(new) == 1:
                new = new[0]
            new_states.append(new)
        # As in Keras, a stack of one cell gives that cell's states, not a list of them.
        return inputs, new_states[0] if len(new_states) == 1 else new_states

    def emit(self, p, inputs, states, training=False):
        # In training the steps of the built-in cells, which have gradients; what call() does has none.
        if not p.trains or any(not isinstance(cell, Layer) or cell._is_python for cell in self.cells):
            return super().emit(p, inputs=inputs, states=states, training=training)
        new_states = []
        for cell, state in zip(self.cells, states):
            inputs, new = cell.trace(p, {"inputs": inputs, "states": state, "training": training})
            new_states.append(new)
        return inputs, new_states[0] if len(new_states) == 1 else new_states

    def get_config(self):
        return {**super().get_config(), "cells": [serialize_keras_object(cell) for cell in self.cells]}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        cells = [deserialize_keras_object(cell, custom_objects=custom_objects) for cell in config.pop("cells")]
        return cls(cells, **config)
