"""Convolutions over time: drawn shapes beside their twins, one result on every way, and files of Keras 1 and 2."""

import json

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_check import isa, random_weights

import fastseq
from fastseq.layers.convolutional.conv1d import reference_conv1d
from fastseq.layers.convolutional.conv1d_transpose import reference_conv1d_transpose
from fastseq.layers.convolutional.depthwise_conv1d import reference_depthwise_conv1d
from fastseq.native import runtime


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def built(layer, shape):
    layer.build(shape)
    layer.set_weights(random_weights([v.shape for v in layer.weights]))
    return layer


def in_double(layer):
    return [weight.astype("f8") for weight in layer.get_weights()]


@st.composite
def convolutions(draw_from):
    groups = draw_from(st.integers(1, 3))
    options = {
        "filters": groups * draw_from(st.integers(1, 40)), "kernel_size": draw_from(st.integers(1, 5)),
        "padding": draw_from(st.sampled_from(["valid", "same", "causal"])), "groups": groups,
        draw_from(st.sampled_from(["strides", "dilation_rate"])): draw_from(st.integers(1, 4)),
        "data_format": draw_from(st.sampled_from(["channels_last", "channels_first"])),
        "use_bias": draw_from(st.booleans()),
    }  # fmt: skip
    least = (options["kernel_size"] - 1) * options.get("dilation_rate", 1) + 1 if options["padding"] == "valid" else 1
    length = draw_from(st.integers(least, least + 20))
    return options, (draw_from(st.integers(1, 3)), length, groups * draw_from(st.integers(1, 9)))


@given(convolutions())
def test_conv1d_beside_its_twin(drawn):
    options, shape = drawn
    x = draw(*shape) if options["data_format"] == "channels_last" else draw(shape[0], shape[2], shape[1])
    layer = built(fastseq.layers.Conv1D(**options), x.shape)
    y = layer(x)
    assert y.shape == layer.compute_output_shape(x.shape)
    rest = {name: value for name, value in options.items() if name not in ("filters", "kernel_size", "use_bias")}
    wanted = reference_conv1d(x.astype("f8"), *in_double(layer), **rest)
    np.testing.assert_allclose(y, wanted, rtol=0, atol=1e-5)


@given(st.integers(1, 5), st.integers(1, 4), st.booleans(), st.sampled_from(["valid", "same"]), st.integers(1, 12),
       st.integers(1, 40), st.integers(1, 20))  # fmt: skip
def test_conv1d_transpose_beside_its_twin(size, rate, strided, padding, length, filters, channels):
    options = {"padding": padding, ("strides" if strided else "dilation_rate"): rate}
    x = draw(2, length, channels)
    layer = built(fastseq.layers.Conv1DTranspose(filters, size, **options), x.shape)
    y = layer(x)
    assert y.shape == layer.compute_output_shape(x.shape)
    np.testing.assert_allclose(
        y, reference_conv1d_transpose(x.astype("f8"), *in_double(layer), **options), rtol=0, atol=1e-5
    )


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.sampled_from(["valid", "same"]), st.integers(1, 3),
       st.integers(0, 12), st.integers(1, 40))  # fmt: skip
def test_depthwise_conv1d_beside_its_twin(size, stride, dilation, padding, multiplier, more, channels):
    """With strides and dilation, which Keras takes together here."""
    options = {"strides": stride, "dilation_rate": dilation, "padding": padding}
    x = draw(2, (size - 1) * dilation + 1 + more, channels)
    layer = built(fastseq.layers.DepthwiseConv1D(size, depth_multiplier=multiplier, **options), x.shape)
    truth = reference_depthwise_conv1d(x.astype("f8"), *in_double(layer), **options)
    np.testing.assert_allclose(layer(x), truth, rtol=0, atol=1e-5)


