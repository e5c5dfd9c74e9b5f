"""The short way of a call beside what may change under it: `training`, users' classes, weights, threads, programs."""

import copy
import sys
import threading
import tracemalloc

import numpy as np
import pytest
from calling_tests import MAKERS, count_long_way, every_second, functional, misaligned, same, sequential, values

from fastseq import layers, models


@pytest.fixture
def long_way(monkeypatch):
    return count_long_way(monkeypatch)


class TestTraining:
    class Outer(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dropout = layers.Dropout(0.5, seed=1)

        def call(self, inputs, training=None):
            if inputs.shape[0] == 1:
                raise RuntimeError("as asked")
            return self.dropout(inputs)

    def test_what_call_was_told_reaches_inner_layers(self):
        outer, x = self.Outer(), np.ones((2, 100), np.float32)
        for _ in range(3):
            same(outer.dropout(x), x)
            same(outer(x), x)
            assert (outer(x, training=True) == 0).any()
            same(outer(x, training=False), x)

    def test_it_ends_with_call(self):
        outer, x = self.Outer(), np.ones((2, 100), np.float32)
        same(outer.dropout(x), x)
        with pytest.raises(RuntimeError, match="as asked"):
            outer(x[:1], training=True)
        same(outer.dropout(x), x)

    def test_it_is_the_threads_own(self):
        dropout, x, seen = layers.Dropout(0.5), np.ones((2, 100), np.float32), []
        dropout(x)

        class Starter(layers.Layer):
            traced = False  # what it starts is wanted at every call

            def call(self, inputs, training=None):
                thread = threading.Thread(target=lambda: seen.append(dropout(inputs)))
                thread.start()
                thread.join()
                return dropout(inputs)

        assert (Starter()(x, training=True) == 0).any()
        same(seen[0], x)

    def test_a_program_made_inside_does_not_hold_outside(self):
        outer, x = self.Outer(), np.ones((2, 100), np.float32)
        assert (outer(x, training=True) == 0).any()
        same(outer.dropout(x), x)
        assert (outer(x, training=True) == 0).any()


class Doubling(layers.Layer):
    def call(self, inputs):
        return 2 * inputs


class TestPythonLayers:
    def test_own_layer(self):
        layer, x = Doubling(), values((2, 3))
        for _ in range(3):
            same(layer(x), 2 * x)

    def test_model_with_a_python_step(self):
        x = values((2, 3))
        model = models.Sequential([layers.Input((3,)), layers.Dense(4), Doubling(), layers.ReLU()])
        wanted = np.maximum(2 * model.layers[0](x), 0)
        for _ in range(3):
            same(model(x), wanted)

    def test_overridden_call_of_a_native_layer(self):
        class Negative(layers.Dense):
            def call(self, inputs):
                return -super().call(inputs)

        x = values((2, 3))
        layer, dense = Negative(4), layers.Dense(4)
        layer(x), dense(x)
        dense.set_weights(layer.get_weights())
        for _ in range(3):
            same(layer(x), -dense(x))

    def test_overridden_dunder_call(self, monkeypatch):
        class Loud(layers.Dense):
            calls = 0

            def __call__(self, *args, **kwargs):
                self.calls += 1
                return super().__call__(*args, **kwargs)

        layer, x = Loud(4), values((2, 3))
        wanted = layer(x)
        for _ in range(3):
            same(layer(x), wanted)
        assert layer.calls == 4
        monkeypatch.setattr(Loud, "__call__", lambda self, x: "patched")
        assert layer(x) == "patched"

    def test_without_init(self):
        class Forgot(layers.Layer):
            def __init__(self):
                pass

        with pytest.raises(AttributeError):
            Forgot()(values((2, 3)))


class TestClasses:
    def test_other_bases(self):
        class Mixin:
            def shout(self):
                return self.name.upper()

        x = values((2, 4))
        for bases in ((Mixin, layers.Dense), (layers.Dense, Mixin), (layers.Dense, Mixin, dict)):
            layer = type("Mixed", bases, {})(3, name="mixed")
            wanted = layer(x)
            same(layer(x), wanted)
            assert layer.shout() == "MIXED"

    def test_bases_of_a_model_may_be_replaced(self, long_way):
        class Own(models.Model):
            def __init__(self):
                inputs = layers.Input((4,))
                super().__init__(inputs, layers.Dense(3)(inputs))

        model, x = Own(), values((2, 4))
        wanted = model(x)
        long_way.clear()
        same(model(x), wanted)
        assert long_way == []

    def test_shallow_copy(self):
        layer, x = layers.Dense(3), values((2, 4))
        wanted = layer(x)
        other = copy.copy(layer)
        same(other(x), wanted)
        same(layer(x), wanted)

    def test_attributes(self):
        layer = layers.Dense(3)
        layer.anything = [1]
        assert layer.anything == [1] and callable(layer) and "anything" in vars(layer)


class TestPrograms:
    def test_a_model_of_native_layers_is_one_native_call(self):
        x = values((2, 3, 4))
        for model in (sequential(), functional(), models.Sequential([layers.Input((3, 4)), sequential()])):
            model(x)
            assert len(model._programs.program(model, {"inputs": x}).plan) == 1

    def test_layers_added_and_removed(self):
        x = values((2, 3, 4))
        model = sequential()
        wanted = [model(x) for _ in range(2)][1]
        model.add(layers.ReLU())
        same(model(x), np.maximum(wanted, 0))
        model.pop()
        same(model(x), wanted)

    def test_rank_that_the_model_mends(self):
        model = models.Sequential([layers.Input((1,)), layers.Dense(2)])
        x = values((3, 1))
        for _ in range(3):
            same(model(x[:, 0].copy()), model(x))
            same(model(x[..., None].copy()), model(x))

    def test_more_shapes_than_are_kept(self, long_way):
        layer = layers.Dense(3)
        inputs = [values((batch, 4), batch) for batch in range(1, 80)]
        wanted = [layer(x) for x in inputs]
        long_way.clear()
        same(layer(inputs[-1]), wanted[-1])
        assert long_way == []
        same(layer(inputs[0]), wanted[0])
        assert len(long_way) == 1, "a program is kept for the short way that the layer has let go"
        for x, y in zip(inputs, wanted):
            same(layer(x), y)
        layer.set_weights([w * 2 for w in layer.get_weights()])
        for x, y in zip(inputs, wanted):
            assert not np.array_equal(layer(x), y)

    def test_weights_that_change_while_a_program_is_made(self):
        class Changing(layers.Dense):
            def trace(self, p, arguments):
                traced = super().trace(p, arguments)
                if not self.changed:
                    self.changed = True
                    self.set_weights([w + 1 for w in self.get_weights()])
                return traced

        layer, dense, x = Changing(3), layers.Dense(3), values((2, 4))
        layer.changed = False
        layer(x), dense(x)
        dense.set_weights(layer.get_weights())
        for _ in range(2):
            same(layer(x), dense(x))

    def test_given_results(self):
        layer, x = layers.LSTM(5, return_state=True), values((2, 3, 4))
        wanted = layer(x)
        program = layer._programs.program(layer, {"sequences": x})
        results = tuple(np.full_like(array, 9) for array in wanted)
        assert program.run((x,), results) is results
        for a, b in zip(results, wanted):
            same(a, b)
        for a, b in zip(program.run([x]), wanted):
            same(a, b)

    def test_given_results_allocate_nothing(self):
        layer, x = layers.LSTM(50), values((1, 30, 40))
        layer(x)
        run = layer._programs.program(layer, {"sequences": x}).run
        inputs, results = (x,), (np.empty((1, 50), np.float32),)
        run(inputs, results)
        tracemalloc.start()
        try:
            run(inputs, results)
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            run(inputs, results)
            assert tracemalloc.get_traced_memory()[1] - before < 100
        finally:
            tracemalloc.stop()

    def test_arrays_that_do_not_fit_are_refused(self):
        layer, x = layers.Dense(3), values((2, 4))
        y = layer(x)
        program = layer._programs.program(layer, {"inputs": x})
        locked = y.copy()
        locked.flags.writeable = False
        wrong_inputs = (x[:1], x.astype(np.float64), x.astype(">f4"), every_second(x), misaligned(x), x[0], [1.0], None)
        wrong_results = (y[:1], y.astype(np.int32), np.asfortranarray(y), locked, y.ravel(), None)
        for wrong in wrong_inputs:
            with pytest.raises(ValueError, match=r"input 0 is .* float32 \(2, 4\); got"):
                program.run((wrong,), (y,))
        for wrong in wrong_results:
            with pytest.raises(ValueError, match=r"result 0 is .* float32 \(2, 3\); got"):
                program.run((x,), (wrong,))
        for inputs, results in (((), (y,)), ((x, x), (y,)), ((x,), ()), ((x,), (y, y))):
            with pytest.raises(ValueError, match="of 1 inputs and 1 results got"):
                program.run(inputs, results)
        same(program.run((x,))[0], layer(x))


@pytest.mark.parametrize("make", [MAKERS[name] for name in ("dense", "lstm", "functional")])
def test_threads_call_one_layer_while_its_weights_change(make):
    """Every result is that of one whole set of weights, and after a change has returned no older one comes."""
    layer, x = make(), values((3, 3, 4))
    layer(x)
    sets = [[values(w.shape, 10 * number + i) for i, w in enumerate(layer.get_weights())] for number in range(2)]
    for weights in sets:
        layer.set_weights(weights)
    one_weight = layer.weights[0]
    known = {}
    for number in range(2):
        one_weight.assign(sets[number][0])
        known[layer(x).tobytes()] = number
    assert len(known) == 2
    strange, stop = [], threading.Event()

    def call():
        while not stop.is_set():
            if layer(x).tobytes() not in known:
                strange.append("a mixture")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=call) for _ in range(6)]
    try:
        for thread in threads:
            thread.start()
        for step in range(200):
            one_weight.assign(sets[step % 2][0])
            if known[layer(x).tobytes()] != step % 2:
                strange.append("an old one")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    assert strange == []
