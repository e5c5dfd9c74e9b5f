"""Reads thousands of damaged and hostile model files, always the same ones, and says what came of it.

    python tests/support/file_fuzzer.py                       2,000 files
    python tests/support/file_fuzzer.py --count 20000
    python tests/support/file_fuzzer.py --only 1234 --keep x  file 1234 again, kept as x

Every file is read or refused with the documented error; nothing else of the process is touched: no crash, no hang, no
memory beyond what goes with a file, no import, no other file opened, no process started, no weight half loaded, no file
left open. Status 1 where something of this does not hold. Needs h5py, and neither Keras nor TensorFlow.
"""

import argparse
import importlib
import json
import os
import pkgutil
import random
import resource
import select
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings

CPU_SECONDS, SILENCE_SECONDS = 20, 120
# 64 MiB of weights are let through for any file, five times as much for an optimizer, and 1 GiB of states.
PEAK_BYTES, ADDRESSES = 600 << 20, 4 << 30
_PACKAGES = ("fastseq", "numpy", "encodings")


class Hang(BaseException):
    pass


class Watch:
    """What the process does behind the back of the reader, from an audit hook."""

    def __init__(self):
        self.on, self.seen, self.allowed = False, [], ()
        sys.addaudithook(self.hear)

    def hear(self, event, args):
        if not self.on:
            return
        if event == "import":
            if args[0].split(".", 1)[0] not in (*_PACKAGES, *sys.stdlib_module_names):
                self.seen.append(f"import {args[0]}")
            elif args[0] in ("antigravity", "this") or args[0].startswith("idlelib"):
                self.seen.append(f"import {args[0]}")
        elif event == "open":
            path = os.fspath(args[0]) if not isinstance(args[0], int) else ""
            if path and not str(path).startswith(self.allowed):
                self.seen.append(f"open {path!r}")
        elif event.startswith(("os.", "subprocess.", "socket.", "ctypes.", "shutil.", "pickle.", "urllib.", "exec")):
            if event not in ("os.listdir", "os.scandir", "os.putenv"):
                self.seen.append(f"{event} {str(args)[:100]}")


