"""Configs of Keras 1 and 2 (and of Keras 3's older HDF5 format) in the form that Keras 3's `.keras` has.

What changed between the two is renamed here, once, so that layers and models only know Keras 3's form. Numbers are
those that the model was trained with: `hard_sigmoid` in a file of Keras 2 is clip(0.2 x + 0.5, 0, 1) and becomes
`hard_sigmoid_keras2`. Keras 3.15 loads the same file, without a word, as its own clip(x / 6 + 0.5, 0, 1).
"""

from fastseq.errors import FileFormatError, UnsupportedError
from fastseq.saving import keras1, keras2_operations
from fastseq.saving.keras2_calls import tensor as tensor_of
from fastseq.tensors.naming import free_name

_MODELS = {"Functional": "keras.src.models.functional", "Sequential": "keras"}
_RECURRENT = ("RNN", "LSTM", "GRU", "SimpleRNN", "Bidirectional")
_HARD_SIGMOID = "hard_sigmoid_keras2"
_RENAMED = {"Model": "Functional", "CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU", "Policy": "DTypePolicy"}
# Keys that were written for a time and change no result: how Keras computed, and what the graph knows anyway.
_MEANINGLESS = ("input_dtype", "input_length", "dynamic")
# How tf_keras 2.20 draws random numbers, and in which of two forms its Softmax takes masked numbers out.
_MEANINGLESS_IN = {
    **dict.fromkeys((
        "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D", "SpatialDropout2D",
        "SpatialDropout3D", "LSTM", "GRU", "SimpleRNN",
        "LSTMCell", "GRUCell", "SimpleRNNCell",
    ), ("rng_type",)),
    "Softmax": ("robust_masking",),
    "MultiHeadAttention": ("softmax_robust_masking",),
    # Arguments of Conv, from which these were made, that have no meaning in them.
    **dict.fromkeys(("DepthwiseConv1D", "Conv1DTranspose"), ("groups",)),
    "SeparableConv1D": ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"),
}  # fmt: skip
# Layers that keep integers, of which TensorFlow 1 and Keras 2.0 wrote their input's dtype as theirs.
_OF_ANY_DTYPE = (
    "Embedding", "Flatten", "Reshape", "RepeatVector", "Permute", "Masking", "Concatenate", "TimeDistributed",
    "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Activation", "ActivityRegularization",
    "Cropping1D", "GlobalMaxPooling1D", "MaxPooling1D", "UpSampling1D", "ZeroPadding1D",
)  # fmt: skip
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")
_FLOATS = ("float16", "bfloat16", "float32", "float64")
# Keras 1's Merge(mode=...), which early Keras 2 still wrote.
_MERGE = {
    "sum": "Add",
    "mul": "Multiply",
    "ave": "Average",
    "max": "Maximum",
    "concat": "Concatenate",
    "dot": "Dot",
    "cos": "Dot",
}


def to_keras3(config, keras3=False, path=None):
    """A serialized model, {"class_name", "config"}, in Keras 3's form; the argument is left as it is.

    keras3: the file was written by Keras 3 (its older HDF5 format): only JSON's stand-ins for tuples are undone.
    path: None for a live model. Raises FileFormatError for a config that is no model's; for an option that has no
    equivalent too, or UnsupportedError where there is no file.
    """
    if not isinstance(config.get("class_name"), str) or not isinstance(config.get("config"), (dict, list)):
        raise FileFormatError("its model config has no class_name and config", path=path)
    try:
        return _plain(config) if keras3 else _Converter(path).object(config)
    except (FileFormatError, MemoryError):
        raise
    except _Unsupported as error:
        if path is None:
            raise
        raise FileFormatError(error.args[0], path=path, layer=error.args[1]) from error
    # A config that is not laid out as Keras lays it out breaks the conversion somewhere.
    except Exception as error:
        reason = f"its model config is not one that Keras writes ({type(error).__name__}: {str(error)[:200]})"
        raise FileFormatError(reason, path=path) from error


def _plain(value):
    """JSON data with Keras 2's stand-ins for tuples and shapes replaced by lists."""
    if isinstance(value, dict):
        if value.get("class_name") in ("__tuple__", "TensorShape") and "items" in value:
            return _plain(value["items"])
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _input_name(first, names):
    """What Keras 2 called the input that it added before the layer named `first`; None where nothing is known."""
    if not isinstance(first, str):
        return None
    name = f"{first}_input"
    return free_name(name, names) if name in names else name


def _names_hard_sigmoid(activation):
    if isinstance(activation, dict) and activation.get("class_name") == "function":
        activation = activation.get("config")
    return activation == "hard_sigmoid"


class _Unsupported(UnsupportedError):
    """What is not supported, and the layer that asks for it."""

    def __str__(self):
        return f"Layer '{self.args[1]}': {self.args[0]}."


