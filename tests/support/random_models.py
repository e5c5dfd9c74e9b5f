"""Random Keras models as short programs: one text for Keras 3.15, Keras 3.3 and tf_keras.

`write(seed)` gives a Program. Its lines call nothing but Keras's public API, so the same seed gives the same
architecture in every module, `print(program.source())` is a program that shows a fault, and a shorter one comes from
leaving lines out. random_rules.py and random_layers.py have the rules that write the lines, random_check.py runs them
beside fastseq.
"""

import random
import sys

import numpy as np
import random_layers
import random_rules


def write(seed):
    """The program of a seed."""
    return random_rules.Writer(random.Random(seed), seed).program(random_layers.RULES)


def shapes_of(model):
    return [tuple(np.shape(weight)) for weight in model.get_weights()]


def is_legacy(keras):
    """Whether a module is tf_keras."""
    return keras.__name__.startswith("tf_keras")


def version_of(keras):
    return tuple(int(part) for part in keras.__version__.split(".")[:2])


def set_policy(keras, policy):
    floatx = "float64" if policy == "float64" else "float32"
    if is_legacy(keras):
        keras.backend.set_floatx(floatx)
        keras.mixed_precision.set_global_policy(policy)
    else:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy) if version_of(keras) > (3, 3) else _set_old_policy(keras, policy)


def _set_old_policy(keras, policy):
    keras.mixed_precision.set_dtype_policy(policy)


def build(keras, program, policy=None):
    """The program's model in a Keras module, under a dtype policy (the program's own, where none is given).

    Raises what Keras raises where it cannot build the model.
    """
    keras.backend.clear_session() if is_legacy(keras) else keras.utils.clear_session()
    asked = policy or program.policy
    names = {
        "keras": keras,
        "L": keras.layers,
        "ops": getattr(keras, "ops", None),
        "tf": sys.modules.get("tensorflow"),
        "np": np,
        # Keras 3.15 alone unrolls over a number of timesteps that is not known.
        "UNROLL": version_of(keras) >= (3, 4),
        # A layer's own policy; all of them are `policy` where that is given.
        "P": lambda own: policy or own,
    }
    set_policy(keras, asked)
    try:
        exec(program.source(), names)
    finally:
        set_policy(keras, "float32")
    return names["model"]


def weights_for(model, seed):
    """Random weights for a model: float32 values, large enough that an error in one place shows at the end."""
    rng = np.random.default_rng([seed, 1000])
    found = [rng.uniform(-1, 1, shape).astype("float32") for shape in shapes_of(model)]
    return [np.abs(w) if "variance" in v.name else w for v, w in zip(model.weights, found, strict=True)]
