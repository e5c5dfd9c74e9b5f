"""Every layer of the table: it streams or is refused, what becomes of masks, files, options, README and benchmark.

The rows are those of tests/support/layer_cases.py. Whether it trains is in gradients/test_every_layer_trains.py.
"""

import ast
import pickle
import re
import warnings

import numpy as np
import pytest
from layer_cases import CASES, case_of, inputs_of, rows_of, start_of
from layer_check import check_layer, weights_for
from layer_rows import EACH, KEPT, LAST, REFUSED, B, N, T, draw
from mask_check import check_masked
from places import BENCHMARKS, ROOT

import fastseq
from fastseq import layers
from fastseq.tensors import arrays

NAMES = sorted(layers.REGISTRY)
MASK = np.array([[True, True, False, False], [False, True, True, False], [True] * 4])
every_layer = pytest.mark.parametrize("name", NAMES)


def model_of(case, library=fastseq):
    start, x = start_of(library.layers, case.ids)
    model = library.Model(start, case.make(library.layers, x))
    model.set_weights(weights_for(model.weights))
    return model


def test_no_row_is_of_a_layer_that_is_gone():
    assert set(CASES) - set(NAMES) == set(), "rows of tests/support/layer_cases.py"


def test_a_layer_without_a_row_is_told_where_to_add_one():
    with pytest.raises(pytest.fail.Exception, match=r"NoSuch has no row in CASES of tests/support/layer_cases\.py"):
        case_of("NoSuch")


# ---- streams ---------------------------------------------------------------------------------------------------------


@every_layer
def test_streams_have_the_bits_of_the_whole_or_are_refused(name):
    case = case_of(name)
    model, x = model_of(case), inputs_of(case.ids)
    if case.stream not in (EACH, LAST):
        refused = next(layer.name for layer in model.layers if type(layer).__name__ == name)
        for make in (model.stream, model.stream_pool):
            with pytest.raises(
                ValueError, match=rf"^Layer '{refused}' \({name}\) cannot run in a stream: {case.stream}\.$"
            ):
                make(B)
        return
    whole, stream = np.asarray(model(x)), model.stream(B)
    found = stream.steps(x)
    np.testing.assert_array_equal(found if case.stream == EACH else found[:, -1], whole)
    stream.reset()
    np.testing.assert_array_equal(np.stack([stream.step(x[:, t]) for t in range(T)], axis=1), found)


# ---- masks -----------------------------------------------------------------------------------------------------------


def _mask_that_comes_out(case, k, masked, read, refusals):
    """The mask that `read` finds on the case's result for a masked input; REFUSED where one of `refusals` is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # layers that drop masks say so
        try:
            found = read(case.make(k, masked))
        except refusals:
            return REFUSED
    if found is None:
        return None
    return KEPT if np.array_equal(found, MASK) else f"another one: {np.asarray(found).tolist()}"


@every_layer
def test_what_becomes_of_a_mask(name):
    case = case_of(name)
    x = inputs_of(case.ids)
    assert _mask_that_comes_out(case, layers, arrays.with_mask(x, MASK), arrays.mask_of, ValueError) == case.mask


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:.*does not support masking")
@every_layer
def test_what_becomes_of_a_mask_in_keras(name):
    """The row says what Keras does, and its results for a masked input are Keras's."""
    case, keras = case_of(name), pytest.importorskip("keras")
    import tensorflow as tf

    if not hasattr(keras.layers, name):
        assert name in layers.NOT_IN_KERAS, "Keras 3 has no layer of this name"
        return
    x = inputs_of(case.ids)
    tensor = tf.constant(x)
    tensor._keras_mask = tf.constant(MASK)
    errors = (ValueError, IndexError, tf.errors.InvalidArgumentError)
    found = _mask_that_comes_out(case, keras.layers, tensor, lambda y: getattr(y, "_keras_mask", None), errors)
    assert found == case.mask
    if case.mask == REFUSED:
        return
    values = []
    for library in (fastseq, keras):
        k = library.layers
        start, inside = start_of(k, case.ids)
        y = case.make(k, inside if case.ids else k.Masking()(inside))
        model = library.Model(start, k.GRU(2)(y) if case.mask == KEPT else y)  # a GRU shows which mask came out
        model.set_weights(weights_for(model.weights))
        given = x if case.ids else np.where(MASK[..., None], x, np.float32(0))
        values.append(np.asarray(model(given)))
    np.testing.assert_allclose(*values, rtol=0, atol=2e-5 * np.abs(values[1]).max())


