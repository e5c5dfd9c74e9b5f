"""How a layer's call arguments become what the layer gets: binding, conversion, masks, `training`."""

import inspect

import numpy as np

from fastseq.program.slots import Slot
from fastseq.tensors import arrays, nest
from fastseq.tensors.symbolic import KerasTensor

_TENSORS = (np.ndarray, Slot, KerasTensor)


# ---- binding -------------------------------------------------------------------------------------------------------


def call_signature(layer):
    """Signature of `call` for a Python layer, of `emit` without its program for a native one."""
    if layer._is_python:
        return inspect.signature(layer.call)
    if not layer._is_native:
        # Neither call nor emit is defined; emit says so when it is needed.
        return inspect.signature(lambda inputs: None)
    signature = inspect.signature(layer.emit)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def only_required(signature):
    """Name of the first parameter where no other one is required, else None."""
    first, *others = signature.parameters.values()
    return (
        first.name if first.kind is not first.VAR_POSITIONAL and all(p.default is not p.empty for p in others) else None
    )


# What `_argument_dtypes` says where a plain array of such a dtype may stay as it is.
_KEPT = {np.dtype(name): (None, name, [name]) for name in ("float32", "int32")}


def is_ready(value, dtypes):
    """True for a plain array that a kernel can take as it is, where the argument's dtypes are `dtypes`."""
    if type(value) is not np.ndarray or dtypes not in _KEPT.get(value.dtype, ()):
        return False
    return value.flags.c_contiguous and value.flags.aligned


def bind(layer, args, kwargs):
    """dict of call arguments by name, in the order of the signature, without defaults."""
    parameters = layer._signature.parameters
    if "training" in kwargs and "training" not in parameters:
        # Keras hands `training` to every layer; one that behaves the same either way has no such parameter.
        kwargs = {key: value for key, value in kwargs.items() if key != "training"}
    try:
        bound = layer._signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"Layer '{layer.name}' ({type(layer).__name__}): {error}.") from None
    arguments = {}
    for key, value in bound.arguments.items():
        kind = parameters[key].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            arguments.update(value)
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            arguments[key] = tuple(value)
        else:
            arguments[key] = value
    if "training" in arguments and not layer._is_python:
        arguments["training"] = _truth(layer, arguments["training"])
    if not arguments:
        raise TypeError(f"Layer '{layer.name}' ({type(layer).__name__}) was called without an input.")
    return arguments


def _truth(layer, value):
    """`training` as a bool or None. Raises TypeError for what is neither, nor a number."""
    if value is None or type(value) is bool:
        return value
    if isinstance(value, (int, float, np.bool_, np.number)) or getattr(value, "shape", None) == ():
        value = np.asarray(value)
        if value.dtype.kind in "biuf":
            return bool(value)
    raise TypeError(
        f"Layer '{layer.name}' ({type(layer).__name__}) takes training=True, False or None, got {value!r} of type "
        f"{type(value).__name__}."
    )


def _is_mask_name(name):
    return name == "mask" or name.endswith("_mask")


def convert(layer, arguments):
    """`arguments` with every array-like leaf as an array that the kernels take; attached masks stay attached."""
    first = next(iter(arguments))
    flags = {name for name, parameter in layer._signature.parameters.items() if isinstance(parameter.default, bool)}
    return {
        name: value
        if name == "training"
        else bool(value)
        if name in flags and isinstance(value, (bool, np.bool_))
        else nest.map_structure(_Converter(layer, name), _checked_structure(layer, name, value, name == first))
        for name, value in arguments.items()
    }


def _checked_structure(layer, name, value, is_first):
    """`value` as a layer of one tensor takes it. Raises TypeError for lists and dicts where it cannot be."""
    is_mask = _is_mask_name(name)
    is_first = is_first or isinstance(value, dict)
    if layer._takes_several or layer._is_python or not (is_first or is_mask) or not nest.is_nested(value):
        return value
    leaves = nest.flatten(value)
    if any(leaf is not None and not hasattr(leaf, "shape") for leaf in leaves):
        return value  # numbers in lists, or worse: the converter says what to do
    if is_mask and isinstance(value, (list, tuple)) and value and not nest.is_nested(value[0]):
        return value[0]  # the first is that of the input, where states come with masks of theirs
    raise TypeError(
        f"Layer '{layer.name}' ({type(layer).__name__}) takes one array as `{name}`, got a {type(value).__name__} of "
        f"{[getattr(leaf, 'shape', type(leaf).__name__) for leaf in leaves]}."
    )


