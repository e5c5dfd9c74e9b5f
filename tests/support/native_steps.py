"""Native operations run one by one, and the steps of a recurrent layer's whole gradient, as training strings them."""

import numpy as np
from layer_check import EPS, isa

from fastseq.native import _native, runtime
from fastseq.native.kinds import ACTIVATION_KINDS, OPERATIONS
from fastseq.program import packing
from fastseq.program.builder import Builder
from fastseq.program.program import Program


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def assert_near(found, truth, terms=1.0, scale=None):
    """Within the rounding of a sum of about `terms` numbers of the size `scale`."""
    scale = np.abs(truth).max(initial=1e-30) if scale is None else scale
    assert found.dtype == np.float32 and found.shape == truth.shape
    np.testing.assert_allclose(found, truth, rtol=0, atol=2 * EPS * scale * max(1.0, np.sqrt(terms)))


class Steps:
    """A program in the making: arrays go in as constants, `run` gives the results that `out` made room for."""

    def __init__(self):
        self.builder = Builder()
        self.wanted = {}

    def out(self, name, shape, start=None):
        """Room for a result, from `start` on where given; `run` returns it under `name`."""
        slot = self.wanted[name] = self.builder.new(shape)
        if start is not None:
            self.builder.copy(self.builder.constant(start), slot, (slot.size,), (1,), (1,))
        return slot

    def step(self, operation, **fields):
        """Adds the step; a field may be an array, a Slot, (array or Slot, first element), a number or None."""
        known = OPERATIONS[operation][2]
        for name, value in fields.items():
            if isinstance(value, np.ndarray):
                fields[name] = self.builder.constant(value)
            elif isinstance(value, tuple):
                array, first = value
                # A constant is an array that begins at its first element; a step may walk back from there.
                constant = isinstance(array, np.ndarray)
                fields[name] = self.builder.constant(array.reshape(-1)[first:]) if constant else array.at(first)
        rest = {name: None if kind in ("in", "out") else 0 for name, (kind, _, _) in known.items()}
        self.builder.step(operation, **{**rest, **fields})

    def run(self):
        program = Program(self.builder, [], list(self.wanted.values()))
        return dict(zip(self.wanted, program.run(())))


def run_step(operation, out, shape, start=None, **fields):
    """The array that one step writes to its field `out`."""
    steps = Steps()
    steps.step(operation, **{out: steps.out("found", shape, start)}, **fields)
    return steps.run()["found"]


def activation_fields(prefix, letter, spec):
    """Fields of a step for an activation, (kernel name, parameters)."""
    name, parameters = spec
    values = ([*parameters, 0.0, 0.0, 0.0])[:3]
    return {prefix: ACTIVATION_KINDS[name], **{f"{letter}{i}": value for i, value in enumerate(values)}}


