"""What copy.copy, copy.deepcopy and pickle do with layers, models, optimizers and weights.

What a copy carries is known to saving/copying.py, which stands above all of them. It says so (`carried_by`) when
`fastseq.saving` is imported, and is itself imported when something is first copied.
"""

import importlib

_carrier = None  # name of the module with `pickled(item)` and `deep_copy(item, memo)`


def carried_by(module):
    """Names the module that makes pickles and deep copies."""
    global _carrier
    _carrier = module


def carrier():
    """The module that makes pickles and deep copies."""
    return importlib.import_module(_carrier)


class Copyable:
    """A mixin for what pickle and copy.deepcopy take apart themselves."""

    def __reduce__(self):
        return carrier().pickled(self)

    def __deepcopy__(self, memo):
        return carrier().deep_copy(self, memo)

    def __copy__(self):
        """Another object with the very same layers, weights or variables."""
        made = type(self).__new__(type(self))
        vars(made).update(vars(self))
        return made
