"""How the backend's functions are made of those of ``fastseq.ops``."""

import functools
import inspect
import sys

from fastseq import ops
from fastseq.ops.documented import ARRAY, AXIS, KEEPDIMS, documented

__all__ = ["ARRAY", "AXIS", "KEEPDIMS", "SAME", "documented", "same", "two"]

SAME = "An array of the dtype of `x`."


def same(name, of_ops=None):
    """The function of ``fastseq.ops`` that takes the arguments of the backend's, as a function of the backend.

    Args:
        name (str): Its name in the backend.
        of_ops (str, default None): Its name in fastseq.ops; None is the same.

    Returns:
        The function, whose docstring speaks of the backend.
    """
    of_ops = of_ops or name
    of_ops_function = getattr(ops, of_ops)

    @functools.wraps(of_ops_function, updated=())
    def function(*args, **kwargs):
        return of_ops_function(*args, **kwargs)

    function.__signature__ = inspect.signature(of_ops_function)
    function.__doc__ = of_ops_function.__doc__.replace(f"ops.{of_ops}(", f"backend.{name}(")
    function.__name__ = function.__qualname__ = name
    function.__module__ = sys._getframe(1).f_globals["__name__"]
    del function.__wrapped__  # it is a function of the backend, which inspect and pickle find by its own name
    return function


def two(name, summary, example, returns="bool array."):
    """The function of ``fastseq.ops`` of two arrays, which the backend calls `x` and `y`.

    Args:
        name (str): Its name in both.
        summary (str): What it computes.
        example (str): The arguments of a call.
        returns (str): What comes out.

    Returns:
        The function.
    """
    of_ops = getattr(ops, name)

    def function(x, y):
        return of_ops(x, y)

    function.__name__ = function.__qualname__ = name
    function.__module__ = sys._getframe(1).f_globals["__name__"]
    return documented(summary, {"x": ARRAY, "y": ARRAY}, returns, f"backend.{name}({example})")(function)
