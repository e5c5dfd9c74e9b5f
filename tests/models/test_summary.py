"""summary(): the rows and numbers of Keras's, and a table that fits its width."""

import io
import sys

import model_zoo as zoo
import numpy as np
import pytest

import fastseq
from fastseq import Input, Model, Sequential
from fastseq.layers import Dense


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    # Keras cuts a table at the terminal's width.
    monkeypatch.setenv("COLUMNS", "240")


def text_of(model, **arguments):
    lines = []
    model.summary(print_fn=lambda line, **_: lines.append(line), **{"line_length": 220, **arguments})
    return "\n".join(lines)


@pytest.mark.tensorflow
@pytest.mark.parametrize("options", [{}, {"expand_nested": True, "show_trainable": True}])
@pytest.mark.parametrize("name", zoo.ALL)
def test_same_cells_as_keras(name, options):
    keras = pytest.importorskip("keras")
    ours, theirs = zoo.both(keras, name)
    for model in (ours, theirs):
        model.layers[-1].trainable = False
    found, expected = zoo.cells(text_of(ours, **options)), zoo.cells(text_of(theirs, **options))
    assert found[0] == expected[0]
    assert found[1] == expected[1]


@pytest.mark.tensorflow
def test_unbuilt_as_keras():
    keras = pytest.importorskip("keras")
    ours, theirs = (k.Sequential([k.layers.Dense(3, name="a"), k.layers.Dense(2, name="b")]) for k in (fastseq, keras))
    assert zoo.cells(text_of(ours)) == zoo.cells(text_of(theirs))


def test_printed(capsys):
    model = Sequential([Input((4,)), Dense(1000, name="a"), Dense(2, name="b")], name="m")
    assert model.summary() is None
    rows, totals = zoo.cells(capsys.readouterr().out)
    assert rows == [
        ["Layer(type)", "OutputShape", "Param#"],
        ["a(Dense)", "(None,1000)", "5,000"],
        ["b(Dense)", "(None,2)", "2,002"],
    ]
    assert totals == [
        "Total params: 7,002 (27.35 KB)", "Trainable params: 7,002 (27.35 KB)", "Non-trainable params: 0 (0.00 B)",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["dicts", "nested_twice", "stack"])
@pytest.mark.parametrize("width", [60, 80, 131])
def test_all_lines_have_the_width(name, width):
    lines = text_of(zoo.PLAIN[name](fastseq), line_length=width, expand_nested=True, show_trainable=True).splitlines()
    table = [line for line in lines if line[0] in "┏┃┡│├└"]
    assert len(table) > 5 and {len(line) for line in table} == {width}


def test_positions_and_ranges():
    model = zoo.chain(fastseq)
    assert "second" not in text_of(model, layer_range=["x", "first"])
    assert [row[0] for row in zoo.cells(text_of(model, layer_range=["f.*", "second"]))[0][1:]] == [
        "first(Dense)", "second(Dense)",
    ]  # fmt: skip
    rule = text_of(model, positions=[0.5, 0.75, 1.0], line_length=104).splitlines()[1]
    assert [len(part) for part in rule[1:-1].split("┳")] == [50, 25, 25]
    for arguments in ({"layer_range": ["x"]}, {"layer_range": ["x", 3]}, {"layer_range": ["x", "q"]},
                      {"positions": [1.0]}, {"line_length": 12}):  # fmt: skip
        with pytest.raises(ValueError):
            text_of(model, **arguments)


def test_model_of_a_users_own():
    class Own(Model):
        def __init__(self):
            super().__init__(name="own")
            self.a = Dense(2, name="a")

        def call(self, x):
            return self.a(x)

    model = Own()
    assert "0(unbuilt)" in zoo.cells(text_of(model))[0][1]
    model.predict(np.ones((1, 2)))
    name, _, count = zoo.cells(text_of(model))[0][1]
    assert (name, count) == ("a(Dense)", "6")


def test_a_stream_that_has_no_boxes_gets_others(monkeypatch):
    """As a pipe or a terminal of ASCII has none: a name in it that cannot be shown stands as "?"."""
    model = Sequential([Input((3,)), Dense(2, name="größe")])
    written = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", written)
    model.summary()
    written.flush()
    text = written.buffer.getvalue().decode("ascii")
    assert "gr??e (Dense)" in text and "+----" in text and "| (None, 2)" in text
    lines = [line for line in text.splitlines() if line[:1] in "+|"]
    assert len({len(line) for line in lines}) == 1
