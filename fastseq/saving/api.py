"""load_model, save_model, load_weights, save_weights, from_keras: Keras's names, arguments and meanings.

https://keras.io/api/models/model_saving_apis/
"""

import math

from fastseq.errors import FileFormatError, UnsupportedError
from fastseq.saving.sources import Source
from fastseq.tensors import mask_rules


def load_model(filepath, custom_objects=None, compile=True, safe_mode=True):
    """A model from a `.keras` file, or from a full-model `.h5` of Keras 2 or 3.

    A model of float16, bfloat16 or float64, or of a mixed policy, runs in float32: a warning says so, and the model
    keeps its policies when it is saved again. A LossScaleOptimizer is read as the optimizer inside it. A model of Keras
    1 or 2 computes what Keras computed then: `hard_sigmoid` in such a file is clip(0.2 x + 0.5, 0, 1), the activation
    `hard_sigmoid_keras2`, where Keras 3.15 loads the same file as its own clip(x / 6 + 0.5, 0, 1). Masks are handed on,
    joined and used as in the version of Keras that wrote the file (`mask_rules.MaskRules`).

    Args:
        filepath (str, path, bytes or file): A path, or the file's bytes, or a binary file object, which is read whole
            (Keras takes paths only).
        custom_objects (dict, default None): Name -> class or function of your own, beside the registered ones. A
            function under the name of a Lambda layer, or under "Lambda" for all, takes the place of the file's, which
            is code; it is traced as a layer of your own is.
        compile (bool, default True): Whether to compile the model as it was compiled, and to give the optimizer its
            state. Where the file asks for something that fastseq does not have, a warning says what, and the model is
            not compiled. What the file says is kept in `compile_config`, as data; with False that is None.
        safe_mode (bool, default True): True only: nothing in a file is ever run.

    Returns:
        A Model.

    Raises:
        FileFormatError: Naming the file, the layer and the reason, a broken, truncated or foreign file, and a sound one
            that asks for a class or option fastseq does not have.
        UnsupportedError: safe_mode=False.
        OSError: FileNotFoundError and the like, as `open` does.
        TypeError: A filepath of another type.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/model.keras"
        >>> fastseq.Sequential([layers.Input((None, 3)), layers.GRU(4)]).save(path)
        >>> fastseq.load_model(path).output_shape
        (None, 4)
    """
    if safe_mode is not True:
        raise UnsupportedError(f"safe_mode={safe_mode!r}: nothing in a file is ever run, so there is no unsafe mode.")
    source = Source(filepath)
    if source.kind == "zip":
        return _load_zip(source, custom_objects, compile)
    from fastseq.saving import compile_config, legacy_h5
    from fastseq.saving.hdf5 import H5File

    with H5File(source.content, source.path) as file:
        config, saved = legacy_h5.read_config(file.root)
        version = legacy_h5.keras_version(file.root)
        keras3 = version.split(".", 1)[0] == "3"
        if compile and (compile_config := compile_config.from_training_config(saved, keras3)):
            config["compile_config"] = compile_config
        model = _build(config, custom_objects, source.path, file.size, mask_rules.of_version(version))
        legacy_h5.load(file.root, model)
        if model.optimizer is not None:
            legacy_h5.load_optimizer(file.root, model.optimizer, keras3)
    model.compile_config = saved if compile else None
    return model


def _load_zip(source, custom_objects, compile):
    from fastseq.saving.keras_zip import KerasArchive

    with KerasArchive(source.path, source.data) as archive:
        return load_archive(archive, custom_objects, compile)


def load_archive(archive, custom_objects=None, compile=True):
    """The model of an open KerasArchive; as `load_model`."""
    from fastseq.saving import compile_config, weights_h5
    from fastseq.saving.legacy_config import to_keras3

    config = archive.config()
    version = str(archive.metadata().get("keras_version", ""))
    keras3 = version.split(".", 1)[0] != "2"
    saved = config.get("compile_config")
    config = to_keras3(config, keras3, archive.path)
    config["compile_config"] = (saved if keras3 else compile_config.from_keras2(saved)) if compile else None
    rules = mask_rules.of_version(version)
    with archive.weights() as file:
        model = _build(config, custom_objects, archive.path, file.size, rules)
        skip = []
        if not keras3 and model.optimizer is not None:
            skip = [model.optimizer]
            compile_config.tell_keras2(model.optimizer)
        weights_h5.load(file.root, model, objects_to_skip=skip, as_made=rules != mask_rules.NEWEST)
    model.compile_config = saved if compile else None
    return model


