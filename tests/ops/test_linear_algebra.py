"""Products of fastseq.ops against NumPy, their bits, steps and streams."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastseq
from fastseq import layers, ops
from fastseq.gradients import append_backward
from fastseq.native import runtime
from fastseq.ops.values import Traced
from fastseq.program.builder import Builder
from fastseq.program.program import Program


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype("f")


@st.composite
def pairs(draw_one):
    """Shapes of two arrays that matmul takes, with batches that broadcast."""
    m, k, n = (draw_one(st.integers(0, 20)) for _ in range(3))
    batch = draw_one(st.lists(st.integers(1, 3), max_size=3))
    sides = []
    for _ in range(2):
        own = [size if draw_one(st.booleans()) else 1 for size in batch]
        sides.append(own[draw_one(st.integers(0, len(own))) :])
    return (*sides[0], m, k), (*sides[1], k, n)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(pairs(), st.booleans(), st.booleans())
def test_matmul_is_numpys(shapes, turn_first, turn_second):
    a, b = draw(*shapes[0]), draw(*shapes[1], seed=1)
    left = np.ascontiguousarray(a.swapaxes(-1, -2)) if turn_first else a
    right = np.ascontiguousarray(b.swapaxes(-1, -2)) if turn_second else b
    last = "...mk,...kn->...mn"
    subscripts = last.replace("...mk", "...km" if turn_first else "...mk")
    subscripts = subscripts.replace(",...kn", ",...nk" if turn_second else ",...kn")
    found = ops.einsum(subscripts, left, right)
    np.testing.assert_array_equal(found, ops.matmul(a, b))  # the same bits, however its operands lie
    np.testing.assert_allclose(found, a.astype("d") @ b, atol=1e-5)


LABELS = st.lists(st.sampled_from("abcdef"), min_size=0, max_size=4, unique=True)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(LABELS, LABELS, st.data())
def test_einsum_is_numpys(one, other, data):
    sizes = dict(zip("abcdef", (2, 3, 1, 4, 2, 5)))
    every = list(dict.fromkeys([*one, *other]))
    result = data.draw(st.permutations(every))[: data.draw(st.integers(0, len(every)))]
    subscripts = f"{''.join(one)},{''.join(other)}->{''.join(result)}"
    a, b = (draw(*(sizes[i] for i in labels), seed=seed) for seed, labels in enumerate((one, other)))
    found = ops.einsum(subscripts, a, b)
    np.testing.assert_allclose(found, np.einsum(subscripts, a.astype("d"), b.astype("d")), atol=1e-4)


def test_one_row_has_the_bits_of_a_batch():
    a, b = draw(37, 300), draw(300, 75, seed=1)
    whole = ops.matmul(a, b)
    for row in (0, 5, 36):
        np.testing.assert_array_equal(ops.matmul(a[row : row + 1], b)[0], whole[row])
        np.testing.assert_array_equal(ops.matmul(a[row], b), whole[row])
    np.testing.assert_array_equal(ops.matmul(a, b[:, 10:11])[:, 0], whole[:, 10])
    np.testing.assert_array_equal(ops.matmul(np.stack([a] * 3), np.stack([b] * 3))[2], whole)


def test_threads_do_not_matter():
    a, b = draw(4, 200, 300), draw(4, 300, 130, seed=1)
    before = runtime.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            runtime.set_num_threads(threads)
            found.append(ops.matmul(a, b))
    finally:
        runtime.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def steps_of(function, *shapes):
    p = Builder()
    inputs = [p.input(shape, "float32") for shape in shapes]
    program = Program(p, inputs, [function(*(Traced(p, slot) for slot in inputs)).slot])
    return [step["op"] for step in program.steps]


def test_attention_copies_nothing():
    """Heads are read and written where they stand."""
    q, k = (2, 7, 3, 4), (2, 9, 3, 4)
    assert steps_of(lambda a, b: ops.einsum("btnh,bsnh->bnts", a, b), q, k) == ["matmul"]
    assert steps_of(lambda a, b: ops.einsum("bnts,bsnh->btnh", a, b), (2, 3, 7, 9), k) == ["matmul"]
    assert steps_of(lambda a, b: ops.matmul(a, ops.transpose(b, (0, 2, 1))), (2, 7, 4), (2, 9, 4)) == ["matmul"]


def test_a_weight_is_packed_once():
    """By Dense's step, where a layer's weight is the right factor; in training it is packed in every run."""
    layer = layers.Dense(5)
    layer.build((None, 4))
    x, kernel = draw(3, 7, 4), layer.kernel
    calls = [
        lambda a: ops.matmul(a, kernel),
        lambda a: ops.dot(a, kernel),
        lambda a: ops.einsum("...d,de->...e", a, kernel),
    ]
    for function in calls:
        assert steps_of(function, x.shape) == ["dense"]
        p = Builder(trains=True)
        given = p.input(x.shape, "float32")
        y = function(Traced(p, given)).slot
        found = append_backward(p, [(y, p.constant(np.ones(y.shape, "f")))], [given, p.weight(kernel)])
        program = Program(p, [given], [y, *found])
        assert [step["op"] for step in program.steps][:2] == ["pack", "dense"]
        y, dx, d_kernel = program.run([x])
        np.testing.assert_array_equal(y, layer(x) - layer.bias.numpy())
        np.testing.assert_allclose(dx, np.ones(y.shape) @ kernel.numpy().T, atol=1e-6)
        np.testing.assert_allclose(d_kernel, x.reshape(-1, 4).T @ np.ones((21, 5)), atol=1e-5)


def test_decompositions_are_named():
    with pytest.raises(AttributeError, match=r"svd.: no function takes a matrix apart .cholesky, "):
        _ = ops.svd
    for package in ("fastseq.ops", "fastseq.ops.linalg"):
        with pytest.raises(ImportError, match=rf"'inv' from '{package}': no function takes a matrix apart"):
            exec(f"from {package} import inv")


def test_products_in_graphs_and_streams():
    x = fastseq.Input((None, 4))
    factors = draw(4, 3)
    model = fastseq.Model(x, ops.matmul(layers.LSTM(4, return_sequences=True)(x), factors))
    data = draw(2, 6, 4)
    whole = model.predict(data, verbose=0)
    stream = model.stream(2)
    np.testing.assert_array_equal(np.stack([stream.step(data[:, t]) for t in range(6)], 1), whole)
    scores = fastseq.Model(x, ops.einsum("btd,bsd->bts", x, x))
    with pytest.raises(ValueError, match="cannot run in a stream: it meets timesteps with"):
        scores.stream(2)
    mixed = fastseq.Model(x, ops.einsum("btd,bte->bde", x, x))
    with pytest.raises(ValueError, match="cannot run in a stream: it takes all timesteps together"):
        mixed.stream(2)
