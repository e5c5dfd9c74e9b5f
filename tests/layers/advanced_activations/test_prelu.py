"""PReLU against Keras and its twin."""

import numpy as np
import pytest
from layer_check import check_layer, isa
from mask_check import check_masked

import fastseq
from fastseq.layers.advanced_activations.prelu import reference_prelu
from fastseq.native import runtime


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "shape, shared", [((3, 4), None), ((2, 5, 33), None), ((2, 5, 33), [1]), ((2, 5, 33), 2), ((2, 3, 4, 5), (1, 2, 3)),
                      ((2, 3, 4, 5), [2]), ((1, 1), [])]
)  # fmt: skip
def test_shapes(shape, shared, rng):
    check_layer(lambda layers: layers.PReLU(shared_axes=shared), rng.standard_normal(shape).astype("f"))


@pytest.mark.tensorflow
def test_arguments_and_mask(rng):
    x = rng.standard_normal((2, 3, 4)).astype("f")
    check_layer(
        lambda layers: layers.PReLU(
            alpha_initializer="he_normal", alpha_regularizer="l2", alpha_constraint="non_neg", shared_axes=[1]
        ),
        x,
    )
    check_masked(lambda layers: layers.PReLU("ones"), x, rng.random((2, 3)) < 0.5)


@pytest.mark.tensorflow
def test_special_values():
    keras = pytest.importorskip("keras")
    x = np.array([[np.nan, np.inf, -np.inf, -0.0, 0.0]], "f")
    for initializer in ("zeros", "ones"):
        np.testing.assert_array_equal(
            fastseq.layers.PReLU(initializer)(x), np.asarray(keras.layers.PReLU(initializer)(x))
        )


@pytest.mark.parametrize("shared", [None, [1], [2], [1, 2]])
def test_twin_on_every_isa(shared, rng):
    x = rng.standard_normal((5, 7, 19)).astype("f")
    layer = fastseq.layers.PReLU("glorot_uniform", shared_axes=shared)
    for name in runtime.available_isas():
        with isa(name):
            found = layer(x)
        np.testing.assert_allclose(found, reference_prelu(x, layer.alpha.numpy()), rtol=1e-6)


@pytest.mark.tensorflow
@pytest.mark.parametrize("shared", [[1], [2], [1, 2]], ids=str)
def test_gradients_among_operations(shared, rng):
    """The steps of its gradient stand among chains, which they may not become."""
    pytest.importorskip("keras")
    from gradient_check import check_gradients

    def make(library, model):
        x = library.Input((5, 6))
        return model(x, library.LayerNormalization()(library.PReLU(shared_axes=shared)(library.Dense(6)(x))))

    x, y = rng.standard_normal((2, 3, 5, 6)).astype("f")
    check_gradients(make, x, y)


def test_shared_axis_may_be_unknown(rng):
    layer = fastseq.layers.PReLU("ones", shared_axes=[1])
    assert layer(fastseq.Input((None, 4))).shape == (None, None, 4)
    assert layer.alpha.shape == (1, 4)
    x = rng.standard_normal((2, 9, 4)).astype("f")
    np.testing.assert_array_equal(layer(x), x)


def test_unknown_size():
    with pytest.raises(ValueError, match=r"p_re_lu.*known sizes"):
        fastseq.layers.PReLU()(fastseq.Input((None, 4)))


@pytest.mark.parametrize("shared", [[0], [3], [-1], ["x"], [1.0]])
def test_shared_axes_that_are_not_there(shared):
    with pytest.raises(ValueError, match="shared_axes"):
        fastseq.layers.PReLU(shared_axes=shared)(np.zeros((2, 3, 4)))


def test_input_of_another_size():
    layer = fastseq.layers.PReLU()
    layer(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="axis 1"):
        layer(np.zeros((2, 4)))
