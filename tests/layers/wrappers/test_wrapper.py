"""Wrapper as a base class of users' layers, and dropout of channels in images along time."""

import numpy as np
import pytest

import fastseq
from fastseq import layers


@fastseq.saving.register_keras_serializable("wrappers")
class Residual(layers.Wrapper):
    def call(self, x):
        return x + self.layer(x)


def test_a_subclass_is_built_traced_trained_and_saved(tmp_path):
    model = fastseq.Sequential([layers.Input((5, 4)), Residual(layers.Dense(4)), layers.LSTM(2)])
    x = np.random.default_rng(0).standard_normal((3, 5, 4)).astype("f")
    wrapper = model.layers[0]
    np.testing.assert_array_equal(wrapper(x), x + wrapper.layer(x))
    model.compile("sgd", "mse")
    before = wrapper.layer.get_weights()[0]
    model.fit(x, np.zeros((3, 2), "f"), verbose=0)
    assert not np.array_equal(before, wrapper.layer.get_weights()[0])
    model.save(tmp_path / "model.keras")
    loaded = fastseq.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), model(x))
    assert list(wrapper.get_config())[-1] == "layer" and type(loaded.layers[0]) is Residual


def test_what_it_is():
    assert issubclass(layers.TimeDistributed, layers.Wrapper) and "Wrapper" not in layers.REGISTRY
    for cls in (layers.Wrapper, layers.TimeDistributed):
        with pytest.raises(ValueError, match=f"{cls.__name__} takes a layer, got 3"):
            cls(3)


@pytest.mark.parametrize("name, shape", [("SpatialDropout2D", (5, 3, 4, 40)), ("SpatialDropout3D", (5, 2, 3, 2, 40))])
def test_channels_are_dropped_whole(name, shape):
    layer = getattr(layers, name)(0.5, seed=1)
    y = layer(np.ones(shape, "f"), training=True)
    flat = y.reshape(shape[0], -1, shape[-1])
    assert (flat == flat[:, :1]).all() and set(flat.ravel().tolist()) == {0.0, 2.0}
    np.testing.assert_array_equal(layer(y), y)
    first = getattr(layers, name)(0.5, "channels_first", seed=1)(np.moveaxis(np.ones(shape, "f"), -1, 1), training=True)
    np.testing.assert_array_equal(np.moveaxis(first, 1, -1), y)
    assert list(layer.get_config()) == ["rate", "seed", "name", "dtype", "data_format"]
    with pytest.raises(ValueError, match="`data_format` must be"):
        getattr(layers, name)(0.5, "last")
