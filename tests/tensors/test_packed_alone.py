"""Large weights are kept in the layout of kernels alone: nobody who reads, changes, saves or copies them can tell."""

import copy
import gc
import io
import pickle
import zipfile

import numpy as np
import pytest

import fastseq
from fastseq import layers
from fastseq.program import packing
from fastseq.program.packed_weights import PackedValue
from fastseq.tensors import variable, weight_budget

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def all_are_large(monkeypatch):
    monkeypatch.setattr(variable, "PACKED_ALONE", 0)


def content(weight):
    return type(weight._content).__name__


def bits(arrays):
    return [(array.shape, array.tobytes()) for array in arrays]


def cells_model():
    return fastseq.Sequential([layers.Input((5, 6)), layers.RNN([layers.LSTMCell(17), layers.GRUCell(8)])])


def shared_model():
    dense, x = layers.Dense(6, activation="tanh"), layers.Input((5, 6))
    return fastseq.Model(x, layers.LSTM(4)(dense(dense(x))))


MODELS = {
    "LSTM": lambda: fastseq.Sequential([layers.Input((5, 6)), layers.LSTM(17, return_sequences=True), layers.LSTM(64)]),
    "GRU": lambda: fastseq.Sequential([layers.Input((5, 6)), layers.GRU(33)]),
    "GRU that resets before": lambda: fastseq.Sequential([layers.Input((5, 6)), layers.GRU(33, reset_after=False)]),
    "SimpleRNN": lambda: fastseq.Sequential([layers.Input((5, 6)), layers.SimpleRNN(40, use_bias=False)]),
    "Bidirectional": lambda: fastseq.Sequential([layers.Input((5, 6)), layers.Bidirectional(layers.LSTM(16))]),
    "Dense": lambda: fastseq.Sequential([layers.Input((5, 6)), layers.TimeDistributed(layers.Dense(70))]),
    "EinsumDense": lambda: fastseq.Sequential([
        layers.Input((5, 6)), layers.EinsumDense("abc,cde->abde", (5, 3, 7), bias_axes="de"),
    ]),
    "EinsumDense of two products": lambda: fastseq.Sequential([
        layers.Input((5, 6)), layers.EinsumDense("abc,bcd->abd", (5, 20), bias_axes="d"),
    ]),
    "cells": cells_model,
    "shared": shared_model,
}  # fmt: skip
KINDS = pytest.mark.parametrize("kind", MODELS)


def made(kind):
    """(a model with weights of all bits that are numbers, inputs)."""
    model = MODELS[kind]()
    weights = [RNG.normal(0, 0.3, weight.shape).astype("f") for weight in model.weights]
    weights[0].reshape(-1)[:2] = -0.0, 1e-40
    model.set_weights(weights)
    return model, RNG.normal(size=(3, 5, 6)).astype("f")


def kernels(model):
    return [weight for weight in model.weights if weight.name in ("kernel", "recurrent_kernel")]


@KINDS
def test_weights_and_results_have_the_same_bits(kind, monkeypatch):
    model, x = made(kind)
    before = bits(model.get_weights())
    found = model(x)
    assert {content(weight) for weight in kernels(model)} == {"PackedValue"}
    assert {content(weight) for weight in model.weights if weight.name == "bias"} <= {"ndarray"}
    assert bits(model.get_weights()) == before
    assert bits(weight.numpy() for weight in model.weights) == before
    assert bits(np.asarray(weight) for weight in model.weights) == before
    assert bits(model.predict(x)) == bits(model(x[:, :])) == bits(found)
    assert model.count_params() == sum(weight.size for weight in model.get_weights())
    monkeypatch.setattr(variable, "PACKED_ALONE", 1 << 40)
    twin = MODELS[kind]()
    twin.set_weights(model.get_weights())
    assert bits(twin(x)) == bits(found)
    assert {content(weight) for weight in twin.weights} == {"ndarray"}


def test_a_weight_is_packed_once_for_all_programs(monkeypatch):
    model, x = made("LSTM")
    packed = []
    whole = PackedValue.pack
    monkeypatch.setattr(PackedValue, "pack", staticmethod(lambda *given: packed.append(given) or whole(*given)))
    model(x)
    assert len(packed) == 4
    held = [weight._content for weight in kernels(model)]
    model(x[:1]), model(x[:, :2]), model.predict(x), model.stream().steps(x[:1])
    # A bias that changes makes programs anew, but of kernels that are packed already.
    model.layers[0].bias.assign(np.zeros(68, "f"))
    model(x)
    assert len(packed) == 4 and all(a is weight._content for a, weight in zip(held, kernels(model)))


