"""Optimizers as files name them, as fastseq.optimizers takes them: those of Keras 1 and 2, and loss scaling."""

from fastseq.configs import registry

# Keras 2.11 to 2.15 registered its own optimizers as a user's are: "Custom>Adam".
_REGISTERED = "Custom>"
_OWN = {name.lower(): name for name in (
    "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lion", "Nadam", "RMSprop", "SGD",
)}  # fmt: skip
# How Keras runs a step, or which of two forms of a class it is.
_MEANINGLESS = ("jit_compile", "is_legacy_optimizer")
_LARGEST = 1e30
_LOSS_SCALES = ("LossScaleOptimizer", "LossScaleOptimizerV1", "LossScaleOptimizerV2", "LossScaleOptimizerV3")


def own_name(name):
    """Keras's own name of an optimizer that was registered like a user's; other names as they are."""
    if not isinstance(name, str) or not name.startswith(_REGISTERED) or _is_known(name):
        return name
    inner = name[len(_REGISTERED) :]
    return inner if inner in (*_OWN.values(), *_LOSS_SCALES) else name


def _is_known(name):
    return registry.get_registered_object(name) is not None


def unscaled(config):
    """The optimizer inside a LossScaleOptimizer, whose scale only keeps float16 gradients from vanishing.

    config: a serialized optimizer, or its name; what is no LossScaleOptimizer comes back as it is.
    """
    seen = 0
    while isinstance(config, dict) and own_name(config.get("class_name")) in _LOSS_SCALES and seen < 8:
        inner = config.get("config")
        found = inner.get("inner_optimizer", inner.get("optimizer")) if isinstance(inner, dict) else None
        if found is None or _is_known(config["class_name"]):
            return config
        config, seen = found, seen + 1
    return config


def to_keras3(config):
    """A serialized optimizer of Keras 1 or 2 with the names and values of Keras 3; other values as they are.

    A `decay` of the learning rate becomes the schedule that computes the same; Nadam's is its `schedule_decay`.
    """
    config = unscaled(config)
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        return config
    config = {**config, "class_name": own_name(config.get("class_name"))}
    if "registered_name" in config:
        config["registered_name"] = own_name(config["registered_name"])
    if not isinstance(config["class_name"], str) or _is_known(config["class_name"]):
        return config
    name = _OWN.get(config["class_name"].lower())
    if name is None:
        return config
    inner = {key: value for key, value in config["config"].items() if key not in _MEANINGLESS}
    if "lr" in inner:
        inner["learning_rate"] = inner.pop("lr")
    if inner.get("epsilon", 0) is None:  # the backend's, 1e-7 there as here
        del inner["epsilon"]
    decay = inner.pop("decay", None)
    if name == "Nadam":
        # Keras before 2.11 was made with 0.004 and wrote it, under one name or the other.
        if decay is not None:
            inner.setdefault("schedule_decay", decay)
    elif decay and not _is_number(decay, inner.get("learning_rate")):
        inner["decay"] = decay  # the optimizer refuses it: Keras 3 has no schedule that is lowered by a decay too
    elif decay:
        options = {"initial_learning_rate": float(inner["learning_rate"]), "decay_steps": 1, "decay_rate": decay}
        inner["learning_rate"] = {
            "module": "keras.optimizers.schedules", "class_name": "InverseTimeDecay", "config": options,
        }  # fmt: skip
    if name == "Adagrad":
        inner.setdefault("initial_accumulator_value", 0.0)  # Keras before 2.4 had no other
    return {**config, "config": inner}


def _is_number(*values):
    # Compared, as a whole number in JSON may be larger than any float.
    return all(isinstance(value, (int, float)) and abs(value) < _LARGEST for value in values)
