"""Lambda layers in files of Keras 3.15 and tf_keras: refused as code, or computed by a function of the user's."""

import copy
import pickle

import numpy as np
import pytest
from gradient_check import check_gradients

import fastseq
from fastseq import layers, ops
from fastseq.errors import FileFormatError, UnsupportedError
from fastseq.layers.core.lambda_layer import Lambda

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tensorflow
B, T, N = 3, 5, 4
X = np.random.default_rng(0).standard_normal((B, T, N)).astype("f")
X[1, 3:] = 0
LIBRARIES = ("keras", "tf_keras")
FORMATS = (".keras", ".h5")


def library(name):
    return pytest.importorskip(name)


def scaled(x, by, shift=0.0):
    return x * by + shift


def centered(x):
    return x - ops.mean(x, axis=-1, keepdims=True)


def masked_mean(x, mask):
    there = ops.cast(ops.expand_dims(mask, -1), "float32")
    return ops.sum(x * there, axis=1) / ops.sum(there, axis=1)


def noisy(x, training):
    return x + 1.0 if training else x


def saved(name, tmp_path, ending=".keras"):
    """(path, what it gives for X): a Masking, an LSTM and three Lambda layers of lambdas, one with its mask."""
    keras = library(name)
    k = keras.layers
    x = start = k.Input((T, N))
    x = k.Lambda(lambda x: x - tf.reduce_mean(x, axis=-1, keepdims=True), name="center")(x)
    x = k.Lambda(lambda x, by, shift: x * by + shift, arguments={"by": 2.0, "shift": np.ones(N, "f")}, name="scale")(x)
    x = k.Masking(mask_value=-99.0)(k.Masking()(start) + x)
    x = k.LSTM(N, return_sequences=True)(x)
    x = k.Lambda(
        lambda x, mask: (
            tf.reduce_sum(x * tf.cast(mask[..., None], "float32"), 1)
            / tf.reduce_sum(tf.cast(mask[..., None], "float32"), 1)
        ),
        output_shape=(N,),
        name="mean",
    )(x)
    model = keras.Model(start, k.Dense(2)(x))
    path = str(tmp_path / f"m{ending}")
    model.save(path)
    return path, np.asarray(model(X))


FUNCTIONS = {"center": centered, "scale": scaled, "mean": masked_mean}


@pytest.mark.filterwarnings("ignore:.*destroy the mask information", "ignore::DeprecationWarning")
@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("name", LIBRARIES)
def test_functions_in_their_places(name, ending, tmp_path):
    path, wanted = saved(name, tmp_path, ending)
    model = fastseq.load_model(path, custom_objects=FUNCTIONS)
    np.testing.assert_allclose(model(X), wanted, rtol=2e-5, atol=2e-6)
    assert [type(model.get_layer(key)) for key in FUNCTIONS] == [Lambda] * 3
    assert not model._programs.program(model, {"inputs": X}).has_python
    np.testing.assert_array_equal(model(X[1:2])[0], model(X)[1])
    model.compile("sgd", "mse")
    model.fit(X, np.zeros((B, 2), "f"), verbose=0)
    with pytest.raises(FileFormatError, match=r"'center': function, 'scale': function, 'mean': function"):
        fastseq.load_model(path)
    with pytest.raises(FileFormatError, match="never runs code out of a file"):
        fastseq.load_model(path, custom_objects={"center": centered, "scale": scaled})


def small(name, tmp_path, **options):
    keras = library(name)
    function = options.pop("function", lambda x: x * 2)
    model = keras.Sequential([
        keras.layers.Input((T, N)), keras.layers.Masking(), keras.layers.Lambda(function, name="own", **options),
        keras.layers.LSTM(2),
    ])  # fmt: skip
    path = str(tmp_path / "small.keras")
    model.save(path)
    return path, np.asarray(model(X))


