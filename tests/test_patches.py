"""What it costs to add something: patches that do so once, applied to a copy of the clone, whose tests then run there.

A patch that no longer applies is made anew: add its layer by hand as CONTRIBUTING.md says, and keep `git diff -U1`.
"""

import os
import re
import shutil
import subprocess
import sys
from typing import NamedTuple

import pytest
from places import DATA, ROOT

PATCHES = DATA / "patches"


class Patch(NamedTuple):
    """recipe: the heading in CONTRIBUTING.md; blanks: what stands for its <words>; files: the most it may touch beside
    CHANGELOG.md; tests: what runs in the copy, where `keyword` picks; least: so many tests without Keras; builds: the
    patch changes C, so the copy is built before."""

    recipe: str
    blanks: dict
    files: int
    tests: list
    keyword: str
    least: int
    builds: bool = False


KNOWN = {
    "elementwise_layer": Patch(
        "Add a layer of existing steps", {"<room>": "advanced_activations", "<layer>": "thresholded_relu"}, 5,
        ["tests/layers/test_every_layer.py", "tests/gradients/test_every_layer_trains.py",
         "tests/saving/test_copying_zoo.py"],
        "ThresholdedReLU", 10,
    ),
    "weight_form": Patch(
        "Add a form of weights", {"<form>": "bf16", "<layer>": "dense"}, 11,
        ["tests/program/test_bf16_weights.py", "tests/gradients/test_gradient_rules.py",
         "tests/native/test_weight_forms.py"],
        "bf16 or forward_pass or forms", 20, builds=True,
    ),
}  # fmt: skip


def touched(name):
    """The files that a patch changes or makes, but the changelog."""
    text = (PATCHES / f"{name}.patch").read_text(encoding="utf-8")
    return set(re.findall(r"^\+\+\+ b/(.*)$", text, re.M)) - {"CHANGELOG.md"}


def recipe(heading, blanks):
    """The files that a section of CONTRIBUTING.md lists: what stands in the code at the start of its numbered lines."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {heading}\n(.*?)(?=^## )", text, re.M | re.S)[1]
    for blank, word in blanks.items():
        section = section.replace(blank, word)
    return set(re.findall(r"^\d+\. `([^`]+)`:", section, re.M))


def test_every_patch_is_known():
    assert {path.stem for path in PATCHES.glob("*.patch")} == set(KNOWN)


@pytest.mark.parametrize("name", KNOWN)
def test_few_files_and_the_recipe_names_them(name):
    patch = KNOWN[name]
    assert len(touched(name)) <= patch.files
    assert recipe(patch.recipe, patch.blanks) == touched(name)


def apply(name, clone):
    """Applies the patch to a folder that belongs to no repository."""
    file, environment = PATCHES / f"{name}.patch", {**os.environ, "GIT_CEILING_DIRECTORIES": str(clone.parent)}
    command = ["git", "apply", str(file)] if shutil.which("git") else ["patch", "-p1", "-i", str(file)]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, f"{file.name} no longer applies: {done.stderr}{done.stdout}"


@pytest.mark.slow("copies the clone, builds it where the patch changes C (70 s of a core), and runs tests there")
@pytest.mark.parametrize("name", KNOWN)
def test_the_patch_passes_its_tests(name, tmp_path):
    patch = KNOWN[name]
    left_out = shutil.ignore_patterns(".*", "build", "__pycache__", "*.egg-info", "results")
    clone = shutil.copytree(ROOT, tmp_path / "clone", ignore=left_out)
    apply(name, clone)
    assert all((clone / file).is_file() for file in touched(name))
    if patch.builds:
        if (ROOT / "build" / "objects").is_dir():  # what has not changed is not compiled again
            shutil.copytree(ROOT / "build" / "objects", clone / "build" / "objects")
        subprocess.run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=clone, check=True, timeout=900)
    outer = ("PYTEST_", "FASTSEQ_KNOWN_SKIPS")  # what the run around this one was told, relative paths too
    environment = {key: value for key, value in os.environ.items() if not key.startswith(outer)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", patch.keyword, *patch.tests],
        cwd=clone, capture_output=True, text=True, timeout=900, env={**environment, "PYTHONPATH": str(clone)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) >= patch.least, done.stdout
