"""Models: https://keras.io/api/models/"""

from fastseq.configs.lazy_names import own_face, publish
from fastseq.models.cloning import clone_model
from fastseq.models.folding import fold_batch_normalization
from fastseq.models.functional import Functional
from fastseq.models.functional_config import model_from_json
from fastseq.models.model import Model
from fastseq.models.sequential import Sequential


def load_model(filepath, custom_objects=None, compile=True, safe_mode=True):
    """A model from a file; see `fastseq.saving.load_model`.

    Args:
        filepath (str, path, bytes or file): A `.keras` file, or a full-model `.h5`.
        custom_objects (dict, default None): Name -> class or function of your own, beside the registered ones.
        compile (bool, default True): Whether to compile the model as it was compiled.
        safe_mode (bool, default True): True only: nothing in a file is ever run.

    Returns:
        A Model.

    Raises:
        FileFormatError: A file that is broken or asks for what fastseq does not have.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> fastseq.Sequential([layers.Input((3,)), layers.Dense(4)]).save(file)
        >>> models.load_model(file.getvalue()).output_shape
        (None, 4)
    """
    from fastseq import saving

    return saving.load_model(filepath, custom_objects=custom_objects, compile=compile, safe_mode=safe_mode)


def save_model(model, filepath, overwrite=True, zipped=None, **kwargs):
    """Writes a model to a file; see `fastseq.saving.save_model`.

    Args:
        model (Model): What is saved or filled.
        filepath (str, path or file): A path that ends in .keras, .h5 or .hdf5, or a binary file object.
        overwrite (bool, default True): False raises FileExistsError for an existing file.
        zipped (bool, default None): None or True.
        **kwargs: `include_optimizer`.

    Raises:
        ValueError: Other formats and arguments.

    Example:
        >>> import os, tempfile
        >>> path = tempfile.mkdtemp() + "/model.keras"
        >>> models.save_model(fastseq.Sequential([layers.Input((3,)), layers.Dense(4)]), path)
        >>> os.path.exists(path)
        True
    """
    from fastseq import saving

    saving.save_model(model, filepath, overwrite=overwrite, zipped=zipped, **kwargs)


__all__ = [
    "Functional", "Model", "Sequential", "clone_model", "fold_batch_normalization", "load_model", "model_from_json",
    "save_model",
]  # fmt: skip
publish(globals())
__getattr__, __dir__ = own_face(globals())
