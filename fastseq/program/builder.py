"""A program in the making: slots for arrays, and the steps that layers add.

What a step is called and what arguments it has stands in src_c/abi/ops.h; this module only reads it.
"""

import contextlib

import numpy as np

from fastseq.native.kinds import ACTIVATION_KINDS, BINARY_KINDS, CASTS, MASK_KINDS, OPERATIONS
from fastseq.program import gradient_rules
from fastseq.program.chain_steps import ChainSteps
from fastseq.program.loops import Loop
from fastseq.program.slots import Buffer, Slot, broadcast_strides, merged, padded, product, strides_of, strides_over
from fastseq.tensors import mask_rules

gradient_rules.register("copy", "gradients.elementwise:copy_rule")
gradient_rules.register("binary", "gradients.elementwise:binary_rule")
gradient_rules.register("affine", "gradients.elementwise:affine_rule")
gradient_rules.register("select", "gradients.elementwise:select_rule")
gradient_rules.register("activation", "gradients.elementwise:activation_rule")
gradient_rules.register("row_activation", "gradients.elementwise:row_activation_rule")
gradient_rules.register("embedding", "gradients.elementwise:embedding_rule")


class PythonInside(Exception):
    """A program that was to have native steps alone would get one in Python. layer: whose."""

    def __init__(self, layer):
        super().__init__(f"Layer '{getattr(layer, 'name', layer)}' runs in Python.")
        self.layer = layer


