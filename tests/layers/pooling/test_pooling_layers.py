"""What no row of tests/support/layer_cases_pooling.py can say of the pools: integers, ties, masks, old names."""

import numpy as np
import pytest
from layer_check import isa
from mask_check import check_masked, masked

import fastseq
from fastseq import layers
from fastseq.layers.pooling.global_pooling1d import reference_global_average
from fastseq.layers.pooling.pooling1d import reference_pooling
from fastseq.native import runtime
from fastseq.tensors import arrays, mask_rules
from fastseq.training.program import gradients_of

MASK = np.array([[True, True, False, False], [False, True, True, False], [True] * 4])


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def test_old_names_are_the_same_classes():
    for old, name in (
        ("MaxPool1D", "MaxPooling1D"), ("AvgPool1D", "AveragePooling1D"), ("GlobalMaxPool1D", "GlobalMaxPooling1D"),
        ("GlobalAvgPool1D", "GlobalAveragePooling1D"),
    ):  # fmt: skip
        assert getattr(layers, old) is getattr(layers, name) is getattr(layers.pooling, old)
        assert getattr(layers, old).__name__ == name and old not in layers.REGISTRY


def test_the_image_data_format_is_the_default():
    from fastseq import backend

    backend.set_image_data_format("channels_first")
    try:
        made = [
            layers.MaxPooling1D(2),
            layers.GlobalMaxPooling1D(),
            layers.ZeroPadding1D(),
            layers.AdaptiveMaxPooling1D(2),
        ]
    finally:
        backend.set_image_data_format("channels_last")
    assert {layer.data_format for layer in made} == {"channels_first"}
    assert made[0](draw(1, 2, 4)).shape == (1, 2, 2)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_integers_stay_integers(padding):
    x = np.random.default_rng(0).integers(-(2**31), 2**31 - 1, (3, 11, 2)).astype("i4")
    x[0, :3, 0] = -(2**31), 2**24 + 1, 2**24
    for size, strides in ((1, 1), (3, 2), (5, None), (4, 7)):
        found = layers.MaxPooling1D(size, strides, padding)(x)
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found, reference_pooling(x, size, strides, padding))
        turned = layers.MaxPooling1D(size, strides, padding, "channels_first")(x.transpose(0, 2, 1))
        np.testing.assert_array_equal(turned.transpose(0, 2, 1), found)
    np.testing.assert_array_equal(layers.GlobalMaxPooling1D()(x), x.max(axis=1))
    assert layers.GlobalMaxPooling1D()(x > 0).dtype == bool
    np.testing.assert_allclose(layers.GlobalAveragePooling1D()(x), x.mean(axis=1), rtol=1e-6)
    with pytest.raises(ValueError, match="takes floating point numbers, got int32"):
        layers.AveragePooling1D(2)(x)


def test_values_that_are_no_numbers():
    x = np.array([[[np.nan], [1.0], [-np.inf], [-np.inf], [np.inf], [2.0]]], "f")
    np.testing.assert_array_equal(layers.MaxPooling1D(2)(x)[0, 1:, 0], [-np.inf, np.inf])
    found = layers.AveragePooling1D(2)(x).ravel()
    np.testing.assert_array_equal(found, [np.nan, -np.inf, np.inf])


def test_rows_threads_and_instruction_sets_have_the_same_bits():
    x = 10 * draw(7, 301, 37)
    made = [
        layers.MaxPooling1D(3, 2), layers.AveragePooling1D(5, 3, "same"), layers.AveragePooling1D(4, 1),
        layers.GlobalMaxPooling1D(), layers.GlobalAveragePooling1D(), layers.AdaptiveAveragePooling1D(13),
        layers.AveragePooling1D(3, data_format="channels_first"), layers.GlobalAveragePooling1D("channels_first"),
    ]  # fmt: skip
    for layer in made:
        whole = layer(x)
        np.testing.assert_array_equal(np.concatenate([layer(row[None]) for row in x]), whole)
        for name in runtime.available_isas():
            with isa(name):
                np.testing.assert_array_equal(layer(x), whole, err_msg=f"{type(layer).__name__} on {name}")
        before = fastseq.get_num_threads()
        try:
            for threads in (1, 2, 3):
                fastseq.set_num_threads(threads)
                np.testing.assert_array_equal(layer(x), whole)
        finally:
            fastseq.set_num_threads(before)


# ---- masks -----------------------------------------------------------------------------------------------------------


