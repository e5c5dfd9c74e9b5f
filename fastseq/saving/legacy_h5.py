"""The older HDF5 formats: full-model `.h5` of Keras 2 and 3, read and written, and Keras 2 weight files, read.

Root (or group `model_weights`): attribute `layer_names`, and one group per layer with attribute `weight_names`, the
datasets' paths in the order of the layer's weights. A full model has its config and how it was compiled, JSON, in
attributes of the root, and the optimizer's variables in the group `optimizer_weights`, named likewise. As in
keras/src/legacy/saving/legacy_h5_format.py of Keras 3.15, which however does not read the weights of CuDNNLSTM and
CuDNNGRU, nor the optimizer's variables but for the step count and the learning rate.
"""

import json
import warnings

import numpy as np

from fastseq.configs import limits
from fastseq.errors import FileFormatError
from fastseq.saving import compile_config, cudnn, keras1, weights_h5
from fastseq.saving.legacy_config import to_keras3
from fastseq.tensors import mask_rules, weight_budget

_LOSS_SCALE_VARIABLES = tuple(
    f"loss_scale_optimizer/{name}" for name in ("iteration", "learning_rate", "step_counter", "dynamic_scale")
)
_TOP_LEVEL = "top_level_model_weights"
# HDF5 allows 64 KB in a header message; Keras stops at this.
_MOST_BYTES = 64512


def is_legacy_file(root):
    """True where `root` (H5Group) is a full model or a weight file in the older format."""
    return weights_group(root) is not None


def weights_group(root):
    """The group that has `layer_names`, or None."""
    if root.attribute("layer_names") is not None or root.attribute("layer_names0") is not None:
        return root
    return root.group("model_weights")


def read_config(root):
    """(config in Keras 3's form, training config or None) of a full-model file. Raises FileFormatError without one."""
    text = root.attribute("model_config")
    if not isinstance(text, str):
        raise FileFormatError(_without_config(root), path=root.path)
    config = limits.parse_json(text, "model_config", root.path)
    if not isinstance(config, dict):
        raise FileFormatError("its model_config is not a JSON object", path=root.path)
    training = root.attribute("training_config")
    if isinstance(training, str):
        training = limits.parse_json(training, "training_config", root.path)
    return to_keras3(config, keras3=keras_version(root).split(".", 1)[0] == "3", path=root.path), training


def _without_config(root):
    group = weights_group(root)
    if group is None and not weights_h5.is_weights_file(root):
        return "it holds no Keras model: there is no attribute 'model_config'"
    if group is None:
        names = weights_h5.saved_layers(root)
    else:
        names = [name for name in group.attribute_list("layer_names") if _has_weights(group, name)]
    return (
        "it holds weights only: build the model as it was when they were saved, and call model.load_weights(path). "
        f"They are those of {len(names)} layer{'' if len(names) == 1 else 's'}{': ' if names else ''}{_names(names)}"
    )


def _has_weights(group, name):
    found = group.group(name)
    return found is not None and bool(found.attribute_list("weight_names"))


def keras_version(root):
    """The version of the Keras that wrote a full-model file; "1" where the file does not say."""
    version = root.attribute("keras_version")
    if version is None and (group := root.group("model_weights")) is not None:
        version = group.attribute("keras_version")
    return str(version or "1")


def load_optimizer(root, optimizer, keras3):
    """Gives the optimizer of a model its state from a full-model file, where there is one.

    keras3: False for a file of Keras 2, whose optimizers keep other variables: it warns and leaves the optimizer as it
    is. Raises FileFormatError naming the file.
    """
    group = root.group("optimizer_weights")
    if group is None:
        return
    if not keras3:
        compile_config.tell_keras2(optimizer)
        return
    # A LossScaleOptimizer is read as the optimizer inside it, whose variables follow its own four.
    names = [name for name in group.attribute_list("weight_names") if name not in _LOSS_SCALE_VARIABLES]
    weights_h5.load_optimizer(optimizer, {str(i): group.dataset(name) for i, name in enumerate(names)}, root)


