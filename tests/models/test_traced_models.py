"""Models that define `call`: traced, so that they predict, train and stream by native steps, and when they are not."""

import numpy as np
import pytest

import fastseq
from fastseq import layers, ops
from fastseq.cli import commands
from fastseq.errors import UnsupportedError
from fastseq.layers.traced_calls import untraced

B, T, N = 4, 6, 3


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


@fastseq.saving.register_keras_serializable("tests")
class Net(fastseq.Model):
    scale = 2.0

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.walk = layers.LSTM(5, return_sequences=True)
        self.dropout = layers.Dropout(0.5, seed=1)
        self.last = layers.Dense(2)

    def call(self, x, training=False):
        return self.last(self.dropout(ops.tanh(self.walk(x)) * self.scale, training=training))

    def get_config(self):
        return {"name": self.name}


class Choosy(Net):
    """Asks for values."""

    def call(self, x, training=False):
        return super().call(x, training) if x.sum() > -1e9 else x


def functional():
    x = start = layers.Input((T, N))
    x = ops.tanh(layers.LSTM(5, return_sequences=True)(x)) * 2.0
    return fastseq.Model(start, layers.Dense(2)(layers.Dropout(0.5, seed=1)(x)))


def pair():
    own, twin = Net(), functional()
    own(draw(B, T, N))
    twin.set_weights([draw(*w.shape, seed=i) for i, w in enumerate(twin.get_weights())])
    own.set_weights(twin.get_weights())
    return own, twin


def test_calls_and_predict_as_a_functional_model():
    own, twin = pair()
    x = draw(B, T, N)
    np.testing.assert_array_equal(own(x), twin(x))
    np.testing.assert_array_equal(own.predict(x, verbose=0), twin.predict(x, verbose=0))
    np.testing.assert_array_equal(own(x, training=True), twin(x, training=True))
    assert untraced(own) is None and not own._programs.program(own, {"x": x}).has_python


def test_training_as_a_functional_model():
    own, twin = pair()
    x, y, found = draw(B, T, N), draw(B, T, 2, seed=1), []
    for model in (own, twin):
        model.compile("adam", "mse", metrics=["mae"])
        history = model.fit(x, y, epochs=4, shuffle=False, verbose=0, batch_size=2, validation_data=(x, y)).history
        found.append((history, model.evaluate(x, y, verbose=0), model.get_weights()))
    assert found[0][:2] == found[1][:2]
    for mine, theirs in zip(found[0][2], found[1][2]):
        np.testing.assert_array_equal(mine, theirs)
    assert not any(p._program.has_python for p in own._trainer.train_step._programs.values())


def test_streams_and_attributes():
    own, _ = pair()
    x = draw(1, T, N)
    for scale in (2.0, 3.0):
        own.scale = scale
        stream = own.stream()
        whole = own(x)
        np.testing.assert_array_equal(np.stack([stream.step(x[:, t]) for t in range(T)], axis=1), whole)
    own.last.kernel.assign(np.zeros((5, 2)))
    np.testing.assert_array_equal(own.stream().step(x[:, 0]), own(x)[:, 0])


def test_a_stream_that_was_opened_first_hears_of_attributes():
    own, _ = pair()
    x = draw(1, T, N)
    before = own.stream().step(x[:, 0])
    own.scale = 0.0
    after = own.stream().step(x[:, 0])
    np.testing.assert_array_equal(after, own(x)[:, 0])
    assert (before != after).any()


def test_one_that_asks_for_values_runs_and_evaluates_in_python():
    own, twin = Choosy(name="own"), functional()
    x, y = draw(B, T, N), draw(B, T, 2, seed=1)
    own(x)
    twin.set_weights(own.get_weights())
    np.testing.assert_array_equal(own.predict(x, verbose=0), own(x))
    for model in (own, twin):
        model.compile("sgd", "mse")
    assert own.evaluate(x, y, verbose=0) == pytest.approx(twin.evaluate(x, y, verbose=0), rel=1e-5)
    with pytest.raises(
        UnsupportedError, match=r"'own' \(Choosy\) defines call\(\) in Python.*test_traced_models.py:\d+"
    ):
        own.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match=r"'own'.*cannot run in a stream: its call does not run on symbolic inputs"):
        own.stream()


def test_a_call_that_falls_back_costs_no_traces():
    runs = []

    class Counting(Choosy):
        def call(self, x, training=False):
            runs.append(1)
            return super().call(x, training)

    own = Counting()
    x = draw(B, T, N)
    own(x)
    for length in (T, T - 1, T - 2):
        before = len(runs)
        own(x[:, :length])
        assert len(runs) == before + 1


def test_what_inspect_prints(tmp_path, capsys):
    model = fastseq.Sequential([layers.Input((T, N)), _Asks(name="asks"), layers.Dense(2, name="last")])
    model.save(tmp_path / "m.keras")
    assert commands.main(["inspect", str(tmp_path / "m.keras")]) == 0
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.split()[:2] == ["asks", "python"]]
    assert "test_traced_models.py:" in line and "truth value" in line
    own, _ = pair()
    assert "python" not in {kernel for _, kernel, _ in commands._program_rows(own, 1, T)}
    assert commands._program_rows(Net(name="new"), 1, T)[0][:2] == ("new", "python")


@fastseq.saving.register_keras_serializable("tests")
class _Asks(layers.Layer):
    def call(self, x):
        return x * 2 if x.sum() > 1e9 else x
