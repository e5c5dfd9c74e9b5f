"""Operations in model files: entries of Keras's Operation classes, which are data, looked up in a closed table."""

import importlib

from fastseq.errors import UnsupportedError
from fastseq.tensors.naming import to_snake_case

_OPS = "fastseq.ops"
#: Classes whose function has another name than theirs.
_FUNCTIONS = {"Cast": "cast", "Absolute": "absolute", "BatchNorm": "batch_normalization", "LayerNorm":
              "layer_normalization", "RMSNorm": "rms_normalization", "CDist": "cdist", "CTCDecode": "ctc_decode",
              "CTCLoss": "ctc_loss", "AllClose": "allclose", "FFT": "fft", "FFT2": "fft2", "IFFT2": "ifft2",
              "IRFFT": "irfft", "ISTFT": "istft", "RFFT": "rfft", "STFT": "stft", "IsIn": "isin", "SearchSorted":
              "searchsorted", "PSNR": "psnr", "SVD": "svd", "Argmax": "argmax", "Logaddexp": "logaddexp"}  # fmt: skip


def definition_of(class_name, module=None):
    """The Definition of a class name that a file has, None where there is none of the name, or not in that module."""
    if not isinstance(class_name, str):
        return None
    ops = importlib.import_module(_OPS)
    name = _FUNCTIONS.get(class_name, to_snake_case(class_name))
    found = getattr(getattr(ops, name, None), "definition", None) if name in ops.__all__ else None
    if found is None or found.class_name != class_name or module not in (None, found.module):
        return None
    return found


def is_operation(entry):
    """True for a layer entry of a config that is no layer but one of Keras's operations."""
    if "module" in entry:
        return isinstance(entry["module"], str) and entry["module"].startswith("keras.src.ops.")
    # Keras 3's older HDF5 format names no module. A layer of the same name has more in its config than the operation.
    config = entry.get("config")
    return (
        isinstance(config, dict)
        and "trainable" not in config
        and definition_of(entry.get("class_name")) is not None
    )


def serialize(operation):
    """The entry of an operation, without its calls."""
    definition = operation.definition
    return {
        "module": definition.module,
        "class_name": definition.class_name,
        "config": operation.get_config(),
        "registered_name": definition.class_name,
    }


def deserialize(entry):
    """The operation of a config entry. Raises UnsupportedError for one that is not known."""
    definition, config = definition_of(entry.get("class_name"), entry.get("module")), entry.get("config")
    if definition is None or not isinstance(config, dict):
        raise UnsupportedError(
            f"The model computes with keras.ops ('{entry.get('class_name')}'), which fastseq.ops does not have. Put the "
            "operation into a layer of your own, registered with @fastseq.saving.register_keras_serializable()."
        )
    return definition.node_class(**config)
