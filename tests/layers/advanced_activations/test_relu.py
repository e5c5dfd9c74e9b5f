"""ReLU against Keras."""

import numpy as np
import pytest
from layer_check import check_layer
from mask_check import check_masked

import fastseq

OPTIONS = [
    {}, {"max_value": 1.0}, {"max_value": 0.0}, {"negative_slope": 0.3}, {"threshold": 0.5},
    {"max_value": 6, "negative_slope": 0.1, "threshold": 1.0}, {"negative_slope": 2, "threshold": 0.25},
]  # fmt: skip


@pytest.mark.tensorflow
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", [(3,), (2, 5), (3, 7, 33)], ids=str)
def test_options(options, shape, rng):
    check_layer(lambda layers: layers.ReLU(**options), 3 * rng.standard_normal(shape).astype("f"))


@pytest.mark.tensorflow
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_special_values(options):
    keras = pytest.importorskip("keras")
    x = np.array([[np.inf, -np.inf, 0.0, -0.0, 1e-40, 6, 1, 0.5]], "f")
    np.testing.assert_allclose(
        fastseq.layers.ReLU(**options)(x), keras.layers.ReLU(**options)(x), rtol=1e-6, atol=1e-37
    )


@pytest.mark.tensorflow
def test_mask_passes(rng):
    check_masked(lambda layers: layers.ReLU(), rng.standard_normal((2, 3, 4)).astype("f"), rng.random((2, 3)) < 0.5)


def test_stored_numbers():
    x = np.array([[-10.0, -5, 0, 5, 20]])
    np.testing.assert_array_equal(fastseq.layers.ReLU()(x), [[0, 0, 0, 5, 20]])
    layer = fastseq.layers.ReLU(max_value=10, negative_slope=0.5)
    np.testing.assert_array_equal(layer(x), [[-5, -2.5, 0, 5, 10]])
    np.testing.assert_array_equal(fastseq.layers.ReLU(threshold=5)(x), [[0, 0, 0, 0, 20]])


@pytest.mark.parametrize(
    "options",
    [{"max_value": -1}, {"negative_slope": -1}, {"negative_slope": None}, {"threshold": -1}, {"threshold": None}],
)
def test_negative_arguments(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        fastseq.layers.ReLU(**options)
