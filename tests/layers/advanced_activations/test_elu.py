"""ELU against Keras."""

import numpy as np
import pytest
from layer_check import check_layer
from mask_check import check_masked

import fastseq
from fastseq import activations


@pytest.mark.tensorflow
@pytest.mark.parametrize("alpha", [1.0, 0.3, 2, -1.0])
@pytest.mark.parametrize("shape", [(3,), (2, 5), (3, 7, 33)], ids=str)
def test_alphas(alpha, shape, rng):
    def truth(x, weights, call):
        return activations.elu(x.astype("f8"), alpha)

    check_layer(lambda layers: layers.ELU(alpha), 3 * rng.standard_normal(shape).astype("f"), truth=truth)


@pytest.mark.tensorflow
def test_default_and_mask(rng):
    x = rng.standard_normal((2, 3, 4)).astype("f")
    check_layer(lambda layers: layers.ELU(), x)
    check_masked(lambda layers: layers.ELU(), x, rng.random((2, 3)) < 0.5, ulps=1)


def test_stored_numbers():
    found = fastseq.layers.ELU(2.0)(np.array([[-np.log(2), 0, 3, np.inf, -np.inf, -1e-6]]))
    np.testing.assert_allclose(found, [[-1, 0, 3, np.inf, -2, -2e-6]], rtol=1e-6)
    assert np.isnan(fastseq.layers.ELU()(np.array([np.nan]))).all()
