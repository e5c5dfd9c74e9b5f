"""EinsumDense against Keras, its twin, and Dense."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_check import check_layer, describe, isa, random_weights

import fastseq
from fastseq.layers.core.einsum_dense import analyze, reference_einsum_dense
from fastseq.native import runtime

# equation, output_shape, bias_axes, shape of the input
PRODUCTS = [
    ("ab,bc->ac", 5, "c", (3, 4)),
    ("ab,bc->ac", 33, None, (7, 40)),
    ("abc,cd->abd", (None, 5), "d", (2, 3, 4)),
    ("abc,cd->abd", (3, 5), "bd", (2, 3, 4)),
    ("abc,cd->abd", (3, 5), "b", (2, 3, 4)),
    ("abc,cde->abde", (None, 2, 3), "de", (2, 3, 4)),
    ("abc,cde->abde", (None, 2, 3), "d", (2, 3, 4)),
    ("abc,cde->abde", (None, 2, 3), "e", (2, 3, 4)),
    ("abcd,cde->abe", (None, 6), "e", (2, 3, 4, 5)),
    ("abcd,dce->abe", (None, 6), "e", (2, 3, 4, 5)),
    ("abc,bd->adc", (5, 4), "dc", (2, 3, 4)),
    ("abc,bd->adc", (5, None), "d", (2, 3, 4)),
    ("abc,cd->adb", (5, 3), "d", (2, 3, 4)),
    ("abc,bcd->abd", (3, 5), "bd", (2, 3, 4)),
    ("abc,cbd->adb", (5, 3), None, (2, 3, 4)),
    ("abc,b->abc", (3, 4), None, (2, 3, 4)),
    ("abc,cb->acb", (4, 3), "cb", (2, 3, 4)),
    ("ab,c->abc", (3, 5), "c", (2, 3)),
    ("abc,c->ab", (3,), "b", (2, 3, 4)),
    ("...x,xy->...y", 5, "y", (2, 4)),
    ("...x,xy->...y", 5, "y", (2, 3, 4)),
    ("...x,xy->...y", 5, "y", (2, 3, 3, 4)),
    ("...ab,bc->...ac", (3, 6), "ac", (2, 5, 3, 4)),
    ("ab...,bc->ac...", 6, "c", (2, 3)),
    ("ab...,bc->ac...", 6, "c", (2, 3, 4)),
    ("ab...,bc->ac...", 6, None, (2, 3, 4, 5)),
    ("BTf,fo->BTo", (None, 5), "o", (2, 3, 4)),
]
# A letter of the input that is in neither other term, and one that stands twice.
OTHERS = [
    ("abc,cd->ad", 5, "d", (2, 3, 4)),
    ("abc,ad->ad", (5,), None, (2, 3, 4)),
    ("abbc,cd->abd", (None, 5), "d", (2, 3, 3, 4)),
]


def name_of(case):
    return f"{case[0]} {case[2]} {case[3]}"


def layer_of(case, **options):
    equation, output_shape, bias_axes, shape = case
    layer = fastseq.layers.EinsumDense(equation, output_shape, bias_axes=bias_axes, **options)
    layer.build(shape)
    layer.set_weights(random_weights([v.shape for v in layer.weights]))
    return layer


@pytest.mark.tensorflow
@pytest.mark.parametrize("case", [*PRODUCTS, OTHERS[0]], ids=name_of)
@pytest.mark.parametrize("activation", [None, "relu", "softmax", "log_softmax"])
def test_equations(case, activation, rng):
    equation, output_shape, bias_axes, shape = case

    def truth(x, weights, call):
        return reference_einsum_dense(x.astype("f8"), weights[0].astype("f8"), equation,
                                      *(w.astype("f8") for w in weights[1:]), activation=activation)  # fmt: skip

    def make(layers):
        return layers.EinsumDense(equation, output_shape, bias_axes=bias_axes, activation=activation)

    check_layer(make, rng.standard_normal(shape).astype("f"), truth=truth)


@pytest.mark.tensorflow
def test_arguments(rng):
    check_layer(
        lambda layers: layers.EinsumDense(
            "abc,cd->abd", (None, 5), bias_axes="d", activation="tanh", kernel_initializer="he_uniform",
            bias_initializer="ones", kernel_regularizer="l2", bias_regularizer="l2", activity_regularizer="l2",
            kernel_constraint="unit_norm", bias_constraint="non_neg", trainable=False,
        ),
        rng.standard_normal((3, 4, 2)).astype("f"),
    )  # fmt: skip


@pytest.mark.tensorflow
@pytest.mark.parametrize("case", PRODUCTS + OTHERS, ids=name_of)
def test_shapes_without_a_batch_size(case):
    keras = pytest.importorskip("keras")
    equation, output_shape, bias_axes, shape = case
    for full in (shape, (None, *shape[1:])):
        layers = [k.layers.EinsumDense(equation, output_shape, bias_axes=bias_axes) for k in (keras, fastseq)]
        try:
            theirs = tuple(layers[0].compute_output_shape(full))
        except Exception:
            continue
        assert layers[1].compute_output_shape(full) == theirs
        if None in full and equation != "abc,ad->ad":
            assert layers[1](fastseq.Input(full[1:])).shape == tuple(layers[0](keras.Input(full[1:])).shape)


@pytest.mark.tensorflow
def test_fans_are_the_equations():
    """As Keras: he_normal's variance is 2 / inputs, whatever the order of the kernel's axes; the config stays."""
    keras = pytest.importorskip("keras")
    for k in (fastseq, keras):
        layer = k.layers.EinsumDense("abc,dec->abde", (None, 300, 10), kernel_initializer="he_normal")
        layer.build((None, 3, 50))
        assert abs(np.std(np.asarray(layer.kernel)) - np.sqrt(2 / 50)) < 0.002
        assert layer.get_config()["kernel_initializer"]["config"]["input_axes"] is None


@pytest.mark.tensorflow
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_files_both_ways(ending, tmp_path, rng):
    keras = pytest.importorskip("keras")

    def make(k):
        x = k.Input((3, 4))
        y = k.layers.EinsumDense("abc,cde->abde", (None, 2, 6), bias_axes="de", activation="relu")(x)
        y = k.layers.EinsumDense("abde,def->abf", (None, 5), bias_axes="f")(y)
        return k.Model(x, k.layers.EinsumDense("...a,ab->...b", 2)(y))

    x = rng.standard_normal((2, 3, 4)).astype("f")
    theirs = make(keras)
    theirs.set_weights(random_weights([np.shape(w) for w in theirs.get_weights()]))
    expected = theirs.predict(x, verbose=0)
    theirs.save(tmp_path / f"theirs.{ending}")
    for ours in (fastseq.load_model(tmp_path / f"theirs.{ending}"), fastseq.from_keras(theirs)):
        np.testing.assert_allclose(ours(x), expected, atol=2e-6)
    ours.save(tmp_path / "ours.keras")
    np.testing.assert_array_equal(fastseq.load_model(tmp_path / "ours.keras")(x), ours(x))
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "ours.keras").predict(x, verbose=0), expected)


@pytest.mark.parametrize("case", PRODUCTS + OTHERS, ids=name_of)
def test_twin_on_every_isa(case, rng):
    layer, x = layer_of(case, activation="tanh"), rng.standard_normal(case[3]).astype("f")
    weights = [w.astype("f8") for w in layer.get_weights()]
    expected = reference_einsum_dense(x.astype("f8"), weights[0], case[0], *weights[1:], activation="tanh")
    native = all(kernel != "python" for _, kernel, _ in describe(layer, x, {}))
    assert native == (case in PRODUCTS)
    bits = None
    for name in runtime.available_isas():
        with isa(name):
            found = layer(x)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=3e-6)
        if name != "scalar":
            bits = found if bits is None else bits
            np.testing.assert_array_equal(found, bits)
    again = fastseq.layers.EinsumDense.from_config(json.loads(json.dumps(layer.get_config())))
    again.build(case[3])
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x), layer(x))


@pytest.mark.parametrize("activation", [None, "relu", "softmax", "log_softmax", np.sin])
def test_same_bits_as_dense(activation, rng):
    """One product over the last axis is Dense's, and one product for each timestep is a Dense for each."""
    x = rng.standard_normal((6, 5, 20)).astype("f")
    dense = fastseq.layers.Dense(70, activation=activation)
    dense.build(x.shape)
    dense.set_weights(random_weights([v.shape for v in dense.weights]))
    for equation, shape, axes in (("abc,cd->abd", (None, 70), "d"), ("...c,cd->...d", 70, "d")):
        layer = fastseq.layers.EinsumDense(equation, shape, bias_axes=axes, activation=activation)
        layer.build(x.shape)
        layer.set_weights(dense.get_weights())
        np.testing.assert_array_equal(layer(x), dense(x))
    layer = fastseq.layers.EinsumDense("abc,bcd->abd", (5, 70), bias_axes="bd", activation=activation)
    layer.build(x.shape)
    kernel, bias = layer.get_weights()
    kernel[3], bias[3] = dense.get_weights()
    layer.set_weights([kernel, bias])
    np.testing.assert_array_equal(layer(x)[:, 3], dense(x[:, 3]))


