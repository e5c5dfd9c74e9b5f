"""The operations that Keras 3 writes into a functional model's config to compute masks.

Where a layer takes a mask, Keras makes it an explicit input of the symbolic call, computed by operations of their own:
NotEqual for Embedding(mask_zero=True), Any(NotEqual) for Masking, and so on. They count in the order of the layers,
which decides how the weights are saved, and they stand in the summary; so symbolic calls make them here too
(`fill_masks`, `mark_outputs`). When a model runs, the layers make and hand on these masks by themselves: an explicit
one that equals what the layer would get anyway is left to the layers (`implied_masks`), and any other is computed by
NumPy in a step of its own.
"""

import inspect

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.layers import binding, time_axis
from fastseq.program.slots import Slot
from fastseq.tensors import arrays, mask_rules, nest
from fastseq.tensors.operation import Operation
from fastseq.tensors.symbolic import KerasTensor, is_symbolic

# What the options of operations are; True is no axis, though Python takes it for a number.
_KINDS = {"axis": int, "keepdims": bool, "dtype": str}


class MaskOperation(Operation):
    """One such operation; a subclass defines `call` on arrays and `result_shape` on shapes."""

    options = ()
    module = "keras.src.ops.numpy"
    _is_python = True

    def __init__(self, name=None, **options):
        super().__init__(name=name)
        self.added = name is None
        self._signature = inspect.signature(self.call)
        unknown = set(options) - set(self.options)
        if unknown:
            raise UnsupportedError(f"Operation '{self.name}' has options that are not supported: {sorted(unknown)}.")
        for option in self.options:
            value = options.get(option)
            if value is not None and type(value) is not _KINDS[option]:
                raise UnsupportedError(f"Operation '{self.name}' has {option}={value!r}, which is not supported.")
        self.values = {option: options.get(option) for option in self.options}

    def __call__(self, *args, **kwargs):
        arguments = binding.bind(self, args, kwargs)
        return self._record(arguments).outputs if is_symbolic(arguments) else self.call(**arguments)

    def trace(self, p, arguments):
        """Adds a step that computes the operation by NumPy from the values of its input, whose masks do not count."""
        structure = list(arguments.values())
        slots = [leaf for leaf in nest.flatten(structure) if isinstance(leaf, Slot)]

        def call(*values):
            values = iter(values)
            filled = nest.map_structure(lambda leaf: next(values) if isinstance(leaf, Slot) else leaf, structure)
            return arrays.standardize(self.call(*filled), f"Operation '{self.name}'")

        (output,) = p.python(self.name, call, slots, [call(*[np.zeros(slot.shape, slot.dtype) for slot in slots])])
        return output

    def get_config(self):
        return {**super().get_config(), **self.values}

    def keeps_time(self, timed, shapes, arguments):
        time_axis.refuse(self, "it computes a mask by itself; streams follow the masks that layers hand on")

    def compute_output_spec(self, *args, **kwargs):
        arguments = [*args, *kwargs.values()]
        shape = self.result_shape(*(nest.map_structure(lambda t: getattr(t, "shape", ()), a) for a in arguments))
        return KerasTensor(shape, "bool")


def _broadcast(first, second):
    """NumPy's broadcasting of shapes with unknown sizes; unknown beside 1 is unknown."""
    longest = max(len(first), len(second))
    padded = [(1,) * (longest - len(shape)) + tuple(shape) for shape in (first, second)]
    return tuple(b if a == 1 else a for a, b in zip(*padded))


class NotEqual(MaskOperation):
    def call(self, x1, x2):
        return np.not_equal(x1, x2)

    def result_shape(self, first, second):
        return _broadcast(first, second)


class LogicalOr(MaskOperation):
    def call(self, x1, x2):
        return np.logical_or(x1, x2)

    def result_shape(self, first, second):
        return _broadcast(first, second)


class Any(MaskOperation):
    options = ("axis", "keepdims")

    def call(self, x):
        return np.any(x, axis=self.values["axis"], keepdims=bool(self.values["keepdims"]))

    def result_shape(self, shape):
        if self.values["axis"] is None:
            return (1,) * len(shape) if self.values["keepdims"] else ()
        axis = range(len(shape))[self.values["axis"]]
        return shape[:axis] + ((1,) if self.values["keepdims"] else ()) + shape[axis + 1 :]


class ExpandDims(MaskOperation):
    options = ("axis",)

    def call(self, x):
        return np.expand_dims(x, self.values["axis"])

    def result_shape(self, shape):
        axis = range(len(shape) + 1)[self.values["axis"]]
        return (*shape[:axis], 1, *shape[axis:])


