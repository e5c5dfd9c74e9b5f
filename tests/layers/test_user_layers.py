"""A user's own layer: a Python class on NumPy arrays, by itself, in a model, with masks, weights and sublayers."""

import threading

import numpy as np
import pytest

import fastseq
from fastseq import layers


class Scale(layers.Layer):
    """y = x * factor + shift, one factor per feature."""

    def __init__(self, shift=0.0, **kwargs):
        super().__init__(**kwargs)
        self.shift = shift
        self.supports_masking = True

    def build(self, input_shape):
        self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="factor")

    def call(self, inputs):
        return inputs * self.factor.numpy() + self.shift

    def get_config(self):
        return {**super().get_config(), "shift": self.shift}


class MaskedMean(layers.Layer):
    """Mean over the unmasked timesteps; gives no shape, so it is tried on zeros."""

    def call(self, inputs, mask=None):
        if mask is None:
            return inputs.mean(axis=1)
        weights = mask[..., None].astype(inputs.dtype)
        return (inputs * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)

    def compute_mask(self, inputs, previous_mask=None):
        return None


class TwoHeads(layers.Layer):
    """Sublayers, two outputs, `training` handed on."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.heads = [layers.Dense(units), layers.Dense(1)]
        self.drop = layers.Dropout(0.5, seed=1)

    def call(self, inputs, training=False):
        inputs = self.drop(inputs)
        return [head(inputs) for head in self.heads]


def test_by_itself(rng):
    x = rng.standard_normal((2, 3, 4))
    layer = Scale(shift=0.5)
    np.testing.assert_allclose(layer(x), x + 0.5, rtol=1e-6)
    layer.set_weights([np.array([1, 2, 3, 4])])
    np.testing.assert_allclose(layer(x), x * [1, 2, 3, 4] + 0.5, rtol=1e-6)
    assert layer(x).dtype == np.float32
    assert layer.count_params() == 4 and layer.weights[0].name == "factor"
    again = Scale.from_config(layer.get_config())
    assert again.shift == 0.5 and again.name == layer.name


class Scaled(layers.Layer):
    """Builds its layers in its own `build`, as Keras teaches it."""

    def build(self, input_shape):
        self.first, self.second = Scale(name="first"), layers.Dense(2)
        self.first.build(input_shape)
        self.second.build(input_shape)

    def call(self, inputs):
        return self.second(self.first(inputs))


class Shifted(Scale):
    """Makes one more weight after those of its base."""

    def build(self, input_shape):
        super().build(input_shape)
        assert not self.built
        self.more = self.add_weight(shape=(1,), initializer="zeros", name="more")

    def call(self, inputs):
        return super().call(inputs) + self.more.numpy()


@pytest.mark.parametrize("make, count", [(Scale, 1), (Shifted, 2), (Scaled, 3)])
def test_built_by_hand(make, count, rng):
    """`build` builds once: what is set then is what the first call computes with."""
    layer, x = make(), rng.standard_normal((2, 3)).astype(np.float32)
    assert not layer.built
    layer.build((None, 3))
    assert layer.built and len(layer.weights) == count
    given = [rng.standard_normal(w.shape).astype(np.float32) for w in layer.weights]
    layer.set_weights(given)
    want = x * given[0]
    if make is Shifted:
        want = want + given[1]
    if make is Scaled:
        want = want @ given[1] + given[2]
    np.testing.assert_allclose(layer(x), want, rtol=1e-5, atol=1e-6)
    assert len(layer.weights) == count
    inputs = layers.Input((3,))
    model = fastseq.Model(inputs, layer(inputs))
    np.testing.assert_allclose(model(x), want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [Scale, lambda weights: layers.PReLU(weights=weights)])
def test_given_weights_are_those_of_a_layer_built_by_hand(make):
    layer = make(weights=[np.array([2.0, 3.0])])
    layer.build((None, 2))
    np.testing.assert_array_equal(layer.get_weights(), [[2.0, 3.0]])
    layer.set_weights([[4.0, 5.0]])
    layer(np.ones((1, 2), np.float32))
    np.testing.assert_array_equal(layer.get_weights(), [[4.0, 5.0]])


def test_in_a_model(rng):
    inputs = fastseq.Input((None, 4))
    hidden = layers.LSTM(6, return_sequences=True)(inputs)
    model = fastseq.Model(inputs, layers.Dense(3)(Scale(shift=-1.0)(hidden)))
    for shape in ((2, 5, 4), (1, 1, 4), (3, 9, 4)):
        x = rng.standard_normal(shape).astype("f")
        by_hand = model.layers[3](model.layers[2](model.layers[1](x)))
        np.testing.assert_array_equal(model(x), by_hand)
        np.testing.assert_array_equal(model.predict(x, verbose=0), by_hand)
    before = model(x)
    model.layers[2].set_weights([np.zeros(6)])
    assert (model(x) != before).any()


def test_masks_reach_it_and_pass_through(rng):
    x = rng.standard_normal((2, 4, 3)).astype("f")
    x[0, 2:] = 0
    masked = layers.Masking()(x)
    scaled = Scale()(masked)
    np.testing.assert_array_equal(scaled._keras_mask, [[1, 1, 0, 0], [1, 1, 1, 1]])
    mean = MaskedMean()(scaled)
    assert not hasattr(mean, "_keras_mask")
    np.testing.assert_allclose(mean, [x[0, :2].mean(0), x[1].mean(0)], rtol=1e-5, atol=1e-6)
    inputs = fastseq.Input((None, 3))
    model = fastseq.Model(inputs, MaskedMean()(Scale()(layers.Masking()(inputs))))
    assert model.output_shape == (None, 3)
    np.testing.assert_allclose(model(x), mean, rtol=1e-6)


def test_a_layer_that_does_not_know_masks_says_so(rng):
    class Plain(layers.Layer):
        def call(self, inputs):
            return inputs

    inputs = fastseq.Input((3, 2))
    model = fastseq.Model(inputs, Plain()(layers.Masking()(inputs)))
    with pytest.warns(UserWarning, match="does not support masking and will therefore destroy"):
        model(np.zeros((1, 3, 2), "f"))


def test_sublayers_and_training(rng):
    x = rng.standard_normal((4, 3)).astype("f")
    layer = TwoHeads(5)
    wide, narrow = layer(x)
    assert wide.shape == (4, 5) and narrow.shape == (4, 1)
    assert len(layer.weights) == 4 and layer.count_params() == 3 * 5 + 5 + 3 + 1
    np.testing.assert_array_equal(layer(x)[0], wide)
    assert (layer(x, training=True)[0] != wide).any()
    inputs = fastseq.Input((3,))
    model = fastseq.Model(inputs, layer(inputs))
    np.testing.assert_array_equal(model(x)[0], wide)
    assert (model(x, training=True)[0] != wide).any()
    assert [tuple(t.shape) for t in model.outputs] == [(None, 5), (None, 1)]


def test_from_python_threads(rng):
    inputs = fastseq.Input((None, 4))
    model = fastseq.Model(inputs, layers.GRU(5)(Scale(shift=1.0)(inputs)))
    data = [rng.standard_normal((1 + i % 3, 2 + i, 4)).astype("f") for i in range(6)]
    expected = [model(x) for x in data]
    failures = []

    def work(seed):
        for i in np.random.default_rng(seed).integers(6, size=60):
            if not (model(data[i]) == expected[i]).all():
                failures.append(i)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_what_goes_wrong(rng):
    class Nothing(layers.Layer):
        pass

    class Words(layers.Layer):
        def call(self, inputs):
            return np.full(inputs.shape, "a")

    class Growing(layers.Layer):
        def call(self, inputs):
            return np.zeros((len(inputs), 1 + int(inputs.max())), "f")

    x = np.ones((2, 3), "f")
    with pytest.raises(NotImplementedError, match=r"nothing.*must define call"):
        Nothing()(x)
    with pytest.raises(TypeError, match=r"words.*returned dtype"):
        Words()(x)
    with pytest.raises(TypeError, match=r"scale.*unexpected keyword argument 'speed'"):
        Scale()(x, speed=2)
    with pytest.raises(TypeError, match="missing a required argument"):
        Scale()()
    inputs = fastseq.Input((3,))
    model = fastseq.Model(inputs, Growing(name="growing")(inputs))
    with pytest.raises(ValueError, match=r"growing.*returned shape \(2, 2\), on zeros it was \(2, 1\)"):
        model(x)
    with pytest.raises(ValueError, match=r"weights are float32"):
        Scale().add_weight((2,), dtype="float64")
    with pytest.raises(ValueError, match=r"known shape"):
        Scale().add_weight((2, None))
