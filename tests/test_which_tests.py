"""Which tests a run takes (which_tests.py): by default, with --all, and where tests are named."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap

import pytest
import which_tests
from places import ROOT, SUPPORT

SUITE = {
    "conftest.py": 'pytest_plugins = ["which_tests"]',
    "test_keras.py": """
        import pytest
        pytestmark = pytest.mark.tensorflow

        @pytest.mark.parametrize("option", ["a", "b", "c"])
        @pytest.mark.parametrize(("layer", "size"), [("gru", 1), ("lstm", 2)])
        def test_options(layer, size, option):
            pass

        @pytest.mark.parametrize("seed", range(20))
        def test_chance(seed):
            pass

        def test_one():
            pass
    """,
    "test_own.py": """
        import pytest

        @pytest.mark.parametrize("seed", range(5))
        def test_kernel(seed):
            pass

        @pytest.mark.slow("kills processes")
        def test_kill():
            pass
    """,
    "broken/test_broken.py": """
        import pytest, time

        @pytest.mark.parametrize("number", range(4))
        def test_number(number):
            assert number, "the first one fails"
            print("after")
    """,
    "skips/test_skips.py": """
        import pytest

        def test_hardware():
            pytest.skip("this CPU has no wings")

        @pytest.mark.skipif(True, reason="no compiler")
        def test_compiler():
            pass
    """,
}


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite")
    for name, text in SUITE.items():
        path = folder / "tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def environment():
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "FASTSEQ_KNOWN_SKIPS"))}
    return {**inherited, "PYTHONPATH": str(SUPPORT), "COLUMNS": "200"}


COLLECT = """
import contextlib, io, json, sys
import pytest

found = []
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", "--ignore=tests/broken",
                              "--ignore=tests/skips", *arguments])
    assert status in (0, 5), out.getvalue()
    found.append([line.partition("tests/")[2] for line in out.getvalue().split("\\n") if "::" in line])
print(json.dumps(found))
"""

KERAS = {f"test_keras.py::test_options[{size}-{option}]" for size in ("gru-1", "lstm-2") for option in "abc"}
KERAS |= {f"test_keras.py::test_chance[{seed}]" for seed in range(20)} | {"test_keras.py::test_one"}
OWN, KILL = {f"test_own.py::test_kernel[{seed}]" for seed in range(5)}, {"test_own.py::test_kill"}
# Each layer and each option once, four seeds, what has no parameters, and all that needs no Keras.
CHOSEN = {"test_keras.py::test_options[gru-1-a]", "test_keras.py::test_options[lstm-2-b]"}
CHOSEN |= {"test_keras.py::test_options[gru-1-c]", "test_keras.py::test_one"}
CHOSEN |= {f"test_keras.py::test_chance[{seed}]" for seed in (0, 5, 10, 15)} | OWN

RUNS = {
    "": CHOSEN,
    "tests": CHOSEN,
    "-x --durations=3": CHOSEN,
    "--all": KERAS | OWN | KILL,
    "--all tests": KERAS | OWN | KILL,
    "-m=": KERAS | OWN | KILL,
    "-m tensorflow": KERAS,
    "--all -m slow": KILL,
    "-k chance": {test for test in KERAS if "chance" in test},
    "-k kill": KILL,
    "tests/test_keras.py": KERAS,
    "tests/test_keras.py::test_options tests/test_own.py": {t for t in KERAS if "options" in t} | OWN | KILL,
    "tests/test_keras.py::test_options[lstm-2-c]": {"test_keras.py::test_options[lstm-2-c]"},
    "tests/test_keras.py -m=covered": KERAS - CHOSEN,
}


def test_what_runs(suite):
    arguments = json.dumps([run.split() for run in RUNS])
    done = subprocess.run(
        [sys.executable, "-c", COLLECT, arguments], cwd=suite, env=environment(), capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert dict(zip(RUNS, map(set, json.loads(done.stdout)), strict=True)) == RUNS


def pytest_in(suite, *arguments, status=0, **variables):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    env = environment() | variables
    done = subprocess.run(command, cwd=suite, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow("starts pytest four times")
def test_what_was_left_out_is_said_and_failures_are_told_at_once(suite):
    pytest.importorskip("xdist")
    for processes in ([], ["-n", "0"], ["-n", "2"], ["-p", "no:xdist"]):
        out = pytest_in(suite, *processes, status=1)
        count = int(processes[1]) if processes[:1] == ["-n"] else which_tests.processes() if not processes else 0
        assert bool(re.search(r"^\[gw\d\] ", out, re.M)) == (count > 0), out
        assert f"{len(CHOSEN) - len(OWN)} comparisons with Keras stood for {len(KERAS)}, and 1 slow tests" in out, out
        assert f"1 failed, {len(CHOSEN) + 3} passed, 2 skipped" in out.splitlines()[-1], out
        told = re.search(r"^FAILED tests/broken/test_broken.py::test_number\[0\] - .*the first one fails", out, re.M)
        assert told.start() < out.index("= FAILURES ="), out


def test_one_process_where_tests_are_named(suite):
    for arguments in (["tests/test_own.py"], ["tests/test_own.py::test_kill"], ["-k", "kernel"]):
        out = pytest_in(suite, *arguments)
        assert "created:" not in out and "passed" in out and "left out" not in out, out


@pytest.mark.slow("starts pytest four times")
def test_unknown_skips_fail_where_known_ones_are_listed(suite, tmp_path):
    known = tmp_path / "known.txt"
    for text, unknown in (("# none\nthis CPU has no [a-z]+\nno compiler\n", 0), ("\nthis CPU has no\n", 1)):
        known.write_text(text)
        for processes in ("-n0", "-n1"):
            out = pytest_in(suite, "tests/skips", processes, status=unknown, FASTSEQ_KNOWN_SKIPS=str(known))
            told = [line for line in out.splitlines() if line.startswith("SKIPPED for a reason")]
            assert len(told) == unknown and all(line.endswith("does not have: no compiler") for line in told), out


class Case:
    """What `standing` looks at of a test."""

    def __init__(self, originalname="test", **params):
        self.originalname, self.callspec = originalname, type("", (), {"params": params})()

    def iter_markers(self, name):
        return ()


def test_few_cases_have_all_values():
    cases = [Case(a=a, b=b, c=c) for a in range(5) for b in "xyz" for c in (False, True)]
    chosen = [case.callspec.params for case in which_tests.standing(cases)]
    assert len(chosen) == 5  # and not the 5 + 2 + 1 of one at a time
    for name, count in (("a", 5), ("b", 3), ("c", 2)):
        assert len({params[name] for params in chosen}) == count


def test_samples_are_spread():
    cases = [Case(seed=seed, option=option) for seed in range(10) for option in "ab"]
    chosen = [case.callspec.params for case in which_tests.standing(cases, {"seed": 3})]
    assert [params["seed"] for params in chosen] == [0, 3, 6] and {params["option"] for params in chosen} == {"a", "b"}
    cases = [Case("test_dear", option=option) for option in "abcdefgh"]
    assert [case.callspec.params["option"] for case in which_tests.standing(cases, most=2)] == ["a", "e"]


def test_a_value_that_is_no_key_is_one():
    arrays = [[1, 2], {"k": [3]}, {"k": [3]}]
    assert len(which_tests.standing([Case(value=value) for value in arrays])) == 2
