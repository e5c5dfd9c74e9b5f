"""Models as bytes, for pickle and copy.deepcopy: those of a `.keras` file, written and read by what does so for files.

So a pickle brings its model as data too, of which nothing is imported or run; unpickling the rest is what pickle does.
"""

import io

from fastseq import nest


def to_bytes(model):
    """The `.keras` file of `model`. Raises as `save_model` does, ImportError without h5py among it."""
    from fastseq.saving import write

    file = io.BytesIO()
    write.write_archive(model, file)
    return file.getvalue()


def from_bytes(data, custom_objects=None):
    """The model of such bytes, compiled as it was. Raises and warns as `load_model` does."""
    from fastseq.saving import api, policies
    from fastseq.saving.keras_zip import KerasArchive

    with KerasArchive(None, data) as archive, policies.reading(quiet=True):
        return api.load_archive(archive, custom_objects)


def deep_copy(model):
    """A model of its own with the same weights, optimizer's state and all else that a file holds.

    The classes and functions in it need not be registered: the model at hand has them.
    """
    return from_bytes(to_bytes(model), _objects_in(model))


def _objects_in(model):
    from fastseq.models.model import all_layers

    found = {type(layer).__name__: type(layer) for layer in [model, *all_layers(model)]}
    if model.compiled:
        for told in nest.flatten([model.optimizer, *model._trainer._told]):
            if callable(told) and hasattr(told, "__name__"):
                found[told.__name__] = told
            elif told is not None and not isinstance(told, (str, int, float)):
                found[type(told).__name__] = type(told)
    return {name: item for name, item in found.items() if not str(item.__module__).startswith("fastseq.")}
