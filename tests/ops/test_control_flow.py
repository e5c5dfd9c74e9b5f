"""Loops and choices: on arrays plain Python, traced a native loop; against each other and, marked so, against Keras."""

import numpy as np
import pytest

import fastseq
from fastseq import layers, ops
from fastseq.gradients import append_backward
from fastseq.layers.traced_calls import untraced
from fastseq.ops.values import Traced
from fastseq.program.builder import Builder
from fastseq.program.program import Program
from fastseq.tensors import nest

FUNCTIONS = {
    "scan": lambda k, x: k.scan(lambda c, v: (c * 0.5 + v, c * 2.0), k.sum(x, axis=0) * 0.0, x),
    "scan reverse": lambda k, x: k.scan(lambda c, v: (c * 0.5 + v, c), k.sum(x, axis=0) * 0.0, x, reverse=True),
    "scan of two": lambda k, x: k.scan(lambda c, v: ((c[1], c[0] + v), c[0]), (k.sum(x, axis=0) * 0.0, x[0]), x),
    "scan without xs": lambda k, x: k.scan(lambda c, v: (c * 1.1, c), x, length=4),
    "while_loop": lambda k, x: k.while_loop(
        lambda a: k.sum(k.abs(a)) < 100.0, lambda a: (a * 1.5,), (x,), maximum_iterations=30
    ),
    "while_loop counted": lambda k, x: k.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * 1.5), (0, x)),
    "while_loop never": lambda k, x: k.while_loop(lambda i, a: i < 0, lambda i, a: (i + 1, a * 1.5), (0, x)),
    "fori_loop": lambda k, x: k.fori_loop(0, 7, lambda i, a: a * 0.9 + k.cast(i, "float32"), x),
    "fori_loop of none": lambda k, x: k.fori_loop(3, 3, lambda i, a: a * 0.9, x),
    "map": lambda k, x: k.map(lambda v: v - k.mean(v), x),
    "vectorized_map": lambda k, x: k.vectorized_map(lambda v: v * k.sum(v), x),
    "cond": lambda k, x: k.cond(k.sum(x) > 0, lambda: x * 2.0, lambda: -x),
    "switch": lambda k, x: k.switch(
        k.cast(k.sum(x) > 0, "int32") + 1, [lambda a: a, lambda a: -a, lambda a: a * 3.0], x
    ),
}  # fmt: skip


def traced(function, x):
    p = Builder()
    slot = p.input(x.shape, "float32")
    results = nest.flatten(function(ops, Traced(p, slot)))
    slots = [r.slot if isinstance(r, Traced) else p.constant(np.asarray(r, np.int32)) for r in results]
    return Program(p, [slot], slots), [slot], slots


@pytest.fixture(params=[0, 1], ids=["sum above 0", "sum below 0"])
def x(request, rng):
    values = rng.standard_normal((5, 3)).astype("f")
    return values * np.float32(np.sign(values.sum()) * (1 if request.param == 0 else -1))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_traced_as_on_arrays(x, name):
    program, _, _ = traced(FUNCTIONS[name], x)
    assert not program.has_python
    on_arrays = nest.flatten(FUNCTIONS[name](ops, x))
    for _ in range(2):
        for got, wanted in zip(program.run([x]), on_arrays, strict=True):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ("scan of two", "scan without xs")])
def test_as_in_keras(x, name):
    keras_ops = pytest.importorskip("keras").ops
    mine = nest.flatten(FUNCTIONS[name](ops, x))
    theirs = nest.flatten(FUNCTIONS[name](keras_ops, keras_ops.convert_to_tensor(x)))
    for got, wanted in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(got, np.asarray(wanted), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["scan", "fori_loop", "map", "cond", "switch"])
