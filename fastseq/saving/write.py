"""Writes `.keras`, `.weights.h5` and the older `.h5` as Keras 3.15 reads them, with h5py: it alone uses libhdf5.

h5py only writes, and what it writes begins in this process: no byte of a file is ever given to it.
"""

import datetime
import errno
import io
import json
import os
import uuid
import warnings
import zipfile

from fastseq import requirements
from fastseq.configs import registry
from fastseq.errors import UnsupportedError
from fastseq.saving import keras_zip, mask_differences
from fastseq.saving.sharing import mark_shared
from fastseq.saving.weights_h5 import walk, walk_optimizers

# The version whose format this is; Keras keeps it for information.
KERAS_VERSION = "3.15.1"


def save_model(model, path, overwrite=True, include_optimizer=True):
    """Writes `model` to the file `path`, which ends in .keras. include_optimizer: False leaves out all of `compile`.

    path: what `target` gave.
    Warns of a layer and of an option that Keras 3 does not have (LocallyConnected1D, Nadam's schedule_decay), and where
    Keras 3.15 will compute a model of an older Keras differently, by its own rules of masks. Raises ValueError for
    another ending or a model that has no weights yet, UnsupportedError for one with an activation that Keras 3 does not
    have, FileExistsError for an existing file when overwrite is False, ImportError without h5py.
    """
    _check(model, path, ".keras", overwrite)
    mask_differences.tell(model)
    if include_optimizer:
        _tell_own_options(model.optimizer)
    put(path, _archive(model, include_optimizer))


def _archive(model, include_optimizer):
    """A function that writes the `.keras` file, which is made by then, to a file object."""
    config = _config(model)
    if not include_optimizer:
        _leave_out_compiling(config)
    mark_shared(config, model)
    config = json.dumps(config)
    date = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    metadata = json.dumps({"keras_version": KERAS_VERSION, "date_saved": date})
    weights = _weights(model, include_optimizer)

    def write(file):
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(keras_zip.METADATA, metadata)
            archive.writestr(keras_zip.CONFIG, config)
            archive.writestr(keras_zip.WEIGHTS, weights)

    return write


def save_model_h5(model, path, overwrite=True, include_optimizer=True):
    """Writes `model` to the file `path`, which ends in .h5 or .hdf5, in the older full-model format. As `save_model`.

    A layer that stands in two places becomes two layers there, as it does where Keras writes this format.
    """
    from fastseq.saving import legacy_h5

    _check(model, path, (".h5", ".hdf5"), overwrite, makes_folder=True)
    mask_differences.tell(model)
    if include_optimizer:
        _tell_own_options(model.optimizer)
    config = _config(model)
    whole = _hdf5(lambda root: legacy_h5.write(root, model, config, KERAS_VERSION, include_optimizer))
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    put(path, lambda file: file.write(whole))


def save_weights(model, path, overwrite=True):
    """Writes the weights of `model` to the file `path`, which ends in .weights.h5. Raises as `save_model` does."""
    path = target(path)
    _check(model, path, ".weights.h5", overwrite)
    weights = _weights(model)
    put(path, lambda file: file.write(weights))


def _config(model):
    from fastseq.configs.serialization import serialize_keras_object

    config = serialize_keras_object(model)
    _check_activations(config)
    _tell_own_layers(config)
    return config


def _leave_out_compiling(config):
    """Takes out of a model's config (changed in place) how it, and models in it, were compiled."""
    if config.get("compile_config"):
        config["compile_config"] = {}
    for entry in config["config"].get("layers", ()):
        if isinstance(entry.get("config"), dict):
            _leave_out_compiling(entry)


def _check_activations(config):
    """Raises UnsupportedError where a layer's activation is fastseq's alone: Keras would refuse the file."""
    todo = [config]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            for key in ("activation", "recurrent_activation"):
                if item.get(key) == "hard_sigmoid_keras2":
                    raise UnsupportedError(
                        f"Layer '{item.get('name')}' has {key}='hard_sigmoid_keras2', the clip(0.2 x + 0.5, 0, 1) of "
                        "Keras 2, which Keras 3 does not have: no .keras file can hold it. Keep the file of Keras 2, "
                        "or save the weights alone with save_weights()."
                    )
            todo.extend(item.values())
        elif isinstance(item, (list, tuple)):
            todo.extend(item)


def _tell_own_options(optimizer):
    """Warns of an optimizer's option that Keras 3 does not have."""
    decay = getattr(optimizer, "schedule_decay", 1.0)
    if decay != 1:
        warnings.warn(
            f"Optimizer '{optimizer.name}' has schedule_decay={decay}, which Keras 3 does not have: fastseq loads the "
            "file, Keras with compile=False only. save(..., include_optimizer=False) leaves the optimizer out.",
            stacklevel=5,
        )


