"""Whether the C extensions are there and belong to these Python files, asked before anything else is imported."""

import hashlib
import importlib.machinery
import platform

EXTENSIONS = (
    "native._native", "native._kept", "native._program", "native._call", "streaming._stream", "streaming._pool",
    "decoding._decode",
)  # fmt: skip
WHAT_TO_DO = "run `pip install -e .`, or start Python somewhere else"


def sources_in(package):
    """A digest of what Python and the C core call each other by, as it stands in a clone.

    Args:
        package (pathlib.Path): The folder of the package.

    Returns:
        str of 16 hex digits; "" in an installed package, which has no sources of its extensions.
    """
    rooms = sorted({extension.split(".")[0] for extension in EXTENSIONS})
    files = [path for room in rooms for path in sorted((package / room).glob("*.p[xy][xd]"))]
    if not files:
        return ""
    digest = hashlib.sha256()
    for path in [*files, *sorted((package.parent / "src_c" / "abi").glob("*.h"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def look(package):
    """Raises ImportError, with one sentence, where an extension is not built, or for another Python.

    package (pathlib.Path): The folder of the package. One that is there and fails to load, for want of a library say,
    raises as Python says it.
    """
    for extension in EXTENSIONS:
        room, name = extension.split(".")
        if importlib.machinery.PathFinder.find_spec(f"fastseq.{extension}", [str(package / room)]) is None:
            raise ImportError(_not_built(package / room, name), name=f"fastseq.{extension}")


def compare(package, version):
    """Raises ImportError, with one sentence, where the extensions are built from other sources than these.

    package (pathlib.Path): The folder of the package; version (str): the Python files' version.
    """
    from fastseq.native import _native

    found = getattr(_native, "version", "another version")
    if found == version:
        here, found = sources_in(package), getattr(_native, "sources", "")
        if here in ("", found):
            return
        found, version = "another state of them", "this one"
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
