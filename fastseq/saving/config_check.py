"""Checks a model's config as data, before a single object is made of it: structure, names, references, cycles."""

from fastseq.configs import limits
from fastseq.errors import FileFormatError


def check_model_config(config, path=None):
    """Raises FileFormatError, naming the layer, where a serialized model (Keras 3's form) cannot be one.

    Checked in it and in every model inside it: entries have class names and configs; layer names are there and differ;
    nodes refer to calls that exist; the graph has no cycle. It takes time proportional to the config's size.
    """
    limits.check_size(config, "config", path)
    inner = config.get("config")
    if not isinstance(config.get("class_name"), str) or not isinstance(inner, dict):
        raise FileFormatError("its config is not a serialized Keras model", path=path)
    if not isinstance(inner.get("layers", []), list):
        raise FileFormatError("the layers of its config are not a list", path=path)
    todo = [config]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            layers = item.get("layers")
            if isinstance(layers, list) and isinstance(item.get("output_layers"), (list, dict)):
                _check_functional(item, path)
            elif isinstance(layers, list) and "name" in item:
                _check_entries(layers, path)
            todo.extend(value for value in item.values() if isinstance(value, (dict, list)))
        else:
            todo.extend(value for value in item if isinstance(value, (dict, list)))


def _check_entries(layers, path):
    """{name: entry} of a model's layers."""
    entries = {}
    for position, entry in enumerate(layers):
        if not isinstance(entry, dict) or not isinstance(entry.get("class_name"), str):
            raise FileFormatError(f"layer number {position} of its config has no class name", path=path)
        inner = entry.get("config")
        if not isinstance(inner, dict):
            raise FileFormatError(f"layer number {position} ({entry['class_name'][:100]}) has no config", path=path)
        name = entry.get("name", inner.get("name"))
        if name is None:
            continue
        if not isinstance(name, str):
            raise FileFormatError(f"the name of its layer number {position} is not text", path=path)
        if name in entries:
            raise FileFormatError("two layers of its config have this name", path=path, layer=name)
        entries[name] = entry
    return entries


def _check_functional(config, path):
    entries = _check_entries(config["layers"], path)
    needs, calls = {}, {}
    for name, entry in entries.items():
        nodes = entry.get("inbound_nodes", [])
        if not isinstance(nodes, list):
            raise FileFormatError("its inbound_nodes are not a list", path=path, layer=name)
        # An InputLayer has one node, which no call made.
        calls[name] = max(len(nodes), 1) if entry["class_name"] == "InputLayer" else len(nodes)
        for index, node in enumerate(nodes):
            needs[name, index] = list(_references(node, path, name))
    for (name, _), references in needs.items():
        for layer, node, _ in references:
            if layer not in calls:
                raise FileFormatError(f"it is called on the output of '{layer}', which does not exist", path, name)
            if not 0 <= node < calls[layer]:
                raise FileFormatError(f"it is called on call {node} of '{layer}', which does not exist", path, name)
    _check_acyclic(needs, path)
    for key in ("input_layers", "output_layers"):
        for layer in _output_names(config.get(key), key, path):
            if layer not in entries:
                raise FileFormatError(f"its {key} name the layer '{layer}', which does not exist", path=path)


def _references(node, path, layer):
    """Yields the (layer, node, tensor) triples that a serialized call takes its inputs from."""
    todo = [node]
    while todo:
        item = todo.pop()
        if isinstance(item, list):
            todo.extend(item)
        elif isinstance(item, dict):
            if item.get("class_name") != "__keras_tensor__":
                todo.extend(item.values())
                continue
            inner = item.get("config")
            history = inner.get("keras_history") if isinstance(inner, dict) else None
            if (
                not isinstance(history, list)
                or len(history) != 3
                or not isinstance(history[0], str)
                or not all(type(number) is int and number >= 0 for number in history[1:])
            ):
                raise FileFormatError(f"one of its inputs has no proper origin: {str(history)[:100]}", path, layer)
            yield tuple(history)


def _check_acyclic(needs, path):
    users, waiting = {}, {}
    for call, references in needs.items():
        origins = {(layer, node) for layer, node, _ in references if (layer, node) in needs}
        waiting[call] = len(origins)
        for origin in origins:
            users.setdefault(origin, []).append(call)
    ready = [call for call, count in waiting.items() if count == 0]
    done = 0
    while ready:
        done += 1
        for user in users.get(ready.pop(), ()):
            waiting[user] -= 1
            if waiting[user] == 0:
                ready.append(user)
    if done != len(needs):
        stuck = next(name for (name, _), count in waiting.items() if count > 0)
        raise FileFormatError("it is part of, or behind, a cycle in the model's graph", path=path, layer=stuck)


def _output_names(value, key, path):
    """Layer names in `input_layers` or `output_layers`: [name, node, tensor] or lists and dicts of such."""
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, list) and len(item) == 3 and isinstance(item[0], str):
            if not all(type(number) is int and number >= 0 for number in item[1:]):
                raise FileFormatError(f"its {key} hold {str(item)[:100]}", path=path)
            yield item[0]
        elif isinstance(item, list):
            todo.extend(item)
        else:
            raise FileFormatError(f"its {key} hold {str(item)[:100]}", path=path)
