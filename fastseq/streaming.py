"""Streams: a model run timestep by timestep, its states kept from one call to the next.

`model.stream(batch_size)` gives a `Stream`, `model.stream_pool(capacity)` a `StreamPool`. What a stream gives at t is
what the model gives for the sequence up to t, with the same bits: the row at t of a sequence of outputs, or, after a
recurrent layer without return_sequences, the one output of that shorter sequence. Masked timesteps work too. A state
that was set (`state`, `restore`) counts as the last output where the next timestep is masked.

stream_plan.py says which models can be streamed and makes their programs, _stream.pyx runs a step.
"""

import struct
import threading
import zlib

import numpy as np

from fastseq import _stream, arrays, nest
from fastseq.stream_plan import plans_of

_MAGIC = b"fsstream"
_VERSION = 1


class Stream(_stream.StreamCore):
    """`batch_size` rows of one model advancing together, from zero states on; see `step` and `steps`.

    Any number of streams of a model may run at once; one stream is used by one thread at a time, and a call beside
    another one raises RuntimeError. A call that raises leaves the states as they were. Weights that change are used
    from the next call on; a stateful layer's own states are neither used nor changed.
    Raises ValueError, naming the layer, for a model whose output at a timestep needs later ones.
    """

    def __init__(self, model, batch_size=1):
        if not isinstance(batch_size, (int, np.integer)) or isinstance(batch_size, bool) or batch_size < 1:
            raise ValueError(f"stream(batch_size=...) is a positive integer, got {batch_size!r}.")
        self.model = model
        self.batch_size = int(batch_size)
        self._plans = plans_of(model)
        plan, _ = self._plans.find(model, self.batch_size, 1)
        self._states = plan.states
        self._own([np.zeros(shape, np.float32) for shape in plan.state_shapes * 2])
        self._prepare()

    def __repr__(self):
        return f"<Stream of model '{self.model.name}', batch_size={self.batch_size}>"

    # ---- running -------------------------------------------------------------------------------------------------

    def steps(self, x, out=None):
        """A chunk: x (B, n, features), or (B, n) ids, to (B, n, outputs); the same bits as n times `step`.

        out: an array for the result, as in `step`; it is returned.
        Raises what `step` raises. A chunk that fails changes no state.
        """
        self._enter()
        try:
            inputs = self._inputs(x, None)
            n = inputs[0].shape[1]
            plan, _ = self._plan(1)
            shapes = [((shape[0], n, *shape[1:]), dtype) for shape, dtype in self._without_time(plan)]
            results = self._results(out, shapes, inputs)
            if plan.chunks and n:
                self._advance(self._plan(n)[0].program, inputs, results)
            elif n:
                self._one_by_one(inputs, results)
            return self._packed(results) if out is None else out
        finally:
            self._leave()

    def _one_by_one(self, inputs, results):
        """For models with masks, or with outputs that have no time axis."""
        plan, _ = self._plan(1)
        before = [state.copy() for state in self._current]
        ys = tuple(np.empty(shape, dtype) for shape, dtype in plan.outputs)
        try:
            for t in range(inputs[0].shape[1]):
                self._advance(plan.program, tuple(np.ascontiguousarray(x[:, t : t + 1]) for x in inputs), ys)
                for y, result in zip(ys, results):
                    result[:, t] = y.reshape(result[:, t].shape)
        except BaseException:
            for state, old in zip(self._current, before):
                state[...] = old
            raise

    def _step_any(self, x, out):
        """`step` for what it does not run at once: other dtypes and layouts, several arrays, Python steps, errors."""
        self._enter()
        try:
            inputs = self._inputs(x, 1)
            plan, _ = self._plan(1)
            results = self._results(out, self._without_time(plan), inputs)
            self._advance(
                plan.program, tuple(x.reshape(shape) for x, (shape, _) in zip(inputs, plan.inputs)),
                tuple(y.reshape(shape) for y, (shape, _) in zip(results, plan.outputs)),
            )  # fmt: skip
            return self._packed(results) if out is None else out
        finally:
            self._leave()

    def _prepare(self):
        plan, epoch = self._plan(1)
        inputs = [((shape[0], *shape[2:]), np.dtype(dtype).num) for shape, dtype in plan.inputs]
        outputs = [(shape, np.dtype(dtype).num) for shape, dtype in self._without_time(plan)]
        self._bind(plan.program, self._plans, epoch, inputs, outputs)

    def _plan(self, time):
        plan, epoch = self._plans.find(self.model, self.batch_size, time)
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

    def reset(self, rows=None):
        """Sets the states to zeros: all, or of these rows (an index, a list of them, a slice or a bool array)."""
        self._enter()
        try:
            if rows is None:
                rows = slice(None)
            try:
                np.arange(self.batch_size)[rows]
            except IndexError:
                raise IndexError(f"reset(rows={rows!r}) of a stream of {self.batch_size} rows.") from None
            for state in self._current:
                state[rows] = 0
        finally:
            self._leave()

    @property
    def state(self):
        """dict: name of a recurrent layer -> copies of its states, a list of (B, units) float32 arrays.

        A layer inside a model has the path "model/layer"; a second call of a layer is called "layer#2". Can be set to
        such a dict, of all the layers. Raises ValueError for other names, shapes, and for NaN.
        """
        self._enter()
        try:
            values = iter([state.copy() for state in self._current])
            return {name: [next(values) for _ in shapes] for name, shapes in self._states}
        finally:
            self._leave()

    @state.setter
    def state(self, value):
        names = [name for name, _ in self._states]
        if not isinstance(value, dict) or sorted(value) != sorted(names):
            got = sorted(value) if isinstance(value, dict) else f"a {type(value).__name__}"
            raise ValueError(f"The state of model '{self.model.name}' is a dict of {names}, got {got}.")
        found = []
        for name, shapes in self._states:
            given = [np.asarray(array) for array in value[name]]
            if [array.shape for array in given] != shapes or any(array.dtype.kind not in "fiu" for array in given):
                raise ValueError(
                    f"Layer '{name}' has states of shapes {shapes}, got {[array.shape for array in given]} of "
                    f"{[str(array.dtype) for array in given]}."
                )
            if any(np.isnan(array).any() for array in given):
                raise ValueError(f"Layer '{name}': its states of shapes {shapes} hold NaN.")
            found += [array.astype(np.float32) for array in given]
        self._enter()
        try:
            for state, array in zip(self._current, found):
                state[...] = array
        finally:
            self._leave()

    def _header(self):
        return ";".join(f"{name}:{shapes}" for name, shapes in self._states).encode()

    def state_bytes(self):
        """The states as bytes for `restore`: "fsstream", version, names and shapes, float32 values, CRC-32."""
        header = self._header()
        values = b"".join(np.ascontiguousarray(s, "<f4").tobytes() for states in self.state.values() for s in states)
        body = _MAGIC + struct.pack("<II", _VERSION, len(header)) + header + values
        return body + struct.pack("<I", zlib.crc32(body))

    def restore(self, saved):
        """Sets the states from `state_bytes` of a stream of the same layers and batch size, of any process or machine.

        Raises ValueError for bytes that are not such, are cut short or changed, and for states of other layers or
        shapes; the states are then what they were.
        """
        saved = bytes(saved)
        start = len(_MAGIC) + 8
        if saved[: len(_MAGIC)] != _MAGIC or len(saved) < start + 4:
            raise ValueError("restore() takes what state_bytes() gave; these bytes do not start like that.")
        version, length = struct.unpack_from("<II", saved, len(_MAGIC))
        if version != _VERSION:
            raise ValueError(f"restore() reads version {_VERSION} of saved states, these are of version {version}.")
        if zlib.crc32(saved[:-4]) != struct.unpack("<I", saved[-4:])[0]:
            raise ValueError("restore(): the bytes are damaged or cut short, their checksum does not fit.")
        header = self._header()
        if length != len(header) or saved[start : start + length] != header:
            theirs = saved[start : start + min(length, 500)].decode("utf-8", "replace")
            raise ValueError(f"restore(): these are the states {theirs}, this stream has {header.decode()}.")
        values = np.frombuffer(saved[start + length : -4], "<f4")
        sizes = [int(np.prod(shape)) for _, shapes in self._states for shape in shapes]
        if len(values) != sum(sizes):
            raise ValueError(f"restore(): {len(values)} values, the states have {sum(sizes)}.")
        parts = iter(np.split(values, np.cumsum(sizes)[:-1]) if sizes else [])
        self.state = {name: [next(parts).reshape(shape) for shape in shapes] for name, shapes in self._states}


