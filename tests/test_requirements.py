"""A dependency of another version than fastseq needs: an ImportError that names it; and the bounds are those said."""

import os
import re
import subprocess
import sys
import textwrap
import types

import pytest
from places import ROOT

from fastseq import requirements

# What first imports each package, and what is wrong by then.
USES = {
    "numpy": "import fastseq",
    "h5py": """
        import fastseq
        fastseq.Sequential([fastseq.Input((3,)), fastseq.layers.Dense(2)]).save("m.keras")
    """,
    "tqdm": """
        import fastseq
        model = fastseq.Sequential([fastseq.Input((3,)), fastseq.layers.Dense(2)])
        model.compile("sgd", "mse")
        model.fit(np.ones((4, 3)), np.ones((4, 2)))
    """,
}


def run(code, folder):
    # Several packages need NumPy by their own: it is there before its version is another.
    code = "import numpy as np\n" + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=folder)


@pytest.mark.parametrize("name", USES)
def test_an_old_version_is_named(tmp_path, name):
    code = f"import {name}\n{name}.__version__ = '0.9.3'\n" + textwrap.dedent(USES[name])
    found = run(code, tmp_path)
    assert found.returncode == 1
    wanted = f"fastseq needs {name} {requirements.LOWEST[name]} or newer, and finds {name} 0.9.3 in "
    last = found.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: {wanted}") and f"pip install -U '{name}>=" in last, found.stderr
    assert os.listdir(tmp_path) == []
    # What has not asked for it does not care.
    other = run(code.split("import fastseq")[0] + "import fastseq\nfastseq.layers.Dense(2)(np.ones((1, 3)))", tmp_path)
    assert other.returncode == (1 if name == "numpy" else 0), other.stderr


def test_numpy_is_looked_at_before_the_extensions(tmp_path):
    """An older one breaks them with words of its own."""
    code = """
        import sys
        import numpy
        numpy.__version__ = "0.9.3"
        try:
            import fastseq
        except ImportError as error:
            assert "finds numpy 0.9.3" in str(error)
        assert "fastseq.native._native" not in sys.modules
    """
    found = run(textwrap.dedent(code), tmp_path)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize(
    "version, right",
    [("1.26", True), ("1.26.0", True), ("1.26.0rc1", True), ("1.25.9", False), ("2.0.0.dev0+git", True), ("0", False),
     ("1", False), ("10.0", True), ("unknown", True), (None, True)],
)  # fmt: skip
def test_versions(version, right):
    module = types.ModuleType("numpy")
    module.__version__ = version
    if right:
        assert requirements.check(module) is module
    else:
        with pytest.raises(ImportError, match=r"needs numpy 1\.26") as caught:
            requirements.check(module)
        assert caught.value.name == "numpy"


def test_bounds_are_those_of_the_project():
    text = (ROOT / "pyproject.toml").read_text()
    for name, lowest in requirements.LOWEST.items():
        assert set(re.findall(rf'"{name}>=([\d.]+)', text.partition("[project]")[2])) == {lowest}, name


@pytest.mark.parametrize("what", ["predict", "fit"])
def test_without_scipy(tmp_path, what):
    """Layers load, predict and train where there is none, products of two inputs too."""
    code = """
        import sys
        sys.modules["scipy"] = None
        import fastseq
        from fastseq import layers
        x = fastseq.Input((5, 6))
        y = layers.Bidirectional(layers.LSTM(4, return_sequences=True, dropout=0.1))(x)
        y = layers.TimeDistributed(layers.Dense(3, activation="tanh"))(layers.GRU(4, return_sequences=True)(y))
        y = layers.EinsumDense("abc,cd->abd", (5, 3))(layers.Concatenate()([y, x]))
        y = layers.Dot((2, 1))([layers.Dot(2)([y, y]), y])
        model = fastseq.Model(x, layers.Dense(2, activation="softmax")(layers.SimpleRNN(3)(y)))
        data = np.ones((4, 5, 6), "f")
        if WHAT == "fit":
            model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
            model.fit(data, np.eye(2)[[0, 1, 1, 0]], verbose=0)
        model.predict(data, verbose=0)
        assert not [name for name in sys.modules if name.startswith("scipy.")]
    """
    found = run(f"WHAT = {what!r}\n" + textwrap.dedent(code), tmp_path)
    assert found.returncode == 0, found.stderr
