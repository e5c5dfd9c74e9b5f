"""The build says in one sentence what a machine lacks, and what of it can do without."""

import os
import runpy
import shutil
import subprocess
import sys
import sysconfig

import pytest
from places import ROOT

SETUP = ROOT / "setup.py"

pytest.importorskip("setuptools", minversion="77")
pytest.importorskip("Cython")
if shutil.which("cc") is None:
    pytest.skip("there is no C compiler", allow_module_level=True)


@pytest.fixture(scope="module")
def setup():
    """The functions of setup.py."""
    return runpy.run_path(str(SETUP), run_name="setup")


@pytest.fixture
def compiler(tmp_path):
    """compiler(condition): a `cc` that fails where the shell says so of its arguments "$*"."""

    def make(condition):
        path = tmp_path / "cc"
        path.write_text(f'#!/bin/sh\nif {condition}; then echo "cc: fatal error: no" >&2; exit 1; fi\nexec cc "$@"\n')
        path.chmod(0o755)
        return [str(path)]

    return make


def includes():
    return [sysconfig.get_path("include")]


@pytest.mark.parametrize("environment", [{"CC": "/nonexistent"}, {"PATH": "/nonexistent"}])
def test_no_compiler_is_one_sentence(tmp_path, environment):
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("fastseq", "src_c"):
        (tmp_path / name).symlink_to(ROOT / name)
    command = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", "lib", "--build-temp", "temp"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "fastseq needs a C compiler (gcc or clang), and there is no " in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_compiler_that_builds_nothing(setup, compiler):
    with pytest.raises(
        SystemExit, match=r"^fastseq needs a C compiler.* builds no program \(cc: fatal error: no\): in"
    ):
        setup["check_compiler"](compiler("true"), includes())


def test_no_headers_of_python(setup, compiler, tmp_path):
    with pytest.raises(
        SystemExit, match=r"does not find Python\.h: install them \(Debian, Ubuntu: apt-get install python3-dev"
    ):
        setup["check_compiler"](compiler("false"), [tmp_path])
    setup["check_compiler"](compiler("false"), includes())


def test_without_openmp_the_build_goes_on(setup, compiler, capsys):
    assert setup["openmp_flags"](compiler('echo "$*" | grep -q openmp')) == []
    out = capsys.readouterr().out
    assert "this compiler has no OpenMP, so this build computes on one thread" in out
    assert len(out.splitlines()) == 1


def test_openmp_where_it_needs_a_library(setup, compiler):
    """Apple's clang takes it as an option of the preprocessor."""
    condition = 'case "$*" in *Xpreprocessor*) exit 0;; *fopenmp*) true;; *) false;; esac'
    assert setup["openmp_flags"](compiler(condition)) == ["-Xpreprocessor", "-fopenmp", "-lomp"]


def test_objects_are_made_again_where_a_source_is_newer(setup, tmp_path):
    source, target = tmp_path / "a.c", tmp_path / "a.o"
    source.write_text("")
    assert setup["outdated"](target, [source])
    target.write_text("")
    os.utime(source, (1, 1))
    assert not setup["outdated"](target, [source])
    os.utime(source, (1e10, 1e10))
    assert setup["outdated"](target, [source])


def test_a_source_that_does_not_compile_ends_the_build(setup, tmp_path):
    """With what the compiler said, and no object that a later build would take for a good one."""
    source, target = tmp_path / "a.c", tmp_path / "out" / "a.o"
    source.write_text("int main(void) { return nothing; }\n")
    with pytest.raises(SystemExit, match=r"(?s)cannot be compiled: .*nothing"):
        setup["in_parallel"](2, [lambda: setup["compile_one"](str(source), ["cc"], target)])
    assert not target.exists()


def test_an_object_has_a_place_of_its_own_for_each_set_of_flags(setup):
    place = setup["Build"].object_of
    assert place(None, "src_c/run/plan.c", ["cc", "-O2"]) == place(None, "src_c/run/plan.c", ["cc", "-O2"])
    assert place(None, "src_c/run/plan.c", ["cc", "-O2"]) != place(None, "src_c/run/plan.c", ["cc", "-O3"])
    assert place(None, "src_c/run/plan.c", ["cc", "-I/a"]) == place(None, "src_c/run/plan.c", ["cc", "-I/b"])


def sources_of(command, folder):
    """Names in the archive that setuptools makes of the files it would take, nothing built."""
    environment = {**os.environ, "CC": "/nonexistent"}
    subprocess.run(
        [sys.executable, "setup.py", "-q", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        timeout=120,
        check=True,
    )


def tracked(folder):
    """Files of a folder that are not made from others."""
    made = (".so", ".pyc", ".log")
    return [
        p for p in folder.rglob("*") if p.is_file() and p.suffix not in made and "/." not in f"/{p.relative_to(folder)}"
    ]


def test_what_a_wheel_and_a_source_distribution_hold(tmp_path):
    copied = shutil.ignore_patterns(".*", "build", "__pycache__", "*.egg-info")
    clone = shutil.copytree(ROOT, tmp_path / "clone", ignore=copied)
    (clone / "fastseq" / "native" / "_call.c").write_text("/* generated */")
    sources_of(["build_py", "--build-lib", str(tmp_path / "lib")], clone)
    wheel = {path.suffix for path in (tmp_path / "lib").rglob("*") if path.is_file()}
    assert wheel == {".py", ".json", ".keras"}

    sources_of(["sdist", "--formats", "gztar", "--dist-dir", str(tmp_path)], clone)
    (archive,) = tmp_path.glob("fastseq_cpu-*.tar.gz")
    shutil.unpack_archive(archive, tmp_path / "sdist", filter="data")
    (sdist,) = (tmp_path / "sdist").iterdir()
    held = {str(path.relative_to(sdist)) for path in sdist.rglob("*") if path.is_file()}
    wanted = {"setup.py", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"}
    for folder in ("fastseq", "src_c", "tests", "asv_benchmarks"):
        wanted |= {str(p.relative_to(ROOT)) for p in tracked(ROOT / folder) if p.suffix != ".c" or folder != "fastseq"}
    assert wanted <= held
    assert not [name for name in held if name.endswith((".so", ".o")) or name == "fastseq/native/_call.c"]


def test_an_empty_compiler_is_none(monkeypatch):
    """Else the first flag would be taken for the compiler."""
    monkeypatch.setenv("CC", " ")
    runpy.run_path(str(SETUP), run_name="setup")
    assert "CC" not in os.environ
