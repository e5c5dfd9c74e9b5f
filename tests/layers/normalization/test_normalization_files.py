"""Files of the layers that normalize: Keras 3's and Keras 2's, both ways, and Keras 1's configs and weights."""

import json

import numpy as np
import pytest
from layer_check import weights_for

import fastseq
from fastseq import layers

X = np.random.default_rng(0).standard_normal((3, 5, 6)).astype("f")
MAKES = {
    "batch": lambda k: k.BatchNormalization(momentum=0.9, epsilon=1e-4),
    "bare": lambda k: k.BatchNormalization(center=False, scale=False),
    "renorm": lambda k: k.BatchNormalization(renorm=True, renorm_clipping={"rmax": 2.0}),
    "frozen": lambda k: k.BatchNormalization(trainable=False),
    "layer": lambda k: k.LayerNormalization(axis=[1, 2], center=False),
    "group": lambda k: k.GroupNormalization(2, epsilon=0.1),
    "unit": lambda k: k.UnitNormalization(axis=[1, 2]),
    "spectral": lambda k: k.SpectralNormalization(k.Dense(3)),
    "rms": lambda k: k.RMSNormalization(epsilon=0.1),
}  # fmt: skip


def model_of(library, name):
    return library.Sequential([library.Input(X.shape[1:]), MAKES[name](library.layers), library.layers.Dense(2)])


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", MAKES)
def test_keras_3_both_ways(name, ending, tmp_path):
    keras = pytest.importorskip("keras")
    theirs = model_of(keras, name)
    theirs.set_weights(weights_for(theirs.weights))
    theirs.save(tmp_path / f"theirs.{ending}")
    ours = fastseq.load_model(tmp_path / f"theirs.{ending}")
    ours.save(tmp_path / f"ours.{ending}")
    again = keras.models.load_model(tmp_path / f"ours.{ending}")
    for model in (ours, again):
        for one, other in zip(model.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(np.asarray(model(X)), np.asarray(theirs(X)), rtol=1e-4, atol=1e-5)
    assert [layer.trainable for layer in ours.layers] == [layer.trainable for layer in theirs.layers]


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ending", ["keras", "h5", "weights.h5"])
@pytest.mark.parametrize("name", [name for name in MAKES if name not in ("rms", "spectral")])
def test_keras_2(name, ending, tmp_path):
    tf_keras = pytest.importorskip("tf_keras")
    theirs = model_of(tf_keras, name)
    theirs.set_weights(weights_for(theirs.weights))
    path = tmp_path / f"model.{ending}"
    if ending == "weights.h5":
        theirs.save_weights(path, save_format="h5")
        ours = model_of(fastseq, name)
        ours.load_weights(path)
    else:
        theirs.save(path)
        ours = fastseq.load_model(path)
    np.testing.assert_allclose(ours(X), np.asarray(theirs(X)), rtol=1e-4, atol=1e-5)


@pytest.mark.tensorflow
@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("options", [{}, {"axis": None, "invert": True}, {"axis": [1, 2]}], ids=str)
def test_normalization_of_keras_2(options, ending, tmp_path):
    tf_keras = pytest.importorskip("tf_keras")
    layer = tf_keras.layers.Normalization(**options)
    layer.adapt(X)
    theirs = tf_keras.Sequential([tf_keras.Input(X.shape[1:]), layer])
    theirs.save(tmp_path / f"model.{ending}")
    ours = fastseq.load_model(tmp_path / f"model.{ending}")
    np.testing.assert_allclose(ours(X), np.asarray(theirs(X)), rtol=1e-4, atol=1e-5)


# ---- Keras 1 ---------------------------------------------------------------------------------------------------------


def keras_1_file(path, **options):
    """As Keras 1.2 wrote one: `running_std` holds variances."""
    h5py = pytest.importorskip("h5py")
    config = {
        "name": "batchnormalization_1", "trainable": True, "batch_input_shape": [None, 6], "input_dtype": "float32",
        "epsilon": 1e-3, "mode": 0, "axis": -1, "momentum": 0.99, "gamma_regularizer": None, "beta_regularizer": None,
        **options,
    }  # fmt: skip
    values = [np.abs(np.random.default_rng(n).standard_normal(6)).astype("f") + np.float32(0.1) for n in range(4)]
    names = [f"batchnormalization_1_{name}" for name in ("gamma", "beta", "running_mean", "running_std")]
    with h5py.File(path, "w") as file:
        model = {"class_name": "Sequential", "config": [{"class_name": "BatchNormalization", "config": config}]}
        file.attrs["model_config"] = json.dumps(model).encode()
        file.attrs["keras_version"] = b"1.2.2"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"batchnormalization_1"]
        inner = group.create_group("batchnormalization_1")
        inner.attrs["weight_names"] = [name.encode() for name in names]
        for name, value in zip(names, values):
            inner[name] = value
    return values


def test_keras_1(tmp_path):
    gamma, beta, mean, variance = keras_1_file(tmp_path / "model.h5", beta_init="zero", gamma_init="one")
    model = fastseq.load_model(tmp_path / "model.h5")
    wanted = (X[0] - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    np.testing.assert_allclose(model(X[0]), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", [1, 2])
def test_another_mode_of_keras_1(mode, tmp_path):
    keras_1_file(tmp_path / "model.h5", mode=mode)
    with pytest.raises(ValueError, match="BatchNormalization of Keras 1 with another mode than 0"):
        fastseq.load_model(tmp_path / "model.h5")


def test_the_axis_of_keras_2_is_a_list_of_one():
    config = {**layers.BatchNormalization().get_config(), "axis": [2]}
    assert layers.BatchNormalization.from_config(config).axis == 2
