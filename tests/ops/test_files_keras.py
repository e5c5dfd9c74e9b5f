"""Operations in files beside Keras 3.15: the same classes, options and arguments, and files that both read."""

import importlib
import inspect
import json

import numpy as np
import pytest

import fastseq
from fastseq import ops
from fastseq.ops import files, saved_options

pytestmark = pytest.mark.tensorflow
RNG = np.random.default_rng(0)
X, IDS = RNG.uniform(-2, 2, (3, 4, 6)).astype("f"), RNG.integers(0, 5, (3, 4)).astype("i4")


@pytest.fixture(scope="module")
def keras():
    pytest.importorskip("tensorflow")
    return pytest.importorskip("keras")


def parameters(function, without=()):
    found = list(inspect.signature(function).parameters.values())[1:]
    return [(p.name, p.default) for p in found if p.name not in without and p.kind is not inspect.Parameter.VAR_KEYWORD]


def test_classes_options_and_arguments_are_keras_own(keras):
    """A file is read by Keras's class, and written for it: options by name, tensors in the order of its call."""
    definitions = {function.definition for function in (getattr(ops, name) for name in ops.__all__)
                   if hasattr(function, "definition")}  # fmt: skip
    definitions.add(files.definition_of("ReLU"))
    assert len(definitions) > 40
    for definition in definitions:
        cls = getattr(importlib.import_module(definition.module), definition.class_name)
        assert files.definition_of(definition.class_name, definition.module) is definition
        options = {name: definition.signature.parameters[name].default for name in definition.options}
        theirs = {} if cls.__init__ is keras.Operation.__init__ else dict(parameters(cls.__init__, ("name",)))
        assert options == theirs, definition.name
        call = [(p.name, p.default) for p in definition.call_signature.parameters.values()
                if p.kind is not inspect.Parameter.VAR_KEYWORD]  # fmt: skip
        assert call == parameters(cls.call), definition.name
        given = {key: value for key, value in options.items() if value is not inspect.Parameter.empty}
        assert saved_options.checked(definition.class_name, "x", json.loads(json.dumps(given))) == given


def expressions(keras, x, i):
    """[(functions of fastseq.ops that a graph needs, what gives its outputs)]; one text for Keras and for fastseq."""
    o, a = (ops, fastseq.activations) if keras is fastseq else (keras.ops, keras.activations)
    return [
        ("get_item", lambda: [x[:, -1], x[:, ::-1], x[..., None, :2], x[:, 1:3, 0], x[:, -1, 0:5:2]]),
        ("multiply subtract", lambda: [x * 2.0, 1 - x, 2 * x, x - x]),
        ("add", lambda: [x + np.arange(6, dtype="f"), o.add(x1=x, x2=0.5), x + np.float32(2)]),
        ("divide", lambda: [x / 3, 2.0 / (x + 5)]),
        ("power absolute negative", lambda: [x**2, abs(x), -x]),
        ("greater where", lambda: [o.where(x > 0, x, 0.0)]),
        ("mean sum", lambda: [o.mean(x, axis=(1, 2), keepdims=True), o.sum(x, axis=1), o.mean(x, axis=-1)]),
        ("var std", lambda: [o.var(x, axis=1), o.std(x, axis=-1, keepdims=True)]),
        ("max min", lambda: [o.max(x, axis=1), o.min(x, axis=-1, keepdims=True)]),
        ("ctc_loss ctc_decode", lambda: [o.ctc_loss(i, x, i[:, 0], i[:, 1], mask_index=5),
                                         *o.ctc_decode(x, i[:, 2], strategy="beam_search", beam_width=4)]),
        ("segment_sum segment_max", lambda: [o.segment_sum(x, i[:, 0], 5), o.segment_max(x, i[:, 1], 5)]),
        ("nancumsum cdist", lambda: [o.nancumsum(x, axis=1), o.cdist(x, x)]),
        ("reshape transpose", lambda: [o.reshape(x, (-1, 24)), o.transpose(x, (0, 2, 1))]),
        ("stack concatenate", lambda: [o.stack([x, x], axis=1), o.concatenate([x, x * 2.0], axis=-1)]),
        ("expand_dims squeeze", lambda: [o.squeeze(o.expand_dims(x, 1), axis=1), o.expand_dims(x, (1, -1))]),
        ("clip maximum minimum", lambda: [o.clip(x, 0.0, 1.0), o.maximum(x, 0), o.minimum(0.5, x)]),
        ("cast", lambda: [o.cast(i, "float32")]),
        ("matmul swapaxes", lambda: [x @ o.swapaxes(x, 1, 2)]),
        ("einsum", lambda: [o.einsum("bte,bse->bts", x, x), o.einsum("bte->be", x)]),
        ("tensordot", lambda: [o.tensordot(x, np.ones((6, 2), "f"), axes=1)]),
        ("tensordot", lambda: [o.tensordot(x, np.ones((2, 6), "f"), axes=[[2], [1]])]),
        ("pad", lambda: [o.pad(x, ((0, 0), (1, 2), (0, 0))), o.pad(x, ((0, 0), (1, 0), (0, 0)), constant_values=1.5)]),
        ("take take_along_axis", lambda: [o.take(x, [0, 2], axis=1)]),
        ("one_hot", lambda: [o.one_hot(i, 5)]),
        ("split unstack", lambda: [o.split(x, 2, axis=-1)[1], o.split(x, [1, 3], axis=1)[2], o.unstack(x, axis=1)[0]]),
        ("tile repeat", lambda: [o.tile(x, (1, 2, 1)), o.repeat(x, 2, axis=1)]),
        ("roll flip", lambda: [o.roll(x, 1, axis=1), o.flip(x, axis=1)]),
        ("sort top_k argmax", lambda: [o.sort(x, axis=-1), o.top_k(x, 2)[0], o.argmax(x, axis=-1)]),
        ("cumsum", lambda: [o.cumsum(x, axis=1)]),
        ("softmax log_softmax", lambda: [o.softmax(x, axis=1), o.log_softmax(x)]),
        ("sigmoid silu", lambda: [a.sigmoid(x), a.silu(x)]),
        ("gelu elu leaky_relu", lambda: [a.gelu(x, approximate=True), a.elu(x, 0.5), a.leaky_relu(x)]),
        ("hard_sigmoid softplus glu", lambda: [a.hard_sigmoid(x), a.softplus(x), a.glu(x)]),
        ("tanh exp", lambda: [a.tanh(x), a.exponential(x), o.tanh(x)]),
        ("relu", lambda: [a.relu(x), a.relu(x, negative_slope=0.1, max_value=1.0), o.relu(x)]),
        ("normalize logsumexp", lambda: [o.normalize(x), o.logsumexp(x, axis=1)]),
        ("layer_normalization", lambda: [o.layer_normalization(x)]),
        ("logical_and less", lambda: [o.logical_and(x > 0, x < 1)]),
    ]  # fmt: skip


