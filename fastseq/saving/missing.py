"""Which classes a model's config asks for that are not there, all of them at once and with how many layers each."""

from fastseq.configs import tables

_EXPRESSIONS_OF_KERAS_2 = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")
# What a message lists, of names this long.
_MOST, _LONGEST = 30, 100
# Where layers hold layers, and recurrent layers their cells.
_HOLDERS = ("layer", "backward_layer", "forward_layer", "cell", "cells", "layers")


def missing_layers(config, custom_objects=None):
    """(class name, what it is, entry, names of its layers) for every class of layer that nobody has, in their order.

    config: a serialized model, in Keras 3's form. What it is: "layer" or "operation", an expression on tensors that
    Keras made a node of. Nested models, and layers inside wrappers, count as others do.
    """
    found, todo = {}, [config]
    while todo:
        entry = todo.pop()
        if isinstance(entry, list):
            todo.extend(reversed(entry))
            continue
        if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
            continue
        inner = entry["config"]
        name = entry.get("class_name")
        if isinstance(name, str) and entry is not config and _is_missing(entry, custom_objects):
            kind = "operation" if _is_expression(entry) else "layer"
            key = (_told_name(entry), kind)
            found.setdefault(key, (entry, []))[1].append(entry.get("name") or inner.get("name"))
        todo.extend(inner[key] for key in reversed(_HOLDERS) if isinstance(inner.get(key), (dict, list)))
    return [(name, kind, entry, layers) for (name, kind), (entry, layers) in found.items()]


def _is_missing(entry, custom_objects):
    from fastseq.configs import serialization
    from fastseq.ops import files

    if files.is_operation(entry):
        known = files.definition_of(entry["class_name"], entry.get("module")) is not None
        return not known and entry["class_name"] not in (custom_objects or ())
    try:
        serialization.find_class(entry, custom_objects)
    except tables.NotFound:
        return True
    except ValueError:
        pass  # there, but not as the config has it; making it says why
    return False


def _is_expression(entry):
    """Whether it stands for an expression, as `x + y` or `x[:, 0]`: the user made no layer."""
    from fastseq.ops import files

    if entry["class_name"] in _EXPRESSIONS_OF_KERAS_2:
        return True
    if "module" in entry:
        return files.is_operation_module(entry["module"])
    # Keras 3's older HDF5 format names no module, but every layer says whether it is trainable.
    return "trainable" not in entry["config"] and entry["class_name"] not in ("Lambda", "InputLayer")


def _told_name(entry):
    """The class's name, and for Keras 2's operations that of the function."""
    name, function = entry["class_name"], entry["config"].get("function")
    if name == "TensorFlowOpLayer":
        node = entry["config"].get("node_def")
        function = node.get("op") if isinstance(node, dict) else None
    if name in _EXPRESSIONS_OF_KERAS_2 and isinstance(function, str):
        name = function.removeprefix("__operators__.")
    return name[:_LONGEST]


def explanation(error, config, custom_objects=None):
    """(reason, layer) of a model that asks for layers that nobody has; None where all are there.

    error: what came of making it. layer: the name of the first one where only one class is missing, None for a list.
    """
    found = missing_layers(config, custom_objects)
    if not found:
        return None
    if isinstance(error, tables.NotFound) and error.what == "function":
        return f"{error} It needs {_listed(found)} too, which fastseq does not have.", None
    (name, kind, entry, layers), *others = found
    if not others and kind == "layer":
        if name == "Lambda":
            return tables.lambda_layer_advice(layers), layers[0]
        return str(tables.not_found("class", name, entry, len(layers))), layers[0]
    wanted = [(name, entry, layers) for name, kind, entry, layers in found[:_MOST] if kind == "layer"]
    return f"It needs what fastseq does not have: {_listed(found)}.{tables.advice(wanted)}", None


def _listed(found):
    listed = ", ".join(f"{name} ({_count(len(layers), kind)})" for name, kind, _, layers in found[:_MOST])
    return f"{listed} and {len(found) - _MOST} others" if len(found) > _MOST else listed


def _count(number, kind):
    return f"{number} {kind}{'' if number == 1 else 's'}"
