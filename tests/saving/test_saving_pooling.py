"""Files of Keras 1 and 2 with layers that pool over time, and that add, repeat and leave out timesteps."""

import json

import h5py
import numpy as np
import pytest

import fastseq

# Keras 1's get_config of each layer -> what fastseq reads.
KERAS_1 = {
    "MaxPooling1D": ({"stride": 3, "pool_length": 2, "border_mode": "same"}, {"strides": (3,), "pool_size": (2,)}),
    "AveragePooling1D": (
        {"stride": 1, "pool_length": 2, "border_mode": "valid"},
        {"strides": (1,), "padding": "valid"},
    ),
    "GlobalMaxPooling1D": ({}, {"keepdims": False}),
    "GlobalAveragePooling1D": ({}, {"data_format": "channels_last"}),
    "UpSampling1D": ({"length": 3}, {"size": 3}),
    "ZeroPadding1D": ({"padding": {"left_pad": 2, "right_pad": 1}}, {"padding": (2, 1)}),
    "Cropping1D": ({"cropping": [1, 2]}, {"cropping": (1, 2)}),
}


def write(path, layers):
    """A Sequential of Keras 1.2.2 of layers without weights."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = b"1.2.2"
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": layers}).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [layer["config"]["name"].encode() for layer in layers]
        for layer in layers:
            group.create_group(layer["config"]["name"]).attrs["weight_names"] = np.array([], "S1")
    return path


@pytest.mark.parametrize("name", KERAS_1)
def test_keras_1(name, tmp_path):
    saved, wanted = KERAS_1[name]
    config = {"name": "first", "trainable": True, "batch_input_shape": [None, 8, 3], "input_dtype": "float32", **saved}
    model = fastseq.load_model(write(tmp_path / "model.h5", [{"class_name": name, "config": config}]))
    (layer,) = model.layers
    assert type(layer).__name__ == name and layer.get_config().items() >= wanted.items()
    x = np.random.default_rng(0).standard_normal((2, 8, 3)).astype("f")
    np.testing.assert_array_equal(model(x), type(layer).from_config(layer.get_config())(x))


def test_padding_of_one_number(tmp_path):
    config = {"name": "first", "trainable": True, "batch_input_shape": [None, 8, 3], "padding": 2}
    model = fastseq.load_model(write(tmp_path / "model.h5", [{"class_name": "ZeroPadding1D", "config": config}]))
    assert model.output_shape == (None, 12, 3)


@pytest.mark.tensorflow
@pytest.mark.parametrize("ending", ["h5", "keras"])
def test_keras_2(ending, tmp_path):
    keras = pytest.importorskip("tf_keras")
    k, start = keras.layers, keras.Input((12, 6))
    h = k.ZeroPadding1D((1, 2))(start)
    h = k.MaxPooling1D(2, padding="same")(h)
    h = k.UpSampling1D(3)(h)
    h = k.Cropping1D((1, 0))(h)
    h = k.AveragePooling1D(3, strides=1)(h)
    h = k.Rescaling(0.5, 1.0)(h)
    masked = k.Masking(1.0)(h)
    outputs = [
        k.GlobalAveragePooling1D()(masked), k.GlobalMaxPooling1D(keepdims=True)(h),
        k.LSTM(3)(k.SpatialDropout1D(0.5)(h)),
    ]  # fmt: skip
    theirs = keras.Model(start, outputs)
    theirs.save(tmp_path / f"model.{ending}")
    ours = fastseq.load_model(tmp_path / f"model.{ending}")
    x = np.random.default_rng(0).standard_normal((3, 12, 6)).astype("f")
    x[0, 5:] = 0
    for found, wanted in zip(ours(x), theirs(x)):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
