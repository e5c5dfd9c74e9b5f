"""The order in which Keras 3.15 has the layers of a graph whose calls follow older rules of masks, once it read a file.

The operations that make masks count in the order of the layers, and the order decides under which names a file keeps
the weights. Reading the model, Keras 3.15 makes such operations by its own rules, whatever rules the model follows
here: so a file is laid out in the order that it will come to.
"""

from fastseq.layers import mask_operations
from fastseq.models.graph_map import Graph
from fastseq.ops.operation import OpNode
from fastseq.tensors import mask_rules, nest
from fastseq.tensors.symbolic import KerasTensor, Node


def layers_in_keras(graph, inputs, outputs):
    """The layers of `graph` without mask operations, in that order. inputs, outputs: its KerasTensors, flat."""
    made = [layer for layer in graph.layers if not isinstance(layer, OpNode)]
    if all(node.mask_rules == mask_rules.NEWEST for node in graph.nodes):
        return made
    shadows, values = {}, {}

    def shadow(layer):
        if layer not in shadows:
            shadows[layer] = _shadow(layer)
        return shadows[layer]

    def copy(leaf):
        return values[id(leaf)] if isinstance(leaf, KerasTensor) else leaf

    with mask_rules.scope(mask_rules.NEWEST):
        for node in graph.nodes:
            arguments = {name: nest.map_structure(copy, value) for name, value in node.arguments.items()}
            results = [KerasTensor(tensor.shape, tensor.dtype) for tensor in node.output_tensors]
            layer = shadow(node.layer)
            if node.input_tensors:
                arguments = mask_operations.fill_masks(layer, arguments)
            call = Node(layer, arguments, nest.pack_like(node.outputs, results))
            if node.input_tensors:
                mask_operations.mark_outputs(call)
            values.update(zip(map(id, node.output_tensors), results))
    order = Graph([copy(tensor) for tensor in inputs], [copy(tensor) for tensor in outputs]).layers
    originals = {twin: layer for layer, twin in shadows.items()}
    return [originals[twin] for twin in order if twin in originals and originals[twin] in set(made)]


def _shadow(layer):
    """An object with all that `layer` has but its calls."""
    twin = object.__new__(type(layer))
    vars(twin).update(vars(layer), _inbound_nodes=[])
    return twin
