"""The symbolic side of the functional API: tensors without values, and the nodes that record layer calls."""

from fastseq.tensors import mask_rules, nest
from fastseq.tensors.naming import auto_name
from fastseq.tensors.operators import Operators


class KerasTensor(Operators):
    """A tensor without values, as `Input` and symbolic layer calls return it.

    Args:
        shape (tuple): Sizes, with None for those that are unknown.
        dtype (str, default "float32"): "float32", "int32" or "bool".
        name (str, default None): None makes one.
        history (tuple, default None): The layer, and the number of its call and of the output, that it comes from;
            layers set it.

    Raises:
        TypeError: Where values are asked of it: by NumPy, `bool()`, `iter()` or pickle.

    Example:
        >>> layers.LSTM(4)(layers.Input((None, 3))).shape
        (None, 4)
    """

    __array_ufunc__ = None  # an array to the left of an operator leaves it to this class

    def __init__(self, shape, dtype="float32", name=None, history=None):
        self.shape = tuple(shape)
        self.dtype = dtype
        self.name = name or auto_name("keras_tensor")
        self._keras_history = history

    @property
    def ndim(self):
        """The number of dimensions."""
        return len(self.shape)

    def __array__(self, *args, **kwargs):
        raise TypeError(
            f"{self!r} is symbolic and has no values. Build a Model from it, or call the layer on a NumPy array."
        )

    def __bool__(self):
        raise TypeError(f"{self!r} is symbolic and has no truth value.")

    def __iter__(self):
        raise TypeError(f"{self!r} is symbolic and cannot be iterated over.")

    def __reduce__(self):
        raise TypeError(
            f"{self!r} is a place in the graph of a model, and cannot be pickled or copied by itself: pickle or copy "
            "the model."
        )

    def __repr__(self):
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"


class Node:
    """One call of a layer on symbolic tensors.

    arguments: dict of the layer's bound call arguments, KerasTensors at their places; outputs: what the call returned;
    rules: the `MaskRules` that it follows, by default those that are current.
    """

    def __init__(self, layer, arguments, outputs, rules=None):
        self.layer = layer
        self.mask_rules = mask_rules.current() if rules is None else rules
        self.arguments = arguments
        self.outputs = outputs
        # In the order of the arguments, not of their names: the order of a model's layers hangs on it.
        leaves = [leaf for value in arguments.values() for leaf in nest.flatten(value)]
        self.input_tensors = [leaf for leaf in leaves if isinstance(leaf, KerasTensor)]
        self.output_tensors = nest.flatten(outputs)
        self.index = len(layer._inbound_nodes)
        layer._inbound_nodes.append(self)
        for position, tensor in enumerate(self.output_tensors):
            tensor._keras_history = (layer, self.index, position)

    def trace(self, p, arguments):
        """`layer.trace` with Slots in the places of the tensors, under this call's rules of masks."""
        with p.following(self.mask_rules):
            outputs = self.layer.trace(p, arguments)
        found = [slot.shape for slot in nest.flatten(outputs)]
        if len(found) != len(self.output_tensors):
            raise ValueError(
                f"Layer '{self.layer.name}' ({type(self.layer).__name__}) gave outputs of the shapes {found}, where "
                f"the model has {[tensor.shape for tensor in self.output_tensors]}: see its compute_output_shape()."
            )
        return outputs

    @property
    def parents(self):
        """The nodes whose outputs this node reads, in argument order."""
        return [t._keras_history[0]._inbound_nodes[t._keras_history[1]] for t in self.input_tensors]


def is_symbolic(structure):
    return any(isinstance(leaf, KerasTensor) for leaf in nest.flatten(structure))
