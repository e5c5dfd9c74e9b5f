"""Layers of the user's own in files, in both directions; Lambda; and what hard_sigmoid means in a file of Keras 2."""

import numpy as np
import pytest
from saving_files import BIAS, KERNEL, dense, h5_model, input_layer, keras_file, sequential

import fastseq
from fastseq import layers
from fastseq.errors import FileFormatError, UnsupportedError
from fastseq.saving import CustomObjectScope, get_custom_objects, register_keras_serializable


class Scale(layers.Layer):
    """inputs * factor + shift, with one weight."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        self.shift = self.add_weight((input_shape[-1],), initializer="ones", name="shift")

    def call(self, inputs):
        return inputs * self.factor + self.shift.numpy()

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def with_scale(make_scale, k=fastseq):
    inner = k.layers.TimeDistributed(make_scale(0.5))
    stack = k.Sequential([k.Input((4, 3)), make_scale(2.0), inner, k.layers.LSTM(2)])
    rng = np.random.default_rng(6)
    stack.set_weights([rng.uniform(-1, 1, np.shape(w)).astype("f4") for w in stack.get_weights()])
    return stack


X = np.random.default_rng(7).standard_normal((3, 4, 3)).astype(np.float32)


@pytest.fixture
def registered():
    """The class `Scale` known as `mine>Scale`, for one test."""
    before = dict(get_custom_objects())
    yield register_keras_serializable(package="mine")(type("Scale", (Scale,), {}))
    get_custom_objects().clear()
    get_custom_objects().update(before)


def test_custom_objects(tmp_path):
    model = fastseq.Sequential([fastseq.Input((3,)), Scale(2.0), layers.Dense(2)])
    model.layers[0].set_weights([np.array([1, 2, 3], np.float32)])
    x = np.ones((2, 3), np.float32)
    model.save(tmp_path / "m.keras")
    loaded = fastseq.load_model(tmp_path / "m.keras", custom_objects={"Scale": Scale})
    np.testing.assert_array_equal(loaded(x), model(x))
    with pytest.raises(FileFormatError, match=r"m\.keras', layer 'scale.*custom_objects") as caught:
        fastseq.load_model(tmp_path / "m.keras")
    assert isinstance(caught.value.__cause__, UnsupportedError)
    with CustomObjectScope({"Scale": Scale}):
        np.testing.assert_array_equal(fastseq.load_model(tmp_path / "m.keras")(x), model(x))


def test_registered(tmp_path, registered):
    model = with_scale(registered)
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(fastseq.load_model(tmp_path / "m.keras")(X), model(X))
    get_custom_objects().clear()
    with pytest.raises(FileFormatError, match=r"layer 'scale.*custom_objects=\{'mine>Scale'"):
        fastseq.load_model(tmp_path / "m.keras")
    loaded = fastseq.load_model(tmp_path / "m.keras", custom_objects={"mine>Scale": Scale})
    np.testing.assert_array_equal(loaded(X), model(X))


def test_layer_that_fails_is_named(tmp_path):
    model = fastseq.Sequential([fastseq.Input((3,)), Scale(2.0, name="mine")])
    model.save(tmp_path / "m.keras")

    class Broken(Scale):
        def build(self, input_shape):
            raise RuntimeError("no build today")

    class OtherArguments(layers.Layer):
        pass

    for cls, reason in ((Broken, "no build today"), (OtherArguments, "factor"), (int, "from_config")):
        with pytest.raises(FileFormatError, match=rf"m\.keras', layer 'mine': .*{reason}"):
            fastseq.load_model(tmp_path / "m.keras", custom_objects={"Scale": cls})


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore")
def test_both_ways_with_keras(tmp_path, registered):
    keras = pytest.importorskip("keras")

    @keras.saving.register_keras_serializable(package="mine")
    class Scale(keras.layers.Layer):
        def __init__(self, factor, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def build(self, input_shape):
            self.shift = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="shift")

        def call(self, inputs):
            return inputs * self.factor + self.shift

        def get_config(self):
            return {**super().get_config(), "factor": self.factor}

    try:
        theirs = with_scale(Scale, keras)
        expected = np.asarray(theirs(X))
        live = fastseq.from_keras(theirs, custom_objects={"Scale": registered})
        np.testing.assert_allclose(live(X), expected, atol=1e-6)
        for name in ("m.keras", "m.h5"):
            theirs.save(tmp_path / name)
            np.testing.assert_array_equal(fastseq.load_model(tmp_path / name)(X), live(X))
        ours = with_scale(registered)
        ours.save(tmp_path / "ours.keras")
        loaded = keras.saving.load_model(tmp_path / "ours.keras")
        np.testing.assert_allclose(ours(X), np.asarray(loaded(X)), atol=1e-6)
    finally:
        keras.saving.get_custom_objects().clear()


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore")
def test_lambda_of_keras_is_refused_with_advice(tmp_path):
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x * 2, name="twice")])
    for name in ("m.keras", "m.h5"):
        model.save(tmp_path / name)
        with pytest.raises(FileFormatError, match=r"layer 'twice': .*custom_objects=\{'twice': function\}") as caught:
            fastseq.load_model(tmp_path / name)
        assert isinstance(caught.value.__cause__, UnsupportedError)
    with pytest.raises(UnsupportedError, match=r"'twice': .*subclass of fastseq\.layers\.Layer"):
        fastseq.from_keras(model)


# ---- hard_sigmoid --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version, slope", [("1.2.2", 0.2), ("2.1.5", 0.2), ("2.15.0", 0.2), ("3.15.1", 1 / 6)])
def test_hard_sigmoid_is_what_the_model_was_trained_with(tmp_path, version, slope):
    model = sequential(input_layer(), dense(activation="hard_sigmoid"))
    path = h5_model(tmp_path / "m.h5", model, version=version)
    x = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
    expected = np.clip(slope * (x @ KERNEL + BIAS) + 0.5, 0, 1)
    assert (expected == 0).any() and (expected == 1).any() and ((expected > 0) & (expected < 1)).any()
    np.testing.assert_allclose(fastseq.load_model(path)(x), expected, atol=1e-6)


def test_hard_sigmoid_of_keras_2_has_no_place_in_a_keras_3_file(tmp_path):
    model = sequential(input_layer(), dense(activation="hard_sigmoid"))
    model = fastseq.load_model(h5_model(tmp_path / "m.h5", model, version="2.2.4"))
    with pytest.raises(UnsupportedError, match=r"'dense' has activation='hard_sigmoid_keras2'.*save_weights"):
        model.save(tmp_path / "m.keras")
    assert not (tmp_path / "m.keras").exists()
    model.save_weights(tmp_path / "m.weights.h5")
    cells = fastseq.Sequential([fastseq.Input((4, 3)), layers.LSTM(2, recurrent_activation="hard_sigmoid_keras2")])
    wrapped = fastseq.Sequential([fastseq.Input((4, 3)), layers.Bidirectional(cells.layers[0])])
    for model in (cells, wrapped):
        with pytest.raises(UnsupportedError, match=r"lstm.* has recurrent_activation='hard_sigmoid_keras2'"):
            model.save(tmp_path / "m.keras")
    plain = fastseq.load_model(keras_file(tmp_path / "n.keras", sequential(input_layer(), dense(activation="relu"))))
    plain.save(tmp_path / "m.keras")
