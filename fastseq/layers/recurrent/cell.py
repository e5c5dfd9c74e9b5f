"""The cells: one timestep of LSTM, GRU and SimpleRNN as a layer of its own."""

import numpy as np

from fastseq.layers.base import Layer
from fastseq.layers.recurrent.gates import Gates


class RecurrentCell(Gates, Layer):
    """Base of the built-in cells. Call: `cell(inputs, states, training=False)` -> `(output, new_states)`.

    inputs (B, I) float32; states a list of (B, H) arrays, or the one array of a cell with one state; the new states
    come in the same form. Alone, a cell keeps its dropout factors from call to call until `reset_dropout_mask()` and
    `reset_recurrent_dropout_mask()`, as Keras's do; in an RNN every call draws new ones for all of its timesteps.
    Raises ValueError for inputs and states of other shapes.
    """

    def __init__(self, units, options, **kwargs):
        # SimpleRNNCell has one way to compute, and Keras's takes no such argument either.
        implementation = kwargs.pop("implementation", 2) if self.gates > 1 else 2
        super().__init__(**kwargs)
        self._set_options(units, options, implementation)
        self._kept_factors = {}

    @property
    def state_size(self):
        """The width of the state, or a list of them where there are several."""
        return [self.units] * self.state_count if self.state_count > 1 else self.units

    @property
    def output_size(self):
        """The width of the output."""
        return self.units

    def build(self, input_shape):
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(f"Layer '{self.name}' takes (batch, features) with known features, got {input_shape}.")
        self._add_weights(input_shape[-1])
        self.built = True

    def compute_output_shape(self, inputs_shape, states_shape=None):
        state = (inputs_shape[0], self.units)
        alone = states_shape is not None and self.state_count == 1 and not isinstance(states_shape[0], (list, tuple))
        return [state, state if alone else [state] * self.state_count]

    def compute_output_spec(self, *args, **kwargs):
        return tuple(super().compute_output_spec(*args, **kwargs))

    def emit(self, p, inputs, states, training=False):
        if len(inputs.shape) != 2:
            raise ValueError(f"Layer '{self.name}' takes inputs of shape (batch, features), got {inputs.shape}.")
        batch = inputs.shape[0]
        initial = self.initial_slots(p, states, batch)
        output = p.new((batch, self.units))
        final = [None, *(p.new((batch, self.units)) for _ in range(self.state_count - 1))]
        sequences = inputs.reshaped((batch, 1, inputs.shape[1]))
        self.walk(
            p, sequences, None, initial, final, training, output, self.units, self.units, draw=self._kept_slot
        )()  # fmt: skip
        # The first state is the output; a program copies a result that is asked for twice.
        return output, [output, *final[1:]] if isinstance(states, (list, tuple)) else output

    def _drops(self, rate):
        return 0 < rate < 1

    # ---- dropout factors of a cell that is called alone ----------------------------------------------------------

    def _kept_slot(self, p, kind, batch, width):
        shape = (self._mask_count(), batch, width)
        return p.python(self.name, lambda: self._kept(kind, shape), [], [np.zeros(shape, np.float32)])[0]

    def _kept(self, kind, shape):
        factors = self._kept_factors.get(kind)
        if factors is None or factors.shape != shape:
            rate = getattr(self, kind)
            state = self._random_state
            state[1] += np.uint32(1)
            kept = np.random.default_rng(state.tolist()).random(shape) >= rate
            factors = np.float32(1.0 / (1.0 - rate) if rate < 1.0 else 0.0) * kept.astype(np.float32)
            self._kept_factors[kind] = factors
        return factors

    def _given_factors(self, kind, step_input):
        if not getattr(self, kind):
            return None
        factors = self._kept(kind, (self._mask_count(), *np.shape(step_input)))
        return list(factors) if len(factors) > 1 else factors[0]

    def get_dropout_mask(self, step_input):
        """The factors of dropout for the inputs of a timestep; kept until `reset_dropout_mask`.

        Args:
            step_input (array): Inputs, shape (B, features).

        Returns:
            A float32 array, a list of one for each gate, or None without dropout.
        """
        return self._given_factors("dropout", step_input)

    def get_recurrent_dropout_mask(self, step_input):
        """The factors of recurrent dropout for a state; kept until `reset_recurrent_dropout_mask`.

        Args:
            step_input (array): A state, shape (B, units).

        Returns:
            A float32 array, a list of one for each gate, or None without dropout.
        """
        return self._given_factors("recurrent_dropout", step_input)

    def reset_dropout_mask(self):
        """The next call alone draws new factors for its inputs."""
        self._kept_factors.pop("dropout", None)

    def reset_recurrent_dropout_mask(self):
        """The next call alone draws new factors for its state."""
        self._kept_factors.pop("recurrent_dropout", None)

    def get_config(self):
        return {**super().get_config(), **self._gates_config()}