class RecurrentGradients:
    """Forward with a trace, backward and weight gradients of one recurrent layer.

    operation: as in src_c/abi/ops.h; weights: Keras's kernel, recurrent kernel, bias; specs: the two activations.
    Call: (x, dy, ...) -> dict of `y`, `hn`, `cn`, `dx`, `kernel`, `recurrent`, `bias`, `dh0`, `dc0`.
    """

    def __init__(self, operation, weights, specs=(("tanh", ()), ("sigmoid", ())), sequences=True, go_backwards=False,
                 zero_masked=False, traced=True):  # fmt: skip
        self.operation = operation
        self.kernel, self.recurrent, self.bias = weights
        self.sequences, self.go_backwards, self.zero_masked = sequences, go_backwards, zero_masked
        self.traced = traced
        self.cell = "gru" if operation.startswith("gru") else operation
        self.activations = {
            **activation_fields("activation", "a", specs[0]), **activation_fields("recurrent_activation", "r", specs[1])
        }  # fmt: skip
        self.units = self.recurrent.shape[0]
        self.gates = packing.GATES[self.cell]
        self.columns = 4 * self.units if operation == "gru" else self.gates * self.units  # of dz

    def __call__(self, x, dy, h0=None, c0=None, mask=None, dhn=None, dcn=None):
        steps = Steps()
        batch, time, inputs = x.shape
        H, columns = self.units, self.columns
        walked = {
            "batch": batch, "timesteps": time, "units": H, "mask": mask, "mask_row": time, "mask_time": 1,
            "sequences": int(self.sequences), "zero_masked": int(self.zero_masked), **self.activations,
        }  # fmt: skip
        if self.go_backwards:
            walked |= {"mask": None if mask is None else (mask, time - 1), "mask_time": -1}
        trace, states = self._forward(steps, walked, x, h0, c0)
        dz = steps.out("dz", (batch, time, columns))
        # In the order of the walk, as the states are; in memory dz stands as x does.
        dz_time, dz_first = (-columns, (time - 1) * columns) if self.go_backwards else (columns, 0)
        reset_h = steps.out("reset_h", (batch, time, H)) if self.operation == "gru_reset_before" else None
        steps.step(
            f"{self.operation}_backward", **walked, dy=dy, dhn=dhn, dcn=dcn, trace=trace, h=states, h0=h0,
            **packing.pack_recurrent_backward(self.operation, self.recurrent),
            dz=(dz, dz_first), reset_h=reset_h, dh0=None if h0 is None else steps.out("dh0", (batch, H)),
            dc0=None if c0 is None else steps.out("dc0", (batch, H)),
            scratch=steps.builder.new((2, batch, packing.recurrent_width(self.operation, H))),
            dy_row=time * H if self.sequences else H, dy_time=H, h_row=time * H, h_time=H,
            dz_row=time * columns, dz_time=dz_time,
        )  # fmt: skip
        self._gradients_of_weights(steps, x, (dz, dz_first, dz_time), states, h0, reset_h)
        dense = packing.pack_dense(self.kernel.T, None)
        steps.step("dense", x=dz, y=steps.out("dx", x.shape), **dense, rows=batch * time, inputs=self.gates * H,
                   units=inputs, x_stride=columns, y_stride=inputs)  # fmt: skip
        if self.operation == "gru":
            steps.step("reduce_sum", x=(dz, 3 * H), y=steps.out("inner", (H,)), k0=1, k1=1, k2=H, xk2=1, r0=1, r1=1,
                       r2=batch * time, xr2=columns)  # fmt: skip
        found = steps.run()
        if self.operation == "gru":
            found["bias"] = np.stack([found["bias"], np.concatenate([found["bias"][: 2 * H], found["inner"]])])
        return found

    def _forward(self, steps, walked, x, h0, c0):
        """Adds the layer itself; returns the slots of its trace (None where it has none) and its states (B, T, H)."""
        (batch, time, inputs), H = x.shape, self.units
        trace = steps.out("trace", packing.trace_shape(self.operation, batch, time, H)) if self.traced else None
        states = steps.out("states", (batch, time, H))
        scratch = _native.recurrent_scratch(OPERATIONS[self.operation][0], batch, time, inputs, H)
        steps.step(
            self.operation, **walked, x=(x, (time - 1) * inputs) if self.go_backwards else x, h0=h0, c0=c0,
            **packing.pack_recurrent(
                self.cell, self.kernel, self.recurrent, self.bias, reset_after=self.operation == "gru"
            ),
            y=steps.out("y", (batch, time, H) if self.sequences else (batch, H)),
            hn=steps.out("hn", (batch, H)), cn=steps.out("cn", (batch, H)) if self.operation == "lstm" else None,
            scratch=steps.builder.new((scratch,)), trace=trace, states=states, inputs=inputs,
            x_row=time * inputs, x_time=-inputs if self.go_backwards else inputs,
            y_row=time * H if self.sequences else H, y_time=H, finite_kernel=1,
        )  # fmt: skip
        return trace, states

    def _gradients_of_weights(self, steps, x, dz, states, h0, reset_h):
        """Adds the products. dz: the slot (B, T, columns), where its first step is, and how far to the next one."""
        dz, dz_first, dz_time = dz
        (batch, time, inputs), H, columns = x.shape, self.units, self.columns
        d_recurrent = steps.out("recurrent", (H, self.gates * H))
        inside = self.gates * H  # columns of dz that the inputs' product gave
        product = {"c": steps.out("kernel", (inputs, inside)), "sums": steps.out("bias", (inside,))}
        steps.step("product_tn", a=x, b=dz, n0=1, n1=batch * time, m=inputs, n=inside, a1=inputs, b1=columns,
                   c_stride=inside, **product)  # fmt: skip
        # Columns of the recurrent kernel, where their sums' gradients stand in dz, and what they were multiplied with.
        parts = {"lstm": [(0, 0, 4)], "simple_rnn": [(0, 0, 1)], "gru": [(0, 0, 2), (2, 3, 1)]}
        for column, at, count in parts.get(self.operation, [(0, 0, 2)]):
            after = {"m": H, "n": count * H, "c": (d_recurrent, column * H), "c_stride": inside}
            steps.step("product_tn", a=states, b=(dz, dz_first + dz_time + at * H if time > 1 else 0), n0=batch,
                       n1=time - 1, a0=time * H, a1=H, b0=time * columns, b1=dz_time, **after)  # fmt: skip
            if h0 is not None:
                steps.step("product_tn", a=h0, b=(dz, dz_first + at * H), n0=1, n1=batch, a1=H, b1=time * columns,
                           accumulate=1, **after)  # fmt: skip
        if reset_h is not None:
            steps.step("product_tn", a=reset_h, b=(dz, dz_first + 2 * H), n0=batch, n1=time, a0=time * H, a1=H,
                       b0=time * columns, b1=dz_time, m=H, n=H, c=(d_recurrent, 2 * H), c_stride=inside)  # fmt: skip


def on_every_isa(run, check):
    """check(result) on each instruction set; those with FMA give the same bits, on 1, 2 and 3 threads."""
    expected = None
    for name in runtime.available_isas():
        for threads in (1, 2, 3):
            with isa(name):
                runtime.set_num_threads(threads)
                found = run()
            check(found)
            if name != "scalar":
                expected = found if expected is None else expected
                np.testing.assert_array_equal(found, expected, err_msg=f"{name}, {threads} threads")
