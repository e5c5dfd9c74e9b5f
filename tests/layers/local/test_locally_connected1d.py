"""LocallyConnected1D against its twin, Dense, and files as Keras 2 writes them; Keras 3 has no such layer."""

import json
import warnings

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_check import isa, random_weights
from saving_files import DATA

import fastseq
from fastseq.layers.local.locally_connected1d import reference_locally_connected1d
from fastseq.native import runtime

OPTIONS = [
    {"implementation": implementation, "padding": padding, "data_format": data_format}
    for implementation in (1, 2, 3)
    for padding in ("valid", "same")
    for data_format in ("channels_last", "channels_first")
    if implementation > 1 or padding == "valid"
]


def built(shape, *args, **options):
    layer = fastseq.layers.LocallyConnected1D(*args, **options)
    layer.build(shape)
    layer.set_weights(random_weights([v.shape for v in layer.weights]))
    return layer


def twin(layer, x, weights=None):
    kernel, *bias = layer.get_weights() if weights is None else weights
    return reference_locally_connected1d(
        x.astype("f8"), kernel.astype("f8"), layer.filters, *(b.astype("f8") for b in bias),
        kernel_size=layer.kernel_size[0], strides=layer.strides[0], padding=layer.padding,
        data_format=layer.data_format, implementation=layer.implementation, activation=layer.activation,
    )  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(map(str, options.values())))
@pytest.mark.parametrize("size, strides", [(1, 1), (2, 1), (3, 2), (4, 3), (7, 1), (2, 5)])
@pytest.mark.parametrize("activation", [None, "tanh", "softmax"])
@pytest.mark.filterwarnings("ignore:softmax over axis")
def test_twin_on_every_isa(options, size, strides, activation, rng):
    x = rng.standard_normal((5, 3, 7) if options["data_format"] == "channels_first" else (5, 7, 3)).astype("f")
    for use_bias in (True, False):
        layer = built(x.shape, 6, size, strides, activation=activation, use_bias=use_bias, **options)
        expected = twin(layer, x)
        assert expected.shape == layer.compute_output_shape(x.shape)
        bits = None
        for name in runtime.available_isas():
            with isa(name):
                found = layer(x)
            np.testing.assert_allclose(found, expected, atol=2e-6)
            if name != "scalar":
                bits = found if bits is None else bits
                np.testing.assert_array_equal(found, bits)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("size, strides", [(1, 1), (2, 1), (3, 2)])
def test_implementations_are_one_layer(data_format, size, strides, rng):
    """The same weights, kept in three ways, give the same bits."""
    x = rng.standard_normal((4, 6, 6)).astype("f")
    dense = built(x.shape, 5, size, strides, data_format=data_format, implementation=2)
    kernel, bias = dense.get_weights()
    first = data_format == "channels_first"
    positions = dense.output_length
    # (position, step in its window, channel, filter)
    blocks = np.stack([
        kernel[:, t * strides : t * strides + size, :, t].swapaxes(0, 1) if first
        else kernel[t * strides : t * strides + size, :, t]
        for t in range(positions)
    ])  # fmt: skip
    looped = built(x.shape, 5, size, strides, data_format=data_format)
    looped.set_weights([(blocks.swapaxes(1, 2) if first else blocks).reshape(positions, -1, 5), bias])
    sparse = built(x.shape, 5, size, strides, data_format=data_format, implementation=3)
    sparse.set_weights([blocks.transpose((3, 0, 2, 1) if first else (0, 3, 1, 2)).ravel(), bias])
    for layer in (looped, sparse):
        np.testing.assert_array_equal(layer(x), dense(x))


@pytest.mark.parametrize("activation", [None, "sigmoid", "softmax", "glu", np.sin])
def test_one_dense_per_timestep(activation, rng):
    x = rng.standard_normal((9, 6, 20)).astype("f")
    layer = built(x.shape, 34, 1, activation=activation)
    kernel, bias = layer.get_weights()
    found = layer(x)
    for t in range(6):
        dense = fastseq.layers.Dense(34, activation=activation, weights=[kernel[t], bias[t]])
        np.testing.assert_array_equal(found[:, t], dense(x[:, t]))


def test_weights():
    """Shapes as in Keras 2."""
    shapes = {1: (8, 3 * 4, 5), 2: (10, 4, 8, 5), 3: (8 * 3 * 4 * 5,)}
    for implementation, shape in shapes.items():
        layer = fastseq.layers.LocallyConnected1D(5, 3, implementation=implementation)
        layer.build((None, 10, 4))
        assert [(v.name, v.shape) for v in layer.weights] == [("kernel", shape), ("bias", (8, 5))]
    layer = fastseq.layers.LocallyConnected1D(5, 3, data_format="channels_first", implementation=2, use_bias=False)
    layer.build((None, 4, 10))
    assert [v.shape for v in layer.weights] == [(4, 10, 5, 8)]


