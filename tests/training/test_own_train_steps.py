"""Models that define both `call` and `train_step`, as Keras's guides and examples do."""

import numpy as np
import pytest

import fastseq
from fastseq import layers, ops

B, T, N = 16, 5, 3


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


class Net(fastseq.Model):
    """Its own loss, and metrics that are attributes, listed by itself."""

    def __init__(self):
        super().__init__()
        self.walk, self.last = layers.LSTM(5), layers.Dense(2)
        self.loss_tracker = fastseq.metrics.Mean(name="loss")
        self.error = fastseq.metrics.MeanAbsoluteError(name="error")
        self.gradients = fastseq.value_and_grad(self.loss_of, has_aux=True)

    def call(self, x, training=False):
        return self.last(self.walk(x))

    def loss_of(self, variables, x, y):
        y_pred = self(x, training=True)
        return ops.mean(ops.square(y_pred - y)), y_pred

    @property
    def metrics(self):
        return [self.loss_tracker, self.error]

    def _logs(self, loss, y, y_pred):
        self.loss_tracker.update_state(loss)
        self.error.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}

    def train_step(self, data):
        x, y = data
        (loss, y_pred), gradients = self.gradients(self.trainable_variables, x, y)
        self.optimizer.apply(gradients, self.trainable_variables)
        return self._logs(loss, y, y_pred)

    def test_step(self, data):
        x, y = data
        y_pred = self(x, training=False)
        return self._logs(np.mean(np.square(y_pred - y)), y, y_pred)


def test_a_model_with_its_own_call_and_steps():
    x, y = draw(B, T, N), draw(B, 2, seed=1)
    own = Net()
    own.compile(optimizer="adam")
    own(x)
    twin = fastseq.Sequential([fastseq.Input((T, N)), layers.LSTM(5), layers.Dense(2)])
    twin.set_weights(own.get_weights())
    twin.compile("adam", "mse", metrics=[fastseq.metrics.MeanAbsoluteError(name="error")])
    found = []
    for model in (own, twin):
        history = model.fit(x, y, epochs=3, batch_size=8, shuffle=False, verbose=0, validation_data=(x, y)).history
        found.append((history, model.evaluate(x, y, verbose=0)))
    assert list(found[0][0]) == list(found[1][0])
    for name, values in found[0][0].items():
        assert values == pytest.approx(found[1][0][name], rel=1e-5)
    assert found[0][1] == pytest.approx([found[1][1][1], found[1][1][0]][::-1], rel=1e-5)
    assert len(own.gradients._programs) == 1


class Adversaries(fastseq.Model):
    """Two networks with an optimizer each."""

    def __init__(self):
        super().__init__()
        self.maker = fastseq.Sequential([fastseq.Input((2,)), layers.Dense(4, activation="tanh"), layers.Dense(N)])
        self.judge = fastseq.Sequential([fastseq.Input((N,)), layers.Dense(4, activation="tanh"), layers.Dense(1)])
        self.judged = fastseq.value_and_grad(
            lambda variables, x, z: (
                ops.mean(ops.softplus(-self.judge(x))) + ops.mean(ops.softplus(self.judge(self.maker(z))))
            )
        )
        self.made = fastseq.value_and_grad(lambda variables, z: ops.mean(ops.softplus(-self.judge(self.maker(z)))))

    def compile(self, of_judge, of_maker):
        super().compile()
        self.of_judge, self.of_maker = of_judge, of_maker

    def call(self, z):
        return self.maker(z)

    def train_step(self, data):
        (x,), z = data, draw(len(data[0]), 2, seed=3)
        before = self.maker.get_weights()
        judged, gradients = self.judged(self.judge.trainable_variables, x, z)
        self.of_judge.apply(gradients, self.judge.trainable_variables)
        assert all((a == b).all() for a, b in zip(before, self.maker.get_weights()))
        made, gradients = self.made(self.maker.trainable_variables, z)
        self.of_maker.apply(gradients, self.maker.trainable_variables)
        assert any((a != b).any() for a, b in zip(before, self.maker.get_weights()))
        return {"judged": judged, "made": made}


def test_two_networks_with_an_optimizer_each():
    model = Adversaries()
    model(draw(1, 2))
    model.compile(fastseq.optimizers.SGD(0.1), fastseq.optimizers.SGD(0.0001))
    history = model.fit(draw(B, N), epochs=10, batch_size=B, verbose=0).history
    assert history["judged"][-1] < history["judged"][0]  # the judge learns faster than the maker here
