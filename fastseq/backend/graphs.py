"""K.function and K.gradients of symbolic tensors."""

import importlib
import inspect
import types

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.gradients import append_backward
from fastseq.ops.operation import OpNode
from fastseq.ops.values import broadcast, lift
from fastseq.tensors import nest
from fastseq.tensors.operation import Operation
from fastseq.tensors.symbolic import KerasTensor
from fastseq.tensors.variable import Variable


def _models():
    """The models stand above the backend, which only here has anything to do with them."""
    return importlib.import_module("fastseq.models")


def function(inputs, outputs, updates=None, name=None):
    """A function of arrays that computes symbolic tensors from others.

    Args:
        inputs (list of KerasTensor): What the arrays stand for: inputs of a graph, or any of its tensors.
        outputs (KerasTensor, or list of them): What is computed.
        updates (list, default None): Keras 2 refuses any as well.
        name (str, default None): The name of the model that computes it.

    Returns:
        A function of a list of arrays. It returns a list of arrays, or an array where `outputs` is no list.

    Raises:
        ValueError: Updates, or outputs that do not follow from the inputs.

    Example:
        >>> x = layers.Input((3,))
        >>> f = backend.function([x], [backend.sum(x, axis=-1)])
        >>> f([np.ones((2, 3))])
        [array([3., 3.], dtype=float32)]
    """
    if updates:
        raise ValueError(f"`updates` argument is not supported during eager execution. You passed: {updates}")
    model = _models().Model(inputs, outputs, name=name)

    def call(model_inputs):
        found = model(model_inputs)
        is_listed = isinstance(outputs, (list, tuple)) and not nest.is_nested(found)
        return [found] if is_listed else found

    return call


class Gradients(OpNode):
    """The gradients of losses in a graph by some of its tensors and weights, as a node of the graph.

    Its steps are those of the graph once more, with what gradients need kept, and then those of the backward pass.

    Args:
        losses (list of KerasTensor): What is derived; the sum of their elements.
        variables (list of KerasTensor or Variable): By what. The losses depend on all of them.
        inputs (list of KerasTensor): Where the graph begins.
        name (str, default None): The node's name.
    """

    # What OpNode reads of an operation. No file has it.
    definition = types.SimpleNamespace(name="gradients", class_name="Gradients", module=__name__, plain=frozenset())
    _signature = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("losses", "inputs")]
        + [inspect.Parameter("training", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None)]
    )

    def __init__(self, losses, variables, inputs, name=None):
        Operation.__init__(self, name)  # OpNode's is for options
        self._is_python, self.values = False, {"variables": tuple(map(id, variables))}
        self._variables = variables
        self._tensors = [variable for variable in variables if isinstance(variable, KerasTensor)]
        self._loss_count = len(losses)
        self._graph = _models().Model(inputs, [*losses, *self._tensors], name=f"{self.name}_graph")

    def compute_output_spec(self, losses, inputs, training=None):
        return [KerasTensor(tuple(variable.shape), "float32") for variable in self._variables]

    def trace(self, p, arguments):
        """Adds the steps to the program `p`; returns a Slot for each of the variables."""
        before = p.trains, p.traces, p.penalized
        p.trains, p.traces, p.penalized = True, True, False
        try:
            made = nest.flatten(self._graph.call_graph.emit(p, arguments["inputs"], arguments.get("training")))
            losses, tensors = made[: self._loss_count], iter(made[self._loss_count :])
            wanted = [
                next(tensors) if isinstance(variable, KerasTensor) else p.weight(variable)
                for variable in self._variables
            ]
            ends = [(slot, broadcast(lift(p, np.float32(1)), slot.shape).slot) for slot in losses]
            found = append_backward(p, ends, wanted)
        finally:
            p.trains, p.traces, p.penalized = before
        # No gradient at the end of a path means that what is on it changes in jumps alone.
        return [
            broadcast(lift(p, np.float32(0)), slot.shape).slot if gradient is None else gradient.with_mask(None)
            for slot, gradient in zip(wanted, found)
        ]

    def keeps_time(self, timed, shapes, arguments):
        """See layers/time_axis.py: a gradient depends on all timesteps."""
        raise ValueError(f"Operation '{self.name}' (gradients) cannot run in a stream: it needs the whole sequence.")

    def get_config(self):
        raise UnsupportedError(
            f"Operation '{self.name}' is made by backend.gradients, which no file has a form for: save the model "
            "without it, and make it anew after loading."
        )


def _ancestors(losses):
    """The ids of all tensors that these depend on, they included; of the weights on the way; and the graph's inputs."""
    ids, weights, inputs, waiting = set(), set(), [], list(losses)
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in ids:
            continue
        ids.add(id(tensor))
        layer, index, _ = tensor._keras_history
        node = layer._inbound_nodes[index]
        weights |= {id(weight) for weight in layer.weights}
        weights |= {id(leaf) for leaf in nest.flatten(list(node.arguments.values())) if isinstance(leaf, Variable)}
        waiting += node.input_tensors
        if not node.input_tensors:
            inputs.append(tensor)
    return ids, weights, inputs[::-1]


def gradients(loss, variables):
    """The derivative of a symbolic tensor by others, or by weights, as tensors of the graph.

    They are computed with the graph once more, then backwards: `function` and `Model` take them as any other tensors.
    A file of such a model cannot be written.

    Args:
        loss (KerasTensor, or list of them): What is derived; several elements count as their sum.
        variables (KerasTensor or Variable, or list of them): By what: tensors that the loss is computed from, float32,
            and weights of layers on the way.

    Returns:
        A list with a KerasTensor for each of them, of its shape; None for one that the loss does not depend on.

    Raises:
        TypeError: What is no symbolic tensor of a graph or weight.
        ValueError: A tensor of integers or booleans.
        UnsupportedError: When the gradients run first: a layer through which none can go.

    Example:
        >>> x = layers.Input((3,))
        >>> slope = backend.gradients(backend.sum(x * x, axis=-1), [x])[0]
        >>> backend.function([x], [slope])([np.ones((1, 3))])
        [array([[2., 2., 2.]], dtype=float32)]
    """
    losses = list(loss) if isinstance(loss, (list, tuple)) else [loss]
    variables = list(variables) if isinstance(variables, (list, tuple)) else [variables]
    for value, kinds in [(value, KerasTensor) for value in losses] + [(v, (KerasTensor, Variable)) for v in variables]:
        is_loose = isinstance(value, KerasTensor) and value._keras_history is None
        if is_loose or not isinstance(value, kinds):
            raise TypeError(f"backend.gradients takes tensors of a graph of layers, and weights, got {value!r}.")
        if value.dtype != "float32":
            raise ValueError(f"backend.gradients: a tensor of {value.dtype} has no gradient: {value!r}.")
    ids, weights, inputs = _ancestors(losses)
    reached = [variable for variable in variables if id(variable) in ids or id(variable) in weights]
    if not reached:
        return [None] * len(variables)
    found = iter(Gradients(losses, reached, inputs)._record({"losses": losses, "inputs": inputs}).outputs)
    return [next(found) if id(variable) in ids or id(variable) in weights else None for variable in variables]
