"""Gradients through loops: a loop backwards gives what a backward pass of every timestep gives."""

import numpy as np
import pytest

import fastseq
from fastseq import layers, ops
from fastseq.layers.recurrent import traced_cells
from fastseq.training.program import TrainingProgram, gradients_of

UNITS, INPUTS = 4, 3


class Normalized(layers.Layer):
    """One product of the input, one of the state, normalized together; two states."""

    def __init__(self, units=UNITS, **kwargs):
        super().__init__(**kwargs)
        self.units = self.output_size = units
        self.state_size = [units, units]

    def build(self, shape):
        self.kernel = self.add_weight((shape[-1], 2 * self.units), name="kernel")
        self.recurrent = self.add_weight((self.units, 2 * self.units), name="recurrent")
        self.gain = self.add_weight((2 * self.units,), initializer="ones", name="gain")
        self.shift = self.add_weight((self.units,), name="shift")

    def call(self, inputs, states):
        h, c = states
        z = ops.matmul(inputs, self.kernel) + ops.matmul(h, self.recurrent)
        z = (z - ops.mean(z, axis=-1, keepdims=True)) * self.gain
        c = ops.sigmoid(z[:, : self.units]) * c + ops.tanh(z[:, self.units :])
        h = ops.tanh(c + self.shift) * ops.softmax(h)
        return h + c, [h, c]


class Layered(layers.Layer):
    """Layers inside, one of them of the input alone; its states change places."""

    def __init__(self, units=UNITS, **kwargs):
        super().__init__(**kwargs)
        self.state_size = [units, units]
        self.output_size = units
        self.of_input, self.of_state = layers.Dense(units, activation="relu"), layers.Dense(units, use_bias=False)

    def call(self, inputs, states):
        h, c = states
        return h * c, [c, ops.tanh(self.of_input(inputs) + self.of_state(ops.concatenate([h[:, 1:], h[:, :1]], 1)))]


class Dropping(Normalized):
    """Draws anew at every timestep."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dropout = layers.Dropout(0.5, seed=3)

    def call(self, inputs, states):
        return super().call(self.dropout(inputs), states)


class MixingRows(Normalized):
    """A row's state depends on the other rows of the batch."""

    def call(self, inputs, states):
        return super().call(inputs - ops.mean(inputs, axis=0, keepdims=True), states)


OPTIONS = [
    {}, {"return_sequences": True}, {"go_backwards": True}, {"return_sequences": True, "go_backwards": True},
    {"return_sequences": True, "zero_output_for_mask": True},
]  # fmt: skip


def model_of(cell, masked=False, twice=False, **options):
    inputs = fastseq.Input((None, INPUTS))
    hidden = layers.Dense(INPUTS)(inputs)
    hidden = (
        layers.Masking()(hidden * ops.cast(ops.any(inputs != 0, -1, keepdims=True), "float32")) if masked else hidden
    )
    layer = layers.RNN(cell(), **options)
    hidden = (layers.Bidirectional(layer) if twice else layer)(hidden)
    model = fastseq.Model(inputs, layers.Dense(2)(hidden))
    for number, weight in enumerate(model.weights):
        weight.assign(0.5 * np.random.default_rng(number).standard_normal(weight.shape))
    return model


def data(batch, time, masked, sequences):
    rng = np.random.default_rng(batch)
    x = rng.standard_normal((batch, time, INPUTS)).astype("f")
    if masked:
        x[:, time // 2 : time // 2 + 2] = 0
        x[0, -1] = x[-1, 0] = 0
    return x, rng.standard_normal((batch, time, 2) if sequences else (batch, 2)).astype("f")


def steps_of_training(monkeypatch, model, x, y):
    """The steps of the program that `gradients_of` runs, beside what it gives."""
    made, begin = [], TrainingProgram.__init__

    def note(self, *args, **kwargs):
        begin(self, *args, **kwargs)
        made.append(self._program)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingProgram, "__init__", note)
        found = gradients_of(model, x, y, "mse")
    return made[-1].steps, found


def unrolled(monkeypatch, model, x, y):
    """What a step of each kind for every timestep gives."""
    with monkeypatch.context() as patch:
        patch.setattr(traced_cells._Walk, "of_all_timesteps", lambda walk: None)
        steps, found = steps_of_training(monkeypatch, model, x, y)
    assert not any("loop" in step for step in steps)
    return found


# (options, whether there are masks, whether there are two directions)
FORMS = [(options, masked, False) for options in OPTIONS for masked in (False, True)]
FORMS += [(options, masked, True) for options in OPTIONS[:2] for masked in (False, True)]


