"""Whether the C extensions are there and belong to these Python files, asked before anything else is imported."""

import importlib.machinery
import os
import platform
import zlib

EXTENSIONS = (
    "native._native", "native._kept", "native._program", "native._call", "streaming._stream", "streaming._pool",
    "decoding._decode",
)  # fmt: skip
WHAT_TO_DO = "run `pip install -e .`, or start Python somewhere else"


def sources_in(package):
    """A digest of what Python and the C core call each other by, as it stands in a clone.

    Args:
        package (str): The folder of the package.

    Returns:
        str of 8 hex digits; "" in an installed package, which has no sources of its extensions.
    """
    rooms = sorted({extension.split(".")[0] for extension in EXTENSIONS})
    files = [path for room in rooms for path in _files(os.path.join(package, room), (".pyx", ".pxd"))]
    if not files:
        return ""
    digest = 0
    for path in [*files, *_files(os.path.join(os.path.dirname(package), "src_c", "abi"), (".h",))]:
        with open(path, "rb") as file:
            digest = zlib.crc32(file.read(), digest)  # no secret to keep: hashlib takes 3 ms to import
    return f"{digest:08x}"


def _files(folder, endings):
    """Paths of a folder's files with such endings, by name; none where there is no folder."""
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [os.path.join(folder, name) for name in names if name.endswith(endings)]


def look(package):
    """Raises ImportError, with one sentence, where an extension is not built, or for another Python.

    package (str): The folder of the package. One that is there and fails to load, for want of a library say,
    raises as Python says it.
    """
    for extension in EXTENSIONS:
        room, name = extension.split(".")
        if importlib.machinery.PathFinder.find_spec(f"fastseq.{extension}", [os.path.join(package, room)]) is None:
            raise ImportError(_not_built(os.path.join(package, room), name), name=f"fastseq.{extension}")


def compare(package, version):
    """Raises ImportError, with one sentence, where the extensions are built from other sources than these.

    package (str): The folder of the package; version (str): the Python files' version.
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
    for other in map(os.path.basename, _files(folder, (".so",))):
        if not other.startswith(f"{name}."):
            continue
        return (
            f"fastseq's C extension in this folder is built for another Python ({other}), and this is "
            f"{platform.python_implementation()} {platform.python_version()}: {WHAT_TO_DO}."
        )
    return f"fastseq's C extension is not built in this folder: {WHAT_TO_DO}."
