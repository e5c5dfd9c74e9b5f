"""The shipped model: its size, its accuracy on texts it has not seen, and the generator those texts come from."""

import datetime
import json

import numpy as np
import pytest

import fastseq
from fastseq.demo import ABOUT_PATH, MODEL_PATH, dates, run, train
from fastseq.demo.reader import DateReader, StepReader


@pytest.fixture(scope="module")
def reader():
    return DateReader(fastseq.load_model(MODEL_PATH))


def _key(text):
    return " ".join(text.lower().split())


def test_the_model_ships_and_is_small():
    assert MODEL_PATH.stat().st_size < 500_000
    about = json.loads(ABOUT_PATH.read_text("ascii"))
    assert about["alphabet"] == dates.ALPHABET
    assert about["iso_alphabet"] == dates.ISO_ALPHABET
    assert about["exact_match_on_5000_unseen"] >= 0.99
    assert about["made_by"] == f"fastseq train-demo --epochs {train.EPOCHS} --seed {train.SEED}"
    assert about["steps"] == train.EPOCHS * train.BATCHES
    assert [len(values) for values in about["history"].values()] == [train.EPOCHS] * 4


def test_the_model_is_the_one_that_training_builds():
    built, shipped = train.build(), fastseq.load_model(MODEL_PATH)
    assert shipped.count_params() == json.loads(ABOUT_PATH.read_text("ascii"))["parameters"]
    # The operation that makes the mask, NotEqual, has a number in its name that counts the process's models.
    named = [
        {layer.name: layer.get_config() for layer in m.layers if "equal" not in layer.name} for m in (built, shipped)
    ]
    assert named[0] == named[1] and run.LAYERS < set(named[0])
    assert [w.shape for w in built.get_weights()] == [w.shape for w in shipped.get_weights()]


def test_accuracy_on_unseen_texts(reader):
    texts, answers = dates.samples(2000, seed=11, unseen=True)
    right = np.mean([a == b for a, b in zip(reader.read(texts), answers, strict=True)])
    # Training ended at 5000 of 5000: two wrong in 2000 would already be another model, or another arithmetic.
    assert right >= 0.999


@pytest.mark.parametrize("spelling", dates.SPELLINGS)
def test_every_spelling_is_read(reader, spelling):
    day = datetime.date(1984, 2, 29)
    text = dates.spell(day, spelling)
    assert reader.read([text, text.upper(), text.lower()]) == ["1984-02-29"] * 3


def test_a_text_reads_the_same_alone_and_padded_in_a_batch(reader):
    texts, _ = dates.samples(40, seed=3, unseen=True)
    together = reader.encoder.predict_on_batch(dates.encode(texts, dates.MAX_LENGTH))
    for row, text in enumerate(texts):
        alone = reader.encoder.predict_on_batch(dates.encode([text]))
        np.testing.assert_array_equal(alone[0], together[row])


def test_step_by_step_gives_the_whole_sequence_model_s_probabilities(reader):
    texts, _ = dates.samples(16, seed=5, unseen=True)
    ids = dates.encode(texts)
    written = reader.read_ids(ids)
    whole = fastseq.load_model(MODEL_PATH).predict([ids, dates.decoder_inputs(written)], verbose=0)
    np.testing.assert_array_equal(whole.argmax(-1), written)
    np.testing.assert_allclose(whole.sum(-1), 1, atol=1e-6)


def test_the_decoder_writes_what_the_loop_writes(reader):
    ids = dates.encode(dates.samples(300, seed=8, unseen=True)[0])
    for call in ("predict", "predict_on_batch"):
        loop = StepReader(fastseq, fastseq.load_model(MODEL_PATH), call)
        np.testing.assert_array_equal(loop.read_ids(ids), reader.read_ids(ids))


def test_no_texts_give_no_dates(reader):
    assert reader.read([]) == []


def test_samples_are_seeded():
    assert dates.samples(300, seed=4) == dates.samples(300, seed=4)
    assert dates.samples(300, seed=4) != dates.samples(300, seed=5)


