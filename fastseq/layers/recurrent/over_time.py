"""What layers that walk over time share, and the base of LSTM, GRU and SimpleRNN.

See https://keras.io/api/layers/recurrent_layers/. What a step computes stands in gates.py.
"""

import numpy as np

from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.layers.input_spec import InputSpec
from fastseq.layers.recurrent.gates import Gates
from fastseq.layers.recurrent.reference import reference_recurrence
from fastseq.native import kept_states
from fastseq.tensors import nest
from fastseq.tensors.weight_budget import kept_state

FLAGS = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")


class OverTime(Layer):
    """Base of RNN and of the recurrent layers: flags, masks, and the states that a stateful layer keeps.

    Call: `layer(sequences, initial_state=None, mask=None, training=False)`.
    unroll: changes nothing; the numbers are those of Keras's loop, over any number of timesteps. With go_backwards,
    zero_output_for_mask and a mask Keras's unrolled form on TensorFlow zeroes other timesteps: those of the mask as it
    stands, not turned around.
    """

    supports_masking = True
    memory = "states"

    def __init__(self, flags, **kwargs):
        """flags: the values of FLAGS by name."""
        if kwargs.pop("time_major", False):
            raise ValueError(f"{type(self).__name__}: time_major=True is not supported, put the batch first.")
        super().__init__(**kwargs)
        for name in FLAGS:
            setattr(self, name, bool(flags[name]))
        self.states = None

    def keeps_time(self, timed, shapes, arguments):
        if arguments.get("initial_state") is not None:
            time_axis.refuse(self, "its initial state comes from another layer")
        if self.go_backwards:
            time_axis.refuse(self, "it goes backwards, from the last timestep")
        time_axis.needs_time(self, timed, shapes)
        return self.return_sequences

    def symbolic_mask(self, inputs, masks, ops, rules):
        return masks[:1] if self.return_sequences else []

    def cell_of_output(self):
        """The cell that has the layer's output as its first state; None where a cell need not keep its output."""
        return self

    def last_output(self, memory):
        if self.zero_output_for_mask:
            return None
        # The first state of the (topmost) cell, where the layer's first step would give zeros.
        cell = self.cell_of_output()
        if cell is None:
            time_axis.refuse(
                self, "a masked timestep repeats the last output, which a cell of your own need not keep among its "
                "states; with zero_output_for_mask=True it gives zeros",
            )  # fmt: skip
        return memory.first[-cell.state_count]

    def _keep_states(self, batch_size, sequences_shape):
        """Makes the memory of a stateful layer's states, from the initial ones."""
        if batch_size is None:
            raise ValueError(
                f"Layer '{self.name}' is stateful, so its batch size must be known: got {sequences_shape}. "
                "Give batch_size= or batch_shape= to Input."
            )

        for size in nest.flatten(self.state_size):
            # Checked before any state is made: a file may ask for states that are larger than any model's.
            kept_state((batch_size, size), self.name)
        initial = self.get_initial_state(batch_size)
        self.states = nest.map_structure(lambda state: np.array(state, np.float32, order="C"), initial)

    @kept_states.all_or_nothing
    def reset_state(self, states=None):
        """Sets the kept states of a stateful layer.

        Args:
            states (list of array, default None): One for each state (Keras 2's argument); None is zeros.

        Raises:
            AttributeError: States for a layer that keeps none.
            ValueError: States that do not fit or hold NaN, which every later call would only pass on (Keras takes it
                silently). The states are then what they were.
        """
        kept = nest.flatten([] if self.states is None else self.states)
        if states is None:
            kept_states.write(kept, [0] * len(kept))
            return
        if not self.stateful:
            raise AttributeError(f"Layer '{self.name}' is not stateful.")
        if not self.built:
            raise ValueError(f"Layer '{self.name}' is not built yet: call it once, or build(input_shape).")
        given = [np.asarray(state, np.float32) for state in nest.flatten(states)]
        shapes, wanted = [state.shape for state in given], [state.shape for state in kept]
        if len(given) != len(kept):
            raise ValueError(
                f"Layer '{self.name}' keeps {len(kept)} states, got {len(given)}: it takes the shapes {wanted}, got "
                f"{shapes}."
            )
        for new, state in zip(given, kept):
            if new.shape != state.shape:
                raise ValueError(f"Layer '{self.name}' keeps states of shape {state.shape}, got {new.shape}.")
        for number, state in enumerate(given):
            if np.isnan(state).any():
                where = tuple(int(i) for i in np.argwhere(np.isnan(state))[0])
                raise ValueError(
                    f"Layer '{self.name}': state {number} of shape {state.shape} holds NaN at {where}; the layer keeps "
                    f"states of the shapes {wanted}."
                )
        kept_states.write(kept, given)

    @kept_states.all_or_nothing
    def reset_states(self, states=None):
        """The older name of `reset_state`.

        Args:
            states (list of array, default None): As there.
        """
        self.reset_state(states)

    def _kept_slots(self, p, sequences):
        """What a stateful layer's call starts from. Raises ValueError for another batch size than its states have."""
        if self.states is None:  # the layer became stateful after it was built, or its states were taken away
            self._keep_states(sequences.shape[0], sequences.shape)
        shapes = [state.shape for state in nest.flatten(self.states)]
        if shapes[0][0] != sequences.shape[0]:
            raise ValueError(
                f"Layer '{self.name}' is stateful with batch size {shapes[0][0]}, its states have the shapes {shapes}; "
                f"got a batch of {sequences.shape[0]}, inputs of shape {sequences.shape}. All batches of a stateful "
                "layer have the same number of rows: leave a smaller last one out, or pad it."
            )
        return nest.map_structure(p.kept, self.states)

    def _kept_or_given(self, p, kept, given):
        """The kept states where one of them holds anything but zeros, else the given ones; flat lists of Slots."""

        def choose(*states):
            kept, given = states[: len(states) // 2], states[len(states) // 2 :]
            return [np.array(state) for state in (kept if any(state.any() for state in kept) else given)]

        given = [p.float32(state) for state in given]
        return p.python(self.name, choose, [*kept, *given], [np.zeros(state.shape, np.float32) for state in given])

    def _keep_slots(self, p, final):
        """What a stateful layer's call leaves: nested as its states, or flat."""
        for state, slot in zip(nest.flatten(self.states), nest.flatten(final)):
            if slot.shape != state.shape:
                raise ValueError(
                    f"Layer '{self.name}' keeps a state of shape {state.shape}, its cell gave {slot.shape}."
                )
            p.keep(state, slot)

    # ---- shapes and masks ----------------------------------------------------------------------------------------

    def compute_output_spec(self, *args, **kwargs):
        outputs = super().compute_output_spec(*args, **kwargs)
        return tuple(outputs) if isinstance(outputs, list) else outputs

    def emit_mask(self, p, sequences, mask):
        return self.compute_mask(sequences, mask)

    def compute_mask(self, sequences, mask=None):
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        output = mask if self.return_sequences else None
        return [output, *[None] * len(self.state_size)] if self.return_state else output

    def _checked_mask(self, sequences, mask):
        """The mask for a walk over `sequences`, or None. Raises ValueError for another shape, and without timesteps."""
        batch, time = sequences.shape[:2]
        if time == 0:
            raise ValueError(f"Layer '{self.name}' needs at least one timestep, got inputs of shape {sequences.shape}.")
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        if mask is None or mask.shape == (batch, time):
            return mask
        if mask.shape == (batch, time, 1):
            return mask.reshaped((batch, time))
        # Keras's loop takes a mask of words where there are as many words as units; its unrolled form does not.
        if len(mask.shape) != 3 or mask.shape[:2] != (batch, time) or self.unroll:
            raise ValueError(
                f"Layer '{self.name}' takes a mask of shape (batch, timesteps) = {(batch, time)}, got {mask.shape}."
            )
        return mask

    def get_config(self):
        return {**super().get_config(), **{name: getattr(self, name) for name in FLAGS}}


class Recurrent(Gates, OverTime):
    """Base of the recurrent layers. Call: `layer(sequences, initial_state=None, mask=None, training=False)`.

    sequences (B, T, I) float32, T at least 1; mask (B, T) bool; initial_state a list of (B, H) arrays, one per state.
    Returns (B, H), or (B, T, H) with return_sequences; with return_state a tuple of that and the states, (B, H) each.
    Raises ValueError for another rank, for T = 0, and for masks and states of other shapes.
    """

    def __init__(self, units, options, **kwargs):
        """options: the arguments that Keras's recurrent layers have in common, by name."""
        options["zero_output_for_mask"] = kwargs.pop("zero_output_for_mask", False)
        flags = {name: options.pop(name) for name in FLAGS}
        implementation = kwargs.pop("implementation", 2)
        use_cudnn = options.pop("use_cudnn", "auto")
        if use_cudnn not in ("auto", True, False):
            raise ValueError(f"`use_cudnn` must be 'auto', True or False, got {use_cudnn!r}.")
        super().__init__(flags, activity_regularizer=options.pop("activity_regularizer"), **kwargs)
        self._set_options(units, options, implementation)
        self.use_cudnn = use_cudnn
        self.input_spec = InputSpec(ndim=3)

    @property
    def state_size(self):
        """The widths of the states, a list."""
        return [self.units] * self.state_count

    def build(self, sequences_shape, initial_state_shape=None):
        if len(sequences_shape) != 3 or sequences_shape[-1] is None:
            raise ValueError(
                f"Layer '{self.name}' takes (batch, timesteps, features) with known features, got {sequences_shape}."
            )
        self._add_weights(sequences_shape[-1])
        self.input_spec = InputSpec(ndim=3, axes={-1: sequences_shape[-1]})
        if self.stateful:
            self._keep_states(sequences_shape[0], sequences_shape)
        self.built = True

    def saved_tree(self):
        return {"vars": [], "children": {"cell": super().saved_tree()}}

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        batch, time = sequences_shape[:2]
        output = (batch, time, self.units) if self.return_sequences else (batch, self.units)
        return [output, *[(batch, self.units)] * self.state_count] if self.return_state else output

    # ---- running -------------------------------------------------------------------------------------------------

    def emit(self, p, sequences, initial_state=None, mask=None, training=False):
        batch, time, _ = sequences.shape
        y = p.new((batch, time, self.units) if self.return_sequences else (batch, self.units))
        row = time * self.units if self.return_sequences else self.units
        step, states = self.direction(p, sequences, initial_state, mask, training, y, row, self.units)
        step()
        return (y, *states) if self.return_state else y

    def direction(self, p, sequences, initial_state, mask, training, y, y_row, y_time):
        """Prepares one walk over the timesteps that writes to `y` by the strides `y_row` and `y_time`.

        Returns a function that adds the step itself (with_next= as Builder.step has it), and the slots of the states.
        """
        mask = self._checked_mask(sequences, mask)
        batch = sequences.shape[0]
        keeps = self.stateful and p.states is None
        kept = self._kept_slots(p, sequences) if keeps else None
        if initial_state is not None:
            initial = self.initial_slots(p, initial_state, batch)
            if keeps and p.mask_rules.kept_states_first:
                initial = self._kept_or_given(p, kept, initial)
        elif p.states is not None:
            initial = p.states.initial(p, self.state_count, (batch, self.units))
        else:
            initial = kept or [None] * self.state_count
        if p.states is not None:
            final = p.states.final(p, self.state_count, (batch, self.units))
        else:
            wanted = self.return_state or keeps
            final = [p.new((batch, self.units)) if wanted else None for _ in range(self.state_count)]
        step = self.walk(
            p, sequences, mask, initial, final, training, y, y_row, y_time, return_sequences=self.return_sequences,
            go_backwards=self.go_backwards, zero_output_for_mask=self.zero_output_for_mask,
        )  # fmt: skip
        if keeps:
            self._keep_slots(p, final)
        return step, final

    def reference(self, x, weights, mask=None, states=None):
        """The naive twin of this layer on arrays: ((B, T, H) outputs in the order of the walk, list of states)."""
        return reference_recurrence(
            self._reference_step(weights), x, self.get_initial_state(x.shape[0]) if states is None else states,
            mask=mask, go_backwards=self.go_backwards, zero_output_for_mask=self.zero_output_for_mask,
        )  # fmt: skip

    # ---- config --------------------------------------------------------------------------------------------------

    def get_config(self):
        config = {**super().get_config(), **self._gates_config()}
        # Beside the base's, which leaves it out where there is none.
        config["activity_regularizer"] = config.get("activity_regularizer")
        if self.use_cudnn != "auto":
            config["use_cudnn"] = self.use_cudnn
        return config
