"""A functional model's graph as it runs, and as streams and decoders read it."""

from fastseq.layers import mask_operations
from fastseq.tensors import nest
from fastseq.tensors.symbolic import KerasTensor


class Calls:
    """A model's graph, as it runs, and as streams and decoders read it (`layer.call_graph`).

    inputs, outputs: the KerasTensors, flat; input_dtypes: as a run reads the inputs; steps: the calls (Nodes) that the
    outputs need, in order; implied: see `mask_operations.implied_masks`. Calls that only make masks which the layers
    make themselves are left out. specs: output shapes by input shapes.
    """

    def __init__(self, graph, structure):
        self._structure = structure
        self.inputs, self.outputs = structure.inputs, structure.outputs
        self.implied = mask_operations.implied_masks(graph)
        self.specs = {}
        self.call_count = None
        self.steps = []
        needed = {id(tensor) for tensor in structure.outputs}
        for node in reversed(graph.steps):
            if any(id(tensor) in needed for tensor in node.output_tensors):
                self.steps.append(node)
                for name, value in node.arguments.items():
                    if name != self.implied.get(node):
                        needed.update(id(leaf) for leaf in nest.flatten(value) if isinstance(leaf, KerasTensor))
        self.steps.reverse()
        self.input_dtypes = self._input_dtypes(structure)

    def arrange(self, inputs, model_name):
        """See `Structure.arrange`."""
        return self._structure.arrange(inputs, model_name)

    def arguments(self, node, values):
        """The node's call arguments with `values` (by id) in the places of its KerasTensors."""
        implied = self.implied.get(node)
        return {
            name: nest.map_structure(lambda leaf: values[id(leaf)] if isinstance(leaf, KerasTensor) else leaf, value)
            for name, value in node.arguments.items()
            if name != implied
        }

    def emit(self, p, flat, training=None, mask=None):
        """The calls of the graph, on one Slot for each of `inputs`; returns Slots in the structure of the outputs."""
        masks = nest.flatten(mask) if mask is not None else []
        slots = {}
        for position, (tensor, slot) in enumerate(zip(self.inputs, flat)):
            slot = p.cast(slot, self.input_dtypes[position])
            given = masks[position] if position < len(masks) else None
            slots[id(tensor)] = slot if given is None else slot.with_mask(given)
        for node in self.steps:
            arguments = self.arguments(node, slots)
            if training is not None and "training" in node.layer._signature.parameters:
                arguments["training"] = training
            outputs = node.trace(p, arguments)
            for tensor, slot in zip(node.output_tensors, nest.flatten(outputs)):
                slots[id(tensor)] = slot
        outputs = nest.map_structure(lambda tensor: slots[id(tensor)], self._structure.output_struct)
        # As Keras: a list of one output comes out as that output.
        return outputs[0] if isinstance(outputs, (list, tuple)) and len(outputs) == 1 else outputs

    def _input_dtypes(self, structure):
        """The inputs' dtypes. An Input of float32 that only feeds layers of integers (Keras makes such for a Sequential
        that starts with an Embedding) is read as integers at once: float32 holds no ids above 2^24."""
        wanted = {id(tensor): set() for tensor in structure.inputs}
        for tensor in structure.outputs:
            wanted.get(id(tensor), set()).add(tensor.dtype)
        for node in self.steps:
            for name, value in node.arguments.items():
                for leaf in nest.flatten(value):
                    if id(leaf) in wanted:
                        wanted[id(leaf)].add(str(node.layer._argument_dtypes(name)))
        return [
            "int32" if tensor.dtype == "float32" and wanted[id(tensor)] == {"int32"} else tensor.dtype
            for tensor in structure.inputs
        ]