def test_seen_and_unseen_texts_are_disjoint():
    seen, _ = dates.samples(20_000, seed=1)
    unseen, _ = dates.samples(5_000, seed=1, unseen=True)
    assert len(seen) == 20_000 and len(unseen) == 5_000
    assert not set(map(_key, seen)) & set(map(_key, unseen))
    assert all(map(dates.is_unseen, unseen)) and not any(map(dates.is_unseen, seen))


def test_the_split_does_not_depend_on_case_or_spaces():
    assert dates.is_unseen("3 march 2021") == dates.is_unseen("  3  MARCH   2021 ")


def test_texts_stay_inside_the_alphabet_and_the_length():
    texts, answers = dates.samples(20_000, seed=2)
    assert set("".join(texts)) <= set(dates.ALPHABET)
    assert len(set(dates.ALPHABET)) == len(dates.ALPHABET)
    assert max(map(len, texts)) <= dates.MAX_LENGTH
    assert set("".join(answers)) == set(dates.ISO_ALPHABET)
    assert len(set(texts)) > 19_000


def test_a_text_has_one_answer_only():
    # All dates of three years, so that day-first and month-first spellings of different dates meet.
    found = {}
    for ordinal in range(datetime.date(1999, 1, 1).toordinal(), datetime.date(2001, 12, 31).toordinal() + 1):
        day = datetime.date.fromordinal(ordinal)
        numeric = dates.NUMERIC_SPELLINGS if day.day > 12 or day.day == day.month else ()
        for spelling in dates.SPELLINGS + numeric:
            assert found.setdefault(_key(dates.spell(day, spelling)), day) == day


def test_two_figure_years_name_one_year_each():
    assert (dates.FIRST_DATE.year, dates.LAST_DATE.year) == (1950, 2049)


@pytest.mark.parametrize(
    "day, spelling, text",
    [
        ((2021, 3, 3), "{mon} {nth}, '{yy}", "Mar 3rd, '21"),
        ((2021, 3, 3), "the {word} of {month} {y}", "the third of March 2021"),
        ((2021, 3, 3), "{wday}, {d} {month} {y}", "Wednesday, 3 March 2021"),
        ((2005, 11, 11), "{nth} {month} {y}", "11th November 2005"),
        ((2005, 11, 22), "{nth} {month} {y}", "22nd November 2005"),
        ((2005, 12, 31), "the {word} of {month} {y}", "the thirty-first of December 2005"),
        ((2005, 9, 8), "{d}.{roman}.{y}", "8.IX.2005"),
        ((2005, 9, 8), "{y}{mm}{dd}", "20050908"),
    ],
)
def test_spell(day, spelling, text):
    assert dates.spell(datetime.date(*day), spelling) == text


def test_ids_go_there_and_back():
    ids = dates.encode([" A", "z.9"])
    assert ids.dtype == np.int32 and ids.shape == (2, 3)
    assert ids[0].tolist() == [1, dates.ALPHABET.index("A") + 1, 0]
    assert dates.decode(dates.encode_answers(["2021-03-03"])) == ["2021-03-03"]
    assert dates.decoder_inputs(np.array([[3, 4, 5]])).tolist() == [[0, 3, 4]]


@pytest.mark.parametrize("text", ["", "   ", "3 März 2021", "x" * (dates.MAX_LENGTH + 1), "1/2\n"])
def test_texts_that_cannot_be_read_raise(text):
    with pytest.raises(ValueError):
        dates.encode([text])


def test_times_are_printed_in_a_unit_that_fits():
    assert [run.format_time(t) for t in (1.234, 0.0123, 1.23e-4, 2e-7)] == ["1.23 s", "12.3 ms", "123 us", "0.2 us"]


@pytest.mark.tensorflow
def test_keras_reads_the_same_dates():
    keras = pytest.importorskip("keras")
    texts, _ = dates.samples(200, seed=13, unseen=True)
    theirs = StepReader(keras, keras.models.load_model(MODEL_PATH, compile=False))
    ours = DateReader(fastseq.load_model(MODEL_PATH))
    assert ours.read(texts) == theirs.read(texts)
    ids = dates.encode(texts)
    np.testing.assert_allclose(
        ours.encoder.predict_on_batch(ids), theirs.encoder.predict_on_batch(ids), rtol=0, atol=1e-5
    )