@pytest.mark.parametrize("cell", [Normalized, pytest.param(Layered, marks=pytest.mark.slow("12 s of small loops"))])
@pytest.mark.parametrize(("options", "masked", "twice"), FORMS, ids=str)
def test_as_every_timestep_by_itself(monkeypatch, options, masked, twice, cell):
    for batch, time in ((1, 4), (3, 7)):
        model = model_of(cell, masked, twice, **options)
        x, y = data(batch, time, masked, options.get("return_sequences"))
        loss, wanted = unrolled(monkeypatch, model, x, y)
        steps, (found_loss, found) = steps_of_training(monkeypatch, model, x, y)
        assert any("loop" in step for step in steps)
        assert found_loss == loss
        for got, gradient in zip(found, wanted, strict=True):
            np.testing.assert_allclose(got, gradient, rtol=2e-5, atol=2e-6 * np.abs(gradient).max())


def test_states_given_and_returned(monkeypatch):
    def made():
        x, h, c = fastseq.Input((None, INPUTS)), fastseq.Input((UNITS,)), fastseq.Input((UNITS,))
        start = [layers.Dense(UNITS)(h), c]
        y, *states = layers.RNN(Normalized(), return_state=True, return_sequences=True)(x, initial_state=start)
        model = fastseq.Model([x, h, c], layers.Dense(2)(y[:, -1] + states[0] * states[1]))
        for number, weight in enumerate(model.weights):
            weight.assign(0.5 * np.random.default_rng(number).standard_normal(weight.shape))
        return model

    rng = np.random.default_rng(0)
    given = [rng.standard_normal(shape).astype("f") for shape in ((2, 6, INPUTS), (2, UNITS), (2, UNITS))]
    y = rng.standard_normal((2, 2)).astype("f")
    loss, wanted = unrolled(monkeypatch, made(), given, y)
    steps, (found_loss, found) = steps_of_training(monkeypatch, made(), given, y)
    assert any("loop" in step for step in steps) and found_loss == loss
    for got, gradient in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, gradient, rtol=2e-5, atol=2e-6 * np.abs(gradient).max())


def test_a_program_is_as_long_however_many_timesteps(monkeypatch):
    lengths = []
    for time in (4, 60):
        model = model_of(Normalized, return_sequences=True)
        steps, _ = steps_of_training(monkeypatch, model, *data(2, time, False, True))
        lengths.append(len(steps))
    assert lengths[0] == lengths[1]


def test_gradients_by_weights_are_products_behind_the_loop(monkeypatch):
    model = model_of(Normalized, return_sequences=True)
    steps, _ = steps_of_training(monkeypatch, model, *data(2, 9, False, True))
    products = [step for step in steps if step["op"] == "product_tn"]
    assert len(products) == 4 and not any("loop" in step for step in products)  # the Dense layers', and two of the cell
    assert not any("loop" in step for step in steps if step["op"] == "pack")


@pytest.mark.parametrize("cell", [Dropping, MixingRows])
def test_what_differs_from_time_to_time_is_no_loop(monkeypatch, cell):
    """A draw for each timestep, and sums over the batch: all timesteps are not the rows of one."""
    model = model_of(cell)
    steps, (_, found) = steps_of_training(monkeypatch, model, *data(3, 5, False, False))
    assert not any("loop" in step for step in steps)
    assert all(np.isfinite(gradient).all() for gradient in found)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_bits_on_any_threads(threads):
    model = model_of(Normalized, return_sequences=True)
    x, y = data(5, 20, False, True)
    before = fastseq.get_num_threads()
    try:
        fastseq.set_num_threads(1)
        _, wanted = gradients_of(model, x, y, "mse")
        fastseq.set_num_threads(threads)
        _, found = gradients_of(model, x, y, "mse")
    finally:
        fastseq.set_num_threads(before)
    for got, gradient in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(got, gradient)


class Scanning(layers.Layer):
    """A sum that decays, over the first axis, its factor learnt; xs from the end on where `reverse`."""

    def __init__(self, reverse=False, **kwargs):
        super().__init__(**kwargs)
        self.reverse = reverse

    def build(self, shape):
        self.matrix = self.add_weight((shape[-1], shape[-1]), name="matrix")
        self.factor = self.add_weight((shape[-1],), initializer="ones", name="factor")

    def call(self, inputs):
        first = ops.transpose(inputs, (1, 0, 2))

        def step(total, x):
            total = ops.tanh(ops.matmul(total, self.matrix) + x * self.factor) + 0.5 * total
            return total, total * x

        last, sums = ops.scan(step, ops.zeros_like(first[0]), first, reverse=self.reverse)
        each = ops.map(lambda x: ops.logsumexp(x * self.factor, axis=-1, keepdims=True), first)
        powers = ops.fori_loop(0, 5, lambda i, x: x * 0.5 + last * self.factor, inputs[:, 0])
        return ops.transpose(sums + each, (1, 0, 2)) + powers[:, None] + last[:, None]


