"""Chains: elementwise steps and reductions, alone and fused, against NumPy; the same bits whatever is fused."""

import numpy as np
import pytest

from fastseq.native import runtime
from fastseq.program import fusing
from fastseq.program.builder import Builder
from fastseq.program.program import Program

SHAPES = [(3,), (2, 5), (4, 100, 8), (3, 7, 300), (2, 600), (5, 1), (1, 1), (0, 3), (3, 0), (2, 3, 1), (100, 64), ()]


def program(build, *arrays):
    """(Program of what `build(p, *slots)` gives, its results)."""
    p = Builder()
    inputs = [p.input(array.shape, array.dtype.name) for array in arrays]
    made = Program(p, inputs, list(build(p, *inputs)))
    return made, made.run(list(arrays))


def unfused(monkeypatch, build, *arrays):
    """The results of the same steps, one after the other."""
    with monkeypatch.context() as patch:
        patch.setattr(fusing, "_producer", lambda *args: None)
        return program(build, *arrays)[1]


def of_four(p, x, w):
    t = p.elementwise("maximum", p.elementwise("add", p.elementwise("multiply", x, w), 2.0), 0.5)
    return t, p.elementwise("less", t, x, dtype="bool"), p.elementwise("exp", p.elementwise("negative", t))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_chain_is_one_step_with_the_bits_of_its_parts(rng, monkeypatch, shape):
    x, w = rng.standard_normal(shape).astype("f"), rng.standard_normal(shape[-1:]).astype("f")
    made, results = program(of_four, x, w)
    assert len(made.steps) < 5
    for got, wanted in zip(results, unfused(monkeypatch, of_four, x, w), strict=True):
        np.testing.assert_array_equal(got, wanted)
    by_hand = np.maximum(x * w + np.float32(2), np.float32(0.5))
    np.testing.assert_array_equal(results[0], by_hand)
    np.testing.assert_array_equal(results[1], by_hand < x)
    np.testing.assert_allclose(results[2], np.exp(-by_hand), rtol=1e-6)


@pytest.mark.parametrize("kind", ["sum", "mean", "max", "min", "prod"])
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape], ids=str)
def test_reductions_read_no_intermediate_array(rng, monkeypatch, kind, shape):
    x = rng.standard_normal(shape).astype("f")
    for axes in {(0,), (len(shape) - 1,), tuple(range(len(shape))), tuple(range(1, len(shape)))} - {()}:
        if x.size == 0 and kind in ("max", "min"):
            continue

        def build(p, slot, axes=axes):
            return [p.reduce(kind, p.elementwise("multiply", slot, 0.5), axes)]

        made, (got,) = program(build, x)
        assert [step["op"] for step in made.steps] == ["reduce"]
        np.testing.assert_array_equal(got, unfused(monkeypatch, build, x)[0])
        halves, count = (x * np.float32(0.5)).astype(np.float64), int(np.prod([shape[axis] for axis in axes]))
        with np.errstate(all="ignore"):
            wanted = halves.sum(axis=axes) / count if kind == "mean" else getattr(np, kind)(halves, axis=axes)
        np.testing.assert_allclose(got, wanted, rtol=2e-6, atol=1e-30)


def test_sums_do_not_depend_on_the_batch_threads_or_the_instruction_set(rng):
    x = (rng.standard_normal((9, 37, 130)) * 100).astype("f")

    def build(p, slot):
        return [p.reduce("sum", slot, axes) for axes in [(1,), (2,), (1, 2)]]

    whole = program(build, x)[1]
    for row in range(9):
        for part, wanted in zip(program(build, np.ascontiguousarray(x[row : row + 1]))[1], whole):
            np.testing.assert_array_equal(part[0], wanted[row])
    for threads in (1, 2, 3):
        with runtime.num_threads(threads):
            for part, wanted in zip(program(build, np.repeat(x, 40, axis=0))[1], whole):
                np.testing.assert_array_equal(part[::40], wanted)
    for isa in runtime.available_isas():
        runtime.force_isa(isa)
        try:
            for part, wanted in zip(program(build, x)[1], whole):
                np.testing.assert_array_equal(part, wanted)
        finally:
            runtime.force_isa("")


def test_an_array_may_be_read_and_written_by_one_chain(rng):
    """A register that is the memory of a result takes nothing else, as the result may be an input too."""
    x, w = rng.standard_normal((3, 4)).astype("f"), rng.standard_normal(4).astype("f")

    def build(p, x, w):
        kept = p.new((3, 4))
        p.copy(x, kept, (12,), (1,), (1,))
        with p.loop(3):
            scaled = p.elementwise("multiply", kept, w)
            p.write(p.elementwise("add", scaled, p.elementwise("multiply", kept, 0.5)), kept)
        return [kept]

    made, (got,) = program(build, x, w)
    assert sum("loop" in step for step in made.steps) == 1
    wanted = x
    for _ in range(3):
        wanted = wanted * w + wanted * np.float32(0.5)
    np.testing.assert_array_equal(got, wanted)


def test_loops_move_over_their_arrays_and_stop_on_a_condition(rng):
    x = rng.standard_normal((6, 3)).astype("f")

    def build(p, x):
        total, y = p.contiguous_copy(p.constant(np.zeros(1, "f")), (3,), (0,)), p.new((6, 3))
        with p.loop(6):
            p.write(p.elementwise("add", total, x.part((3,), 5 * 12, -12)), total)
            p.write(total, y.part((3,), 0, 12))
        return total, y

    total, y = program(build, x)[1]
    wanted = np.cumsum(x[::-1], axis=0, dtype="f")
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(total, wanted[-1])
    again = program(build, x)[0]
    for _ in range(3):  # the pointers are back where they were
        np.testing.assert_array_equal(again.run([x])[1], wanted)


def test_an_endless_loop_can_be_interrupted():
    import signal

    p = Builder()
    x = p.input((8,), "float32")
    kept, on = p.new((8,)), p.new((), "bool")
    p.copy(x, kept, (8,), (1,), (1,))
    p.write(p.constant(np.array(True)), on)
    with p.loop(1 << 62) as loop:
        p.write(p.elementwise("multiply", kept, 1.0), kept)
        p.write(p.constant(np.array(True)), on)
        loop.condition = on
    endless = Program(p, [x], [kept])

    def stop(*args):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            endless.run([np.ones(8, "f")])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_loops_hold_native_steps_only():
    p = Builder()
    x = p.input((2,), "float32")
    with pytest.raises(ValueError, match="no other loop"), p.loop(2):
        p.elementwise("add", x, 1.0)
        with p.loop(2):
            p.elementwise("add", x, 1.0)


@pytest.mark.parametrize(("shape", "strides", "offset"), [
    ((4, 3), (4, 1), 0), ((3, 4), (4, 1), 1), ((12,), (-1,), 10), ((2, 3), (6, 3), 0), ((1,), (1,), -1),
])  # fmt: skip
def test_a_view_stays_within_its_array(shape, strides, offset):
    p = Builder()
    x = p.input((3, 4), "float32")
    with pytest.raises(ValueError, match="reaches beyond an array"):
        p.view(x, shape, strides, offset)
    p.view(x, (12,), (-1,), 11)
    p.view(x, (5, 0), (100, 1))
