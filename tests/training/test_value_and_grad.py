"""fastseq.value_and_grad: values and gradients of functions, and train_step and regularizers made with it."""

import gc
import weakref

import numpy as np
import pytest

import fastseq
from fastseq import layers, ops
from fastseq.errors import UnsupportedError
from fastseq.training.program import gradients_of

B, T, N = 6, 5, 3


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def small_model(**kwargs):
    model = fastseq.Sequential([fastseq.Input((T, N)), layers.LSTM(4), layers.Dense(2, **kwargs)])
    model.set_weights([draw(*w.shape, seed=i) for i, w in enumerate(model.get_weights())])
    return model


def test_by_arrays_as_central_differences():
    def function(a, b):
        return ops.sum(ops.tanh(a * b) * ops.square(b))

    a, b = draw(2, 3), draw(3, seed=1)
    value, (by_a, by_b) = fastseq.value_and_grad(function, argnums=(0, 1))(a, b)
    exact = lambda a, b: float((np.tanh(a * b) * b**2).sum())  # noqa: E731
    assert value == pytest.approx(exact(a, b), rel=1e-6) and type(value) is np.float32
    for number, gradient in enumerate((by_a, by_b)):
        for place in np.ndindex(gradient.shape):
            pair = []
            for sign in (1, -1):
                moved = [a.astype(float), b.astype(float)]
                moved[number] = moved[number].copy()
                moved[number][place] += sign * 1e-5
                pair.append(exact(*moved))
            assert gradient[place] == pytest.approx((pair[0] - pair[1]) / 2e-5, rel=1e-4, abs=1e-5)


def test_nests_negative_argnums_and_aux():
    def function(x, held, scale=1.0):
        return ops.sum(held["w"] * x) * scale + ops.sum(held["rest"][0]), {"doubled": x * 2, "none": None}

    x, w = draw(3), draw(3, seed=1)
    call = fastseq.value_and_grad(function, argnums=-1, has_aux=True)
    (value, aux), gradient = call(x, {"w": w, "rest": [draw(2)]}, scale=2.0)
    np.testing.assert_allclose(gradient["w"], 2 * x)
    np.testing.assert_array_equal(gradient["rest"][0], np.ones(2))
    np.testing.assert_array_equal(aux["doubled"], 2 * x)
    assert aux["none"] is None and value == pytest.approx(2 * (w * x).sum() + draw(2).sum(), rel=1e-5)


def test_weights_of_layers_inside_and_what_the_value_does_not_depend_on():
    model, x, y = small_model(), draw(B, T, N), draw(B, 2, seed=9)
    free = fastseq.Variable(np.ones(2), "free")

    def function(variables, x, y):
        return ops.mean(ops.square(model(x) * free - y))

    value, gradients = fastseq.value_and_grad(function)([*model.trainable_variables, free], x, y)
    loss, expected = gradients_of(model, x, y, "mse")
    assert value == pytest.approx(loss, rel=1e-6)
    for mine, theirs in zip(gradients, expected):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(gradients[-1], (2 * (model(x) - y) * model(x)).sum(0) / (2 * B), rtol=1e-4, atol=1e-6)
    unused = fastseq.Variable(np.ones(4), "unused")
    _, (_, zeros) = fastseq.value_and_grad(lambda v: ops.sum(v[0] * 2.0))([free, unused])
    np.testing.assert_array_equal(zeros, np.zeros(4))


def test_one_program_for_one_shape_through_all_steps():
    model, x, y, traces = small_model(), draw(B, T, N), draw(B, 2, seed=9), []

    def function(variables, x, y):
        traces.append(1)
        return ops.mean(ops.square(model(x, training=True) - y))

    compute, optimizer = fastseq.value_and_grad(function), fastseq.optimizers.Adam(0.01)
    values, counts = [], []
    for _ in range(6):
        value, gradients = compute(model.trainable_variables, x, y)
        optimizer.apply(gradients, model.trainable_variables)
        values.append(value)
        counts.append(len(traces))
        assert np.mean((model(x) - y) ** 2) < value  # the layers hear of the new weights
    assert counts[-1] == counts[1]  # the optimizer moves the weights once, to where it changes them
    twin = small_model()
    twin.compile(fastseq.optimizers.Adam(0.01), "mse")
    np.testing.assert_allclose(values, [twin.train_on_batch(x, y) for _ in range(6)], rtol=1e-5)
    model.layers[0].weights[0].assign(np.zeros((N, 16)))
    again = compute(model.trainable_variables, x, y)[0]
    assert again == pytest.approx(np.mean((model(x) - y) ** 2), rel=1e-5)