@KINDS
def test_files_and_copies_are_the_same(kind):
    model, x = made(kind)

    def arrays():
        memory = io.BytesIO()
        model.save(memory)
        with zipfile.ZipFile(memory) as archive:
            return memory, archive.read("model.weights.h5")

    before = bits(model.get_weights())
    _, file_before = arrays()
    found = model(x)
    memory, file_after = arrays()
    assert file_after == file_before and {content(weight) for weight in kernels(model)} == {"PackedValue"}
    twin = fastseq.models.clone_model(model)
    twin.set_weights(model.get_weights())
    copies = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model), fastseq.load_model(memory.getvalue()), twin]
    for other in copies:
        assert bits(other.get_weights()) == before
        assert bits(other(x)) == bits(found)
    for weight in kernels(model):
        for other in (pickle.loads(pickle.dumps(weight)), copy.deepcopy(weight)):
            assert bits([other.numpy()]) == bits([weight.numpy()])


@KINDS
@pytest.mark.parametrize("order", ["predict first", "fit first", "both"])
def test_training_between_predictions(kind, order, monkeypatch):
    model, x = made(kind)
    y = RNG.normal(size=model(x).shape).astype("f")

    def run(model):
        found = []
        model.compile("adam", "mse")
        for step in range(3):
            if order == "predict first" or (order == "both" and step):
                found.append(model.predict(x))
            model.fit(x, y, verbose=0, shuffle=False)
            if order != "predict first":
                found.append(model.predict(x))
            found.append(model.evaluate(x, y, verbose=0))
        return bits(np.asarray(part) for part in (*found, *model.get_weights()))

    weights = model.get_weights()
    found = run(model)
    assert {content(weight) for weight in kernels(model)} == {"ndarray"}  # training holds them
    monkeypatch.setattr(variable, "PACKED_ALONE", 1 << 40)
    twin = MODELS[kind]()
    twin.set_weights(weights)
    assert run(twin) == found


def test_predictions_leave_a_training_program_as_it_is(monkeypatch):
    from fastseq.training import program

    model, x = made("LSTM")
    y = np.zeros((3, 64), "f")
    model.compile("sgd", "mse")
    made_programs = []
    whole = program.TrainingProgram.__init__
    monkeypatch.setattr(
        program.TrainingProgram, "__init__", lambda self, *a, **k: made_programs.append(self) or whole(self, *a, **k)
    )
    for _ in range(4):
        model.train_on_batch(x, y)
        model(x)
    assert len(made_programs) == 1


def test_other_steps_read_a_packed_weight():
    """With softmax among its gates' activations, or a Python one, a layer's weights are read as Keras has them."""
    model, x = made("LSTM")
    model(x)
    first = model.layers[0]
    expected = bits(model.get_weights())
    for activation in ("softmax", lambda v: np.tanh(v)):
        first.activation = activation
        found = model(x)
        twin = fastseq.Sequential([
            layers.Input((5, 6)), layers.LSTM(17, activation=activation, return_sequences=True), layers.LSTM(64),
        ])  # fmt: skip
        twin.set_weights(model.get_weights())
        assert bits(twin(x)) == bits(found)
    assert bits(model.get_weights()) == expected


def test_a_weight_in_two_forms():
    """Of a Variable that two layers read in two layouts, one is kept, and both give what they gave."""
    kernel = RNG.normal(size=(16, 64)).astype("f")
    weight = variable.Variable(kernel, "kernel")
    gates, _ = packing.recurrent_forms("lstm", 16, 16, False)
    dense = packing.dense_form(16, 64)
    for _ in range(2):
        for form in (gates, dense):
            assert bits(weight.packed(form, PackedValue)) == bits(packing.pack(kernel, form))
            assert weight._content.form == gates
    assert bits([weight.numpy()]) == bits([kernel])


def test_ids_whose_input_sums_are_looked_up():
    def model():
        return fastseq.Sequential([layers.Input((5,), dtype="int32"), layers.Embedding(9, 6), layers.GRU(17)])

    one, x = model(), RNG.integers(0, 9, (3, 5), np.int32)
    before = bits(one.get_weights())
    found = one(x)
    assert bits(one.get_weights()) == before
    two = model()
    two.set_weights(one.get_weights())
    for weight in two.weights:
        weight._held()
    assert bits(two(x)) == bits(found)


def test_constraints_and_penalties():
    def model():
        return fastseq.Sequential([
            layers.Input((6,)), layers.Dense(20, kernel_constraint="non_neg", kernel_regularizer="l2"),
        ])  # fmt: skip

    one, x = model(), RNG.normal(size=(3, 6)).astype("f")
    two = model()
    two.set_weights(one.get_weights())
    one(x)
    assert content(one.layers[0].kernel) == "PackedValue"
    assert bits(np.asarray(loss) for loss in one.losses) == bits(np.asarray(loss) for loss in two.losses)
    for each in (one, two):
        each.compile("sgd", "mse")
        each.fit(x, np.ones((3, 20), "f"), verbose=0, shuffle=False)
    assert (one.layers[0].kernel.numpy() >= 0).all() and bits(one.get_weights()) == bits(two.get_weights())


