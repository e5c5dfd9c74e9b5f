"""The layers of a Sequential, and what it knows once it is built: the functional model of them."""

from fastseq.layers.core.input_layer import InputLayer
from fastseq.tensors.naming import free_name


class Stack:
    """The layers from the first to the last, an InputLayer among them; not an attribute that Layer walks."""

    def __init__(self):
        self.layers = []
        self.names = {}

    def push(self, layer):
        self.layers.append(layer)
        self.names[layer.name] = layer

    def remove(self):
        layer = self.layers.pop()
        if not any(other is layer for other in self.layers):
            del self.names[layer.name]
        return layer

    def add_input(self, batch_shape, taken):
        self.push(added_input(batch_shape, taken))

    def rename_input(self):
        first = self.layers[0]
        del self.names[first.name]
        first.name = free_name(first.name, self.names)
        self.names[first.name] = first

    def has_input(self):
        return bool(self.layers) and isinstance(self.layers[0], InputLayer)


def added_input(batch_shape, taken):
    """An InputLayer for a model that has none, with a name that is not among `taken`."""
    layer = InputLayer(batch_shape=batch_shape)
    layer.added = True
    if layer.name in taken:
        layer.name = free_name(layer.name, taken)
    return layer


def fits(shape, wanted):
    return len(shape) == len(wanted) and all(a == b or None in (a, b) for a, b in zip(shape, wanted))


class OfFunctional:
    """Mixed into `Sequential`: what the functional model inside has. Raises AttributeError while there is none."""

    def _of_functional(self, name):
        if self._functional is None:
            raise AttributeError(f"Sequential model '{self.name}' has no defined {name.replace('_', ' ')} yet.")
        return getattr(self._functional, name)

    @property
    def input_shape(self):
        """The input's shape, batch size first. AttributeError before the model is built."""
        return self._of_functional("input_shape")

    @property
    def output_shape(self):
        """The output's shape, batch size first. AttributeError before the model is built."""
        return self._of_functional("output_shape")

    @property
    def inputs(self):
        """The symbolic inputs, a list of one. AttributeError before the model is built."""
        return self._of_functional("inputs")

    @property
    def outputs(self):
        """The symbolic outputs, a flat list. AttributeError before the model is built."""
        return self._of_functional("outputs")

    @property
    def input(self):
        """The symbolic input. AttributeError before the model is built."""
        return self._of_functional("input")

    @property
    def output(self):
        """The symbolic output. AttributeError before the model is built."""
        return self._of_functional("output")

    @property
    def input_names(self):
        """The input layers' names. AttributeError before the model is built."""
        return self._of_functional("input_names")

    @property
    def output_names(self):
        """The names of the layers that give the outputs. AttributeError before the model is built."""
        return self._of_functional("output_names")
