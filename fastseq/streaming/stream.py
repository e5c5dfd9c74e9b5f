"""Streams: a model run timestep by timestep, its states kept from one call to the next.

`model.stream(batch_size)` gives a `Stream`, `model.stream_pool(capacity)` a `StreamPool`. What a stream gives at t is
what the model gives for the sequence up to t, with the same bits: the row at t of a sequence of outputs, or, after a
recurrent layer without return_sequences, the one output of that shorter sequence. Masked timesteps work too. A state
that was set (`state`, `restore`) counts as the last output where the next timestep is masked. Where a cell of the
user's own in an RNN starts from other states than zeros (`get_initial_state`), so do new streams and `reset`.

plan.py says which models can be streamed and makes their programs, _stream.pyx runs a step, saved_states.py has
the states as dicts and bytes.
"""

import numpy as np

from fastseq.streaming import _stream, saved_states
from fastseq.streaming.plan import plans_of
from fastseq.tensors import arrays, nest


class Stream(_stream.StreamCore):
    """`batch_size` rows of one model advancing together, from zero states on; `model.stream(batch_size)` makes one.

    Any number of streams of a model may run at once; one stream is used by one thread at a time, and a call beside
    another one raises RuntimeError. A call that raises, or that Ctrl-C ends, leaves the states as they were. Weights
    that change are used from the next call on; a stateful layer's own states are neither used nor changed.

    Args:
        model (Model): What runs; its output at a timestep may not need later ones.
        batch_size (int, default 1): Rows that advance together, at least 1.
        timesteps (int, default None): How many timesteps there are at most from a reset on. Layers of causal attention
            keep so many; others do not ask. None is the number in the shape of the model's input.

    Raises:
        ValueError: Naming the layer, for a model whose output at a timestep needs later ones.

    Example:
        >>> model = fastseq.Sequential([layers.Input((None, 3)), layers.GRU(4, return_sequences=True)])
        >>> x = np.random.default_rng(1).normal(size=(1, 5, 3)).astype("float32")
        >>> stream = model.stream()
        >>> first, saved = stream.step(x[:, 0]), stream.state_bytes()
        >>> rest = stream.steps(x[:, 1:])
        >>> np.array_equal(np.concatenate([first[:, None], rest], axis=1), model(x))
        True
        >>> stream.restore(saved)  # as after the first timestep
        >>> np.array_equal(stream.steps(x[:, 1:]), rest)
        True
        >>> stream.reset()
        >>> [state.tolist() for states in stream.state.values() for state in states]
        [[[0.0, 0.0, 0.0, 0.0]]]
    """

    def __init__(self, model, batch_size=1, timesteps=None):
        if not isinstance(batch_size, (int, np.integer)) or isinstance(batch_size, bool) or batch_size < 1:
            raise ValueError(f"stream(batch_size=...) is a positive integer, got {batch_size!r}.")
        if timesteps is not None and (
            not isinstance(timesteps, (int, np.integer)) or isinstance(timesteps, bool) or timesteps < 1
        ):
            raise ValueError(f"stream(timesteps=...) is a positive integer or None, got {timesteps!r}.")
        self.model = model
        self.batch_size = int(batch_size)
        self.timesteps = None if timesteps is None else int(timesteps)
        self._plans = plans_of(model)
        plan, _ = self._plans.plan(model, self.batch_size, 1, self.timesteps)
        self._states = plan.states
        self._own([np.array(array, np.float32, order="C") for array in plan.start * 2])
        self._prepare()

    def __repr__(self):
        return f"<Stream of model '{self.model.name}', batch_size={self.batch_size}>"

    # ---- running -------------------------------------------------------------------------------------------------

    def _steps(self, x, out):
        inputs = self._inputs(x, None)
        plan, _ = self._plan(1)
        n = inputs[0].shape[1]
        shapes = [((shape[0], n, *shape[1:]), dtype) for shape, dtype in self._without_time(plan)]
        results = self._results(out, shapes, inputs)
        # With masks, or with outputs that have no time axis, a program of one timestep runs again and again.
        most = plan.most_timesteps if plan.chunks else 1
        if n > most:
            self._in_pieces(inputs, results, -(-n // -(-n // most)))
        elif n:
            plan, _ = self._plan(n)
            self._advance(plan.program, inputs, self._shaped(results, plan))
        return self._packed(results) if out is None else out

    def _in_pieces(self, inputs, results, length):
        """A chunk, `length` timesteps at a time. Of one row they are contiguous in its arrays, of several copied."""
        self._keep()
        n, alone = inputs[0].shape[1], self.batch_size == 1
        plan, _ = self._plan(length)
        ys = tuple(np.empty(shape, dtype) for shape, dtype in plan.outputs)
        for start in range(0, n, length):
            end = start + length
            if end > n:
                plan, _ = self._plan(n - start)
                ys = tuple(np.empty(shape, dtype) for shape, dtype in plan.outputs)
            xs = tuple([x[:, start:end] for x in inputs])
            parts = [result[:, start:end] for result in results]
            if alone:
                self._advance(plan.program, xs, self._shaped(parts, plan))
                continue
            self._advance(plan.program, tuple([np.ascontiguousarray(x) for x in xs]), ys)
            for part, y in zip(parts, ys):
                part[...] = y.reshape(part.shape)

    @staticmethod
    def _shaped(results, plan):
        """Contiguous arrays as `plan` has its outputs: those that are not timed have no time axis there."""
        return tuple([y.reshape(shape) for y, (shape, _) in zip(results, plan.outputs)])

    def _one_step(self, x, out):
        """`step` for what it does not run at once: other dtypes and layouts, several arrays, Python steps, errors."""
        inputs = self._inputs(x, 1)
        plan, _ = self._plan(1)
        results = self._results(out, self._without_time(plan), inputs)
        self._advance(
            plan.program, tuple(x.reshape(shape) for x, (shape, _) in zip(inputs, plan.inputs)),
            self._shaped(results, plan),
        )  # fmt: skip
        return self._packed(results) if out is None else out

    def _prepare(self):
        plan, epoch = self._plan(1)
        inputs = [((shape[0], *shape[2:]), np.dtype(dtype).num) for shape, dtype in plan.inputs]
        outputs = [(shape, np.dtype(dtype).num) for shape, dtype in self._without_time(plan)]
        self._bind(plan.program, self._plans, epoch, inputs, outputs, plan.most_timesteps < 1000)

    def _plan(self, time):
        plan, epoch = self._plans.plan(self.model, self.batch_size, time, self.timesteps)
        if plan.states != self._states:
            raise ValueError(
                f"Model '{self.model.name}' has other layers than its stream was made for: make a new one."
            )
        return plan, epoch

    @staticmethod
    def _without_time(plan):
        kinds = zip(plan.outputs, plan.timed)
        return [((shape[0], *shape[2:]) if timed else shape, dtype) for (shape, dtype), timed in kinds]

    def _inputs(self, x, time):
        """x as a tuple of arrays for the programs, checked. time: 1 for a step's (no time axis), None for a chunk's."""
        plan, _ = self._plan(1)
        who = f"The stream of model '{self.model.name}'"
        if isinstance(x, dict):
            names = self.model.input_names
            if sorted(x) != sorted(names):
                raise ValueError(f"{who} takes inputs named {names}, got {sorted(x)}.")
            x = [x[name] for name in names] if len(names) > 1 else x[names[0]]
        found = nest.flatten(x) if len(plan.inputs) > 1 else [x]
        if len(found) != len(plan.inputs):
            raise ValueError(f"{who} takes {len(plan.inputs)} inputs, got {len(found)}.")
        converted = []
        for value, (shape, dtype) in zip(found, plan.inputs):
            if arrays.mask_of(value) is not None:
                raise ValueError(f"{who} takes no arrays with masks: a Masking or Embedding layer makes masks inside.")
            array = arrays.standardize(value, who, dtype)
            wanted = (shape[0], *shape[2:]) if time else (shape[0], "n", *shape[2:])
            if len(array.shape) != len(wanted) or any(a != b for a, b in zip(array.shape, wanted) if b != "n"):
                what = "one timestep of shape" if time else "timesteps of shape"
                raise ValueError(f"{who} takes {what} {str(wanted).replace(chr(39), '')}, got {array.shape}.")
            converted.append(array)
        if not time and len({array.shape[1] for array in converted}) > 1:
            raise ValueError(f"{who} got different numbers of timesteps: {[array.shape for array in converted]}.")
        return tuple(converted)

    def _results(self, out, shapes, inputs):
        if out is None:
            return tuple(np.empty(shape, dtype) for shape, dtype in shapes)
        found = nest.flatten(out)
        who = f"The stream of model '{self.model.name}'"
        if len(found) != len(shapes):
            raise ValueError(f"{who} has {len(shapes)} outputs, `out` holds {len(found)}.")
        for array, (shape, dtype) in zip(found, shapes):
            if not (
                isinstance(array, np.ndarray) and (array.shape, array.dtype) == (shape, dtype) and array.flags.carray
            ):
                got = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else f"a {type(array).__name__}"
                raise ValueError(
                    f"{who}: `out` is an aligned, writable, C-contiguous array of {dtype} {shape}, got {got}."
                )
            if any(np.may_share_memory(array, x) for x in inputs):
                raise ValueError(f"{who}: `out` shares memory with the input.")
        return tuple(found)

    @staticmethod
    def _packed(results):
        return results[0] if len(results) == 1 else list(results)

    def _busy_error(self):
        return RuntimeError(
            f"The stream of model '{self.model.name}' is in use by another thread: a stream belongs to one thread at a "
            "time, make one for each."
        )

    # ---- states --------------------------------------------------------------------------------------------------

    def _reset(self, rows):
        try:
            np.arange(self.batch_size)[rows]
        except IndexError:
            raise IndexError(f"reset(rows={rows!r}) of a stream of {self.batch_size} rows.") from None
        plan, _ = self._plan(1)
        states = self._copies()
        for state, start in zip(states, plan.start):
            state[rows] = start[rows]
        self._replace(states)

    def _named(self, states):
        return saved_states.named(self._states, states)

    def _checked(self, value):
        return saved_states.checked(self._states, value, f"model '{self.model.name}'")

    def _from_bytes(self, saved):
        return saved_states.from_bytes(self._states, saved)

    def _copies(self):
        return [state.copy() for state in self._current]

    def state_bytes(self):
        """The states as bytes for `restore`, here or in another process or machine.

        Returns:
            bytes.
        """
        return saved_states.to_bytes(self._states, self._alone(self._copies))

    def __reduce__(self):
        """A stream of its own where this one is: copy.copy of the same model, pickle and deepcopy of a copy of it."""
        return _restored, (self.model, self.batch_size, self.state_bytes(), self.timesteps)


def _restored(model, batch_size, saved, timesteps=None):
    stream = Stream(model, batch_size, timesteps)
    stream.restore(saved)
    return stream