@given(st.integers(1, 30), st.integers(1, 35), st.integers(1, 35), st.integers(1, 4))
def test_count_of_sparse_weights(length, size, strides, channels):
    """A closed form, against the windows one by one."""
    layer = fastseq.layers.LocallyConnected1D(2, size, strides, "same", implementation=3)
    layer.build((None, length, channels))
    assert layer.kernel.shape == (2 * channels * sum(end - start for start, end in layer._windows()),)


@given(st.integers(0, 20), st.integers(1, 5), st.integers(1, 3), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_same_bits_alone_in_a_batch_and_on_threads(rows, size, strides, filters, seed):
    x = np.random.default_rng(seed).standard_normal((rows, 8, 5)).astype("f")
    layer = fastseq.layers.LocallyConnected1D(filters, size, strides)
    y = layer(x)
    with runtime.num_threads(1):
        np.testing.assert_array_equal(layer(x), y)
    for row in range(min(rows, 3)):
        np.testing.assert_array_equal(layer(x[row : row + 1]), y[row : row + 1])


def test_stored_numbers():
    layer = fastseq.layers.LocallyConnected1D(1, 2, activation="relu")
    layer.build((None, 3, 1))
    layer.set_weights([np.array([[[1.0], [2]], [[3], [-4]]]), np.array([[0.5], [-1]])])
    np.testing.assert_array_equal(layer(np.array([[[1.0], [2], [3]], [[1], [3], [1]]])), [[[5.5], [0]], [[7.5], [4]]])
    # Keras 2 reads the bias of channels_first by rows: (T', filters) = (2, 2) is here the (filters, T') of the result.
    layer = fastseq.layers.LocallyConnected1D(2, 1, data_format="channels_first")
    layer.build((None, 1, 2))
    layer.set_weights([np.zeros((2, 1, 2)), np.array([[1.0, 2], [3, 4]])])
    np.testing.assert_array_equal(layer(np.zeros((1, 1, 2))), [[[1, 2], [3, 4]]])


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(map(str, options.values())))
def test_config(options, rng):
    layer = built((None, 6, 6), 4, 2, 1, activation="relu", kernel_regularizer="l2", trainable=False, **options)
    config = json.loads(json.dumps(layer.get_config()))
    assert {key: config[key] for key in ("filters", "kernel_size", "strides", "padding", "data_format")} == {
        "filters": 4, "kernel_size": [2], "strides": [1], "padding": options["padding"],
        "data_format": options["data_format"],
    }  # fmt: skip
    again = fastseq.layers.LocallyConnected1D.from_config(config)
    again.build((None, 6, 6))
    again.set_weights(layer.get_weights())
    x = rng.standard_normal((2, 6, 6)).astype("f")
    np.testing.assert_array_equal(again(x), layer(x))
    assert json.loads(json.dumps(again.get_config())) == config


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(map(str, options.values())))
def test_saved_and_read_back(options, tmp_path, rng):
    layers = [fastseq.Input((6, 6)), fastseq.layers.LocallyConnected1D(4, 2, name="local", **options)]
    model = fastseq.Sequential([*layers, fastseq.layers.Dense(2)])
    model.set_weights(random_weights([w.shape for w in model.get_weights()]))
    with pytest.warns(UserWarning, match=r"'local' is a LocallyConnected1D.*fastseq>LocallyConnected1D"):
        model.save(tmp_path / "m.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.save_weights(tmp_path / "m.weights.h5")
        again = fastseq.load_model(tmp_path / "m.keras")
    x = rng.standard_normal((2, 6, 6)).astype("f")
    np.testing.assert_array_equal(again(x), model(x))
    again.set_weights([np.zeros_like(w) for w in again.get_weights()])
    again.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(again(x), model(x))


def keras2_file(path, layer, options):
    """A file as Keras 2 writes it, of a LocallyConnected1D with 4 filters of 2 steps over (6, 3) and its `layer`."""

    def initializer(name):
        return {"class_name": name, "config": {"seed": None} if name == "GlorotUniform" else {}}

    shape = [None, 3, 6] if options["data_format"] == "channels_first" else [None, 6, 3]
    config = {
        "name": "local", "trainable": True, "batch_input_shape": shape, "dtype": "float32", "filters": 4,
        "kernel_size": {"class_name": "__tuple__", "items": [2]}, "strides": [1], "activation": "hard_sigmoid",
        "use_bias": True, "kernel_initializer": initializer("GlorotUniform"), "bias_initializer": initializer("Zeros"),
        "kernel_regularizer": None, "bias_regularizer": None, "activity_regularizer": None, "kernel_constraint": None,
        "bias_constraint": None, **options,
    }  # fmt: skip
    layers = [{"class_name": "LocallyConnected1D", "config": config}]
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": layers}})
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"local"]
        group.attrs["keras_version"] = "2.15.0"
        local = group.create_group("local")
        local.attrs["weight_names"] = [b"local/kernel:0", b"local/bias:0"]
        for name, value in zip(("local/kernel:0", "local/bias:0"), layer.get_weights()):
            local[name] = value


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(map(str, options.values())))
def test_files_of_keras2(options, tmp_path, rng):
    shape = (2, 3, 6) if options["data_format"] == "channels_first" else (2, 6, 3)
    layer = built(shape, 4, 2, activation="hard_sigmoid_keras2", **options)
    keras2_file(tmp_path / "m.h5", layer, options)
    model = fastseq.load_model(tmp_path / "m.h5")
    x = rng.standard_normal(shape).astype("f")
    assert model.layers[0].implementation == options["implementation"]
    np.testing.assert_array_equal(model(x), layer(x))
    np.testing.assert_allclose(model(x), twin(layer, x), atol=1e-6)


