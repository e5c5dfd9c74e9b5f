"""The command line: every command in process, exit statuses, and bad input that gets one line and no traceback."""

import os
import subprocess
import sys

import numpy as np
import pytest

import fastseq
from fastseq import cli
from fastseq.cli import commands, verification
from fastseq.demo import MODEL_PATH, dates

DATES = str(MODEL_PATH)


@pytest.fixture(scope="module")
def forecaster(tmp_path_factory):
    """A saved model (B, 6, 2) -> (B, 6, 3)."""
    model = fastseq.Sequential(
        [
            fastseq.Input((6, 2)),
            fastseq.layers.GRU(4, return_sequences=True),
            fastseq.layers.Dense(3),
        ]
    )
    path = tmp_path_factory.mktemp("models") / "forecaster.keras"
    model.save(path)
    return str(path), model


@pytest.fixture(scope="module")
def sample():
    """Inputs and output of the shipped model, which has two inputs."""
    texts, answers = dates.samples(5, seed=1)
    inputs = {"texts": dates.encode(texts), "previous": dates.decoder_inputs(dates.encode_answers(answers))}
    return inputs, fastseq.load_model(DATES).predict([inputs["texts"], inputs["previous"]], verbose=0)


def _fails(capsys, *argv):
    """Runs a command that must end with one line on stderr and status 2; returns that line."""
    assert cli.main([str(a) for a in argv]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("fastseq: error: ") and err.count("\n") == 1, err
    return err


# -------------------------------------------------------------------------------------------------------------- demo


def test_demo(capsys):
    assert cli.main(["demo", "--n", "200"]) == 0
    out, err = capsys.readouterr()
    assert out.count("->") == 8
    assert "200 of 200 texts that it was never trained on are right: 100.00%." in out
    assert "One text at a time" in out and "200 at once" in out
    assert err == ""


def test_demo_of_one(capsys):
    assert cli.main(["demo", "--n", "1"]) == 0
    assert "1 of 1 texts" in capsys.readouterr().out


def test_demo_compare_without_keras_says_so_in_one_line(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    assert cli.main(["demo", "--n", "20", "--compare"]) == 0
    last = capsys.readouterr().out.rstrip().splitlines()[-1]
    assert last.startswith("Keras is not installed here") and last.endswith(": pip install keras tensorflow-cpu")


@pytest.mark.tensorflow
@pytest.mark.slow("Keras starts and compiles in processes of its own")
def test_demo_compare(capsys):
    pytest.importorskip("keras")
    assert cli.main(["demo", "--n", "50", "--compare"]) == 0
    out = capsys.readouterr().out
    assert "Same answer for 100.0%" in out
    rows = [line for line in out.splitlines() if line.endswith("x")]
    assert len(rows) == 5
    assert all(float(row.split()[-1][:-1].replace(",", "")) > 0 for row in rows), out


# ----------------------------------------------------------------------------------------------------------- inspect


def test_inspect(capsys):
    assert cli.main(["inspect", DATES]) == 0
    out = capsys.readouterr().out
    for text in ("encoder", "decoder", "characters", "91,860", "runs on", fastseq.__version__):
        assert text in out
    plan = out[out.index("runs on") :]
    for layer in ("text_embedding", "encoder", "decoder", "characters"):
        assert layer in plan


def test_inspect_takes_sizes(capsys):
    assert cli.main(["inspect", DATES, "--batch-size", "64", "--timesteps", "30"]) == 0
    assert "64 x 30" in capsys.readouterr().out


def test_inspect_says_on_which_line_a_users_layer_asks_for_values(tmp_path, capsys):
    """In a program that has the class; the command by itself has none of a user's, and says so."""

    class AsksForValues(fastseq.layers.Layer):
        def call(self, x):
            return x if float(np.sum(x)) > 0 else -x

    inputs = fastseq.Input((3,))
    path = str(tmp_path / "own.keras")
    fastseq.Model(inputs, AsksForValues()(inputs)).save(path)
    line = AsksForValues.call.__code__.co_firstlineno + 1
    with fastseq.saving.CustomObjectScope({"AsksForValues": AsksForValues}):
        assert cli.main(["inspect", path]) == 0
    assert f"test_cli.py:{line}: float() asks for the values of an array" in capsys.readouterr().out
    assert cli.main(["inspect", path]) == 2
    assert "The class 'AsksForValues'" in capsys.readouterr().err


# ----------------------------------------------------------------------------------------------------------- predict


def test_predict_npz_by_name_and_in_order(tmp_path, sample):
    inputs, wanted = sample
    np.savez(tmp_path / "named.npz", previous=inputs["previous"], texts=inputs["texts"])
    np.savez(tmp_path / "ordered.npz", inputs["texts"], inputs["previous"])
    for name in ("named.npz", "ordered.npz"):
        out = tmp_path / (name + ".npy")
        assert cli.main(["predict", DATES, str(tmp_path / name), "-o", str(out)]) == 0
        np.testing.assert_array_equal(np.load(out), wanted)


def test_predict_writes_each_format(tmp_path, forecaster, capsys):
    path, model = forecaster
    x = np.random.default_rng(0).standard_normal((7, 6, 2)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    wanted = model.predict(x, verbose=0)
    for suffix in ("npy", "npz", "csv"):
        out = tmp_path / f"y.{suffix}"
        assert cli.main(["predict", path, str(tmp_path / "x.npy"), "-o", str(out), "--batch-size", "3"]) == 0
        if suffix == "csv":
            got = np.loadtxt(out, delimiter=",").astype(np.float32).reshape(wanted.shape)
        else:
            got = np.load(out)
            got = got[got.files[0]] if suffix == "npz" else got
        np.testing.assert_array_equal(got, wanted)
    assert capsys.readouterr().out == ""


def test_predict_csv_to_stdout(tmp_path, forecaster, capsys):
    path, model = forecaster
    x = np.random.default_rng(1).standard_normal((4, 12)).astype(np.float32)
    text = "\n".join(",".join(f"{v:.9g}" for v in row) for row in x)
    names = ",".join(f"c{i}" for i in range(12))
    for name, body in (("plain.csv", text), ("named.csv", names + "\n" + text + "\n")):
        (tmp_path / name).write_text(body)
        assert cli.main(["predict", path, str(tmp_path / name)]) == 0
        got = np.loadtxt(capsys.readouterr().out.splitlines(), delimiter=",").astype(np.float32)
        np.testing.assert_array_equal(got.reshape(4, 6, 3), model.predict(x.reshape(4, 6, 2), verbose=0))


def test_predict_of_no_rows(tmp_path, forecaster):
    np.save(tmp_path / "none.npy", np.zeros((0, 6, 2), np.float32))
    assert cli.main(["predict", forecaster[0], str(tmp_path / "none.npy"), "-o", str(tmp_path / "y.npy")]) == 0
    assert np.load(tmp_path / "y.npy").shape == (0, 6, 3)


class _Tensor:
    def __init__(self, shape, dtype="float32"):
        self.shape, self.dtype, self.name = shape, dtype, "x"


@pytest.mark.parametrize(
    "columns, shape, result",
    [
        (5, (None, 5), (3, 5)),
        (12, (None, 6, 2), (3, 6, 2)),
        (12, (None, None, 2), (3, 6, 2)),
        (4, (None, None, 1), (3, 4, 1)),
        (4, (None, None), (3, 4)),
        (24, (None, 2, 3, 4), (3, 2, 3, 4)),
        (11, (None, 6, 2), "do not make the shape"),
        (5, (None, None, 2), "do not make the shape"),
        (2, (None, None, 2), "one sequence of 3 steps"),
        (12, (None, None, None, 2), "do not make the shape"),
    ],
)
def test_csv_columns_become_timesteps(columns, shape, result):
    table = np.arange(3.0 * columns).reshape(3, columns)
    if isinstance(result, str):
        with pytest.raises(commands.UsageError, match=result):
            commands._fit_csv("x.csv", table, _Tensor(shape))
    else:
        fitted = commands._fit_csv("x.csv", table, _Tensor(shape))
        assert fitted.shape == result
        np.testing.assert_array_equal(fitted.ravel(), table.ravel())


def test_csv_ids_must_be_whole_numbers():
    ids = _Tensor((None, None), "int32")
    whole = commands._numbers("x.csv", commands._fit_csv("x.csv", np.array([[1.0, 2.0]]), ids), ids)
    assert whole.dtype == np.int64
    for bad in (1.5, np.nan, np.inf):
        with pytest.raises(commands.UsageError, match="whole numbers"):
            commands._numbers("x.csv", np.array([[1.0, bad]]), ids)


# ------------------------------------------------------------------------------------------------------------ verify


@pytest.mark.tensorflow
def test_verify(capsys):
    pytest.importorskip("keras")
    assert cli.main(["verify", DATES]) == 0
    out = capsys.readouterr().out
    for case in ("random", "batch of 1", "batch of 65", "1 step", "300 steps", "zeros", "padding left"):
        assert case in out
    assert "The same:" in out


@pytest.mark.tensorflow
def test_verify_of_float_inputs_ends_with_1_above_the_tolerance(capsys, forecaster):
    pytest.importorskip("keras")
    assert cli.main(["verify", forecaster[0]]) == 0
    out = capsys.readouterr().out
    assert "values around 30" in out and "padding inside" in out
    # Two ways to add the same floats differ in the last bit somewhere in 65 rows.
    assert cli.main(["verify", forecaster[0], "--tolerance", "0"]) == 1
    out = capsys.readouterr().out
    assert "ABOVE" in out and "DIFFERENT:" in out


def test_verify_sees_a_wrong_model(capsys, monkeypatch):
    rows = [verification.Row("random", "y", (2, 3), 3e-5), verification.Row("zeros", "y", (2, 3), 0.0)]
    monkeypatch.setattr(verification, "compare", lambda path, model: rows)
    assert cli.main(["verify", DATES]) == 1
    assert capsys.readouterr().out.count("ABOVE") == 1
    assert cli.main(["verify", DATES, "--tolerance", "1e-4"]) == 0


def test_verify_without_keras(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    assert "Keras needs keras, which is not installed: pip install keras tensorflow-cpu" in _fails(
        capsys, "verify", DATES
    )


def test_difference():
    nan, inf = np.nan, np.inf
    difference = verification.difference
    assert difference([1.0, 2.0], [1.0, 2.5]) == pytest.approx(0.2)
    assert difference([0.1], [0.3]) == pytest.approx(0.2)
    assert difference([nan, 1.0, inf], [nan, 1.0, inf]) == 0
    assert difference([nan], [1.0]) == inf
    assert difference([inf], [-inf]) == inf
    assert difference(np.zeros((2, 3)), np.zeros((3, 2))) == inf
    assert difference(np.zeros((0, 3)), np.zeros((0, 3))) == 0


def test_verification_finds_the_embedding_of_each_input():
    assert verification.id_limits(fastseq.load_model(DATES)) == {"texts": 69, "previous": 12}


def test_verification_cases_stay_inside_the_ids():
    model = fastseq.load_model(DATES)
    limits = verification.id_limits(model)
    seen = {name: arrays for name, arrays in verification.cases(model.inputs, limits, 0.0)}
    assert all(0 <= array.min() and array.max() < limit
               for arrays in seen.values() for array, limit in zip(arrays, limits.values(), strict=True))  # fmt: skip
    ids = seen["padding right"][0]
    assert (ids[:, -1] == 0).sum() == len(ids) - 1 and ids[0].all()
    assert (seen["padding left"][0][:, 0] == 0).sum() == len(ids) - 1
    assert not seen["padding everywhere"][0][1:].any()
    assert seen["1 step"][0].shape[1] == 1 and seen["batch of 65"][0].shape[0] == 65


# --------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["fly"],
        ["demo", "--n", "0"],
        ["demo", "--n", "many"],
        ["demo", "--fast"],
        ["inspect"],
        ["inspect", DATES, "--timesteps", "-1"],
        ["predict", DATES],
        ["predict", DATES, "x.npy", "--batch-size", "1.5"],
        ["verify", DATES, "--tolerance", "-1"],
        ["verify", DATES, "--tolerance", "nan"],
    ],
)
def test_bad_arguments(capsys, argv):
    _fails(capsys, *argv)


@pytest.mark.parametrize("command", ["inspect", "verify"])
def test_bad_model_files(capsys, tmp_path, command):
    (tmp_path / "empty.keras").write_bytes(b"")
    (tmp_path / "text.h5").write_text("not a model")
    (tmp_path / "cut.keras").write_bytes(MODEL_PATH.read_bytes()[:5000])
    assert "no such file" in _fails(capsys, command, tmp_path / "absent.keras")
    for name in ("empty.keras", "text.h5", "cut.keras"):
        assert name in _fails(capsys, command, tmp_path / name)
    _fails(capsys, command, tmp_path)


def test_bad_inputs(capsys, tmp_path, sample):
    inputs, _ = sample
    np.savez(tmp_path / "good.npz", **inputs)
    np.savez(tmp_path / "three.npz", **inputs, more=np.zeros(3))
    np.savez(tmp_path / "half.npz", texts=inputs["texts"], other=inputs["previous"])
    np.save(tmp_path / "one.npy", inputs["texts"])
    np.save(tmp_path / "pickled.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "good.npz").read_bytes()[:-40])
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "huge.npy").write_bytes(
        b"\x93NUMPY\x01\x00\x76\x00"
        + b"{'descr': '<f4', 'fortran_order': False, 'shape': (9999999, 9999999), }".ljust(118)
    )
    (tmp_path / "words.csv").write_text("a,b\n1,2\nthree,4\n")
    (tmp_path / "ragged.csv").write_text("1,2\n3\n")
    (tmp_path / "empty.csv").write_text("\n")
    (tmp_path / "names.csv").write_text("a,b\n")
    (tmp_path / "x.txt").write_text("1")
    (tmp_path / "dir.npy").mkdir()
    for path in sorted(tmp_path.iterdir()):
        if path.name != "good.npz":
            assert path.name in _fails(capsys, "predict", DATES, path)
    assert "no such file" in _fails(capsys, "predict", DATES, tmp_path / "absent.npy")
    line = _fails(capsys, "predict", DATES, tmp_path / "half.npz")
    assert "texts, previous" in line and "texts, other" in line
    (tmp_path / "bytes.npy").write_bytes(bytes(range(60)))
    line = _fails(capsys, "predict", DATES, tmp_path / "bytes.npy")
    assert "neither a .npy nor an .npz" in line and "pickle" not in line


def test_bad_outputs(capsys, tmp_path, sample):
    np.savez(tmp_path / "x.npz", **sample[0])
    _fails(capsys, "predict", DATES, tmp_path / "x.npz", "-o", tmp_path / "y.txt")
    _fails(capsys, "predict", DATES, tmp_path / "x.npz", "-o", tmp_path / "absent" / "y.npy")
    assert sorted(os.listdir(tmp_path)) == ["x.npz"]


def test_inputs_of_the_wrong_shape(capsys, tmp_path, forecaster):
    np.save(tmp_path / "x.npy", np.zeros((3, 6, 5), np.float32))
    _fails(capsys, "predict", forecaster[0], tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    assert not (tmp_path / "y.npy").exists()


def test_ids_outside_the_embedding(capsys, tmp_path, sample):
    inputs = dict(sample[0], texts=sample[0]["texts"] + 1000)
    np.savez(tmp_path / "x.npz", **inputs)
    assert "text_embedding" in _fails(capsys, "predict", DATES, tmp_path / "x.npz")


# ------------------------------------------------------------------------------------------------------- the process


def test_help_and_version(capsys):
    for argv in (["--help"], ["demo", "--help"], ["train-demo", "--help"], ["predict", "--help"]):
        assert cli.main(argv) == 0
        assert "usage: fastseq" in capsys.readouterr().out
    assert cli.main(["--version"]) == 0
    assert fastseq.__version__ in capsys.readouterr().out


def test_ctrl_c(capsys, monkeypatch):
    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(fastseq, "load_model", interrupted)
    assert cli.main(["inspect", DATES]) == 130
    assert capsys.readouterr().err == "fastseq: stopped\n"


def test_python_dash_m(tmp_path):
    command = [sys.executable, "-m", "fastseq"]
    done = subprocess.run([*command, "inspect", DATES], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "91,860" in done.stdout and done.stderr == ""
    done = subprocess.run([*command, "inspect", "absent.keras"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "fastseq: error: absent.keras: no such file\n"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_closed_pipe_ends_quietly(sample, tmp_path):
    np.savez(tmp_path / "x.npz", **{k: np.repeat(v, 400, axis=0) for k, v in sample[0].items()})
    command = [sys.executable, "-m", "fastseq", "predict", DATES, str(tmp_path / "x.npz")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().count(",") == 119
        process.stdout.close()
        errors = process.stderr.read()
    assert errors == "" and process.returncode == 141