def load(root, model, by_name=False, skip_mismatch=False):
    """Reads the weights of `model` from `root` (H5Group); all of them are read before the first one is set.

    by_name: match layers by name and leave the others alone, instead of matching the layers that have weights in
    their order. skip_mismatch (with a warning each): leave a weight alone whose shape is another.
    Raises FileFormatError naming the file, the layer and the weight.
    """
    group = weights_group(root)
    if group is None:
        raise FileFormatError("it holds no Keras weights (no attribute 'layer_names')", path=root.path)
    saved = {name: _layer_group(group, name) for name in group.attribute_list("layer_names")}
    # Keras 3.15, and fastseq for it, writes layers in an order of its own where calls follow older rules of masks.
    as_made = mask_rules.of_version(keras_version(root)) != mask_rules.NEWEST
    pairs = _pairs_by_name(saved, model, as_made) if by_name else _pairs_in_order(saved, model, as_made, root)
    top = group.group(_TOP_LEVEL)
    if top is not None:
        pairs.append((_TOP_LEVEL, top, model, list(model.saved_tree().get("vars", []))))
    values = []
    for name, layer_group, layer, variables in pairs:
        try:
            values.extend(_read_layer(layer_group, variables, layer.name, skip_mismatch, by_name))
        except FileFormatError as error:
            where = "" if name == layer.name else f" (saved as '{name}')"
            raise FileFormatError(error.reason + where, path=root.path, layer=layer.name) from error
    weight_budget.assign_all(values, copy=False)


def _legacy_weights(layer, as_made=False):
    """The weights in the order of the file: trainable ones first, those of a model layer by layer. See `load`."""
    if not hasattr(layer, "layers_as_made" if as_made else "layers_in_keras"):
        return layer.trainable_weights + layer.non_trainable_weights
    inside = layer.layers_as_made() if as_made else layer.layers_in_keras()
    found = [weight for inner in inside for weight in _legacy_weights(inner, as_made)]
    found = list(dict.fromkeys(found + layer.trainable_weights + layer.non_trainable_weights))
    trainable = set(map(id, layer.trainable_weights))
    return sorted(found, key=lambda weight: id(weight) not in trainable)


def _layers(model, as_made=False):
    if not hasattr(model, "layers_as_made" if as_made else "layers_in_keras"):
        return model.layers
    return model.layers_as_made() if as_made else model.layers_in_keras()


def _layer_group(group, name):
    found = group.group(name)
    if found is None:
        raise FileFormatError(f"'{name}' is in its list of layers, but not in it", path=group.path, layer=name)
    return found


def _pairs_by_name(saved, model, as_made):
    layers = {}
    for layer in model.layers:
        layers.setdefault(layer.name, []).append(layer)
    pairs = [
        (name, group, layer, _legacy_weights(layer, as_made))
        for name, group in saved.items()
        for layer in layers.get(name, [])
    ]
    if not any(variables for *_, variables in pairs):
        warnings.warn(
            f"No layer with weights was found by name: the file has {list(saved)[:20]}, the model {list(layers)[:20]}.",
            stacklevel=4,
        )
    return pairs


def _pairs_in_order(saved, model, as_made, root):
    groups = [(name, group) for name, group in saved.items() if group.attribute_list("weight_names")]
    layers = [(layer, found) for layer in _layers(model, as_made) if (found := _legacy_weights(layer, as_made))]
    if len(groups) != len(layers):
        raise FileFormatError(
            f"it has {len(groups)} layers with weights ({_names(name for name, _ in groups)}), the model has "
            f"{len(layers)} ({_names(layer.name for layer, _ in layers)})",
            path=root.path,
        )
    # In Keras 1 a Sequential listed its branches one after the other, where a graph lists its layers by their depth.
    first = keras_version(root).split(".", 1)[0] == "1"
    if first and sorted(name for name, _ in groups) == sorted(layer.name for layer, _ in layers):
        named = {layer.name: (layer, variables) for layer, variables in layers}
        return [(name, group, *named[name]) for name, group in groups]
    return [(name, group, layer, variables) for (name, group), (layer, variables) in zip(groups, layers)]


