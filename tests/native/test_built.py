"""A clone that is not built, or built for something else, says so in one sentence."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import fastseq
from fastseq.native import built

PACKAGE = Path(fastseq.__file__).parent
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")


@pytest.fixture
def clone(tmp_path):
    """A folder with the package in it, built, as a clone is after `pip install -e .`."""
    shutil.copytree(PACKAGE, tmp_path / "fastseq", ignore=shutil.ignore_patterns("__pycache__", "*.c"))
    (tmp_path / "src_c").mkdir()
    shutil.copytree(PACKAGE.parent / "src_c" / "abi", tmp_path / "src_c" / "abi")
    return tmp_path


def import_in(folder, statement="import fastseq; print(fastseq.__file__)"):
    """What `python -c statement` started in `folder` prints, and its last line of errors."""
    command = [sys.executable, "-c", statement]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout.strip(), (done.stderr.strip().splitlines() or [""])[-1]


def extension(clone, name):
    room, name = name.split(".")
    return clone / "fastseq" / room / f"{name}{SUFFIX}"


def test_the_package_of_the_folder_is_imported(clone):
    assert import_in(clone) == (str(clone / "fastseq" / "__init__.py"), "")


def test_every_extension_is_asked_for():
    there = {f"{path.parent.name}.{path.name.removesuffix(SUFFIX)}" for path in PACKAGE.rglob(f"*{SUFFIX}")}
    assert there == set(built.EXTENSIONS)


@pytest.mark.parametrize("name", built.EXTENSIONS)
def test_not_built(clone, name):
    extension(clone, name).unlink()
    expected = (
        "ImportError: fastseq's C extension is not built in this folder: run `pip install -e .`, or start Python "
        "somewhere else."
    )
    assert import_in(clone) == ("", expected)
    assert import_in(clone, "import fastseq.layers") == ("", expected)


def test_built_for_another_python(clone):
    for name in built.EXTENSIONS:
        path = extension(clone, name)
        path.rename(path.with_name(path.name.replace(SUFFIX, ".cpython-39-x86_64-linux-gnu.so")))
    out, error = import_in(clone)
    assert out == ""
    assert "is built for another Python (_native.cpython-39-x86_64-linux-gnu.so), and this is" in error
    assert "run `pip install -e .`" in error


def test_built_from_another_version(clone):
    version = clone / "fastseq" / "version.py"
    version.write_text(version.read_text().replace(f'__version__ = "{fastseq.__version__}"', '__version__ = "9.9.9"'))
    out, error = import_in(clone)
    assert out == ""
    assert f"is built from the sources of {fastseq.__version__}, and the Python files here are of 9.9.9" in error


def test_built_from_another_state_of_the_sources(clone):
    """As after `git pull`: the version is the same, and a name that Python calls is not there yet."""
    source = clone / "fastseq" / "streaming" / "_stream.pyx"
    source.write_text(source.read_text() + "\n# another line\n")
    out, error = import_in(clone)
    assert out == ""
    assert "is built from the sources of another state of them, and the Python files here are of this one" in error
    source.unlink()
    for path in [*(clone / "fastseq").rglob("*.pyx"), *(clone / "fastseq").rglob("*.pxd")]:
        path.unlink()
    assert import_in(clone)[1] == ""  # an installed package has no sources


def test_not_built_and_no_numpy(clone):
    """The commonest way to meet it: a fresh clone, and the system's Python."""
    extension(clone, "native._native").unlink()
    statement = "import sys; sys.modules['numpy'] = None; import fastseq"
    assert "fastseq's C extension is not built in this folder" in import_in(clone, statement)[1]


@pytest.mark.parametrize("name", ["native._native", "streaming._stream"])
def test_an_extension_that_does_not_load_raises_as_python_says_it(clone, name):
    """As where libgomp.so.1 is missing: the file is there, and the message names what keeps it from loading."""
    extension(clone, name).write_bytes(b"no ELF")
    out, error = import_in(clone, f"import fastseq.{name}")
    assert out == ""
    assert str(extension(clone, name)) in error and "not built" not in error


def test_every_module_is_imported_without_docstrings():
    """As under -OO, where they are None."""
    program = """
import importlib, pkgutil, fastseq
for module in pkgutil.walk_packages(fastseq.__path__, "fastseq."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""
    subprocess.run([sys.executable, "-OO", "-c", program], timeout=120, check=True)
