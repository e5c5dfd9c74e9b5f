"""Keras 3's `.weights.h5`: where each variable stands in it, and reading them.

A layer's variables are `<path>/vars/0`, `<path>/vars/1` ... The path follows the attributes that hold the layer
(`cell`, `layer`, `forward_layer` ...); in a list it is the class's name in snake case, counted: a model's third LSTM is
`layers/lstm_2`. This is keras/src/saving/saving_lib.py of Keras 3.15.

Keras 2.12 to 2.15 joined these paths as the machine joins names of files: on Windows by a backslash, which HDF5 takes
for a letter, so that such a file has one group `layers\\lstm\\cell` where others have three. No name in a path has a
backslash of its own: they are attributes and classes of Python, never names of layers.
"""

import math
import warnings

from fastseq.configs import limits
from fastseq.errors import FileFormatError
from fastseq.tensors import weight_budget
from fastseq.tensors.naming import to_snake_case

# Keras 2.12 wrote this name where later versions write "layers".
_OLD_LAYERS = "_layer_checkpoint_dependencies"


def walk(model, skip=(), as_made=False):
    """Yields (path, owner's name, variables) for the model and everything in it, each variable once, as Keras visits.

    skip: layers left out, with all they hold. as_made: in the order of layers of the Keras that made the model, in
    which it wrote its own files; else in Keras 3.15's (`Functional.layers_in_keras`).
    """
    for path, owner, found in _visit_model(model, skip, as_made):
        if isinstance(found, list):
            yield path, owner, found


def walk_optimizers(model, skip=(), as_made=False):
    """Yields (path, optimizer) for the model and the models in it, as far as they are compiled. As `walk`."""
    for path, _, found in _visit_model(model, skip, as_made):
        if not isinstance(found, list):
            yield path, found


def _visit_model(model, skip, as_made):
    yield from _visit(model.saved_tree(), "", model.name, {id(item) for item in skip}, as_made)


def _visit(tree, path, owner, seen, as_made):
    variables = tree.get("vars", [])
    if variables and all(id(variable) in seen for variable in variables):
        return
    seen.update(id(variable) for variable in variables)
    yield path, owner, variables
    if "layers" in tree:
        layers = tree.get("layers_as_made", tree["layers"]) if as_made else tree["layers"]
        yield from _visit_list(layers, _join(path, "layers"), seen, as_made)
    children = tree.get("children", {})
    # Keras visits attributes by name, private ones last; it matters where two of them hold the same layer.
    for key in sorted(children, key=lambda key: f"~{key}" if key.startswith("_") else key):
        if "vars" in children[key]:
            yield from _visit(children[key], _join(path, key), owner, seen, as_made)
        else:
            yield from _visit_list(children[key]["layers"], _join(path, key), seen, as_made)
    optimizer = tree.get("optimizer")
    if optimizer is not None and id(optimizer) not in seen:
        seen.add(id(optimizer))
        yield _join(path, "optimizer"), optimizer.name, optimizer


def _visit_list(layers, path, seen, as_made):
    counts = {}
    for layer in layers:
        name = to_snake_case(getattr(layer, "class_in_keras", type(layer).__name__))
        counts[name] = counts.get(name, -1) + 1
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        numbered = f"{name}_{counts[name]}" if counts[name] else name
        yield from _visit(layer.saved_tree(), _join(path, numbered), layer.name, seen, as_made)


def _join(path, name):
    return f"{path}/{name}" if path else name


def is_weights_file(root):
    """True where `root` (H5Group) is laid out as Keras 3 lays out weights."""
    return any(name.split("\\", 1)[0] in ("layers", "vars", _OLD_LAYERS) for name in root.keys())


def saved_layers(root):
    """Names of what a weights file has variables of, as its paths say them: `dense`, `lstm_1` ..."""
    names = {}
    for key in root.keys():
        first, *more = key.split("\\")
        if first in ("layers", _OLD_LAYERS):
            more = more[:1] or root.group(key).keys()
            names.update(dict.fromkeys(more))
    return list(names)


