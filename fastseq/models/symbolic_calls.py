"""A model that defines `call` as a graph of layers and operations: its `call` is run once on symbolic inputs.

Streams read it, as they read the graph of a functional model.
"""

from fastseq.layers.core.input_layer import Input
from fastseq.layers.weights import changes
from fastseq.tensors import nest


def graph_of(model):
    """The graph (models/calls.py) of a model that is Python, for inputs of any batch and any number of timesteps.

    Raises ValueError, with the reason, where its call does not run on symbolic inputs.
    """
    who = f"Model '{model.name}' ({type(model).__name__}) cannot run in a stream:"
    if not model.traced:
        raise ValueError(f"{who} its class says traced = False.")
    if model._build_shape is None:
        raise ValueError(f"{who} it is not built yet: call it once.")
    known = model.__dict__.get("_symbolic_call")
    if known is not None and known[0] == changes[0]:
        return known[1].call_graph
    inputs = nest.map_shapes(lambda shape: Input((None, *shape[2:]) if len(shape) > 1 else ()), model._build_shape)
    arguments = {"training": False} if "training" in model._signature.parameters else {}
    try:
        outputs = model.call(inputs, **arguments)
        made = model.functional_class(inputs, outputs, name=model.name)
    except Exception as error:
        raise ValueError(f"{who} its call does not run on symbolic inputs of any length: {error}") from error
    model._traces.note("symbolic", None)  # who sets an attribute from now on changes it
    object.__setattr__(model, "_symbolic_call", (changes[0], made))  # no layer of the model
    return made.call_graph
