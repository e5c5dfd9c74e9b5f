"""Functions of keras.ops that cannot be steps of a program for fixed shapes: they say so, and what to take instead."""

from fastseq.errors import UnsupportedError


def _refuse(name, instead):
    raise UnsupportedError(
        f"ops.{name}: the shape of its result depends on values, which a program for fixed shapes cannot have. "
        + instead
    )


def nonzero(x):
    """Refused: how many elements are not 0 is not known before they are. `ops.where(x != 0, ...)` keeps the shape."""
    _refuse("nonzero", "Take ops.where(x != 0, a, b), or np.nonzero on arrays.")


def unique(x, *args, **kwargs):
    """Refused: how many different elements there are is not known before they are. `ops.sort` keeps the shape."""
    _refuse("unique", "Take ops.sort, or np.unique on arrays.")
