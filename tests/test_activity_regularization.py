"""ActivityRegularization against Keras: the identity, and a config."""

import numpy as np
import pytest
from layer_check import check_layer
from mask_check import check_masked

import fastseq


@pytest.mark.tensorflow
@pytest.mark.parametrize("options", [{}, {"l1": 0.5}, {"l1": 0.25, "l2": 0.5}], ids=str)
def test_options(options, rng):
    check_layer(lambda layers: layers.ActivityRegularization(**options), rng.standard_normal((2, 3)).astype("f"))


@pytest.mark.tensorflow
def test_mask_passes(rng):
    x = rng.standard_normal((2, 3, 4)).astype("f")
    check_masked(lambda layers: layers.ActivityRegularization(0.5), x, rng.random((2, 3)) < 0.5)


def test_identity_of_any_dtype():
    layer = fastseq.layers.ActivityRegularization(l1=0.5, l2=0.25)
    for dtype in ("float32", "int32", "bool"):
        x = np.array([[1, 0]], dtype)
        found = layer(x)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, x)
    assert layer(fastseq.Input((3,), dtype="int32")).dtype == "int32"
    assert "activity_regularizer" not in layer.get_config()
    assert layer.activity_regularizer.l1 == 0.5


@pytest.mark.parametrize("options", [{"l1": -1.0}, {"l2": np.nan}])
def test_factors_must_not_be_negative(options):
    with pytest.raises(ValueError):
        fastseq.layers.ActivityRegularization(**options)