def save_model(model, filepath, overwrite=True, zipped=None, include_optimizer=True, **kwargs):
    """Writes a `.keras` file that Keras 3.15 loads, or its older `.h5`.

    Keras 3.15 gives no optimizer its momenta from .h5, not even from its own files, and cannot train such a model
    before it is compiled again; fastseq reads all of it.

    Args:
        model (Model): What is saved or filled.
        filepath (str, path or file): A path that ends in .keras, .h5 or .hdf5; the file appears complete or not at all.
            Or a binary file object, which gets a whole .keras file in one write(). The folder of an .h5 is made, as
            Keras makes it; no other is.
        overwrite (bool, default True): False raises FileExistsError for an existing file (Keras asks at the terminal).
        zipped (bool, default None): None or True.
        include_optimizer (bool, default True): False leaves out how the model was compiled, and the optimizer's state
            (Keras ignores it in .keras files).
        **kwargs: None are known.

    Raises:
        ValueError: Other formats and arguments.
        FileExistsError: With overwrite=False.
        ImportError: h5py, which writes HDF5, cannot be imported.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> saving.save_model(fastseq.Sequential([layers.Input((None, 3)), layers.GRU(4)]), file)
        >>> saving.load_model(file.getvalue()).count_params()
        108
    """
    from fastseq.saving import write

    if kwargs:
        raise ValueError(f"save_model does not take {sorted(kwargs)}.")
    if zipped is False:
        raise ValueError("zipped=False is not supported: a model is written as one .keras file.")
    filepath = write.target(filepath)
    older = isinstance(filepath, str) and filepath.endswith((".h5", ".hdf5")) and not filepath.endswith(".weights.h5")
    (write.save_model_h5 if older else write.save_model)(model, filepath, overwrite, include_optimizer)


def load_weights(model, filepath, by_name=False, skip_mismatch=False, objects_to_skip=None):
    """Reads weights into `model` from `.weights.h5`, `.keras`, or the older `.h5`; the content decides, not the name.

    A compiled model's optimizer takes its state from the first two of them, if it was built (by training, or by loading
    the model); otherwise it warns, as in Keras. No weight changes unless all could be read. Weights of CuDNNLSTM and
    CuDNNGRU are converted.

    Args:
        model (Model): What is saved or filled.
        filepath (str, path, bytes or file): A path, or the file's bytes, or a binary file object, which is read whole.
        by_name (bool, default False): Whether to match layers by name instead of by order; older HDF5 only.
        skip_mismatch (bool, default False): Whether to warn and leave alone what has another shape.
        objects_to_skip (list, default None): Layers to leave alone; `.weights.h5` and `.keras` only.

    Raises:
        FileFormatError: Naming the file, the layer and the reason.
        ValueError: A model without weights yet, and arguments that the file's format does not know.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/model.weights.h5"
        >>> one = fastseq.Sequential([layers.Input((3,)), layers.Dense(4)])
        >>> saving.save_weights(one, path)
        >>> two = fastseq.models.clone_model(one)
        >>> saving.load_weights(two, path)
        >>> np.array_equal(one.get_weights()[0], two.get_weights()[0])
        True
    """
    from fastseq.saving import legacy_h5, weights_h5
    from fastseq.saving.hdf5 import H5File
    from fastseq.saving.keras_zip import KerasArchive

    if not model.built:
        raise ValueError(f"Model '{model.name}' has no weights yet: call it on an input, or build(input_shape), first.")
    source = Source(filepath)
    path = source.path
    if source.kind == "zip":
        _refuse_by_name(by_name, path)
        with KerasArchive(path, source.data) as archive, archive.weights() as file:
            weights_h5.load(file.root, model, skip_mismatch, objects_to_skip)
        return
    with H5File(source.content, path) as file:
        if legacy_h5.is_legacy_file(file.root):
            if objects_to_skip is not None:
                raise ValueError(f"objects_to_skip does not go with the older HDF5 format of '{path}'.")
            legacy_h5.load(file.root, model, by_name, skip_mismatch)
        elif weights_h5.is_weights_file(file.root):
            _refuse_by_name(by_name, path)
            weights_h5.load(file.root, model, skip_mismatch, objects_to_skip)
        else:
            raise FileFormatError("it is HDF5, but holds no Keras weights", path=path)


def _refuse_by_name(by_name, path):
    if by_name:
        raise ValueError(f"by_name goes with the older HDF5 format only; '{path}' keeps its weights by position.")


