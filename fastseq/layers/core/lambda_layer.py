"""A Lambda layer of a file, with a function of the user's in the place of the file's; see
https://keras.io/api/layers/core_layers/lambda/.

The function in the file is Python bytecode, or a name that means something where it was written; fastseq runs neither.
`load_model(path, custom_objects={"name of the layer": function})`, or "Lambda" for all of them, gives another.
"""

import inspect

import numpy as np

from fastseq.configs import registry
from fastseq.configs.serialization import deserialize_keras_object
from fastseq.errors import UnsupportedError
from fastseq.layers import traced_calls
from fastseq.layers.base import Layer
from fastseq.ops.operation import slots_of_result
from fastseq.ops.shape_builder import traced_twice
from fastseq.tensors import nest
from fastseq.tensors.symbolic import KerasTensor


class Lambda(Layer):
    """A layer that computes what a function does. It stands for a Lambda layer of a file, and is made by no other way.

    The function is traced as a layer's `call` is: native steps, gradients and streams where it computes with
    `fastseq.ops`, NumPy's functions and operators; else it runs in Python. Its result alone says the output's shape.

    Args:
        function (function): (inputs) -> array, or a nest of them; with a `mask` or a `training` among its parameters it
            is given these.
        mask (function, default None): (inputs, mask) -> the output's mask; None: the output has none, as in Keras.
        arguments (dict, default None): Further arguments of the function by name, plain data and arrays.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        UnsupportedError: `arguments` that the function does not take.
    """

    #: Where Keras has the class that a file of such a layer names.
    saved_module = "keras.layers"
    _takes_several = True

    def __init__(self, function, mask=None, arguments=None, **kwargs):
        super().__init__(**kwargs)
        self.function = function
        self.mask = mask
        self.arguments = dict(arguments or {})
        self._given = _parameters(function)
        _check_arguments(self)
        self.built = True

    @property
    def _computes_masks(self):
        return self.mask is not None

    def call(self, inputs, mask=None, training=None):
        given = {name: value for name, value in (("mask", mask), ("training", training)) if name in self._given}
        return self.function(inputs, **self.arguments, **given)

    def compute_mask(self, inputs, mask=None):
        return None if self.mask is None else self.mask(inputs, mask)

    def compute_output_spec(self, inputs, mask=None, training=None):
        """Shapes and dtypes by a trace where nothing is computed; of a function that cannot be traced as Layer's."""
        masks = [mask]
        if mask is None and "mask" in self._given:
            # A model of Keras 2 has its masks only when it runs.
            masks.append(nest.map_structure(lambda x: KerasTensor(x.shape[:2], "bool"), inputs))
        for one in masks:
            try:
                return self._traced_spec(inputs, one, training)
            except Exception:
                continue
        return super().compute_output_spec(inputs, mask=mask, training=training)

    def _traced_spec(self, inputs, mask, training):
        tensors = [leaf for leaf in nest.flatten([inputs, mask]) if isinstance(leaf, KerasTensor)]
        structure = []

        def trace(p, slots):
            slots = iter(slots)
            inside = nest.map_structure(lambda x: next(slots) if isinstance(x, KerasTensor) else x, [inputs, mask])
            arguments = {"inputs": inside[0], "mask": inside[1], "training": training}
            result = traced_calls.run_traced(p, self.call, arguments, training)
            structure[:] = [slots_of_result(p, result)]
            return nest.flatten(structure[0])

        found = traced_twice(trace, tensors)
        return nest.pack_like(structure[0], found) if nest.is_nested(structure[0]) else found[0]

    def get_config(self):
        config = {**super().get_config(), "function": self.function, "arguments": self.arguments}
        return config if self.mask is None else {**config, "mask": self.mask}

    def config_for_file(self):
        """`get_config()` with names in the places of the functions: the registered ones, or those by which
        custom_objects gives them, here and in Keras: the layer's, and that with "_mask" behind it."""
        config = self.get_config()
        for key, name in (("function", self.name), ("mask", f"{self.name}_mask")):
            if key in config:
                name = registry.registered().get(config[key], name)
                config[key] = {"module": "builtins", "class_name": "function", "config": name,
                               "registered_name": "function"}  # fmt: skip
        return config

    @classmethod
    def from_config(cls, config):
        known = {**registry.scope_objects(), **registry.get_custom_objects()}
        name, mask = config.get("name"), config.get("mask")
        if mask is not None and not callable(mask):
            mask = known.get(registry.saved_name(mask)) or known.get(f"{name}_mask")
            if not callable(mask):
                raise UnsupportedError(
                    f"The Lambda layer '{name}' has a function of its own for its mask, which is not read from a file: "
                    f"give it in custom_objects={{'{name}_mask': function}}, as a function of (inputs, mask)."
                )
        arguments = config.get("arguments") or {}
        if not isinstance(arguments, dict):
            raise UnsupportedError(f"The Lambda layer '{name}' has arguments that are no dict: {str(arguments)[:100]}.")
        arguments = {key: _argument(value) for key, value in arguments.items()}
        kept = {key: config[key] for key in ("name", "trainable", "dtype", "activity_regularizer") if key in config}
        return cls(registry.lambda_function({"config": config}, known), mask, arguments, **kept)


def _argument(value):
    """An argument of a file: plain data, or an array, as each version of Keras writes it."""
    if isinstance(value, dict) and value.keys() == {"type", "value"} and value["type"] == "ndarray":
        value = np.array(value["value"])
        return value.astype(np.float32) if value.dtype.kind == "f" else value
    return deserialize_keras_object(value)


def _parameters(function):
    """The names that a function's arguments may be given by; those of NumPy's ufuncs and the like are not known."""
    try:
        return inspect.signature(function).parameters
    except ValueError:
        return {}


def _check_arguments(layer):
    missing = [name for name in layer.arguments if name not in layer._given]
    takes_all = any(p.kind is p.VAR_KEYWORD for p in layer._given.values())
    if missing and not takes_all:
        raise UnsupportedError(
            f"The function for the Lambda layer '{layer.name}' does not take {', '.join(missing)}, which the file has "
            f"for it as arguments: write it as function(inputs, {', '.join(layer.arguments)})."
        )
