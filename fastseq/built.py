"""Whether the C extensions are there and belong to these Python files, asked before anything else is imported."""

import importlib.machinery
import platform
from pathlib import Path

EXTENSIONS = ("_native", "_kept", "_call", "_stream", "_decode")
WHAT_TO_DO = "run `pip install -e .`, or start Python somewhere else"


def check(path, version):
    """Says in one sentence what is wrong with the extensions in the package's folder.

    An extension that is there and fails to load, for want of a library say, raises as Python says it.

    Args:
        path: The package's ``__path__``.
        version (str): The Python files' version.

    Raises:
        ImportError: An extension is not built, or for another Python, or from other sources.
    """
    for name in EXTENSIONS:
        if importlib.machinery.PathFinder.find_spec(f"fastseq.{name}", path) is None:
            raise ImportError(_not_built(name, path), name=f"fastseq.{name}")
    from fastseq import _native

    found = getattr(_native, "version", "another version")
    if found != version:
        raise ImportError(
            f"fastseq's C extension in this folder is built from the sources of {found}, and the Python files here are "
            f"of {version}: {WHAT_TO_DO}.",
            name="fastseq._native",
        )


def _not_built(name, path):
    """The sentence for an extension that this Python does not find."""
    for folder in path:
        for other in sorted(Path(folder).glob(f"{name}.*.so")):
            return (
                f"fastseq's C extension in this folder is built for another Python ({other.name}), and this is "
                f"{platform.python_implementation()} {platform.python_version()}: {WHAT_TO_DO}."
            )
    return f"fastseq's C extension is not built in this folder: {WHAT_TO_DO}."