class _Converter:
    """Called for the leaves of one argument in turn."""

    def __init__(self, layer, name):
        self.who = f"Layer '{layer.name}' ({type(layer).__name__})"
        self.name = name
        self.is_mask = _is_mask_name(name)
        self.dtypes = "bool" if self.is_mask else layer._argument_dtypes(name)
        # What else a user's call() is given is its own affair.
        self.free = layer._is_python and name not in (next(iter(layer._signature.parameters)), layer._rest_argument)
        self.count = 0

    def __call__(self, leaf):
        dtype = self.dtypes[self.count] if isinstance(self.dtypes, list) and self.count < len(self.dtypes) else None
        dtype = self.dtypes if isinstance(self.dtypes, str) else dtype
        self.count += 1
        if leaf is None or (self.free and isinstance(leaf, (bool, int, float, str))):
            return leaf
        # NumPy's own numbers are arrays of no dimensions, as for Keras.
        number = isinstance(leaf, np.generic) and leaf.dtype.kind in "biuf"
        if isinstance(leaf, (bool, int, float, complex, str, bytes, np.generic)) and not number:
            raise self._no_array(leaf)
        mask = arrays.mask_of(leaf)
        if self.is_mask and getattr(getattr(leaf, "dtype", None), "kind", "") not in tuple("biuf"):
            raise self._no_array(leaf)
        array = arrays.standardize(leaf, self.who, dtype)
        return array if mask is None else arrays.with_mask(array, arrays.standardize(mask, self.who, "bool"))

    def _no_array(self, leaf):
        got = f"{leaf!r}"[:80] + f" of type {type(leaf).__name__}"
        if self.is_mask:
            return TypeError(
                f"{self.who} takes as `{self.name}` a boolean array, or for several inputs a list of them and None; "
                f"got {got}. np.array(mask) makes one of a list."
            )
        error = ValueError if isinstance(leaf, (bool, int, float, np.number)) else TypeError
        return error(
            f"{self.who} takes arrays as `{self.name}`, got {got}, alone or in a list or dict. np.array(values) makes "
            "an array of a list of numbers."
        )


def tensor_shapes(arguments, layer=None):
    """Shapes of the arguments that hold tensors, by argument name: a tuple, or a nest of tuples; masks left out."""
    shapes = {}
    for name, value in arguments.items():
        leaves = nest.flatten(value)
        if not _is_mask_name(name) and any(isinstance(leaf, _TENSORS) for leaf in leaves):
            shapes[name] = nest.map_structure(lambda t: None if t is None else tuple(t.shape), value)
    if not shapes:
        who = "" if layer is None else f"Layer '{layer.name}' ({type(layer).__name__}): "
        got = {name: type(value).__name__ for name, value in arguments.items()}
        raise ValueError(f"{who}A layer call needs at least one tensor argument, got {got}.")
    return shapes


def check_input_spec(layer, inputs):
    """Raises ValueError where the first argument does not fit `layer.input_spec`."""
    spec = layer.input_spec
    if spec is not None:
        spec.check(layer.name, inputs)


# ---- masks and training --------------------------------------------------------------------------------------------


def _slot_masks(value):
    return nest.map_structure(lambda t: getattr(t, "mask", None) if isinstance(t, Slot) else arrays.mask_of(t), value)


def _without_mask(leaf):
    return leaf.with_mask(None) if isinstance(leaf, Slot) else leaf


def fill_masks_and_training(layer, p, arguments, masks_of=_slot_masks):
    """Fills `mask`, `<argument>_mask` and `training` as Keras does; returns (arguments, mask of the first argument)."""
    parameters = layer._signature.parameters
    arguments = dict(arguments)
    if "training" in parameters and arguments.get("training") is None:
        arguments.pop("training", None)
        if p is not None and p.training is not None:
            arguments["training"] = p.training
    tensor_names = list(tensor_shapes(arguments, layer))
    first, rules = next(iter(arguments.values())), p.mask_rules
    if rules.refuse_mask(arguments):
        arguments[next(iter(arguments))] = nest.map_structure(_without_mask, first)
        return arguments, None
    for name in tensor_names:
        # Keras 2 goes by the first argument alone, for which a recurrent layer's initial states count.
        alone = len(tensor_names) == 1 or (rules.with_states and name == tensor_names[0])
        mask_name = "mask" if alone else f"{name}_mask"
        if {name, mask_name} <= parameters.keys() and arguments.get(mask_name) is None:
            masks = masks_of(arguments[name])
            if name == layer._rest_argument or any(mask is not None for mask in nest.flatten(masks)):
                arguments[mask_name] = masks
    previous = arguments.get("mask") if rules.given else None
    if previous is None and (rules.merged is not None or not isinstance(first, (list, tuple))):
        previous = masks_of(first)
    return arguments, previous