GRADIENTS = {
    "dilation, transposed": lambda k: k.Conv1DTranspose(3, 3, dilation_rate=2),
    "stride beyond the kernel, transposed": lambda k: k.Conv1DTranspose(3, 2, 4),
    "stride beyond the kernel": lambda k: k.Conv1D(3, 2, 4),
    "groups": lambda k: k.Conv1D(6, 3, 2, "same", groups=2),
    "groups, causal": lambda k: k.Conv1D(4, 3, padding="causal", groups=2, dilation_rate=2),
    "each channel by itself": lambda k: k.Conv1D(8, 3, padding="same", groups=4, activation="tanh"),
    "stride and dilation": lambda k: k.DepthwiseConv1D(3, 2, "same", 2, dilation_rate=3),
    "channels first": lambda k: k.Conv1D(3, 2, padding="causal", data_format="channels_first"),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_those_of_differences(name):
    """What TensorFlow's own kernels do not take on CPUs: by x, and by every weight."""
    x = draw(2, 9, 4) if name != "channels first" else draw(2, 4, 9)
    layer = built(GRADIENTS[name](fastseq.layers), x.shape)
    weights = [variable.numpy() for variable in layer.weights]
    factors = draw(*layer(x).shape, seed=3)

    def loss(x, *values):
        layer.set_weights(values)
        return float(np.sum(layer(x).astype("f8") * factors))

    arrays = [x, *weights]
    found = gradients_of(layer, x, factors)
    rng = np.random.default_rng(5)
    for number, gradient in enumerate(found):
        direction = rng.standard_normal(arrays[number].shape).astype("f")
        sides = [
            loss(*[array + step * direction if i == number else array for i, array in enumerate(arrays)])
            for step in (1e-2, -1e-2)
        ]
        layer.set_weights(weights)
        wanted = (sides[0] - sides[1]) / 2e-2
        assert abs(np.sum(gradient * direction) - wanted) < 2e-3 * max(1.0, abs(wanted)), number


def gradients_of(layer, x, factors):
    """By x, then by the layer's weights, of the sum of the output times `factors`."""

    def loss(x, weights):
        return fastseq.ops.sum(layer(x) * factors)

    by_x, by_weights = fastseq.value_and_grad(loss, argnums=(0, 1))(x, layer.trainable_weights)[1]
    return [by_x, *by_weights]


LAYERS = {
    "valid": lambda k: k.Conv1D(70, 3),
    "causal": lambda k: k.Conv1D(33, 3, padding="causal", dilation_rate=4, activation="tanh"),
    "same": lambda k: k.Conv1D(130, 5, 2, "same", activation="softmax"),
    "groups": lambda k: k.Conv1D(36, 4, padding="same", groups=3),
    "each channel by itself": lambda k: k.Conv1D(24, 3, padding="causal", groups=12),
    "depthwise": lambda k: k.DepthwiseConv1D(5, padding="same", dilation_rate=2, depth_multiplier=3),
    "separable": lambda k: k.SeparableConv1D(70, 3, 2, "same"),
    "transposed": lambda k: k.Conv1DTranspose(33, 5, 3, activation="relu"),
    "much to add up": lambda k: k.Conv1D(80, 60, padding="same"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_one_result_on_every_way(name):
    """Alone or in a batch, on every number of threads and instruction set."""
    x = draw(7, 50, 12)
    layer = built(LAYERS[name](fastseq.layers), x.shape)
    whole = layer(x)
    for row in range(len(x)):
        np.testing.assert_array_equal(layer(x[row : row + 1]), whole[row : row + 1])
    for threads in (1, 2, 5):
        with runtime.num_threads(threads):
            np.testing.assert_array_equal(layer(x), whole)
    for other in [name for name in runtime.available_isas() if name != "scalar"]:  # which has no FMA
        with isa(other):
            np.testing.assert_array_equal(layer(x), whole)


def test_zeros_beside_the_sequence_are_multiplied():
    """As in Keras, 0 times an infinite weight is NaN at the ends; so a stream begins like the whole sequence."""
    layer = built(fastseq.layers.Conv1D(3, 2, padding="causal"), (None, None, 2))
    kernel, bias = layer.get_weights()
    kernel[0] = np.inf
    layer.set_weights([kernel, bias])
    assert np.isnan(layer(draw(1, 3, 2))[0, 0]).all()


# A layer's config as Keras 1.2.2 wrote it.
KERAS_1 = {
    "name": "conv", "trainable": True, "batch_input_shape": [None, 8, 3], "nb_filter": 5, "filter_length": 2,
    "init": "glorot_uniform", "activation": "relu", "border_mode": "same", "subsample_length": 2, "W_regularizer": None,
    "b_regularizer": None, "activity_regularizer": None, "W_constraint": None, "b_constraint": None, "bias": True,
    "input_dim": 3, "input_length": 8,
}  # fmt: skip


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("class_name, more, wanted", [
    ("Convolution1D", {}, {"strides": 2}),
    ("AtrousConvolution1D", {"subsample_length": 1, "atrous_rate": 3}, {"dilation_rate": 3}),
])  # fmt: skip
def test_files_of_keras_1(class_name, more, wanted, early, tmp_path):
    kernel, bias, x = draw(2, 3, 5), draw(5, seed=1), draw(4, 8, 3, seed=2)
    saved = kernel.transpose(2, 1, 0)[..., None] if early else kernel[:, None]
    config = {"class_name": "Sequential", "config": [{"class_name": class_name, "config": {**KERAS_1, **more}}]}
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.attrs["keras_version"] = b"1.2.2"
        file.attrs["model_config"] = json.dumps(config).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"conv"]
        layer = group.create_group("conv")
        layer.attrs["weight_names"] = [b"conv_W", b"conv_b"]
        layer["conv_W"], layer["conv_b"] = saved, bias
    model = fastseq.load_model(tmp_path / "model.h5")
    assert type(model.layers[-1]) is fastseq.layers.Conv1D
    truth = reference_conv1d(x, kernel, bias, padding="same", activation="relu", **wanted)
    np.testing.assert_allclose(model(x), truth, rtol=0, atol=1e-5)


def test_keras_other_names():
    layers = fastseq.layers
    assert layers.Convolution1D is layers.Conv1D and layers.SeparableConvolution1D is layers.SeparableConv1D
    assert layers.Convolution1DTranspose is layers.Conv1DTranspose
