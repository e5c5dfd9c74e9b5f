"""A layer or a model, for given input shapes, as a flat list of native steps over one arena.

`ProgramCache.run` is what every eager call goes through: it finds the `Program` made for these shapes, or makes it by
letting the layer `trace` itself into a `Builder`. A `Program` is immutable; whatever changes during a run is in a
`Workspace` from its free list, so any number of threads may run it at once.
"""

import threading
from collections import OrderedDict

import numpy as np

from fastseq import _native, arrays, nest, runtime

OPERATIONS = _native.operations()
ACTIVATION_KINDS = _native.activation_kinds()
_CASTS = {
    ("float32", "int32"): 0,
    ("int32", "float32"): 1,
    ("bool", "float32"): 2,
    ("bool", "int32"): 3,
    ("int32", "bool"): 4,
    ("float32", "bool"): 5,
}
_MASK_KINDS = {"and": 0, "or": 1, "not": 2, "nonzero_int32": 3, "nonzero_float32": 4}
_BINARY_KINDS = {
    name: number
    for number, name in enumerate(
        ("add", "subtract", "multiply", "divide", "maximum", "minimum", "prelu")
        + ("add_int32", "subtract_int32", "multiply_int32", "maximum_int32", "minimum_int32")
    )
}


call_context = threading.local()  # .training: the `training` of the Python layer whose call() is running


def current_training():
    return getattr(call_context, "training", None)


class _Buffer:
    """Memory behind slots. kind: "input", "output" (bound at each run), "arena", or "constant"."""

    def __init__(self, kind, nbytes, array=None, number=None):
        self.kind = kind
        self.nbytes = nbytes
        self.array = array
        self.number = number
        self.first = self.last = None  # steps that use it, for arena buffers
        self.offset = None


class Slot:
    """A contiguous array inside a program: shape (ints), dtype "float32", "int32" or "bool", and perhaps a mask."""

    __slots__ = ("buffer", "shape", "dtype", "offset", "mask")

    def __init__(self, buffer, shape, dtype, offset=0, mask=None):
        self.buffer = buffer
        self.shape = tuple(shape)
        self.dtype = dtype
        self.offset = offset
        self.mask = mask

    @property
    def size(self):
        return _product(self.shape)

    @property
    def itemsize(self):
        return np.dtype(self.dtype).itemsize

    def with_mask(self, mask):
        return Slot(self.buffer, self.shape, self.dtype, self.offset, mask)

    def reshaped(self, shape):
        """The same memory in another shape; no mask."""
        return Slot(self.buffer, shape, self.dtype, self.offset)

    def at(self, elements):
        """The same memory from an element on, for steps that walk it by strides of their own."""
        return Slot(self.buffer, self.shape, self.dtype, self.offset + elements * self.itemsize)

    def __repr__(self):
        return f"<Slot {self.shape} {self.dtype} {self.buffer.kind}>"


def _strides(shape):
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return strides[::-1]


def _product(shape):
    return int(np.prod(shape, dtype=np.int64))


def _padded(values, fill):
    """Five entries, what is missing filled in at the front."""
    return [fill] * (5 - len(values)) + list(values)


def _broadcast(*shapes):
    """(NumPy's broadcast shape, five sizes, five strides per operand), with dimensions that belong together merged."""
    shape = np.broadcast_shapes(*shapes)
    operands = []
    for own in shapes:
        own = (1,) * (len(shape) - len(own)) + tuple(own)
        operands.append([0 if size == 1 else stride for size, stride in zip(own, _strides(own))])
    sizes, merged = [], []
    for size, strides in zip(shape, zip(*operands)):
        if sizes and all(before == after * size for before, after in zip(merged[-1], strides)):
            sizes[-1] *= size
            merged[-1] = strides
        else:
            sizes.append(size)
            merged.append(strides)
    if len(sizes) > 5:
        raise ValueError(f"Broadcasting {' with '.join(map(str, shapes))} takes {len(sizes)} dimensions, more than 5.")
    per_operand = list(zip(*merged)) if merged else [()] * len(shapes)
    return shape, _padded(sizes, 1), [_padded(strides, 0) for strides in per_operand]


