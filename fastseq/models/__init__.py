"""Models: https://keras.io/api/models/"""

from fastseq.models.cloning import clone_model
from fastseq.models.functional import Functional
from fastseq.models.functional_config import model_from_json
from fastseq.models.model import Model
from fastseq.models.sequential import Sequential


def load_model(filepath, custom_objects=None, compile=True, safe_mode=True):
    """A model from a file; see `fastseq.saving.load_model`."""
    from fastseq import saving

    return saving.load_model(filepath, custom_objects=custom_objects, compile=compile, safe_mode=safe_mode)


def save_model(model, filepath, overwrite=True, zipped=None, **kwargs):
    """Writes a model to a file; see `fastseq.saving.save_model`."""
    from fastseq import saving

    saving.save_model(model, filepath, overwrite=overwrite, zipped=zipped, **kwargs)


__all__ = ["Functional", "Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]
