"""Losses and metrics that a user gives to compile as functions or classes: traced, differentiated, or why not."""

import numpy as np
import pytest

import fastseq
from fastseq import backend as K
from fastseq import layers, losses, ops
from fastseq.errors import UnsupportedError

B, T, N = 6, 4, 3


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


FUNCTIONS = {
    "backend": lambda t, p: K.sqrt(K.mean(K.square(p - t), axis=-1)),
    "ops": lambda t, p: ops.sqrt(ops.mean(ops.square(p - t), axis=-1)),
    "numpy": lambda t, p: np.sqrt(np.mean(np.square(p - t), axis=-1)),
    "methods": lambda t, p: ((p - t) ** 2 if False else (p - t) * (p - t)).mean(axis=-1),
    "no reduction": lambda t, p: np.abs(p - t),
    "huber": lambda t, p: ops.mean(ops.where(ops.abs(t - p) < 1.0, 0.5 * ops.square(t - p), ops.abs(t - p) - 0.5), -1),
}


def by_hand(t, p):
    """The derivative of root mean squares by the predictions."""
    return (p - t) / (p.shape[-1] * np.sqrt(np.mean((p - t) ** 2, axis=-1, keepdims=True)))


def model_of(*shape):
    model = fastseq.Sequential([fastseq.Input(shape), layers.Dense(N, activation="tanh")])
    model.set_weights([draw(shape[-1], N, seed=1), draw(N, seed=2)])
    return model


def program_of(model):
    (program,) = model._trainer.train_step._programs.values()
    return program


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_trains_without_python(name):
    model, x, y = model_of(5), draw(B, 5), draw(B, N, seed=3)
    model.compile("sgd", FUNCTIONS[name])
    history = model.fit(x, y, epochs=5, verbose=0, batch_size=B).history["loss"]
    assert history == sorted(history, reverse=True)
    assert not program_of(model)._program.has_python
    values = np.asarray(FUNCTIONS[name](y, model.predict(x, verbose=0)))
    assert model.evaluate(x, y, verbose=0) == pytest.approx(values.mean(), rel=1e-5)


# A mask of timesteps and a weight for each sample do not go together, in Keras neither.
@pytest.mark.parametrize("weights, mask", [(None, False), ((B,), False), ((B, T), False), (None, True), ((B, T), True)])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight", "none"])
def test_reductions_as_of_a_loss_with_a_gradient_of_its_own(reduction, weights, mask):
    x, y = draw(B, T, 5), draw(B, T, N, seed=3)
    x[1, 2:] = 0
    weights = None if weights is None else np.abs(draw(*weights, seed=4))
    if weights is not None and weights.ndim == 1:
        weights = weights[:, None]
    found = []
    for function in (FUNCTIONS["numpy"], losses.with_gradient(FUNCTIONS["numpy"], by_hand)):
        first = [layers.Masking()] if mask else []
        model = fastseq.Sequential([fastseq.Input((T, 5)), *first, layers.Dense(N)])
        model.set_weights([draw(5, N, seed=1), draw(N, seed=2)])
        model.compile("sgd", losses.LossFunctionWrapper(function, reduction=reduction), loss_weights=[0.5])
        told = [model.train_on_batch(x, y, sample_weight=weights) for _ in range(3)]
        found.append((program_of(model)._program.has_python, told, *model.get_weights()))
    assert [entry[0] for entry in found] == [False, True]
    for mine, theirs in zip(found[0][1:], found[1][1:]):
        np.testing.assert_allclose(mine, theirs, rtol=2e-5, atol=1e-6)


def test_a_subclass_is_traced_and_its_attributes_count():
    class Weighted(losses.Loss):
        def __init__(self, factor):
            super().__init__(name="weighted")
            self.factor = factor

        def call(self, y_true, y_pred):
            return self.factor * ops.mean(ops.abs(y_true - y_pred), axis=-1)

    x, y, model = draw(B, 5), draw(B, N, seed=3), model_of(5)
    model.compile("sgd", Weighted(2.0))
    twice = model.evaluate(x, y, verbose=0)
    model.fit(x, y, verbose=0)
    assert not program_of(model)._program.has_python
    model = model_of(5)
    model.compile("sgd", "mae")
    assert twice == pytest.approx(2 * model.evaluate(x, y, verbose=0), rel=1e-6)


def test_integer_labels():
    def picked(t, p):
        return ops.mean(ops.square(p - ops.cast(t, "float32")), axis=-1)

    x, y = draw(B, 5), np.random.default_rng(0).integers(0, 3, (B, N))
    found = []
    for labels in (y, y.astype("f"), y.astype(np.uint8)):
        model = model_of(5)
        model.compile("sgd", picked)
        found.append(model.train_on_batch(x, labels))
    assert found[0] == found[1] == found[2]


def test_several_outputs_each_with_its_own():
    x = fastseq.Input((5,))
    model = fastseq.Model(x, [layers.Dense(N, name="a")(x), layers.Dense(2, name="b")(x)])
    model.compile("sgd", {"a": FUNCTIONS["ops"], "b": "mse"}, loss_weights={"a": 0.5, "b": 2.0})
    found = model.train_on_batch(draw(B, 5), [draw(B, N), draw(B, 2)], return_dict=True)
    assert not program_of(model)._program.has_python
    assert found["loss"] == pytest.approx(0.5 * found["a_loss"] + 2 * found["b_loss"], rel=1e-6)


def test_what_cannot_be_traced_says_where_and_evaluates():
    def own(t, p):
        if p.sum() > 1000:
            return t
        return np.mean(np.abs(t - p), axis=-1)

    model, x, y = model_of(5), draw(B, 5), draw(B, N, seed=3)
    model.compile("sgd", own)
    with pytest.raises(UnsupportedError, match=r"test_traced_losses.py:\d+: A truth value.*with_gradient"):
        model.fit(x, y, verbose=0)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(np.abs(y - model.predict(x, verbose=0)).mean(), rel=1e-5)


def test_metrics_that_are_functions():
    def off(t, p):
        return ops.mean(ops.cast(ops.abs(t - p) > 1.0, "float32"), axis=-1)

    def off_in_numpy(t, p):
        return (np.abs(np.asarray(t) - np.asarray(p)) > 1.0).mean(axis=-1)

    x, y, w = draw(B, T, 5), draw(B, T, N, seed=3), np.abs(draw(B, T, seed=4))
    x[1, 2:] = 0
    found = []
    for metric in (off, off_in_numpy):
        model = fastseq.Sequential([fastseq.Input((T, 5)), layers.Masking(), layers.Dense(N)])
        model.set_weights([draw(5, N, seed=1), draw(N, seed=2)])
        model.compile("sgd", FUNCTIONS["ops"], metrics=[metric], weighted_metrics=[metric])
        found.append(model.fit(x, y, sample_weight=w, batch_size=4, shuffle=False, verbose=0).history)
    assert found[0]["off"] == pytest.approx(found[1]["off_in_numpy"], rel=1e-5)
    assert found[0]["weighted_off"] == pytest.approx(found[1]["weighted_off_in_numpy"], rel=1e-5)
