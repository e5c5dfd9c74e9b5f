"""Training with what `add_loss` adds: gradients that somebody gives, what is refused, labels that are missing."""

import numpy as np
import pytest
from adding_layers import Adds, B, Declares, N, T, draw, trained

import fastseq
from fastseq import layers
from fastseq.errors import UnsupportedError
from fastseq.training.program import gradients_of


def test_gradients_that_nobody_gives_raise():
    """Named, with what to do; nothing is trained, and to evaluate is no harm."""

    class Weighs(Adds):
        def build(self, shape):
            self.gain = self.add_weight((N,), name="gain")

        def backward(self, gradient, x):
            return gradient, np.zeros(N)

    class Outer(Adds):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = layers.Dense(N, activity_regularizer="l1", trainable=False, name="penalized")

        def call(self, x):
            return self.inner(x)

    for stack, who in (
        ([layers.Dense(N), Adds(name="adder"), layers.Dense(1)], "'adder'.*add_loss.*losses_backward"),
        ([Weighs(name="weigher"), layers.Dense(1)], "'weigher'.*losses_backward"),
        ([layers.Dense(N), Outer(name="outer")], "'outer'.*in a call of layer 'penalized'.*losses_backward"),
    ):
        model = fastseq.Sequential(stack)
        x = draw(B, N)
        y = np.zeros_like(model(x))
        before = model.get_weights()
        model.compile("sgd", "mse")
        assert model.evaluate(x, y, verbose=0) > 0
        for train in (model.train_on_batch, lambda x, y, m=model: m.fit(x, y, verbose=0)):
            with pytest.raises(UnsupportedError, match=who):
                train(x, y)
        for now, then in zip(model.get_weights(), before):
            np.testing.assert_array_equal(now, then)


def test_losses_before_all_that_is_trained_need_no_gradient():
    frozen = layers.Dense(N)
    model = fastseq.Sequential([frozen, Adds(), layers.Dense(1)])
    x = draw(B, N)
    model(x)
    frozen.trainable = False
    loss = trained(model, x, np.zeros((B, 1), "f"))
    assert loss > float(model.layers[1].losses[0]) > 0


@pytest.mark.parametrize("metrics", [[], ["mae"]])
def test_losses_backward_as_differences(metrics):
    """Through layers before it, and beside other ways from what it was given."""
    x, y = draw(B, N), draw(B, 1, seed=1)
    start = fastseq.Input((N,))
    hidden = layers.Dense(3, activation="tanh")(start)
    model = fastseq.Model(start, layers.Dense(1)(layers.Add()([Declares()(hidden), hidden])))
    _check_by_differences(model, x, y)


def _check_by_differences(model, x, y):
    total, gradients = gradients_of(model, x, y, "mse")
    model.compile("sgd", "mse")
    np.testing.assert_allclose(total, model.test_on_batch(x, y), rtol=1e-6)
    for variable, gradient in zip(model.trainable_variables, gradients):
        value, step = variable.numpy(), np.float32(1e-2)
        for place in np.ndindex(value.shape):
            ends = []
            for sign in (1, -1):
                moved = value.copy()
                moved[place] += sign * step
                variable.assign(moved)
                ends.append(model.test_on_batch(x, y))
            variable.assign(value)
            expected = (ends[0] - ends[1]) / (2 * step)
            np.testing.assert_allclose(gradient[place], expected, rtol=5e-3, atol=5e-3)


def test_losses_of_outputs_that_nothing_reads():
    """backward() is not asked then, and need not be there."""

    class Alone(Declares):
        backward = None

    start = fastseq.Input((N,))
    hidden = layers.Dense(3, activation="tanh")(start)
    model = fastseq.Model(start, [layers.Dense(1)(hidden), Alone()(hidden)])
    x, y = draw(B, N), draw(B, 1, seed=1)
    model(x)
    model.compile(fastseq.optimizers.SGD(0.1), [fastseq.losses.MeanSquaredError(), None])
    kernel = model.layers[1].kernel.numpy()
    value = np.tanh(x @ kernel)
    head = model.layers[2] if isinstance(model.layers[2], layers.Dense) else model.layers[3]
    by_value = 2 * value + (2 / B * (value @ head.kernel.numpy() - y)) @ head.kernel.numpy().T
    expected = kernel - 0.1 * x.T @ (by_value * (1 - value**2))
    model.train_on_batch(x, [y, np.zeros((B, 3), "f")])
    np.testing.assert_allclose(model.layers[1].kernel.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_gradients_of_other_shapes_raise():
    class Short(Adds):
        def losses_backward(self, x):
            return x[:1]

    model = fastseq.Sequential([layers.Dense(N), Short(name="short")])
    with pytest.raises(ValueError, match=r"'short': losses_backward\(\) gave .*\(1, 2\).*\(4, 2\)"):
        trained(model)


def test_losses_that_zeros_do_not_show_raise_in_timesteps():
    class Sometimes(Declares):
        def call(self, x):
            return super().call(x) if x.any() else x

    model = fastseq.Sequential([layers.TimeDistributed(Sometimes(name="sometimes"))])
    with pytest.raises(UnsupportedError, match=r"'sometimes'.*TimeDistributed"):
        model(draw(B, T, N))
    assert model(np.zeros((B, T, N), "f")).shape == (B, T, N)


def test_fit_logs_count_them():
    model = fastseq.Sequential([Declares(), layers.Dense(1, activity_regularizer="l2", kernel_regularizer="l1")])
    x, y = draw(B, N), draw(B, 1, seed=1)
    model(x)
    expected = np.mean((model.predict(x, verbose=0) - y) ** 2) + sum(model.losses)
    model.compile(fastseq.optimizers.SGD(0.0), "mse")
    logs = model.fit(x, y, verbose=0, validation_data=(x, y)).history
    np.testing.assert_allclose(
        [logs["loss"][0], logs["val_loss"][0], model.evaluate(x, y, verbose=0)], expected, rtol=1e-5
    )


@pytest.mark.parametrize("metrics", [None, ["accuracy"], ["mae"]])
@pytest.mark.parametrize("loss", ["mse", "crossentropy", None])
def test_without_labels(loss, metrics):
    """They are missing where a loss or a metric reads them, and without either there is no loss at all."""
    model, x = fastseq.Sequential([fastseq.Input((N,)), layers.Dense(N, name="only")]), draw(B, N)
    before = model.get_weights()
    model.compile("sgd", loss, metrics=metrics)
    wanted = "no loss to compute" if loss is metrics is None else "there are no labels y"
    for method in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match=wanted):
            method(x)
    for now, then in zip(model.get_weights(), before):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("make", [Declares, lambda: layers.Activation("linear", activity_regularizer="l2")])
def test_batches_of_inputs_alone(make):
    """(x,) from a generator trains as the array x does, with what layers add as the loss."""
    x, found = draw(2 * B, N), []
    for data, options in ((lambda: x, {"batch_size": B}), (lambda: ((x[i : i + B],) for i in (0, B)), {})):
        model = fastseq.Sequential([fastseq.Input((N,)), layers.Dense(N, kernel_initializer="ones"), make()])
        model.compile(fastseq.optimizers.SGD(0.01))
        history = model.fit(data(), verbose=0, shuffle=False, **options).history
        found.append((history["loss"], *model.get_weights()))
    for array, generator in zip(*found):
        np.testing.assert_array_equal(array, generator)
    assert (found[0][1] != 1).any()
