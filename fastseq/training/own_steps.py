"""A model's own `train_step` and `test_step`, in the place of the native ones."""

import numpy as np


def overrides(model, name):
    """Whether the model's class has a step of its own by that name."""
    method = getattr(type(model), name)
    return not (method.__module__ or "").startswith("fastseq.models.")


def logs_of(model, step, data):
    """What a step gave for the logs, a dict of numbers; Raises TypeError for anything else."""
    given = step(data)
    if not isinstance(given, dict):
        raise TypeError(
            f"Model '{model.name}': {step.__name__}() returns a dict of numbers for the logs, got a "
            f"{type(given).__name__}."
        )
    found = {}
    for name, value in given.items():
        # A metric may give several numbers by name.
        for key, part in value.items() if isinstance(value, dict) else ((name, value),):
            found[key] = float(part) if np.ndim(part) == 0 else np.asarray(part)
    return found