class Builder:
    """A program in the making; layers add their steps to it.

    training: the call's `training`, or None; cache: the ProgramCache it is made for.
    """

    def __init__(self, cache=None, training=None):
        self.cache = cache
        self.training = training
        self.layer_name = None
        self.steps = []
        self.inputs = []

    def use(self, layer):
        """Notes that the program depends on the weights of `layer`: its cache is cleared when they change."""
        if self.cache is not None:
            layer._users.add(self.cache)

    # ---- slots ---------------------------------------------------------------------------------------------------

    def input(self, shape, dtype):
        buffer = _Buffer("input", _product(shape) * np.dtype(dtype).itemsize, number=len(self.inputs))
        self.inputs.append(buffer)
        return Slot(buffer, shape, dtype)

    def new(self, shape, dtype="float32"):
        """Room for a result."""
        return Slot(_Buffer("arena", _product(shape) * np.dtype(dtype).itemsize), shape, dtype)

    def constant(self, array):
        """A slot of fixed values; the program keeps `array` (contiguous float32, int32, uint32 or bool) alive."""
        array = np.ascontiguousarray(array)
        return Slot(_Buffer("constant", array.nbytes, array=array), array.shape, array.dtype.name)

    # ---- steps ---------------------------------------------------------------------------------------------------

    def step(self, operation, failure=None, with_next=False, first=False, **fields):
        """Adds a native step, its arguments by the names of src_c/ops.h.

        A Slot or None goes to a pointer; a NumPy array is a constant. failure(position, value) makes the exception
        when the step fails. with_next: runs beside the next step. first: runs before everything, for checks of inputs.
        """
        _, _, known = OPERATIONS[operation]
        missing, unknown = set(known) - set(fields), set(fields) - set(known)
        if missing or unknown:
            raise TypeError(f"step {operation}: missing {sorted(missing)}, unknown {sorted(unknown)}")
        entry = {"op": operation, "fields": fields, "failure": failure, "with_next": with_next, "name": self.layer_name}
        self.steps.insert(0, entry) if first else self.steps.append(entry)

    def python(self, name, function, inputs, examples):
        """Adds a step that calls `function(*arrays)` under the GIL; it returns arrays like `examples`."""
        outputs = [self.new(example.shape, example.dtype.name) for example in examples]
        self.steps.append({"op": None, "function": function, "inputs": inputs, "outputs": outputs, "name": name})
        return outputs

    def cast(self, slot, dtype):
        if slot.dtype == dtype:
            return slot
        result = self.new(slot.shape, dtype)
        self.step("cast", x=slot, y=result, count=slot.size, kind=_CASTS[slot.dtype, dtype])
        return result.with_mask(slot.mask)

    def float32(self, slot):
        return self.cast(slot, "float32")

    def copy(self, source, target, shape, source_strides, target_strides):
        """target = source over `shape` (at most 5 dimensions), strides in elements."""
        if source.dtype == "bool" or target.dtype == "bool":
            assert source.dtype == target.dtype
        n, x, y = _padded(shape, 1), _padded(source_strides, 0), _padded(target_strides, 0)
        self.step(
            "copy", x=source, y=target, size=source.itemsize,
            n0=n[0], n1=n[1], n2=n[2], n3=n[3], n4=n[4],
            x0=x[0], x1=x[1], x2=x[2], x3=x[3], x4=x[4], y0=y[0], y1=y[1], y2=y[2], y3=y[3], y4=y[4],
        )  # fmt: skip

    def contiguous_copy(self, source, shape, source_strides):
        """A new slot of `shape`, read from `source` by strides; dimensions that belong together are merged first."""
        result = self.new(shape, source.dtype)
        sizes, strides = [], []
        for size, stride in zip(shape, source_strides):
            if sizes and strides[-1] == stride * size:
                sizes[-1] *= size
                strides[-1] = stride
            else:
                sizes.append(size)
                strides.append(stride)
        if len(sizes) > 5:
            raise ValueError(f"Arrays of {len(shape)} dimensions in this order are not supported, 5 are.")
        self.copy(source, result, sizes, strides, _strides(sizes))
        return result

    def transpose(self, slot, order):
        """A copy of `slot` with its axes in another order, as np.transpose; no mask."""
        strides = _strides(slot.shape)
        return self.contiguous_copy(slot, [slot.shape[axis] for axis in order], [strides[axis] for axis in order])

    def broadcast(self, slot, shape):
        """A copy of `slot` in a shape it broadcasts to."""
        own = (1,) * (len(shape) - len(slot.shape)) + slot.shape
        return self.contiguous_copy(slot, shape, [0 if n == 1 else s for n, s in zip(own, _strides(own))])

    def concatenate(self, slots, axis):
        """`slots`, of one dtype and alike in all but `axis`, one after the other along it."""
        axis %= len(slots[0].shape)
        total = sum(slot.shape[axis] for slot in slots)
        shape = slots[0].shape
        outer, inner = _product(shape[:axis]), _product(shape[axis + 1 :])
        result = self.new((*shape[:axis], total, *shape[axis + 1 :]), slots[0].dtype)
        start = 0
        for slot in slots:
            width = slot.shape[axis] * inner
            self.copy(slot, result.at(start), (outer, width), (width, 1), (total * inner, 1))
            start += width
        return result

    def binary(self, kind, a, b):
        """a op b with NumPy's broadcasting. kind: add subtract multiply divide maximum minimum prelu.

        Both are float32, or both int32, which has no divide and no prelu.
        """
        assert a.dtype == b.dtype
        number = _BINARY_KINDS[kind if a.dtype == "float32" else f"{kind}_{a.dtype}"]
        shape, n, (p, q) = _broadcast(a.shape, b.shape)
        result = self.new(shape, a.dtype)
        self.step(
            "binary", a=a, b=b, y=result, kind=number, n0=n[0], n1=n[1], n2=n[2], n3=n[3], n4=n[4],
            a0=p[0], a1=p[1], a2=p[2], a3=p[3], a4=p[4], b0=q[0], b1=q[1], b2=q[2], b3=q[3], b4=q[4],
        )  # fmt: skip
        return result

    def select(self, mask, a, b):
        """`a` where the bool `mask` holds, else `b`, with NumPy's broadcasting; both float32 or both int32."""
        assert a.dtype == b.dtype != "bool" == mask.dtype
        shape, n, (m, p, q) = _broadcast(mask.shape, a.shape, b.shape)
        result = self.new(shape, a.dtype)
        self.step(
            "select", mask=mask, a=a, b=b, y=result, n0=n[0], n1=n[1], n2=n[2], n3=n[3], n4=n[4],
            m0=m[0], m1=m[1], m2=m[2], m3=m[3], m4=m[4],
            a0=p[0], a1=p[1], a2=p[2], a3=p[3], a4=p[4], b0=q[0], b1=q[1], b2=q[2], b3=q[3], b4=q[4],
        )  # fmt: skip
        return result

    def affine(self, x, scale, shift):
        result = self.new(x.shape)
        self.step("affine", x=x, y=result, count=x.size, scale=scale, shift=shift)
        return result

    def mask_logic(self, kind, a, b=None):
        """kind: and, or, not; nonzero (of int32 or float32)."""
        kind = f"nonzero_{a.dtype}" if kind == "nonzero" else kind
        result = self.new(a.shape, "bool")
        self.step("mask_logic", a=a, b=b, y=result, count=a.size, kind=_MASK_KINDS[kind])
        return result

    def activation(self, spec, x, axis=-1):
        """`x` through a built-in activation. spec: (kernel name, up to three parameters), see activations.native_spec."""
        name, parameters = spec
        if name == "linear":
            return x
        p = [*parameters, 0.0, 0.0, 0.0][:3]
        kind = ACTIVATION_KINDS[name]
        if kind < ACTIVATION_KINDS["softmax"]:
            result = self.new(x.shape)
            self.step("activation", x=x, y=result, count=x.size, kind=kind, p0=p[0], p1=p[1], p2=p[2])
            return result
        axis %= len(x.shape)
        outer, n, inner = (_product(part) for part in (x.shape[:axis], x.shape[axis : axis + 1], x.shape[axis + 1 :]))
        shape = list(x.shape)
        if name == "glu":
            if n % 2:
                raise ValueError(f"glu halves axis {axis}, which has the odd size {n}.")
            shape[axis] //= 2
        result = self.new(shape)
        scratch = self.new((outer, 3, n)) if inner > 1 or name in ("log_softmax", "sparsemax") else None
        self.step("row_activation", x=x, y=result, scratch=scratch, outer=outer, n=n, inner=inner, kind=kind)
        return result

    def finish(self, outputs):
        return Program(self, outputs)