def _names(names):
    names = list(names)
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def _read_layer(group, variables, layer_name, skip_mismatch, may_skip_layer):
    """[(variable, value)] of one layer; weights in cuDNN's layout are converted."""
    names = group.attribute_list("weight_names")
    if len(names) > len(variables):
        # Keras 1 kept an array for each gate.
        apart = [dataset for name in names if (dataset := group.dataset(name)) is not None]
        read = keras1.whole(variables, apart) if len(apart) == len(names) else None
        if read is not None:
            return [(variable, value()) for variable, value in read]
    if len(names) != len(variables):
        reason = f"the model has {len(variables)} weights where the file has {len(names)}"
        if skip_mismatch and may_skip_layer:
            warnings.warn(f"Layer '{layer_name}' keeps its weights: {reason}", stacklevel=4)
            return []
        raise FileFormatError(reason)
    datasets = [group.dataset(name) for name in names]
    for name, dataset in zip(names, datasets):
        if dataset is None:
            raise FileFormatError(f"weight '{name}' is in its list of weights, but not in it")
    values, index = [], 0
    while index < len(variables):
        three = variables[index : index + 3]
        shapes = cudnn.saved_shapes(*(v.shape for v in three)) if len(three) == 3 else None
        if shapes and all(d.shape == shape for d, shape in zip(datasets[index : index + 3], shapes)):
            arrays = [d.read(shape) for d, shape in zip(datasets[index : index + 3], shapes)]
            values.extend(zip(three, cudnn.convert(*arrays)))
            index += 3
            continue
        variable, dataset = variables[index], datasets[index]
        index += 1
        convert = keras1.one_dimension_more(tuple(variable.shape), tuple(dataset.shape))
        if convert is not None:
            values.append((variable, convert(dataset.read(dataset.shape))))
            continue
        if dataset.shape != variable.shape and skip_mismatch:
            warnings.warn(
                f"Weight '{variable.path}' of layer '{layer_name}' keeps its value: it has shape {variable.shape}, the "
                f"file has {dataset.shape}.",
                stacklevel=4,
            )
            continue
        try:
            values.append((variable, dataset.read(variable.shape)))
        except FileFormatError as error:
            raise FileFormatError(f"weight '{variable.name}': {error.reason}") from error
    return values


def write(root, model, config, version, include_optimizer):
    """Fills the file `root` (h5py) with a model, as Keras of `version` does.

    config: the serialized model; include_optimizer: False leaves out how it was compiled and the optimizer's state.
    """
    root.attrs["keras_version"], root.attrs["backend"] = version, "numpy"
    root.attrs["model_config"] = json.dumps({"class_name": config["class_name"], "config": config["config"]})
    compiled = config.get("compile_config") if include_optimizer and model.optimizer is not None else None
    if compiled:
        root.attrs["training_config"] = json.dumps(compile_config.to_training_config(compiled))
    group = root.create_group("model_weights")
    group.attrs["keras_version"], group.attrs["backend"] = version, "numpy"
    _write_names(group, "layer_names", [layer.name for layer in _layers(model)])
    # In the order of their names: one name may be the beginning of another's path.
    for layer in sorted(model.layers, key=lambda layer: layer.name):
        _write_arrays(group.create_group(layer.name), _legacy_weights(layer))
    _write_arrays(group.create_group(_TOP_LEVEL), model.saved_tree().get("vars", []))
    if compiled:
        _write_arrays(root.create_group("optimizer_weights"), model.optimizer.variables)


def _write_arrays(group, variables):
    names = []
    for variable in variables:
        # Weights of two models in one may have the same path.
        name = variable.path if variable.path not in names else f"{variable.path}_{len(names)}"
        names.append(name)
        group[name] = variable.numpy()
    _write_names(group, "weight_names", names)


def _write_names(group, name, values):
    """A list of names as an attribute, in parts where it is larger than a header message may be."""
    values = np.array([value.encode() for value in values], "S" if values else "S1")
    parts = 1
    while any(part.nbytes > _MOST_BYTES for part in np.array_split(values, parts)):
        parts += 1
    for number, part in enumerate(np.array_split(values, parts)):
        group.attrs[name if parts == 1 else f"{name}{number}"] = part
