"""StreamPool: streams of one row each that join and leave at any time, stepped together."""

import threading

import numpy as np

from fastseq.streaming import _pool, saved_states
from fastseq.streaming.stream import Stream
from fastseq.tensors import arrays


class StreamPool:
    """Up to `capacity` streams of one row each over one model of one input and one output; any number of threads.

    `open()` gives a handle, `step({handle: x, ...})` advances those streams as one batch, `close(handle)` ends one. A
    stream's results do not depend on who is in the batch, but for a cell of the user's own: NumPy's products have other
    bits for other numbers of rows. `state`, `set_state`, `state_bytes`, `restore` and `reset` are those of a `Stream`
    of one row, for a handle.

    Args:
        model (Model): Of one input and one output, which a `Stream` takes.
        capacity (int): Most streams that are open at a time.
        timesteps (int, default None): As of a `Stream`: how many timesteps each has at most.

    Raises:
        ValueError: As `Stream`, and a model of several inputs or outputs.
        KeyError: In a call, a handle that is not open.

    Example:
        >>> model = fastseq.Sequential([layers.Input((None, 3)), layers.GRU(4)])
        >>> pool = model.stream_pool(100)
        >>> one, two = pool.open(), pool.open()
        >>> results = pool.step({one: np.zeros(3), two: np.ones(3)})
        >>> results[one].shape
        (4,)
        >>> saved, state = pool.state_bytes(one), pool.state(one)
        >>> pool.reset(one)
        >>> pool.restore(one, saved)
        >>> pool.set_state(two, state)
        >>> pool.close(one)
        >>> len(pool)
        1
    """

    def __init__(self, model, capacity, timesteps=None):
        if not isinstance(capacity, (int, np.integer)) or isinstance(capacity, bool) or capacity < 1:
            raise ValueError(f"stream_pool(capacity) is a positive integer, got {capacity!r}.")
        self.model = model
        self.capacity = int(capacity)
        self._lock = threading.Lock()
        self._streams = {}  # batch size -> (a Stream, its input): the work space of such a batch
        self._one = Stream(model, timesteps=timesteps)
        plan, _ = self._one._plan(1)
        if len(plan.inputs) != 1 or len(plan.outputs) != 1:
            raise ValueError(
                f"A pool takes a model of one input and one output, '{model.name}' has {len(plan.inputs)} inputs and "
                f"{len(plan.outputs)} outputs."
            )
        (shape, self._dtype), self._states = plan.inputs[0], plan.states
        self._row_shape = shape[2:]
        self._pool = [np.zeros((self.capacity, *array.shape[1:]), np.float32) for array in plan.start]
        self._numbers = np.empty(self.capacity, np.intp)
        self._rows, self._free, self._next = {}, list(range(self.capacity))[::-1], 0

    def __len__(self):
        """How many streams are open."""
        return len(self._rows)

    open, close, step = _pool.open_row, _pool.close_row, _pool.step_rows
    reset, set_state, restore = _pool.reset_row, _pool.set_row, _pool.restore_row

    def _first_states(self):
        return self._one._plan(1)[0].start

    def _full_error(self):
        return RuntimeError(f"The pool of model '{self.model.name}' is full: {self.capacity} streams are open.")

    def state(self, handle):
        """Copies of one stream's states, as `Stream.state` of one row.

        Args:
            handle (int): What `open` gave.

        Returns:
            dict, name of a layer -> list of float32 arrays, a row each.

        Raises:
            KeyError: A handle that is not open.
        """
        return saved_states.named(self._states, self._copies(handle))

    def state_bytes(self, handle):
        """One stream's states as bytes, for `restore` of a pool or of a `Stream` of one row.

        Args:
            handle (int): What `open` gave.

        Returns:
            bytes.

        Raises:
            KeyError: A handle that is not open.
        """
        return saved_states.to_bytes(self._states, self._copies(handle))

    def _checked(self, state):
        return saved_states.checked(self._states, state, f"model '{self.model.name}'")

    def _from_bytes(self, saved):
        return saved_states.from_bytes(self._states, saved)

    def _row(self, handle):
        if handle not in self._rows:
            raise self._unknown(handle)
        return self._rows[handle]

    def _copies(self, handle):
        with self._lock:
            row = self._row(handle)
            return [state[row : row + 1].copy() for state in self._pool]

    def _run(self, inputs):
        """(results, states before, states after) of one timestep, a row for each of `inputs`; the pool is as it was."""
        count = len(inputs)
        stream, x = self._batch(min(count, self.capacity))
        try:
            plain = _pool.gather_inputs(inputs, self._rows, x, self._numbers, self._row_shape)
        except KeyError:
            raise self._unknown(next(handle for handle in inputs if handle not in self._rows)) from None
        if not plain:
            self._convert(inputs, x)
        before = stream._current
        _pool.move_rows(self._pool, before, self._numbers, count, False)
        return stream.step(x), before, stream._current

    def _batch(self, count):
        """(stream, input) for a batch of `count` or a bit more: few sizes in all, exact up to 15."""
        step = 1 << max(0, count.bit_length() - 4)
        size = min(self.capacity, -(-count // step) * step)
        if size not in self._streams:
            self._streams[size] = (
                Stream(self.model, size, self._one.timesteps),
                np.empty((size, *self._row_shape), self._dtype),
            )
        return self._streams[size]

    def _convert(self, inputs, x):
        for i, (handle, value) in enumerate(inputs.items()):
            array = arrays.standardize(value, f"The pool of model '{self.model.name}'", self._dtype)
            if array.shape != self._row_shape:
                raise ValueError(
                    f"The pool of model '{self.model.name}' takes one timestep of shape {self._row_shape} for each "
                    f"stream, got {array.shape} for handle {handle}."
                )
            x[i] = array

    def _unknown(self, handle):
        return KeyError(f"The pool of model '{self.model.name}' has no open stream {handle!r}; was it closed?")

    def __reduce__(self):
        raise TypeError(
            f"The pool of model '{self.model.name}' cannot be copied or pickled, since others hold its handles: copy "
            "the model, and take each stream along with state_bytes(handle) and restore()."
        )
