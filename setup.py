"""Builds the C core, once for every instruction set, and the Cython extensions: one links it, the others call that one.

Nothing is compiled for the machine it is built on: each instruction set is in a file of its own with its own flags,
and the library chooses when it is loaded.

Objects are made side by side, the longest first, and stay in `build/`, where the next build finds those that have not
changed. The C that Cython writes stays there too.
"""

import hashlib
import itertools
import os
import platform
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

import Cython
import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

if not os.environ.get("CC", "unset").strip():  # empty is none: else the first flag is taken for the compiler
    del os.environ["CC"]
ROOT = Path(__file__).parent
HEADERS = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "src_c").rglob("*.h"))
CYTHON = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "fastseq").rglob("*.p[xy][dx]"))
# -ffp-contract=off: a multiply and an add become one fused operation where the source says so and nowhere else, so
# that every instruction set computes the same bits.
COMMON = ["-O3", "-g0", "-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden", "-fPIC"]
ISA_FLAGS = {
    "avx512": ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx2", "-mfma", "-mprefer-vector-width=512"],
    "avx2": ["-mavx2", "-mfma"],
    "neon": [],
    "scalar": [],
}
# By form of weights: each instruction set's kernels are compiled once for each. One beside float32 names its file in
# FS_WEIGHTS (src_c/kernels/README.md).
FORM_FLAGS = {
    "f32": [],
}
X86 = platform.machine().lower() in ("x86_64", "amd64")
ARM64 = platform.machine().lower() in ("aarch64", "arm64")
ISAS = [*(["avx512", "avx2"] if X86 else ["neon"] if ARM64 else []), "scalar"]
# Without SLP: it reads in one load what two stores have just written, which the CPU makes wait (4 ns of a small call).
CORE_FLAGS = ["-fno-tree-slp-vectorize"]
EXTENSION_FLAGS = ["-O2", "-g0", "-std=gnu11", "-fPIC", "-DNPY_NO_DEPRECATED_API=NPY_1_7_API_VERSION"]

NATIVE = "fastseq.native._native"
EXTENSIONS = [
    NATIVE, "fastseq.native._call", "fastseq.native._kept", "fastseq.native._program", "fastseq.streaming._stream",
    "fastseq.streaming._pool", "fastseq.decoding._decode",
]  # fmt: skip
# What tests/sanitizers/run.sh asks for, in FASTSEQ_TEST_BUILD, by comma; a build for people has none of it.
TEST_BUILDS = {
    "address": ["-fsanitize=address"],
    "undefined": ["-fsanitize=undefined", "-fno-sanitize-recover=undefined"],
    # OpenMP's runtime is not built for it, so threads are made as threads/parallel.c makes them without. What is local
    # to a thread lies with its stack: else glibc frees it in another thread once this one has ended, and TSan sees a
    # race.
    "thread": ["-fsanitize=thread", "-DFS_PTHREADS", "-pthread", "-ftls-model=initial-exec"],
    "stress": ["-DFS_STRESS"],
    "serial": [],  # as where the compiler has no OpenMP
}
tested = [name for name in os.environ.get("FASTSEQ_TEST_BUILD", "").split(",") if name]
TEST_FLAGS = [flag for name in tested for flag in TEST_BUILDS[name]]
if tested:
    TEST_FLAGS += ["-O1", "-g1", "-fno-omit-frame-pointer"]

NO_COMPILER = (
    "fastseq needs a C compiler (gcc or clang), and {what}: install one (Debian, Ubuntu: apt-get install gcc "
    "libc6-dev; Fedora: dnf install gcc; macOS: xcode-select --install), or name yours in the environment variable CC."
)
NO_HEADERS = (
    "fastseq needs the C headers of this Python {version}, and the compiler does not find Python.h: install them "
    "(Debian, Ubuntu: apt-get install python3-dev; Fedora: dnf install python3-devel)."
)
NO_OPENMP = (
    "this compiler has no OpenMP, so this build computes on one thread (Debian, Ubuntu: apt-get install libgomp1, for "
    "clang libomp-dev; macOS: brew install libomp)."
)


