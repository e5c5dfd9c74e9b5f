"""A user's own layers that are traced: native steps in the place of their Python, and when they are not."""

import numpy as np
import pytest
from own_layers import B, Gain, N, draw, has_python

import fastseq
from fastseq import layers
from fastseq.errors import UnsupportedError
from fastseq.layers.traced_calls import untraced
from fastseq.tensors.state_variable import StateVariable


class Calls(Gain):
    """Counts how often Python ran, past what a layer hears of."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        object.__setattr__(self, "_calls", [0])

    def call(self, x):
        self._calls[0] += 1
        return super().call(x)


# ---- alone -----------------------------------------------------------------------------------------------------------


def test_a_call_alone_runs_no_python_after_the_first():
    layer, x = Calls(), draw(B, N)
    first = layer(x)
    before = layer._calls[0]
    assert before == 4  # two traces, the Python that they are compared with, and the trace into the program
    for _ in range(5):
        np.testing.assert_array_equal(layer(x), first)
    assert layer._calls[0] == before and untraced(layer) is None
    np.testing.assert_allclose(first, np.tanh(x), rtol=1e-6)


def test_alone_as_in_a_model():
    layer, x = Gain(), draw(B, N)
    model = fastseq.Sequential([fastseq.Input((N,)), layer])
    layer.gain.assign(draw(N, seed=1))
    np.testing.assert_array_equal(layer(x), model(x))
    assert not has_python(model, x)


def test_a_weight_that_changes_is_read_anew():
    layer, x = Gain(), draw(B, N)
    layer(x)
    layer.gain.assign(np.full(N, 2.0))
    np.testing.assert_allclose(layer(x), np.tanh(2 * x), rtol=1e-6)


def test_another_layers_weight_that_changes_is_read_anew():
    class Tied(layers.Layer):
        def __init__(self, other):
            super().__init__()
            object.__setattr__(self, "_other", other)  # not one of its layers

        def call(self, x):
            return x * self._other.gain

    gain, x = Gain(), draw(B, N)
    gain(x)
    tied = Tied(gain)
    tied(x)
    gain.gain.assign(np.full(N, 3.0))
    np.testing.assert_allclose(tied(x), 3 * x, rtol=1e-6)
    assert untraced(tied) is None


def test_a_weight_of_no_layer_is_not_traced():
    weight = fastseq.Variable(np.ones(N), "free")

    class Free(layers.Layer):
        def call(self, x):
            return x * weight

    layer, x = Free(), draw(B, N)
    np.testing.assert_array_equal(layer(x), x)
    weight.assign(np.full(N, 2.0))
    np.testing.assert_array_equal(layer(x), 2 * x)
    assert "free" in untraced(layer)


def test_an_attribute_set_after_tracing_counts():
    layer, x = Gain(), draw(B, N)
    model = fastseq.Sequential([fastseq.Input((N,)), layer])
    once, alone = model(x), layer(x)
    layer.factor = 2.0
    np.testing.assert_array_equal(model(x), 2 * once)
    np.testing.assert_array_equal(layer(x), 2 * alone)
    assert untraced(layer) is None


def test_closures_are_read_at_the_trace():
    held = {"factor": 2.0}

    class Closed(layers.Layer):
        def call(self, x):
            return x * held["factor"]

    layer, x = Closed(), draw(B, N)
    layer(x)
    held["factor"] = 3.0
    np.testing.assert_array_equal(layer(x), 2 * x)  # the contract of tf.function
    np.testing.assert_array_equal(layer(draw(B + 1, N)), 3 * draw(B + 1, N))


def test_numbers_among_the_arguments_run_in_python():
    class Power(layers.Layer):
        def call(self, x, factor=1):
            return x * factor

    layer, x = Power(), draw(B, N)
    for factor in range(5):
        np.testing.assert_array_equal(layer(x, factor=factor), x * factor)
    assert len(layer._programs) == 0


# ---- what is not traced ----------------------------------------------------------------------------------------------


def untraceable():
    def of(call, reason, **more):
        cls = type("Own", (layers.Layer,), {"call": call, **more})
        return pytest.param(cls, reason, id=reason.replace(" ", "-"))

    def truth(self, x):
        return x if x.sum() > 1e9 else x * 2

    def value(self, x):
        return x * (2 + 0 * float(x.sum()))

    def copied(self, x):
        return np.asarray(x) * 2

    def assigned(self, x):
        y = x * 2
        y[...] = y * 1
        return y

    def attribute(self, x):
        self.seen = getattr(self, "seen", 0) + 1
        return x * 2

    def listed(self, x):
        self.log.append(1)
        return x * 2

    def drawn(self, x):
        return x * 2 + 0 * np.random.uniform()  # noqa: NPY002

    def counted(self, x):
        self._count[0] += 1
        return x * 2 + (0 if self._count[0] % 2 else 1e-30)

    def adds(self, x):
        self.add_loss(np.mean(x) * (1 if isinstance(x, np.ndarray) else 2))
        return x * 2

    def adds_once(self, x):
        if isinstance(x, np.ndarray):
            self.add_loss(np.mean(x))
        return x * 2

    def kept(self, x):
        return x * 2 + 0 * float(self.kept_state)

    def other_values(self, x):
        return x * (2 if isinstance(x, np.ndarray) else 3)

    state = StateVariable(0.0, "n", "n")
    return [
        of(truth, "truth value"), of(value, "values"), of(copied, "asarray"), of(assigned, "Assigning"),
        of(attribute, "changes the attribute 'seen'"), of(listed, "changes the attribute 'log'", log=None),
        of(drawn, "draws random numbers"), of(counted, "two traces of its call differ", _count=None),
        of(kept, "which changes between calls", kept_state=state), of(adds, "other values as Python"),
        of(adds_once, "adds other losses as Python"), of(other_values, "other values as Python"),
        of(lambda self, x: x * 2, "traced = False", traced=False),
    ]  # fmt: skip


@pytest.mark.parametrize("cls, reason", untraceable())
def test_what_is_not_traced_runs_in_python_and_says_why(cls, reason):
    layer, x = cls(name="own"), draw(B, N)
    layer.log = []
    object.__setattr__(layer, "_count", [0])
    for _ in range(3):
        np.testing.assert_array_equal(layer(x), 2 * x)
    assert reason in untraced(layer)
    model = fastseq.Sequential([fastseq.Input((N,)), layer])
    np.testing.assert_array_equal(model.predict(x, verbose=0), 2 * x)
    ((name, kernel, note),) = model._programs.program(model, {"inputs": x}).describe()
    assert (name, kernel) == ("own", "python") and reason in note
    model = fastseq.Sequential([fastseq.Input((N,)), layers.Dense(N), layer])
    model.compile("sgd", "mse")
    with pytest.raises(UnsupportedError, match="no backward") as raised:
        model.fit(x, x, verbose=0)
    assert reason in str(raised.value)


def test_the_line_is_said():
    class Own(layers.Layer):
        def call(self, x):
            y = x * 2
            if y.max() > 1:
                return y
            return x

    layer = Own()
    layer(draw(B, N))
    line = Own.call.__code__.co_firstlineno + 2
    assert untraced(layer).startswith(f"test_traced_calls.py:{line}: ")


def test_one_bad_shape_is_not_for_ever():
    layer = Gain()
    layer(draw(B, N))
    with pytest.raises(ValueError):
        layer(draw(B, N + 1))
    layer(draw(B + 1, N))
    assert untraced(layer) is None and not has_python(layer, draw(B + 1, N))


def test_a_call_that_sets_attributes_is_not_traced_for_ever():
    class Own(layers.Layer):
        runs = 0

        def call(self, x):
            self.runs += 1
            return x + float(x.sum()) * 0

    layer, x = Own(), draw(B, N)
    for _ in range(30):
        layer(x)
    before = layer.runs
    for _ in range(10):
        layer(x)
    assert layer.runs == before + 10