@given(st.integers(0, 20), st.integers(1, 9), st.sampled_from([case for case in PRODUCTS if len(case[3]) == 3]))
def test_same_bits_alone_in_a_batch_and_on_threads(rows, seed, case):
    layer = layer_of(case)
    x = np.random.default_rng(seed).standard_normal((rows, *case[3][1:])).astype("f")
    y = layer(x)
    with runtime.num_threads(1):
        np.testing.assert_array_equal(layer(x), y)
    for row in range(min(rows, 3)):
        np.testing.assert_array_equal(layer(x[row : row + 1]), y[row : row + 1])


def test_stored_numbers():
    layer = fastseq.layers.EinsumDense("ab,bc->ac", 2, bias_axes="c", activation="relu")
    layer.build((None, 2))
    layer.set_weights([np.array([[1.0, -1.0], [2.0, 3.0]]), np.array([0.5, -9.0])])
    np.testing.assert_array_equal(layer(np.array([[1.0, 2.0], [-1.0, 4.0]])), [[5.5, 0.0], [7.5, 4.0]])
    layer.kernel.assign(np.zeros((2, 2)))
    np.testing.assert_array_equal(layer(np.ones((1, 2))), [[0.5, 0.0]])


@pytest.mark.parametrize(
    "equation, output_shape, native",
    [("...a,ab->...b", 3, True), ("agfedcb,bh->abcdefgh", (4, 2, 2, 1, 3, 1, 3), False)],
)
def test_more_than_five_axes(equation, output_shape, native, rng):
    """Where none has to be moved it is native; else NumPy moves them."""
    x = rng.standard_normal((2, 1, 3, 1, 2, 2, 4)).astype("f")
    layer = fastseq.layers.EinsumDense(equation, output_shape)
    layer.build(x.shape)
    np.testing.assert_allclose(layer(x), np.einsum(equation, x, layer.kernel.numpy()), atol=1e-5)
    assert (describe(layer, x, {})[0][1] != "python") == native


