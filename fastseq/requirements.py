"""The lowest versions of the packages that fastseq runs with, and the error where an older one is installed.

An older one fails somewhere inside, with a message about anything else. Each is looked at where it is first imported,
by its own `__version__`; `tests/lowest_versions.sh` runs the tests with exactly these.
"""

import importlib
import re

import numpy

from fastseq.errors import missing_package

# As in pyproject.toml.
LOWEST = {"h5py": "3.10", "numpy": "1.26", "tqdm": "4.64"}


def check(module):
    """`module`, a package of LOWEST that has been imported.

    Raises ImportError, naming the package, its version, the one that is needed and where it lies, where it is older. A
    version that is no numbers (a build of one's own) is let through.
    """
    name, version = module.__name__, getattr(module, "__version__", "")
    if _numbers(version) and _numbers(version) < _numbers(LOWEST[name]):
        raise ImportError(
            f"fastseq needs {name} {LOWEST[name]} or newer, and finds {name} {version} in "
            f"{getattr(module, '__file__', None)}: pip install -U '{name}>={LOWEST[name]}'",
            name=name,
        )
    return module


def load(name, purpose):
    """The package of this name, imported and checked.

    Args:
        name (str): One of LOWEST.
        purpose (str): What needs it, the subject of the sentence where it is missing.

    Raises:
        ImportError: It is not there, cannot be imported, or is too old; the message says what to install.
    """
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise missing_package(name, purpose, error) from error
    return check(module)


def _numbers(version):
    """The numbers at the beginning of a version: "1.26.0rc1" -> (1, 26, 0)."""
    found = re.match(r"\d+(\.\d+)*", version) if isinstance(version, str) else None
    return tuple(map(int, found[0].split("."))) if found else ()


# Here, before the extensions are imported, which an older one breaks with words of its own.
check(numpy)
