"""Names that are imported when they are first asked for, and the module that public classes and functions name.

A program pays for the layers that it has. Where a name is public, `__module__` is the package in which users find it,
`fastseq.layers` of `LSTM`: so it stands in tracebacks and in `repr`, and in pickles, which then outlive a file that is
moved.
"""

import importlib
import importlib.machinery
import sys
from collections.abc import Mapping
from opcode import opmap

_homes = {}  # (module, name) as the source has them -> the package in which users find it
_packages = set()  # those that have said what is theirs


class Names(Mapping):
    """A closed table, name -> what it stands for.

    Args:
        package (str): The package whose names they are.
        modules (dict): Module below the package -> the names it has, separated by spaces.

    Example:
        >>> Names("fastseq.layers", {"core.dense": "Dense"})["Dense"]
        <class 'fastseq.layers.Dense'>
    """

    def __init__(self, package, modules):
        self._package = package
        self._modules = {name: module for module, names in modules.items() for name in names.split()}
        self._found = {}
        _packages.add(package)
        for name, module in self._modules.items():
            _homes[f"{package}.{module}", name] = package

    def __getitem__(self, name):
        if name not in self._found:
            module = importlib.import_module(f"{self._package}.{self._modules[name]}")
            self._found[name] = at_home(getattr(module, name))
        return self._found[name]

    def __contains__(self, name):
        return name in self._modules  # without importing it

    def __iter__(self):
        return iter(self._modules)

    def __len__(self):
        return len(self._modules)

    def __repr__(self):
        return f"Names({self._package!r}: {', '.join(self)})"


class Some(Mapping):
    """Names of another package that a module has too.

    Args:
        package (str): The package that has them.
        names (str): Which, separated by spaces.
    """

    def __init__(self, package, names):
        self._package = package
        self._names = dict.fromkeys(names.split())

    def __getitem__(self, name):
        if name not in self._names:
            raise KeyError(name)
        return getattr(importlib.import_module(self._package), name)

    def __contains__(self, name):
        return name in self._names

    def __iter__(self):
        return iter(self._names)

    def __len__(self):
        return len(self._names)


class Modules(Some):
    """Modules of a package that are imported when they are asked for.

    Args:
        package (str): The package.
        names (str): Which, separated by spaces.
    """

    def __getitem__(self, name):
        if name not in self._names:
            raise KeyError(name)
        return importlib.import_module(f"{self._package}.{name}")


def at_home(item):
    """A class or function, whose `__module__` is its package's name from now on if it is one of a `Names`."""
    home = _homes.get((item.__module__, item.__qualname__))
    if home is not None:
        item.__module__ = home
    return item


def publish(namespace):
    """Gives what a package exports the package's name as `__module__`, unless another one has it already.

    Args:
        namespace (dict): The package's `globals()`, with `__all__`. `at_home` is for names that are not imported yet.
    """
    package = namespace["__name__"]
    _packages.add(package)
    for name in namespace["__all__"]:
        item = namespace.get(name)
        if callable(item) and item.__module__.startswith("fastseq.") and item.__module__ not in _packages:
            item.__module__ = package


def face(package, *tables, reasons=None):
    """`__getattr__` and `__dir__` of a package that has the names of such tables.

    Args:
        package (str): The package's `__name__`.
        tables (Names): What it has.
        reasons (dict, default None): Name -> why it is not there and what to do, of names that users may look for.

    Returns:
        The two functions. The first raises AttributeError for other names, with the list of those that are there; in
        `from package import name` it raises ImportError, where Python itself would drop that list.
    """
    reasons = reasons or {}

    def look_up(name):
        for table in tables:
            if name in table:
                return table[name]
        if name.startswith("_"):
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if _is_imported_from(sys._getframe(1)) and not _is_module(package, name):
            raise ImportError(f"cannot import name {name!r} from {package!r}{told(name)}", name=package)
        raise AttributeError(f"module {package!r} has no attribute {name!r}{told(name)}")

    def told(name):
        return f": {reasons[name]}." if name in reasons else f". It has: {', '.join(listed())}."

    def listed():
        return sorted({name for table in tables for name in table})

    return look_up, listed


def own_face(namespace):
    """`face` of a module that holds all its names: for those that it does not have.

    Args:
        namespace (dict): The module's `globals()`, with `__all__`, when all of it is defined.
    """
    return face(namespace["__name__"], {name: namespace[name] for name in namespace["__all__"]})


def _is_imported_from(frame):
    """Whether it is `from package import name` that asks for a name: importlib looks first, by hasattr(), and what is
    no AttributeError goes through it. Python's own sentence, after it, has the name and the file alone. Of a module
    that is no package importlib asks nothing: the import itself does, an instruction of whoever imports."""
    if frame.f_code.co_name == "_handle_fromlist" and frame.f_globals.get("__name__") == "importlib._bootstrap":
        return True
    return frame.f_code.co_code[frame.f_lasti] == opmap["IMPORT_FROM"]


def _is_module(package, name):
    """Whether it is a module of the package that is not imported yet."""
    # As importlib.util.find_spec, whose import takes as long as that of three files of fastseq: `import fastseq` comes
    # here for each `from package import module`.
    path = getattr(sys.modules[package], "__path__", None)
    return path is not None and importlib.machinery.PathFinder.find_spec(f"{package}.{name}", path) is not None
