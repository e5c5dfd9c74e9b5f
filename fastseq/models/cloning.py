"""clone_model: the same architecture with new layers. https://keras.io/api/models/model/"""

import functools

from fastseq.configs import policies
from fastseq.layers.core.input_layer import Input
from fastseq.models.functional import Functional
from fastseq.models.sequential import Sequential
from fastseq.tensors import catch_alls, mask_rules, nest
from fastseq.tensors.symbolic import KerasTensor


def clone_model(model, input_tensors=None, clone_function=None, call_function=None, recursive=False):
    """A model like `model` with new layers and freshly initialized weights.

    Args:
        model (Model): What is cloned.
        input_tensors (KerasTensor or nest, default None): What to build it on, in the structure of the model's inputs;
            None makes new Inputs.
        clone_function (function, default None): layer -> new layer, for every layer but Inputs; None makes a new layer
            from the config.
        call_function (function, default None): (layer, *args, **kwargs) -> outputs, what to do in the place of each
            call; functional models only.
        recursive (bool, default False): Whether to clone models in the model in the same way, with the same functions.

    Returns:
        A Model.

    Raises:
        ValueError: A subclassed model with any of these, and tensors that do not fit.

    Example:
        >>> models.clone_model(fastseq.Sequential([layers.Input((3,)), layers.Dense(4)])).count_params()
        16
    """
    with policies.reading(quiet=True):
        return _Cloner(clone_function, call_function, recursive).clone(model, input_tensors)


class _Cloner:
    def __init__(self, clone_function, call_function, recursive):
        self.clone_function = clone_function
        self.call_function = call_function
        self.recursive = recursive
        self.copies = {}

    def clone(self, model, input_tensors=None):
        if isinstance(model, Sequential):
            return self._sequential(model, input_tensors)
        if isinstance(model, Functional):
            return self._functional(model, input_tensors)
        if self.clone_function or self.call_function or input_tensors is not None:
            raise ValueError(
                f"clone_function, call_function and input_tensors go with Sequential and functional models only, got a "
                f"{type(model).__name__}."
            )
        return type(model).from_config(model.get_config())

    def _layer(self, layer):
        if id(layer) not in self.copies:
            if self.recursive and isinstance(layer, (Sequential, Functional)):
                copy = _Cloner(self.clone_function, self.call_function, True)
                copy.copies = self.copies
                if isinstance(layer, Sequential):
                    copy.call_function = None
                self.copies[id(layer)] = copy.clone(layer)
            elif self.clone_function:
                self.copies[id(layer)] = self.clone_function(layer)
            else:
                self.copies[id(layer)] = type(layer).from_config(layer.get_config())
        return self.copies[id(layer)]

    def _sequential(self, model, input_tensors):
        if self.call_function is not None:
            raise ValueError("call_function goes with functional models only: a Sequential just lists its layers.")
        layers = [self._layer(layer) for layer in model.layers]
        first = model._stack.layers[0] if model._stack.has_input() else None
        if input_tensors is not None:
            tensors = nest.flatten(input_tensors)
            if len(tensors) != 1 or not isinstance(tensors[0], KerasTensor):
                raise ValueError(f"input_tensors of a Sequential is a single KerasTensor, got {input_tensors}.")
            layers.insert(0, Input(tensor=tensors[0], name=first.name if first else None))
        elif first is not None:
            layers.insert(0, Input(batch_shape=first.batch_shape, dtype=first.get_config()["dtype"], name=first.name))
        with mask_rules.scope(model.mask_rules):
            return Sequential(layers, name=model.name, trainable=model.trainable)

    def _functional(self, model, input_tensors):
        if input_tensors is None:
            input_tensors = nest.map_structure(
                lambda t: Input(batch_shape=t.shape, dtype=t.dtype, name=t._keras_history[0].name), model.input
            )
        tensors = nest.flatten(input_tensors)
        if len(tensors) != len(model.inputs) or not all(isinstance(tensor, KerasTensor) for tensor in tensors):
            raise ValueError(f"input_tensors must be KerasTensors in the structure of the model's input {model.input}.")
        values = dict(zip(map(id, model.inputs), tensors))
        for node in model._graph.steps:
            arguments = {
                name: nest.map_structure(lambda t: values[id(t)] if isinstance(t, KerasTensor) else t, value)
                for name, value in node.arguments.items()
            }
            args, kwargs = catch_alls.spread(node.layer, arguments)
            if not args:
                first, *others = arguments
                args, kwargs = (arguments[first],), {name: arguments[name] for name in others}
            layer = self._layer(node.layer)
            call = layer if self.call_function is None else functools.partial(self.call_function, layer)
            with mask_rules.scope(node.mask_rules):
                outputs = call(*args, **kwargs)
            values.update(zip(map(id, node.output_tensors), nest.flatten(outputs)))
        outputs = nest.map_structure(lambda t: values[id(t)], model.output)
        return type(model)(input_tensors, outputs, name=model.name)
