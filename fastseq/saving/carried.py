"""What a copy of a layer or model carries beside its config: arrays and counts, by the layer that they belong to.

`collect` reads them off a layer and everything in it, `give` puts them into another one of the same config. A layer is
found by its path: names in a functional model, whose order may change with Keras's rules, positions elsewhere; a layer
that stands in several places has the first of its paths. Arrays are those of the layer itself, not copies: who wants
them apart copies them.
"""

import json
import re

import numpy as np

from fastseq.configs import limits, policies, serialization
from fastseq.errors import FileFormatError
from fastseq.initializers import RandomInitializer, SeedGenerator
from fastseq.optimizers import Optimizer
from fastseq.tensors import nest

_TRAINING = ("stop_training", "_initial_epoch", "_initial_batch")


def parts(layer, order=()):
    """Path -> layer: `layer` under "", then every layer in it, each once.

    order: path of a functional model -> names of its layers; where it has others, those stand for them in its paths.
    """
    found, seen, todo = {}, set(), [("", layer)]
    for path, part in todo:
        if id(part) in seen:
            continue
        seen.add(id(part))
        found[path] = part
        names = order[path] if path in order else None
        todo += [(f"{path}/{key}", child) for key, child in _children(part, names)]
    return found


def _children(part, names):
    if getattr(part, "_graph", None) is not None:
        own = [layer.name for layer in part.layers]
        # A model class that makes its own graph gives the layers new names in each copy.
        named = own if names is None or sorted(names) == sorted(own) else names
        yield from sorted(zip(named, part.layers), key=lambda pair: pair[0])
    elif getattr(part, "_stack", None) is not None:
        yield from ((str(position), layer) for position, layer in enumerate(part.layers))
    for key, group in sorted(part._children.items()):
        yield from ((f"{key}.{position}", layer) for position, layer in enumerate(group))


# ---- out of a layer --------------------------------------------------------------------------------------------------


def collect(layer):
    """{"layers": {path: ...}, "order": {path: ...}, "training": {path: ...}} of a layer and what is in it."""
    found = parts(layer)
    places = {id(variable): (path, number) for path, part in found.items() for number, variable in _numbered(part)}
    layers = {path: _of_layer(part) for path, part in found.items()}
    order = {path: [layer.name for layer in part.layers] for path, part in found.items() if hasattr(part, "_graph")}
    training = {path: _of_training(part, places) for path, part in found.items() if _trainer(part) is not None}
    return {"layers": layers, "order": order, "training": training}


def _trainer(part):
    return getattr(part, "_trainer", None)


def _numbered(part):
    return enumerate(part._own_weights())


def _of_layer(part):
    weights = part._own_weights()
    state = {"name": part.name, "trainable": part._trainable}
    if weights:
        state["weights"] = [variable._value for variable in weights]
        state["weights_train"] = [variable.trainable for variable in weights]
    if part.built or weights:
        # As text: equal copies have equal pickles, whichever tuples they share. (joblib.hash goes by that.)
        state["built"] = json.dumps(serialization.serialize_keras_object(part.get_build_config()))
    if part._initial_weights is not None:
        state["initial_weights"] = [np.asarray(value) for value in part._initial_weights]
    if part._policy.name != "float32":
        state["policy"] = part._policy.config()
    if hasattr(part, "_random_state"):
        state["random"] = part._random_state
    if getattr(part, "_kept_factors", None):  # of dropout in a cell that is called alone
        state["factors"] = dict(part._kept_factors)
    if hasattr(part, "_keep_states") and part.states is not None:
        state["states"] = nest.flatten(part.states)
    seeds = {key: _seed(value) for key, value in vars(part).items() if isinstance(value, _SEEDED)}
    if seeds:
        state["seeds"] = seeds
    return state


_SEEDED = (SeedGenerator, RandomInitializer)


def _seed(source):
    """(seed, count of draws); the count is -1 for a seed that gives the same at every draw."""
    if isinstance(source, SeedGenerator):
        return source._seed, source._count
    return _seed(source.seed) if isinstance(source.seed, SeedGenerator) else (source.seed, -1)


def _of_training(part, places):
    trainer = part._trainer
    state = {"seed": trainer.seed, **{name: getattr(part, name) for name in _TRAINING}}
    if trainer.optimizer is not None:
        state["optimizer"] = of_optimizer(trainer.optimizer, places)
    return state


def of_optimizer(optimizer, places=None):
    """The variables of an optimizer, and with `places`, id of a weight -> where it is, the weights that it serves."""
    state = {"variables": _variables(optimizer)}
    if optimizer._excluded_names is not None:
        state["excluded_names"] = optimizer._excluded_names.pattern
    if places is not None:
        state["excluded"] = [place for key, place in places.items() if key in optimizer._excluded]
        if optimizer.built:
            # Where a variable belongs to no layer here the optimizer cannot serve it: its state is kept for none.
            serves = [places.get(id(variable)) for variable in optimizer._trainable_variables]
            state["serves"] = None if None in serves else serves
    return state