def test_the_mean_leaves_masked_timesteps_out():
    x, layer = draw(3, 4, 5), layers.GlobalAveragePooling1D()
    wanted = reference_global_average(x.astype("f8"), MASK)
    found = layer(masked(x, MASK))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert arrays.mask_of(found) is None
    np.testing.assert_array_equal(layer(x, mask=MASK), found)
    x[0, 2:], x[1, 0] = np.nan, np.inf
    np.testing.assert_array_equal(layer(x, mask=MASK), found)
    assert layers.GlobalAveragePooling1D(keepdims=True)(x, mask=MASK).shape == (3, 1, 5)
    turned = layers.GlobalAveragePooling1D("channels_first")(x.transpose(0, 2, 1), mask=MASK)
    np.testing.assert_allclose(turned, found, rtol=1e-6)
    assert np.isnan(layer(x, mask=np.zeros((3, 4), bool))).all()
    with pytest.raises(ValueError, match=r"takes a mask \(batch, timesteps\) = \(3, 4\), got \(3, 5\)"):
        layer(x, mask=np.ones((3, 5), bool))


def test_older_kerases_multiply_masked_timesteps_by_0():
    ids = np.array([[1, 2, 0, 0]])
    for rule, wanted in (("2", True), ("3.11", True), ("3.15", False)):
        with mask_rules.scope(mask_rules.of_version(rule)):
            start = layers.Input((4,), dtype="int32")
            model = fastseq.Model(start, layers.GlobalAveragePooling1D()(layers.Embedding(3, 2, mask_zero=True)(start)))
        model.set_weights([[[np.inf, 0], [1, 2], [3, 4]]])
        np.testing.assert_array_equal(np.isnan(model(ids)), [[wanted, False]])
        assert model(ids)[0, 1] == 3


def test_saving_such_a_model_does_not_warn_where_numbers_are_finite(tmp_path, recwarn):
    with mask_rules.scope(mask_rules.of_version("2")):
        start = layers.Input((4,), dtype="int32")
        model = fastseq.Model(start, layers.GlobalAveragePooling1D()(layers.Embedding(3, 2, mask_zero=True)(start)))
    model.save(tmp_path / "model.keras")
    assert not recwarn.list
    ids = np.array([[1, 2, 0, 0]])
    np.testing.assert_array_equal(fastseq.load_model(tmp_path / "model.keras")(ids), model(ids))


def test_a_stream_of_channels_first_takes_no_mask():
    start = layers.Input((None, 6))
    y = layers.GlobalAveragePooling1D("channels_first")(layers.Masking()(start))
    with pytest.raises(ValueError, match="its mask would have to be of the channels"):
        fastseq.Model(start, y).stream()


@pytest.mark.tensorflow
@pytest.mark.parametrize("keepdims", [False, True])
def test_masked_means_as_in_keras(keepdims):
    check_masked(lambda k: k.GlobalAveragePooling1D(keepdims=keepdims), draw(3, 4, 5), MASK, ulps=2)
    x, first = draw(3, 5, 4), "channels_first"
    check_masked(lambda k: k.GlobalAveragePooling1D(first, keepdims=keepdims), x, MASK, ulps=2)
    holes = np.where(MASK[..., None], draw(3, 4, 5), np.float32(np.nan))
    check_masked(lambda k: k.GlobalAveragePooling1D(keepdims=keepdims), holes, MASK, ulps=2)


# ---- gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.tensorflow
@pytest.mark.parametrize("make", [
    lambda k: k.MaxPooling1D(3, 2), lambda k: k.MaxPooling1D(2, 1, "same"), lambda k: k.GlobalMaxPooling1D(),
    lambda k: k.MaxPooling1D(4, 3, data_format="channels_first"), lambda k: k.AdaptiveMaxPooling1D(3),
], ids=range(5))  # fmt: skip
def test_gradients_of_ties_are_the_tapes(make):
    keras = pytest.importorskip("keras")
    import tensorflow as tf

    x = np.random.default_rng(0).integers(0, 3, (2, 9, 6)).astype("f")
    theirs, ours = make(keras.layers), make(layers)
    with tf.GradientTape() as tape:
        given = tf.constant(x)
        tape.watch(given)
        y = theirs(given)
        weights = draw(*y.shape, seed=1)
        loss = tf.reduce_sum(y * weights)
    wanted = tape.gradient(loss, given).numpy()
    np.testing.assert_allclose(_gradient(ours, x, weights), wanted, rtol=0, atol=1e-6)


def _gradient(layer, x, upstream):
    """That of sum(upstream * layer(x)) by x, as the gradient of a bias (T, F) that is added to each row by itself."""

    class Shift(layers.Layer):
        def build(self, shape):
            self.shift = self.add_weight(shape[1:], "zeros", name="shift")

        def call(self, given):
            return given + self.shift

    found = []
    for row, above in zip(x, upstream):
        model = fastseq.Sequential([layers.Input(x.shape[1:]), Shift(), layer.from_config(layer.get_config())])
        _, (gradient,) = gradients_of(model, row[None], above[None], lambda wanted, y: fastseq.ops.sum(wanted * y))
        found.append(gradient)
    return np.stack(found)
