"""Operations in model files: entries of Keras's Operation classes, which are data, looked up in a closed table.

An entry is {"module", "class_name", "config", "registered_name", "name", "inbound_nodes"}; its options stand in
`config`, and the tensors and constants of each call among `inbound_nodes`, as {"args", "kwargs"}.
"""

import importlib
import inspect

from fastseq.errors import UnsupportedError
from fastseq.ops import saved_options
from fastseq.ops.saved_options import as_tuples
from fastseq.tensors.naming import to_snake_case
from fastseq.tensors.symbolic import is_symbolic

_OPS = "fastseq.ops"
_BESIDE_ACTIVATIONS = "keras.src.activations.activations"
#: Classes whose function has another name than theirs.
_FUNCTIONS = {"CDist": "cdist", "CTCDecode": "ctc_decode",
              "CTCLoss": "ctc_loss", "AllClose": "allclose", "FFT": "fft", "FFT2": "fft2", "IFFT2": "ifft2",
              "IRFFT": "irfft", "ISTFT": "istft", "RFFT": "rfft", "STFT": "stft", "IsIn": "isin", "SearchSorted":
              "searchsorted", "PSNR": "psnr", "SVD": "svd", "BatchNorm": "batch_normalization", "LayerNorm":
              "layer_normalization", "RMSNorm": "rms_normalization"}  # fmt: skip
# Options of Keras that change nothing in what fastseq computes: each with the values that it may have.
_MEANINGLESS = {"dtype": (None,), "sparse": (False,), "synchronized": (False,), "flash_attention": (None, False)}


def definition_of(class_name, module=None):
    """The Definition of a class name that a file has, None where there is none of the name, or not in that module."""
    if not isinstance(class_name, str):
        return None
    if module == _BESIDE_ACTIVATIONS or (module is None and class_name == "ReLU"):
        classes = importlib.import_module(f"{_OPS}.activation_classes")
        return classes.relu.definition if class_name == "ReLU" else None
    ops = importlib.import_module(_OPS)
    name = _FUNCTIONS.get(class_name, to_snake_case(class_name))
    found = getattr(getattr(ops, name, None), "definition", None) if name in ops.__all__ else None
    if found is None or found.class_name != class_name or module not in (None, found.module):
        return None
    return found


def is_operation_module(module):
    """True for Keras's modules of operations that are no layers."""
    return isinstance(module, str) and (module.startswith("keras.src.ops.") or module == _BESIDE_ACTIVATIONS)


def is_operation(entry):
    """True for a layer entry of a config that is no layer but one of Keras's operations."""
    if "module" in entry:
        return is_operation_module(entry["module"])
    # Keras 3's older HDF5 format names no module. A layer of the same name has more in its config than the operation.
    config = entry.get("config")
    return isinstance(config, dict) and "trainable" not in config and definition_of(entry.get("class_name")) is not None


def serialize(operation):
    """The entry of an operation, without its calls."""
    definition = operation.definition
    return {
        "module": definition.module,
        "class_name": definition.class_name,
        "config": operation.get_config(),
        "registered_name": definition.class_name,
    }


def serialize_call(operation, arguments, leaf):
    """One of `inbound_nodes`; arguments: by name; leaf: what turns an argument, or a part of one, into JSON data.

    Everything stands among `args`, as in most calls of Keras's own: its classes take their tensors in this order.
    """
    args, kwargs = [], {}
    for name, parameter in operation._signature.parameters.items():
        if name not in arguments:
            continue
        value = leaf(arguments[name])
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            args += value
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            kwargs.update(value)
        elif parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            kwargs[name] = value
        else:
            args.append(value)
    return {"args": args, "kwargs": kwargs}


def deserialize(entry):
    """The operation of a config entry. Raises UnsupportedError where it, or an option of it, is not known."""
    definition, config = definition_of(entry.get("class_name"), entry.get("module")), entry.get("config")
    if definition is None or not isinstance(config, dict):
        raise UnsupportedError(
            f"The model computes with keras.ops ('{str(entry.get('class_name'))[:100]}'), which fastseq.ops does not "
            "have. Put the operation into a layer of your own, registered with "
            "@fastseq.saving.register_keras_serializable()."
        )
    # Keras before 3.6 or so left the name out where a class took none.
    name = config.get("name", entry.get("name"))
    if not (name is None or isinstance(name, str)):
        raise UnsupportedError(f"An operation ({definition.class_name}) has the name {str(name)[:100]}.")
    options = {
        key: value
        for key, value in config.items()
        if key != "name" and (key in definition.options or value not in _MEANINGLESS.get(key, ()))
    }
    unknown = sorted(str(key)[:50] for key in options if key not in definition.options)
    if unknown:
        raise UnsupportedError(
            f"Operation '{name}' ({definition.class_name}) has options that are not known: {', '.join(unknown[:10])}."
        )
    return definition.node_class(name=name, **saved_options.checked(definition.class_name, name, options))


def revive_call(operation, args, kwargs):
    """(args, kwargs) of a saved call as the operation takes them: what is plain data has tuples where JSON has lists.

    Raises TypeError for arguments that the operation has not, ValueError where none of them is a tensor of the graph:
    it would be computed while the file is read.
    """
    if not is_symbolic([args, kwargs]):
        raise ValueError("none of its arguments is a tensor of the model")
    bound = operation._signature.bind(*args, **kwargs)
    for name, value in bound.arguments.items():
        if name in operation.definition.plain:
            bound.arguments[name] = as_tuples(value)
        elif name in operation.definition.several and not isinstance(value, (list, tuple)):
            raise TypeError(f"{name} is a list of tensors, not {type(value).__name__}")
    return bound.args, bound.kwargs