@pytest.mark.filterwarnings("ignore:.*destroy the mask information")
@pytest.mark.parametrize("name", LIBRARIES)
def test_a_lambda_ends_masks_as_in_its_keras(name, tmp_path):
    path, wanted = small(name, tmp_path)
    model = fastseq.load_model(path, custom_objects={"Lambda": lambda x: x * 2})
    np.testing.assert_allclose(model(X), wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_mask_function_is_one_of_the_users_too(name, tmp_path):
    path, wanted = small(name, tmp_path, mask=lambda x, mask: mask)
    own = {"own": lambda x: x * 2}
    with pytest.raises(FileFormatError, match=r"own.*custom_objects=\{'own_mask': function\}"):
        fastseq.load_model(path, custom_objects=own)
    model = fastseq.load_model(path, custom_objects={**own, "own_mask": lambda x, mask: mask})
    np.testing.assert_allclose(model(X), wanted, rtol=2e-5, atol=2e-6)
    assert not model._programs.program(model, {"inputs": X}).has_python


@pytest.mark.filterwarnings("ignore:.*destroy the mask information")
def test_a_function_that_the_file_names_is_found_by_its_name(tmp_path):
    path, _ = small("keras", tmp_path, function=noisy)
    model = fastseq.load_model(path, custom_objects={"noisy": noisy})
    layer = model.get_layer("own")
    np.testing.assert_array_equal(layer(X, training=True), X + 1)
    np.testing.assert_array_equal(layer(X), X)


@pytest.mark.filterwarnings("ignore:.*destroy the mask information")
def test_saved_again_it_says_what_is_missing_and_keras_reads_it(tmp_path):
    keras = library("keras")
    path, wanted = small("keras", tmp_path)
    own = {"own": lambda x: x * 2}
    model = fastseq.load_model(path, custom_objects=own)
    again = str(tmp_path / "again.keras")
    with pytest.warns(UserWarning, match=r"Layer 'own' is a Lambda.*custom_objects=\{'own': ...\}"):
        model.save(again)
    np.testing.assert_array_equal(fastseq.load_model(again, custom_objects=own)(X), model(X))
    np.testing.assert_allclose(keras.models.load_model(again, custom_objects=own)(X), wanted, rtol=2e-5, atol=2e-6)
    for copied in (copy.deepcopy(model), fastseq.models.clone_model(model)):
        copied.set_weights(model.get_weights())
        np.testing.assert_array_equal(copied(X), model(X))


@pytest.mark.filterwarnings("ignore:.*destroy the mask information")
def test_a_registered_function_needs_no_custom_objects_when_it_is_read_again(tmp_path):
    fastseq.saving.register_keras_serializable("lambda_layers")(noisy)
    path, _ = small("keras", tmp_path)
    model = fastseq.load_model(path, custom_objects={"Lambda": noisy})
    for ending in FORMATS:
        again = str(tmp_path / f"again{ending}")
        model.save(again)  # without a warning
        np.testing.assert_array_equal(fastseq.load_model(again)(X), model(X))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model))(X), model(X))
    np.testing.assert_array_equal(fastseq.models.model_from_json(model.to_json()).get_layer("own")(X), X)


@pytest.mark.filterwarnings("ignore:.*destroy the mask information")
def test_what_cannot_be_traced_runs_in_python(tmp_path):
    path, wanted = small("keras", tmp_path)
    model = fastseq.load_model(path, custom_objects={"own": lambda x: np.asarray(x) * 2})
    np.testing.assert_allclose(model(X), wanted, rtol=2e-5, atol=2e-6)
    assert model._programs.program(model, {"inputs": X}).has_python


def test_ids_and_results_keep_their_dtypes(tmp_path):
    keras = library("keras")
    ids = keras.Input((T,), dtype="int32")
    rows = keras.layers.Lambda(lambda x: keras.ops.one_hot(x, 7), name="rows")(ids)
    best = keras.layers.Lambda(lambda x: keras.ops.argmax(x, -1), name="best", output_shape=(T,))(rows)
    path = str(tmp_path / "ids.keras")
    keras.Model(ids, [rows, best]).save(path)
    functions = {"rows": lambda x: ops.one_hot(x, 7), "best": lambda x: ops.argmax(x, -1)}
    model = fastseq.load_model(path, custom_objects=functions)
    assert [(y.shape, y.dtype) for y in model.outputs] == [((None, T, 7), "float32"), ((None, T), "int32")]
    given = np.array([[0, 6, 3, 1, 2]], "i4")
    np.testing.assert_array_equal(model(given)[1], given)


def test_in_time_distributed_in_streams_and_by_from_keras():
    keras = library("keras")
    k = keras.layers
    live = keras.Sequential([
        k.Input((T, N)), k.TimeDistributed(k.Lambda(lambda x: x * 2, name="inner")),
        k.Lambda(lambda x: x + 1, name="o"), k.LSTM(2, return_sequences=True),
    ])  # fmt: skip
    model = fastseq.from_keras(live, custom_objects={"inner": lambda x: x * 2, "o": lambda x: x + 1})
    np.testing.assert_allclose(model(X), np.asarray(live(X)), rtol=2e-5, atol=2e-6)
    stream = model.stream()
    np.testing.assert_array_equal(np.stack([stream.step(X[:1, t]) for t in range(T)], axis=1), model(X[:1]))
    with pytest.raises(UnsupportedError, match="'Lambda': function"):
        fastseq.from_keras(live)


def test_arguments_that_the_function_does_not_take_are_named(tmp_path):
    path, _ = small("keras", tmp_path, function=lambda x, by: x * by, arguments={"by": 3})
    with pytest.raises(FileFormatError, match=r"does not take by.*function\(inputs, by\)"):
        fastseq.load_model(path, custom_objects={"own": lambda x: x})


def test_gradients_as_the_tape():
    def make(library, model):
        x = library.Input((T, N))
        layer = Lambda(lambda x: x * ops.tanh(x)) if library is layers else library.Lambda(lambda x: x * tf.tanh(x))
        return model(x, library.Dense(2)(layer(library.LSTM(N, return_sequences=True)(x))))

    check_gradients(make, X, np.ones((B, T, 2), "f"))