def test_what_is_set_replaces_what_is_packed():
    model, x = made("Dense")
    kernel = model.layers[0].layer.kernel
    before = model(x)
    given = RNG.normal(size=kernel.shape)
    kernel.assign(given)
    given[...] = 0  # which the weight does not see
    assert bits(model(x)) != bits(before) and kernel.numpy().any()
    program_of_before = kernel._content
    with pytest.raises(ValueError, match="has shape"):
        model.set_weights([np.zeros((2, 2), "f"), np.zeros(70, "f")])
    assert kernel._content is program_of_before


class Stop(Exception):
    """What ends an assignment of several weights."""


def test_weights_that_cannot_all_be_set_stay_packed(monkeypatch):
    model, x = made("LSTM")
    found, before = model(x), bits(model.get_weights())
    whole, count = variable.Variable.assign, []

    def assign(self, *given, **options):
        count.append(self)
        if len(count) == 4:
            raise Stop
        return whole(self, *given, **options)

    monkeypatch.setattr(variable.Variable, "assign", assign)
    with pytest.raises(Stop):
        weight_budget.assign_all([(weight, weight.numpy() + 1) for weight in model.weights])
    assert {content(weight) for weight in kernels(model)} == {"PackedValue"}
    assert bits(model.get_weights()) == before and bits(model(x)) == bits(found)


@pytest.mark.parametrize("where", ["mapped", "shared", "read-only"])
def test_packed_arrays_that_somebody_else_owns(tmp_path, where):
    """Programs run from them, unpacking reads them, and training leaves them as they are."""
    model, x = made("LSTM")
    found, weights, blocks = model(x), model.get_weights(), []

    def elsewhere(array, name):
        if where == "mapped":
            array.tofile(tmp_path / name)
            return np.memmap(tmp_path / name, np.float32, "r")
        if where == "shared":
            shared_memory = pytest.importorskip("multiprocessing.shared_memory")
            blocks.append(shared_memory.SharedMemory(create=True, size=array.nbytes))
            view = np.ndarray(array.shape, np.float32, blocks[-1].buf)
        else:
            view = array.copy()
        view[...] = array
        view.flags.writeable = False
        return view

    twin = MODELS["LSTM"]()
    twin.set_weights([np.zeros_like(weight) if weight.ndim > 1 else weight for weight in weights])
    twin(x)
    for number, (weight, own) in enumerate(zip(twin.weights, model.weights)):
        packed = own._content
        if content(own) == "PackedValue":
            arrays = [elsewhere(array, f"{number}_{i}") for i, array in enumerate(packed.arrays)]
            weight._take_packed(PackedValue(arrays, packed.form, packed.shape))
            before = [array.tobytes() for array in arrays]
    with pytest.raises(ValueError, match="has shape"):
        twin.weights[0]._take_packed(twin.weights[1]._content)
    assert bits(twin(x)) == bits(found) and bits(twin.get_weights()) == bits(weights)
    assert all(weight._content.arrays[0].flags.writeable is False for weight in kernels(twin))
    assert all(
        any(a is b for step in entry.program.steps for b in step["fields"].values() if b is not None)
        for entry in twin._programs.all_entries()
        for a in kernels(twin)[0]._content.arrays
    )
    for each in (model, twin):
        each.compile("sgd", "mse")
        each.fit(x, np.ones((3, 64), "f"), verbose=0, shuffle=False)
    assert bits(twin.get_weights()) == bits(model.get_weights()) != bits(weights)
    assert [array.tobytes() for array in arrays] == before
    del twin, each, arrays, weight, packed
    gc.collect()
    for block in blocks:
        block.close()
        block.unlink()


def test_training_begins_while_another_thread_packs():
    """Held weights are given up for no packed form, also one that was begun before."""
    weight = variable.Variable(RNG.normal(size=(16, 64)).astype("f"), "kernel")
    form = packing.dense_form(16, 64)

    class HeldMeanwhile(PackedValue):
        @staticmethod
        def pack(array, form):
            own = weight._held()
            assert own is array
            packed = PackedValue.pack(array, form)
            own[...] = 7  # as an optimizer's step does
            return packed

    weight.packed(form, HeldMeanwhile)
    assert weight._content is weight._held() and (weight.numpy() == 7).all()

    class SetMeanwhile(PackedValue):
        @staticmethod
        def pack(array, form):
            weight.assign(np.full((16, 64), 3.0))
            return PackedValue.pack(array, form)

    weight = variable.Variable(RNG.normal(size=(16, 64)).astype("f"), "kernel")
    weight.packed(form, SetMeanwhile)
    assert (weight.numpy() == 3).all()