class Worker:
    """Runs files one after the other and writes a line before each, and one for each finding."""

    def __init__(self, seed, keep=None):
        import fuzzed_files

        self.files, self.seed, self.keep = fuzzed_files, seed, keep
        self.seeds = fuzzed_files.seeds()
        self.folder = tempfile.mkdtemp()
        self.watch = Watch()
        self.watch.allowed = (self.folder, *(os.path.realpath(p) for p in sys.path if p), sys.prefix, sys.base_prefix,
                              "/dev/urandom", "/proc/")  # fmt: skip
        self.outcomes = {}
        signal.signal(signal.SIGPROF, self._give_up)
        self._warm_up()

    def _give_up(self, *_):
        raise Hang

    def _warm_up(self):
        """Imports what reading needs, and sets the bound on addresses."""
        import fastseq.saving

        for module in pkgutil.walk_packages(fastseq.saving.__path__, "fastseq.saving."):
            importlib.import_module(module.name)  # some are imported where they are first needed
        last = {seed.kind: seed for seed in self.seeds}
        for seed in (*last.values(), *(seed for seed in self.seeds if seed.name == "merges.keras")):
            outcome = self._read(seed, self._path(seed, seed.data), random.Random(0))
            assert outcome == "read", f"{seed.name} itself is {outcome}"
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + ADDRESSES, resource.RLIM_INFINITY))

    def _path(self, seed, data):
        name = {"backup": "latest.npz", "inputs": seed.name}.get(seed.kind, "m.file")
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def run(self, index):
        """What went wrong with file number `index`: a list of texts."""
        rng = random.Random(f"{self.seed}/{index}")
        seed = rng.choice(self.seeds)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = self.files.changed(rng, seed)
        path = self._path(seed, data)
        if self.keep:
            with open(self.keep, "wb") as file:
                file.write(data)
        files, peak = len(os.listdir("/proc/self/fd")), self._peak(reset=True)
        self.watch.seen.clear()
        said, found = [], []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
            self.watch.on = True
            try:
                outcome = self._read(seed, path, rng)
            except Hang:
                outcome = f"no end after {CPU_SECONDS} s of CPU time"
            except BaseException as error:
                self.watch.on = False
                outcome = f"{type(error).__name__}: {str(error)[:300]} {_where(error)}"
            self.watch.on = False
            signal.setitimer(signal.ITIMER_PROF, 0)
            said = [str(item.message) for item in caught if issubclass(item.category, ResourceWarning)]
        if outcome not in ("read", "refused"):
            found.append(outcome)
        found += self.watch.seen[:3]
        found += [f"ResourceWarning: {text}" for text in said[:1]]
        if len(os.listdir("/proc/self/fd")) != files:
            found.append("a file stays open")
        if self._peak() > peak + PEAK_BYTES:
            found.append(f"{(self._peak() - peak) >> 20} MiB of memory")
        key = f"{seed.kind} {outcome}" if outcome in ("read", "refused") else "wrong"
        self.outcomes[key] = self.outcomes.get(key, 0) + 1
        return [f"{seed.name}: {text}" for text in found]

    @staticmethod
    def _peak(reset=False):
        """Bytes of memory at the most since the last reset."""
        # Where it may not be reset, what is above all that was before is seen.
        if reset and os.access("/proc/self/clear_refs", os.W_OK):
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmHWM"))

    # ---- reading -----------------------------------------------------------------------------------------------------

    def _read(self, seed, path, rng):
        """ "read" or "refused", as documented; raises where it is something else."""
        if seed.kind == "backup":
            return self._restore(path)
        if seed.kind == "inputs":
            return self._read_inputs(seed, path)
        if seed.kind == "weights" or rng.random() < 0.3:
            return self._read_weights(seed, path)
        return self._read_model(path, rng)

    def _read_model(self, path, rng):
        import fastseq

        try:
            if rng.random() < 0.2:
                with open(path, "rb") as file:
                    model = fastseq.load_model(file)
            else:
                model = fastseq.load_model(path, compile=rng.random() < 0.8)
        except fastseq.errors.FileFormatError as error:
            assert error.path == path and path in str(error), f"{error} does not name its file"
            return "refused"
        model.get_weights()
        model.get_config()
        self._call(model)
        return "read"

    @staticmethod
    def _call(model):
        """A model that was read runs, or says why not."""
        import math

        import numpy as np

        shapes = [[size or 2 for size in tensor.shape] for tensor in model.inputs]
        if sum(math.prod(shape) for shape in shapes) > 10**4:
            return
        try:
            model.predict([np.ones(shape, tensor.dtype) for shape, tensor in zip(shapes, model.inputs)], verbose=0)
        except (ValueError, MemoryError):
            pass

    def _read_weights(self, seed, path):
        import numpy as np

        from fastseq.errors import FileFormatError

        model = seed.model
        kept = [variable.numpy() for variable in model.optimizer.variables] if model.optimizer is not None else []
        for variable in model.weights:
            variable.assign(np.full(variable.shape, 7.25, np.float32))
        untouched = [bool((weight == 7.25).all()) for weight in model.get_weights() if weight.size]
        assert all(untouched)
        try:
            model.load_weights(path)
        except FileFormatError as error:
            assert error.path == path, f"{error} does not name its file"
            after = [bool((weight == 7.25).all()) for weight in model.get_weights() if weight.size]
            assert all(after), "refused, and weights have changed"
            if kept:
                now = [variable.numpy() for variable in model.optimizer.variables]
                assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(kept, now)), "the optimizer changed"
            return "refused"
        after = [bool((weight == 7.25).all()) for weight in model.get_weights() if weight.size]
        assert not any(after), "read, and weights are left"
        return "read"

    def _restore(self, path):
        import numpy as np

        from fastseq import callbacks
        from fastseq.errors import FileFormatError

        model = self.files.trained_model()
        model.optimizer.build(model.trainable_variables)
        listed = self.files.backup_callbacks(self.folder)

        def everything():
            store = dict(enumerate(model.get_weights()))
            model.optimizer.save_own_variables(store)
            found = [np.array(value) for value in (*store.values(), *model.get_training_state().values())]
            return [*found, *listed[0].get_state().values(), np.array([model._initial_epoch, model._initial_batch])]

        before = everything()
        try:
            callbacks.CallbackList(listed, model=model).on_train_begin()
        except ValueError as error:
            assert path in str(error) or not isinstance(error, FileFormatError), f"{error} does not name its file"
            same = [np.array_equal(a, b) for a, b in zip(before, everything(), strict=True)]
            assert all(same), "refused, and half restored"
            return "refused"
        assert not np.array_equal(before[0], model.get_weights()[0]), "read, and weights are left"
        return "read"

    def _read_inputs(self, seed, path):
        from fastseq.cli import commands

        try:
            found = commands.read_inputs(path, seed.model)
        except commands.UsageError as error:
            assert path in str(error), f"{error} does not name its file"
            return "refused"
        try:
            seed.model.predict(found) if found.size < 10**6 else None
        except (TypeError, ValueError):
            return "refused"
        return "read"


