"""How the backend's functions are made of those of ``fastseq.ops``."""

import inspect
import sys
import textwrap

from fastseq import ops
from fastseq.ops.documented import ARRAY, AXIS, KEEPDIMS, documented

__all__ = ["ARRAY", "AXIS", "KEEPDIMS", "SAME", "documented", "same", "two"]

SAME = "An array of the dtype of `x`."


def same(name, example):
    """The function of ``fastseq.ops`` of this name, which takes the same arguments, as one of the backend.

    Args:
        name (str): Its name in both.
        example (str): A call of it, and what it prints on the lines behind it.

    Returns:
        The function.
    """
    of_ops = getattr(ops, name)

    def function(*args, **kwargs):
        return of_ops(*args, **kwargs)

    function.__signature__ = inspect.signature(of_ops)
    text = of_ops.__doc__[: of_ops.__doc__.index("    Example:")]
    function.__doc__ = f"{text}    Example:\n{textwrap.indent(f'>>> {example}', ' ' * 8)}\n    "
    function.__name__ = function.__qualname__ = name
    function.__module__ = sys._getframe(1).f_globals["__name__"]
    return function


def two(name, summary, example, returns="bool array."):
    """The function of ``fastseq.ops`` of two arrays, which the backend calls `x` and `y`.

    Args:
        name (str): Its name in both.
        summary (str): What it computes.
        example (str): A call of it, and what it prints on the lines behind it.
        returns (str): What comes out.

    Returns:
        The function.
    """
    of_ops = getattr(ops, name)

    def function(x, y):
        return of_ops(x, y)

    function.__name__ = function.__qualname__ = name
    function.__module__ = sys._getframe(1).f_globals["__name__"]
    return documented(summary, {"x": ARRAY, "y": ARRAY}, returns, example)(function)
