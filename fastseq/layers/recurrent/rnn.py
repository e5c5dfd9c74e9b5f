"""RNN: any cell, or a stack of them, over time; see https://keras.io/api/layers/recurrent_layers/rnn/."""

import numpy as np

from fastseq.configs.serialization import deserialize_keras_object, serialize_keras_object
from fastseq.layers.base import Layer
from fastseq.layers.recurrent import traced_cells
from fastseq.layers.recurrent.cell import RecurrentCell
from fastseq.layers.recurrent.over_time import OverTime
from fastseq.layers.recurrent.reference import reference_recurrence
from fastseq.layers.recurrent.stacked_rnn_cells import StackedRNNCells, call_cell, first_states, output_size
from fastseq.native._native import with_training
from fastseq.program import added_losses
from fastseq.program.python_losses import PythonLosses
from fastseq.tensors import nest


def _is_stack(cell):
    return isinstance(cell, StackedRNNCells) and type(cell).call is StackedRNNCells.call


def _is_native(cell):
    """Whether it runs on its layer's kernel: a built-in cell, or a subclass with its step and first states."""
    built_in = isinstance(cell, RecurrentCell) and not cell._is_python
    return built_in and type(cell).get_initial_state is RecurrentCell.get_initial_state


class RNN(OverTime):
    """Runs `cell` over the timesteps of (B, T, ...).

    Call: `layer(sequences, initial_state=None, mask=None, training=False)`; mask (B, T) bool; initial_state a list of
    arrays, one per state, for a stack one entry per cell. It returns as LSTM does; a stack's states come cell by cell.
    A cell of this library runs on its layer's native kernel, in a stack one cell after the other over all timesteps. A
    cell of the user's own has `call(inputs, states)` on NumPy arrays, with training=None if it likes, `state_size`, and
    perhaps `output_size` and `get_initial_state(batch_size)`; it runs timestep after timestep in one Python step.

    Args:
        cell (Layer or list): A cell; a list of cells is a StackedRNNCells.
        return_sequences (bool, default False): Whether the output is that of every timestep, (B, T, units), or of the
            last, (B, units).
        return_state (bool, default False): Whether a tuple of the output and the states, (B, units) each, is returned.
        go_backwards (bool, default False): Whether the last timestep comes first.
        stateful (bool, default False): Whether a call goes on from the states that the last call left, row by row.
        unroll (bool, default False): It changes nothing: the numbers are those of Keras's loop.
        zero_output_for_mask (bool, default False): Whether masked timesteps of a sequence are 0, rather than the last
            output.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: A cell without `call` or `state_size`, T = 0, and masks and states that do not fit.

    Example:
        >>> layers.RNN(layers.LSTMCell(4), return_sequences=True)(np.zeros((2, 5, 3))).shape
        (2, 5, 4)
    """

    def __init__(
        self, cell, return_sequences=False, return_state=False, go_backwards=False, stateful=False, unroll=False,
        zero_output_for_mask=False, **kwargs,
    ):  # fmt: skip
        flags = {key: value for key, value in locals().items() if key not in ("self", "cell", "kwargs", "__class__")}
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        for name in ("call", "state_size"):
            if not hasattr(cell, name):
                raise ValueError(f"RNN takes a cell with `{name}`, got {cell!r}.")
        if not isinstance(cell.state_size, (list, tuple, int)):
            raise ValueError(f"A cell's state_size is an integer or a list of them, got {cell.state_size!r}.")
        super().__init__(flags, **kwargs)
        self.cell = cell

    @property
    def state_size(self):
        """The sizes of the cell's states, a list."""
        size = self.cell.state_size
        return [size] if isinstance(size, int) else list(size)

    @property
    def state_count(self):
        """How many states the cell has."""
        return len(nest.flatten(self.state_size))

    def get_initial_state(self, batch_size):
        """The states before the first timestep, as `initial_state` takes them.

        Args:
            batch_size (int): Rows.

        Returns:
            A list of arrays, or of nests of them where cells have several states.
        """
        states = first_states(self.cell, batch_size)
        return list(states) if nest.is_nested(states) else [states]

    def build(self, sequences_shape, initial_state_shape=None):
        if len(sequences_shape) < 3:
            raise ValueError(f"Layer '{self.name}' takes (batch, timesteps, features), got {sequences_shape}.")
        if isinstance(self.cell, Layer):
            self.cell._build_once({"inputs": (sequences_shape[0], *sequences_shape[2:])})
            if not _is_native(self.cell):
                traced_cells.build_inside(self, self.cell, tuple(sequences_shape[2:]))
        if self.stateful:
            self._keep_states(sequences_shape[0], sequences_shape)
        self.built = True

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        batch, time = sequences_shape[:2]
        size = output_size(self.cell)
        if not isinstance(size, int):
            raise ValueError(f"Layer '{self.name}': output_size must be an integer, got {size!r}.")
        output = (batch, time, size) if self.return_sequences else (batch, size)
        if not self.return_state:
            return output
        # Of the states themselves: a size of (4, 4) is that of one state, or of two, as the cell has it.
        initial = self.get_initial_state(1)
        shapes = [(batch, *state.shape[1:]) for state in nest.flatten(initial)]
        alike = len(shapes) == self.state_count
        return [output, *nest.pack_like(self.state_size if alike else initial, shapes)]

    # ---- running -------------------------------------------------------------------------------------------------

    def emit(self, p, sequences, initial_state=None, mask=None, training=False):
        if len(sequences.shape) < 3:
            raise ValueError(
                f"Layer '{self.name}' takes (batch, timesteps, features), got inputs of shape {sequences.shape}."
            )
        mask = self._checked_mask(sequences, mask)
        initial = kept = None
        if p.states is not None:
            start = self.get_initial_state(sequences.shape[0])
            initial = nest.pack_like(start, p.states.begin(p, nest.flatten(start))[0])
        elif self.stateful:
            initial = kept = self._kept_slots(p, sequences)
        if initial_state is not None:
            initial = list(initial_state) if isinstance(initial_state, (list, tuple)) else [initial_state]
            wanted, count = self.get_initial_state(sequences.shape[0]), len(nest.flatten(initial))
            if count != len(nest.flatten(wanted)) or len(initial) != len(wanted):
                raise ValueError(
                    f"Layer '{self.name}' takes {len(nest.flatten(wanted))} initial states in the structure of "
                    f"{self.state_size}, got {count} in a list of {len(initial)}."
                )
            for state, slot in zip(nest.flatten(wanted), nest.flatten(initial)):
                if getattr(slot, "shape", None) != state.shape:
                    got = getattr(slot, "shape", repr(slot))
                    raise ValueError(f"Layer '{self.name}' takes initial states of shape {state.shape}, got {got}.")
            if kept is not None and p.mask_rules.kept_states_first:
                initial = nest.pack_like(initial, self._kept_or_given(p, nest.flatten(kept), nest.flatten(initial)))
        wanted = self.return_state or self.stateful or p.states is not None
        y, states = self._emit_cell(
            p, self.cell, sequences, initial, wanted, mask, training, self.return_sequences
        )  # fmt: skip
        if p.states is not None:
            p.states.end(self.name, nest.flatten(states))
        elif self.stateful:
            self._keep_slots(p, states)
        if not self.return_state:
            return y
        return (y, *(states if nest.is_nested(states) else [states]))

    def _emit_cell(self, p, cell, x, initial, wanted, mask, training, sequences, inner=False):
        """One cell or stack over all timesteps.

        initial: its states at the start, or None; wanted: whether those at the end are; sequences: whether every
        timestep's output is; inner: whether another cell takes them, in the order of time whatever the walk's.
        Returns (Slot of the outputs, states in the structure of `initial`).
        """
        if p.penalized and (_is_stack(cell) or _is_native(cell)) and cell.activity_regularizer is not None:
            # Keras has one penalty for each timestep, counts the first twice, and cannot train with them.
            p.penalties.append(added_losses.Penalty(cell, cell.activity_regularizer, None, 1))
        if _is_stack(cell):
            states = []
            for i, part in enumerate(cell.cells):
                start = None if initial is None else initial[i]
                beneath = i + 1 < len(cell.cells)
                x, new = self._emit_cell(
                    p, part, x, start, wanted, mask, training, sequences or beneath, inner or beneath
                )  # fmt: skip
                states.append(new)
            return x, states
        if isinstance(cell, Layer):
            p.use(cell)
        if _is_native(cell):
            return self._emit_native(p, cell, x, initial, wanted, mask, training, sequences, inner)
        traced = traced_cells.emit(self, p, cell, x, initial, mask, training, sequences, inner)
        if traced is not None:
            return traced
        return self._emit_python(p, cell, x, initial, mask, training, sequences, inner)

    def cell_of_output(self):
        """The built-in cell that has this layer's output as its first state; None where it is the user's own."""
        cell = self.cell
        while _is_stack(cell):
            cell = cell.cells[-1]
        return cell if _is_native(cell) else None

    def _emit_native(self, p, cell, x, initial, wanted, mask, training, sequences, inner):
        batch, time, units = *x.shape[:2], cell.units
        y = p.new((batch, time, units) if sequences else (batch, units))
        start = [None] * cell.state_count if initial is None else cell.initial_slots(p, initial, batch)
        final = [p.new((batch, units)) if wanted else None for _ in start]
        turned = inner and self.go_backwards
        cell.walk(
            p, x, mask, start, final, training, y.at((time - 1) * units) if turned else y,
            time * units if sequences else units, -units if turned else units, return_sequences=sequences,
            go_backwards=self.go_backwards, zero_output_for_mask=self.zero_output_for_mask and not inner,
        )()  # fmt: skip
        return y, final if initial is None else nest.pack_like(initial, final)

    def _emit_python(self, p, cell, x, initial, mask, training, sequences, inner):
        """The loop over time as one Python step."""
        batch, time, *features = x.shape
        x = p.float32(x)
        given = [x, *([] if mask is None else [mask])]
        given += [] if initial is None else [p.float32(state) for state in nest.flatten(initial)]
        found = {}  # the structure of the states: the first call tells it

        def run(x, mask, states):
            structure = first_states(cell, batch) if initial is None else initial
            flat = nest.flatten(structure) if states is None else states
            found["structure"] = structure

            def step(x, flat):
                states = nest.pack_like(structure, flat)
                listed = list(states) if nest.is_nested(states) else [states]
                # NumPy's products have other bits for other strides, so each timestep is copied to one layout.
                output, new = call_cell(cell, np.ascontiguousarray(x), listed, training)
                new = [np.asarray(state, np.float32) for state in nest.flatten(new)]
                if len(new) != len(flat):
                    raise ValueError(f"Layer '{self.name}': its cell takes {len(flat)} states and gave {len(new)}.")
                return np.asarray(output, np.float32), new

            backwards, zero = self.go_backwards, self.zero_output_for_mask and not inner
            with added_losses.collecting(self):
                outputs, last = with_training(training, reference_recurrence, step, x, flat, mask, backwards, zero)
            if not sequences:
                outputs = outputs[:, -1]
            elif inner and backwards:
                outputs = outputs[:, ::-1]
            return [np.ascontiguousarray(array) for array in (outputs, *last)]

        def call(x, *rest):
            rest = list(rest)
            steps = None if mask is None else rest.pop(0)
            return run(x, steps, None if initial is None else rest)

        # One timestep of zeros tells the shapes.
        zeros = None if initial is None else [np.zeros(slot.shape, np.float32) for slot in nest.flatten(initial)]
        with added_losses.dropping() as added:
            y, *states = run(np.zeros((batch, 1, *features), np.float32), None, zeros)
        p.adds_losses = p.adds_losses or bool(added)
        losses = PythonLosses(self, given, [], p.timesteps)
        p.python_losses.append(losses)
        example = np.zeros((batch, time, *y.shape[2:]) if sequences else y.shape, np.float32)
        y, *states = p.python(self.name, losses.guarded(call), given, [example, *states])
        return y, nest.pack_like(found["structure"], states)

    # ---- config --------------------------------------------------------------------------------------------------

    def get_config(self):
        return {**super().get_config(), "cell": serialize_keras_object(self.cell)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        cell = deserialize_keras_object(config.pop("cell"), custom_objects=custom_objects)
        return cls(cell, **config)
