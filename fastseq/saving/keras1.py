"""Keras 1 (1.0 to 1.2, until March 2017): its layers' arguments in the names of Keras 2, and its weights.

The names are those of keras/legacy/interfaces.py of Keras 2.0, by which it read such configs. They tell a layer of
Keras 1: no later version wrote one of them for the same class. Weights differ for LSTM and GRU alone, which had one
array for every gate, as in preprocess_weights_for_loading of keras/engine/topology.py.
"""

import warnings

import numpy as np

_WEIGHTS = {"init": "kernel_initializer", "W_regularizer": "kernel_regularizer", "b_regularizer": "bias_regularizer"}
_PLAIN = {**_WEIGHTS, "W_constraint": "kernel_constraint", "b_constraint": "bias_constraint", "bias": "use_bias"}
_DENSE = {**_PLAIN, "output_dim": "units"}
_RECURRENT = {
    **_WEIGHTS, "output_dim": "units", "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation", "U_regularizer": "recurrent_regularizer", "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
}  # fmt: skip
_RATE = {"p": "rate"}
_POOLING = {"pool_length": "pool_size", "stride": "strides", "border_mode": "padding"}
_CONVOLUTION = {
    **_PLAIN, "nb_filter": "filters", "filter_length": "kernel_size", "subsample_length": "strides",
    "border_mode": "padding",
}  # fmt: skip
RENAMED = {
    "Dense": _DENSE,
    "TimeDistributedDense": _DENSE,
    "Highway": _PLAIN,
    "MaxoutDense": _DENSE,
    "LSTM": _RECURRENT,
    "GRU": _RECURRENT,
    "SimpleRNN": _RECURRENT,
    "Embedding": {
        "init": "embeddings_initializer", "W_regularizer": "embeddings_regularizer",
        "W_constraint": "embeddings_constraint",
    },
    "MaxPooling1D": _POOLING,
    "AveragePooling1D": _POOLING,
    "UpSampling1D": {"length": "size"},
    "LocallyConnected1D": _CONVOLUTION,
    "Convolution1D": _CONVOLUTION,
    "AtrousConvolution1D": {**_CONVOLUTION, "atrous_rate": "dilation_rate"},
    "Dropout": _RATE,
    "SpatialDropout1D": _RATE,
    "SpatialDropout2D": {**_RATE, "dim_ordering": "data_format"},
    "SpatialDropout3D": {**_RATE, "dim_ordering": "data_format"},
    "GaussianDropout": _RATE,
    "GaussianNoise": {"sigma": "stddev"},
    "PReLU": {"init": "alpha_initializer"},
    "BatchNormalization": {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"},
}  # fmt: skip
# What is known of the input, and how Keras computed.
_MEANINGLESS = {
    **dict.fromkeys(
        (
            "Dense",
            "TimeDistributedDense",
            "LocallyConnected1D",
            "Convolution1D",
            "AtrousConvolution1D",
            "Highway",
            "MaxoutDense",
        ),
        ("input_dim", "input_length"),
    ),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN"), ("input_dim", "input_length", "consume_less")),
}
# A layer of Keras 1 with the same numbers as another one.
CLASSES = {"TimeDistributedDense": "Dense", "Convolution1D": "Conv1D", "AtrousConvolution1D": "Conv1D"}
_REGULARIZERS = ("L1L2Regularizer", "WeightRegularizer", "ActivityRegularizer")
_CONSTRAINTS = {"MaxNorm": {"m": "max_value"}, "MinMaxNorm": {"low": "min_value", "high": "max_value"},
                "NonNeg": {}, "UnitNorm": {}}  # fmt: skip


def is_layer(class_name, config):
    """Whether Keras 1 wrote this config of a layer."""
    names = {*RENAMED.get(class_name, ()), "consume_less", "forget_bias_init"} - {"bias"}
    if class_name == "Embedding":
        names |= {"dropout"}
    if class_name == "BatchNormalization":
        names |= {"mode"}
    return class_name in CLASSES or (class_name in RENAMED and not names.isdisjoint(config))


def layer(class_name, config):
    """A layer's config with the arguments of Keras 2; other configs as they are.

    Raises ValueError for what later versions have no form of.
    """
    config = {key: _penalty_or_constraint(key, value) for key, value in config.items()}
    if class_name == "ZeroPadding1D" and isinstance(config.get("padding"), dict):
        config["padding"] = [config["padding"].get("left_pad", 0), config["padding"].get("right_pad", 0)]
    if not is_layer(class_name, config):
        return config
    # The first layer of a model gives its input's shape in one of two ways.
    if "batch_input_shape" not in config and config.get("input_dim") is not None and class_name != "Embedding":
        flat = class_name in ("Dense", "Highway", "MaxoutDense")
        config["batch_input_shape"] = [None, *([] if flat else [config.get("input_length")]), config["input_dim"]]
    for key in _MEANINGLESS.get(class_name, ()):
        config.pop(key, None)
    if class_name == "Embedding" and config.pop("dropout", 0):
        warnings.warn(
            f"Embedding '{config.get('name')}' of Keras 1 left out words while it was trained (dropout=...); no later "
            "version does. It predicts the same; trained further, it trains without.",
            stacklevel=2,
        )
    if class_name == "BatchNormalization" and config.pop("mode", 0) != 0:
        raise ValueError(
            "BatchNormalization of Keras 1 with another mode than 0, as of each sample, or of each batch at inference "
            "too, has no equivalent in later versions"
        )
    forget = config.pop("forget_bias_init", None)
    if forget is not None:
        config["unit_forget_bias"] = forget in ("one", "ones")
    orders = {"tf": "channels_last", "th": "channels_first"}
    if "dim_ordering" in config:
        config["dim_ordering"] = orders.get(config["dim_ordering"], config["dim_ordering"])
    names = RENAMED[class_name]
    return {names.get(key, key): value for key, value in config.items()}


def _penalty_or_constraint(key, value):
    """Keras 1 named the class of a regularizer or constraint within its config."""
    if not isinstance(value, dict) or "class_name" in value or not isinstance(value.get("name"), str):
        return value
    name, options = value["name"], {option: item for option, item in value.items() if option != "name"}
    if key.endswith("_regularizer"):
        if name not in _REGULARIZERS:
            raise ValueError(f"the regularizer {name} of Keras 1 has no equivalent in later versions")
        return {"class_name": "L1L2", "config": options}
    if key.endswith("_constraint") and name in _CONSTRAINTS:
        renamed = _CONSTRAINTS[name]
        return {"class_name": name, "config": {renamed.get(option, option): item for option, item in options.items()}}
    return value


# ---- a Sequential model that begins with several inputs --------------------------------------------------------------


def begins_with_merge(layers):
    """Whether a Sequential model's layers begin with a Merge of whole branches."""
    first = layers[0] if layers else None
    return isinstance(first, dict) and first.get("class_name") == "Merge" and bool(first["config"].get("layers"))


def merged_branches(name, layers):
    """Such a model as the functional model that it is, in the form of Keras 1 and 2, weights under the same names."""
    graph = _Graph()
    output = graph.chain(layers)
    return {
        "class_name": "Model",
        "config": {"name": name, "layers": graph.layers, "input_layers": graph.inputs, "output_layers": [output]},
    }


class _Graph:
    def __init__(self):
        self.layers, self.inputs, self._entries = [], [], {}

    def chain(self, layers):
        """Adds a stack of layers; returns [name, call, 0] of its output."""
        first, *rest = layers
        if begins_with_merge(layers):
            config = dict(first["config"])
            branches = [self._branch(branch) for branch in config.pop("layers")]
            output = self._call({**first, "config": config}, branches)
        else:
            output = self._call(first, [self._input(first)])
        for layer in rest:
            output = self._call(layer, [output])
        return output

    def _branch(self, branch):
        if branch["class_name"] == "Sequential" and isinstance(branch["config"], list):
            return self.chain(branch["config"])
        if branch["class_name"] in ("Model", "Sequential"):
            raise ValueError("a Merge of functional models has no equivalent in later versions")
        return self.chain([branch])

    def _input(self, first):
        config = first["config"]
        shape = layer(first["class_name"], config).get("batch_input_shape")
        if shape is None:
            raise ValueError("a branch does not say the shape of its input")
        name = f"{config['name']}_input"
        if name not in self._entries:
            options = {"batch_input_shape": shape, "input_dtype": config.get("input_dtype"), "name": name}
            entry = {"class_name": "InputLayer", "config": options}
            self._add(name, entry)
            self.inputs.append([name, 0, 0])
        return [name, 0, 0]

    def _call(self, entry, inputs):
        name = entry["config"]["name"]
        if name not in self._entries:
            self._add(name, entry)
        calls = self._entries[name]["inbound_nodes"]
        calls.append(inputs)
        return [name, len(calls) - 1, 0]

    def _add(self, name, entry):
        self._entries[name] = {**entry, "name": name, "inbound_nodes": []}
        self.layers.append(self._entries[name])


# ---- weights ---------------------------------------------------------------------------------------------------------


def whole(variables, datasets):
    """[(variable, function that reads its value)] of one layer whose gates stand apart in the file; None for others.

    datasets: with `shape` and `read(shape)`, more of them than variables. LSTM: i, c, f, o; GRU: z, r, h; of each gate
    the kernel, the recurrent kernel and the bias.
    """
    found, taken, index = [], 0, 0
    while index < len(variables):
        three = variables[index : index + 3]
        order = _gates([tuple(variable.shape) for variable in three])
        parts = datasets[taken : taken + 3 * len(order)]
        if order and [tuple(part.shape) for part in parts] == _shapes_apart(three, len(order)):
            for number, variable in enumerate(three):
                found.append((variable, _joined([parts[3 * gate + number] for gate in order])))
            taken, index = taken + len(parts), index + 3
            continue
        if taken >= len(datasets) or tuple(datasets[taken].shape) != tuple(variables[index].shape):
            return None
        found.append((variables[index], _joined([datasets[taken]])))
        taken, index = taken + 1, index + 1
    return found if taken == len(datasets) else None


def one_dimension_more(shape, saved):
    """How a kernel (k, C, N) is made of an array that Keras 1 kept of a Convolution1D, of shape `saved`: as that of an
    image of one column, from 1.2 on (k, 1, C, N), before (N, C, k, 1). None where it is neither."""
    if len(shape) != 3 or len(saved) != 4:
        return None
    size, channels, filters = shape
    if saved == (size, 1, channels, filters):
        return lambda kernel: kernel[:, 0]
    if saved == (filters, channels, size, 1):
        return lambda kernel: np.ascontiguousarray(kernel[..., 0].transpose(2, 1, 0))
    return None


def _gates(shapes):
    """Where the gates of Keras 2 stand among those of Keras 1; empty for what is no LSTM or GRU with a bias."""
    if len(shapes) < 3 or [len(shape) for shape in shapes] != [2, 2, 1] or not shapes[1][0]:
        return ()
    (_, columns), (units, others), (biases,) = shapes
    if not columns == others == biases:
        return ()
    return {4: (0, 2, 1, 3), 3: (0, 1, 2)}.get(columns / units, ())


def _shapes_apart(three, gates):
    kernel, recurrent_kernel, _ = (variable.shape for variable in three)
    units = recurrent_kernel[0]
    return [(kernel[0], units), (units, units), (units,)] * gates


def _joined(datasets):
    return lambda: np.concatenate([dataset.read(dataset.shape) for dataset in datasets], axis=-1)
