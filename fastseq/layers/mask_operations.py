"""The operations that Keras 3 writes into a functional model's config to compute masks.

They are functions of fastseq.ops. Where a layer takes a mask, Keras makes it an explicit input of the symbolic call,
computed by operations of their own: NotEqual for Embedding(mask_zero=True), Any(NotEqual) for Masking, and so on. They
count in the order of the layers, which decides how the weights are saved, and they stand in the summary; so symbolic
calls make them here too (`fill_masks`, `mark_outputs`). When a model runs, the layers make and hand on these masks by
themselves: an explicit one that equals what the layer would get anyway is left to the layers (`implied_masks`).
"""

from fastseq import ops
from fastseq.ops.operation import OpNode, frozen
from fastseq.tensors import mask_rules, nest
from fastseq.tensors.symbolic import KerasTensor


def _operation(name, *tensors, **options):
    """A recorded call of a function of fastseq.ops, which a model adds by itself."""
    function = getattr(ops, name)
    node = function.definition.node_class(**options)
    node.added = True
    return node(*tensors)


# ---- the masks that layers make --------------------------------------------------------------------------------------


class _Symbolic:
    """Masks as KerasTensors: each operation is called and recorded."""

    def rank(self, mask):
        return len(mask.shape)

    def not_equal(self, tensor, value):
        return _operation("not_equal", tensor, value)

    def any(self, mask):
        return _operation("any", mask, axis=-1, keepdims=False)

    def logical_or(self, first, second):
        return _operation("logical_or", first, second)

    def expand_dims(self, mask):
        return _operation("expand_dims", mask, axis=-1)

    def like(self, tensor, value):
        return _operation("ones_like" if value else "zeros_like", tensor, dtype="bool")

    def concatenate(self, masks, axis):
        return _operation("concatenate", masks, axis=axis)

    def same(self, mask):
        return _operation("convert_to_tensor", mask)


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

    def same(self, mask):
        return mask

    def record(self, node):
        """Gives the result of a recorded operation its number."""
        result, given = node.output_tensors[0], node.input_tensors[0]
        if node.layer.definition.name in ("cast", "convert_to_tensor") and result.dtype == given.dtype:
            self._of_tensor[id(result)] = self.of(given)
            return
        parts = []
        for leaf in (leaf for value in node.arguments.values() for leaf in nest.flatten(value)):
            if isinstance(leaf, KerasTensor):
                parts.append(self.of(leaf))
            else:
                parts.append(float(leaf) if isinstance(leaf, (int, float)) else frozen(leaf))
        values = node.layer.values.values()
        options = tuple(frozen(value) if isinstance(value, (list, tuple)) else value for value in values)
        for number, result in enumerate(node.output_tensors):
            which = (number,) if number else ()
            name = type(node.layer).__name__
            self._of_tensor[id(result)] = self._mask(len(result.shape), name, options, *parts, *which)


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
    if nest.is_nested(value) and not layer._is_python:
        return arguments  # what Keras fills in beside a list of inputs, it does not write down
    masks = nest.map_structure(lambda leaf: getattr(leaf, "_keras_mask", None), value)
    if all(mask is None for mask in nest.flatten(masks)):
        return arguments
    return {**arguments, "mask": masks}


def mark_outputs(node):
    """Gives the outputs of a symbolic call their masks, as `_keras_mask`, where its rules have explicit ones."""
    inputs = next(iter(_tensors(node.arguments).values()), [])
    explicit = node.arguments.get("mask") if node.mask_rules.given else None
    masks = nest.flatten(explicit) if explicit is not None else [getattr(t, "_keras_mask", None) for t in inputs]
    if not node.mask_rules.explicit or isinstance(node.layer, OpNode) or len(masks) != len(inputs):
        return
    for tensor, mask in zip(node.output_tensors, node.layer.symbolic_mask(inputs, masks, _Symbolic(), node.mask_rules)):
        tensor._keras_mask = mask


def implied_masks(graph):
    """dict node -> the name of the argument that only repeats the mask which the layer would be handed anyway."""
    if not any(isinstance(node.layer, OpNode) for node in graph.steps):
        return {}
    expressions, carried, implied = _Expressions(), {}, {}
    for node in graph.steps:
        if isinstance(node.layer, OpNode):
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