def _tell_own_layers(config):
    """Warns of layers that Keras 3 does not have: the file is good for fastseq, but not as it is for Keras."""
    from fastseq.configs.tables import is_in_keras

    todo = [config]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            if item.get("module") == "fastseq.layers" and not is_in_keras(item.get("class_name")):
                name = item["registered_name"]
                warnings.warn(
                    f"Layer '{item['config'].get('name')}' is a {item['class_name']}, which Keras 3 does not have: "
                    "fastseq reads this file, Keras 3 only with a class of your own in "
                    f"custom_objects={{'{name}': ...}}.",
                    stacklevel=6,
                )
            if item.get("class_name") == "Lambda" and item.get("module") == "keras.layers":
                _tell_lambda(item["config"])
            todo.extend(item.values())
        elif isinstance(item, (list, tuple)):
            todo.extend(item)


def _tell_lambda(config):
    """Warns that the functions of a Lambda layer are not in the file, but for those that are registered."""
    names = [config[key]["config"] for key in ("function", "mask") if key in config]
    names = [name for name in names if name not in registry.get_custom_objects()]
    if names:
        given = ", ".join(f"'{name}': ..." for name in names)
        warnings.warn(
            f"Layer '{config.get('name')}' is a Lambda, whose function is not in the file: fastseq and Keras read it "
            f"with custom_objects={{{given}}}.",
            stacklevel=7,
        )


def target(filepath):
    """What to write to: a path as str, or the binary file object that was given. Raises TypeError for all else."""
    if hasattr(filepath, "write"):
        return filepath
    try:
        return os.fsdecode(os.fspath(filepath))
    except TypeError:
        raise TypeError(
            f"A model is written to a path or to an open binary file, got {type(filepath).__name__}."
        ) from None


def _check(model, path, ending, overwrite, makes_folder=False):
    """Raises what `save_model` raises, before anything is made."""
    _check_built(model)
    if not isinstance(path, str):
        return
    if not path.endswith(ending):
        endings = " or ".join(repr(item) for item in ([ending] if isinstance(ending, str) else ending))
        older = " or, for the older format, '.h5' or '.hdf5'" if ending == ".keras" else ""
        raise ValueError(f"The file's name must end in {endings}{older}, got '{path}'.")
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, "There is a folder where the file should be", path)
    folder = os.path.dirname(path)
    if folder and not os.path.isdir(folder) and not makes_folder:
        if os.path.exists(folder):
            raise NotADirectoryError(errno.ENOTDIR, "This is not a folder to save into", folder)
        raise FileNotFoundError(errno.ENOENT, "There is no such folder to save into", folder)
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"'{path}' exists and overwrite=False.")


def _check_built(model):
    if not model.built:
        raise ValueError(f"Model '{model.name}' has no weights yet: call it on an input, or build(input_shape), first.")


def _weights(model, include_optimizer=True):
    """The weights, and the states of optimizers, as the bytes of an HDF5 file."""

    def write(root):
        for path, owner, variables in walk(model):
            group = root.create_group(f"{path}/vars" if path else "vars")
            group.attrs["name"] = owner
            for index, variable in enumerate(variables):
                group[str(index)] = variable.numpy()
        for path, optimizer in walk_optimizers(model) if include_optimizer else ():
            group = root.create_group(f"{path}/vars")
            group.attrs["name"] = optimizer.name
            optimizer.save_own_variables(group)

    return _hdf5(write)


def h5py_module():
    """h5py, first imported here. Raises ImportError, naming it, where it cannot be imported."""
    return requirements.load("h5py", "Writing a Keras file")


def _hdf5(write):
    """The bytes of an HDF5 file that `write(root)` fills."""
    h5py = h5py_module()
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        write(file)
    return memory.getvalue()


def put(path, write):
    """`write(file)` fills a binary file, which takes the place of `path` or goes into it where it is a file object."""
    if isinstance(path, str):
        replace(path, write)
        return
    memory = io.BytesIO()
    write(memory)
    data = memory.getvalue()
    try:
        while data:
            # A raw file may take only a part of the bytes; other objects do not say how many they took.
            written = path.write(data)
            data = data[written:] if isinstance(written, int) else b""
            if written == 0:
                raise OSError(f"{path!r} takes no more bytes: {len(data)} of a model are left.")
    except TypeError as error:
        raise TypeError(f"A model is written to a file of bytes, {path!r} takes none: open it with 'wb'.") from error


# A name may have 255 bytes; a letter takes up to four, and the ending of the file that is written beside takes 14.
_LONGEST_NAME = 60


def replace(path, write):
    """`write(file)` fills a binary file beside `path` that takes its place when whole, and disappears when it is not.

    Raises OSError, with `path` as its file's name, where none can be made there.

    One frame, no methods of a context manager: Python runs a signal's handler where a function begins and after a call,
    and neither lies between the end of the `try` and the call that removes the file.
    """
    folder, name = os.path.split(path)
    beside = os.path.join(folder, f"{name[:_LONGEST_NAME]}.{uuid.uuid4().hex[:8]}.part")
    try:
        with open(beside, "xb") as file:
            write(file)
        os.replace(beside, path)
    except OSError as error:
        # The error would name the file that is written beside, which the caller does not know.
        if error.filename == beside:
            raise type(error)(error.errno, error.strerror, os.fspath(path)) from error
        raise
    finally:
        try:
            os.unlink(beside)
        except OSError as error:
            # It is in its place, or was never made. What else comes is a handler's: TimeoutError is an OSError.
            if error.filename != beside:
                raise
