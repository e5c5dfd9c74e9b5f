"""Elementwise steps become one pass, layers' own among them, with the bits of the single steps."""

import numpy as np
import pytest

import fastseq
from fastseq import layers, ops
from fastseq.gradients import append_backward
from fastseq.native.kinds import ACTIVATION_KINDS, BINARY_KINDS, CASTS
from fastseq.program.builder import Builder
from fastseq.program.program import Program

SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.5, -2.5, 1e-41], np.float32)
X = np.concatenate([SPECIAL, np.random.default_rng(0).normal(size=40).astype(np.float32)]).reshape(6, 8)
Y = np.random.default_rng(1).permutation(X.ravel()).reshape(6, 8)
IDS = np.random.default_rng(2).integers(-3, 4, (6, 8)).astype(np.int32)


def operations(program):
    return [step["op"] for step in program.steps]


def run(emit, *arrays, beside_chains):
    """(result, operations) of what `emit(p, *slots)` gives, copied by a chain where `beside_chains`."""
    p = Builder()
    slots = [p.input(array.shape, array.dtype.name) for array in arrays]
    y = emit(p, *slots)
    if beside_chains:
        y = p.elementwise("copy", y, dtype=y.dtype)
    program = Program(p, slots, [y])
    return program.run(list(arrays))[0], operations(program)


def check_fused(emit, *arrays):
    alone, native = run(emit, *arrays, beside_chains=False)
    fused, found = run(emit, *arrays, beside_chains=True)
    assert found == ["elementwise"]
    assert "elementwise" not in native
    assert fused.tobytes() == alone.tobytes()


@pytest.mark.parametrize(
    "name", [name for name, kind in ACTIVATION_KINDS.items() if kind < ACTIVATION_KINDS["softmax"]]
)
def test_an_activation_becomes_an_instruction(name):
    if name != "linear":
        check_fused(lambda p, x: p.activation((name, [0.3, 1.1, 0.7]), x), X)


@pytest.mark.parametrize("kind", ["add", "subtract", "multiply", "divide", "maximum", "minimum"])
@pytest.mark.parametrize("arrays", [(X, Y), (X, Y[:1]), (X[:, :1].copy(), Y)])
def test_a_merge_becomes_an_instruction(kind, arrays):
    check_fused(lambda p, x, y: p.binary(kind, x, y), *arrays)
    if kind != "divide":
        check_fused(lambda p, x, y: p.binary(kind, x, y), IDS, np.flip(IDS).copy())


def test_a_choice_becomes_an_instruction():
    check_fused(lambda p, mask, x, y: p.select(mask, x, y), IDS > 0, X, Y)
    check_fused(lambda p, mask, x, y: p.select(mask, x, y), IDS[:, :1] > 0, X, Y[:1])


@pytest.mark.parametrize("pair", CASTS, ids="-".join)
def test_a_cast_becomes_instructions(pair):
    before, after = pair
    array = {"float32": X, "int32": IDS, "bool": IDS > 0}[before]
    check_fused(lambda p, x: p.cast(x, after), array)


def test_other_kinds_of_merges_stay():
    for kind in set(BINARY_KINDS) - {"add", "subtract", "multiply", "divide", "maximum", "minimum"}:
        if not kind.endswith("_int32"):
            found = run(lambda p, x, y, kind=kind: p.binary(kind, x, y), X, Y, beside_chains=True)[1]
            assert found == ["binary", "elementwise"]


def test_a_layers_step_stays_where_no_chain_is_beside_it():
    p = Builder()
    x = p.input((6, 8), "float32")
    y = p.activation(("tanh", []), x)
    other = p.input((6, 8), "float32")
    z = p.reduce("sum", p.elementwise("exp", other), [1])
    program = Program(p, [x, other], [y, z])
    assert sorted(operations(program)) == ["activation", "reduce"]


def test_layers_and_operations_of_a_model_are_one_pass():
    x = fastseq.Input((5, 8))
    h = layers.Dense(8)(x)
    h = layers.Activation("tanh")(h) * 2.0
    h = layers.Add()([ops.exp(h), x])
    model = fastseq.Model(x, layers.ReLU()(h) - 1.0)
    program = _program_of(model, (2, 5, 8))
    assert operations(program) == ["dense", "elementwise"]


def _program_of(model, shape):
    p = Builder()
    slot = p.input(shape, "float32")
    return Program(p, [slot], [model.trace(p, {"inputs": slot})])


@pytest.mark.parametrize("columns", [5, 16, 20, 33, 130, 600])
@pytest.mark.parametrize("axes", [[0], [1], [0, 1]])
def test_a_reduction_reads_what_is_broadcast_in_every_tile_of_columns(columns, axes):
    """The last tile is narrower, and begins where the others did in an array that is broadcast across columns."""
    x = np.random.default_rng(0).normal(size=(7, 3, columns)).astype(np.float32)
    for shape in [(7, 3, 1), (7, 1, 1), (1, 3, 1), (1, 1, columns), (1, 1, 1)]:
        other = np.random.default_rng(1).normal(size=shape).astype(np.float32)
        p = Builder()
        slots = [p.input(x.shape, "float32"), p.input(shape, "float32")]
        program = Program(p, slots, [p.reduce("sum", p.elementwise("multiply", *slots), axes)])
        assert operations(program) == ["reduce"]
        wanted = (x * other).astype(np.float64).sum(tuple(axes))
        np.testing.assert_allclose(program.run([x, other])[0], wanted, rtol=1e-6, atol=1e-6)


def test_gradients_that_nobody_wants_are_not_computed():
    """Of x * 2 the rule gives the gradient by 2 as well."""
    p = Builder()
    x = p.input((6, 8), "float32")
    y = p.elementwise("power", p.elementwise("multiply", x, 2.0), 1.5)
    (dx,) = append_backward(p, [(y, p.constant(np.ones((6, 8), np.float32)))], [x])
    program = Program(p, [x], [dx])
    (step,) = program.steps
    assert sorted(name for name, _ in step["chain"].code) == ["multiply", "multiply", "multiply", "multiply", "power"]
