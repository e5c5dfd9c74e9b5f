"""What an ImportError names; and that libhdf5 gets no byte of a file: h5py only writes."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from places import DATA

import fastseq
from fastseq import layers
from fastseq.errors import missing_package

PACKAGE = Path(fastseq.__file__).parent
SOURCES = [path for ending in ("*.py", "*.pyx") for path in sorted(PACKAGE.rglob(ending))]


def error_of(text):
    try:
        exec(text)
    except ImportError as error:
        return error


def test_what_is_not_installed_and_what_cannot_be_imported():
    found = missing_package("h5pyy", "Writing", error_of("import h5pyy"))
    assert str(found) == "Writing needs h5pyy, which is not installed: pip install h5pyy" and found.name == "h5pyy"
    found = missing_package("a", "It", error_of("import a.b.c"), install="a b")
    assert str(found) == "It needs a, which is not installed: pip install a b"
    # It is there, and something that it needs is not, or is another version.
    for text in ("from os import no_such_name", "import b_which_a_needs"):
        found = missing_package("a", "It", error_of(text))
        assert str(found).startswith("It needs a, which cannot be imported here (") and "pip" not in str(found)


def test_no_message_names_an_extra():
    """Which pip would look for in whatever project has the name that was typed."""
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert "fastseq[" not in text and "fastseq-cpu[" not in text, path


def test_h5py_is_imported_in_one_place_and_only_makes_files_in_memory():
    """No byte of a model file is parsed by libhdf5."""
    importing = [
        path for path in SOURCES if "h5py" in imported(path) or 'load("h5py"' in path.read_text(encoding="utf-8")
    ]
    assert [path.relative_to(PACKAGE).as_posix() for path in importing] == ["saving/write.py"]
    uses = [
        node for node in ast.walk(ast.parse(importing[0].read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "h5py"
    ]  # fmt: skip
    assert [ast.unparse(use) for use in uses] == ["h5py.File"]
    assert 'memory = io.BytesIO()\n    with h5py.File(memory, "w") as file:' in importing[0].read_text(encoding="utf-8")


def imported(path):
    if path.suffix == ".pyx":
        return {line.split()[1].split(".")[0] for line in path.read_text().splitlines()
                if line.strip().startswith(("import ", "from "))}  # fmt: skip
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


READS = """
import sys, warnings
sys.modules["h5py"] = None
warnings.simplefilter("ignore")
import fastseq
from pathlib import Path

folder, count = Path(sys.argv[1]), 0
for path in sorted(folder.glob("keras[23].*")):
    if path.suffix in (".keras", ".h5") and "weights" not in path.name:
        model = fastseq.load_model(path)
        count += 1
        if path.name == "keras3.keras":
            model.load_weights(folder / "keras3.weights.h5")
            model.load_weights(path)
            count += 2
print(count)
"""


def test_files_are_read_without_h5py():
    run = subprocess.run([sys.executable, "-c", READS, str(DATA)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) >= 6


def test_what_is_saved_out_of_the_box(tmp_path):
    """In a process that has neither matplotlib nor Keras: `save`, `save_weights`, checkpoints and backups."""
    run = subprocess.run([sys.executable, "-c", SAVES], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["1.keras", "2.keras", "best.weights.h5", "m.h5", "m.keras", "m.weights.h5"]
    for name in names:
        model = fastseq.Sequential([layers.Input((5, 4)), layers.GRU(3)])
        if "weights" in name:
            model.load_weights(tmp_path / name)
        else:
            model = fastseq.load_model(tmp_path / name)
        assert np.isfinite(model.predict(np.ones((2, 5, 4), "f"), verbose=0)).all()


SAVES = """
import sys
for name in ("matplotlib", "keras", "tensorflow", "tf_keras"):
    sys.modules[name] = None
from pathlib import Path
import numpy as np
import fastseq
from fastseq import callbacks, layers

x, y = np.ones((4, 5, 4), "f"), np.ones((4, 3), "f")
model = fastseq.Sequential([layers.Input((5, 4)), layers.GRU(3)])
model.compile("adam", "mse")
kept = [
    callbacks.ModelCheckpoint("{epoch}.keras"),
    callbacks.ModelCheckpoint("best.weights.h5", monitor="loss", save_best_only=True, save_weights_only=True),
    callbacks.BackupAndRestore("backup"),
]
model.fit(x, y, epochs=2, verbose=0, callbacks=kept)
model.save("m.keras")
model.save(Path("m.h5"))
model.save_weights(Path("m.weights.h5"))
"""


def test_paths_are_taken_as_keras_takes_them(tmp_path, monkeypatch):
    """A Path as text; a ~ is a folder of this name, which is not there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    model = fastseq.Sequential([layers.Input((5, 4)), layers.GRU(3)])
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    for path in ("~/n.keras", Path("~") / "n.keras"):
        with pytest.raises(FileNotFoundError):
            model.save(path)
    (tmp_path / "~").mkdir()
    model.save("~/n.keras")
    assert (tmp_path / "~" / "n.keras").exists() and not (tmp_path / "n.keras").exists()


BLOCKED = """
import sys
sys.modules[{package!r}] = None
import numpy as np
import fastseq
from fastseq import layers
x = np.ones((1, 2), "f")
model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1)])
model.compile("sgd", "mse")
{statement}
"""


@pytest.mark.parametrize("package, statement, expected", [
    ("tqdm", "model.fit(x, x[:, :1], verbose=1)", "ImportError: The progress bar of fit(verbose=1) needs tqdm, which "),
], ids=["tqdm"])  # fmt: skip
def test_a_missing_package_is_named(package, statement, expected):
    command = [sys.executable, "-c", BLOCKED.format(package=package, statement=statement)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith(expected), done.stderr