def test_an_attribute_that_is_set_is_read_anew():
    class Scale(layers.Layer):
        factor = 1.0

        def call(self, x):
            return x * self.factor

    layer = Scale()
    compute, x = fastseq.value_and_grad(lambda x: ops.sum(layer(x))), draw(3)
    compute(x)
    layer.factor = 3.0
    np.testing.assert_array_equal(compute(x)[1], np.full(3, 3.0, "f"))


def test_what_raises():
    with pytest.raises(
        UnsupportedError, match=r"own\(\) cannot be differentiated: test_value_and_grad.py:\d+: A truth"
    ):

        def own(x):
            return x if ops.sum(x) > 0 else -x

        fastseq.value_and_grad(own)(draw(3))
    with pytest.raises(ValueError, match="only one float has gradients"):
        fastseq.value_and_grad(lambda x: x * 2)(draw(3))
    with pytest.raises(ValueError, match="no gradient by an array of int32"):
        fastseq.value_and_grad(lambda x: ops.sum(x * 2.0))(np.arange(3))
    with pytest.raises(ValueError, match="argnums"):
        fastseq.value_and_grad(lambda x: ops.sum(x), argnums=1)(draw(3))
    with pytest.raises(ValueError, match="no pair"):
        fastseq.value_and_grad(lambda x: ops.sum(x), has_aux=True)(draw(3))
    with pytest.raises(ValueError, match="broadcast"):
        fastseq.value_and_grad(lambda x: ops.sum(x * draw(4)))(draw(3))


# ---- train_step ------------------------------------------------------------------------------------------------------


class Own(fastseq.Sequential):
    """Keras's guide "Customizing fit", with value_and_grad in the place of the tape."""

    def compile(self, **kwargs):
        super().compile(**kwargs)
        self.gradients = fastseq.value_and_grad(self.loss_of, has_aux=True)

    def loss_of(self, variables, x, y, weight=None):
        y_pred = self(x, training=True)
        return self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=weight), y_pred

    def train_step(self, data):
        x, y, weight = (*data, None)[:3]
        (loss, y_pred), gradients = self.gradients(self.trainable_variables, x, y, weight)
        self.optimizer.apply(gradients, self.trainable_variables)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}


