"""What LSTM, GRU and SimpleRNN share: arguments, states, masks, and the step that runs them natively.

See https://keras.io/api/layers/recurrent_layers/. A layer whose activations are built in runs on the kernel of its own
name; with a row-wise activation (softmax over the units) or with dropout factors per gate it runs on the general
native kernel; with the user's own Python activation it runs on its NumPy twin.
"""

import numpy as np

from fastseq import _native, activations, constraints, initializers, packing, regularizers
from fastseq.builder import ACTIVATION_KINDS, OPERATIONS
from fastseq.layers.base import Layer
from fastseq.layers.input_spec import InputSpec
from fastseq.saving.loading import kept_state

_CELL_NUMBERS = {"lstm": 0, "gru": 1, "gru_reset_before": 2, "simple_rnn": 3}


class Recurrent(Layer):
    """Base of the recurrent layers. Call: `layer(sequences, initial_state=None, mask=None, training=False)`.

    sequences (B, T, I) float32, T at least 1; mask (B, T) bool; initial_state a list of (B, H) arrays, one per state.
    Returns (B, H), or (B, T, H) with return_sequences; with return_state a tuple of that and the states, (B, H) each.
    Raises ValueError for another rank, for T = 0, and for masks and states of other shapes.
    """

    supports_masking = True
    cell = None  # "lstm", "gru" or "simple_rnn": packing's name for the gate order
    state_count = 1

    def __init__(self, units, options, **kwargs):
        """options: the arguments that Keras's recurrent layers have in common, by name."""
        if not isinstance(units, (int, np.integer)) or isinstance(units, bool) or units <= 0:
            raise ValueError(f"{type(self).__name__}: `units` must be a positive integer, got {units!r}.")
        self.zero_output_for_mask = bool(kwargs.pop("zero_output_for_mask", False))
        implementation = kwargs.pop("implementation", 2)
        if kwargs.pop("time_major", False):
            raise ValueError(f"{type(self).__name__}: time_major=True is not supported, put the batch first.")
        super().__init__(activity_regularizer=options.pop("activity_regularizer"), **kwargs)
        self.units = int(units)
        for name in ("activation", "recurrent_activation"):
            if name in options:
                setattr(self, name, activations.get(options.pop(name)))
        for part in ("kernel", "recurrent", "bias"):
            setattr(self, f"{part}_initializer", initializers.get(options.pop(f"{part}_initializer")))
            setattr(self, f"{part}_regularizer", regularizers.get(options.pop(f"{part}_regularizer")))
            setattr(self, f"{part}_constraint", constraints.get(options.pop(f"{part}_constraint")))
        for name in ("dropout", "recurrent_dropout"):
            setattr(self, name, min(1.0, max(0.0, options.pop(name))))
        self.seed = options.pop("seed")
        self.use_cudnn = options.pop("use_cudnn", "auto")
        if self.use_cudnn not in ("auto", True, False):
            raise ValueError(f"`use_cudnn` must be 'auto', True or False, got {self.use_cudnn!r}.")
        for name in ("use_bias", "return_sequences", "return_state", "go_backwards", "stateful", "unroll"):
            setattr(self, name, bool(options.pop(name)))
        for name, value in options.items():  # unit_forget_bias, reset_after
            setattr(self, name, bool(value))
        self.implementation = 1 if self.recurrent_dropout else implementation
        self.bias = None
        self.states = None
        self.input_spec = InputSpec(ndim=3)
        seed = np.random.default_rng(self.seed).integers(2**32, dtype=np.uint32)
        self._random_state = np.array([seed, 0], np.uint32)

    # ---- building ------------------------------------------------------------------------------------------------

    @property
    def gates(self):
        return packing.GATES[self.cell]

    @property
    def state_size(self):
        return [self.units] * self.state_count

    def build(self, sequences_shape, initial_state_shape=None):
        if len(sequences_shape) != 3 or sequences_shape[-1] is None:
            raise ValueError(
                f"Layer '{self.name}' takes (batch, timesteps, features) with known features, got {sequences_shape}."
            )
        width = self.gates * self.units
        for name, rows in (("kernel", sequences_shape[-1]), ("recurrent_kernel", self.units)):
            part = name.split("_")[0]
            weight = self.add_weight(
                (rows, width), getattr(self, f"{part}_initializer"), name=name,
                regularizer=getattr(self, f"{part}_regularizer"), constraint=getattr(self, f"{part}_constraint"),
            )  # fmt: skip
            setattr(self, name, weight)
        if self.use_bias:
            self.bias = self.add_weight(
                self._bias_shape(), self._bias_initializer(), name="bias", regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )  # fmt: skip
        self.input_spec = InputSpec(ndim=3, axes={-1: sequences_shape[-1]})
        if self.stateful:
            if sequences_shape[0] is None:
                raise ValueError(
                    f"Layer '{self.name}' is stateful, so its batch size must be known: got {sequences_shape}. "
                    "Give batch_size= or batch_shape= to Input."
                )
            shape = (sequences_shape[0], self.units)
            self.states = [kept_state(shape, self.name) for _ in range(self.state_count)]
        self.built = True

    def _bias_shape(self):
        return (self.gates * self.units,)

    def _bias_initializer(self):
        return self.bias_initializer

    def saved_tree(self):
        return {"vars": [], "children": {"cell": super().saved_tree()}}

    def get_initial_state(self, batch_size):
        """Zeros, one (batch_size, H) array per state."""
        return [np.zeros((batch_size, self.units), np.float32) for _ in range(self.state_count)]

    def reset_state(self):
        """Sets the kept states of a stateful layer to zeros."""
        for state in self.states or ():
            state[...] = 0

    reset_states = reset_state

    # ---- shapes and masks ----------------------------------------------------------------------------------------

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        batch, time = sequences_shape[:2]
        output = (batch, time, self.units) if self.return_sequences else (batch, self.units)
        return [output, *[(batch, self.units)] * self.state_count] if self.return_state else output

    def compute_output_spec(self, *args, **kwargs):
        outputs = super().compute_output_spec(*args, **kwargs)
        if self.unroll:
            sequences = args[0] if args else kwargs["sequences"]
            if sequences.shape[1] is None:
                raise ValueError(f"Layer '{self.name}' cannot be unrolled over an unknown number of timesteps.")
        return tuple(outputs) if isinstance(outputs, list) else outputs

    def emit_mask(self, p, sequences, mask):
        return self.compute_mask(sequences, mask)

    def compute_mask(self, sequences, mask=None):
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        output = mask if self.return_sequences else None
        return [output, *[None] * self.state_count] if self.return_state else output

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
        batch, time, inputs = sequences.shape
        if time == 0:
            raise ValueError(f"Layer '{self.name}' needs at least one timestep, got inputs of shape {sequences.shape}.")
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        if mask is not None and mask.shape != (batch, time):
            raise ValueError(
                f"Layer '{self.name}' takes a mask of shape (batch, timesteps) = {(batch, time)}, got {mask.shape}."
            )
        initial = self._initial_slots(p, initial_state, batch)
        final = self._final_slots(p, batch)
        sequences = p.float32(sequences)
        x_dropout = h_dropout = None
        if training and self.dropout:
            sequences, x_dropout = self._drop_inputs(p, sequences)
        if training and self.recurrent_dropout:
            h_dropout = self._factors(p, self.recurrent_dropout, batch, self.units)
        backwards = self.go_backwards
        fields = {
            "x": sequences.at((time - 1) * inputs) if backwards else sequences,
            "mask": None if mask is None else mask.at(time - 1) if backwards else mask,
            "h0": initial[0],
            "c0": initial[1] if self.state_count > 1 else None,
            "y": y,
            "hn": final[0],
            "cn": final[1] if self.state_count > 1 else None,
            "batch": batch, "timesteps": time, "inputs": inputs, "units": self.units,
            "x_row": time * inputs, "x_time": -inputs if backwards else inputs,
            "mask_row": time, "mask_time": -1 if backwards else 1,
            "y_row": y_row, "y_time": y_time,
            "sequences": int(self.return_sequences), "zero_masked": int(self.zero_output_for_mask),
        }  # fmt: skip
        specs = [activations.native_spec(function) for function in self._functions()]
        if None in specs:
            if x_dropout is not None or h_dropout is not None:
                raise ValueError(
                    f"Layer '{self.name}': dropout with training=True needs built-in activations, not Python functions."
                )
            return self._python_step(p, sequences, mask, initial, fields), final
        rowwise = any(ACTIVATION_KINDS[name] >= ACTIVATION_KINDS["softmax"] for name, _ in specs)
        if any(name == "glu" for name, _ in specs):
            raise ValueError(f"Layer '{self.name}': glu halves its input and cannot be a recurrent layer's activation.")
        for prefix, letter, (name, parameters) in zip(("activation", "recurrent_activation"), "ar", specs):
            fields[prefix] = ACTIVATION_KINDS[name]
            for i in range(3):
                fields[f"{letter}{i}"] = ([*parameters, 0.0, 0.0, 0.0])[i]
        if rowwise or x_dropout is not None or h_dropout is not None:
            return self._general_step(p, fields, x_dropout, h_dropout), final
        operation = self._operation()
        shape = (batch, time, inputs, self.units)
        fields |= self.packed(operation, self._packed_weights)
        fields["finite_kernel"] = self.packed("finite", lambda: int(np.isfinite(self.recurrent_kernel._value).all()))
        fields["scratch"] = p.new((_native.recurrent_scratch(OPERATIONS[operation][0], *shape),))
        return lambda with_next=False: p.step(operation, with_next=with_next, **fields), final

    def _operation(self):
        """Name of the native operation, and of the cell in the general one."""
        return self.cell

    def _functions(self):
        """(activation, recurrent activation); a cell without gates has the linear one for the second."""
        return self.activation, getattr(self, "recurrent_activation", activations.linear)

    def _arrays(self):
        return (self.kernel._value, self.recurrent_kernel._value, None if self.bias is None else self.bias._value)

    def _packed_weights(self):
        return packing.pack_recurrent(self.cell, *self._arrays(), reset_after=getattr(self, "reset_after", False))

    def _initial_slots(self, p, initial_state, batch):
        if initial_state is None:
            if not self.stateful:
                return [None] * self.state_count
            return self._kept_slots(p, batch)
        slots = list(initial_state) if isinstance(initial_state, (list, tuple)) else [initial_state]
        if len(slots) != self.state_count:
            raise ValueError(f"Layer '{self.name}' takes {self.state_count} initial states, got {len(slots)}.")
        for slot in slots:
            if slot.shape != (batch, self.units):
                raise ValueError(
                    f"Layer '{self.name}' takes initial states of shape {(batch, self.units)}, got {slot.shape}."
                )
        return [p.float32(slot) for slot in slots]

    def _kept_slots(self, p, batch):
        """The states of a stateful layer: the program reads and writes the layer's own memory."""
        size = self.states[0].shape[0]
        if size != batch:
            raise ValueError(f"Layer '{self.name}' is stateful with batch size {size}, got a batch of {batch}.")
        return [p.constant(state) for state in self.states]

    def _final_slots(self, p, batch):
        if self.stateful:
            return self._kept_slots(p, batch)
        return [p.new((batch, self.units)) if self.return_state else None for _ in range(self.state_count)]

    def _mask_count(self):
        """Keras's implementation 1 draws factors for every gate, implementation 2 one set for all."""
        return self.gates if self.implementation == 1 else 1

    def _factors(self, p, rate, batch, width):
        """(gates or 1, batch, width) of 0 or 1 / (1 - rate)."""
        factors = p.new((self._mask_count(), batch, width))
        scale = 1.0 / (1.0 - rate) if rate < 1.0 else 0.0
        p.step("random", state=p.constant(self._random_state), y=factors, count=factors.size, kind=0, p0=rate, p1=scale)
        return factors

    def _drop_inputs(self, p, sequences):
        """(sequences, factors for the general kernel or None): one set of factors for all gates is multiplied ahead."""
        batch, _, inputs = sequences.shape
        factors = self._factors(p, self.dropout, batch, inputs)
        if self._mask_count() > 1:
            return sequences, factors
        return p.binary("multiply", sequences, factors.reshaped((batch, 1, inputs))), None

    def _general_step(self, p, fields, x_dropout, h_dropout):
        kernel, recurrent_kernel, bias = self._arrays()
        fields |= {
            "kernel": kernel, "recurrent_kernel": recurrent_kernel, "bias": bias,
            "x_dropout": x_dropout, "h_dropout": h_dropout,
            "x_masks": self._mask_count(), "h_masks": self._mask_count(),
            "cell": _CELL_NUMBERS[self._operation()], "scratch": p.new((fields["batch"], 14, self.units)),
        }  # fmt: skip
        return lambda with_next=False: p.step("recurrent_general", with_next=with_next, **fields)

    def _python_step(self, p, sequences, mask, initial, fields):
        """The NumPy twin as a step, for activations that are Python functions; copies put its results in place."""
        given = [slot for slot in (sequences, mask, *initial) if slot is not None]
        has_mask, has_initial = mask is not None, initial[0] is not None
        weights = self._arrays()

        def call(*values):
            values = list(values)
            x = values.pop(0)
            steps = values.pop(0) if has_mask else None
            states = values if has_initial else None
            outputs, states = self.reference(x, weights, steps, states)
            if not self.return_sequences:
                outputs = outputs[:, -1]
            return [np.ascontiguousarray(array, np.float32) for array in (outputs, *states)]

        batch, time = sequences.shape[:2]
        shape = (batch, time, self.units) if self.return_sequences else (batch, self.units)
        examples = [np.zeros(shape, np.float32), *self.get_initial_state(batch)]

        def step(with_next=False):
            outputs, *states = p.python(self.name, call, given, examples)
            y_strides = (fields["y_row"], fields["y_time"], 1) if self.return_sequences else (fields["y_row"], 1)
            x_strides = (time * self.units, self.units, 1) if self.return_sequences else (self.units, 1)
            p.copy(outputs, fields["y"], shape, x_strides, y_strides)
            for state, name in zip(states, ("hn", "cn")):
                if fields[name] is not None:
                    p.copy(state, fields[name], (state.size,), (1,), (1,))

        return step

    def reference(self, x, weights, mask=None, states=None):
        """The naive twin of this layer on arrays: ((B, T, H) outputs in the order of the walk, list of states)."""
        return reference_recurrence(
            self._reference_step(weights), x, self.get_initial_state(x.shape[0]) if states is None else states,
            mask=mask, go_backwards=self.go_backwards, zero_output_for_mask=self.zero_output_for_mask,
        )  # fmt: skip

    # ---- config --------------------------------------------------------------------------------------------------

    def _extra_config(self):
        """Arguments that only this kind of cell has."""
        return {}

    def get_config(self):
        config = {
            **super().get_config(),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
            **self._extra_config(),
        }
        for part in ("kernel", "recurrent", "bias"):
            config[f"{part}_initializer"] = initializers.serialize(getattr(self, f"{part}_initializer"))
            config[f"{part}_regularizer"] = regularizers.serialize(getattr(self, f"{part}_regularizer"))
            config[f"{part}_constraint"] = constraints.serialize(getattr(self, f"{part}_constraint"))
        if self.use_cudnn != "auto":
            config["use_cudnn"] = self.use_cudnn
        return config


def reference_recurrence(step, x, states, mask=None, go_backwards=False, zero_output_for_mask=False):
    """The naive walk over time, in the dtype of its arrays.

    step(x_t, states) -> list of new states, the first of which is the output; x (B, T, I); mask (B, T) bool.
    A masked step keeps the states and repeats the last output (zeros before the first), or gives zeros.
    Returns ((B, T, H) outputs in the order of the walk, final states).
    """
    outputs, last = [], np.zeros_like(states[0])
    for t in range(x.shape[1])[:: -1 if go_backwards else 1]:
        new = step(x[:, t], states)
        if mask is None:
            states, last = new, new[0]
            outputs.append(last)
            continue
        keep = np.asarray(mask, bool)[:, t, None]
        output = np.where(keep, new[0], 0 if zero_output_for_mask else last)
        last = output
        states = [np.where(keep, value, old) for value, old in zip(new, states)]
        outputs.append(output)
    return np.stack(outputs, axis=1), list(states)


def __getattr__(name):
    # Keras 1 and 2 had the layers themselves in this module; they import it, so they are looked up when asked for.
    if name in ("GRU", "LSTM", "SimpleRNN"):
        from fastseq import layers

        return getattr(layers, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