def load(root, model, skip_mismatch=False, objects_to_skip=None, as_made=None):
    """Reads every weight of `model` from `root` (H5Group); all of them are read before the first one is set.

    Optimizers of compiled models take their state; one with other variables than the file's, which most often has not
    been built yet, warns and stays as it is.
    skip_mismatch: warn and leave a layer as it is where its weights are missing or have other shapes.
    objects_to_skip: layers and optimizers to leave alone. as_made: as for `walk`; None goes by the names of layers that
    stand in the file.
    Raises FileFormatError naming the file, the layer and the weight.
    """
    values, skip = [], objects_to_skip or ()
    as_made = _is_as_made(root, model, skip) if as_made is None else as_made
    for path, owner, variables in walk(model, skip, as_made):
        try:
            values.extend(zip(variables, _read(root, path, owner, variables)))
        except FileFormatError as error:
            if not skip_mismatch:
                raise FileFormatError(error.reason, path=root.path, layer=owner) from error
            warnings.warn(f"Layer '{owner}' keeps its weights: {error.reason}", stacklevel=2)
    states = []
    for path, optimizer in walk_optimizers(model, skip, as_made):
        try:
            # A LossScaleOptimizer is read as the optimizer inside it. A user's own may hold one for other ends.
            built_in = type(optimizer).__module__.startswith("fastseq.")
            inner = root.group_spelled(_join(path, "inner_optimizer/vars")) if built_in else None
            group = inner or root.group_spelled(_join(path, "vars"))
            datasets = {} if group is None else {key: group.dataset(key) for key in group.keys()}
            states.append((optimizer, _read_state(optimizer, datasets, root)))
        except FileFormatError as error:
            if not skip_mismatch:
                raise
            warnings.warn(optimizer._not_taken(error.reason), stacklevel=2)
    weight_budget.assign_all(values, lambda: [_give_state(optimizer, state) for optimizer, state in states], copy=False)


def _is_as_made(root, model, skip):
    """Whether the layers' names in the file (not before Keras 3.8) fit that order better than Keras 3.15's."""

    def fitting(as_made):
        found = [(path, owner) for path, owner, variables in walk(model, skip, as_made) if variables]
        groups = [(root.group_spelled(_join(path, "vars")), owner) for path, owner in found]
        return sum(group is not None and group.attribute("name") == owner for group, owner in groups)

    in_keras = fitting(as_made=False)
    return in_keras == 0 or fitting(as_made=True) > in_keras


def _read(root, path, owner, variables):
    group = root.group_spelled(_join(path, "vars"))
    if group is None and "layers" in path:
        group = root.group_spelled(_join(path.replace("layers", _OLD_LAYERS), "vars"))
    if group is None:
        # Keras 2 has no public names for some of the attributes that Keras 3 has: MultiHeadAttention's `key_dense`.
        before, _, last = path.rpartition("/")
        group = root.group_spelled(_join(_join(before, f"_{last}"), "vars"))
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
    _give_state(optimizer, _read_state(optimizer, datasets, root))


def _read_state(optimizer, datasets, root):
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
    return store


def _give_state(optimizer, store):
    try:
        optimizer.load_own_variables(store)
    except KeyError as error:
        warnings.warn(optimizer._not_taken(f"the file has no variable {error}."), stacklevel=3)
    except (TypeError, ValueError) as error:
        warnings.warn(optimizer._not_taken(str(error)), stacklevel=3)


def _neighbours(root, path):
    """What stands beside a missing group: names there follow the classes', so a class of another name is seen."""
    above = path.rpartition("/")[0]
    parent = root.group_spelled(above) if above else None
    names = [] if parent is None else parent.keys()
    start = f"{above}/".replace("/", "\\")
    names += [key[len(start) :] for key in root.keys() if above and key.startswith(start)]
    return f"; beside it there are {', '.join(names[:8])}" if names else ""


def _hint(owner, group):
    saved = group.attribute("name")
    return f"; it was saved from a layer named '{saved}'" if isinstance(saved, str) and saved != owner else ""