class ZerosLike(MaskOperation):
    options = ("dtype",)

    def call(self, x):
        return np.zeros(x.shape, bool)

    def result_shape(self, shape):
        return shape


class OnesLike(ZerosLike):
    def call(self, x):
        return np.ones(x.shape, bool)


class Cast(MaskOperation):
    """The cast that a layer of another dtype puts before the operations of its mask; here all floats are float32."""

    options = ("dtype",)
    module = "keras.src.ops.core"

    @property
    def kind(self):
        dtype = str(self.values["dtype"])
        return "bool" if dtype == "bool" else "float32" if "float" in dtype else "int32"

    def call(self, x):
        return np.asarray(x).astype(self.kind)

    def compute_output_spec(self, x):
        return KerasTensor(x.shape, self.kind)


class Concatenate(MaskOperation):
    options = ("axis",)

    def call(self, xs):
        return np.concatenate(xs, axis=self.values["axis"])

    def result_shape(self, shapes):
        axis = range(len(shapes[0]))[self.values["axis"]]
        sizes = [shape[axis] for shape in shapes]
        size = None if None in sizes else sum(sizes)
        return (*shapes[0][:axis], size, *shapes[0][axis + 1 :])


OPERATIONS = {
    cls.__name__: cls for cls in (NotEqual, LogicalOr, Any, ExpandDims, ZerosLike, OnesLike, Cast, Concatenate)
}


def is_operation(entry):
    """True for a layer entry of a config that is no layer but one of Keras's operations."""
    if "module" in entry:
        return isinstance(entry["module"], str) and entry["module"].startswith("keras.src.ops.")
    # Keras 3's older HDF5 format names no module. The layer Concatenate has more in its config than the operation.
    name, config = entry.get("class_name"), entry.get("config")
    return isinstance(name, str) and name in OPERATIONS and isinstance(config, dict) and "trainable" not in config


def serialize(operation):
    name = type(operation).__name__
    return {"module": operation.module, "class_name": name, "config": operation.get_config(), "registered_name": name}


def deserialize(entry):
    """The operation of a config entry. Raises UnsupportedError for one that does not belong to a layer's mask."""
    cls = OPERATIONS.get(entry.get("class_name"))
    config = entry.get("config")
    if cls is None or entry.get("module", cls.module) != cls.module or not isinstance(config, dict):
        raise UnsupportedError(
            f"The model computes with keras.ops ('{entry.get('class_name')}'), which is not supported outside masks. "
            "Put the operation into a layer of your own, registered with "
            "@fastseq.saving.register_keras_serializable()."
        )
    if cls is not Cast and config.get("dtype", "bool") != "bool":
        raise UnsupportedError(f"{cls.__name__} with dtype={config['dtype']!r} is no mask, so it is not supported.")
    return cls(**config)


# ---- the masks that layers make --------------------------------------------------------------------------------------


class _Symbolic:
    """Masks as KerasTensors: each operation is called and recorded."""

    def rank(self, mask):
        return len(mask.shape)

    def not_equal(self, tensor, value):
        return NotEqual()(tensor, value)

    def any(self, mask):
        return Any(axis=-1, keepdims=False)(mask)

    def logical_or(self, first, second):
        return LogicalOr()(first, second)

    def expand_dims(self, mask):
        return ExpandDims(axis=-1)(mask)

    def like(self, tensor, value):
        return (OnesLike if value else ZerosLike)(dtype="bool")(tensor)

    def concatenate(self, masks, axis):
        return Concatenate(axis=axis)(masks)


class _Expressions:
    """Masks as numbers: what is computed in the same way from the same tensors has the same number."""

    def __init__(self):
        self._numbers = {}
        self._of_tensor = {}
        self._ranks = {}

    def _mask(self, rank, *parts):
        found = ("mask", self._numbers.setdefault(parts, len(self._numbers)))
        self._ranks[found] = rank
        return found

    def rank(self, mask):
        return self._ranks.get(mask, 0)  # 0: an unknown mask has one dimension less than its tensor

    def of(self, tensor):
        found = self._of_tensor.get(id(tensor)) or ("tensor", id(tensor))
        self._ranks[found] = len(tensor.shape)
        return found

    def not_equal(self, tensor, value):
        return self._mask(len(tensor.shape), "NotEqual", (), self.of(tensor), float(value))

    def any(self, mask):
        return self._mask(self.rank(mask) - 1, "Any", (-1, False), mask)

    def logical_or(self, first, second):
        return self._mask(max(self.rank(first), self.rank(second)), "LogicalOr", (), first, second)

    def expand_dims(self, mask):
        return self._mask(self.rank(mask) + 1, "ExpandDims", (-1,), mask)

    def like(self, tensor, value):
        return self._mask(len(tensor.shape), "OnesLike" if value else "ZerosLike", ("bool",), self.of(tensor))

    def concatenate(self, masks, axis):
        return self._mask(self.rank(masks[0]), "Concatenate", (axis,), *masks)

    def record(self, node):
        """Gives the result of a recorded operation its number."""
        if isinstance(node.layer, Cast) and node.layer.kind == node.input_tensors[0].dtype:
            self._of_tensor[id(node.output_tensors[0])] = self.of(node.input_tensors[0])
            return
        parts = []
        for leaf in (leaf for value in node.arguments.values() for leaf in nest.flatten(value)):
            if isinstance(leaf, KerasTensor):
                parts.append(self.of(leaf))
            else:
                parts.append(float(leaf) if isinstance(leaf, (int, float)) else repr(leaf))
        options = tuple(node.layer.values.values())
        (result,) = node.output_tensors
        self._of_tensor[id(result)] = self._mask(len(result.shape), type(node.layer).__name__, options, *parts)


