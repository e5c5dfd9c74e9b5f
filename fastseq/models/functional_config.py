"""Functional models <-> Keras 3.15's config: layers, the calls between them, inputs and outputs."""

from collections import deque

from fastseq.configs import policies
from fastseq.errors import FileFormatError, UnsupportedError
from fastseq.ops import files as ops_files
from fastseq.ops import saved_options
from fastseq.ops.operation import OpNode
from fastseq.tensors import catch_alls, mask_rules, nest
from fastseq.tensors.operation import Operation
from fastseq.tensors.symbolic import KerasTensor

# More calls than any model has, those of nested models counted: 60 models that each call the next twice make 10^18.
_MOST_CALLS = 1_000_000


# ---- model -> config -------------------------------------------------------------------------------------------------


def functional_config(model):
    """{"name", "trainable", "layers", "input_layers", "output_layers"}; lists where Keras has tuples."""
    from fastseq.configs.serialization import serialize_keras_object

    graph = model._graph
    # A layer's calls outside this model are not saved, so the calls are numbered anew.
    numbers = {}
    for layer in graph.layers:
        kept = [node for node in layer._inbound_nodes if node in graph.node_set]
        numbers.update({node: number for number, node in enumerate(kept)})

    def history(tensor, shift=0):
        layer, index, position = tensor._keras_history
        return [layer.name, numbers[layer._inbound_nodes[index]] + shift, position]

    def leaf(value):
        if not isinstance(value, KerasTensor):
            return serialize_keras_object(value)
        config = {"shape": list(value.shape), "dtype": value.dtype, "keras_history": history(value)}
        return {"class_name": "__keras_tensor__", "config": config}

    def call(node):
        args, kwargs = catch_alls.spread(node.layer, node.arguments)
        if not args:  # Keras writes what was given by position there, and one has to
            (_, first), *others = kwargs.items()
            args, kwargs = [first], dict(others)
        return {
            "args": [nest.map_structure(leaf, value) for value in args],
            "kwargs": {name: nest.map_structure(leaf, value) for name, value in kwargs.items()},
            **mask_rules.entry(node.mask_rules),
        }

    def operation_call(node):
        return ops_files.serialize_call(node.layer, node.arguments, lambda value: nest.map_structure(leaf, value))

    entries = []
    for layer in graph.layers:
        is_operation = isinstance(layer, OpNode)
        entry = ops_files.serialize(layer) if is_operation else serialize_keras_object(layer)
        entry["name"] = layer.name
        entry["inbound_nodes"] = [
            (operation_call if is_operation else call)(node)
            for node in layer._inbound_nodes
            if node in graph.node_set and node.input_tensors
        ]
        entries.append(entry)

    def end(tensor):
        # Keras counts a functional model's own definition as its call number 0 here, though not in inbound_nodes.
        return history(tensor, int(getattr(tensor._keras_history[0], "definition_is_a_call", False)))

    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": entries,
        "input_layers": nest.map_structure(end, model.input),
        "output_layers": nest.map_structure(end, model.output),
    }


# ---- config -> model -------------------------------------------------------------------------------------------------


def functional_from_config(cls, config, custom_objects=None):
    """A functional model from Keras 3's config, or from Keras 2's where calls are lists.

    Takes time in proportion to the config. Raises FileFormatError (a ValueError) for a config that describes no graph:
    doubled or unknown names, calls and tensors that do not exist, loops; UnsupportedError for unknown classes.
    """
    try:
        with policies.reading(f"The config of model '{config.get('name')}'"):
            return _Reader(config, custom_objects).model(cls)
    except RecursionError:
        raise FileFormatError("A config is nested too deeply to be a model's.") from None


