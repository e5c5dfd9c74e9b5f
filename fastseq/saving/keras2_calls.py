"""Calls of functions of fastseq.ops that an expression of Keras 2 is, and the entries that they become in a config."""

import inspect

from fastseq import ops
from fastseq.tensors import nest
from fastseq.tensors.naming import free_name


class NotKnown(Exception):
    """A function, or an argument of one, that has no equivalent among the functions of fastseq.ops."""


class Call:
    """A call of a function of fastseq.ops; arguments: tensors of the graph (dicts), constants, and further Calls.

    Raises NotKnown where fastseq.ops has no such function, or it takes no such arguments.
    """

    def __init__(self, function, *args, **kwargs):
        self.definition = getattr(getattr(ops, function, None), "definition", None) if function in ops.__all__ else None
        if self.definition is None:
            raise NotKnown(function)
        try:
            self.arguments = self.definition.signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise NotKnown(f"{function}: {error}") from None

    def entries(self, name, names):
        """The entries of the operations, each after those it needs; names: those that are taken, which grow."""
        made, config, arguments = [], {"name": name}, {}

        def leaf(value):
            if not isinstance(value, Call):
                return value
            inner = f"{name}_{value.definition.name}"
            inner = free_name(inner, names) if inner in names else inner
            names.add(inner)
            made.extend(value.entries(inner, names))
            return tensor(inner)

        for key, value in self.arguments.items():
            if key in self.definition.options:
                config[key] = _option(value)
            else:
                arguments[key] = _walk(leaf, value if key in self.definition.plain else _as_array(value))
        made.append(self._entry(name, config, arguments))
        return made

    def _entry(self, name, config, arguments):
        args, kwargs = [], {}
        for key, value in arguments.items():
            if self.definition.signature.parameters[key].kind is inspect.Parameter.VAR_POSITIONAL:
                args += value
            else:
                kwargs[key] = value
        return {
            "module": self.definition.module,
            "class_name": self.definition.class_name,
            "config": config,
            "registered_name": self.definition.class_name,
            "name": name,
            "inbound_nodes": [{"args": args, "kwargs": kwargs}],
        }


def tensor(layer, call=0, position=0):
    """A tensor of the graph, as Keras 3 writes it among the arguments of a call."""
    history = [layer, call, position]
    return {"class_name": "__keras_tensor__", "config": {"shape": [], "dtype": "float32", "keras_history": history}}


def is_tensor(value):
    """Whether an argument of a function stands for a tensor of the graph."""
    return isinstance(value, Call) or (isinstance(value, dict) and value.get("class_name") == "__keras_tensor__")


def _walk(function, value):
    """`function` of all that is neither a list nor a tuple."""
    return [_walk(function, item) for item in value] if isinstance(value, (list, tuple)) else function(value)


def _option(value):
    if any(is_tensor(leaf) for leaf in nest.flatten(value) if isinstance(leaf, Call)) or is_tensor(value):
        raise NotKnown("an option that is a tensor")
    return value


def _as_array(value):
    """A nest of numbers as the array that Keras 3 writes; tensors, lists of tensors and plain values stay."""
    if not isinstance(value, (list, tuple)):
        return value
    todo, kinds = [value], set()
    while todo:
        for item in todo.pop():
            if isinstance(item, (list, tuple)):
                todo.append(item)
            else:
                kinds.add(type(item))
    if not kinds or not kinds <= {bool, int, float}:
        return value
    dtype = "float32" if float in kinds else "int32" if int in kinds else "bool"
    return {"class_name": "__numpy__", "config": {"value": value, "dtype": dtype}}