# ---- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*which Keras 3 does not have")
@every_layer
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_saved_and_loaded(name, ending, tmp_path):
    case = case_of(name)
    model, x = model_of(case), inputs_of(case.ids)
    model.save(tmp_path / f"model.{ending}")
    loaded = fastseq.load_model(tmp_path / f"model.{ending}")
    np.testing.assert_array_equal(loaded(x), model(x))
    assert [weight.path for weight in loaded.weights] == [weight.path for weight in model.weights]
    for found, wanted in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert [layer.get_config() for layer in loaded.layers] == [layer.get_config() for layer in model.layers]


# ---- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:.*does not support masking")
@pytest.mark.parametrize("name, make", rows_of("options"))
def test_options_as_in_keras(name, make):
    """Values of several shapes; the mask; the config. Gradients: test_every_layer_trains.py."""
    for shape in case_of(name).shapes:
        check_layer(make, 3 * draw(*shape))
    check_masked(make, draw(B, T, N), MASK, ulps=case_of(name).ulps)


@pytest.mark.parametrize("name, make", rows_of("streams"))
def test_options_in_streams(name, make):
    """Steps, chunks of any length, some of less than the layer keeps; pools, saved states, and a pickled stream."""
    x, model = draw(B, 11, N), fastseq.Sequential([layers.Input((None, N)), make(layers), layers.Dense(3)])
    model.set_weights(weights_for(model.weights))
    whole, stream, pool = model(x), model.stream(B), model.stream_pool(2)
    np.testing.assert_array_equal(np.stack([stream.step(x[:, t]) for t in range(11)], axis=1), whole)
    stream.reset()
    pieces = [x[:, start:end] for start, end in ((0, 2), (2, 3), (3, 9), (9, 9))]
    np.testing.assert_array_equal(np.concatenate([stream.steps(piece) for piece in pieces], axis=1), whole[:, :9])
    other, saved, kept = model.stream(B), stream.state_bytes(), pickle.loads(pickle.dumps(stream))
    other.restore(saved)
    for one in (stream, other, kept):
        np.testing.assert_array_equal(one.steps(x[:, 9:]), whole[:, 9:])
    handles = [pool.open(), pool.open()]
    for t in range(11):
        found = pool.step({handle: x[row, t] for row, handle in enumerate(handles) if t or not row})
        np.testing.assert_array_equal(found[handles[0]], whole[0, t])


@pytest.mark.parametrize("name, row", rows_of("raises"))
def test_what_it_does_not_take(name, row):
    call, pattern = row
    with pytest.raises(ValueError, match=pattern):
        call(layers)


@pytest.mark.parametrize("name, row", rows_of("known"))
def test_known_values(name, row):
    make, x, y = row
    layer, given = make(layers), np.array([x], "f")
    found = layer(given)
    if not callable(y):
        np.testing.assert_allclose(found, [y], rtol=1e-6)
        return
    layer.set_weights(weights_for(layer.weights))
    wanted = y(*(array.astype("f8") for array in (given, *layer.get_weights())))
    np.testing.assert_allclose(layer(given), wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


# ---- where else a layer is named -------------------------------------------------------------------------------------


@every_layer
def test_the_readme_names_it(name):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.search(r"- \*\*Layers\*\*:(.*?)\n- \*\*", text, re.S)[1]
    words = set(re.findall(r"\w+", listed))
    beside = name.endswith("Cell") and {name.removesuffix("Cell"), "cells"} <= words  # "LSTM, GRU, their cells"
    assert name in words or beside, f"README.md, the list behind **Layers**, does not name {name}: add it there."


@every_layer
def test_a_benchmark_measures_it(name):
    if not BENCHMARKS.is_dir():
        pytest.skip("a source distribution holds no benchmarks")
    wanted = case_of(name).benchmark
    if wanted is None:
        return
    classes = {
        node.name
        for path in (BENCHMARKS / "benchmarks").glob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    }
    assert (wanted or name) in classes, (
        f"asv_benchmarks/benchmarks has no class {wanted or name}: add {name.lower()}.py."
    )
