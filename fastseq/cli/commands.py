"""The `fastseq` command: demo, train-demo, inspect, predict, verify.

Exit status: 0 done; 1 `verify` found a difference above the tolerance; 2 bad arguments or a file that cannot be used,
with one line on stderr; 130 after Ctrl-C; 141 when the reader of a pipe went away.
"""

import argparse
import contextlib
import os
import sys
from pathlib import Path

import numpy as np

import fastseq
from fastseq.cli import verification
from fastseq.layers import binding
from fastseq.saving import write
from fastseq.tensors import nest

# What a user's file or argument can raise. Anything else is a bug of ours and keeps its traceback.
_USER_ERRORS = (OSError, ValueError, TypeError, NotImplementedError, MemoryError)


class UsageError(Exception):
    """Ends the command with one line on stderr and status 2."""


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise UsageError(f"{message} (see {self.prog} --help)")


def _at_least_one(text):
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return number


def _seed(text):
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def _tolerance(text):
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0")
    return number


def _parser():
    parser = _Parser(prog="fastseq", description="Runs trained Keras sequence models without TensorFlow.")
    parser.add_argument("--version", action="version", version=f"fastseq {fastseq.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    demo = commands.add_parser("demo", help="run the model that ships with the package", description=cmd_demo.__doc__)
    demo.add_argument("--compare", action="store_true", help="time Keras beside it, if Keras is installed")
    demo.add_argument("--n", type=_at_least_one, default=1000, metavar="N", help="unseen dates to convert (1000)")
    demo.add_argument("--model", metavar="FILE", help="one that train-demo made, instead of the one that ships")
    demo.set_defaults(run=cmd_demo)

    train = commands.add_parser("train-demo", help="train the demo's model", description=cmd_train_demo.__doc__)
    train.add_argument("-o", "--out", default="date_model.keras", metavar="OUT", help="the model (date_model.keras)")
    train.add_argument("--plot", metavar="FILE", help="loss curve: .svg, with matplotlib .png, .pdf ... (beside OUT)")
    train.add_argument("--epochs", type=_at_least_one, metavar="N", help="epochs, of 25,600 new texts each (24)")
    train.add_argument("--seed", type=_seed, metavar="N", help="the same seed trains the same model (2021)")
    train.add_argument("--threads", type=_at_least_one, metavar="N", help="threads to use (those the machine has)")
    train.set_defaults(run=cmd_train_demo)

    inspect = commands.add_parser("inspect", help="show a model's layers and kernels", description=cmd_inspect.__doc__)
    inspect.add_argument("file", metavar="FILE")
    inspect.add_argument("--batch-size", type=_at_least_one, default=1, metavar="B", help="plan for B rows (1)")
    inspect.add_argument("--timesteps", type=_at_least_one, default=100, metavar="T", help="and T steps (100)")
    inspect.set_defaults(run=cmd_inspect)

    predict = commands.add_parser("predict", help="run a model on a file of inputs", description=cmd_predict.__doc__)
    predict.add_argument("file", metavar="FILE")
    predict.add_argument("input", metavar="INPUT", help=".npy, .npz (by input name or in order), .csv (row: sample)")
    predict.add_argument("-o", "--output", metavar="OUT", help=".npy, .npz or .csv; without it, CSV on stdout")
    predict.add_argument("--batch-size", type=_at_least_one, metavar="N", help="rows a call (chosen by size)")
    predict.set_defaults(run=cmd_predict)

    verify = commands.add_parser("verify", help="compare with Keras", description=cmd_verify.__doc__)
    verify.add_argument("file", metavar="FILE")
    verify.add_argument("--tolerance", type=_tolerance, default=1e-5, help="largest difference allowed (1e-5)")
    verify.set_defaults(run=cmd_verify)
    return parser


# ---------------------------------------------------------------------------------------------------------- commands


def cmd_demo(args):
    """Converts dates that the shipped model has not seen, and prints its accuracy and the time per string."""
    from fastseq.demo import MODEL_PATH
    from fastseq.demo.run import run

    path = MODEL_PATH if args.model is None else Path(args.model)
    run(_load(path), path, args.n, args.compare)
    return 0


def cmd_train_demo(args):
    """Trains the demo's model on this machine, prints how many of 5000 unseen dates it gets right, and writes the
    model, and beside it a .json with the losses of every epoch and their curve, an .svg or, where matplotlib is
    installed, a .png. Ctrl-C ends the training and keeps what there is."""
    _check_folder(args.out)
    if Path(args.out).suffix != ".keras":
        raise UsageError(f"{args.out}: the model's name must end in .keras")
    if args.plot is not None:
        _check_folder(args.plot)
    from fastseq.demo import curve, train

    try:
        write.h5py_module()
        if args.plot is not None:
            curve.check(args.plot)
    except ImportError as error:
        raise UsageError(_one_line(error)) from error
    options = {name: getattr(args, name) for name in ("epochs", "seed", "plot") if getattr(args, name) is not None}
    with fastseq.num_threads(args.threads) if args.threads else contextlib.nullcontext():
        return 0 if train.run(args.out, **options) else 130


def cmd_inspect(args):
    """Prints a model's summary and the kernel that each of its layers runs on."""
    model = _load(args.file)
    model.summary(print_fn=print)
    print(f"\nOne call with {args.batch_size} x {args.timesteps} (rows x timesteps, where the model leaves them open):")
    _print_table(("layer", "runs on", "note"), _program_rows(model, args.batch_size, args.timesteps))
    print()
    fastseq.show_config()
    return 0


def cmd_predict(args):
    """Runs a model on the arrays of a file. A .csv row is one sample; a model that reads sequences gets its columns
    cut into timesteps. Without -o the result is printed as CSV, one row a sample."""
    suffix = None
    if args.output is not None:
        suffix = Path(args.output).suffix.lower()
        if suffix not in _WRITERS:
            raise UsageError(f"{args.output}: the output must end in .npy, .npz or .csv")
        _check_folder(args.output)
    if not os.path.exists(args.input):
        raise UsageError(f"{args.input}: no such file")
    model = _load(args.file)
    if suffix in (".npy", ".csv") and len(model.outputs) > 1:
        raise UsageError(f"{args.output}: the model has {len(model.outputs)} outputs, which only an .npz holds")
    inputs = read_inputs(args.input, model)
    outputs = _named_outputs(model, model.predict(inputs, batch_size=args.batch_size))
    if args.output is not None:
        with open(args.output, "wb") as file:
            _WRITERS[suffix](file, outputs)
    else:
        for name, array in outputs.items():
            if len(outputs) > 1:
                print(f"# {name} {array.shape}")
            _save_csv(sys.stdout, {name: array})
    return 0


def cmd_verify(args):
    """Runs random and edge-case inputs through fastseq and Keras. Status 1 if an output differs by more than the
    tolerance, measured against the larger of 1 and that output's largest value; status 2 if Keras is not installed."""
    model = _load(args.file)
    try:
        rows = verification.compare(args.file, model)
    except ImportError as error:
        raise UsageError(_one_line(error)) from error
    worst = max(row.difference for row in rows)
    table = [(r.case, r.output, r.shape, f"{r.difference:.2e}", "" if r.difference <= args.tolerance else "ABOVE")
             for r in rows]  # fmt: skip
    _print_table(("case", "output", "shape", "largest difference", ""), table)
    within = worst <= args.tolerance
    print(f"\n{'The same' if within else 'DIFFERENT'}: {worst:.2e} at most, the tolerance is {args.tolerance:g}.")
    return 0 if within else 1


# ------------------------------------------------------------------------------------------------------------- models


def _load(path):
    # The prefix of a TensorFlow checkpoint names no file, and load_model says what it is.
    if not os.path.exists(path) and not os.path.exists(f"{path}.index"):
        raise UsageError(f"{path}: no such file")
    try:
        return fastseq.load_model(path)
    except _USER_ERRORS as error:
        text = _one_line(error)
        raise UsageError(text if str(path) in text else f"{path}: {text}") from error


def _program_rows(model, batch_size, timesteps):
    """Rows (layer, kernel, note) of the native program for these sizes, where the model leaves them open."""

    def zeros(shape, dtype="float32"):
        rows, *sizes = shape
        sizes = [timesteps if size is None else size for size in sizes]
        return np.zeros([batch_size if rows is None else rows, *sizes], dtype)

    if model._is_python:
        # A class of the user's own: it says the shapes that it was built for, or nothing.
        if model._build_shape is None:
            return [(model.name, "python", "not called yet: which shapes it takes is not known")]
        inputs = nest.map_shapes(zeros, model._build_shape)
    else:
        inputs = verification.packed(model, [zeros(tensor.shape, tensor.dtype) for tensor in model.inputs])
    arguments = binding.convert(model, binding.bind(model, (inputs,), {}))
    program = model._programs.program(model, arguments)
    return program.describe() if program is not None else []


def _named_outputs(model, outputs):
    """What predict returned as ``{name: array}``."""
    if isinstance(outputs, dict):
        return outputs
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return dict(zip(verification.output_names(model), outputs, strict=True))


# -------------------------------------------------------------------------------------------------------------- files


def _check_folder(path):
    """Raises UsageError where a file could not be written: before minutes of work, not after."""
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise UsageError(f"{path}: there is no such folder")
    if Path(path).is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(f"{path}: cannot be written")


def read_inputs(path, model):
    """The arrays of an .npy, .npz or .csv file as `model.predict` wants them: one array, or a list of them.

    Raises `UsageError` for a file that cannot be read or that does not fit the model's inputs. Nothing is unpickled.
    """
    wanted = list(model.inputs)
    suffix = Path(path).suffix.lower()
    if suffix not in (".npy", ".npz", ".csv"):
        raise UsageError(f"{path}: the input must end in .npy, .npz or .csv")
    if os.path.exists(path) and not os.path.isfile(path):
        # A pipe would wait for ever.
        raise UsageError(f"{path}: it is not a file")
    try:
        found = _read_csv(path) if suffix == ".csv" else _read_numpy(path)
    # np.load and np.loadtxt raise nearly anything for a file that is damaged, or not what its name says: TokenError,
    # OverflowError, BadZipFile, zlib.error, RuntimeError ...
    except Exception as error:
        text = _one_line(error)
        if not isinstance(error, (OSError, ValueError, EOFError, MemoryError)):
            text = f"it is damaged, or not what its name says ({type(error).__name__}: {text})"
        raise UsageError(text if text.startswith(f"{path}: ") else f"{path}: {text}") from error
    names = [tensor.name for tensor in wanted]
    if not isinstance(found, dict):
        found = {names[0]: found} if len(names) == 1 else {"": found}
    if set(found) == set(names):
        arrays = [found[name] for name in names]
    elif len(found) == len(names) and not set(found) & set(names):
        arrays = list(found.values())
    else:
        holds = ", ".join(found) if "" not in found else "one array"
        raise UsageError(f"{path}: the model's inputs are {', '.join(names)}; the file holds {holds}")
    if suffix == ".csv":
        arrays = [_fit_csv(path, arrays[0], wanted[0])]
    arrays = [_numbers(path, array, tensor) for array, tensor in zip(arrays, wanted, strict=True)]
    return arrays[0] if len(arrays) == 1 else arrays


def _read_numpy(path):
    # Opened here: np.load leaves a broken archive open.
    with open(path, "rb") as file:
        head = file.read(6)
        # np.load takes any other beginning for a pickle, and advises to load it unsafely.
        if head and head != b"\x93NUMPY" and not head.startswith(b"PK"):
            raise ValueError("it is damaged, or not what its name says: it starts as neither a .npy nor an .npz file")
        file.seek(0)
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return {name: loaded[name] for name in loaded.files}


def _read_csv(path):
    """Numbers ``(N, columns)`` in float64; a first line of names is skipped, `#` starts a comment."""
    with open(path, encoding="utf-8-sig") as file:
        lines = [line for line in (line.split("#")[0].strip() for line in file) if line]
    if not lines:
        raise ValueError("no numbers in it")
    try:
        [float(cell) for cell in lines[0].split(",")]
    except ValueError:
        del lines[0]
    if not lines:
        raise ValueError("no numbers in it")
    return np.loadtxt(lines, delimiter=",", ndmin=2)


def _fit_csv(path, table, tensor):
    """A table ``(N, columns)`` in the shape of one input: as it is, or its columns cut into timesteps."""
    sizes, columns = list(tensor.shape[1:]), table.shape[1]
    if len(sizes) > 1:
        known = int(np.prod([size for size in sizes if size is not None]))
        unknown = sizes.count(None)
        if unknown > 1 or columns % known or (not unknown and columns != known):
            raise UsageError(f"{path}: {columns} columns do not make the shape {tuple(tensor.shape)} of {tensor.name}")
        if unknown and columns == known > 1:
            raise UsageError(
                f"{path}: are these rows {len(table)} sequences of one step, or one sequence of {len(table)} steps? "
                f"Save them as .npy in the shape {tuple(tensor.shape)}"
            )
        table = table.reshape([len(table)] + [columns // known if size is None else size for size in sizes])
    return table


def _numbers(path, array, tensor):
    """The array, whole numbers for ids; UsageError for an array of something else."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise UsageError(f"{path}: {tensor.name} takes numbers, the file holds {kind}")
    if "int" not in str(tensor.dtype) or array.dtype.kind != "f":
        return array
    if not ((array == np.trunc(array)) & (abs(array) < 2**62)).all():
        raise UsageError(f"{path}: {tensor.name} takes whole numbers ({tensor.dtype})")
    return array.astype(np.int64)


def _save_csv(file, outputs):
    for array in outputs.values():
        table = array.reshape(len(array), int(np.prod(array.shape[1:])))
        # Enough digits to read the same number back.
        np.savetxt(file, table, delimiter=",", fmt="%.9g" if array.dtype.itemsize <= 4 else "%.17g")


_WRITERS = {
    ".npy": lambda file, outputs: np.save(file, *outputs.values(), allow_pickle=False),
    ".npz": lambda file, outputs: np.savez(file, **outputs),
    ".csv": _save_csv,
}


# --------------------------------------------------------------------------------------------------------------- text


def _one_line(error):
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def _print_table(heads, rows):
    widths = [max(len(str(line[i])) for line in [heads, *rows]) for i in range(len(heads))]
    for line in [heads, tuple("-" * width for width in widths), *rows]:
        print("  ".join(f"{cell!s:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def main(argv=None):
    """Runs the command line `argv` (`sys.argv` by default) and returns the exit status."""
    if hasattr(sys.stdout, "reconfigure"):
        # A summary's table is drawn with characters that an ASCII terminal lacks.
        sys.stdout.reconfigure(errors="replace")
    try:
        try:
            args = _parser().parse_args(argv)
            status = args.run(args)
        except SystemExit as stop:  # argparse, after --help and --version
            status = stop.code or 0
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # What is still buffered must not raise again when Python closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("fastseq: stopped", file=sys.stderr)
        return 130
    except (UsageError, *_USER_ERRORS) as error:
        print(f"fastseq: error: {_one_line(error)}", file=sys.stderr)
        return 2