LOSSES = {"mse": "mse", "huber": fastseq.losses.Huber(0.5), "own": lambda t, p: ops.mean(ops.abs(t - p), axis=-1)}


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("loss", LOSSES)
def test_fit_as_with_the_native_step(loss, weighted):
    x, y = draw(20, T, N), draw(20, 2, seed=9)
    weight = np.abs(draw(20, seed=4)) if weighted else None
    found = []
    for cls in (fastseq.Sequential, Own):
        chain = [
            fastseq.Input((T, N)), layers.LSTM(4, activity_regularizer="l2"),
            layers.Dense(2, kernel_regularizer=fastseq.regularizers.L1L2(0.01, 0.02)),
        ]  # fmt: skip
        model = cls(chain)
        model.set_weights([draw(*w.shape, seed=i) for i, w in enumerate(model.get_weights())])
        model.compile(optimizer="adam", loss=LOSSES[loss], metrics=["mae"])
        history = model.fit(
            x, y, sample_weight=weight, epochs=3, verbose=0, batch_size=10, shuffle=False, validation_data=(x, y)
        ).history
        found.append((history, model.evaluate(x, y, verbose=0), model.train_on_batch(x, y), model.get_weights()))
    (theirs, *rest), (mine, *own_rest) = found
    assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
    assert mine["val_loss"] == pytest.approx(theirs["val_loss"], rel=1e-5)
    assert mine["mae"] == pytest.approx(theirs["mae"], rel=1e-5)
    assert own_rest[0] == pytest.approx(rest[0], rel=1e-5) and own_rest[1] == pytest.approx(rest[1], rel=1e-5)
    for a, b in zip(own_rest[2], rest[2]):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_metrics_that_are_attributes_begin_anew_in_every_epoch():
    class Counting(Own):
        def __init__(self, *args):
            super().__init__(*args)
            self.seen = fastseq.metrics.Mean(name="seen")

        def train_step(self, data):
            self.seen.update_state([1.0])
            return {"batches": float(self.seen.count)}

    model = Counting([fastseq.Input((N,)), layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    history = model.fit(draw(9, N), draw(9, 1), batch_size=3, epochs=2, verbose=0).history
    assert history == {"batches": [3.0, 3.0]}
    assert model.seen in model.metrics


def test_train_step_and_test_step_of_the_class_above():
    class Logged(fastseq.Sequential):
        def train_step(self, data):
            return {**super().train_step(data), "extra": 1.0}

        def test_step(self, data):
            return {**super().test_step(data), "tested": 2.0}

    model = Logged([fastseq.Input((N,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(draw(9, N), draw(9, 1), verbose=0, validation_split=0.3).history
    assert sorted(history) == ["extra", "loss", "val_loss", "val_tested"]
    assert model.evaluate(draw(9, N), draw(9, 1), verbose=0, return_dict=True)["tested"] == 2.0


def test_a_step_that_gives_no_dict_raises():
    class Wrong(fastseq.Sequential):
        def train_step(self, data):
            return 1.0

    model = Wrong([fastseq.Input((N,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match=r"train_step\(\) returns a dict"):
        model.fit(draw(9, N), draw(9, 1), verbose=0)


# ---- regularizers ----------------------------------------------------------------------------------------------------


class OwnL2(fastseq.regularizers.Regularizer):
    def __call__(self, x):
        return 0.01 * ops.sum(ops.square(x))


@pytest.mark.parametrize("own", [OwnL2(), lambda x: 0.01 * (x * x).sum()], ids=["class", "function"])
def test_a_regularizer_of_ones_own_is_differentiated(own):
    found = []
    for regularizer in ("l2", own):
        model = fastseq.Sequential([
            fastseq.Input((N,)), layers.Dense(4, kernel_regularizer=regularizer, activity_regularizer=regularizer),
            layers.Dense(2),
        ])  # fmt: skip
        model.set_weights([draw(*w.shape, seed=i) for i, w in enumerate(model.get_weights())])
        model.compile("sgd", "mse")
        history = model.fit(draw(9, N), draw(9, 2), epochs=3, verbose=0, shuffle=False).history
        found.append((history["loss"], *model.get_weights()))
    for mine, theirs in zip(*found):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_a_regularizer_that_asks_for_values_says_so_and_goes_away_with_its_model():
    def own(x):
        return 0.01 * float(np.square(x).sum())

    model = fastseq.Sequential([fastseq.Input((N,)), layers.Dense(4, kernel_regularizer=own)])
    model.compile("sgd", "mse")
    with pytest.raises(
        UnsupportedError, match=r"Regularizer own has no gradient.*test_value_and_grad.py.*gradient\(x\)"
    ):
        model.fit(draw(9, N), draw(9, 4), verbose=0)
    held = weakref.ref(regularizer := OwnL2())
    model = fastseq.Sequential([fastseq.Input((N,)), layers.Dense(4, kernel_regularizer=regularizer)])
    model.compile("sgd", "mse")
    model.fit(draw(9, N), draw(9, 4), verbose=0)
    del model, regularizer
    gc.collect()
    assert held() is None


def test_a_constraint_of_ones_own():
    model = fastseq.Sequential([
        fastseq.Input((N,)), layers.Dense(4, kernel_constraint=lambda w: ops.clip(w, -0.1, 0.1))
    ])  # fmt: skip
    model.compile("sgd", "mse")
    model.fit(draw(9, N), draw(9, 4), verbose=0)
    assert np.abs(model.get_weights()[0]).max() == np.float32(0.1)
