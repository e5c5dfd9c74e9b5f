"""The form of weights is a parameter of the kernels' bodies: another form is words, and no body changes for it."""

import os
import re
import shutil
import subprocess

import pytest
from places import ROOT, TESTS

from fastseq.native import _native
from fastseq.native.kinds import OPERATIONS

SOURCES = ROOT / "src_c"
# By words: the compiler, and what runs its programs.
MACHINES = {
    "scalar": (os.environ.get("CC", "cc").split()[0], []),
    "neon": ("aarch64-linux-gnu-gcc", ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]),
}
SOURCE = TESTS / "weight_forms.c"
# Parts of src_c that a kernel calls.
CALLED = [f"run/{path.stem}" for path in sorted((SOURCES / "run").glob("extents*.c"))]
CALLED += ["run/kernel_table", "run/plan", "threads/barrier", "threads/meeting", "threads/parallel", "threads/watch"]


@pytest.mark.slow("compiles all kernels twice, in 15 s of a core")
@pytest.mark.parametrize("words", MACHINES)
def test_bfloat16_weights_give_the_bits_of_float32_weights_of_the_same_values(words, tmp_path):
    compiler, runner = MACHINES[words]
    for program in (compiler, *runner[:1]):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    common = [compiler, "-std=gnu11", "-O1", "-ffp-contract=off", "-fno-math-errno", f"-I{SOURCES}"]
    words = [f"-DWORDS=<simd/simd_{words}.h>", "-c", SOURCE]
    commands = [
        [*common, *words, "-DFORM=f32", "-o", tmp_path / "f32.o"],
        [*common, *words, "-DFORM=bf16", "-DBFLOAT16", "-o", tmp_path / "bf16.o"],
        [
            *common, SOURCE, tmp_path / "f32.o", tmp_path / "bf16.o", *(SOURCES / f"{name}.c" for name in CALLED),
            "-lm", "-o", tmp_path / "forms",
        ],
    ]  # fmt: skip
    for command in commands:
        subprocess.run([str(part) for part in command], check=True, timeout=600)
    done = subprocess.run([*runner, tmp_path / "forms"], capture_output=True, text=True, timeout=120, check=False)
    found = re.fullmatch(r"(\d+) numbers, (\d+) zeros, (\d+) different\n", done.stdout)
    assert found and int(found[1]) > 10_000
    assert int(found[3]) == 0, done.stdout
    assert done.returncode == 0, done.stdout


def test_no_body_counts_the_bytes_of_a_packed_weight_as_a_float():
    """Packed weights are fs_weight in the bodies, read with w_load: v_load would read float32 in every form."""
    packed = {"accumulate", "dense", "recurrent_block", "recurrent", "recurrent_backward", "recurrent_general_backward"}
    for name in packed:
        text = (SOURCES / "kernels" / f"{name}_inl.h").read_text(encoding="utf-8")
        assert "fs_weight" in text, name
        assert not re.search(r"const float \*(const \*)?w(_x|_h|_c|eights)?\b", text), name
        assert not re.search(r"v_load\((s->)?w(_x|_h|_c)?\b", text), name
    assert not re.search(r"\* 4 [<>]", (SOURCES / "run" / "plan.c").read_text(encoding="utf-8"))


def test_each_form_has_its_list_and_each_row_its_kernel():
    """abi/ops.h, read as text: a row stands in the list of its form, and the library has a step and a kernel of it."""
    text = (SOURCES / "abi" / "ops.h").read_text(encoding="utf-8")
    families = dict(re.findall(r"^#define FS_OPS_([A-Z]+)\(OP\)((?:.*\\\n)*.*)", text, re.M))
    lists = dict(re.findall(r"^#define FS_OPS_([a-z]\w*)\(OP\)((?:.*\\\n)*.*)", text, re.M))
    lists = {form: re.sub(r"FS_OPS_([A-Z]+)\(OP\)", lambda m: families[m[1]], rows) for form, rows in lists.items()}
    (whole,) = re.findall(r"^#define FS_OPS\(OP\)(.*)", text, re.M)
    assert re.findall(r"FS_OPS_(\w+)\(OP\)", whole) == list(lists)
    names = {}
    for form, rows in lists.items():
        for name, said in re.findall(r"OP\(\w+, (\w+), (\w+), ", rows):
            assert said == form, name
            names[name if form == "f32" else f"{name}_{form}"] = f"fs_{form}_{name}__{_native.active_isa()}"
    assert len(names) > 40
    assert {name: _native.kernel_name(number) for name, (number, _, _) in OPERATIONS.items()} == names
