"""Names that are imported when they are first asked for, so that a program pays for the layers that it has."""

import importlib
from collections.abc import Mapping


class Names(Mapping):
    """A closed table, name -> what it stands for.

    Args:
        package (str): The package whose names they are.
        modules (dict): Module below the package -> the names it has, separated by spaces.

    Example:
        >>> Names("fastseq.layers", {"core.dense": "Dense"})["Dense"]
        <class 'fastseq.layers.core.dense.Dense'>
    """

    def __init__(self, package, modules):
        self._package = package
        self._modules = {name: module for module, names in modules.items() for name in names.split()}
        self._found = {}

    def __getitem__(self, name):
        if name not in self._found:
            module = importlib.import_module(f"{self._package}.{self._modules[name]}")
            self._found[name] = getattr(module, name)
        return self._found[name]

    def __contains__(self, name):
        return name in self._modules  # without importing it

    def __iter__(self):
        return iter(self._modules)

    def __len__(self):
        return len(self._modules)

    def __repr__(self):
        return f"Names({self._package!r}: {', '.join(self)})"


def face(package, *tables):
    """`__getattr__` and `__dir__` of a package that has the names of such tables.

    Args:
        package (str): The package's `__name__`.
        tables (Names): What it has.

    Returns:
        The two functions. The first raises AttributeError for other names.
    """

    def look_up(name):
        for table in tables:
            if name in table:
                return table[name]
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def listed():
        return sorted({name for table in tables for name in table})

    return look_up, listed
