"""Keras 3's `.weights.h5`: where each variable stands in it, and reading them.

A layer's variables are `<path>/vars/0`, `<path>/vars/1` ... The path follows the attributes that hold the layer
(`cell`, `layer`, `forward_layer` ...); in a list it is the class's name in snake case, counted: a model's third LSTM is
`layers/lstm_2`. This is keras/src/saving/saving_lib.py of Keras 3.15.
"""

import math
import warnings

from fastseq.errors import FileFormatError
from fastseq.naming import to_snake_case
from fastseq.saving import limits

# Keras 2.12 wrote this name where later versions write "layers".
_OLD_LAYERS = "_layer_checkpoint_dependencies"


def walk(model, skip=()):
    """Yields (path, owner's name, variables) for the model and everything in it, each variable once, as Keras visits.

    skip: layers left out, with all they hold.
    """
    for path, owner, found in _visit_model(model, skip):
        if isinstance(found, list):
            yield path, owner, found


def walk_optimizers(model, skip=()):
    """Yields (path, optimizer) for the model and the models in it, as far as they are compiled. skip: as for `walk`."""
    for path, _, found in _visit_model(model, skip):
        if not isinstance(found, list):
            yield path, found


def _visit_model(model, skip):
    yield from _visit(model.saved_tree(), "", model.name, {id(item) for item in skip})


def _visit(tree, path, owner, seen):
    variables = tree.get("vars", [])
    if variables and all(id(variable) in seen for variable in variables):
        return
    seen.update(id(variable) for variable in variables)
    yield path, owner, variables
    if "layers" in tree:
        yield from _visit_list(tree["layers"], _join(path, "layers"), seen)
    children = tree.get("children", {})
    # Keras visits attributes by name, private ones last; it matters where two of them hold the same layer.
    for key in sorted(children, key=lambda key: f"~{key}" if key.startswith("_") else key):
        if "vars" in children[key]:
            yield from _visit(children[key], _join(path, key), owner, seen)
        else:
            yield from _visit_list(children[key]["layers"], _join(path, key), seen)
    optimizer = tree.get("optimizer")
    if optimizer is not None and id(optimizer) not in seen:
        seen.add(id(optimizer))
        yield _join(path, "optimizer"), optimizer.name, optimizer


def _visit_list(layers, path, seen):
    counts = {}
    for layer in layers:
        name = to_snake_case(type(layer).__name__)
        counts[name] = counts.get(name, -1) + 1
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        numbered = f"{name}_{counts[name]}" if counts[name] else name
        yield from _visit(layer.saved_tree(), _join(path, numbered), layer.name, seen)


def _join(path, name):
    return f"{path}/{name}" if path else name


def is_weights_file(root):
    """True where `root` (H5Group) is laid out as Keras 3 lays out weights."""
    return any(name in ("layers", "vars", _OLD_LAYERS) for name in root.keys())


def load(root, model, skip_mismatch=False, objects_to_skip=None):
    """Reads every weight of `model` from `root` (H5Group); all of them are read before the first one is set.

    Optimizers of compiled models take their state; one with other variables than the file's, which most often has not
    been built yet, warns and stays as it is.
    skip_mismatch: warn and leave a layer as it is where its weights are missing or have other shapes.
    objects_to_skip: layers and optimizers to leave alone.
    Raises FileFormatError naming the file, the layer and the weight.
    """
    values = []
    for path, owner, variables in walk(model, objects_to_skip or ()):
        try:
            values.extend(zip(variables, _read(root, path, owner, variables)))
        except FileFormatError as error:
            if not skip_mismatch:
                raise FileFormatError(error.reason, path=root.path, layer=owner) from error
            warnings.warn(f"Layer '{owner}' keeps its weights: {error.reason}", stacklevel=2)
    for path, optimizer in walk_optimizers(model, objects_to_skip or ()):
        try:
            # A LossScaleOptimizer is read as the optimizer inside it; a user's own may keep another inside for itself.
            built_in = type(optimizer).__module__.startswith("fastseq.")
            inner = root.group(_join(path, "inner_optimizer/vars")) if built_in else None
            group = inner or root.group(_join(path, "vars"))
            load_optimizer(optimizer, {} if group is None else {key: group.dataset(key) for key in group.keys()}, root)
        except FileFormatError as error:
            if not skip_mismatch:
                raise
            warnings.warn(optimizer._not_taken(error.reason), stacklevel=2)
    for variable, value in values:
        variable.assign(value)


def _read(root, path, owner, variables):
    group = root.group(_join(path, "vars"))
    if group is None and "layers" in path:
        group = root.group(_join(path.replace("layers", _OLD_LAYERS), "vars"))
    names = [] if group is None else group.keys()
    if not names and variables:
        raise FileFormatError(
            f"its {len(variables)} weights are missing (no group '/{_join(path, 'vars')}'{_neighbours(root, path)})"
        )
    if len(names) != len(variables):
        raise FileFormatError(
            f"the model has {len(variables)} weights ({', '.join(v.name for v in variables)}) where the file "
            f"has {len(names)}" + _hint(owner, group)
        )
    values = []
    for index, variable in enumerate(variables):
        dataset = group.dataset(str(index))
        if dataset is None:
            raise FileFormatError(f"weight '{variable.name}' is missing (no dataset '/{group.name}/{index}')")
        try:
            values.append(dataset.read(variable.shape))
        except FileFormatError as error:
            raise FileFormatError(f"weight '{variable.name}': {error.reason}") from error
    return values


def load_optimizer(optimizer, datasets, root):
    """Gives `optimizer` its state. datasets: dict "0", "1" ... -> H5Dataset or None; root: H5Group, of their file.

    State that can be read but is not that of such an optimizer (shapes, a step count below zero) is left alone with a
    warning. Raises FileFormatError, naming the file, where a value cannot be read.
    """
    # An optimizer of a user's may keep what it likes: so shapes are the file's, and their sizes limited by it.
    left, store = limits.STATE_FLOOR + limits.STATE_RATIO * root.file.size, {}
    try:
        for key, dataset in datasets.items():
            if dataset is None:
                raise FileFormatError(f"its variable {key} is missing")
            left -= 8 * math.prod(dataset.shape)
            if left < 0:
                raise FileFormatError(f"its variable {key} of shape {dataset.shape} is larger than the whole file")
            store[key] = dataset.read(dataset.shape)
    except FileFormatError as error:
        reason = (
            f"the state of optimizer '{optimizer.name}' cannot be read: {error.reason} (compile=False leaves it out)"
        )
        raise FileFormatError(reason, path=root.path) from error
    try:
        optimizer.load_own_variables(store)
    except KeyError as error:
        warnings.warn(optimizer._not_taken(f"the file has no variable {error}."), stacklevel=3)
    except (TypeError, ValueError) as error:
        warnings.warn(optimizer._not_taken(str(error)), stacklevel=3)


def _neighbours(root, path):
    """What stands beside a missing group: names there follow the classes', so a class of another name is seen."""
    parent = root.group(path.rpartition("/")[0]) if "/" in path else None
    names = [] if parent is None else parent.keys()
    return f"; beside it there are {', '.join(names[:8])}" if names else ""


def _hint(owner, group):
    saved = group.attribute("name")
    return f"; it was saved from a layer named '{saved}'" if isinstance(saved, str) and saved != owner else ""
