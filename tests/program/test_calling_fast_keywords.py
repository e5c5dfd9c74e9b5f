"""Calls with training=, mask= and the input by name: they take the short way too, and give what the long way gives."""

import sys
import threading

import numpy as np
import pytest
from calling_tests import MAKERS, count_long_way, misaligned, python_calls, same, values

from fastseq import layers, models
from fastseq.native import runtime
from fastseq.tensors import arrays, nest

MASK = np.array([[True, True, False], [True, False, False]])
WAYS = {
    "training=None": {"training": None},
    "training=False": {"training": False},
    "training=True": {"training": True},
    "mask=None": {"mask": None},
    "mask": {"mask": MASK},
    "mask, training=True": {"mask": MASK, "training": True},
    "training=False, mask": {"training": False, "mask": MASK},
}


@pytest.fixture
def long_way(monkeypatch):
    return count_long_way(monkeypatch)


def alike(found, wanted):
    """The same structure, types, bits and masks."""
    assert type(found) is type(wanted)
    for a, b in zip(nest.flatten(found), nest.flatten(wanted), strict=True):
        same(a, b)
        assert type(a) is type(b)
        masks = arrays.mask_of(a), arrays.mask_of(b)
        assert (masks[0] is None) == (masks[1] is None)
        if masks[0] is not None:
            same(*masks)


def takes_masks(layer):
    return "mask" in layer._signature.parameters


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
class TestTaken:
    def test_the_second_call_takes_no_python_and_gives_the_same(self, make, way, long_way):
        layer, x = make(), values((2, 3, 4))
        layer(x)
        if "mask" in way and not takes_masks(layer):
            for _ in range(2):
                with pytest.raises(TypeError, match="mask"):
                    layer(x, **way)
            return
        wanted = layer._call_any(x, **way)
        layer(x, **way)
        long_way.clear()
        found = layer(x, **way)
        by_name = layer(**way, **{next(iter(layer._signature.parameters)): x})
        assert long_way == []
        alike(found, wanted)
        alike(by_name, wanted)
        assert not np.shares_memory(found, by_name)

    def test_weights_change_under_it(self, make, way, long_way):
        layer, x = make(), values((2, 3, 4))
        layer(x)
        if not takes_masks(layer):
            way = {name: value for name, value in way.items() if name != "mask"}
        for step in range(3):
            before = [layer(x, **way) for _ in range(2)][1]
            layer.set_weights([values(w.shape, step) for w in layer.get_weights()])
            long_way.clear()
            after = layer(x, **way)
            assert len(long_way) == 1
            assert not np.array_equal(before, after)
            alike(layer(x, **way), after)
            alike(layer._call_any(x, **way), after)


def test_ways_do_not_mix(long_way):
    layer, x = MAKERS["sequential"](), values((2, 3, 4))
    other = np.array([[False, True, True], [True, True, True]])
    ways = [{}, *WAYS.values(), {"mask": other}, {"mask": other, "training": False}]
    wanted = [layer._call_any(x, **way) for way in ways]
    for way in ways:
        layer(x, **way)
    long_way.clear()
    for _ in range(3):
        for way, result in zip(ways, wanted):
            alike(layer(x, **way), result)
    assert long_way == []
    assert not np.array_equal(layer(x, mask=MASK), layer(x, mask=other))


def test_a_call_with_a_keyword_makes_no_python_calls():
    model, x = MAKERS["sequential"](), values((2, 3, 4))
    for way in ({}, {"training": False}, {"training": True}):
        for _ in range(2):
            model(x, **way)
        assert python_calls(lambda way=way: model(x, **way)) == 0, way


@pytest.mark.parametrize(
    "convert",
    [
        lambda m: m.astype(np.int32),
        lambda m: m.astype(np.float32),
        lambda m: [m],
        lambda m: m[::-1][::-1],
        lambda m: np.asfortranarray(m),
        lambda m: m.view(np.recarray),
    ],
    ids=["int", "float", "list", "reversed twice", "Fortran", "subclass"],
)
def test_other_masks_take_the_long_way(convert, long_way):
    layer, x = layers.LSTM(5), values((2, 3, 4))
    wanted = [layer(x, mask=MASK) for _ in range(2)][1]
    for _ in range(2):
        same(layer(x, mask=convert(MASK)), wanted)
    same(layer(x, mask=MASK), wanted)
    for wrong in (MASK[:, :2], MASK.astype(str)):
        with pytest.raises((TypeError, ValueError)):
            layer(x, mask=wrong)
    del long_way[:]
    shorter = layer(values((2, 2, 4)), mask=MASK[:, :2].copy())
    assert len(long_way) == 1 and shorter.shape == (2, 5)