def save_weights(model, filepath, overwrite=True):
    """Writes a `.weights.h5` file that Keras 3.15 loads, with the optimizer's state where the model is compiled.

    Args:
        model (Model): What is saved or filled.
        filepath (str, path or file): A path that ends in .weights.h5, or a binary file object.
        overwrite (bool, default True): False raises FileExistsError for an existing file.

    Raises:
        ValueError: Another ending.
        FileExistsError: With overwrite=False.
        ImportError: h5py, which writes HDF5, cannot be imported.

    Example:
        >>> import os, tempfile
        >>> path = tempfile.mkdtemp() + "/model.weights.h5"
        >>> saving.save_weights(fastseq.Sequential([layers.Input((3,)), layers.Dense(4)]), path)
        >>> os.path.exists(path)
        True
    """
    from fastseq.saving import write

    write.save_weights(model, filepath, overwrite)


def from_keras(keras_model, custom_objects=None):
    """A fastseq model with the architecture and the weights of a live Sequential or functional Keras model.

    Args:
        keras_model (keras.Model): A model of Keras 2 or 3 in this process.
        custom_objects (dict, default None): Name -> fastseq class or function for the model's own layers and
            Lambda layers, as `load_model` takes them.

    Returns:
        A Model.

    Raises:
        UnsupportedError: A subclassed model, and a class or option fastseq does not have.

    Example:
        >>> model = fastseq.from_keras(keras_model)  # doctest: +SKIP
    """
    from fastseq.saving import live

    # A model in memory has no file size: its own weights are the measure.
    size = sum(4 * math.prod(variable.shape) for variable in keras_model.weights)
    rules = mask_rules.of_version(live.version_of(keras_model))
    model = _build(live.config_of(keras_model), custom_objects, None, size, rules)
    live.copy_weights(keras_model, model)
    return model


def _build(config, custom_objects, path, size, rules, optimizers_wait=False):
    """The model of a serialized config; whatever goes wrong names the file and, where it can be found, the layer.

    size: bytes of the file that its weights will come from; rules: the MaskRules that its calls follow;
    optimizers_wait: see WeightBudget.
    """
    from fastseq.configs import policies
    from fastseq.configs.serialization import deserialize_keras_object
    from fastseq.configs.shared_objects import ObjectSharingScope
    from fastseq.saving.config_check import check_model_config
    from fastseq.tensors.weight_budget import WeightBudget

    check_model_config(config, path)
    try:
        what = "The model" if path is None else f"File '{path}'"
        with policies.reading(what), ObjectSharingScope(), WeightBudget(size, optimizers_wait), mask_rules.scope(rules):
            model = deserialize_keras_object(config, custom_objects)
    except MemoryError:
        raise
    except Exception as error:
        raise _explain(error, config, custom_objects, path, size) from error
    if not hasattr(model, "saved_tree") or not hasattr(model, "layers"):
        raise FileFormatError(f"it describes a {config['class_name']}, which is not a model", path=path)
    return model


def _explain(error, config, custom_objects, path, size):
    from fastseq.configs import policies
    from fastseq.saving.missing import explanation

    missing = explanation(error, config, custom_objects)
    if missing is not None:
        reason, layer = missing
        if path is None:
            return UnsupportedError(f"Layer '{layer}': {reason}" if layer else reason)
        return FileFormatError(reason, path=path, layer=layer)
    reason = getattr(error, "reason", None) or str(error)[:1000] or type(error).__name__
    with policies.reading(quiet=True):
        layer = getattr(error, "layer", None) or _culprit(config, custom_objects, size)
    if path is None and isinstance(error, (UnsupportedError, NotImplementedError)):
        return UnsupportedError(f"Layer '{layer}': {reason}" if layer else reason)
    return FileFormatError(reason, path=path, layer=layer)


def _culprit(config, custom_objects, size):
    """Name of the layer that cannot be made, or else not be built, from its config alone; or None."""
    return _failing(config, custom_objects, size, ("build_config",)) or _failing(config, custom_objects, size, ())


def _failing(config, custom_objects, size, without):
    from fastseq.configs.serialization import deserialize_keras_object
    from fastseq.ops import files
    from fastseq.tensors.weight_budget import WeightBudget

    for entry in config["config"].get("layers", []):
        inner = entry["config"]
        if files.is_operation(entry):
            continue  # not a layer that the user made
        try:
            with WeightBudget(size):
                deserialize_keras_object({key: entry[key] for key in entry if key not in without}, custom_objects)
        except MemoryError:
            raise
        except Exception:
            nested = isinstance(inner.get("layers"), list)
            deeper = _failing(entry, custom_objects, size, without) if nested else None
            return deeper or entry.get("name") or inner.get("name")
    return None
