"""copy.deepcopy, copy.copy and pickle of models: their own weights, compiled as they were, and nothing that is code."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import fastseq
from fastseq import layers

X = np.random.default_rng(0).standard_normal((20, 6, 4)).astype("f")
Y = np.random.default_rng(1).standard_normal((20, 3)).astype("f")


def sequential():
    return fastseq.Sequential([layers.Input((6, 4)), layers.Bidirectional(layers.GRU(3)), layers.Dense(3)])


def functional():
    inputs = layers.Input((6, 4))
    shared = layers.Dense(3)
    return fastseq.Model(inputs, layers.Add()([shared(layers.LSTM(4)(inputs)), shared(layers.GRU(4)(inputs))]))


def pickled(model):
    return pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("way", [copy.deepcopy, pickled])
@pytest.mark.parametrize("make", [sequential, functional])
@pytest.mark.parametrize("state", ["not compiled", "compiled", "trained"])
def test_a_copy_goes_its_own_way(make, way, state):
    model = make()
    if state != "not compiled":
        model.compile(fastseq.optimizers.Adam(0.01), "mse", metrics=["mae"])
        model.optimizer.build(model.trainable_variables)
    if state == "trained":
        model.fit(X, Y, epochs=2, verbose=0)
    other = way(model)
    assert type(other) is type(model) and other.name == model.name and other.compiled == model.compiled
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    before = model.predict(X)
    if state == "not compiled":
        other.set_weights([weight + 1 for weight in other.get_weights()])
    else:
        assert int(other.optimizer.iterations) == int(model.optimizer.iterations)
        history = other.fit(X, Y, shuffle=False, verbose=0).history
    assert np.abs(other.predict(X) - before).max() > 1e-4
    np.testing.assert_array_equal(model.predict(X), before)
    if state != "not compiled":
        # With the same moments: the same steps.
        assert model.fit(X, Y, shuffle=False, verbose=0).history == history
        np.testing.assert_array_equal(model.predict(X), other.predict(X))


@pytest.mark.tensorflow
@pytest.mark.parametrize("way", [copy.deepcopy, pickled])
def test_copies_go_on_as_in_keras(way):
    keras = pytest.importorskip("keras")
    logs = []
    for library in (fastseq, keras):
        model = library.Sequential([
            library.Input((6, 4)), library.layers.GRU(3, name="cells"), library.layers.Dense(3, name="end")
        ])  # fmt: skip
        rng = np.random.default_rng(2)
        model.set_weights([rng.standard_normal(np.shape(weight)) / 2 for weight in model.get_weights()])
        model.compile(library.optimizers.Adam(0.01), "mse", metrics=["mae"])
        model.fit(X, Y, shuffle=False, verbose=0)
        other = way(model)
        logs.append([other.fit(X, Y, epochs=2, shuffle=False, verbose=0).history, model.evaluate(X, Y, verbose=0)])
        assert int(other.optimizer.iterations) == 3 and int(model.optimizer.iterations) == 1
    assert list(logs[0][0]) == list(logs[1][0])
    for name, values in logs[1][0].items():
        np.testing.assert_allclose(logs[0][0][name], values, rtol=1e-5)
    np.testing.assert_allclose(logs[0][1], logs[1][1], rtol=1e-5)


def test_a_copy_in_another_process():
    model = sequential()
    code = (
        "import pickle, sys; m = pickle.load(sys.stdin.buffer); sys.stdout.buffer.write(pickle.dumps(m.get_weights()))"
    )
    found = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(model), capture_output=True, check=True)
    for own, other in zip(model.get_weights(), pickle.loads(found.stdout), strict=True):
        np.testing.assert_array_equal(own, other)


def test_one_model_in_two_places_is_one_model():
    model = sequential()
    for first, second in (copy.deepcopy([model, model]), pickled([model, model])):
        assert first is second and first is not model


def test_a_shallow_copy_has_the_same_layers():
    model = sequential()
    model.compile("adam", "mse")
    other = copy.copy(model)
    assert other is not model and type(other) is type(model) and vars(other) == vars(model)
    assert all(own is same for own, same in zip(model.layers, other.layers, strict=True))
    other.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.predict(X), other.predict(X))


class Doubled(layers.Layer):
    def call(self, x):
        return 2 * x

    def backward(self, gradient, x):
        return 2 * gradient


def error(y_true, y_pred):
    return (y_true - y_pred) ** 2


def test_what_is_not_registered():
    """A deep copy has it from the model; a pickle, which another process may read, cannot."""
    model = fastseq.Sequential([layers.Input((4,)), Doubled(name="twice"), layers.Dense(3)])
    model.compile("sgd", "mse", metrics=[error])
    x = X[:, 0]
    other = copy.deepcopy(model)
    assert type(other.layers[0]) is Doubled and other.compiled
    expected = model.fit(x, Y, shuffle=False, verbose=0).history
    assert "error" in expected and other.fit(x, Y, shuffle=False, verbose=0).history == expected
    with pytest.raises(ValueError, match=r"'twice'.*Doubled.*register_keras_serializable"):
        pickle.dumps(model)
    with fastseq.saving.custom_object_scope({"Doubled": Doubled}):
        with pytest.raises(ValueError, match=r"function 'error' is not registered.*register_keras_serializable"):
            pickle.dumps(model)
    with fastseq.saving.custom_object_scope({"Doubled": Doubled, "error": error}):
        other = pickled(model)
        assert type(other.layers[0]) is Doubled and other.compiled
        data = pickle.dumps(model)
    with pytest.raises(ValueError, match=r"'twice'.*Doubled.*register_keras_serializable"):
        pickle.loads(data)


def test_lambdas_stay_in_a_deep_copy():
    """And are the very same objects there, two of one name as well; a pickle refuses them."""
    first, second = (lambda y, p: abs(y - p)), (lambda y, p: (y - p) ** 2)
    model = fastseq.Sequential([layers.Input((6, 4)), layers.Dense(3, activation=lambda x: x + 1), layers.GRU(3)])
    model.compile(fastseq.optimizers.SGD(lambda: 0.1), "mse", metrics=[first, second])
    other = copy.deepcopy(model)
    assert other.layers[0].activation is model.layers[0].activation
    assert other._trainer._told[1][0] is first and other._trainer._told[1][1] is second
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    assert other.optimizer.learning_rate == 0.1
    with pytest.raises(ValueError, match="A lambda has no name of its own"):
        pickle.dumps(model)


@pytest.mark.parametrize("way", [copy.deepcopy, pickled])
def test_a_model_without_weights_yet(way):
    """As in Keras; and the copy gets the weights that the model gets."""
    model = fastseq.Sequential([layers.LSTM(3, return_sequences=True), layers.Dense(2)])
    other = way(model)
    assert (
        not other.built
        and other.weights == []
        and [layer.name for layer in other.layers] == [layer.name for layer in model.layers]
    )
    np.testing.assert_array_equal(other(X), model(X))


def test_a_deep_copy_of_several_things_keeps_what_they_share():
    model = sequential()
    model.compile("adam", "mse")
    made = copy.deepcopy({"model": model, "layer": model.layers[0], "weights": model.weights, "by": model.optimizer})
    assert made["layer"] is made["model"].layers[0] and made["by"] is made["model"].optimizer
    assert all(own is same for own, same in zip(made["weights"], made["model"].weights, strict=True))


def test_what_a_deep_copy_shares_does_not_depend_on_the_order():
    inner = fastseq.Sequential([layers.Input((3,)), layers.Dense(2)])
    x = layers.Input((3,))
    outer = fastseq.Model(x, layers.Dense(1)(inner(x)))
    outer.compile("sgd", "mse")
    for order in ([outer, inner], [inner, outer], [inner.layers[0], outer, inner]):
        copied = copy.deepcopy(order)
        whole, part = (copied[order.index(model)] for model in (outer, inner))
        assert whole.layers[1] is part and part is not inner
        if len(order) == 3:
            assert part.layers[0] is copied[0]
        ones = np.ones((1, 3), "f")
        np.testing.assert_array_equal(whole(ones), outer(ones))
        whole.fit(ones, np.ones((1, 1)), verbose=0)
        np.testing.assert_array_equal(part(ones), whole.layers[1](ones))
        assert not np.array_equal(part(ones), inner(ones))


def test_two_models_that_share_a_layer_share_it_as_deep_copies():
    shared, x, y = layers.Dense(3), layers.Input((3,)), layers.Input((3,))
    first, second = copy.deepcopy([fastseq.Model(x, shared(x)), fastseq.Model(y, layers.Dense(2)(shared(y)))])
    assert first.layers[1] is second.layers[1] and first.layers[1] is not shared


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")  # whose state Keras loses
@pytest.mark.parametrize("way", [copy.deepcopy, pickled])
def test_what_survives_in_keras_survives_here(way):
    """Layers, weights, optimizers, losses and metrics by themselves, and models that are not built."""
    keras = pytest.importorskip("keras")
    found = []
    for library in (fastseq, keras):
        model = library.Sequential([library.Input((6, 4)), library.layers.GRU(3, name="cells")])
        model.set_weights([np.full(np.shape(weight), 0.5, "f") for weight in model.get_weights()])
        model.compile(library.optimizers.Adam(0.01), "mse")
        model.fit(X, Y, shuffle=False, verbose=0)
        layer, weight, optimizer = way(model.layers[0]), way(model.weights[0]), way(model.optimizer)
        assert (layer.name, weight.name) == ("cells", "kernel")
        assert not way(library.Sequential([library.layers.Dense(3)])).built
        assert way(library.layers.Dense(3, name="unbuilt")).name == "unbuilt"
        loss, metric = way(library.losses.MeanSquaredError()), way(library.metrics.MeanAbsoluteError(name="mine"))
        found.append([
            np.asarray(layer(X)), np.asarray(weight), float(optimizer.learning_rate),
            float(loss(Y, Y + 3)), float(metric(Y, Y + 3)), metric.name,
        ])  # fmt: skip
    for own, other in zip(*found, strict=True):
        if isinstance(own, str):
            assert own == other
        else:
            np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-6)
