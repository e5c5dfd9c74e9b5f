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


class SquaredSum(fastseq.regularizers.Regularizer):
    """Other than those of Keras it is not the sum of what it is for the parts of x."""

    def __call__(self, x):
        return 0.1 * x.sum() ** 2

    def gradient(self, x):
        return np.full_like(x, 0.2 * x.sum())


def _squared_sum(keras):
    return SquaredSum() if keras is fastseq else lambda x: 0.1 * keras.ops.sum(x) ** 2


def _penalized(keras):
    """name -> (shape of a row, function that makes the layers)."""
    k, both = keras.layers, {"activity_regularizer": keras.regularizers.L1L2(0.1, 0.3)}

    def bidirectional(**options):
        return lambda: [k.Bidirectional(k.LSTM(2, **both), backward_layer=k.GRU(2, go_backwards=True), **options)]

    def sequences(**options):
        return lambda: [k.Masking(), k.Bidirectional(k.GRU(2, return_sequences=True, **both), **options)]

    def timesteps(*inner, shape=(2,), **options):
        return k.TimeDistributed(keras.Sequential([k.Input(shape), *inner]), **options)

    return {
        "bidirectional, one of both": ((3, 2), bidirectional()),
        "bidirectional, sum": ((3, 2), sequences(merge_mode="sum")),
        "bidirectional, concat": ((3, 2), sequences()),
        "bidirectional, penalty of its own": ((3, 2), sequences(merge_mode="mul", **both)),
        "what is wrapped": ((3, 2), lambda: [k.TimeDistributed(k.Dense(4, **both))]),
        "the wrapper": ((3, 2), lambda: [k.TimeDistributed(k.Dense(4, **both), **both)]),
        "wrapped twice": ((3, 1, 2), lambda: [k.TimeDistributed(k.TimeDistributed(k.Dense(4, **both)))]),
        "a wrapped model": ((3, 2), lambda: [timesteps(k.Dense(4, **both), k.Dense(2, **both))]),
        "not a sum": ((3, 2), lambda: [timesteps(k.Dense(4, activity_regularizer=_squared_sum(keras)))]),
        "a model in a model": (
            (3, 1, 2), lambda: [timesteps(timesteps(k.Dense(3, **both), **both), shape=(1, 2))]
        ),
        "wrapped bidirectional": (
            (3, 1, 2), lambda: [k.TimeDistributed(k.Bidirectional(k.LSTM(2, **both)))]
        ),
    }  # fmt: skip


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", _penalized(fastseq))
def test_penalties_of_wrapped_layers(name, rng):
    keras = pytest.importorskip("keras")
    shape = _penalized(fastseq)[name][0]
    x, found = rng.standard_normal((4, *shape)).astype("f"), []
    if "bidirectional" in name and len(shape) == 2:
        x[1, 1:] = 0
    for library in (keras, fastseq):
        model = library.Sequential([library.layers.Input(shape), *_penalized(library)[name][1]()])
        model.set_weights(
            [np.random.default_rng(i).standard_normal(w.shape) for i, w in enumerate(model.get_weights())]
        )
        model.compile(library.optimizers.SGD(1.0), "mse")
        y = np.zeros(model.predict(x, verbose=0).shape, "f")
        losses = [float(np.ravel(call(x, y))[0]) for call in (model.test_on_batch, model.train_on_batch)]
        found.append((losses, model.get_weights()))
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-5)
    for ours, theirs in zip(found[1][1], found[0][1]):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