def test_gradients_are_central_differences(x, name):
    p = Builder(trains=True)
    slot = p.input(x.shape, "float32")
    result = nest.flatten(FUNCTIONS[name](ops, Traced(p, slot)))[0].slot
    ones = p.constant(np.ones(result.shape, np.float32))
    (gradient,) = append_backward(p, [(result, ones)], [slot])
    (got,) = Program(p, [slot], [gradient]).run([x])
    for place in [(0, 0), (2, 1), (4, 2)]:
        step = np.zeros_like(x)
        step[place] = 2**-6
        ends = [float(np.sum(nest.flatten(FUNCTIONS[name](ops, x + s))[0], dtype=np.float64)) for s in (step, -step)]
        np.testing.assert_allclose(got[place], (ends[0] - ends[1]) * 2**5, rtol=2e-3, atol=2e-3)


def test_a_loop_in_a_layer_is_one_loop_however_many_entries(rng):
    class Sums(layers.Layer):
        def call(self, inputs):
            return ops.scan(lambda c, v: (c + v, c + v), ops.zeros_like(inputs[0]), inputs)[1]

    inputs = fastseq.Input((3,))
    model = fastseq.Model(inputs, Sums()(inputs))
    counts = set()
    for rows in (5, 50):
        x = rng.standard_normal((rows, 3)).astype("f")
        np.testing.assert_allclose(model(x), np.cumsum(x, axis=0), rtol=1e-4, atol=1e-5)
        counts.add(len(model._programs.program(model, {"inputs": x}).steps))
    assert len(counts) == 1


_X = np.ones((2, 3), "f")
_REFUSED = [
    (lambda: ops.cond(True, 1, 2), TypeError, "ops.cond: `true_fn` must be callable, got 1 of type int"),
    (lambda: ops.cond(True, lambda: 1, None), TypeError, "ops.cond: `false_fn` must be callable, got None"),
    (lambda: ops.switch(0, [lambda: 1, 2]), TypeError, r"ops.switch: `branches\[1\]` must be callable, got 2"),
    (lambda: ops.switch(0, []), ValueError, r"ops.switch: `branches` must be a list of functions, got \[\]"),
    (lambda: ops.switch(0.5, [lambda: 1]), TypeError, "ops.switch: `index` must be an integer, got 0.5"),
    (lambda: ops.map(2, _X), TypeError, "ops.map: `f` must be callable, got 2"),
    (lambda: ops.vectorized_map(2, _X), TypeError, "ops.vectorized_map: `function` must be callable"),
    (lambda: ops.while_loop(True, lambda i: i, 0), TypeError, "ops.while_loop: `cond` must be callable, got True"),
    (
        lambda: ops.while_loop(lambda i: i < 1, lambda i: i, 0, 2.5),
        TypeError,
        "`maximum_iterations` must be an integer",
    ),
    (lambda: ops.while_loop(lambda i: i < 1, lambda i: (i, i), 0), ValueError, r"while_loop: .* \[\(\)\], and gave"),
    (lambda: ops.fori_loop(0, "3", lambda i, v: v, 0), TypeError, "ops.fori_loop: `upper` must be an integer, got '3'"),
    (lambda: ops.fori_loop(0, 3, lambda i, v: v[:1], _X), ValueError, r"fori_loop: .*\(2, 3\).*\(1, 3\)"),
    (lambda: ops.scan(lambda c, v: (c[:1], v), _X, _X), ValueError, r"ops.scan: .* \[\(2, 3\)\], .* \[\(1, 3\)\]"),
    (lambda: ops.scan(lambda c, v: c, 0, _X), TypeError, "ops.scan: `f` must return two values.* got a int"),
    (
        lambda: ops.scan(lambda c, v: (c, v), 0, 3.0),
        ValueError,
        r"ops.scan: .* first axis to go .* \[\(\)\]",
    ),
    (lambda: ops.scan(lambda c, v: (c, v), 0, None, -1), ValueError, "ops.scan: `length` is not negative, got -1"),
    (lambda: ops.scan(lambda c, v: (c, v), 0, None, 1.5), TypeError, "ops.scan: `length` must be an integer, got 1.5"),
    (
        lambda: ops.scan(lambda c, v: (c, v), 0, _X, unroll=0),
        ValueError,
        "ops.scan: `unroll` must be a positive integer",
    ),
]


