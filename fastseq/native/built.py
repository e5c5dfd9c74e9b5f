"""Whether the C extensions are there and belong to these Python files, asked before anything else is imported."""

import importlib.machinery
import platform

EXTENSIONS = (
    "native._native", "native._kept", "native._program", "native._call", "streaming._stream", "decoding._decode",
)  # fmt: skip
WHAT_TO_DO = "run `pip install -e .`, or start Python somewhere else"


def check(package, version):
    """Says in one sentence what is wrong with the extensions of the package.

    An extension that is there and fails to load, for want of a library say, raises as Python says it.

    Args:
        package (pathlib.Path): The folder of the package.
        version (str): The Python files' version.

    Raises:
        ImportError: An extension is not built, or for another Python, or from other sources.
    """
    for extension in EXTENSIONS:
        room, name = extension.split(".")
        if importlib.machinery.PathFinder.find_spec(f"fastseq.{extension}", [str(package / room)]) is None:
            raise ImportError(_not_built(package / room, name), name=f"fastseq.{extension}")
    from fastseq.native import _native

    found = getattr(_native, "version", "another version")
    if found != version:
        raise ImportError(
            f"fastseq's C extension in this folder is built from the sources of {found}, and the Python files here are "
            f"of {version}: {WHAT_TO_DO}.",
            name="fastseq.native._native",
        )


def _not_built(folder, name):
    """The sentence for an extension that this Python does not find."""
    for other in sorted(folder.glob(f"{name}.*.so")):
        return (
            f"fastseq's C extension in this folder is built for another Python ({other.name}), and this is "
            f"{platform.python_implementation()} {platform.python_version()}: {WHAT_TO_DO}."
        )
    return f"fastseq's C extension is not built in this folder: {WHAT_TO_DO}."
