"""What a recurrent cell is, alone or inside a layer: arguments, weights, one step, and the walk over time.

`Gates` is what LSTM and LSTMCell, GRU and GRUCell, SimpleRNN and SimpleRNNCell share. A cell whose activations are
built in runs on the kernel of its own name; with a row-wise activation (softmax over the units) or with dropout factors
per gate it runs on the general native kernel; with the user's own Python activation it runs on its NumPy twin.
"""

import numpy as np

from fastseq import activations, constraints, initializers, regularizers
from fastseq.layers.recurrent import own_activations
from fastseq.layers.recurrent.input_sums import looked_up_inputs
from fastseq.layers.recurrent.reference import reference_recurrence
from fastseq.native import _native
from fastseq.native.kinds import ACTIVATION_KINDS, CELL_KINDS, GENERAL_SCRATCH, OPERATIONS, RANDOM_KINDS
from fastseq.program import gradient_rules, packed_weights, packing, packing_steps
from fastseq.tensors.seeds import default_seed, first_number, seed_state

for _operation in ("lstm", "gru", "gru_reset_before", "simple_rnn"):
    gradient_rules.register(_operation, "gradients.recurrent:recurrent_rule")
gradient_rules.register("recurrent_general", "gradients.recurrent_general:general_rule")


class Gates:
    """The part of a layer or cell that has the gates; mixed into a `Layer`."""

    cell = None  # "lstm", "gru" or "simple_rnn": packing's name for the gate order
    state_count = 1

    # ---- arguments and weights -----------------------------------------------------------------------------------

    def _set_options(self, units, options, implementation):
        """options: the arguments that Keras's cells have, by name. Raises ValueError for `units` below 1."""
        if not isinstance(units, (int, np.integer)) or isinstance(units, bool) or units <= 0:
            raise ValueError(f"{type(self).__name__}: `units` must be a positive integer, got {units!r}.")
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
        for name, value in options.items():  # use_bias, unit_forget_bias, reset_after
            setattr(self, name, bool(value))
        self.implementation = 1 if self.recurrent_dropout else implementation
        self.bias = None
        seed = default_seed() if self.seed is None else self.seed
        self._seeds = seed_state(first_number(seed), self.name)
        self._random_state = self._seeds._value

    def _seed_states(self):
        return [self._seeds]

    @property
    def gates(self):
        return packing.GATES[self.cell]

    def _add_weights(self, inputs):
        width = self.gates * self.units
        for name, rows in (("kernel", inputs), ("recurrent_kernel", self.units)):
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

    def _bias_shape(self):
        return (self.gates * self.units,)

    def _bias_initializer(self):
        return self.bias_initializer

    def get_initial_state(self, batch_size=None):
        """The states before the first timestep: zeros.

        Args:
            batch_size (int, default None): Rows.

        Returns:
            A list of float32 arrays, shape (batch_size, units), one for each state.
        """
        return [np.zeros((batch_size, self.units), np.float32) for _ in range(self.state_count)]

    def _extra_config(self):
        """Arguments that only this kind of cell has."""
        return {}

    def _gates_config(self):
        config = {
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
            **self._extra_config(),
        }
        for part in ("kernel", "recurrent", "bias"):
            config[f"{part}_initializer"] = initializers.serialize(getattr(self, f"{part}_initializer"))
            config[f"{part}_regularizer"] = regularizers.serialize(getattr(self, f"{part}_regularizer"))
            config[f"{part}_constraint"] = constraints.serialize(getattr(self, f"{part}_constraint"))
        return config

    # ---- running -------------------------------------------------------------------------------------------------

    def initial_slots(self, p, states, batch):
        """float32 Slots of the given states, a list of Slots or one Slot. Raises ValueError where they do not fit."""
        slots = list(states) if isinstance(states, (list, tuple)) else [states]
        if len(slots) != self.state_count:
            raise ValueError(
                f"Layer '{self.name}' takes {self.state_count} initial states, got {len(slots)}: each of shape "
                f"{(batch, self.units)}, got {', '.join(str(getattr(slot, 'shape', slot)) for slot in slots)}."
            )
        for slot in slots:
            shape = getattr(slot, "shape", None)
            if shape != (batch, self.units):
                raise ValueError(
                    f"Layer '{self.name}' takes initial states of shape {(batch, self.units)}, got {shape or slot!r}."
                )
        return [p.float32(slot) for slot in slots]

    def walk(
        self, p, sequences, mask, initial, final, training, y, y_row, y_time, *, return_sequences=False,
        go_backwards=False, zero_output_for_mask=False, draw=None,
    ):  # fmt: skip
        """Prepares one walk over the timesteps that writes to `y` by the strides `y_row` and `y_time`.

        sequences: Slot (B, T, I); mask: bool Slot (B, T), (B, T, H) or None; initial, final: a Slot (B, H) or None for
        each state, read at the start and written at the end; draw: `_factors`, or what gives dropout factors instead.
        Returns a function that adds the step itself (with_next= as Builder.step has it).
        Raises ValueError for other inputs than the weights were made for.
        """
        features = self.kernel.shape[0]
        if len(sequences.shape) != 3 or sequences.shape[-1] != features:
            raise ValueError(
                f"Layer '{self.name}' takes {features} features in every timestep, got {sequences.shape[2:]}."
            )
        batch, time, inputs = sequences.shape
        sequences = p.float32(sequences)
        draw = draw or self._factors
        x_dropout = h_dropout = None
        if training and self._drops(self.dropout):
            sequences, x_dropout = self._drop_inputs(p, sequences, draw)
        if training and self._drops(self.recurrent_dropout):
            h_dropout = draw(p, "recurrent_dropout", batch, self.units)
        fields = {
            "x": sequences.at((time - 1) * inputs) if go_backwards else sequences,
            "mask": None if mask is None else mask.at(time - 1) if go_backwards else mask,
            "h0": initial[0],
            "c0": initial[1] if self.state_count > 1 else None,
            "y": y,
            "hn": final[0],
            "cn": final[1] if self.state_count > 1 else None,
            "batch": batch, "timesteps": time, "inputs": inputs, "units": self.units,
            "x_row": time * inputs, "x_time": -inputs if go_backwards else inputs,
            "mask_row": time, "mask_time": -1 if go_backwards else 1,
            "y_row": y_row, "y_time": y_time,
            "sequences": int(return_sequences), "zero_masked": int(zero_output_for_mask),
        }  # fmt: skip
        specs = [activations.native_spec(function) for function in self._functions()]
        by_unit = mask is not None and len(mask.shape) == 3
        if by_unit and mask.shape[-1] != self.units:
            raise ValueError(
                f"Layer '{self.name}' takes a mask of shape {(batch, time)}, or with a value for each unit "
                f"{(batch, time, self.units)}, got {mask.shape}."
            )
        if None in specs or by_unit:
            if x_dropout is not None or h_dropout is not None:
                raise ValueError(
                    f"Layer '{self.name}': dropout with training=True needs built-in activations, not Python "
                    "functions, and a mask of timesteps, not of units."
                )
            return self._python_step(p, sequences, mask, initial, fields, go_backwards)
        rowwise = self._set_activations(fields, specs)
        if rowwise or x_dropout is not None or h_dropout is not None:
            return self._general_step(p, fields, x_dropout, h_dropout)
        return self._own_step(p, fields, sequences, go_backwards)

    def _set_activations(self, fields, specs):
        """Puts the activations' kinds and parameters into `fields`; whether one is row-wise."""
        if any(name == "glu" for name, _ in specs):
            raise ValueError(f"Layer '{self.name}': glu halves its input and cannot be a recurrent layer's activation.")
        for prefix, letter, (name, parameters) in zip(("activation", "recurrent_activation"), "ar", specs):
            fields[prefix] = ACTIVATION_KINDS[name]
            for i in range(3):
                fields[f"{letter}{i}"] = ([*parameters, 0.0, 0.0, 0.0])[i]
        return any(ACTIVATION_KINDS[name] >= ACTIVATION_KINDS["softmax"] for name, _ in specs)

    def _own_step(self, p, fields, sequences, go_backwards):
        """The step of the layer's own kernel, whose weights are packed."""
        operation = self._operation()
        fields["down"] = 0
        if p.trains:
            return packing_steps.recurrent_step(p, self, operation, fields)
        batch, time = fields["batch"], fields["timesteps"]
        weights = self.packed(operation, self._packed_weights)
        fields |= weights
        fields |= looked_up_inputs(self, sequences, go_backwards)
        multiplied = 0 if fields["ids"] else sequences.shape[-1]
        recurrent = weights["w_h"], weights["w_c"]  # what they are filled up with is zeros
        fields["finite_kernel"] = self.packed("finite", lambda: int(packed_weights.are_finite(recurrent)))
        number = OPERATIONS[operation][0]
        fields["scratch"] = p.new((
            max(
                # A few rows may take more than many: their input product is hoisted.
                _native.recurrent_scratch(number, rows, time, multiplied, self.units)
                for rows in (range(batch + 1) if p.fewer_rows else (batch,))
            ),
        ))  # fmt: skip
        fields["trace"] = fields["states"] = None  # what training keeps; a forward pass alone keeps nothing
        return lambda with_next=False: p.step(operation, with_next=with_next, **fields)

    def _operation(self):
        """Name of the native operation, and of the cell in the general one."""
        return self.cell

    def _functions(self):
        """(activation, recurrent activation); a cell without gates has the linear one for the second."""
        return self.activation, getattr(self, "recurrent_activation", activations.linear)

    def _arrays(self):
        """The weights as Keras has them, for steps that read them so: they are kept so from now on."""
        weights = self.kernel, self.recurrent_kernel, self.bias
        return tuple(None if weight is None else weight._held() for weight in weights)

    def _bias_array(self):
        return None if self.bias is None else self.bias._value

    def _packed_weights(self):
        reset_after = getattr(self, "reset_after", False)
        bias = self._bias_array()
        return packed_weights.recurrent(self.cell, self.kernel, self.recurrent_kernel, bias, reset_after)

    def _general_step(self, p, fields, x_dropout, h_dropout):
        kernel, recurrent_kernel, bias = self._arrays()
        operation = self._operation()
        fields |= {
            "kernel": kernel, "recurrent_kernel": recurrent_kernel, "bias": bias,
            "x_dropout": x_dropout, "h_dropout": h_dropout,
            "x_masks": self._mask_count(), "h_masks": self._mask_count(),
            "cell": CELL_KINDS[operation], "scratch": p.new((fields["batch"], GENERAL_SCRATCH, self.units)),
            "trace": None, "states": None,
        }  # fmt: skip
        if p.trains:
            fields |= packing_steps.general(p, self, operation, fields)
        return lambda with_next=False: p.step("recurrent_general", with_next=with_next, **fields)

    def _python_step(self, p, sequences, mask, initial, fields, go_backwards):
        """The NumPy twin as a step, for activations that are a user's functions; copies put its results in place.

        It is traced where the functions can be.
        """
        given = [slot for slot in (sequences, mask, *initial) if slot is not None]
        has_mask, has_initial = mask is not None, initial[0] is not None
        one_step = self._reference_step(self._arrays())
        in_sequences, zero_masked = fields["sequences"], fields["zero_masked"]
        batch, time = sequences.shape[:2]

        def call(*values):
            x, *values = values
            steps = values.pop(0) if has_mask else None
            states = values if has_initial else self.get_initial_state(batch)
            outputs, states = reference_recurrence(one_step, x, states, steps, go_backwards, zero_masked)
            if not in_sequences:
                outputs = outputs[:, -1]
            return [np.ascontiguousarray(array, np.float32) for array in (outputs, *states)]

        shape = (batch, time, self.units) if in_sequences else (batch, self.units)
        examples = [np.zeros(shape, np.float32), *self.get_initial_state(batch)]

        def step(with_next=False):
            traced = own_activations.emit(self, p, sequences, mask, initial, fields, go_backwards)
            if traced is None:
                outputs, *states = p.python(self.name, call, given, examples)
                p.steps[-1]["why"] = self._traces.last
            else:
                outputs, states = traced
            y_strides = (fields["y_row"], fields["y_time"], 1) if in_sequences else (fields["y_row"], 1)
            x_strides = (time * self.units, self.units, 1) if in_sequences else (self.units, 1)
            p.copy(outputs, fields["y"], shape, x_strides, y_strides)
            for state, name in zip(states, ("hn", "cn")):
                if fields[name] is not None:
                    p.copy(state, fields[name], (state.size,), (1,), (1,))

        return step

    # ---- dropout -------------------------------------------------------------------------------------------------

    def _drops(self, rate):
        return rate > 0

    def _mask_count(self):
        """Keras's implementation 1 draws factors for every gate, implementation 2 one set for all."""
        return self.gates if self.implementation == 1 else 1

    def _factors(self, p, kind, batch, width):
        """(gates or 1, batch, width) of 0 or 1 / (1 - rate), new ones in every run; kind: "dropout" or the other."""
        rate = getattr(self, kind)
        factors = p.new((self._mask_count(), batch, width))
        scale = 1.0 / (1.0 - rate) if rate < 1.0 else 0.0
        state = p.random_state(self._random_state)
        p.step("random", state=state, y=factors, count=factors.size, kind=RANDOM_KINDS["keep"], p0=rate, p1=scale)
        return factors

    def _drop_inputs(self, p, sequences, draw):
        """(sequences, factors for the general kernel or None): one set of factors for all gates is multiplied ahead."""
        batch, _, inputs = sequences.shape
        factors = draw(p, "dropout", batch, inputs)
        if self._mask_count() > 1:
            return sequences, factors
        return p.binary("multiply", sequences, factors.reshaped((batch, 1, inputs))), None
