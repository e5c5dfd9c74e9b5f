"""Layers that are Python in a model: what their functions get and give, run after run, and the calls around them."""

import sys
import threading

import numpy as np
import pytest
from calling_tests import count_long_way, python_calls, same, values

from fastseq import layers, models


@pytest.fixture
def long_way(monkeypatch):
    return count_long_way(monkeypatch)


def stack(function, after=layers.ReLU, shape=(3,)):
    class Own(layers.Layer):
        traced = False  # these tests are of steps in Python

        def call(self, inputs):
            return function(self, inputs)

    return models.Sequential([layers.Input(shape), Own(name="own"), *([after()] if after else [])])


class TestArrays:
    def test_what_a_function_keeps_is_its_own(self):
        kept = []
        model = stack(lambda layer, x: kept.append(x) or x)
        inputs = [values((2, 3), seed) for seed in range(4)]
        wanted = [np.maximum(x, 0) for x in inputs]
        model(inputs[0])
        del kept[:]
        for x, y in zip(inputs, wanted):
            same(model(x), y)
        for array, x in zip(kept, inputs, strict=True):
            same(array, x)
            assert array.flags.owndata and array.flags.writeable and array.flags.c_contiguous

    def test_a_function_may_change_what_it_gets(self):
        def zeroed(layer, x):
            x[...] = 0
            return x + 1

        model, x = stack(zeroed), values((2, 3))
        before = x.copy()
        for _ in range(3):
            same(model(x), np.ones((2, 3), np.float32))
        same(x, before)

    def test_what_comes_after_does_not_change_what_it_returned(self):
        own = values((2, 3))
        before = own.copy()
        model = stack(lambda layer, x: own, after=lambda: layers.Activation("relu"))
        for _ in range(3):
            result = model(values((2, 3), 1))
            same(result, np.maximum(before, 0))
            result[...] = 9
        same(own, before)

    @pytest.mark.parametrize(
        "change",
        [
            lambda y: y.astype(np.float64),
            lambda y: np.asfortranarray(y),
            lambda y: y[:, ::-1].copy()[:, ::-1],
            lambda y: y.astype(">f4"),
            lambda y: [y],
            lambda y: y.view(np.recarray),
        ],
        ids=["float64", "Fortran", "reversed", "big-endian", "list of one", "subclass"],
    )
    def test_results_of_another_kind_than_on_zeros(self, change):
        other = []
        model, x = stack(lambda layer, x: change(x * 2) if other else x * 2), values((2, 3))
        wanted = model(x)
        other.append(1)
        for _ in range(3):
            same(model(x), wanted)

    def test_several_inputs_and_results(self):
        class Both(layers.Layer):
            def call(self, inputs):
                a, b = inputs["a"], inputs["b"]
                return [a + b, (a * b).T.copy().T]

        a, b = layers.Input((3,)), layers.Input((3,))
        total, product = Both()({"a": a, "b": b})
        model = models.Model([a, b], [layers.ReLU()(total), product])
        for seed in range(3):
            x, y = values((2, 3), seed), values((2, 3), seed + 9)
            found = model([x, y])
            same(found[0], np.maximum(x + y, 0))
            same(found[1], x * y)

    def test_other_dtypes(self):
        class Ids(layers.Layer):
            def call(self, inputs):
                return (inputs > 0).astype(np.int32)

        model = models.Sequential([layers.Input((3,)), Ids(), layers.Embedding(2, 2)])
        x = values((2, 3))
        for _ in range(3):
            same(model(x), model.layers[1](np.int32(x > 0)))

    @pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
    def test_empty_arrays(self, shape):
        model = stack(lambda layer, x: x, shape=(shape[1],))
        for _ in range(3):
            assert model(np.zeros(shape, np.float32)).shape == shape


class TestWrongResults:
    @pytest.mark.parametrize("change", [lambda y: y[:1], lambda y: y[..., None], lambda y: y[0]], ids="abc")
    def test_shapes(self, change):
        wrong = []
        model, x = stack(lambda layer, x: change(x) if wrong else x), values((2, 3))
        for _ in range(3):
            wanted = model(x)
            wrong.append(1)
            for _ in range(2):
                with pytest.raises(ValueError, match=r"'own': call\(\) returned shape .* on zeros it was \(2, 3\)"):
                    model(x)
            del wrong[:]
            same(model(x), wanted)

    def test_another_number_of_results(self):
        """What the rest would have been is what the run before left in memory."""
        fewer = []

        class Two(layers.Layer):
            traced = False

            def call(self, inputs):
                return [inputs, inputs + 1][: 1 if fewer else 2]

        inputs = layers.Input((3,))
        model = models.Model(inputs, layers.Add()(Two(name="own")(inputs)))
        x = values((2, 3))
        same(model(x), x + (x + 1))
        fewer.append(1)
        with pytest.raises(ValueError, match=r"Layer 'own': call\(\) returned 1 arrays, on zeros there were 2"):
            model(x)

    def test_what_is_no_array_of_numbers(self):
        wrong = []
        model, x = stack(lambda layer, x: np.array(["a"] * 2) if wrong else x), values((2, 3))
        model(x), model(x)
        wrong.append(1)
        with pytest.raises(TypeError, match=r"own.*not real numbers"):
            model(x)


