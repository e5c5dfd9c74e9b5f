"""Builds the C core, one static library per instruction set, and the Cython extensions: one links them, one calls it.

Nothing is compiled for the machine it is built on: each instruction set is in a file of its own with its own flags,
and the library chooses when it is loaded.
"""

import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

ROOT = Path(__file__).parent
HEADERS = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "src_c").rglob("*.h"))
SOURCES = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "src_c").rglob("*.c"))
# -ffp-contract=off: a multiply and an add become one fused operation where the source says so and nowhere else, so
# that every instruction set computes the same bits.
COMMON = ["-O3", "-g0", "-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden", "-fPIC"]
ISA_FLAGS = {
    "avx512": ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx2", "-mfma", "-mprefer-vector-width=512"],
    "avx2": ["-mavx2", "-mfma"],
    "neon": [],
    "scalar": [],
}
X86 = platform.machine().lower() in ("x86_64", "amd64")
ARM64 = platform.machine().lower() in ("aarch64", "arm64")


def openmp_flags():
    """Flags of the compiler's OpenMP, or none where a test program does not build: then there is one thread."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()
    for flags in (["-fopenmp"], ["-Xpreprocessor", "-fopenmp", "-lomp"]):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text("#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n")
            command = [*compiler, str(source), "-o", str(Path(folder, "probe")), *flags]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                return flags
    print("fastseq: no OpenMP with this compiler, building for one thread", file=sys.stderr)
    return []


# What tests/sanitizers/run.sh asks for, in FASTSEQ_TEST_BUILD, by comma; a build for people has none of it.
TEST_BUILDS = {
    "address": ["-fsanitize=address"],
    "undefined": ["-fsanitize=undefined", "-fno-sanitize-recover=undefined"],
    # OpenMP's runtime is not built for it, so threads are made as threads.c makes them without. What is local to a
    # thread lies with its stack: else glibc frees it in another thread once this one has ended, and TSan sees a race.
    "thread": ["-fsanitize=thread", "-DFS_PTHREADS", "-pthread", "-ftls-model=initial-exec"],
    "stress": ["-DFS_STRESS"],
}
tested = [name for name in os.environ.get("FASTSEQ_TEST_BUILD", "").split(",") if name]
test_flags = [flag for name in tested for flag in TEST_BUILDS[name]]
if tested:
    test_flags += ["-O1", "-g1", "-fno-omit-frame-pointer"]


def library(name, sources, flags):
    return name, {"sources": sources, "cflags": COMMON + flags + test_flags, "obj_deps": {"": HEADERS}}


isas = ["scalar"] + (["avx2", "avx512"] if X86 else ["neon"] if ARM64 else [])
openmp = [] if "thread" in tested else openmp_flags()
core = "beam cpu_features decode dispatch meeting parallel plan slide team threads turns".split()
core = [f"src_c/{name}.c" for name in core]
# The core comes last: the linker resolves each library's names from those after it.
# Without SLP: it reads in one load what two stores have just written, which the CPU makes wait (4 ns of a small call).
core_flags = ["-fno-tree-slp-vectorize", *(flag for flag in openmp if flag != "-lomp")]
libraries = [library("fastseq_core", core, core_flags)]
libraries += [library(f"fastseq_{isa}", [f"src_c/isa/isa_{isa}.c"], ISA_FLAGS[isa]) for isa in isas]

extension = {
    "include_dirs": ["src_c", numpy.get_include()],
    "define_macros": [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
    "extra_compile_args": ["-O2", "-g0", "-std=gnu11", *test_flags],
    "depends": HEADERS + SOURCES,  # linked again when a library has been built again
}
native = Extension(
    "fastseq._native",
    ["fastseq/_native.pyx"],
    # The core and the kernels name each other, so the core stands on both sides.
    libraries=["fastseq_core", *(f"fastseq_{isa}" for isa in isas), "fastseq_core", "m"],
    extra_link_args=openmp + test_flags,
    **extension,
)
# It reaches the core through _native, which alone links it: there is one active instruction set.
kept = Extension("fastseq._kept", ["fastseq/_kept.pyx"], extra_link_args=test_flags, **extension)
call = Extension("fastseq._call", ["fastseq/_call.pyx"], extra_link_args=test_flags, **extension)
stream = Extension("fastseq._stream", ["fastseq/_stream.pyx"], extra_link_args=test_flags, **extension)
decode = Extension("fastseq._decode", ["fastseq/_decode.pyx"], extra_link_args=test_flags, **extension)

extensions = [native, kept, call, stream, decode]
setup(
    libraries=libraries,
    ext_modules=cythonize(extensions, compiler_directives={"language_level": "3"}, show_all_warnings=True),
)