@pytest.mark.parametrize("reverse", [False, True])
def test_loops_of_ops(monkeypatch, reverse):
    def made():
        inputs = fastseq.Input((None, INPUTS))
        model = fastseq.Model(inputs, layers.Dense(2)(Scanning(reverse)(layers.Dense(INPUTS)(inputs))))
        for number, weight in enumerate(model.weights):
            weight.assign(0.5 * np.random.default_rng(number).standard_normal(weight.shape))
        return model

    x, y = data(3, 6, False, True)
    with monkeypatch.context() as patch:
        patch.setattr("fastseq.ops.control_flow._looped", lambda *args: None)
        unrolled_steps, (loss, wanted) = steps_of_training(monkeypatch, made(), x, y)
    assert not any("loop" in step for step in unrolled_steps)
    steps, (found_loss, found) = steps_of_training(monkeypatch, made(), x, y)
    assert len({id(step["loop"]) for step in steps if "loop" in step}) == 6
    assert found_loss == pytest.approx(loss, rel=1e-6)
    for got, gradient in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, gradient, rtol=2e-5, atol=2e-6 * np.abs(gradient).max())


#: Bodies of a scan with two carries: what a time leaves as it found it, exchanges, or makes of nothing that it found.
BODIES = {
    "the carries are one": lambda c, x: ((c[0], c[0]), (c[1], x)),
    "a carry of zeros": lambda c, x: ((ops.zeros_like(x), c[1] * x + c[0]), (c[0], x)),
    "a carry of ones that is read late": lambda c, x: ((ops.tanh(c[0] + x), ops.ones_like(x)), (c[1] * x, x)),
    "the carries change places": lambda c, x: ((c[1], c[0]), (c[1] + x, x)),
    "the input is a carry": lambda c, x: ((x, c[0]), (c[1], c[1])),
    "outputs are the input, and the input transposed": lambda c, x: (c, (x, ops.transpose(x))),
    "an output transposed, before another": lambda c, x: (c, (ops.transpose(x), x)),
    "a carry transposed": lambda c, x: ((ops.reshape(ops.transpose(x), (3, 4)), c[1] * 0.5 + x), (c[0] * x, x * 2.0)),
    "places of the input": lambda c, x: (c, (ops.take(x, [3, 0, 0, 2], axis=1), ops.flip(x, 0))),
}  # fmt: skip


@pytest.mark.parametrize("times", [2, 3, 6])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", BODIES)
def test_bodies_of_scans(monkeypatch, name, reverse, times):
    def function(init, xs):
        carry, ys = ops.scan(BODIES[name], tuple(init), xs, reverse=reverse)
        value = sum(ops.sum(ops.sin(z)) * (i + 1) for i, z in enumerate((*carry, *ys)))
        return value + 0.1 * ops.sum(xs) if times == 2 else value  # so that the loop's gradient is one of two

    rng = np.random.default_rng(5)
    init, xs = [draw(rng, 3, 4), draw(rng, 3, 4)], draw(rng, times, 3, 4)
    value, gradients = fastseq.value_and_grad(function, argnums=(0, 1))(init, xs)
    assert value == pytest.approx(function(init, xs), rel=1e-5)  # eagerly
    with monkeypatch.context() as patch:
        patch.setattr("fastseq.ops.control_flow._looped", lambda *args: None)
        wanted_value, wanted = fastseq.value_and_grad(function, argnums=(0, 1))(init, xs)
    assert value == pytest.approx(wanted_value, rel=1e-6)
    for got, gradient in zip((*gradients[0], gradients[1]), (*wanted[0], wanted[1]), strict=True):
        np.testing.assert_allclose(got, gradient, rtol=2e-5, atol=2e-6)
    for place in ((0, 1, 2), (times - 1, 2, 0)):  # by differences, as both could be wrong
        ends = [function(init, nudged(xs, place, by)) for by in (1e-2, -1e-2)]
        assert gradients[1][place] == pytest.approx((ends[0] - ends[1]) / 2e-2, rel=2e-2, abs=2e-3)


def draw(rng, *shape):
    return rng.uniform(-1, 1, shape).astype("f")


def nudged(x, place, by):
    x = x.copy()
    x[place] += by
    return x