class _Converter:
    """Converts one file's config; `path` is for messages."""

    def __init__(self, path):
        self.path = path
        self.kinds, self.renamed = {}, {}  # of the model at hand: see `model`

    def value(self, value):
        if isinstance(value, dict) and isinstance(value.get("class_name"), str):
            if value["class_name"] in ("__tuple__", "TensorShape") and "items" in value:
                return self.value(value["items"])
            if isinstance(value.get("config"), (dict, list)):
                return self.object(value)
        if isinstance(value, dict) and value.get("type") == "ndarray" and value.keys() == {"type", "value"}:
            return self.value(value["value"])  # how Keras 2 wrote NumPy's numbers, LeakyReLU's alpha for one
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return value

    def object(self, entry):
        """A serialized layer, model, initializer ... with everything inside it."""
        saved_class = entry["class_name"]
        entry = dict(entry, class_name=_RENAMED.get(saved_class, saved_class))
        name = entry["class_name"]
        if isinstance(entry.get("module"), str):
            entry["module"] = _MODELS.get(name, entry["module"])
        config = entry["config"]
        if isinstance(config, list):
            # Sequential before Keras 2.2.3 was a bare list of layers.
            if keras1.begins_with_merge(config):
                return self.object(self.branches(entry, config))
            config = {"name": entry.get("name", "sequential"), "layers": config}
        if name != "Sequential":
            # Written for Keras 2's ideas of an input shape (initial states in it); a functional model builds itself.
            entry.pop("build_config", None)
        entry.pop("compile_config", None)
        if name in _MODELS and "layers" in config:
            entry["config"] = self.model(name, config)
            return entry
        try:
            config = keras1.layer(saved_class, config)
        except ValueError as error:
            raise _Unsupported(str(error), config.get("name")) from error
        entry["class_name"] = keras1.CLASSES.get(name, name)
        # A Lambda's arguments are data for a user's function, arrays among them.
        config = {
            key: item if name == "Lambda" and key == "arguments" else self.value(item) for key, item in config.items()
        }
        entry["config"] = self.layer(entry, saved_class, config)
        return entry

    def branches(self, entry, layers):
        """The functional model that a Sequential of Keras 1 is which begins with a Merge of branches."""
        try:
            model = keras1.merged_branches(entry.get("name", "sequential"), layers)
        except ValueError as error:
            raise _Unsupported(str(error), entry.get("name")) from error
        return {**entry, **model}

    def layer(self, entry, saved_class, config):
        """A layer's config with the arguments' names and values of Keras 3."""
        name = entry["class_name"]
        if isinstance(config.get("dtype"), dict) and config["dtype"].get("class_name") == "DTypePolicy":
            config["dtype"] = config["dtype"].get("config", {}).get("name", "float32")
        shape = config.pop("batch_input_shape", None)
        if name == "InputLayer":
            if shape is not None:
                config["batch_shape"] = shape
            if config.get("input_dtype") is not None:  # Keras 1
                config.setdefault("dtype", config["input_dtype"])
        # How Keras 2 computed, and shapes the graph knows: they change no result, and but for LocallyConnected1D no
        # weights either.
        meaningless = () if name == "LocallyConnected1D" else ("implementation",)
        for key in (*_MEANINGLESS, *_MEANINGLESS_IN.get(name, ()), *meaningless):
            config.pop(key, None)
        if name in _OF_ANY_DTYPE and config.get("dtype") in _INTEGERS:
            del config["dtype"]
        for key, value in config.items():
            # TensorFlow 1.10 to 1.15 wrote a dtype into every initializer; a weight's own has always decided.
            inner = value.get("config") if key.endswith("_initializer") and isinstance(value, dict) else None
            if isinstance(inner, dict) and inner.get("dtype", "float32") in (None, *_FLOATS):
                inner.pop("dtype", None)
        if name in _RECURRENT and config.pop("num_constants", None) is not None:
            raise _Unsupported("constants= of a recurrent layer are not supported", config.get("name"))
        if isinstance(config.get("axis"), list) and len(config["axis"]) == 1:
            config["axis"] = config["axis"][0]
        if config.pop("time_major", False):
            raise _Unsupported("time_major=True has no equivalent in Keras 3", config.get("name"))
        if saved_class == "CuDNNLSTM":
            config.update(activation="tanh", recurrent_activation="sigmoid", use_bias=True)
        elif saved_class == "CuDNNGRU":
            config.update(activation="tanh", recurrent_activation="sigmoid", use_bias=True, reset_after=True)
        elif name == "GRU":
            # Keras before 2.1.3 knew no reset_after and computed what False means.
            config.setdefault("reset_after", False)
        if name == "LeakyReLU" and "alpha" in config:
            config["negative_slope"] = config.pop("alpha")
        if name == "Merge":
            config = self.merge(entry, config)
        if name == "Bidirectional" and not config.get("backward_layer"):
            forward = config["layer"]
            if forward["config"].get("go_backwards"):
                # Keras 2's other direction is the opposite one, Keras 3's is always backwards.
                back = {**forward["config"], "name": f"backward_{forward['config'].get('name')}", "go_backwards": False}
                config["backward_layer"] = {**forward, "config": back}
        for key in ("activation", "recurrent_activation"):
            if _names_hard_sigmoid(config.get(key)):
                config[key] = _HARD_SIGMOID
        return config

    def merge(self, entry, config):
        mode = config.pop("mode", None)
        if mode not in _MERGE:
            raise _Unsupported(f"Merge(mode={mode!r}) has no equivalent in Keras 3", config.get("name"))
        entry["class_name"] = _MERGE[mode]
        options = {"name": config.get("name"), "trainable": config.get("trainable", True)}
        if mode == "concat":
            options["axis"] = config.get("concat_axis", -1)
        elif mode in ("dot", "cos"):
            options |= {"axes": config.get("dot_axes", -1), "normalize": mode == "cos"}
        return options

    def model(self, name, config):
        """A model's config: its layers, and its nodes in Keras 3's form."""
        saved = config["layers"]
        layers = [self.object(layer) for layer in saved]
        if name == "Sequential":
            # The first layer told the input's shape where there was no InputLayer.
            first = saved[0]["config"] if saved else {}
            shape = None
            if saved and isinstance(first, dict):
                shape = keras1.layer(saved[0]["class_name"], first).get("batch_input_shape")
            if shape is not None and layers[0]["class_name"] != "InputLayer":
                names = {layer["config"].get("name") for layer in layers}
                inputs = {"batch_shape": self.value(shape), "name": _input_name(first.get("name"), names)}
                dtype = first.get("input_dtype", first.get("dtype"))
                if dtype in _INTEGERS:
                    inputs["dtype"] = dtype
                layers.insert(0, {"class_name": "InputLayer", "config": inputs})
            return dict(config, layers=layers)
        self.kinds = {layer["name"]: layer["class_name"] for layer in layers}
        self.renamed = keras2_operations.renamed_calls(layers)
        operations = any(kind in keras2_operations.CLASSES for kind in self.kinds.values())
        if operations:
            layers = keras2_operations.converted(layers, self)
        for layer in layers:
            nodes = layer.get("inbound_nodes", [])
            layer["inbound_nodes"] = [self.node(layer["class_name"], node) for node in nodes]
        config = {**config, **{key: self.outputs(config[key]) for key in ("input_layers", "output_layers")}}
        if operations:
            layers = keras2_operations.needed(layers, config["output_layers"])
        return {**config, "layers": layers}

    def node(self, kind, node):
        """One call of a layer: [[layer, node, tensor, kwargs], ...] -> {"args": [...], "kwargs": {...}}."""
        if isinstance(node, dict):
            return node if "args" in node else {"args": [self.tensors(node)], "kwargs": self.keywords([*node.values()])}
        # One input may stand without the list around it.
        inputs = [node] if node and isinstance(node[0], str) else node
        tensors, kwargs = self.tensors(inputs), self.keywords(inputs)
        if kind in _RECURRENT and len(tensors) > 1:
            # Keras 2 passed initial states as further inputs.
            return {"args": tensors[:1], "kwargs": {**kwargs, "initial_state": tensors[1:]}}
        return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": kwargs}

    def tensors(self, items):
        """Tensors in a nest of [layer, node, tensor, kwargs], which keeps its structure."""
        if isinstance(items, dict):
            return {key: self.tensors(item) for key, item in items.items()}
        return self.tensor(items) if isinstance(items[0], str) else [self.tensors(item) for item in items]

    def keywords(self, items):
        """The arguments that stand beside the tensors, at any of them."""
        kwargs, todo = {}, [items]
        while todo:
            item = todo.pop()
            if isinstance(item, dict):
                todo.extend(item.values())
            elif item and isinstance(item[0], str):
                kwargs.update({key: self.keyword(value) for key, value in (item[3] if len(item) > 3 else {}).items()})
            else:
                todo.extend(item)
        return kwargs

    def keyword(self, value):
        if isinstance(value, list):
            return self.tensor(value) if self.is_tensor(value) else [self.keyword(item) for item in value]
        return self.value(value)

    def is_tensor(self, value):
        return len(value) in (3, 4) and isinstance(value[0], str) and value[0] in self.kinds

    def tensor(self, item):
        layer, node, index = item[:3]
        if layer not in self.kinds:
            raise FileFormatError(f"its graph refers to a layer '{layer}' that is not in it", path=self.path)
        # In Keras 2 a model's node 0 was its own definition; in Keras 3 it is its first call.
        if self.kinds[layer] in _MODELS:
            node -= 1
        if (layer, node) in self.renamed:
            layer, node = self.renamed[layer, node], 0
        return tensor_of(layer, node, index)

    def outputs(self, value):
        """`input_layers`, `output_layers`: here Keras 3 still counts a Functional's definition, but no Sequential's."""
        if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str) and isinstance(value[1], int):
            if (value[0], value[1]) in self.renamed:
                return [self.renamed[value[0], value[1]], 0, value[2]]
            shift = 1 if self.kinds.get(value[0]) == "Sequential" else 0
            return [value[0], value[1] - shift, value[2]]
        if isinstance(value, dict):
            return {key: self.outputs(item) for key, item in value.items()}
        return [self.outputs(item) for item in value]
