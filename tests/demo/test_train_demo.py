"""`fastseq train-demo`: what it trains with, what it writes, Ctrl-C, and what it refuses before it starts."""

import json
import os
import random
import signal
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

import fastseq
from fastseq import cli
from fastseq.demo import MODEL_PATH, curve, dates, svg, train

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def short(monkeypatch):
    """Three steps an epoch."""
    monkeypatch.setattr(train, "BATCHES", 3)


@pytest.fixture
def no_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)


def _fails(capsys, *argv):
    assert cli.main(["train-demo", *map(str, argv)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("fastseq: error: ") and err.count("\n") == 1, err
    return err


# -------------------------------------------------------------------------------------------------------------- data


def test_batches_hold_texts_of_like_length_and_their_answers():
    batches = train.Batches(20, seed=1)
    assert len(batches) == 20
    widths = []
    for index in range(20):
        (texts, previous), answers = batches[index]
        assert texts.shape[0] == previous.shape[0] == answers.shape[0] == train.BATCH
        assert answers.shape == previous.shape == (train.BATCH, dates.ISO_LENGTH)
        np.testing.assert_array_equal(previous[:, 1:], answers[:, :-1])
        assert not previous[:, 0].any()
        assert texts.shape[1] % 4 == 0 and texts[:, -4:].any()
        widths.append(texts.shape[1])
    assert widths == sorted(widths) and widths[0] < widths[-1] <= dates.MAX_LENGTH


def _texts(batches):
    rows = [row for index in range(len(batches)) for row in batches[index][0][0]]
    return {"".join(dates.ALPHABET[i - 1] for i in row if i) for row in rows}


def test_every_epoch_and_every_seed_has_other_texts_and_none_that_is_unseen():
    batches = train.Batches(5, seed=1)
    first = _texts(batches)
    assert first == _texts(train.Batches(5, seed=1))
    batches.on_epoch_end()
    second, other = _texts(batches), _texts(train.Batches(5, seed=2))
    # A short text may come twice.
    assert len(first & second) < 10 and len(first & other) < 10
    assert not any(map(dates.is_unseen, first | second))


@pytest.mark.slow("trains the demo's model")
def test_two_hundred_steps_learn_to_read(monkeypatch):
    monkeypatch.setattr(train, "BATCHES", 100)
    _, history, steps = train.fitted(epochs=2)
    assert steps == 200
    assert history["loss"][1] < history["loss"][0] < np.log(12)
    # All days are equally likely: a decoder that learns nothing of the text cannot be better than this (1.05). Three
    # seeds ended at 0.93 to 0.95.
    days = (dates.LAST_DATE - dates.FIRST_DATE).days + 1
    assert history["val_loss"][1] < np.log(days) / dates.ISO_LENGTH


def test_the_seed_alone_decides_what_is_trained(short):
    before = random.getstate()
    with fastseq.num_threads(1):
        first = train.fitted(epochs=2, seed=3)
    with fastseq.num_threads(2):
        again = train.fitted(epochs=2, seed=3)
    assert random.getstate() == before
    assert first[1:] == again[1:]
    for a, b in zip(first[0].get_weights(), again[0].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    other = train.fitted(epochs=2, seed=4)
    assert other[1]["loss"] != first[1]["loss"]


# ----------------------------------------------------------------------------------------------------------- command


def test_train_demo_without_matplotlib(short, no_matplotlib, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train-demo", "--epochs", "2", "--seed", "5", "--threads", "1"]) == 0
    out, err = capsys.readouterr()
    assert sorted(os.listdir()) == ["date_model.json", "date_model.keras", "date_model.svg"]
    assert "2 epochs of 3 batches" in out and "seed 5, threads: 1" in out
    assert "of 5000 texts that it was never trained on are right" in out and "Trained for" in out
    assert "date_model.svg: the loss curve" in out
    assert (tmp_path / "date_model.svg").read_bytes().startswith(b"<svg ")
    assert "epoch 2/2" in err and "6/6" in err and "loss=" in err and "unseen=" in err
    about = json.loads((tmp_path / "date_model.json").read_text())
    assert about["made_by"] == "fastseq train-demo --epochs 2 --seed 5" and about["steps"] == 6
    assert {name: len(values) for name, values in about["history"].items()} == dict.fromkeys(
        ("accuracy", "loss", "val_accuracy", "val_loss"), 2
    )
    model = fastseq.load_model("date_model.keras")
    assert model.optimizer is None  # whose state would make the file three times as large
    assert (tmp_path / "date_model.keras").stat().st_size < 1.1 * MODEL_PATH.stat().st_size


@pytest.mark.parametrize("argument", [None, "curve.svg"])
def test_train_demo_draws_the_loss(short, tmp_path, capsys, argument):
    pytest.importorskip("matplotlib")
    picture = tmp_path / (argument or "mine.png")
    options = [] if argument is None else ["--plot", str(picture)]
    assert cli.main(["train-demo", "--epochs", "1", "--out", str(tmp_path / "mine.keras"), *options]) == 0
    assert f"{picture}: the loss curve" in capsys.readouterr().out
    assert sorted(os.listdir(tmp_path)) == sorted(["mine.json", "mine.keras", picture.name])
    start = picture.read_bytes()[:300]
    assert start.startswith(b"\x89PNG") if argument is None else b"<svg" in start or b"svg" in start


def _drawn_points(text):
    """(label, [(x, y)]) of each line of an SVG chart, from its dots."""
    root = ElementTree.fromstring(text)
    groups = [group for group in root.iter(f"{SVG}g")]
    return [
        (
            group.find(f"{SVG}title").text,
            [(float(dot.get("cx")), float(dot.get("cy"))) for dot in group.iter(f"{SVG}circle")],
        )
        for group in groups
    ]


def test_the_svg_shows_every_epoch(tmp_path, no_matplotlib):
    curve.draw({"loss": [2.0, 1.0, 0.5], "val_loss": [1.6, 0.8, 0.4]}, tmp_path / "x.svg")
    text = (tmp_path / "x.svg").read_text(encoding="utf-8")
    for words in (curve.TITLE, curve.X_LABEL, curve.Y_LABEL, *curve.LABELS.values()):
        assert words.replace("'", "&apos;") in text or words in text
    (label, trained), (other, unseen) = _drawn_points(text)
    assert [label, other] == list(curve.LABELS.values()) and len(trained) == len(unseen) == 3
    # Epochs at equal distances from left to right, and each halving of the loss the same way down.
    for points in (trained, unseen):
        (x1, y1), (x2, y2), (x3, y3) = points
        assert x1 < x2 < x3 and abs((x2 - x1) - (x3 - x2)) < 0.2
        assert y1 < y2 < y3 and abs((y2 - y1) - (y3 - y2)) < 0.2
    assert all(u[0] == t[0] and u[1] > t[1] for t, u in zip(trained, unseen))


@pytest.mark.parametrize(
    "values",
    [
        [0.5], [1.0, 1.0], [2.4, 1e-9], [1e30, 1e-30], [0.9999999, 1.0000001], list(np.geomspace(3, 0.001, 24)),
        [1.0, 0.0, float("nan"), float("inf"), -1.0, 0.25], list(np.linspace(1, 2, 1234)),
    ],
)  # fmt: skip
def test_any_losses_are_drawn_within_the_axes(values):
    text = svg.line_chart({"a<b": values}, "t & u", "x", "y")
    [(label, points)] = _drawn_points(text)
    assert label == "a<b" and len(points) == sum(0 < value < np.inf for value in values)
    assert all(svg.LEFT <= x <= svg.RIGHT and svg.TOP <= y <= svg.BOTTOM for x, y in points)
    ticks = list(ElementTree.fromstring(text).iter(f"{SVG}text"))
    on_y = [float(item.get("y")) for item in ticks if item.get("text-anchor") == "end"]
    on_x = [int(item.text) for item in ticks if item.get("y") == f"{svg.BOTTOM + 18:.1f}"]
    assert 2 <= len(on_y) <= 14 and on_y == sorted(on_y, reverse=True)
    assert on_x[0] == 1 and on_x == sorted(set(on_x)) and len(on_x) <= 13 and on_x[-1] <= max(1, len(values))


def test_nothing_to_draw_says_so():
    for values in ([], [0.0], [float("nan")]):
        with pytest.raises(ValueError, match="no number above 0"):
            svg.line_chart({"a": values}, "t", "x", "y")


def test_the_curve_shows_every_epoch(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    seen = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: seen.append((figure, path)))
    curve.draw({"loss": [2.0, 1.0, 0.5], "val_loss": [1.5, 0.8, 0.4]}, "x.png")
    [(figure, path)] = seen
    lines = figure.axes[0].get_lines()
    assert path == "x.png" and [line.get_xdata().tolist() for line in lines] == [[1, 2, 3]] * 2
    assert [line.get_ydata().tolist() for line in lines] == [[2.0, 1.0, 0.5], [1.5, 0.8, 0.4]]


def test_demo_runs_what_was_trained(short, no_matplotlib, tmp_path, capsys):
    path = tmp_path / "mine.keras"
    assert cli.main(["train-demo", "--epochs", "1", "--out", str(path)]) == 0
    assert f"Try it: fastseq demo --model {path}" in capsys.readouterr().out
    assert cli.main(["demo", "--n", "20", "--model", str(path)]) == 0
    out = capsys.readouterr().out
    # Three steps teach nothing.
    assert f"{path.stat().st_size:,} bytes" in out and "0 of 20 texts" in out and "(wrong: " in out


def test_demo_refuses_other_models(tmp_path, capsys):
    model = fastseq.Sequential([fastseq.Input((3,)), fastseq.layers.Dense(2)])
    model.save(tmp_path / "other.keras")
    for name, text in (("other.keras", "'answer_embedding'"), ("absent.keras", "no such file")):
        assert cli.main(["demo", "--model", str(tmp_path / name)]) == 2
        out, err = capsys.readouterr()
        assert out == "" and name in err and text in err and err.count("\n") == 1


# ------------------------------------------------------------------------------------------------------------ Ctrl-C


def _interrupt_at(monkeypatch, step):
    after = train.Progress.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        after(self, batch, logs)
        if self.steps == step:
            raise KeyboardInterrupt

    monkeypatch.setattr(train.Progress, "on_train_batch_end", on_train_batch_end)


def test_ctrl_c_keeps_the_weights_of_the_last_whole_step(short, no_matplotlib, tmp_path, capsys, monkeypatch):
    kept = []
    monkeypatch.setattr(train, "exact_matches", lambda model: kept.append(model.get_weights()) or 0)
    _interrupt_at(monkeypatch, 4)
    assert cli.main(["train-demo", "--epochs", "2", "--out", str(tmp_path / "mine.keras")]) == 130
    out = capsys.readouterr().out
    assert "Stopped after 4 of 6 steps" in out and "Trained for" in out and "Try it" in out
    about = json.loads((tmp_path / "mine.json").read_text())
    assert about["steps"] == 4 and len(about["history"]["loss"]) == 1
    written = fastseq.load_model(tmp_path / "mine.keras").get_weights()
    for a, b in zip(written, kept[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_ctrl_c_in_the_first_epoch_leaves_no_curve(short, tmp_path, capsys, monkeypatch):
    _interrupt_at(monkeypatch, 1)
    assert cli.main(["train-demo", "--out", str(tmp_path / "mine.keras")]) == 130
    assert "No loss curve: not one epoch was finished." in capsys.readouterr().out
    assert sorted(os.listdir(tmp_path)) == ["mine.json", "mine.keras"]


def test_ctrl_c_before_the_first_step_leaves_nothing(short, tmp_path, capsys, monkeypatch):
    def interrupted(self, epoch, logs=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(train.Progress, "on_epoch_begin", interrupted)
    assert cli.main(["train-demo", "--out", str(tmp_path / "mine.keras")]) == 130
    assert capsys.readouterr().err.endswith("fastseq: stopped\n")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_real_ctrl_c(tmp_path):
    command = [sys.executable, "-m", "fastseq", "train-demo", "--out", str(tmp_path / "mine.keras")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        shown = b""
        while b"loss=" not in shown and process.poll() is None:
            shown += os.read(process.stderr.fileno(), 4096)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130 and b"Traceback" not in shown + err, (out, err)
    assert b"Stopped after" in out and (tmp_path / "mine.keras").exists()


# --------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "argv, text",
    [
        (["--epochs", "0"], "at least 1"),
        (["--seed", "-1"], "at least 0"),
        (["--seed", "1.5"], "at least 0"),
        (["--threads", "0"], "at least 1"),
        (["--out", "model.h5"], "must end in .keras"),
        (["--out", "absent/model.keras"], "no such folder"),
        (["--out", "folder.keras"], "cannot be written"),
        (["--plot", "absent/curve.png"], "no such folder"),
    ],
)
def test_bad_arguments_are_refused_before_training(tmp_path, capsys, monkeypatch, argv, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.keras").mkdir()
    assert text in _fails(capsys, *argv)
    assert os.listdir() == ["folder.keras"]


def test_a_picture_that_cannot_be_drawn_is_refused_before_training(short, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert ".png" in _fails(capsys, "--plot", tmp_path / "curve.csv")


def test_a_picture_asked_for_without_matplotlib_is_refused(short, no_matplotlib, tmp_path, capsys):
    assert "matplotlib, which is not installed: pip install matplotlib" in _fails(
        capsys, "--plot", tmp_path / "curve.png"
    )
    assert os.listdir(tmp_path) == []


def test_without_h5py(short, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert "h5py, which is not installed: pip install h5py" in _fails(capsys)
