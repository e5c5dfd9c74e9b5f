"""dtype policies that a config names: they are kept, everything is computed in float32, and one warning says so.

`mixed_float16` and the like are what people train with on GPUs. A file or config that names such a policy is read; a
layer that is made in code with one raises, because it would get something else than it asked for. What tells the two
apart: `reading`, within which configs are read, and the form, for only configs hold a policy as a dict.
"""

import copy
import sys
import threading
import warnings

from fastseq.errors import UnsupportedError

# Largest relative change by rounding: in Keras, or here for float64.
_ROUNDING = {"float16": "5e-4", "bfloat16": "4e-3", "float64": "6e-8"}
_NAMES = (*_ROUNDING, "mixed_float16", "mixed_bfloat16")
# "infer" and "_infer": TensorFlow 2.0 and 2.1, by the inputs.
_FLOAT32 = (None, "float32", "infer", "_infer")
_state = threading.local()


class reading:
    """Within it, in this thread, configs are read: dtype policies are taken, and one warning names them at the end.

    what: what is read, for the warning; quiet: no warning, for what is copied within a process. Scopes inside join the
    outermost one.
    """

    def __init__(self, what="The config", quiet=False):
        self._what, self._quiet = what, quiet

    def __enter__(self):
        self._outer = getattr(_state, "found", None)
        if self._outer is None:
            _state.found = {}
        return self

    def __exit__(self, kind, *exception):
        if self._outer is not None:
            return
        found, _state.found = _state.found, None
        if found and kind is None and not self._quiet:
            warnings.warn(f"{self._what} {_consequence(list(found))}", stacklevel=_callers_level())


def _callers_level():
    """The `stacklevel` of the first frame outside of this package, for a warning of the calling function."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "fastseq":
        frame, level = frame.f_back, level + 1
    return level


def _consequence(names):
    kinds = dict.fromkeys(name.removeprefix("mixed_") for name in names)
    rounding = [f"{_ROUNDING[kind]} of their size ({_rounded_to(kind)}'s rounding)" for kind in kinds]
    return (
        f"names the dtype polic{'y' if len(names) == 1 else 'ies'} {' and '.join(names)}. It runs in float32, so its "
        f"numbers differ from Keras's by about {' and '.join(rounding)}. Saved again, it keeps its policies."
    )


def _rounded_to(kind):
    return "float32" if kind == "float64" else kind


class Policy:
    """The dtype policy of a layer, with its `name`."""

    def __init__(self, name, config=None):
        """config: the serialized form, where it says more than the name."""
        self.name = name
        self._config = config

    def config(self):
        """A new dict: the serialized form."""
        if self._config is not None:
            return copy.deepcopy(self._config)
        return {"module": "keras", "class_name": "DTypePolicy", "config": {"name": self.name}, "registered_name": None}


def policy_of(dtype, layer_name):
    """The policy that a layer's argument `dtype` means: None, a name, a config, or what has a name or is a NumPy dtype.

    Raises ValueError for all but float32, the one type the kernels compute in, unless it is in a config; there
    UnsupportedError for quantized weights and unknown names.
    """
    config = dtype if isinstance(dtype, dict) else None
    name = _name(dtype, layer_name)
    if name in _FLOAT32:
        return Policy("float32")
    found = getattr(_state, "found", None)
    if found is None and config is None:
        raise ValueError(f"Layer '{layer_name}': dtype={name!r} is not supported, fastseq computes in float32.")
    if "_from_" in name:
        raise UnsupportedError(
            f"Layer '{layer_name}': its dtype policy '{name}' is that of quantized weights, which are not read. Save "
            "the model as it was before quantize()."
        )
    if name not in _NAMES:
        raise UnsupportedError(
            f"Layer '{layer_name}': its dtype policy is {name!r}. There are float32 and, run in float32, "
            f"{', '.join(_NAMES)}."
        )
    if found is None:
        with reading(f"The config of layer '{layer_name}'"):
            _state.found[name] = True
    else:
        found[name] = True
    return Policy(name, config if config is not None and config.get("class_name") == "DTypePolicyMap" else None)


def note_input(dtype):
    """An Input of float16 rounds what it is given; here nothing does. Only configs are told of."""
    found = getattr(_state, "found", None)
    if found is not None and dtype in ("float16", "bfloat16"):
        found[dtype] = True


def _name(dtype, layer_name):
    if not isinstance(dtype, dict):
        # Imported here: NumPy's own names for what is no text and has no name.
        import numpy as np

        name = getattr(dtype, "name", dtype)
        return name if name is None or isinstance(name, str) else np.dtype(name).name
    config = dtype.get("config")
    if isinstance(config, dict):
        if dtype.get("class_name") == "DTypePolicyMap":
            return _name_of_map(config, layer_name)
        if "mode" in config:  # a quantized one
            return f"{config['mode']}_from_{config.get('source_name') or 'float32'}"
        if isinstance(config.get("name"), str) or ("name" in config and config["name"] is None):
            return config["name"]
    raise ValueError(f"Layer '{layer_name}': {dtype!r} is no dtype policy.")


def _name_of_map(config, layer_name):
    """The name of the default policy, or that of a quantized one for a part of the layer."""
    default, parts = config.get("default_policy"), config.get("policy_map")
    names = [_name(part, layer_name) for part in (parts.values() if isinstance(parts, dict) else ())]
    quantized = [name for name in names if isinstance(name, str) and "_from_" in name]
    return quantized[0] if quantized else _name(default, layer_name)
