"""The NEON kernels, built by a cross compiler and run in an emulator, give the bits of this machine's own kernels."""

import ast
import os
import platform
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from places import ROOT, TESTS

HARNESS = TESTS / "neon"
CROSS_COMPILER, EMULATOR, CROSS_ROOT = "aarch64-linux-gnu-gcc", "qemu-aarch64", "/usr/aarch64-linux-gnu"
X86 = platform.machine().lower() in ("x86_64", "amd64")


def missing():
    """Why this machine cannot run these tests, or None."""
    for program in (CROSS_COMPILER, EMULATOR):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return None if X86 else "there is no instruction set beside NEON to compare with"


pytestmark = [
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
    pytest.mark.slow("builds the core twice, in 100 s of a core"),
]


def setup_flags():
    """COMMON, ISA_FLAGS and FORM_FLAGS as setup.py has them, read without running it."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id in ("COMMON", "ISA_FLAGS", "FORM_FLAGS"):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found["COMMON"], found["ISA_FLAGS"], found["FORM_FLAGS"]


def build(compiler, isas, folder):
    """The harness with the C core and these instruction sets' kernels, as a program in `folder`."""
    common, isa_flags, form_flags = setup_flags()
    core = [path for path in (ROOT / "src_c").rglob("*.c") if not path.name.startswith("isa_")]
    sources = [
        (ROOT / "src_c" / "isa" / f"isa_{isa}.c", form, [*isa_flags[isa], *form_flags[form]])
        for form in form_flags
        for isa in isas
    ]
    sources += [(path, "core", []) for path in (*HARNESS.glob("*.c"), *core)]

    def compiled(job):
        source, kind, flags = job
        target = folder / f"{source.stem}-{kind}.o"
        command = [compiler, *common, "-fopenmp", *flags, f"-I{ROOT / 'src_c'}", "-c", source, "-o", target]
        subprocess.run(command, check=True, timeout=1800)
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compiled, sources))
    program = folder / "kernels"
    subprocess.run([compiler, "-fopenmp", *objects, "-lm", "-o", program], check=True, timeout=1800)
    return program


def outputs(command, isa):
    """What the harness printed: kernel names by <form>_<op>, and hashes by (<form>_<op>, case). Every line must name an
    `isa` kernel."""
    text = subprocess.run([*command, isa], check=True, capture_output=True, text=True, timeout=300).stdout
    kernels, hashes = {}, {}
    for line in text.splitlines():
        first, second, *rest = line.split()
        if first == "kernel":
            kernels[second] = rest[0]
            continue
        kernel, digest = rest
        assert kernel == f"fs_{first}__{isa}"
        assert (first, second) not in hashes, "two cases of one name"
        hashes[first, second] = digest
    return kernels, hashes


@pytest.fixture(scope="module")
def neon(tmp_path_factory):
    program = build(CROSS_COMPILER, ["scalar", "neon"], tmp_path_factory.mktemp("neon"))
    return outputs([EMULATOR, "-L", CROSS_ROOT, program], "neon")


@pytest.fixture(scope="module")
def host_program(tmp_path_factory):
    return build(os.environ.get("CC", "cc").split()[0], ["scalar", "avx2", "avx512"], tmp_path_factory.mktemp("host"))


def test_every_kernel_is_run_and_is_the_neon_one(neon):
    kernels, hashes = neon
    assert kernels == {op: f"fs_{op}__neon" for op in kernels}
    assert {op for op, _ in hashes} == set(kernels)


@pytest.mark.parametrize("isa", ["avx2", "avx512"])
def test_bits_are_those_of(isa, neon, host_program):
    if subprocess.run([host_program, isa], capture_output=True, timeout=300, check=False).returncode == 2:
        pytest.skip(f"this CPU has no {isa}")
    kernels, hashes = outputs([host_program], isa)
    assert kernels.keys() == neon[0].keys()
    assert hashes.keys() == neon[1].keys()
    assert [case for case, digest in hashes.items() if neon[1][case] != digest] == []