class _Reader:
    def __init__(self, config, custom_objects):
        name = config.get("name")
        if not isinstance(config.get("layers"), list) or not (name is None or isinstance(name, str)):
            raise FileFormatError("The config of a functional model needs a name and a list of layers.")
        if any(_has_old_calls(entry) for entry in config["layers"]):
            from fastseq.saving.legacy_config import to_keras3

            config = to_keras3({"class_name": "Functional", "config": config})["config"]
        self.config = config
        self.custom_objects = custom_objects
        self.layers = {}
        self.calls = {}

    def model(self, cls):
        for position, entry in enumerate(self.config["layers"]):
            self._read_layer(entry, position)
        self._make_calls()
        inputs = self._tensors(self.config.get("input_layers"), "input_layers")
        outputs = self._tensors(self.config.get("output_layers"), "output_layers")
        known = ("layers", "input_layers", "output_layers", "name", "trainable")
        others = {key: value for key, value in self.config.items() if key not in known}
        model = cls(inputs, outputs, name=self.config.get("name"), trainable=self.config.get("trainable"), **others)
        if any(isinstance(layer, OpNode) for layer in self.layers.values()):
            inside = set(model.layers)
            model._structure.layers_as_made = [layer for layer in self.layers.values() if layer in inside]
        if call_count(model) > _MOST_CALLS:
            raise FileFormatError(
                f"The model makes more than {_MOST_CALLS} layer calls, nested models counted.", layer=model.name
            )
        return model

    def _read_layer(self, entry, position):
        from fastseq.configs.serialization import deserialize_keras_object

        if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
            raise FileFormatError(f"Layer number {position} of a functional model has no config.")
        name = entry.get("name", entry["config"].get("name"))
        if not isinstance(name, str):
            raise FileFormatError(f"Layer number {position} of a functional model has no name.")
        if name in self.layers:
            raise FileFormatError("Two layers of a functional model have this name.", layer=name)
        if ops_files.is_operation(entry) and entry.get("class_name") not in (self.custom_objects or {}):
            layer = ops_files.deserialize(entry)
        else:
            data = {key: value for key, value in entry.items() if key not in ("name", "inbound_nodes")}
            layer = deserialize_keras_object(data, self.custom_objects)
        if not isinstance(layer, Operation):
            raise FileFormatError(f"It is no layer but a {type(layer).__name__}.", layer=name)
        if layer.name != name and not layer._inbound_nodes:  # of a class whose config has no name
            layer.name = name
        calls = entry.get("inbound_nodes", [])
        if not isinstance(calls, list):
            raise FileFormatError("Its inbound_nodes are no list.", layer=name)
        self.layers[name] = layer
        self.calls[name] = calls

    def _make_calls(self):
        """Calls the layers, each call once what it needs is there; a layer's calls stay in order."""
        # A layer shared with another model, as custom_objects may hand out, has calls already: ours come after them.
        self.before = {
            name: len(layer._inbound_nodes) if self.calls[name] else 0 for name, layer in self.layers.items()
        }
        self.done = dict.fromkeys(self.layers, 0)
        needs = {}  # layer -> what its next call still needs
        waiting = {}  # (layer, call) -> layers that wait for it
        ready = deque(name for name, calls in self.calls.items() if calls)
        while ready:
            name = ready.popleft()
            while self.done[name] < len(self.calls[name]):
                if name not in needs:
                    needs[name] = _references(self.calls[name][self.done[name]], name)
                while needs[name] and self._is_made(needs[name][-1], name):
                    needs[name].pop()
                if needs[name]:
                    waiting.setdefault(needs[name][-1][:2], []).append(name)
                    break
                del needs[name]
                self._call(name, self.calls[name][self.done[name]])
                ready.extend(waiting.pop((name, self.done[name]), ()))
                self.done[name] += 1
        for name, calls in self.calls.items():
            if self.done[name] != len(calls):
                raise FileFormatError(
                    "The graph of the functional model either has loops or disconnected nodes: this layer's call "
                    f"{self.done[name]} waits for what never comes.",
                    layer=name,
                )

    def _is_made(self, reference, name):
        """Whether the call that this tensor comes from has been made. Raises FileFormatError where there is none."""
        layer, call, _ = reference
        if layer not in self.layers:
            raise FileFormatError(f"It is called on the output of '{layer}', which does not exist.", layer=name)
        calls = len(self.calls[layer])
        if call >= (calls or len(self.layers[layer]._inbound_nodes)):
            raise FileFormatError(f"It is called on call {call} of '{layer}', which does not exist.", layer=name)
        return not calls or call < self.done[layer]

    def _call(self, name, call):
        args = self._revive(call.get("args", []), name)
        kwargs = self._revive(call.get("kwargs", {}), name)
        if not isinstance(args, (list, tuple)) or not isinstance(kwargs, dict):
            raise FileFormatError("One of its inbound_nodes has no proper args and kwargs.", layer=name)
        # Keras writes "mask": None for every layer whose call takes one.
        layer = self.layers[name]
        kwargs = {key: item for key, item in kwargs.items() if item is not None or key in layer._signature.parameters}
        try:
            made = len(layer._inbound_nodes)
            if isinstance(layer, OpNode):
                args, kwargs = ops_files.revive_call(layer, args, kwargs)
            with mask_rules.scope(mask_rules.of_entry(call)):
                outputs = layer(*args, **kwargs)
            if isinstance(layer, OpNode):
                saved_options.check_outputs(name, nest.flatten(outputs))
        except (FileFormatError, RecursionError):
            raise
        except (TypeError, ValueError, IndexError, AttributeError, KeyError) as error:
            raise FileFormatError(f"It cannot be called as the config says: {str(error)[:1000]}", layer=name) from error
        if len(layer._inbound_nodes) != made + 1:
            raise FileFormatError("One of its inbound_nodes has no tensor.", layer=name)

    def _revive(self, value, name):
        """Call arguments with the tensors in the places of their descriptions."""
        from fastseq.configs.serialization import deserialize_keras_object

        if isinstance(value, (list, tuple)):
            return [self._revive(item, name) for item in value]
        if not isinstance(value, dict):
            return value
        if value.get("class_name") == "__keras_tensor__":
            return self._tensor(*_history(value, name), user=name)
        if "class_name" in value:
            return deserialize_keras_object(value, self.custom_objects)
        return {key: self._revive(item, name) for key, item in value.items()}

    def _tensor(self, layer, call, position, user=None):
        node = self.layers[layer]._inbound_nodes[self.before[layer] + call]
        if position >= len(node.output_tensors):
            raise FileFormatError(f"The model uses output {position} of '{layer}', which does not exist.", layer=user)
        return node.output_tensors[position]

    def _tensors(self, value, key):
        """KerasTensors in the structure of `input_layers` or `output_layers`."""
        if isinstance(value, (list, tuple)) and len(value) == 3 and isinstance(value[0], str):
            name, call, position = value
            if name not in self.layers:
                raise FileFormatError(f"Its {key} name the layer '{name}', which does not exist.")
            if getattr(self.layers[name], "definition_is_a_call", False):
                # As written: the model's own definition counts as call 0.
                call = call - 1 if _is_number(call) else call
            calls = len(self.layers[name]._inbound_nodes) - self.before[name]
            if not _is_number(call) or not _is_number(position) or call >= calls:
                raise FileFormatError(f"Its {key} name call {call} of this layer, which does not exist.", layer=name)
            return self._tensor(name, call, position)
        if isinstance(value, dict):
            return {str(key): self._tensors(item, key) for key, item in value.items()}
        if isinstance(value, (list, tuple)) and value:
            return [self._tensors(item, key) for item in value]
        raise FileFormatError(f"Its {key} are {str(value)[:100]}, not names of layers with their calls.")