def test_shapes_of_weights():
    found = analyze("ab...,bc->ac...", "c", (None, 3, 7, 8), (6,))
    assert (found.kernel, found.bias, found.output) == ((3, 6), (6, 1, 1), (None, 6, 7, 8))
    found = analyze("abc,cde->abde", "e", (None, None, 4), (None, 2, 3))
    assert (found.kernel, found.bias, found.output) == ((4, 2, 3), (3,), (None, None, 2, 3))
    assert (found.input_axes, found.output_axes) == ([0], [1, 2])


@pytest.mark.tensorflow
def test_symbolic_shape_is_the_results(rng):
    """Keras 3.15 tells (None, 2, 3, 5) of a result of shape (1, 3, 2, 5)."""
    keras = pytest.importorskip("keras")
    x = rng.standard_normal((1, 3, 2, 4)).astype("f")
    layer = fastseq.layers.EinsumDense("...x,xy->...y", 5)
    assert layer(fastseq.Input((3, 2, 4))).shape == (None, 3, 2, 5)
    assert layer(x).shape == tuple(keras.layers.EinsumDense("...x,xy->...y", 5)(x).shape) == (1, 3, 2, 5)


@pytest.mark.parametrize(
    "equation, output_shape, bias_axes, shape, message",
    [
        ("ab,bc", 3, None, (2, 4), "invalid einsum equation"),
        ("a b,bc->ac", 3, None, (2, 4), "invalid einsum equation"),
        ("...ab,bc->ac", 3, None, (2, 4), "invalid einsum equation"),
        ("a...,ab->b...", 3, None, (2, 4), "invalid einsum equation"),
        ("...ab...,bc->...ac...", 3, None, (2, 4, 4), "invalid einsum equation"),
        (None, 3, None, (2, 4), "invalid einsum equation"),
        ("abc,cd->abd", (None, 3), None, (2, 4), "does not go with an input of 2 axes"),
        ("ab,bc->ac", 3, None, (2, 4, 5), "does not go with an input of 3 axes"),
        ("abc,cd->abd", 3, None, (2, 4, 5), "wants an output_shape of 2 sizes"),
        ("abc,cd->abd", (5, 3), None, (2, 4, 5), "shared dimension 'b'"),
        ("ab,bc->ad", 3, None, (2, 4), "'d' of the output"),
        ("ab,bcd->ac", 3, None, (2, 4), "'d' of the kernel"),
        ("ab,bc->ac", 3, "b", (2, 4), "bias_axes"),
        ("ab,bc->ac", 3, "", (2, 4), "bias_axes"),
        ("ab,bc->ac", (None,), None, (2, 4), "known shape"),
    ],
)
def test_what_does_not_fit(equation, output_shape, bias_axes, shape, message):
    layer = fastseq.layers.EinsumDense(equation, output_shape, bias_axes=bias_axes)
    with pytest.raises(ValueError, match=rf"{layer.name}.*{message}"):
        layer(np.zeros(shape, "f"))


def test_bad_input():
    layer = fastseq.layers.EinsumDense("abc,cd->abd", (None, 3))
    layer(np.zeros((2, 5, 4), "f"))
    for bad, message in (((2, 4), "ndim=3"), ((2, 5, 6), r"size 4 along 'c', got an input of shape \(2, 5, 6\)")):
        with pytest.raises(ValueError, match=rf"{layer.name}.*{message}"):
            layer(np.zeros(bad, "f"))
    for argument in ("lora_rank", "lora_alpha", "gptq_unpacked_column_size", "quantization_config"):
        with pytest.raises(ValueError, match=argument):
            fastseq.layers.EinsumDense("ab,bc->ac", 3, **{argument: 2})


def test_empty_arrays():
    layer = fastseq.layers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d", bias_initializer="ones")
    assert layer(np.zeros((0, 5, 4), "f")).shape == (0, 5, 3)
    assert layer(np.zeros((2, 0, 4), "f")).shape == (2, 0, 3)
