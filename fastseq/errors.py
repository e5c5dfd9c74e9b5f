"""The two errors fastseq raises about a model file or a model config. Both are ``ValueError``."""


class FileFormatError(ValueError):
    """A model file cannot be read: truncated, contradictory, or not a model file at all. It is a ValueError.

    The three arguments are kept as attributes, and the message names every one that is known.

    Args:
        reason (str): What is wrong, as one sentence.
        path (str, default None): The file, where it is known.
        layer (str, default None): Name of the layer whose part of the file is wrong, where it is known.

    Example:
        >>> str(fastseq.FileFormatError("it is empty", path="model.keras"))
        "file 'model.keras': it is empty"
    """

    def __init__(self, reason, path=None, layer=None):
        self.reason = reason
        self.path = path
        self.layer = layer
        super().__init__(reason, path, layer)

    def __str__(self):
        where = []
        if self.path is not None:
            where.append(f"file '{self.path}'")
        if self.layer is not None:
            where.append(f"layer '{self.layer}'")
        return f"{', '.join(where)}: {self.reason}" if where else str(self.reason)


class UnsupportedError(ValueError):
    """A config is well formed but asks for something fastseq cannot do with Keras's numbers. It is a ValueError.

    Example:
        >>> issubclass(fastseq.UnsupportedError, ValueError)
        True
    """


def missing_package(package, purpose, error, install=None):
    """The ImportError for a package that cannot be imported: it names the package, and says how to install it.

    purpose: what needs it, the subject of the sentence; error: what the import raised; install: what pip is told,
    where that is not the package's name alone.
    """
    if isinstance(error, ModuleNotFoundError) and (error.name or package).split(".")[0] == package:
        reason = f"which is not installed: pip install {install or package}"
    else:
        reason = f"which cannot be imported here ({' '.join(str(error).split())[:300]})"
    return ImportError(f"{purpose} needs {package}, {reason}", name=package)


def missing_keras(error):
    """The ImportError where Keras, or the backend that it runs on, cannot be imported."""
    name = getattr(error, "name", None) or "keras"
    return missing_package(name.split(".")[0], "Comparing with Keras", error, install="keras tensorflow-cpu")