@pytest.mark.parametrize("wrong", ["yes", [True], np.ones(2)], ids=str)
def test_what_is_no_training_is_refused_each_time(wrong):
    layer, x = layers.LSTM(5), values((2, 3, 4))
    for training in (True, False, True):
        layer(x, training=training)
        with pytest.raises(TypeError, match="training"):
            layer(x, training=wrong)
    same(layer(x, training=np.True_), layer(x, training=True))


def test_arguments_that_are_no_plain_arrays_take_the_long_way(long_way):
    layer, x = layers.Dense(3), np.round(values((2, 4)))
    wanted = [layer(x, training=False) for _ in range(2)][1]
    for other in (x.astype(np.float64), np.asfortranarray(x), misaligned(x), x.tolist()):
        long_way.clear()
        if isinstance(other, list):
            with pytest.raises((TypeError, ValueError)):
                layer(other, training=False)
        else:
            same(layer(other, training=False), wanted)
        assert len(long_way) == 1
    for arguments, keywords in (((x,), {"inputs": x}), ((), {"training": False}), ((x,), {"other": 1})):
        with pytest.raises(TypeError):
            layer(*arguments, **keywords)


class TestMasksOfResults:
    def test_they_travel_and_are_the_results_own(self, long_way):
        model = models.Sequential([layers.Input((3, 4)), layers.Dense(2)])
        x, mask = values((2, 3, 4)), MASK.copy()
        for _ in range(2):
            first = model(x, mask=mask)
        long_way.clear()
        second = model(x, mask=mask)
        assert long_way == [] and type(second) is arrays.MaskedArray
        mask[...] = False
        for result in (first, second):
            same(result._keras_mask, MASK)
        assert not np.shares_memory(first._keras_mask, second._keras_mask)
        assert arrays.mask_of(second + 1) is None and arrays.mask_of(second[:1]) is None

    def test_layers_that_make_masks_of_plain_arrays(self, long_way):
        x = values((2, 3, 4))
        x[0, 1:] = 0
        masking = layers.Masking()
        wanted = masking(x)
        long_way.clear()
        found = masking(x)
        assert long_way == []
        alike(found, wanted)
        same(found._keras_mask, np.array([[True, False, False], [True, True, True]]))

    def test_some_results_of_several_have_one(self, long_way):
        inputs = layers.Input((3,), dtype="int32")
        embedded = layers.Embedding(5, 2, mask_zero=True)(inputs)
        model = models.Model(inputs, [layers.LSTM(3)(embedded), embedded, layers.Flatten()(embedded)])
        x = np.array([[1, 2, 0], [3, 0, 0]], np.int32)
        with pytest.warns(UserWarning, match="does not support masking"):
            wanted = model(x)
        long_way.clear()
        found = model(x)
        assert long_way == [] and [arrays.mask_of(y) is None for y in found] == [True, False, True]
        alike(found, wanted)


class Scaled(layers.Layer):
    """`training` matters, and what it is by default is no False."""

    def call(self, inputs, training=True):
        return inputs * {True: 2, False: 3, None: 5}[training]


class Averaged(layers.Layer):
    """As BatchNormalization: in training it moves a mean, which it takes off otherwise."""

    def build(self, shape):
        self.mean = self.add_weight(shape=(shape[-1],), initializer="zeros", trainable=False, name="mean")

    def call(self, inputs, training=False):
        if training:
            self.mean.assign(0.9 * self.mean.numpy() + 0.1 * inputs.mean(0))
            return inputs - inputs.mean(0)
        return inputs - self.mean.numpy()


