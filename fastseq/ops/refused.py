"""Functions of keras.ops that cannot be steps of a program for fixed shapes: they say so, and what to take instead."""

from fastseq.errors import UnsupportedError
from fastseq.ops.documented import ARRAY, documented

_ALWAYS = {"UnsupportedError": "Always."}
_OTHERS = "Those of Keras's function."


def _refused(name, instead):
    return (
        f"ops.{name}: the shape of its result depends on values, which a program for fixed shapes cannot have. "
        + instead
    )


def _example(name):
    error = "fastseq.UnsupportedError: " + _refused(name, "...")
    return f"ops.{name}([0.0, 2.0])\nTraceback (most recent call last):\n    ...\n{error}"


@documented(
    "Refused: how many elements are not 0 is not known before they are. `ops.where(x != 0, ...)` keeps the shape.",
    {"x": ARRAY},
    "Nothing.",
    _example("nonzero"),
    _ALWAYS,
)
def nonzero(x):
    raise UnsupportedError(_refused("nonzero", "Take ops.where(x != 0, a, b), or np.nonzero on arrays."))


@documented(
    "Refused: how many different elements there are is not known before they are. `ops.sort` keeps the shape.",
    {"x": ARRAY, "*args": _OTHERS, "**kwargs": _OTHERS},
    "Nothing.",
    _example("unique"),
    _ALWAYS,
)
def unique(x, *args, **kwargs):
    raise UnsupportedError(_refused("unique", "Take ops.sort, or np.unique on arrays."))