def _variables(optimizer):
    if optimizer._waiting is not None:
        return optimizer._own_waiting()[0]
    if type(optimizer).save_own_variables is Optimizer.save_own_variables:
        return {str(index): variable._value for index, variable in enumerate(optimizer._variables)}
    store = {}
    optimizer.save_own_variables(store)
    return {key: np.asarray(value) for key, value in store.items()}


# ---- into a layer ----------------------------------------------------------------------------------------------------


def give(layer, state):
    """Gives `layer`, just made from the config, what `collect` found. Returns its parts by path.

    Raises FileFormatError where it is the state of other layers.
    """
    layers, training = state["layers"], state["training"]
    found = _built(layer, layers, state["order"])
    missing = [path for path, kept in layers.items() if path not in found and kept.get("weights")]
    strange = [path for path, part in found.items() if path not in layers and part._own_weights()]
    for path in (*missing, *strange):
        name = layers[path]["name"] if path in layers else found[path].name
        which = "is in no layer that its config makes" if path in layers else "is not among those that were copied"
        raise FileFormatError(f"its place '{path}' {which}", layer=name)
    for path, part in found.items():
        if path in layers:
            _to_layer(part, layers[path])
    for part in found.values():
        if hasattr(part, "_graph"):
            part.name_ends()
    for path, kept in training.items():
        if path in found and _trainer(found[path]) is not None:
            _to_training(found[path], kept, found)
    return found


def _built(layer, layers, order):
    """`parts(layer, order)`, after building what was built: a model's config does not mention all such layers."""
    tried = set()
    while True:
        found = parts(layer, order)
        path = next((path for path in found if path not in tried and _waits(found[path], layers.get(path, {}))), None)
        if path is None:
            return found
        tried.add(path)
        shapes = limits.parse_json(layers[path]["built"], "build_config", None)
        found[path].build_from_config(serialization.deserialize_keras_object(shapes))


def _waits(part, state):
    return not part.built and state.get("built", "null") != "null"


def _to_layer(part, state):
    if part.name != state["name"]:  # of a class whose config has no name
        part.name = state["name"]
    weights, values = part._own_weights(), state.get("weights", [])
    if [variable.shape for variable in weights] != [value.shape for value in values]:
        shapes = [variable.shape for variable in weights]
        raise FileFormatError(
            f"its weights have the shapes {shapes}, those copied {[value.shape for value in values]}", layer=part.name
        )
    for variable, value, trains in zip(weights, values, state.get("weights_train", ())):
        variable.assign(value)
        variable.trainable = bool(trains)
    part._trainable = bool(state["trainable"])
    if "initial_weights" in state:
        part._initial_weights = [np.array(value) for value in state["initial_weights"]]
    if "policy" in state and part._policy.name == "float32":
        part._policy = policies.policy_of(state["policy"], part.name)
    if "random" in state:
        part._random_state[...] = state["random"]
    if "factors" in state:
        part._kept_factors = {str(kind): np.array(value, np.float32) for kind, value in state["factors"].items()}
    if "states" in state:
        _to_states(part, state["states"])
    for key, (seed, count) in state.get("seeds", {}).items():
        _to_seed(vars(part).get(key), int(seed), int(count))


def _to_states(part, states):
    if part.states is None:
        part._keep_states(len(states[0]), None)
    own = nest.flatten(part.states)
    if [state.shape for state in own] != [state.shape for state in states]:
        if len(own) != len(states) or any(a.shape[1:] != b.shape[1:] for a, b in zip(own, states)):
            raise FileFormatError("the states that were copied are those of another layer", layer=part.name)
        part._keep_states(len(states[0]), None)  # it kept them for another number of rows
        own = nest.flatten(part.states)
    for state, value in zip(own, states):
        state[...] = value


def _to_seed(source, seed, count):
    if isinstance(source, RandomInitializer) and count < 0:
        source.seed = seed
        return
    source = source.seed if isinstance(source, RandomInitializer) else source
    if isinstance(source, SeedGenerator):
        source._seed, source._count = seed, count


def _to_training(part, state, found):
    part._trainer.seed = int(state["seed"])
    for name in _TRAINING:
        setattr(part, name, state[name])
    if "optimizer" in state and part.optimizer is not None:
        to_optimizer(part.optimizer, state["optimizer"], found)


def to_optimizer(optimizer, state, found=None):
    """Gives `optimizer` what `of_optimizer` read. found: `parts` of the copy, with the weights that it serves."""

    def weight(place):
        path, number = place
        return found[path]._own_weights()[number]

    if "excluded_names" in state:
        optimizer._excluded_names = re.compile(state["excluded_names"])
    if found is not None:
        optimizer._excluded = {id(weight(place)) for place in state["excluded"]}
        if state.get("serves") is not None:
            optimizer.build([weight(place) for place in state["serves"]])
    optimizer.take_over(state["variables"])
