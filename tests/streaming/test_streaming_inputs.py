"""Streams over layers that keep their last inputs: what is kept, NaN in it, masks, pools, copies; gradients.

The bits of steps, chunks and restored states are in test_streaming.py, with the other models of stream_models.MAKERS.
"""

import copy

import numpy as np
import pytest
from stream_models import MAKERS, STEPS, Lagged, inputs_of, lagged, plain, sequential, stepped

import fastseq
from fastseq import layers
from fastseq.streaming import plan
from fastseq.training.program import gradients_of


def lag_of(*lags):
    return sequential(*(Lagged(lag, name=f"lag{lag}") for lag in lags), shape=(None, 5))


def test_the_last_inputs_are_kept_with_the_oldest_first():
    model = lag_of(3, 1)
    x = inputs_of(model, 2)
    stream = model.stream(2)
    assert [(name, [array.shape for array in kept]) for name, kept in stream.state.items()] == [
        ("lag3", [(2, 3, 5)]), ("lag1", [(2, 1, 5)])
    ]  # fmt: skip
    stream.steps(x[:, :2])  # fewer timesteps than are kept
    np.testing.assert_array_equal(stream.state["lag3"][0], np.concatenate([np.zeros((2, 1, 5)), x[:, :2]], axis=1))
    stream.step(x[:, 2])
    np.testing.assert_array_equal(stream.state["lag3"][0], x[:, :3])
    stream.steps(x[:, 3:])
    np.testing.assert_array_equal(stream.state["lag3"][0], x[:, -3:])
    np.testing.assert_array_equal(stream.state["lag1"][0], x[:, -1:] - x[:, -4:-3])


def test_reset_of_some_rows():
    model = lagged()
    x = inputs_of(model, 3)
    whole, stream = model(x), model.stream(3)
    stream.steps(x[:, :4])
    stream.reset(rows=[0, 2])
    found = stream.steps(x[:, 4:])
    np.testing.assert_array_equal(found[1], whole[1, 4:])
    np.testing.assert_array_equal(found[[0, 2]], model(x[:, 4:])[[0, 2]])


def test_nan_among_the_kept_inputs_goes_with_them():
    """It is no damage, as in a recurrent layer's states: copies and restored streams take it, and forget it in time."""
    model = lag_of(3)
    x = np.ones((1, STEPS, 5), "f")
    x[0, 1] = np.nan
    whole, stream = model(x), model.stream()
    stream.steps(x[:, :3])
    other, pool = model.stream(), model.stream_pool(2)
    other.state = stream.state
    handle = pool.open()
    pool.restore(handle, stream.state_bytes())
    for found in (stream, other, copy.copy(stream)):
        np.testing.assert_array_equal(found.steps(x[:, 3:]), whole[:, 3:])
    for t in range(3, STEPS):
        np.testing.assert_array_equal(pool.step({handle: x[0, t]})[handle], whole[0, t])
    assert np.isfinite(whole[:, -1]).all()


def test_nan_in_states_beside_kept_inputs_is_refused():
    stream = MAKERS["earlier inputs and states"]().stream()
    state = stream.state
    (name,) = [name for name in state if name.startswith("gru")]
    state[name][0][0, 0] = np.nan
    with pytest.raises(ValueError, match=f"Layer '{name}': its states .* hold NaN"):
        stream.state = state


def test_a_pool_of_streams_that_come_and_go():
    model = MAKERS["earlier inputs and states"]()
    x = inputs_of(model, 4)
    whole, pool = model(x), model.stream_pool(4)
    handles, done = [pool.open()], [0] * 4
    for t in range(2 * STEPS):
        if t in (2, 3, 5):
            handles.append(pool.open())
        wanted = [row for row in range(len(handles)) if done[row] < STEPS and (t + row) % 3]
        found = pool.step({handles[row]: x[row, done[row]] for row in wanted})
        for row in wanted:
            np.testing.assert_array_equal(found[handles[row]], whole[row, done[row]])
            done[row] += 1
    assert min(done) == STEPS
    pool.reset(handles[1])
    np.testing.assert_array_equal(pool.step({handles[1]: x[1, 0]})[handles[1]], whole[1, 0])


def test_a_second_call_keeps_inputs_of_its_own():
    x = layers.Input((None, 5))
    layer = Lagged(2, name="it")
    model = fastseq.Model(x, layer(layers.ReLU()(layer(x))))
    values = inputs_of(model, 2)
    stream = model.stream(2)
    assert list(stream.state) == ["it", "it#2"]
    np.testing.assert_array_equal(stepped(stream, values), model(values))


def test_inside_a_model_and_under_time_distributed():
    inner = sequential(Lagged(2, name="it"), layers.Dense(4))
    model = fastseq.Sequential([layers.Input((None, 5)), inner, layers.TimeDistributed(layers.RepeatVector(3))])
    model.add(layers.TimeDistributed(Lagged(2)))  # it lags within a timestep, and keeps nothing
    x = inputs_of(inner, 2)
    stream = model.stream(2)
    assert list(stream.state) == [f"{inner.name}/it"]
    np.testing.assert_array_equal(stepped(stream, x), model(x))


@pytest.mark.filterwarnings("ignore:.*does not support masking")
@pytest.mark.parametrize("hands_on", [True, False])
def test_masks(hands_on):
    """Masked timesteps are inputs like others. Where no layer behind has the mask, chunks are whole programs."""
    model = sequential(layers.Masking(), Lagged(2, masks=hands_on), layers.GRU(4, return_sequences=True))
    x = inputs_of(model, 2)
    stream = model.stream(2)
    assert stream._plan(3)[0].chunks is not hands_on
    np.testing.assert_array_equal(stepped(stream, x), plain(model(x)))
    stream.reset()
    np.testing.assert_array_equal(stream.steps(x), plain(model(x)))


@pytest.mark.parametrize("work", [1.0, 5e3])
def test_pieces_shorter_than_what_is_kept(work, monkeypatch):
    monkeypatch.setattr(plan, "_MOST_WORK", work)
    model = lag_of(7, 5)
    x = inputs_of(model, 3)
    assert model.stream(3)._plan(1)[0].most_timesteps < 7
    np.testing.assert_array_equal(model.stream(3).steps(x), model(x))


def test_no_layer_can_run_it_backwards():
    with pytest.raises(ValueError, match="Bidirectional takes a recurrent layer, 'it' has no attribute 'go_backwards'"):
        layers.Bidirectional(Lagged(2, name="it"))


def test_gradients_go_to_the_timesteps_they_came_from():
    rng = np.random.default_rng(4)
    x, target, kernel = (rng.standard_normal(shape).astype("f") for shape in ((2, 6, 5), (2, 6, 3), (5, 3)))
    model = fastseq.Sequential([layers.Input((6, 5)), layers.Dense(3, use_bias=False), Lagged(2)])
    model.set_weights([kernel])
    _, (found,) = gradients_of(model, x, target, "mse")
    before = np.zeros_like(target)
    before[:, 2:] = (x @ kernel)[:, :-2]
    slope = 2 * (x @ kernel - before - target) / target.size
    slope[:, :-2] -= slope.copy()[:, 2:]
    np.testing.assert_allclose(found, np.einsum("btc,btf->cf", x, slope), rtol=1e-5, atol=1e-6)