class StreamPool:
    """Up to `capacity` streams of one row each over one model of one input and one output; any number of threads.

    `open()` gives a handle, `step({handle: x, ...})` advances those streams as one batch, `close(handle)` ends one.
    A stream's results do not depend on who is in the batch. A handle used after close raises KeyError.
    Raises ValueError as `Stream` does.
    """

    def __init__(self, model, capacity):
        if not isinstance(capacity, (int, np.integer)) or isinstance(capacity, bool) or capacity < 1:
            raise ValueError(f"stream_pool(capacity) is a positive integer, got {capacity!r}.")
        self.model = model
        self.capacity = int(capacity)
        self._lock = threading.Lock()
        self._streams = {}  # batch size -> (a Stream, its input): the work space of such a batch
        one = Stream(model)
        plan, _ = one._plan(1)
        if len(plan.inputs) != 1 or len(plan.outputs) != 1:
            raise ValueError(
                f"A pool takes a model of one input and one output, '{model.name}' has {len(plan.inputs)} inputs and "
                f"{len(plan.outputs)} outputs."
            )
        (shape, self._dtype), self._states = plan.inputs[0], [shape[1:] for shape in plan.state_shapes]
        self._row_shape = shape[2:]
        self._pool = [np.zeros((self.capacity, *shape), np.float32) for shape in self._states]
        self._numbers = np.empty(self.capacity, np.intp)
        self._rows, self._free, self._next = {}, list(range(self.capacity))[::-1], 0

    def __len__(self):
        """How many streams are open."""
        return len(self._rows)

    def open(self):
        """The handle of a new stream with zero states. Raises RuntimeError where `capacity` are open."""
        with self._lock:
            if not self._free:
                raise RuntimeError(f"The pool of model '{self.model.name}' is full: {self.capacity} streams are open.")
            row, handle = self._free.pop(), self._next
            self._next += 1  # never given twice, so that a closed handle is known
            for state in self._pool:
                state[row] = 0
            self._rows[handle] = row
            return handle

    def close(self, handle):
        """Ends a stream and makes room for another one. Raises KeyError for a handle that is not open."""
        with self._lock:
            if handle not in self._rows:
                raise self._unknown(handle)
            self._free.append(self._rows.pop(handle))

    def reset(self, handle):
        """Sets the states of one stream to zeros. Raises KeyError for a handle that is not open."""
        with self._lock:
            if handle not in self._rows:
                raise self._unknown(handle)
            for state in self._pool:
                state[self._rows[handle]] = 0

    def step(self, inputs):
        """One timestep of the streams in `inputs`, {handle: x (features,), or an id}: {handle: y (outputs,)}.

        Raises KeyError for a handle that is not open and ValueError for an x of another shape; no stream has then
        advanced.
        """
        inputs = dict(inputs)
        count = len(inputs)
        if not count:
            return {}
        with self._lock:
            stream, x = self._batch(min(count, self.capacity))
            try:
                plain = _stream.gather_inputs(inputs, self._rows, x, self._numbers, self._row_shape)
            except KeyError:
                raise self._unknown(next(handle for handle in inputs if handle not in self._rows)) from None
            if not plain:
                self._convert(inputs, x)
            for pool, state in zip(self._pool, stream._current):
                _stream.move_rows(pool, state, self._numbers, count, False)
            y = stream.step(x)
            for pool, state in zip(self._pool, stream._current):
                _stream.move_rows(pool, state, self._numbers, count, True)
        _stream.put_results(inputs, y)
        return inputs

    def _batch(self, count):
        """(stream, input) for a batch of `count` or a bit more: few sizes in all, exact up to 15."""
        step = 1 << max(0, count.bit_length() - 4)
        size = min(self.capacity, -(-count // step) * step)
        if size not in self._streams:
            self._streams[size] = Stream(self.model, size), np.empty((size, *self._row_shape), self._dtype)
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