def model_of(keras):
    """A model of all expressions whose functions are there."""
    x, i = keras.Input((4, 6), name="x"), keras.Input((4,), dtype="int32", name="i")
    outputs = [
        output
        for needs, outputs in expressions(keras, x, i)
        if set(needs.split()) <= set(ops.__all__)
        for output in outputs()
    ]
    return keras.Model([x, i], outputs)


def words(entry):
    """What an entry says, without what fastseq writes in one form and Keras in several: keywords, defaults."""
    return entry["module"], entry["class_name"], entry["registered_name"], entry["config"]


def test_files_both_ways(keras, tmp_path):
    theirs = model_of(keras)
    theirs.save(tmp_path / "theirs.keras")
    theirs.save(tmp_path / "theirs.h5")
    wanted = theirs.predict([X, IDS], verbose=0)
    for ours in (fastseq.load_model(tmp_path / "theirs.keras"), fastseq.load_model(tmp_path / "theirs.h5"),
                 fastseq.from_keras(theirs)):  # fmt: skip
        assert [one.name for one in ours.operations] == [one.name for one in theirs.operations]
        assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
        for one, other in zip(ours.predict([X, IDS], verbose=0), wanted, strict=True):
            assert one.shape == other.shape
            np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)
    mine = json.loads(ours.to_json())["config"]["layers"]
    original = json.loads(theirs.to_json())["config"]["layers"]
    assert [words(entry) for entry in mine[2:]] == [words(entry) for entry in original[2:]]
    ours.save(tmp_path / "ours.keras")
    again = keras.saving.load_model(tmp_path / "ours.keras").predict([X, IDS], verbose=0)
    for one, other in zip(again, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_graphs_made_here(keras, tmp_path):
    """The same text makes the same graph in fastseq, under the same names, and Keras reads it."""
    theirs, ours = model_of(keras), model_of(fastseq)
    assert [type(one).__name__ for one in ours.operations] == [type(one).__name__ for one in theirs.operations]
    assert [tuple(t.shape) for t in ours.outputs] == [tuple(t.shape) for t in theirs.outputs]
    ours.save(tmp_path / "ours.keras")
    again = keras.saving.load_model(tmp_path / "ours.keras").predict([X, IDS], verbose=0)
    for one, other in zip(ours.predict([X, IDS], verbose=0), again, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)