def say(text):
    """One line of what the build does; `pip install -v` shows it."""
    print(f"fastseq: {text}", flush=True)


class Failed(Exception):
    """A program of the build ended with an error, or is not there."""


def run(command):
    """Runs one program of the build."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError as error:
        raise Failed(f"{command[0]} does not run ({error.strerror})") from None
    if done.returncode:
        raise Failed(f"{shlex.join(map(str, command))}\n{done.stdout}{done.stderr}")
    if done.stderr:
        print(done.stderr, file=sys.stderr, flush=True)  # warnings


def builds(compiler, flags, *headers):
    """Whether a program with these headers builds, and what the compiler said last where it does not."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        lines = [*(f"#include <{header}>" for header in headers), "int main(void) { return 0; }", ""]
        source.write_text("\n".join(lines), encoding="utf-8")
        try:
            run([*compiler, str(source), "-o", str(Path(folder, "probe")), *flags])
        except Failed as error:
            return False, str(error).strip().splitlines()[-1]
    return True, ""


def check_compiler(compiler, include_dirs):
    """Ends the build with one sentence where there is no C compiler, or no Python to compile for."""
    if shutil.which(compiler[0]) is None:
        raise SystemExit(NO_COMPILER.format(what=f"there is no {compiler[0]}"))
    fine, message = builds(compiler, [], "math.h", "stdint.h", "stdlib.h")
    if not fine:
        raise SystemExit(NO_COMPILER.format(what=f"{compiler[0]} builds no program ({message})"))
    if not builds([*compiler, "-c"], [f"-I{path}" for path in include_dirs], "Python.h")[0]:
        raise SystemExit(NO_HEADERS.format(version=platform.python_version()))


def openmp_flags(compiler):
    """Flags of the compiler's OpenMP, or none where a program does not build with them: then there is one thread."""
    if "thread" in tested or "serial" in tested:
        return []
    for flags in (["-fopenmp"], ["-Xpreprocessor", "-fopenmp", "-lomp"]):
        if builds(compiler, flags, "omp.h")[0]:
            return flags
    say(NO_OPENMP)
    return []


def kernels_of(isa):
    """The source of an instruction set's kernels."""
    return f"src_c/isa/isa_{isa}.c"


def core_sources():
    """The sources of the core but for the kernels, which every instruction set compiles with flags of its own."""
    kernels = {kernels_of(isa) for isa in ISA_FLAGS}
    found = {str(path.relative_to(ROOT)) for path in (ROOT / "src_c").rglob("*.c")}
    return sorted(found - kernels)


def sources():
    """The digest by which `fastseq.native.built` knows extensions of other sources."""
    built = runpy.run_path(str(ROOT / "fastseq" / "native" / "built.py"))
    return built["sources_in"](str(ROOT / "fastseq"))