def test_no_entries_give_empty_arrays():
    """Of the shapes and dtypes that the function gives, as in JAX; Keras 3.15 on TensorFlow has those of `xs`."""
    none = np.zeros((0, 3), "f")
    body = lambda carry, v: (carry + v, (carry * 2, None, [ops.sum(v) > 0]))  # noqa: E731
    carry, (doubled, nothing, (above,)) = ops.scan(body, np.ones(3, "f"), none)
    np.testing.assert_array_equal(carry, np.ones(3, "f"))
    assert (doubled.shape, doubled.dtype, nothing, above.shape, above.dtype) == ((0, 3), "float32", None, (0,), "bool")
    assert ops.map(lambda v: ops.sum(v), none).shape == (0,) == ops.vectorized_map(lambda v: ops.sum(v), none).shape
    assert ops.scan(lambda carry, v: (carry, carry), np.ones(3, "f"), length=0)[1].shape == (0, 3)
    assert ops.scan(lambda carry, v: (carry, None), np.ones(3, "f"), none)[1] is None

    class Sums(layers.Layer):
        def call(self, inputs):
            carry, sums = ops.scan(lambda c, v: (c + v, c * v), inputs[0], inputs[:0])
            return ops.concatenate([sums, inputs], axis=0) + carry

    layer = Sums()
    np.testing.assert_array_equal(layer(np.full((2, 3), 2, "f")), np.full((2, 3), 4, "f"))
    assert untraced(layer) is None


def test_what_cannot_be(rng):
    with pytest.raises(TypeError, match=r"ops\.add: too many"):
        ops.add([1.0], [1.0], 3)
    with pytest.raises(TypeError, match=r"ops\.mean: got an unexpected keyword argument 'axes'"):
        ops.mean([1.0], axes=0)
    with pytest.raises(ValueError, match="Got no `xs`"):
        ops.scan(lambda c, v: (c, v), 0.0)
    for call, error, message in _REFUSED:
        with pytest.raises(error, match=message):
            call()
    with pytest.raises(TypeError, match="callable"):
        ops.scan(None, 0.0, np.ones(3))
    with pytest.raises(ValueError, match="sizes"):
        ops.scan(lambda c, v: (c, v[0]), 0.0, [np.ones(3), np.ones(4)])
    with pytest.raises(TypeError, match="symbolic"):
        ops.map(lambda v: v, fastseq.Input((3,)))
    with pytest.raises(ValueError, match=r"while_loop.*gave"):
        traced(lambda k, x: k.while_loop(lambda a: k.sum(a) < 1, lambda a: (a[:1],), (x,)), np.ones((2, 2), "f"))
    for run in (traced, lambda f, x: f(ops, x)):
        with pytest.raises(ValueError, match=r"ops\.cond: the condition is of one element, got shape \(2, 2\)"):
            run(lambda k, x: k.cond(x > 0, lambda: x, lambda: -x), np.ones((2, 2), "f"))
    with pytest.raises(ValueError, match="other structures"):
        traced(lambda k, x: k.cond(k.sum(x) > 0, lambda: x, lambda: (x, x)), np.ones((2, 2), "f"))


def test_operations_on_arrays_hold_no_losses():
    """A call forgets the losses of the calls before, once one was added outside of all calls: an operation has none."""
    ops.add([1.0], 2.0)
    layer = layers.Dense(2)
    layer(np.ones((1, 3), "f"))
    layer.add_loss(np.float32(1.0))
    np.testing.assert_array_equal(ops.add([1.0], 2.0), [3.0])
    assert len(layer.losses) == 1