def test_a_file_that_keras2_wrote():
    """Made by data/make_files.py: all implementations, paddings and data formats, with the outputs of tf_keras."""
    reference = np.load(DATA / "keras2_locally_connected1d.npz")
    model = fastseq.load_model(DATA / "keras2_locally_connected1d.h5")
    found = dict(zip(model.output_names, model(reference["x"])))
    assert len(found) == 20 and set(found) == set(reference.files) - {"x"}
    for name, array in found.items():
        np.testing.assert_allclose(array, reference[name], rtol=0, atol=1e-6, err_msg=name)


def test_a_file_that_asks_for_too_much_is_refused_at_once(tmp_path):
    options = {"data_format": "channels_last", "padding": "same", "implementation": 3}
    layer = built((2, 6, 3), 4, 2, **options)
    for extra in ({"batch_input_shape": [None, 10**12, 3]}, {"filters": 10**12}, {"strides": [0]}):
        keras2_file(tmp_path / "m.h5", layer, {**options, **extra})
        with pytest.raises(fastseq.FileFormatError, match="local"):
            fastseq.load_model(tmp_path / "m.h5")


@pytest.mark.tensorflow
def test_keras_reads_it_with_a_class_of_the_users(tmp_path, rng):
    """The name in the file is what the warning says."""
    keras = pytest.importorskip("keras")

    class LocallyConnected1D(keras.layers.Layer):
        def __init__(self, filters, kernel_size, name=None, dtype=None, trainable=True, **options):
            super().__init__(name=name, dtype=dtype, trainable=trainable)
            self.filters, self.size = filters, kernel_size[0]

        def build(self, shape):
            positions = shape[1] - self.size + 1
            self.kernel = self.add_weight(shape=(positions, self.size * shape[2], self.filters), name="kernel")
            self.bias = self.add_weight(shape=(positions, self.filters), name="bias")

        def call(self, x):
            steps = [keras.ops.reshape(x[:, t : t + self.size], (-1, self.kernel.shape[1])) @ self.kernel[t]
                     for t in range(self.kernel.shape[0])]  # fmt: skip
            return keras.ops.stack(steps, axis=1) + self.bias

    model = fastseq.Sequential([fastseq.Input((6, 3)), fastseq.layers.LocallyConnected1D(4, 2)])
    model.set_weights(random_weights([w.shape for w in model.get_weights()]))
    with pytest.warns(UserWarning, match="Keras 3"):
        model.save(tmp_path / "m.keras")
    theirs = keras.saving.load_model(
        tmp_path / "m.keras", custom_objects={"fastseq>LocallyConnected1D": LocallyConnected1D}
    )
    x = rng.standard_normal((2, 6, 3)).astype("f")
    np.testing.assert_allclose(model(x), theirs.predict(x, verbose=0), atol=1e-6)
    # A live model with such a class is read where the caller says what it is.
    with pytest.raises(fastseq.UnsupportedError, match="LocallyConnected1D"):
        fastseq.from_keras(theirs)


def test_bad_input():
    layer = fastseq.layers.LocallyConnected1D(3, 2)
    layer(np.zeros((2, 5, 4), "f"))
    for bad, message in (((2, 4), "ndim=3"), ((2, 6, 4), "axis 1.*value 5"), ((2, 5, 3), "axis 2.*value 4")):
        with pytest.raises(ValueError, match=rf"{layer.name}.*{message}"):
            layer(np.zeros(bad, "f"))
    for shape, message in (((None, None, 4), "how many"), ((None, 5, None), "how many"), ((None, 1, 4), "at least")):
        fresh = fastseq.layers.LocallyConnected1D(3, 2)
        with pytest.raises(ValueError, match=rf"{fresh.name}.*{message}"):
            fresh(fastseq.Input(shape[1:]))


@pytest.mark.parametrize(
    "options",
    [
        {"filters": 0}, {"filters": 2.0}, {"kernel_size": (1, 2)}, {"kernel_size": 0}, {"strides": 0},
        {"strides": True}, {"padding": "causal"}, {"padding": "same"}, {"data_format": "NTC"}, {"implementation": 4},
        {"implementation": True},
    ],
    ids=str,
)  # fmt: skip
def test_bad_arguments(options):
    with pytest.raises(ValueError, match=rf"LocallyConnected1D.*{next(iter(options))}"):
        fastseq.layers.LocallyConnected1D(**{"filters": 3, "kernel_size": 2, **options})
