"""Recurrent layers that look up what their input product gives for an id: the same bits as the product."""

import numpy as np
import pytest
from layer_check import isa as forced_isa

import fastseq
from fastseq import layers
from fastseq.layers.recurrent import input_sums
from fastseq.native import runtime

LAYERS = {
    "LSTM": layers.LSTM,
    "GRU": layers.GRU,
    "GRU_reset_before": lambda units, **options: layers.GRU(units, reset_after=False, **options),
    "SimpleRNN": layers.SimpleRNN,
    "RNN": lambda units, **options: layers.RNN([layers.LSTMCell(units), layers.GRUCell(7)], **options),
    "Bidirectional": lambda units, **options: layers.Bidirectional(layers.GRU(units, **options)),
}


def make(kind, units, mask_zero, **options):
    ids = layers.Input((None,), dtype="int32")
    model = fastseq.Model(ids, LAYERS[kind](units, **options)(layers.Embedding(30, 13, mask_zero=mask_zero)(ids)))
    rng = np.random.default_rng(3)
    model.set_weights([rng.normal(0, 0.4, w.shape).astype(np.float32) for w in model.get_weights()])
    return model


def operations(model, ids):
    return [step["op"] for step in model._programs.program(model, {"inputs": ids}).steps]


def bits(array):
    return np.asarray(array).view(np.uint32)


@pytest.mark.parametrize("isa", runtime.available_isas())
@pytest.mark.parametrize("mask_zero", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_same_bits_as_the_product(kind, mask_zero, isa, monkeypatch):
    with forced_isa(isa):
        check_bits(kind, mask_zero, monkeypatch)


def check_bits(kind, mask_zero, monkeypatch):
    for units, batch, time, back in [(5, 1, 1, False), (40, 3, 9, True), (70, 20, 4, False), (33, 1, 6, True)]:
        ids = np.random.default_rng(units).integers(0, 30, (batch, time)).astype(np.int32)
        model = make(kind, units, mask_zero, return_sequences=True, go_backwards=back and kind != "Bidirectional")
        with_sums = model(ids)
        assert "embedding" not in operations(model, ids)
        monkeypatch.setattr(input_sums, "_MOST_BYTES", 0)
        model = make(kind, units, mask_zero, return_sequences=True, go_backwards=back and kind != "Bidirectional")
        assert "embedding" in operations(model, ids)
        np.testing.assert_array_equal(bits(with_sums), bits(model(ids)))
        monkeypatch.undo()


def test_sums_follow_the_weights_of_both_layers():
    model = make("GRU", 20, False)
    ids = np.arange(12, dtype=np.int32).reshape(2, 6)
    for changed in range(len(model.weights)):
        before = model(ids)
        weight = model.weights[changed]
        weight.assign(weight.numpy() * 1.5 + 0.1)
        after = model(ids)
        assert not np.array_equal(before, after)
        fresh = make("GRU", 20, False)
        fresh.set_weights(model.get_weights())
        np.testing.assert_array_equal(bits(after), bits(fresh(ids)))


def test_two_tables_share_a_layer():
    first, second = layers.Input((4,), dtype="int32"), layers.Input((4,), dtype="int32")
    recurrent = layers.LSTM(9)
    embedded = [layers.Embedding(n, 6)(ids) for n, ids in ((10, first), (20, second))]
    model = fastseq.Model([first, second], [recurrent(x) for x in embedded])
    a, b = np.array([[1, 2, 3, 9]], np.int32), np.array([[19, 2, 3, 9]], np.int32)
    for _ in range(2):
        for got, x, ids in zip(model([a, b]), embedded, (a, b)):
            rows = x._keras_history[0](ids)
            np.testing.assert_array_equal(bits(got), bits(recurrent(np.array(rows))))


def test_rows_that_others_read_are_written():
    ids = layers.Input((None,), dtype="int32")
    embedded = layers.Embedding(30, 8)(ids)
    model = fastseq.Model(ids, layers.Concatenate()([embedded, layers.LSTM(8, return_sequences=True)(embedded)]))
    x = np.array([[3, 1, 4]], np.int32)
    assert operations(model, x).count("embedding") == 1
    np.testing.assert_array_equal(model(x)[..., :8], model.layers[1](x))


def test_an_id_outside_the_table_is_refused():
    with pytest.raises(ValueError, match=r"embedding.*takes ids in the range \[0, 30\), got 30 at position \(0, 1\)"):
        make("LSTM", 4, False)(np.array([[1, 30]], np.int32))