def _tensors(arguments):
    """dict argument name -> its KerasTensors, masks left out."""
    found = {}
    for name, value in arguments.items():
        if name != "mask" and not name.endswith("_mask"):
            tensors = [leaf for leaf in nest.flatten(value) if isinstance(leaf, KerasTensor)]
            if tensors:
                found[name] = tensors
    return found


def fill_masks(layer, arguments):
    """`arguments` of a symbolic call with the mask of the input, where the layer takes one, as Keras fills it in.

    Under rules without explicit masks, they stay as they are.
    """
    tensors = _tensors(arguments)
    takes_mask = "mask" in layer._signature.parameters and mask_rules.current().explicit
    if not takes_mask or arguments.get("mask") is not None or len(tensors) != 1:
        return arguments
    (value,) = (arguments[name] for name in tensors)
    masks = nest.map_structure(lambda leaf: getattr(leaf, "_keras_mask", None), value)
    if all(mask is None for mask in nest.flatten(masks)):
        return arguments
    return {**arguments, "mask": masks}


def mark_outputs(node):
    """Gives the outputs of a symbolic call their masks, as `_keras_mask`, where its rules have explicit ones."""
    inputs = next(iter(_tensors(node.arguments).values()), [])
    explicit = node.arguments.get("mask") if node.mask_rules.given else None
    masks = nest.flatten(explicit) if explicit is not None else [getattr(t, "_keras_mask", None) for t in inputs]
    if not node.mask_rules.explicit or isinstance(node.layer, MaskOperation) or len(masks) != len(inputs):
        return
    for tensor, mask in zip(node.output_tensors, node.layer.symbolic_mask(inputs, masks, _Symbolic(), node.mask_rules)):
        tensor._keras_mask = mask


def implied_masks(graph):
    """dict node -> the name of the argument that only repeats the mask which the layer would be handed anyway."""
    if not any(isinstance(node.layer, MaskOperation) for node in graph.steps):
        return {}
    expressions, carried, implied = _Expressions(), {}, {}
    for node in graph.steps:
        if isinstance(node.layer, MaskOperation):
            expressions.record(node)
            continue
        tensors = _tensors(node.arguments)
        inputs = next(iter(tensors.values()), [])
        masks = [carried.get(id(tensor)) for tensor in inputs]
        explicit = node.arguments.get("mask")
        if explicit is not None:
            given = [m if m is None else expressions.of(m) for m in nest.flatten(explicit)]
            # A layer that takes further tensors gets a mask only where its call names one.
            if given == masks and len(tensors) == 1:
                implied[node] = "mask"
            masks = given if node.mask_rules.given else masks
        if node.mask_rules.explicit and len(masks) == len(inputs):
            results = node.layer.symbolic_mask(inputs, masks, expressions, node.mask_rules)
            carried.update((id(t), m) for t, m in zip(node.output_tensors, results) if m is not None)
        if _masks_unseen(node.layer, masks):
            carried.update((id(tensor), ("unseen", id(tensor))) for tensor in node.output_tensors)
    return implied


def _masks_unseen(layer, masks):
    """Whether a layer may make masks that its symbolic call does not show, as a model or a user's own layer may."""
    if layer._is_python:
        return layer._computes_masks
    if not hasattr(layer, "predict"):
        return False
    inside, todo = [], [layer]
    while todo:
        found = todo.pop()._sublayers()
        inside += found
        todo += found
    return any(mask is not None for mask in masks) or any(
        (part.makes_masks and part._masks_are_kept) or _masks_unseen(part, []) for part in inside
    )