def _is_number(value):
    return type(value) is int and value >= 0


def _has_old_calls(entry):
    calls = entry.get("inbound_nodes") if isinstance(entry, dict) else None
    return isinstance(calls, list) and any(isinstance(call, list) for call in calls)


def _history(tensor, name):
    """(layer, call, output) that a serialized tensor comes from."""
    config = tensor.get("config")
    history = config.get("keras_history") if isinstance(config, dict) else None
    if (
        not isinstance(history, (list, tuple))
        or len(history) != 3
        or not isinstance(history[0], str)
        or not all(map(_is_number, history[1:]))
    ):
        raise FileFormatError(f"One of its inputs has no proper origin: {str(history)[:100]}", layer=name)
    return tuple(history)


def _references(call, name):
    """(layer, call, output) of every tensor in a call."""
    if not isinstance(call, dict):
        raise FileFormatError("One of its inbound_nodes is no call.", layer=name)
    found, todo = [], [call]
    while todo:
        item = todo.pop()
        if isinstance(item, (list, tuple)):
            todo.extend(item)
        elif isinstance(item, dict):
            if item.get("class_name") == "__keras_tensor__":
                found.append(_history(item, name))
            else:
                todo.extend(item.values())
    return found


def call_count(model):
    """Layer calls of one run, those inside nested models included."""
    graph = model.call_graph
    if graph is None:
        return 1
    if graph.call_count is None:
        graph.call_count = sum(call_count(node.layer) for node in graph.steps)
    return graph.call_count


def model_from_json(json_string, custom_objects=None):
    """The model that JSON text describes, with freshly initialized weights.

    Args:
        json_string (str): What `Model.to_json` gives, of fastseq or Keras.
        custom_objects (dict, default None): Name -> class or function of your own, beside the registered ones.

    Returns:
        A Model.

    Raises:
        FileFormatError: Text that is no such JSON.
        UnsupportedError: Unknown classes and options.

    Example:
        >>> text = fastseq.Sequential([layers.Input((3,)), layers.Dense(4)]).to_json()
        >>> models.model_from_json(text).output_shape
        (None, 4)
    """
    import json

    from fastseq.configs.serialization import deserialize_keras_object
    from fastseq.saving.legacy_config import to_keras3
    from fastseq.saving.missing import explanation

    try:
        config = json.loads(json_string)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"The text is no JSON: {str(error)[:200]}") from None
    if not isinstance(config, dict):
        raise FileFormatError("The JSON text describes no model.")
    # Keras 2 wrote its version into the text, Keras 3 does not.
    rules = mask_rules.of_version(config.get("keras_version"))
    if "module" not in config:
        config = to_keras3(config)
    try:
        with mask_rules.scope(rules):
            return deserialize_keras_object(config, custom_objects)
    except (UnsupportedError, FileFormatError) as error:
        told = explanation(error, config, custom_objects)
        if told is None:
            raise
        raise UnsupportedError(told[0]) from error
