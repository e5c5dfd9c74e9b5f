"""LeakyReLU against Keras."""

import numpy as np
import pytest
from layer_check import check_layer
from mask_check import check_masked

import fastseq


@pytest.mark.tensorflow
@pytest.mark.parametrize("slope", [0.3, 0, 0.01, 2])
@pytest.mark.parametrize("shape", [(3,), (2, 5), (3, 7, 33)], ids=str)
def test_slopes(slope, shape, rng):
    check_layer(lambda layers: layers.LeakyReLU(slope), 3 * rng.standard_normal(shape).astype("f"))


@pytest.mark.tensorflow
def test_default_and_mask(rng):
    x = rng.standard_normal((2, 3, 4)).astype("f")
    check_layer(lambda layers: layers.LeakyReLU(), x)
    check_masked(lambda layers: layers.LeakyReLU(), x, rng.random((2, 3)) < 0.5)


def test_stored_numbers():
    found = fastseq.layers.LeakyReLU(0.5)(np.array([[-10.0, -5, 0, 5, 10, np.inf, -np.inf]]))
    np.testing.assert_array_equal(found, [[-5, -2.5, 0, 5, 10, np.inf, -np.inf]])
    assert np.isnan(fastseq.layers.LeakyReLU()(np.array([np.nan]))).all()


def test_alpha_of_keras_2():
    with pytest.warns(UserWarning, match="alpha"):
        layer = fastseq.layers.LeakyReLU(alpha=0.1)
    assert layer.get_config()["negative_slope"] == 0.1
    assert "alpha" not in layer.get_config()


@pytest.mark.parametrize("slope", [None, -0.1])
def test_slope_must_not_be_negative(slope):
    with pytest.raises(ValueError, match="negative_slope"):
        fastseq.layers.LeakyReLU(slope)
