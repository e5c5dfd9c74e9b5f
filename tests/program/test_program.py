"""Programs by themselves, without a layer."""

import gc

import numpy as np
import pytest

import fastseq
from fastseq import layers
from fastseq.program import slots
from fastseq.program.builder import Builder
from fastseq.program.program import Program


def test_a_constant_is_read_from_where_its_slot_begins():
    p = Builder()
    constant, y = p.constant(np.arange(6, dtype=np.float32)), p.new((3,))
    p.copy(constant.at(2), y, (3,), (1,), (1,))
    (found,) = Program(p, [], [y]).run([])
    np.testing.assert_array_equal(found, [2, 3, 4])


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1, 5), (1, 4, 1), (2, 0, 3)])
def test_strides_are_those_of_numpy(shape):
    array = np.zeros(shape, np.int8)
    if array.size:
        assert slots.strides_of(shape) == list(array.strides)
    over = slots.strides_over(shape)
    assert over == [0 if size == 1 else stride for size, stride in zip(shape, slots.strides_of(shape))]
    wider = tuple(3 if size == 1 else size for size in shape)
    if array.size:
        assert over == list(np.broadcast_to(array, wider).strides)


# ---- training programs ---------------------------------------------------------------------------------------------


def training_steps(model, x, y):
    model.compile("sgd", "mse")
    model.train_on_batch(x, y)
    return next(iter(model._trainer.train_step._programs.values()))._program.steps


@pytest.mark.parametrize("cell", [layers.LSTM, layers.GRU, layers.SimpleRNN])
def test_two_directions_walk_back_side_by_side(cell):
    model = fastseq.Sequential([layers.Input((5, 3)), layers.Bidirectional(cell(4)), layers.Dense(1)])
    steps = training_steps(model, np.ones((2, 5, 3), "f"), np.ones((2, 1), "f"))
    back = [(step["op"].endswith("_backward"), step["with_next"]) for step in steps]
    assert back.count((True, True)) == 1
    assert back[back.index((True, True)) + 1] == (True, False)


def test_gradients_of_windows_take_time_linear_in_their_number():
    """Each timestep of LocallyConnected1D adds to its own window of the input's gradient, and to nothing else."""
    written = []
    for time in (20, 80):
        stack = [layers.Input((time, 4)), layers.Dense(4), layers.LocallyConnected1D(3, 3), layers.Flatten()]
        model = fastseq.Sequential(stack)
        steps = training_steps(model, np.ones((2, time, 4), "f"), np.ones((2, 3 * (time - 2)), "f"))
        y = [step["fields"].get("y") for step in steps if step["op"] in ("copy", "binary")]
        sizes = [[step["fields"][f"n{i}"] for i in range(5)] for step in steps if step["op"] in ("copy", "binary")]
        assert len(y) > time
        written.append(sum(int(np.prod(size)) for size in sizes))
    assert written[1] < 4.5 * written[0]


def test_caches_that_are_gone_are_not_kept_among_a_layers_users():
    layer = layers.Dense(2)
    for _ in range(5):
        model = fastseq.Sequential([layers.Input((3,)), layer])
        model(np.ones((1, 3), "f"))
    del model
    gc.collect()
    model = fastseq.Sequential([layers.Input((3,)), layer])
    before = model(np.ones((1, 3), "f"))
    assert len(layer._users._references) == 2  # the layer's own and the last model's
    layer.set_weights([2 * w for w in layer.get_weights()])
    np.testing.assert_array_equal(model(np.ones((1, 3), "f")), 2 * before)


# ---- which programs stay ---------------------------------------------------------------------------------------------


def lengths_kept(layer):
    return sorted(entry.program.steps[-1]["fields"]["count"] for entry in layer._programs.all_entries())


@pytest.mark.parametrize("plain", [True, False])
def test_programs_used_last_stay(plain):
    """By plain calls, that take the short way, and by others; 64 stay."""
    layer = layers.Activation("relu")

    def call(n):
        x = np.ones((n,), "f")
        return layer(x) if plain else layer(x.astype("f8"))

    for n in range(1, 65):
        call(n)
    for n in (1, 2, 3):  # the oldest ones again
        call(n)
    for n in range(65, 75):
        call(n)
    kept = lengths_kept(layer)
    assert len(kept) == 64 and {1, 2, 3, *range(65, 75)} <= set(kept)
    assert not set(range(4, 14)) & set(kept)


def test_the_cache_is_for_threads():
    """Many lengths from many threads: never more than there is room for, and every result right."""
    import threading

    layer, failed = layers.Activation("relu"), []

    def run(seed):
        rng = np.random.default_rng(seed)
        for _ in range(400):
            x = rng.standard_normal(int(rng.integers(1, 200))).astype("f")
            if not np.array_equal(layer(x), np.maximum(x, 0)) or len(layer._programs) > 64:
                failed.append(seed)
            if rng.random() < 0.02:
                layer._weights_changed()

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    layer(np.ones(5, "f"))
    assert 5 in lengths_kept(layer)


def test_plans_of_streams_and_decoders_used_last_stay():
    from fastseq.decoding.step import StepPlans
    from fastseq.streaming.plan import plans_of

    model = fastseq.Sequential([fastseq.Input((None, 2)), layers.GRU(2, return_sequences=True)])
    plans = plans_of(model)
    first, _ = plans.plan(model, 1, 1)
    for size in range(2, 80):
        plans.plan(model, size, 1)
        assert plans.plan(model, 1, 1)[0] is first
    assert len(plans) == 64
    steps = StepPlans()
    for number in range(80):
        steps.plan(number, object)
        kept = steps.plan("kept", object)
        assert steps.plan("kept", object) is kept
    assert len(steps) == 64
