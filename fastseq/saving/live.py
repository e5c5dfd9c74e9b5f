"""Converts a live Keras model. Nothing of Keras or TensorFlow is imported here: the model in hand is asked."""

import json
import sys

from fastseq.errors import UnsupportedError
from fastseq.saving.config_check import check_model_config
from fastseq.saving.legacy_config import to_keras3
from fastseq.saving.sharing import mark_shared


def config_of(keras_model):
    """The serialized form, in Keras 3's form, of a Sequential or functional Keras model (Keras 3 or tf_keras).

    Raises UnsupportedError for a subclassed model, whose config does not say what it computes.
    """
    try:
        inner = keras_model.get_config()
    except NotImplementedError:
        inner = {}
    if not isinstance(inner, dict) or "layers" not in inner:
        raise UnsupportedError(
            f"'{getattr(keras_model, 'name', keras_model)}' is no Sequential and no functional Keras model, and a "
            "subclassed model's config does not say what it computes. Rebuild it from fastseq layers, then set_weights."
        )
    kind = "Functional" if "output_layers" in inner else "Sequential"
    config = {"module": "keras", "class_name": kind, "config": inner, "registered_name": None}
    build_config = getattr(keras_model, "get_build_config", lambda: None)()
    if build_config:
        config["build_config"] = build_config
    # Through JSON, as a file would: tuples become lists and NumPy numbers become plain ones.
    config = json.loads(json.dumps(config, default=_plain))
    config = to_keras3(config, keras3=not version_of(keras_model).startswith("2."))
    check_model_config(config)
    mark_shared(config, keras_model)
    return config


def copy_weights(keras_model, model):
    """Copies the weights, layer by layer in order. Raises UnsupportedError where the two do not match."""
    for source, layer in _pairs(keras_model, model):
        arrays = [_array(variable) for variable in source.weights]
        variables = layer.weights
        if [array.shape for array in arrays] != [variable.shape for variable in variables]:
            raise UnsupportedError(
                f"Layer '{layer.name}': Keras has weights of shapes {[a.shape for a in arrays]}, fastseq has "
                f"{[v.shape for v in variables]}."
            )
        layer.set_weights(arrays)


def _pairs(keras_model, model):
    sources = {layer.name: layer for layer in keras_model.layers}
    for layer in model.layers:
        source = sources.get(layer.name)
        if source is None:
            raise UnsupportedError(f"Layer '{layer.name}' is not in the Keras model it was made from.")
        # A model in a model orders its weights by its own rule; its layers are matched one by one.
        if hasattr(layer, "layers") and hasattr(source, "layers"):
            yield from _pairs(source, layer)
        else:
            yield source, layer


def _array(variable):
    return variable.numpy() if hasattr(variable, "numpy") else variable


def version_of(keras_model):
    """The version of the Keras that a live model is of. Raises UnsupportedError for what is none."""
    for cls in type(keras_model).__mro__:
        package = sys.modules.get(cls.__module__.split(".", 1)[0])
        version = getattr(package, "__version__", None)
        if cls.__module__.split(".", 1)[0] in ("keras", "tf_keras") and isinstance(version, str):
            return version
    raise UnsupportedError(f"from_keras takes a Keras model, got {type(keras_model).__name__}.")


def _plain(value):
    if hasattr(value, "tolist"):
        return value.tolist()
    if value is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if hasattr(value, "as_numpy_dtype"):  # TensorFlow's dtypes
        return value.name
    if hasattr(value, "numpy") and hasattr(value, "dtype"):  # a tensor with values, as a constant in an expression
        return value.numpy().tolist()
    raise UnsupportedError(f"The model's config holds a {type(value).__name__}, which has no place in a model file.")
