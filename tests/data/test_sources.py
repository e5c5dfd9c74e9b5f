"""What predict, fit and evaluate take as x is told apart in one place, and its batches are views of what was given."""

import numpy as np
import pytest
from calling_tests import same, values

from fastseq import Input, Sequential, layers
from fastseq.data import batches, sources
from fastseq.data import predict as prediction


class Batches:
    """Three batches of (x, y) by number."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return values((2, 4), index), values((2, 3), index)


class Stops(Batches):
    def __getitem__(self, index):
        raise StopIteration


def model():
    made = Sequential([Input((4,)), layers.Dense(3)])
    made.compile("sgd", "mse")
    return made


def test_kinds():
    x = values((5, 4))
    for given in (x, [x], {"a": x, "b": (x,)}, x[:0], np.float32(1)):
        assert sources.kind_of(given, "fit") is sources.Arrays
    assert sources.kind_of(Batches(), "fit") is sources.Indexed
    for given in (iter([x]), {1, 2}, (x for _ in range(2))):
        assert sources.kind_of(given, "fit") is None


@pytest.mark.parametrize("given", [None, 3, "x", b"x", [], {}, [1, 2], object()])
def test_one_sentence_for_what_makes_no_batches(given):
    said = []
    for call in (model().predict, model().fit, model().evaluate):
        with pytest.raises(
            ValueError, match=r"Unrecognized data type: x=.* takes an array, a list or dict of"
        ) as error:
            call(given, verbose=0)
        said.append(str(error.value).replace("predict takes", "Training takes"))
    assert len(set(said)) == 1


def test_batches_are_views_unless_an_order_is_given():
    x, y = values((5, 4)), values((5, 3))
    made = sources.Arrays([{"a": [x]}, y, None], 2)
    assert (made.rows, len(made)) == (5, 3)
    for index in range(3):
        batch = made.batch(index)
        rows = slice(2 * index, 2 * index + 2)
        same(batch[0]["a"][0], x[rows]), same(batch[1], y[rows])
        assert np.shares_memory(batch[0]["a"][0], x) and batch[2] is None
    order = np.array([4, 2, 0, 1, 3])
    same(made.batch(1, order)[1], y[[0, 1]])
    assert not np.shares_memory(made.batch(1, order)[1], y)


@pytest.mark.parametrize(
    ("batch_size", "count", "wanted"), [(None, None, 32), (None, 3, 24), (None, 100, 1), (7, 3, 7), (0, None, 1)]
)
def test_rows_of_a_batch(batch_size, count, wanted):
    assert sources.Arrays([np.zeros((70, 1))], batch_size, count).batch_size == wanted


def test_predict_runs_on_views_of_the_rows(monkeypatch):
    made, x, seen = model(), values((6, 4)), []
    run = prediction.run
    monkeypatch.setattr(prediction, "run", lambda model, batch: seen.append(batch) or run(model, batch))
    made.predict(x, batch_size=2, verbose=0)
    assert [np.shares_memory(batch, x) for batch in seen] == [True] * 3


def test_training_runs_on_views_of_the_rows_unless_they_are_shuffled():
    x, y = values((6, 4)), values((6, 3))
    for shuffle in (False, True, "batch"):
        source = batches.source(x, y, None, 2, None, shuffle)
        source.begin(seed=1, epoch=0)
        found = list(source.batches(0))
        assert [np.shares_memory(batch[0], x) for batch in found] == [not shuffle] * 3
        assert all(batch[2] is None for batch in found)


def test_a_stop_iteration_of_getitem_does_not_end_the_run_in_silence():
    for call in (model().predict, model().fit, model().evaluate):
        with pytest.raises(RuntimeError, match="StopIteration"):
            call(Stops(), verbose=0)


@pytest.mark.parametrize(("batch", "given"), [((1, 2, 3, 4), "4 items"), ((), "0 items"), (np.zeros(2), "ndarray")])
def test_members_of_a_batch(batch, given):
    with pytest.raises(ValueError, match=f"A batch is x, got {given}"):
        sources.members(batch, "A batch is x")
    assert sources.members([1, 2], "A batch is x") == [1, 2]
