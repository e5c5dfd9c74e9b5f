"""Operations between the layers of a Keras 2 graph, as entries of Keras 3's operations.

Keras 2 made layers of them, each with one function of TensorFlow: TFOpLambda and SlicingOpLambda (Keras 2.4 on), or
TensorFlowOpLayer with a node of TensorFlow's graph (TensorFlow 2.0 to 2.3). The functions are looked up by name in the
closed tables of keras2_functions.py and keras2_nodes.py, which say of each which calls of fastseq.ops it is. What is in
neither table stays as it is, and is named as missing.

Such a layer hands no mask on (tf_keras 2.21 run beside it), and neither does an operation.
"""

import importlib
import inspect

from fastseq.ops import files
from fastseq.tensors import nest
from fastseq.tensors.naming import free_name

CLASSES = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")
_CONSTANT = "_CONSTANT_VALUE"


class NotKnown(Exception):
    """A function, or an argument of one, that has no equivalent among the functions of fastseq.ops."""


class Call:
    """A call of a function of fastseq.ops; arguments: tensors of the graph (dicts), constants, and further Calls.

    Raises NotKnown where fastseq.ops has no such function, or it takes no such arguments.
    """

    def __init__(self, function, *args, **kwargs):
        ops = importlib.import_module("fastseq.ops")
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


def renamed_calls(layers):
    """dict (layer, call) -> the operation that it becomes, of operations which the graph calls several times."""
    return {
        (layer["name"], number): f"{layer['name']}_call{number}"
        for layer in layers
        if layer["class_name"] in CLASSES
        for number in range(1, len(layer.get("inbound_nodes", [])))
    }


def converted(layers, converter):
    """The layers of a graph with Keras 3's operations in the places of Keras 2's; converter: of legacy_config.

    An operation that is not known stays, with the tensors of its calls alone.
    """
    names = {layer["name"] for layer in layers} | set(converter.renamed.values())
    result = []
    for layer in layers:
        made = [layer]
        if layer["class_name"] in CLASSES:
            try:
                made = _entries(layer, converter, names)
            except NotKnown:
                made = [
                    {**layer, "inbound_nodes": [_tensors_alone(node, converter) for node in layer["inbound_nodes"]]}
                ]
        result += made
    return result


def _tensors_alone(node, converter):
    found, todo = [], [node]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, list):
            if converter.is_tensor(item):
                found.append(converter.tensor(item))
            todo.extend(item)
    return {"args": found, "kwargs": {}}


def _entries(layer, converter, names):
    """The entries of what one such layer is. Raises NotKnown."""
    made = []
    for number, node in enumerate(layer.get("inbound_nodes", [])):
        name = converter.renamed.get((layer["name"], number), layer["name"])
        made += _call(layer, node, converter).entries(name, names)
    return made


def _call(layer, node, converter):
    from fastseq.saving import keras2_functions, keras2_nodes

    config = layer["config"]
    if layer["class_name"] == "TensorFlowOpLayer":
        inputs = converter.tensors([node] if node and isinstance(node[0], str) else node)
        return keras2_nodes.call(config, inputs)
    # The first argument keeps its structure: one tensor, a constant, or a list of them.
    single = bool(node) and isinstance(node[0], str)
    first = _first_argument(node, converter)
    if not single and len(first) == 1 and layer["class_name"] == "SlicingOpLambda":
        (first,) = first
    keywords = converter.keywords(node)
    keywords.pop("name", None)
    return keras2_functions.call(config.get("function"), first, keywords)


def _first_argument(items, converter):
    if items and isinstance(items[0], str):
        return items[2] if items[0] == _CONSTANT else converter.tensor(items)
    return [_first_argument(item, converter) for item in items]


def needed(layers, outputs):
    """`layers`, converted ones, without operations that no output needs, as a shape that only a Reshape read.

    outputs: `output_layers` of the config.
    """
    by_name = {layer["name"]: layer for layer in layers}
    used = {layer["name"] for layer in layers if not _is_operation(layer)}
    todo = [outputs, *(by_name[name].get("inbound_nodes", []) for name in used)]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, list):
            name = item[0] if item and isinstance(item[0], str) else None
            if name in by_name and name not in used:
                used.add(name)
                todo.append(by_name[name].get("inbound_nodes", []))
            todo.extend(item)
    return [layer for layer in layers if layer["name"] in used]


def _is_operation(layer):
    return layer["class_name"] in CLASSES or files.is_operation(layer)
