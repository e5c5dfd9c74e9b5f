"""Packed forms of weights: where each value stands, that every bit comes back, and that nobody reads anything else."""

import itertools

import numpy as np
import pytest

import fastseq
from fastseq.program import packed_weights, packing
from fastseq.program.packed_weights import PackedValue

UNITS = [1, 15, 16, 17, 40, 64, 65, 130]
CELLS = [("lstm", False), ("gru", True), ("gru", False), ("simple_rnn", False)]


def odd_bits(shape):
    """Values of all kinds: signed zeros, denormals, infinities, and NaNs with payloads."""
    bits = np.random.default_rng(sum(shape)).integers(0, 1 << 32, shape, np.uint32)
    special = np.array([0x80000000, 1, 0x7F800000, 0xFF800000, 0x7FC00001, 0xFFFFFFFF, 0x7F800001], np.uint32)
    bits.reshape(-1)[: len(special)] = special[: bits.size]
    return bits.view(np.float32)


def by_loops(matrix, pieces):
    """The array of these pieces, one value after the other, by what packing.Piece says of the layout."""
    flat, packed = matrix.reshape(-1).view(np.uint32), []
    for piece in pieces:
        for group in range(0, piece.panels, piece.beside):
            inside = range(group, min(group + piece.beside, piece.panels))
            for k, panel, gate, lane in itertools.product(range(piece.rows), inside, range(piece.gates), range(16)):
                unit = panel * 16 + lane
                place = piece.first + k * piece.row_length + gate * piece.units + unit
                packed.append(flat[place] if unit < piece.units else 0)
    return np.array(packed, np.uint32)


def forms():
    for units in UNITS:
        for cell, reset_after in CELLS:
            both = packing.recurrent_forms(cell, 3, units, reset_after)
            for rows, form in zip((3, units), both):
                yield (rows, packing.GATES[cell] * units), form
        yield (5, units), packing.dense_form(5, units)
        yield (2, 3, units), packing.dense_form(3, units, count=2)


@pytest.mark.parametrize("shape, form", list(forms()), ids=str)
def test_every_value_has_its_place_and_comes_back(shape, form):
    matrix = odd_bits(shape)
    expected = [by_loops(matrix, pieces) for pieces in form]
    for pack in (packing.pack, packed_weights._pack_natively):
        found = pack(matrix, form)
        for array, bits, pieces in zip(found, expected, form, strict=True):
            assert array.size == packing.size_of(pieces) and array.ctypes.data % packing.ALIGNMENT == 0
            np.testing.assert_array_equal(array.view(np.uint32), bits)
        back = PackedValue(found, form, shape).unpacked()
        assert back.shape == shape
        np.testing.assert_array_equal(back.view(np.uint32), matrix.view(np.uint32))


@pytest.mark.parametrize("threads", [1, 2])
def test_large_weights_are_packed_natively_and_on_all_threads(monkeypatch, threads):
    matrix = odd_bits((300, 4 * 333))
    form, _ = packing.recurrent_forms("lstm", 300, 333, False)
    assert matrix.nbytes >= packed_weights._NATIVE
    monkeypatch.setattr(packing, "pack", None)
    with fastseq.num_threads(threads):
        packed = PackedValue.pack(matrix, form)
    monkeypatch.undo()
    for a, b in zip(packed, packing.pack(matrix, form), strict=True):
        np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))


def test_a_transposed_weight_is_packed_as_its_copy():
    matrix = np.random.default_rng(0).normal(size=(40, 5)).astype("f").T
    form = packing.dense_form(5, 40)
    packed = PackedValue(PackedValue.pack(matrix, form), form, matrix.shape)
    np.testing.assert_array_equal(packed.unpacked(), matrix)


def test_empty_weights():
    form = packing.dense_form(0, 40)
    (array,) = PackedValue.pack(np.zeros((0, 40), np.float32), form)
    assert array.size == 0 and packing.unpack([array], form, (0, 40)).shape == (0, 40)


def test_a_packed_value_is_what_its_form_says():
    form = packing.dense_form(3, 16)
    PackedValue([np.zeros(48, np.float32)], form, (3, 16))
    for array, words in [
        (np.zeros(47, np.float32), "48 values"),
        (np.zeros(48, np.float64), "float64"),
        (np.zeros(96, np.float32)[::2], "C-contiguous"),
        (np.frombuffer(bytes(48 * 4 + 1), np.uint8)[1:].view(np.float32), "C-contiguous"),
    ]:
        with pytest.raises(ValueError, match=words):
            PackedValue([array], form, (3, 16))
    with pytest.raises(ValueError):
        PackedValue([], form, (3, 16))


@pytest.mark.parametrize("place", [0, 70_000, -1])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_finite(place, value):
    values = np.linspace(-3e38, 3e38, 140_000, dtype=np.float32)
    assert packed_weights.are_finite([values, None, np.zeros((0, 3), np.float32)])
    values[place] = value
    assert not packed_weights.are_finite([np.ones(3, np.float32), values])
    assert not packed_weights.are_finite([values.reshape(-1, 10)])
