"""From symbolic outputs back to inputs: which calls a functional model makes, in which order, and its layers' order.

The order of the layers is Keras 3.15's (keras/src/ops/function.py): it decides the order of the weights and the names
under which a weights file keeps them. Everything here is a loop, so a chain of 100,000 layers is no deeper than one.
"""

from collections import Counter

from fastseq.layers.core.input_layer import InputLayer
from fastseq.tensors.naming import free_name


class Graph:
    """nodes_by_depth: dict depth -> nodes, outputs at depth 0; nodes: all of them, inputs first; layers: in Keras's
    order, operations of saved masks (`mask_operations`) among them."""

    def __init__(self, inputs, outputs):
        order, first_seen = _sort(inputs, outputs)
        node_depth, layer_depth = _depths(order)
        for tensor in inputs:
            # An input that no output needs is still an input of the model.
            layer, index, _ = tensor._keras_history
            if layer not in layer_depth and isinstance(layer, InputLayer):
                layer_depth[layer] = 0
                first_seen[layer] = -1
                node_depth[layer._inbound_nodes[index]] = 0
        self.nodes_by_depth = {}
        for node, depth in node_depth.items():
            self.nodes_by_depth.setdefault(depth, []).append(node)
        depths = sorted(self.nodes_by_depth, reverse=True)
        self.nodes = [node for depth in depths for node in self.nodes_by_depth[depth]]
        self.node_set = set(self.nodes)
        self.layers = sorted(layer_depth, key=lambda layer: (-layer_depth[layer], first_seen[layer]))
        self.steps = [node for node in self.nodes if node.input_tensors]
        self._check(inputs)

    def _check(self, inputs):
        known = {id(tensor) for tensor in inputs}
        done = []
        for node in self.nodes:
            for tensor in node.input_tensors:
                if id(tensor) not in known:
                    raise ValueError(
                        f"Graph disconnected: cannot find parent for tensor {tensor} at layer '{node.layer.name}'. "
                        f"The following previous layers were accessed without issue: {done[-20:]}"
                    )
            done.append(node.layer.name)
            if node.input_tensors:
                known.update(map(id, node.output_tensors))
        for name, count in Counter(layer.name for layer in self.layers).items():
            if count != 1 and not self._rename(name):
                raise ValueError(f'The name "{name}" is used {count} times in the model. Layer names should be unique.')

    def _rename(self, name):
        """Gives other names to what was added to the graph here and took this one; whether it is then unique."""
        alike = [layer for layer in self.layers if layer.name == name]
        taken = {layer.name for layer in self.layers}
        for layer in alike:
            if layer.added and sum(other.name == name for other in alike) > 1:
                layer.name = free_name(name, taken)
                taken.add(layer.name)
        return sum(layer.name == name for layer in alike) == 1


def sorted_nodes(inputs, outputs):
    """The nodes between `inputs` and `outputs`, each after those it needs."""
    return _sort(inputs, outputs)[0]


def _sort(inputs, outputs):
    """(nodes from inputs to outputs, dict layer -> when the search from the outputs first met it)."""
    given = {id(tensor) for tensor in inputs}
    finished, in_progress, order, first_seen = set(), set(), [], {}
    for output in outputs:
        stack = [(output, None)]
        while stack:
            tensor, node = stack.pop()
            if node is not None:
                in_progress.discard(node)
                finished.add(node)
                order.append(node)
                continue
            layer, index, _ = tensor._keras_history
            node = layer._inbound_nodes[index]
            if node in finished:
                continue
            if node.input_tensors and id(tensor) in given:
                # What made this input lies outside the model.
                finished.add(node)
                continue
            if node in in_progress:
                raise ValueError(f"Tensor {tensor} from layer '{layer.name}' is part of a cycle.")
            first_seen.setdefault(layer, len(first_seen))
            in_progress.add(node)
            stack.append((None, node))
            stack.extend((parent, None) for parent in reversed(node.input_tensors))
    return order, first_seen


def _depths(order):
    """Longest distance to an output, of every node and of every layer (the longest of its calls)."""
    nodes, layers, inside = {}, {}, set(order)
    for node in reversed(order):
        depth = max(nodes.setdefault(node, 0), layers.get(node.layer, 0))
        layers[node.layer] = nodes[node] = depth
        for parent in node.parents:
            if parent in inside:
                nodes[parent] = max(depth + 1, nodes.get(parent, 0))
    return nodes, layers