class Program:
    """Native steps and Python steps in order, for fixed shapes.

    outputs: Slots; input arrays come in the order of `Builder.input` calls.
    """

    def __init__(self, builder, outputs):
        self.steps = builder.steps
        self.input_count = len(builder.inputs)
        self.outputs = self._bind_outputs(builder, outputs)
        self.arena_size = self._place_arena()
        self.segments = self._make_segments()
        self._free = []

    def _bind_outputs(self, builder, outputs):
        """Results are written straight into the arrays that the caller gets; what cannot be is copied at the end."""
        bound = []
        for slot in outputs:
            if slot.buffer.kind != "arena" or slot.offset or slot.size * slot.itemsize != slot.buffer.nbytes:
                copied = builder.new(slot.shape, slot.dtype)
                builder.copy(slot, copied, (slot.size,), (1,), (1,))
                slot = copied
            slot.buffer.kind = "output"
            slot.buffer.number = len(builder.inputs) + len(bound)
            bound.append(slot)
        return bound

    @staticmethod
    def _slots_of(step):
        if step["op"] is None:
            return step["inputs"] + step["outputs"]
        return [value for value in step["fields"].values() if isinstance(value, Slot)]

    def _place_arena(self):
        """Offsets for intermediate arrays: first fit among those that live at the same time."""
        found = OrderedDict()
        for index, step in enumerate(self.steps):
            # A step that runs beside the next one keeps its memory until that one is done too.
            end = index + 1 if step.get("with_next") else index
            beside = index and self.steps[index - 1].get("with_next")
            for slot in self._slots_of(step):
                buffer = slot.buffer
                if buffer.kind == "arena":
                    start = index - 1 if beside else index
                    buffer.first = start if buffer.first is None else min(buffer.first, start)
                    buffer.last = max(buffer.last or 0, end)
                    found[id(buffer)] = buffer
        total, live = 0, []
        for buffer in sorted(found.values(), key=lambda b: b.first):
            live = sorted((b for b in live if b.last >= buffer.first), key=lambda b: b.offset)
            size = -(-buffer.nbytes // 64) * 64
            offset = 0
            for other in live:
                if offset + size <= other.offset:
                    break
                offset = max(offset, other.offset + -(-other.nbytes // 64) * 64)
            buffer.offset = offset
            live.append(buffer)
            total = max(total, offset + size)
        return total

    def _pointer(self, slot):
        buffer = slot.buffer
        if buffer.kind == "constant":
            return buffer.array
        return (-1, buffer.offset + slot.offset) if buffer.kind == "arena" else (buffer.number, slot.offset)

    def _make_segments(self):
        """Runs of native steps become `_native.Segment`s; a Python step stands between them as None."""
        self.plan = []  # (first step, or the Python step) beside each segment
        segments, run = [], []

        def close():
            if run:
                segments.append(_native.Segment([encoded for _, encoded in run]))
                self.plan.append([step for step, _ in run])
                run.clear()

        for step in self.steps:
            if step["op"] is None:
                close()
                segments.append(None)
                self.plan.append(step)
                continue
            number, _, known = OPERATIONS[step["op"]]
            fields = []
            for name, value in step["fields"].items():
                kind, offset, _ = known[name]
                fields.append((kind, offset, self._pointer(value) if isinstance(value, Slot) else value))
            run.append((step, (number, int(step["with_next"]), fields)))
        close()
        return segments

    def run(self, inputs, results=None):
        """Runs on `inputs` (contiguous arrays of the program's shapes) and returns the list of result arrays.

        results: arrays to write into, of the outputs' shapes and dtypes, else new ones.
        """
        if results is None:
            results = [np.empty(slot.shape, slot.dtype) for slot in self.outputs]
        if not any(array.size for array in results):
            return results
        bound = [*inputs, *results]
        try:
            workspace = self._free.pop()
        except IndexError:
            workspace = _native.Workspace(self.arena_size, self.segments)
        try:
            threads = runtime.get_num_threads()
            for index, segment in enumerate(self.segments):
                if segment is None:
                    self._run_python(self.plan[index], workspace, bound)
                    continue
                failed = workspace.run(segment, index, bound, threads)
                if failed is not None:
                    step, position, value = failed
                    raise self.plan[index][step]["failure"](position, value)
        finally:
            self._free.append(workspace)
        return results

    def _run_python(self, step, workspace, bound):
        def view(slot):
            nbytes = slot.size * slot.itemsize
            if slot.buffer.kind == "arena":
                memory = workspace.arena[slot.buffer.offset + slot.offset :][:nbytes]
            else:
                whole = slot.buffer.array if slot.buffer.kind == "constant" else bound[slot.buffer.number]
                memory = np.ravel(whole).view(np.uint8)[slot.offset :][:nbytes]
            return memory.view(slot.dtype).reshape(slot.shape)

        # The function gets copies: what it keeps must not change under it with the next run.
        found = nest.flatten(step["function"](*[view(slot).copy() for slot in step["inputs"]]))
        for slot, array in zip(step["outputs"], found):
            if array.shape != slot.shape:
                raise ValueError(
                    f"Layer '{step['name']}': call() returned shape {array.shape}, on zeros it was {slot.shape}."
                )
            view(slot)[...] = array

    def describe(self):
        """Rows (layer name, kernel, note) of what runs, in order."""
        rows = []
        threads = runtime.get_num_threads()
        for step in self.steps:
            if step["op"] is None:
                rows.append((step["name"], "python", "takes the GIL back"))
                continue
            number, _, _ = OPERATIONS[step["op"]]
            fields, note = step["fields"], ""
            if step["op"] in ("lstm", "gru", "gru_reset_before", "simple_rnn"):
                shape = [fields[key] for key in ("batch", "timesteps", "inputs", "units")]
                note = _native.recurrent_plan(number, *shape, threads)
            if step["with_next"]:
                note = f"{note}; at the same time as the next".lstrip("; ")
            rows.append((step["name"], _native.kernel_name(number), note))
        return rows


_MOST_PROGRAMS = 64  # for one layer or model: shapes seen last are kept, a server's lengths usually fit


class ProgramCache:
    """The programs of one layer or model, by input shapes. Cleared when a weight they were made from changes."""

    def __init__(self):
        self._programs = OrderedDict()
        self._lock = threading.Lock()
        self._epoch = 0

    def clear(self):
        with self._lock:
            self._epoch += 1
            self._programs.clear()

    def run(self, layer, arguments, masks_only=False):
        """Results of `layer` for bound, converted call arguments; a result's mask rides on it (arrays.MaskedArray)."""
        found, key = [], [masks_only, runtime.active_isa(), current_training()]
        for name, value in arguments.items():
            key.append(name)
            _collect(value, found, key)
        program, structure, with_masks = self._program(tuple(key), layer, arguments, masks_only)
        if program is None:
            return structure
        results = program.run(found)
        if with_masks is not None:
            masks = iter(results[len(with_masks) :])
            results = [
                arrays.with_mask(array, next(masks) if masked else None) for array, masked in zip(results, with_masks)
            ]
        return results[0] if structure is None else nest.pack_like(structure, results)

    def program(self, layer, arguments):
        """The Program for such arguments."""
        found, key = [], [False, runtime.active_isa(), current_training()]
        for name, value in arguments.items():
            key.append(name)
            _collect(value, found, key)
        return self._program(tuple(key), layer, arguments, False)[0]

    def _program(self, key, layer, arguments, masks_only):
        entry = self._programs.get(key)
        if entry is not None:
            return entry
        epoch = self._epoch
        entry = self._make(layer, arguments, masks_only)
        with self._lock:
            # A weight changed while the program was made: right for this call, not for later ones.
            if epoch == self._epoch:
                self._programs[key] = entry
                if len(self._programs) > _MOST_PROGRAMS:
                    self._programs.popitem(last=False)
        return entry

    def _make(self, layer, arguments, masks_only):
        training = arguments.get("training")
        builder = Builder(self, current_training() if training is None else training)
        traced = {
            name: nest.map_structure(
                lambda leaf: _input_slot(builder, leaf) if isinstance(leaf, np.ndarray) else leaf, value
            )
            for name, value in arguments.items()
        }
        outputs = layer.trace(builder, traced)
        flat = nest.flatten(outputs)
        masks = [slot.mask for slot in flat]
        if masks_only:
            if all(mask is None for mask in masks):
                return None, None, None
            structure = nest.pack_like(outputs, masks) if nest.is_nested(outputs) else None
            return builder.finish([mask for mask in masks if mask is not None]), structure, None
        wanted = flat + [mask for mask in masks if mask is not None]
        with_masks = [mask is not None for mask in masks]
        structure = outputs if nest.is_nested(outputs) else None
        structure = None if structure is None else nest.map_structure(lambda _: None, structure)
        return builder.finish(wanted), structure, with_masks if any(with_masks) else None


def _input_slot(builder, array):
    slot = builder.input(array.shape, array.dtype.name)
    mask = arrays.mask_of(array)
    return slot if mask is None else slot.with_mask(builder.input(mask.shape, "bool"))


def _collect(value, found, key):
    """Appends the arrays of an argument to `found` and what a program depends on to `key`."""
    if isinstance(value, np.ndarray):
        found.append(value)
        mask = arrays.mask_of(value)
        key.append((value.shape, value.dtype.char, mask is None or mask.shape))
        if mask is not None:
            found.append(mask)
    elif isinstance(value, (list, tuple)):
        key.append(len(value))
        for item in value:
            _collect(item, found, key)
    elif isinstance(value, dict):
        for name in sorted(value):
            key.append(name)
            _collect(value[name], found, key)
    else:
        key.append((type(value), value))
