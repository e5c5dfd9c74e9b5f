"""Operations between the layers of a Keras 2 graph, as entries of Keras 3's operations.

Keras 2 made layers of them, each with one function of TensorFlow: TFOpLambda and SlicingOpLambda (Keras 2.4 on), or
TensorFlowOpLayer with a node of TensorFlow's graph (TensorFlow 2.0 to 2.3). The functions are looked up by name in the
closed tables of keras2_functions.py and keras2_nodes.py, which say of each which calls of fastseq.ops it is. What is in
neither table stays as it is, and is named as missing.

Such a layer hands no mask on (tf_keras 2.21 run beside it), and neither does an operation.
"""

from fastseq.ops import files
from fastseq.saving import keras2_functions, keras2_nodes
from fastseq.saving.keras2_calls import NotKnown

CLASSES = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")
_CONSTANT = "_CONSTANT_VALUE"


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