def cores():
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Build(build_ext):
    """build_ext for all objects of the core and of the extensions together."""

    def build_extensions(self):
        """Compiles what has changed, on all cores, and links the extensions."""
        start = time.monotonic()
        if os.name != "posix":
            raise SystemExit("fastseq builds on Linux and macOS only.")
        compiler = list(self.compiler.compiler_so)  # with CC and CFLAGS of the environment
        check_compiler(self.compiler.compiler, self.include_dirs)
        openmp = openmp_flags(self.compiler.compiler)
        jobs = []
        for form, isa in itertools.product(FORM_FLAGS, ISAS):
            flags = [*COMMON, *ISA_FLAGS[isa], *FORM_FLAGS[form], *TEST_FLAGS]
            jobs.append((kernels_of(isa), [*compiler, *flags, "-Isrc_c"], HEADERS))
        version = f'-DFASTSEQ_VERSION="{self.distribution.get_version()}"'
        extensions = [*compiler, *EXTENSION_FLAGS, version, *TEST_FLAGS, "-Isrc_c"]
        extensions += [f"-I{path}" for path in (numpy.get_include(), *self.include_dirs)]
        for extension in self.extensions:
            own = [f'-DFASTSEQ_SOURCES="{sources()}"'] if extension.name == NATIVE else []
            jobs.append((extension.sources[0], [*extensions, *own], [*HEADERS, *CYTHON]))
        compiled = [flag for flag in openmp if flag != "-lomp"]
        core = [*compiler, *COMMON, *CORE_FLAGS, *compiled, *TEST_FLAGS, "-Isrc_c"]
        jobs += [(source, core, HEADERS) for source in core_sources()]
        targets = [self.object_of(source, command) for source, command, _ in jobs]
        made = list(zip(jobs, targets, strict=True))
        old = [(job, target) for job, target in made if self.force or outdated(target, [job[0], *job[2]])]
        workers = max(1, min(self.parallel or cores(), len(jobs)))
        say(f"compiling {len(old)} of {len(jobs)} C objects (kernels for {', '.join(ISAS)}) on {workers} core(s) ...")
        in_parallel(workers, [lambda job=job, target=target: compile_one(*job[:2], target) for job, target in old])
        natives = [target for (source, *_), target in made if source.startswith("src_c/")]
        of_extensions = {source: target for (source, *_), target in made if source.endswith(".pyx")}
        for extension in self.extensions:
            # The core is in _native alone, and the others reach it through that: there is one active instruction set.
            objects = [of_extensions[extension.sources[0]], *(natives if extension.name == NATIVE else [])]
            libraries = ["-lm", *openmp] if extension.name == NATIVE else []
            self.link(extension, objects, [*libraries, *TEST_FLAGS])
        say(f"built in {time.monotonic() - start:.0f} s.")

    def object_of(self, source, command):
        """The object of a source, in a folder for this compiler with these flags; those of Cython also by Python's."""
        # pip's folders have other names every time, and each Python other warnings.
        key = [flag for flag in command if not flag.startswith(("-I", "-W", "-DFASTSEQ_SOURCES"))]
        if source.endswith(".pyx"):
            key += [sysconfig.get_config_var("EXT_SUFFIX"), numpy.__version__, Cython.__version__]
        digest = hashlib.sha256("\0".join(key).encode()).hexdigest()
        return Path("build", "objects", digest[:12], "-".join(Path(source).with_suffix(".o").parts[1:]))

    def link(self, extension, objects, flags):
        """Links to where setuptools looks for the extension, beside the sources in an editable build."""
        target = Path(self.get_ext_fullpath(extension.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            run([*self.compiler.linker_so, *map(str, objects), *flags, "-o", str(target)])
        except Failed as error:
            raise SystemExit(f"fastseq: an extension cannot be linked: {error}") from None


def outdated(target, sources):
    """Whether `target` is older than one of its sources, or not there."""
    return not target.exists() or any(Path(source).stat().st_mtime > target.stat().st_mtime for source in sources)


def compile_one(source, command, target):
    """Makes one object; a .pyx goes through C first. It appears whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.endswith(".pyx"):
        written = target.with_suffix(".c")
        run([sys.executable, "-m", "cython", "-3", "-Wextra", source, "-o", str(written)])
        source = str(written)
    part = target.with_suffix(".part.o")
    run([*command, "-c", source, "-o", str(part)])
    part.replace(target)


def in_parallel(workers, jobs):
    """Runs the jobs in their order, `workers` at a time. The first that fails ends the build with what it printed."""
    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(job) for job in jobs]
        done, waiting = wait(running, return_when=FIRST_EXCEPTION)
        for job in waiting:
            job.cancel()
    for job in done:
        if isinstance(job.exception(), Failed):
            raise SystemExit(f"fastseq: a C object cannot be compiled: {job.exception()}") from None
        if not job.cancelled():
            job.result()


if __name__ == "__main__":
    setup(
        ext_modules=[Extension(name, [f"{name.replace('.', '/')}.pyx"]) for name in EXTENSIONS],
        cmdclass={"build_ext": Build},
    )
