"""Batch normalizations in the weights of the layers before them: what is folded, what stays, and the numbers."""

import numpy as np
import pytest
from layer_check import weights_for

import fastseq
from fastseq import layers, models

X = np.random.default_rng(0).standard_normal((4, 12, 6)).astype("f")


def norm(**options):
    return layers.BatchNormalization(**options)


def filled(model):
    model.set_weights(weights_for(model.weights))
    return model


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def check(model, expected, x=X):
    folded = models.fold_batch_normalization(filled(model))
    assert kinds(folded) == expected
    assert [layer.name for layer in folded.layers] == [layer.name for layer in model.layers]
    wanted = model.predict(x, verbose=0)
    np.testing.assert_allclose(folded.predict(x, verbose=0), wanted, rtol=0, atol=4e-6 * np.abs(wanted).max())
    return folded


@pytest.mark.parametrize("kind", [name for name in ("Conv1D", "Dense") if name in layers.REGISTRY])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("options", [{}, {"center": False}, {"scale": False}, {"axis": 2, "epsilon": 0.1}], ids=str)
def test_folded(kind, bias, options):
    sizes = (5, 3) if kind == "Conv1D" else (5,)
    first = getattr(layers, kind)(*sizes, use_bias=bias)
    model = fastseq.Sequential([fastseq.Input((12, 6)), first, norm(**options), layers.ReLU(), layers.Dense(2)])
    folded = check(model, [kind, "Activation", "ReLU", "Dense"])
    kernels = [kernel for _, kernel, _ in folded._programs.program(folded, {"inputs": X}).describe()]
    assert not any("batch_norm" in kernel for kernel in kernels)


def test_what_stays():
    start = fastseq.Input((12, 6))
    activated = norm()(layers.Dense(5, activation="relu")(start))
    shared = layers.Dense(5)
    twice = layers.add([norm()(shared(start)), shared(start)])
    read = layers.Dense(5)(start)
    both = layers.add([norm()(read), read])
    by_time = norm(axis=1)(layers.Dense(5)(start))
    first = norm()(start)
    model = fastseq.Model(start, layers.concatenate([activated, twice, both, by_time, first]))
    check(model, kinds(model))


def test_a_graph_with_a_mask_and_a_model_inside():
    inner = fastseq.Sequential([fastseq.Input((12, 5)), layers.Dense(5), norm()])
    start = fastseq.Input((12, 6))
    y = norm()(layers.Dense(5)(layers.Masking()(start)))
    model = fastseq.Model(start, layers.GRU(3)(inner(layers.LSTM(5, return_sequences=True)(y))))
    x = X.copy()
    x[1, 3:] = 0
    folded = models.fold_batch_normalization(filled(model))
    wanted = model.predict(x, verbose=0)
    np.testing.assert_allclose(folded.predict(x, verbose=0), wanted, rtol=0, atol=4e-6 * np.abs(wanted).max())
    found = [*kinds(folded), *(kind for layer in folded.layers if hasattr(layer, "layers") for kind in kinds(layer))]
    assert "BatchNormalization" not in found


def test_the_model_stays_as_it_was():
    model = filled(fastseq.Sequential([fastseq.Input((6,)), layers.Dense(3), norm()]))
    before, y = model.get_weights(), model(X[:, 0])
    models.fold_batch_normalization(model)
    np.testing.assert_array_equal(model(X[:, 0]), y)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_that_is_not_built():
    with pytest.raises(ValueError, match="is not built, or no Sequential or functional model"):
        models.fold_batch_normalization(fastseq.Sequential([layers.Dense(3), norm()]))