class TestTraining:
    @pytest.mark.parametrize("layer", [layers.Dropout, layers.GaussianDropout])
    def test_noise_comes_in_training_alone(self, layer, long_way):
        model, x = models.Sequential([layers.Input((50,)), layer(0.5, seed=1)]), np.ones((2, 50), np.float32)
        twin = models.Sequential([layers.Input((50,)), layer(0.5, seed=1)])
        for step in range(4):
            same(model(x), x)
            same(model(x, training=False), x)
            noisy = model(x, training=True)
            assert not np.array_equal(noisy, x)
            same(noisy, twin._call_any(x, training=True))
            if step == 0:
                long_way.clear()
        assert set(long_way) == {twin.name}

    def test_a_default_of_a_users_layer_is_kept(self):
        model, x = models.Sequential([layers.Input((3,)), Scaled()]), values((2, 3))
        for _ in range(3):
            for way, factor in (({}, 2), ({"training": None}, 2), ({"training": True}, 2), ({"training": False}, 3)):
                same(model(x, **way), x * np.float32(factor))
                same(model._call_any(x, **way), x * np.float32(factor))

    def test_a_layer_whose_weights_move_in_training(self):
        made = [models.Sequential([layers.Input((3,)), Averaged(), layers.ReLU()]) for _ in range(2)]
        for step in range(6):
            x = values((4, 3), step)
            for way in ({"training": True}, {}, {"training": False}, {"training": True}, {"training": False}):
                same(made[0](x, **way), made[1]._call_any(x, **way))
        same(*(model.get_weights()[0] for model in made))
        assert made[0].get_weights()[0].any()

    def test_inside_a_call_that_was_told(self, long_way):
        class Outer(layers.Layer):
            def __init__(self):
                super().__init__()
                self.dropout = layers.Dropout(0.5, seed=1)

            def call(self, inputs, training=None):
                return self.dropout(inputs)

        outer, x = Outer(), np.ones((2, 100), np.float32)
        for _ in range(3):
            long_way.clear()
            same(outer(x, training=False), x)
            assert (outer(x, training=True) == 0).any()
            same(outer(x), x)
            same(outer.dropout(x), x)
            assert (outer.dropout(x, training=True) == 0).any()
        assert outer.dropout.name not in long_way


class TestChanges:
    def test_attributes(self):
        layer, x = layers.Dense(3, activation="relu"), values((2, 4))
        positive = [layer(x, training=False) for _ in range(2)][1]
        layer.activation = "linear"
        changed = layer(x, training=False)
        assert not np.array_equal(changed, positive)
        same(np.maximum(changed, 0), positive)

    def test_layers_added_and_removed(self):
        x = values((2, 3, 4))
        model = MAKERS["sequential"]()
        wanted = [model(x, training=False) for _ in range(2)][1]
        model.add(layers.ReLU())
        same(model(x, training=False), np.maximum(wanted, 0))
        model.pop()
        same(model(x, training=False), wanted)

    def test_instruction_sets(self, long_way):
        layer, x = layers.LSTM(5), values((2, 3, 4))
        before = runtime.active_isa()
        wanted = {}
        for isa in runtime.available_isas():
            runtime.force_isa(isa)
            long_way.clear()
            wanted[isa] = layer(x, mask=MASK)
            assert len(long_way) == 1
        for isa in (*wanted, before):
            runtime.force_isa(isa)
            long_way.clear()
            same(layer(x, mask=MASK), wanted[isa])
            assert long_way == []

    def test_states(self, long_way):
        def make():
            return models.Sequential([layers.Input(batch_shape=(2, 3, 4)), layers.LSTM(5, stateful=True)])

        short, long = make(), make()
        long.set_weights(short.get_weights())
        for step in range(5):
            x = values((2, 3, 4), step)
            way = [{}, {"training": False}, {"mask": MASK}][step % 3]
            same(short(x, **way), long._call_any(x, **way))
        for a, b in zip(short.layers[0].states, long.layers[0].states):
            same(a, b)
        long_way.clear()
        short(x, mask=MASK)
        assert long_way == []

    def test_more_ways_and_shapes_than_are_kept(self):
        layer = layers.Dropout(0.5)
        inputs = [np.ones((rows, 4), np.float32) for rows in range(1, 50)]
        for _ in range(2):
            for x in inputs:
                same(layer(x), x)
                same(layer(x, training=False), x)
                assert layer(x, training=True).shape == x.shape
        assert len(layer._programs) <= 64


def test_threads_call_one_model_in_several_ways():
    """With a layer in Python, so that other threads run in the middle of a call."""

    class Doubling(layers.Layer):
        def call(self, inputs, training=None):
            return inputs * 2 if training else inputs + 0

    model = models.Sequential([layers.Input((3, 4)), Doubling(), layers.LSTM(5, return_sequences=True)])
    x = [values((2, 3, 4), seed) for seed in range(4)]
    ways = [{}, {"training": True}, {"training": False}, {"mask": MASK}]
    with pytest.warns(UserWarning, match="does not support masking"):
        wanted = [model._call_any(one, **way) for one, way in zip(x, ways)]
    strange, together = [], threading.Barrier(8)

    def call(number):
        together.wait()
        for _ in range(150):
            found = model(x[number], **ways[number])
            if found.tobytes() != wanted[number].tobytes():
                strange.append(number)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=call, args=(number % 4,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert strange == []
