"""Every block of code in README.md runs as it stands there, in order, in one folder and one process, without Keras."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest
from places import ROOT

README = ROOT / "README.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What stands in a shell's block: how to install, which .ci/run does, and the command.
INSTALL = re.compile(r"python3 -m venv ")
COMMAND = re.compile(r"fastseq (\S.*)")
KERAS = importlib.util.find_spec("keras") and importlib.util.find_spec("tensorflow")

RUN_COMMAND = """
done = __import__("subprocess").run([__import__("sys").executable, "-m", "fastseq", *{arguments!r}])
assert done.returncode == 0, {arguments!r}
"""


def blocks():
    """(language, text, line) of each block; python or shell."""
    text = README.read_text(encoding="utf-8")
    found = [(match[1] or "shell", match[2], text[: match.start()].count("\n") + 1) for match in BLOCK.finditer(text)]
    assert {language for language, _, _ in found} == {"python", "shell"}
    return found


def commands(text):
    """The arguments of each `fastseq` command of a shell's block; anything else in it fails."""
    found = []
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        if INSTALL.match(line):
            continue
        command = COMMAND.fullmatch(line)
        assert command, f"neither an installation nor a fastseq command: {line}"
        found.append(command[1].split())
    return found


def program(chosen):
    """One Python program of all blocks; chosen(arguments) gives those that a command is run with, or None."""
    lines = []
    for language, text, line in blocks():
        lines.append(f"print('README.md, line {line}', flush=True)\n")
        if language == "python":
            lines.append(text)
            continue
        for arguments in filter(None, map(chosen, commands(text))):
            lines.append(RUN_COMMAND.format(arguments=arguments))
    return "".join(lines)


def run(folder, text, **environment):
    folder.joinpath("readme.py").write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(README.parent), "FASTSEQ_NUM_THREADS": "2", **environment}
    done = subprocess.run(
        [sys.executable, "readme.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def quick(arguments):
    """verify has a test of its own; train-demo trains for one epoch of its 24."""
    if arguments[0] == "verify":
        return None
    return [*arguments, "--epochs", "1"] if arguments[0] == "train-demo" else arguments


def test_every_block_runs(tmp_path):
    """With no Keras to be had, as after the first command of README."""
    for name in ("keras", "tensorflow", "tf_keras"):
        tmp_path.joinpath(f"{name}.py").write_text("raise ImportError('not for the README')\n")
    out = run(tmp_path, program(quick))
    assert all(f"README.md, line {line}" in out for _, _, line in blocks())
    made = {path.name for path in tmp_path.iterdir()}
    assert {"model.keras", "x.npy", "y.npy", "trained.keras", "dates.keras"} <= made


@pytest.mark.tensorflow
@pytest.mark.skipif(not KERAS, reason="Keras on TensorFlow is not installed")
def test_verify(tmp_path):
    """The command that needs Keras, on the first block's model."""
    first = next(text for language, text, _ in blocks() if language == "python")
    verify = [a for language, text, _ in blocks() if language == "shell" for a in commands(text) if a[0] == "verify"]
    assert len(verify) == 1
    run(tmp_path, first + RUN_COMMAND.format(arguments=verify[0]))


def test_verify_without_keras_says_what_is_missing(tmp_path):
    first = next(text for language, text, _ in blocks() if language == "python")
    for name in ("keras", "tensorflow", "tf_keras"):
        tmp_path.joinpath(f"{name}.py").write_text("raise ImportError('not for the README')\n")
    run(tmp_path, first)
    command = [sys.executable, "-m", "fastseq", "verify", "model.keras"]
    environment = {**os.environ, "PYTHONPATH": str(README.parent)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2
    assert "Keras" in done.stderr and len(done.stderr.strip().splitlines()) == 1