class TestCalls:
    def test_an_identity_costs_few_python_calls_and_no_walk(self, long_way, monkeypatch):
        model, x = stack(lambda layer, x: x), values((1, 3))
        model(x), model(x)
        long_way.clear()
        walks = []
        monkeypatch.setattr(layers.Layer, "_sublayers", lambda self: walks.append(self.name) or [])
        assert python_calls(lambda: model(x)) <= 13
        assert long_way == [] and walks == []

    def test_an_exception_ends_a_call_and_not_the_next(self):
        fails = []

        def function(layer, x):
            if fails:
                raise fails[0]
            return x + 1

        model, x = stack(function), values((2, 3))
        wanted = [model(x) for _ in range(2)][1]
        for error in (RuntimeError("as asked"), KeyboardInterrupt(), MemoryError()):
            fails.append(error)
            with pytest.raises(type(error)):
                model(x)
            del fails[:]
            same(model(x), wanted)

    def test_states_before_it_are_put_back_where_it_raises(self):
        fails = []

        class Own(layers.Layer):
            traced = False

            def call(self, inputs):
                if fails:
                    raise RuntimeError("as asked")
                return inputs

        model = models.Sequential([layers.Input(batch_shape=(1, 3, 2)), layers.LSTM(4, stateful=True), Own()])
        x = values((1, 3, 2))
        for _ in range(3):
            model(x)
        before = [state.copy() for state in model.layers[0].states]
        fails.append(1)
        with pytest.raises(RuntimeError, match="as asked"):
            model(x)
        for state, old in zip(model.layers[0].states, before):
            same(state, old)

    def test_a_layer_that_calls_its_own_model(self):
        class Halving(layers.Layer):
            def compute_output_shape(self, input_shape):
                return input_shape

            def call(self, inputs):
                if len(inputs) > 1:
                    half = len(inputs) // 2
                    return np.concatenate([self.model(inputs[:half]), self.model(inputs[half:])])
                return inputs * 2

        layer = Halving()
        model = models.Sequential([layers.Input((3,)), layer, layers.Activation("linear")])
        object.__setattr__(layer, "model", model)
        x = values((4, 3))
        for _ in range(3):
            same(model(x), x * 2)

    def test_weights_that_change_in_the_middle(self):
        """The call that is under way has begun with the old ones, and the next one has the new."""

        class Changing(layers.Layer):
            def call(self, inputs):
                if inputs.any():
                    dense.set_weights([w + 1 for w in dense.get_weights()])
                return inputs

        dense = layers.Dense(2)
        model = models.Sequential([layers.Input((3,)), Changing(), dense])
        x, seen = values((2, 3)), []
        for _ in range(4):
            before = dense.get_weights()
            seen.append(model(x))
            after = dense.get_weights()
            assert np.array_equal(after[0], before[0] + 1)
        assert len({y.tobytes() for y in seen}) == 4

    def test_attributes_are_read_anew(self):
        class Scale(layers.Layer):
            factor = 2

            def call(self, inputs):
                return inputs * np.float32(self.factor)

        scale = Scale()
        model, x = models.Sequential([layers.Input((3,)), scale]), values((2, 3))
        for factor in (2, 3, 5):
            scale.factor = factor
            for _ in range(2):
                same(model(x), x * np.float32(factor))

    def test_threads(self):
        model = stack(lambda layer, x: x * 2, after=lambda: layers.Dense(4))
        inputs = [values((2, 3), seed) for seed in range(6)]
        wanted = [model(x) for x in inputs]
        strange = []

        def call(number):
            for _ in range(200):
                if model(inputs[number]).tobytes() != wanted[number].tobytes():
                    strange.append(number)

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            threads = [threading.Thread(target=call, args=(number,)) for number in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(interval)
        assert strange == []


class Adding(layers.Layer):
    """Adds the sum of its input to the loss while `on`."""

    on = True

    def call(self, inputs):
        if self.on:
            self.add_loss(np.sum(inputs))
        return inputs


class TestLosses:
    def test_each_call_replaces_those_of_the_one_before(self):
        layer = Adding()
        model = models.Sequential([layers.Input((3,)), layer, layers.ReLU()])
        for seed in range(4):
            x = values((2, 3), seed)
            model(x)
            np.testing.assert_allclose(model.losses, [np.sum(x)], rtol=1e-6)
            assert model.losses == layer.losses
        layer.on = False
        model(x)
        assert model.losses == layer.losses == []

    def test_models_beside_each_other(self):
        adding, quiet = Adding(), stack(lambda layer, x: x)
        loud, x = models.Sequential([layers.Input((3,)), adding]), values((2, 3))
        for _ in range(3):
            quiet(x)
            loud(x)
            assert loud.losses == [np.sum(x)] and quiet.losses == []

    def test_one_added_from_outside_is_gone_with_the_next_call(self):
        model, x = stack(lambda layer, x: x), values((2, 3))
        model(x), model(x)
        for layer in model.layers:
            layer.add_loss(np.float32(3))
            assert model.losses == [3]
            model(x, training=False)
            assert model.losses == []
            model(x, training=False)

    def test_a_layer_that_has_some_comes_into_a_model(self):
        """Layers in attributes count as the model's, though nothing calls them."""
        adding, x = Adding(), values((2, 3))
        model = stack(lambda layer, x: x)
        model(x), model(x)
        adding(x)
        model(x)
        assert adding.losses == [np.sum(x)]  # none of the model's
        model.other = adding
        assert model.losses == [np.sum(x)]
        model(x)
        assert model.losses == adding.losses == []
        adding(x)
        model.add(adding)
        adding.on = False
        model(x)
        assert model.losses == []

    def test_threads_do_not_mix(self):
        layer = Adding()
        model = models.Sequential([layers.Input((3,)), layer])
        x = [np.full((1, 3), number, np.float32) for number in range(4)]
        model(x[0])

        def call(number):
            for _ in range(100):
                model(x[number])

        threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(layer.losses) == 1 and layer.losses[0] in (0, 3, 6, 9)