def _where(error):
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(f"{os.path.basename(frame.filename)}:{frame.lineno}" for frame in reversed(frames))


def work(arguments):
    worker = Worker(arguments.seed, arguments.keep)
    for index in range(arguments.first, arguments.last):
        print(json.dumps(index), flush=True)
        for text in worker.run(index):
            print(json.dumps([index, text]), flush=True)
    print(json.dumps(worker.outcomes), flush=True)


def fuzz(first, last, seed=0, keep=None, say=print):
    """(findings, outcomes) of the files `first` to `last` - 1: a list of (index, text), and how many came to what.

    The files are read in a process of their own, so that a crash is a finding, and a new one goes on behind it.
    """
    findings, outcomes = [], {}
    while first < last:
        command = [sys.executable, os.path.abspath(__file__), "--work", str(first), str(last), "--seed", str(seed)]
        command += ["--keep", keep] if keep else []
        environment = {**os.environ, "FASTSEQ_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            at, lines = None, b""
            while True:
                ready, _, _ = select.select([process.stdout], [], [], SILENCE_SECONDS)
                part = os.read(process.stdout.fileno(), 1 << 16) if ready else b""
                if not ready:
                    process.kill()
                if not part:
                    break
                lines += part
                *whole, lines = lines.split(b"\n")
                for line in map(json.loads, whole):
                    if isinstance(line, int):
                        at = line
                        if at % 1000 == 0 and at > first:
                            say(f"{at} files")
                    elif isinstance(line, list):
                        findings.append(tuple(line))
                        say(f"file {line[0]}: {line[1]}")
                    else:
                        outcomes = {key: outcomes.get(key, 0) + line.get(key, 0) for key in {**outcomes, **line}}
                        at = last
        if at == last:
            break
        what = f"the process ended with {process.returncode}" if ready else f"no word for {SILENCE_SECONDS} s"
        findings.append((at, what))
        say(f"file {at}: {what}")
        if at is None:
            break
        first = at + 1
    return findings, outcomes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, metavar="INDEX")
    parser.add_argument("--keep", metavar="PATH")
    parser.add_argument("--work", type=int, nargs=2, metavar=("FIRST", "LAST"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        arguments.first, arguments.last = arguments.work
        work(arguments)
        return 0
    first, last = (0, arguments.count) if arguments.only is None else (arguments.only, arguments.only + 1)
    findings, outcomes = fuzz(first, last, arguments.seed, arguments.keep)
    for key in sorted(outcomes):
        print(f"{outcomes[key]:6} {key}")
    print(f"{last - first} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