class Builder(ChainSteps):
    """A program in the making; layers add their steps to it.

    training: the call's `training`, or None; cache: the ProgramCache it is made for; states: None, or where a layer
    with a `memory` finds what it starts from, and puts what it leaves (streaming.plan.Memory); fewer_rows: whether the
    program will run for fewer rows than it is made for, too (decoding.step.StepPlan). trains: whether gradients are
    wanted of it; then weights are read anew in every run, and `weights` and `packed_from` tell which slots they are;
    traces: whether recurrent steps keep what their gradients need, by default where it trains. penalized: whether the
    values that layers add to the loss are wanted (`penalties`), by default where it trains. mask_rules: those
    of the call that is traced; change_rules: None, or what makes other rules of each call's
    (saving/mask_differences.py).
    """

    def __init__(
        self, cache=None, training=None, trains=False, traces=None, penalized=None, change_rules=None
    ):  # fmt: skip
        self.mask_rules = mask_rules.NEWEST
        self.change_rules = change_rules
        self.cache = cache
        self.training = training
        self.trains = trains
        self.traces = trains if traces is None else traces
        self.weights = {}  # id of a Variable -> (it, Slot of its array)
        self.penalized = trains if penalized is None else penalized
        self.penalties = []  # added_losses.Penalty each
        self.timesteps = 1  # how many timesteps TimeDistributed has made rows of the batch
        self.adds_losses = False  # whether a user's layer called `add_loss`
        self.python_losses = []  # python_losses.PythonLosses of the Python steps that may add losses
        self.packed_from = {}  # id of a packed array's buffer -> dict of the Slots that it was packed from
        self.states = None
        self.fewer_rows = False
        self.native_only = False  # whether `native_or_raise` and `python` raise PythonInside
        self.layer_name = None
        self.in_loop = False
        self.steps = []
        self.inputs = []
        self._kept = {}  # id of an array that a layer keeps -> (the array, Slot of what it will hold)
        self._at_end = []

    @contextlib.contextmanager
    def following(self, rules):
        """What is traced in the block follows these `MaskRules`."""
        before = self.mask_rules
        self.mask_rules = rules if self.change_rules is None else self.change_rules(rules)
        try:
            yield
        finally:
            self.mask_rules = before

    @contextlib.contextmanager
    def loop(self, times, rows=1):
        """The steps added in the block run so many times; what differs from time to time are Slots that move
        (`Slot.part`). No step among them is Python, and none is a loop's. The block gets the Loop. rows: of the batch,
        which may run apart."""
        loop = Loop(times, len(self.steps), rows)
        self.in_loop = True
        try:
            yield loop
        finally:
            self.in_loop = False
        for step in self.steps[loop.first :]:
            if step["op"] is None or "loop" in step:
                raise ValueError("A loop holds native steps only, and no other loop.")
            step["loop"] = loop

    @contextlib.contextmanager
    def undone_on_error(self):
        """What is added in the block is taken back where it raises."""
        before = {key: value.copy() if isinstance(value, (list, dict)) else value for key, value in vars(self).items()}
        try:
            yield
        except BaseException:
            for key, value in before.items():
                now = getattr(self, key)
                if isinstance(value, list):
                    now[:] = value
                elif isinstance(value, dict):
                    now.clear()
                    now.update(value)
                else:
                    setattr(self, key, value)
            raise

    def use(self, layer):
        """Notes that the program depends on the weights of `layer`: its cache is cleared when they change."""
        if self.cache is not None and hasattr(layer, "_users"):  # an operation holds no weights
            layer._users.add(self.cache)

    # ---- slots ---------------------------------------------------------------------------------------------------

    def input(self, shape, dtype):
        buffer = Buffer("input", product(shape) * np.dtype(dtype).itemsize, number=len(self.inputs))
        self.inputs.append(buffer)
        return Slot(buffer, shape, dtype)

    def new(self, shape, dtype="float32"):
        """Room for a result."""
        shape = tuple(shape)
        if not all(
            isinstance(size, (int, np.integer)) and size >= 0 for size in shape
        ):  # a kernel would write beyond it
            raise TypeError(f"an array has sizes that are whole numbers, and not negative: got shape {shape}")
        return Slot(Buffer("arena", product(shape) * np.dtype(dtype).itemsize), shape, dtype)

    def constant(self, array):
        """A slot of fixed values; the program keeps `array` (contiguous float32, int32, uint32 or bool) alive."""
        array = np.ascontiguousarray(array)
        return Slot(Buffer("constant", array.nbytes, array=array), array.shape, array.dtype.name)

    def weight(self, variable):
        """A slot of a layer's weight as Keras keeps it."""
        if id(variable) not in self.weights:
            slot = self.constant(variable._held())
            # A constant has one axis at least; the gradient by a single number has none, as that number.
            self.weights[id(variable)] = variable, slot if variable.shape else slot.reshaped(())
        return self.weights[id(variable)][1]

    def kept(self, array):
        """A slot of the values that `array`, which a layer keeps between calls, holds at this point of the program.

        As in Keras, whose states are variables, no gradient goes from what reads it to what an earlier call left.
        """
        if id(array) not in self._kept:
            return self.constant(array)
        slot = self._kept[id(array)][1]
        if not self.trains:
            return slot
        copy = self.contiguous_copy(slot, slot.shape, strides_of(slot.shape))
        self.steps[-1]["flat"] = True
        return copy

    def keep(self, array, slot):
        """Notes that `array` holds the values of `slot`, of its shape, after the call."""
        assert slot.shape == array.shape and slot.dtype == array.dtype.name and array.flags.c_contiguous
        self._kept[id(array)] = array, slot

    def random_state(self, array):
        """A slot of a layer's (seed, count of draws), which every random step that reads it advances.

        In a training program it is a copy, kept only where the step ends well. Elsewhere it is `array` itself, advanced
        at once: threads that call one layer at the same time draw different numbers.
        """
        if not self.trains:
            return self.constant(array)
        if id(array) not in self._kept:
            self.keep(array, self.contiguous_copy(self.constant(array), array.shape, (1,)))
        return self._kept[id(array)][1]

    # ---- steps ---------------------------------------------------------------------------------------------------

    def write_kept(self):
        """Adds the steps that write what layers keep, and returns how many. They come after all that can fail, so that
        a call changes the kept arrays only when it ends well."""
        before = len(self.steps)
        for array, slot in self._kept.values():
            self.copy(slot, self.constant(array), (slot.size,), (1,), (1,))
        for add in self._at_end:
            add()
        return len(self.steps) - before

    def kept_arrays(self):
        """The arrays that `keep` was told of: C-contiguous ones, since they are written to by their address."""
        return [array for array, _ in self._kept.values()]

    def effects(self):
        """How much is noted that happens once a call, beside the steps: a loop's body that adds to it is no loop."""
        return len(self._kept), len(self._at_end), len(self.penalties), len(self.python_losses)

    def at_end(self, add):
        """Notes that `add()` adds steps, which cannot fail, that change what stays: as `keep` for everything else."""
        self._at_end.append(add)

    def step(self, operation, failure=None, with_next=False, first=False, **fields):
        """Adds a native step, its arguments by the names of src_c/abi/ops.h.

        A Slot or None goes to a pointer; a NumPy array is a constant. failure(position, value) makes the exception
        when the step fails. with_next: runs beside the next step. first: runs before everything, for checks of inputs.
        """
        _, _, known = OPERATIONS[operation]
        missing, unknown = set(known) - set(fields), set(fields) - set(known)
        if missing or unknown:
            raise TypeError(f"step {operation}: missing {sorted(missing)}, unknown {sorted(unknown)}")
        entry = {"op": operation, "fields": fields, "failure": failure, "with_next": with_next, "name": self.layer_name}
        self.steps.insert(0, entry) if first else self.steps.append(entry)

    def native_or_raise(self, layer):
        """Raises PythonInside where the program is to have no step in Python, as one of `layer` would be."""
        if self.native_only:
            raise PythonInside(layer)

    def python(self, name, function, inputs, examples, backward=None, weights=()):
        """Adds a step that calls `function(*arrays)` under the GIL; it returns arrays like `examples`.

        backward: None, or what takes the gradients by the float32 results, then the inputs, and returns those by the
        float32 inputs and by `weights`, Slots of what the function reads by itself: an array for each.
        """
        self.native_or_raise(name)
        outputs = [self.new(example.shape, example.dtype.name) for example in examples]
        self.steps.append({
            "op": None, "function": function, "inputs": inputs, "outputs": outputs, "name": name, "backward": backward,
            "weights": list(weights),
        })  # fmt: skip
        return outputs

    def rows_of(self, ids, table, width):
        """Rows of a constant `table` (n, width) at int32 `ids`, which are checked before; one-hot rows without a table.

        Where every layer that reads them takes them from their `lookup`, the step that writes them falls away.
        """
        y = self.new((*ids.shape, width))
        if table is None:
            self.step("one_hot", ids=ids, y=y, count=ids.size, width=width)
        else:
            self.step("embedding", ids=ids, table=table, y=y, count=ids.size, width=width)
        if not self.trains:
            y.lookup = ids, table  # training changes the weights, and looked-up sums would be of the old ones
        return y

    def cast(self, slot, dtype):
        if slot.dtype == dtype:
            return slot
        result = self.new(slot.shape, dtype)
        self.step("cast", x=slot, y=result, count=slot.size, kind=CASTS[slot.dtype, dtype])
        return result.with_mask(slot.mask)

    def float32(self, slot):
        return self.cast(slot, "float32")

    def copy(self, source, target, shape, source_strides, target_strides):
        """target = source over `shape`, strides in elements; at most 5 dimensions, those counted once that belong
        together on both sides."""
        if source.dtype == "bool" or target.dtype == "bool":
            assert source.dtype == target.dtype
        if len(shape) > 5:
            shape, source_strides, target_strides = merged(shape, source_strides, target_strides)
        n, x, y = padded(shape, 1), padded(source_strides, 0), padded(target_strides, 0)
        self.step(
            "copy", x=source, y=target, size=source.itemsize,
            n0=n[0], n1=n[1], n2=n[2], n3=n[3], n4=n[4],
            x0=x[0], x1=x[1], x2=x[2], x3=x[3], x4=x[4], y0=y[0], y1=y[1], y2=y[2], y3=y[3], y4=y[4],
        )  # fmt: skip

    def contiguous_copy(self, source, shape, source_strides):
        """A new slot of `shape`, read from `source` by strides; dimensions that belong together are merged first."""
        result = self.new(shape, source.dtype)
        sizes, strides = merged(shape, source_strides)
        self.copy(source, result, sizes, strides, strides_of(sizes))
        return result

    def transpose(self, slot, order):
        """A copy of `slot` with its axes in another order, as np.transpose; no mask."""
        strides = strides_of(slot.shape)
        return self.contiguous_copy(slot, [slot.shape[axis] for axis in order], [strides[axis] for axis in order])

    def broadcast(self, slot, shape):
        """A copy of `slot` in a shape it broadcasts to."""
        own = (1,) * (len(shape) - len(slot.shape)) + slot.shape
        return self.contiguous_copy(slot, shape, strides_over(own))

    def concatenate(self, slots, axis):
        """`slots`, of one dtype and alike in all but `axis`, one after the other along it."""
        axis %= len(slots[0].shape)
        total = sum(slot.shape[axis] for slot in slots)
        shape = slots[0].shape
        outer, inner = product(shape[:axis]), product(shape[axis + 1 :])
        result = self.new((*shape[:axis], total, *shape[axis + 1 :]), slots[0].dtype)
        start = 0
        for slot in slots:
            width = slot.shape[axis] * inner
            self.copy(slot, result.at(start), (outer, width), (width, 1), (total * inner, 1))
            start += width
        return result

    def with_earlier(self, x, count):
        """x (B, T, ...) float32 behind the `count` timesteps before it, (B, count + T, ...), for a layer whose `memory`
        is "inputs": in a stream those that it got before, else zeros, as at a stream's start."""
        (batch, time, *rest), inner = x.shape, product(x.shape[2:])
        whole, row = self.new((batch, count + time, *rest)), (count + time) * inner
        if self.states is None:
            self.copy(self.constant(np.zeros(1, np.float32)), whole, (batch, count * inner), (0, 0), (row, 1))
        else:
            (earlier,), _ = self.states.begin(self, [np.zeros((batch, count, *rest), np.float32)])
            self.copy(earlier, whole, (batch, count * inner), (count * inner, 1), (row, 1))
        self.copy(x, whole.at(count * inner), (batch, time * inner), (time * inner, 1), (row, 1))
        if self.states is not None:
            (later,) = self.states.last
            self.copy(whole.at(time * inner), later, (batch, count * inner), (row, 1), (count * inner, 1))
        return whole

    def binary(self, kind, a, b):
        """a op b with NumPy's broadcasting. kind: add subtract multiply divide maximum minimum prelu at_least above.

        Both are float32, or both int32, for the first six without divide. at_least and above give 1.0 or 0.0.
        """
        assert a.dtype == b.dtype
        number = BINARY_KINDS[kind if a.dtype == "float32" else f"{kind}_{a.dtype}"]
        shape, n, (p, q) = broadcast_strides(a.shape, b.shape)
        result = self.new(shape, a.dtype)
        self.step(
            "binary", a=a, b=b, y=result, kind=number, n0=n[0], n1=n[1], n2=n[2], n3=n[3], n4=n[4],
            a0=p[0], a1=p[1], a2=p[2], a3=p[3], a4=p[4], b0=q[0], b1=q[1], b2=q[2], b3=q[3], b4=q[4],
        )  # fmt: skip
        return result

    def select(self, mask, a, b):
        """`a` where the bool `mask` holds, else `b`, with NumPy's broadcasting; both float32 or both int32."""
        assert a.dtype == b.dtype != "bool" == mask.dtype
        shape, n, (m, p, q) = broadcast_strides(mask.shape, a.shape, b.shape)
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
        self.step("mask_logic", a=a, b=b, y=result, count=a.size, kind=MASK_KINDS[kind])
        return result

    def activation(self, spec, x, axis=-1):
        """`x` through a built-in activation. spec: (kernel name, parameters), see activations.native_spec."""
        name, parameters = spec
        if name == "linear":
            return x
        p = [*parameters, 0.0, 0.0, 0.0][:3]
        kind = ACTIVATION_KINDS[name]
        if kind < ACTIVATION_KINDS["softmax"]:
            result = self.new(x.shape)
            self.step("activation", x=x, y=result, count=x.size, kind=kind, p0=p[0], p1=p[1], p2=p[2])
            result.activated = (name, x) if name == "sigmoid" else None
            return result
        axis %= len(x.shape)
        outer, n, inner = (product(part) for part in (x.shape[:axis], x.shape[axis : axis + 1], x.shape[axis + 1 :]))
        shape = list(x.shape)
        if name == "glu":
            if n % 2:
                raise ValueError(f"glu halves axis {axis}, which has the odd size {n}.")
            shape[axis] //= 2
        result = self.new(shape)
        scratch = self.new((outer, 3, n)) if inner > 1 or name in ("log_softmax", "sparsemax") else None
        self.step("row_activation", x=x, y=result, scratch=scratch, outer=outer, n=n, inner=inner, kind=kind)
        result.activated = (name, x) if name == "softmax" else None
        return result
