"""What copies and pickles of layers, models and optimizers carry: all that decides what they compute next."""

import copy
import json
import pickle
import random
import warnings

import numpy as np
import pytest

import fastseq
from fastseq import layers, optimizers
from fastseq.saving import carried, register_keras_serializable
from fastseq.tensors import mask_rules, naming

X = np.random.default_rng(0).standard_normal((2, 5, 4)).astype("f")
Y = np.random.default_rng(1).standard_normal((2, 3)).astype("f")
WAYS = {
    "deepcopy": copy.deepcopy,
    "protocol 5": lambda item: pickle.loads(pickle.dumps(item, 5)),
    "protocol 2": lambda item: pickle.loads(pickle.dumps(item, 2)),
}


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


@register_keras_serializable(package="copied")
class Own(fastseq.Model):
    """Its config says nothing of the layers in it, nor of their names."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(units)
        self.others = [layers.LSTM(3, return_sequences=True, dropout=0.5), layers.Dense(2)]

    def call(self, x, training=False):
        y = self.first(x)
        return self.others[1](self.others[0](y, training=training))


@register_keras_serializable(package="copied")
class Nameless(layers.Layer):
    """A class of many: its config leaves out the name, and `build` makes a layer."""

    def __init__(self, units):
        super().__init__()
        self.units = units
        self.inner = layers.Dense(units)

    def build(self, input_shape):
        self.factor = self.add_weight((input_shape[-1],), name="factor")
        self.last = layers.Dense(2)

    def call(self, x):
        return self.last(self.inner(x * self.factor.numpy()))

    def get_config(self):
        return {"units": self.units}


def called(layer):
    layer(X)
    return layer


def nameless():
    x = layers.Input((5, 4))
    return fastseq.Model(x, Nameless(2)(Nameless(3)(x)))


@register_keras_serializable(package="copied")
class Graph(fastseq.Model):
    """Makes its graph itself, of layers that have new names each time."""

    def __init__(self, units, **kwargs):
        x = layers.Input((5, 4))
        y = layers.Concatenate()([layers.GRU(units)(x), layers.LSTM(units, go_backwards=True)(x)])
        super().__init__(x, layers.Dense(2)(y), **kwargs)
        self.units = units

    def get_config(self):
        return {"units": self.units, "name": self.name}


@register_keras_serializable(package="copied")
class Stack(fastseq.Sequential):
    pass


def shared_cell():
    x, cell = layers.Input((5, 4)), layers.LSTMCell(3)
    return fastseq.Model(x, layers.Concatenate()([layers.RNN(cell)(x), layers.RNN(cell, go_backwards=True)(x)]))


def shared_inside():
    x, dense = layers.Input((5, 4)), layers.Dense(4)
    inner = fastseq.Sequential([layers.Input((5, 4)), dense])
    return fastseq.Model(x, layers.Add()([layers.TimeDistributed(dense)(x), dense(x), inner(x)]))


def stacked():
    cell = layers.GRUCell(4)
    return fastseq.Sequential([layers.Input((5, 4)), layers.RNN([cell, cell], return_sequences=True)])


def built_by_hand():
    layer = layers.LSTM(3)
    layer.build((None, 5, 4))
    return layer


def given_weights():
    return layers.Dense(2, weights=[np.ones((4, 2)), np.ones(2)])


MAKERS = {
    "Dense": lambda: called(layers.Dense(3)),
    "Bidirectional": lambda: called(layers.Bidirectional(layers.RNN([layers.GRUCell(3), layers.LSTMCell(2)]))),
    "TimeDistributed": lambda: called(layers.TimeDistributed(layers.Dense(3))),
    "user's model": lambda: called(Own(4)),
    "user's model in a model": lambda: fastseq.Sequential([layers.Input((5, 4)), called(Own(4)), layers.Dense(2)]),
    "user's layers": nameless,
    "user's graph": lambda: Graph(3),
    "user's graph in a model": lambda: fastseq.Sequential([layers.Input((5, 4)), Graph(3), layers.Dense(2)]),
    "user's stack": lambda: Stack([layers.Input((5, 4)), layers.GRU(3)], name="mine"),
    "a cell of two layers": shared_cell,
    "a layer shared at three depths": shared_inside,
    "a cell twice in a stack": stacked,
    "built by hand": built_by_hand,
    "weights=": given_weights,
    "not built": lambda: layers.GRU(3),
}


@pytest.mark.parametrize("name", MAKERS)
def test_the_same_parts_with_the_same_names_and_numbers(way, name):
    own = MAKERS[name]()
    other = way(own)
    mine, theirs = carried.parts(own), carried.parts(other)
    assert list(mine) == list(theirs)
    for path, part in mine.items():
        twin = theirs[path]
        assert twin is not part and type(twin) is type(part)
        for word in ("name", "trainable", "dtype_policy", "built"):
            assert getattr(twin, word) == getattr(part, word), (path, word)
        assert getattr(twin, "output_names", None) == getattr(part, "output_names", None)
    assert len(other.weights) == len(own.weights)
    for weight, twin in zip(own.weights, other.weights):
        assert twin.path == weight.path and not np.shares_memory(twin._value, weight._value)
        np.testing.assert_array_equal(twin, weight)
    np.testing.assert_array_equal(other(X), own(X))
    assert json.dumps(other.get_config()) == json.dumps(own.get_config())


def test_nothing_is_used_up(way):
    """Names and seeds that others get are those that they would have got without a copy."""
    model = called(Own(4))
    names, state = dict(naming._uids()), random.getstate()
    way(model)
    assert naming._uids() == names and random.getstate() == state


def test_states_and_random_numbers_go_on(way):
    model = fastseq.Sequential([
        layers.Input(batch_shape=(2, 5, 4)), layers.GRU(3, stateful=True, return_sequences=True, dropout=0.5),
        layers.Bidirectional(layers.LSTM(3, stateful=True)), layers.Dropout(0.5), layers.GaussianNoise(0.5),
    ])  # fmt: skip
    model(X, training=True)
    other = way(model)
    for _ in range(2):
        np.testing.assert_array_equal(other(X, training=True), model(X, training=True))
    model.reset_states()
    assert np.abs(model(X) - other(X)).max() > 0.01  # each its own


def test_states_of_another_number_of_rows(way):
    layer = layers.SimpleRNN(3, stateful=True)
    layer(X)
    layer.states = [np.ones((4, 3), np.float32)]
    np.testing.assert_array_equal(way(layer).states[0], np.ones((4, 3)))


def test_dropout_of_a_cell_that_is_called_alone(way):
    cell = layers.LSTMCell(3, dropout=0.5)
    states = [np.zeros((2, 3), "f")] * 2
    first = cell(X[:, 0], states, training=True)[0]
    np.testing.assert_array_equal(way(cell)(X[:, 0], states, training=True)[0], first)


@register_keras_serializable(package="copied")
class Noisy(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.source = fastseq.initializers.SeedGenerator(7)

    def call(self, x):
        return x + np.float32(sum(self.source.next()))


def test_seed_generators_of_layers_and_initializers(way):
    source = fastseq.initializers.SeedGenerator(3)
    layer = layers.Dense(4, kernel_initializer=fastseq.initializers.GlorotUniform(seed=source))
    source.next()
    np.testing.assert_array_equal(way(layer)(X), layer(X))
    noisy = called(Noisy())
    np.testing.assert_array_equal(way(noisy)(X), noisy(X))


def trained():
    """Weights frozen in three ways, an optimizer of many parts that was built before one of them was thawed."""
    model = fastseq.Sequential([layers.Input((5, 4)), layers.GRU(3), layers.Dropout(0.5), layers.Dense(3)])
    model.layers[0].trainable = False
    model.weights[-1].trainable = False
    rate = optimizers.schedules.CosineDecay(0.1, 50)
    optimizer = optimizers.AdamW(rate, use_ema=True, gradient_accumulation_steps=2, weight_decay=0.1)
    model.compile(optimizer, "mse", metrics=["mae"], loss_weights=0.5)
    optimizer.exclude_from_weight_decay(var_list=[model.weights[-2]], var_names=["bias"])
    model.fit(X, Y, epochs=3, batch_size=1, verbose=0)
    return model


def test_training_goes_on(way):
    model = trained()
    model.stop_training = True
    model.layers[0].trainable = True  # which the optimizer does not serve
    other = way(model)
    assert other.stop_training and [v.trainable for v in other.weights] == [v.trainable for v in model.weights]
    assert len(other.optimizer._trainable_variables) == 1 and other.optimizer.built
    for own, twin in zip(model.optimizer.variables, other.optimizer.variables, strict=True):
        assert twin.path == own.path
        np.testing.assert_array_equal(twin, own)
    model.layers[0].trainable = other.layers[0].trainable = False
    # Rows in the same order, though nothing says shuffle=False.
    logs = [each.fit(X, Y, epochs=3, batch_size=1, verbose=0).history for each in (model, other)]
    assert logs[0] == logs[1] and list(logs[0]) == ["loss", "mae"]
    np.testing.assert_array_equal(other(X), model(X))


def test_an_optimizer_that_is_not_built_stays_so(way):
    model = fastseq.Sequential([layers.Input((5, 4)), layers.GRU(3)])
    model.compile(optimizers.Adam(0.5), "mse")
    other = way(model)
    assert other.compiled and not other.optimizer.built and float(other.optimizer.learning_rate) == 0.5
    assert other.fit(X, Y, verbose=0).history == model.fit(X, Y, verbose=0).history


def test_an_optimizer_alone_takes_its_state_to_the_weights_it_is_given(way):
    model = trained()
    twin = copy.deepcopy(model)
    lone = way(way(model.optimizer))
    assert not lone.built and int(lone.iterations) == int(model.optimizer.iterations) == 3
    twin.optimizer = lone
    twin.optimizer.exclude_from_weight_decay(var_list=[twin.weights[-2]], var_names=["bias"])
    logs = [each.fit(X, Y, epochs=3, batch_size=1, verbose=0).history for each in (model, twin)]
    assert logs[0] == logs[1]
    np.testing.assert_array_equal(twin(X), model(X))
    assert len(lone.variables) == len(model.optimizer.variables)


def test_a_matrix_of_word_vectors_in_the_config(way):
    """It goes along as an array, and not as text, which would be larger than any config may be."""
    vectors = np.random.default_rng(2).standard_normal((30_000, 100)).astype("f")
    initializer = fastseq.initializers.Constant(vectors)
    model = fastseq.Sequential([layers.Input((5,), dtype="int32"), layers.Embedding(*vectors.shape, initializer)])
    ids = np.array([[1, 2, 3, 29_999, 0]], "int32")
    other = way(model)
    np.testing.assert_array_equal(other(ids), model(ids))
    value = other.layers[0].embeddings_initializer.value
    np.testing.assert_array_equal(value, vectors)
    assert not np.shares_memory(value, vectors)


@register_keras_serializable(package="copied")
class Stubborn(layers.Layer):
    """Does not want to be built from a config."""

    def build(self, input_shape):
        self.shift = self.add_weight((input_shape[-1],), name="shift")

    def build_from_config(self, config):
        pass

    def call(self, x):
        return x + self.shift.numpy()


def test_a_layer_that_cannot_be_built_again_is_named(way):
    with pytest.raises(ValueError, match=r"'stubborn.*its weights have the shapes \[\], those copied \[\(4,\)\]"):
        way(called(Stubborn()))


def test_a_learning_rate_that_is_set_before_the_optimizer_is_built(way):
    model = fastseq.Sequential([layers.Input((5, 4)), layers.GRU(3)])
    model.compile(optimizers.Adam(0.5), "mse")
    model.fit(X, Y, verbose=0)
    lone = way(model.optimizer)
    lone.learning_rate = 0.25
    lone.build(model.trainable_variables)
    lone.apply([np.zeros(v.shape, "f") for v in model.trainable_variables])
    assert float(lone.learning_rate) == 0.25 and int(lone.iterations) == 2


def test_a_state_for_other_weights_is_told_of(way):
    model = fastseq.Sequential([layers.Input((5, 4)), layers.GRU(3)])
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    lone = way(model.optimizer)
    other = fastseq.Sequential([layers.Input((5, 4)), layers.GRU(3), layers.Dense(3)])
    other.compile(lone, "mse")
    with pytest.warns(UserWarning, match="saved state of optimizer 'adam.*was not taken over"):
        other.fit(X, Y, verbose=0)


def test_losses_by_the_names_of_outputs_that_are_new_each_time(way):
    model = Graph(3)
    model.compile("sgd", {model.output_names[0]: "mse"})
    other = way(model)
    assert other.fit(X, Y[:, :2], verbose=0).history == model.fit(X, Y[:, :2], verbose=0).history


def test_models_in_models_are_compiled_as_they_were(way):
    inner = fastseq.Sequential([layers.Input((5, 4)), layers.GRU(3)])
    inner.compile(optimizers.Adam(0.5), "mse")
    inner.fit(X, Y, verbose=0)
    outer = fastseq.Sequential([layers.Input((5, 4)), inner, layers.Dense(3)])
    other = way(outer)
    assert not other.compiled and int(other.layers[0].optimizer.iterations) == 1
    assert other.layers[0].fit(X, Y, verbose=0).history == inner.fit(X, Y, verbose=0).history


def test_weights_alone(way):
    weight = called(layers.Dense(3, kernel_regularizer="l2", kernel_constraint="non_neg")).weights[0]
    weight.trainable = False
    other = way(weight)
    np.testing.assert_array_equal(other, weight)
    assert other.name == weight.name and not other.trainable and other.listed_trainable
    assert float(other.regularizer(np.ones(2, "f"))) == float(weight.regularizer(np.ones(2, "f")))
    assert type(other.constraint) is type(weight.constraint)
    other.assign(np.zeros(other.shape))
    assert np.asarray(weight).any()


def masked_model(rules):
    with mask_rules.scope(mask_rules.named(rules)):
        x = layers.Input((5, 4))
        inner = fastseq.Sequential([layers.Input((5, 4)), layers.Masking(), layers.Identity()])
        return fastseq.Model(x, layers.GRU(3)(inner(x)))


def test_the_rules_of_masks_of_each_call(way):
    """Keras 2's Identity hands on no mask."""
    model, newest = masked_model("2"), masked_model(mask_rules.NEWEST.since)
    newest.set_weights(model.get_weights())
    x = X * (np.arange(5) < 3)[:, None].astype("f")
    assert np.abs(newest(x) - model(x)).max() > 0.01
    for each in (model, newest):
        np.testing.assert_array_equal(way(each)(x), each(x))


def test_what_a_file_said_of_compiling_stays(way, tmp_path):
    model = fastseq.Sequential([layers.Input((5, 4)), layers.GRU(3)])
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = fastseq.load_model(tmp_path / "m.keras")
    assert way(loaded).compile_config == loaded.compile_config and loaded.compile_config["loss"] == "mse"


@pytest.mark.filterwarnings("ignore:.*dtype polic")
def test_dtype_policies(way, tmp_path):
    config = fastseq.Sequential([layers.Input((5, 4)), layers.GRU(3)]).get_config()
    for entry in config["layers"]:
        if isinstance(entry["config"]["dtype"], dict):
            entry["config"]["dtype"]["config"]["name"] = "mixed_float16"
    model = fastseq.Sequential.from_config(config)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a copy says nothing of what is known
        other = way(model)
    assert other.layers[0].dtype_policy == model.layers[0].dtype_policy == "mixed_float16"
