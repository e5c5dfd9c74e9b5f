"""How a model was compiled, as Keras's `compile_config` and, in the older HDF5 files, `training_config`.

Both are data, looked up in the same closed tables as layers. A file that asks for an optimizer, a loss, a metric or an
option that is not there still loads, for predictions: a warning says what is missing, and the model is not compiled.
"""

import warnings

from fastseq.configs import recording, serialization
from fastseq.errors import UnsupportedError
from fastseq.saving import old_optimizers
from fastseq.tensors import nest, weight_budget

# Options of how Keras runs a step, not of what the step computes; files hold what its backend chose.
_HOW_KERAS_RUNS = ("run_eagerly", "jit_compile")
# Names that `compile` resolves by shapes: no table has them.
_LOSSES_BY_SHAPE, _METRICS_BY_SHAPE = ("crossentropy", "ce"), ("accuracy", "acc")


def compile_config(model):
    """What `compile` was told, in the form of Keras 3.15's files; an empty dict for a model that is not compiled.

    Where a part has no config (a lambda, an object without get_config()), it warns and gives an empty dict.
    """
    if not model.compiled:
        return {}
    loss, metrics, loss_weights, weighted_metrics = model._trainer._told
    config = {
        "optimizer": model.optimizer, "loss": loss, "loss_weights": loss_weights, "metrics": metrics,
        "weighted_metrics": weighted_metrics, "run_eagerly": False, "steps_per_execution": 1, "jit_compile": "auto",
    }  # fmt: skip
    try:
        return serialization.serialize_keras_object(config)
    except (NotImplementedError, TypeError, UnsupportedError) as error:
        if recording.current() is not None:
            raise  # a pickle is whole, or is not made
        warnings.warn(
            f"Model '{model.name}' is saved without how it was compiled; compile it again after loading: {error}",
            stacklevel=2,
        )
        return {}


def compile_model(model, config):
    """Compiles `model` as such a config says and, where it has weights, makes the optimizer's variables.

    Raises TypeError for arguments that `compile` does not have, UnsupportedError and ValueError for classes and names
    that do not exist, FileFormatError for an optimizer that takes more memory than the file it is loaded from accounts
    for.
    """
    config = {key: _part(key, value) for key, value in config.items()}
    for name in _HOW_KERAS_RUNS:
        config.pop(name, None)
    # Keras's steps_per_execution=1: one batch in a call, as here.
    if config.get("steps_per_execution") in (None, 1):
        config.pop("steps_per_execution", None)
    _check_names(config)
    model.compile(**config)
    if model.built and model.optimizer is not None and not weight_budget.optimizers_wait():
        model._trainer.compiled  # noqa: B018 - raises for names of outputs that do not exist
        variables = model.trainable_variables
        weight_budget.check_optimizer_state(variables)
        model.optimizer.build(variables)


def _part(key, value):
    """An argument of `compile` from its config."""
    from fastseq import optimizers

    if key == "optimizer":
        value = old_optimizers.unscaled(value)
        return optimizers.deserialize(value) if isinstance(value, dict) else value
    if key in ("loss", "metrics", "weighted_metrics"):
        return serialization.deserialize_of_kind(value, "losses" if key == "loss" else "metrics")
    return serialization.deserialize_keras_object(value)


def _check_names(config):
    """Raises ValueError for names of losses and metrics that do not exist, which training would find out."""
    from fastseq import losses, metrics

    kinds = (
        ("loss", losses.get, _LOSSES_BY_SHAPE),
        ("metrics", metrics.get, _METRICS_BY_SHAPE),
        ("weighted_metrics", metrics.get, _METRICS_BY_SHAPE),
    )
    for key, get, by_shape in kinds:
        for identifier in nest.flatten(config.get(key)):
            if not (isinstance(identifier, str) and identifier.lower() in by_shape):
                get(identifier)


# ---- older files -------------------------------------------------------------------------------------------------


def from_training_config(training, keras3):
    """The compile_config of a full-model `.h5`, whose objects do not say of which module they are."""
    if not isinstance(training, dict) or not training.get("optimizer_config"):
        return None
    config = {
        "optimizer": _with_module(training["optimizer_config"], "keras.optimizers"),
        "loss": _with_module(training.get("loss"), "keras.losses"),
        "loss_weights": training.get("loss_weights"),
        "metrics": _with_module(training.get("metrics"), "keras.metrics"),
        "weighted_metrics": _with_module(training.get("weighted_metrics"), "keras.metrics"),
        "steps_per_execution": training.get("steps_per_execution"),
    }
    return config if keras3 else from_keras2(config)


def to_training_config(config):
    """What `from_training_config` takes, from a compile_config."""
    from fastseq import losses

    def plain(identifier):
        """The name of a function, always the long one.

        Keras 3.15 writes a name such as "mse" into this format as it is, and then cannot load the file.
        """
        if isinstance(identifier, dict) and identifier["class_name"] == "function":
            identifier = identifier["config"]
        known = isinstance(identifier, str) and losses.ALL_OBJECTS_DICT.get(identifier)
        return known.__name__ if known else identifier

    training = {key: value for key, value in config.items() if key != "optimizer"}
    training |= {key: _mapped(plain, training[key]) for key in ("loss", "metrics", "weighted_metrics")}
    return {**training, "optimizer_config": config["optimizer"]}


def _mapped(function, value):
    """`value` with `function(identifier)` in the place of every loss or metric in its lists and dicts of outputs."""
    if isinstance(value, list):
        return [_mapped(function, item) for item in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {key: _mapped(function, item) for key, item in value.items()}
    return function(value)


def _with_module(value, module):
    if isinstance(value, list):
        return [_with_module(item, module) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("class_name"), str):
        return {"module": module, **value}
    return {key: _with_module(item, module) for key, item in value.items()}


def from_keras2(config):
    """A compile_config of Keras 1 or 2 with the arguments' names and values of Keras 3."""
    if not isinstance(config, dict):
        return config
    parts = {key: _from_keras2(value) for key, value in config.items() if key != "optimizer"}
    return {"optimizer": old_optimizers.to_keras3(config.get("optimizer")), **parts}


def _from_keras2(config):
    """The losses and metrics of one."""
    if isinstance(config, list):
        return [_from_keras2(item) for item in config]
    if not isinstance(config, dict):
        return config
    config = {key: _from_keras2(value) for key, value in config.items()}
    inner = config.get("config")
    if isinstance(inner, dict) and isinstance(config.get("class_name"), str):
        inner = dict(inner)
        if inner.get("reduction") == "auto":
            inner["reduction"] = "sum_over_batch_size"
        if "fn" in inner and config["class_name"] in _named_by_class():
            del inner["fn"]  # tf.keras 2.10 on wrote it beside the class that says it
        if isinstance(inner.get("fn"), str):
            inner["fn"] = {"module": "builtins", "class_name": "function", "config": inner["fn"]}
        config["config"] = inner
    return config


def _named_by_class():
    """The classes of losses and metrics that compute one function each and do not take it as an argument."""
    from fastseq import losses, metrics

    wrappers = ("LossFunctionWrapper", "MeanMetricWrapper")
    return {*losses.ALL_OBJECTS_DICT, *metrics.ALL_OBJECTS_DICT}.difference(wrappers)


def tell_keras2(optimizer):
    """Warns that `optimizer` does not get the state of a file of Keras 1 or 2."""
    warnings.warn(
        f"The file is of Keras 1 or 2, whose optimizers keep other variables: '{optimizer.name}' starts anew, with the "
        "learning rate of the file.",
        stacklevel=4,
    )
