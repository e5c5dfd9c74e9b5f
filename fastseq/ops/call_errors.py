"""Errors of calls of operations, which name the operation, what it got, and what its documentation wants."""

import functools
import inspect
import re

import numpy as np

# What Python and NumPy raise of themselves. Classes of our own, as those that end a trace, stay what they are.
_UNNAMED = (TypeError, ValueError, IndexError, AttributeError, KeyError, OverflowError, StopIteration)
_SAME = (TypeError, ValueError, IndexError)


def named(name, function, signature, args, kwargs, error):
    """The error that a call raises in the place of `error`: the same one, where it names the operation.

    function: with the docstring; signature: its inspect.Signature, by which args and kwargs have names.
    """
    kind = type(error)
    by_numpy = isinstance(error, TypeError) and kind.__module__.startswith("numpy")
    if kind not in _UNNAMED and not by_numpy:
        return error
    text = str(error.args[0]) if error.args else kind.__name__
    who = f"ops.{name}"
    if re.search(rf"{re.escape(who)}\b", text):
        return error
    if text.startswith("ops."):
        text = f"{who}, by {text}"
    elif text.startswith("An operation "):
        text = text.replace("An operation ", f"{who}() ", 1)
    else:
        text = f"{who}: {text.rstrip('.')}. {_given(function, signature, args, kwargs)}"
    if kind in _SAME:
        error.args = (text.strip(), *error.args[1:])
        return error
    return TypeError(text.strip())


def names_its_errors(function):
    """A decorator for a public function that is no operation of its own: its errors name it.

    Not for one that calls a user's function, whose errors are the user's.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except Exception as error:
            found = named(function.__name__, function, signature, args, kwargs, error)
            if found is error:
                raise
            raise found from error

    return wrapped


def _given(function, signature, args, kwargs):
    """A sentence about the arguments of a call that are no arrays, and the types that the docstring has for them."""
    try:
        arguments = signature.bind(*args, **kwargs).arguments
    except TypeError:
        return ""
    told = []
    for name, value in arguments.items():
        if hasattr(value, "shape"):
            told.append(f"{name} of shape {tuple(value.shape)}")
            continue
        wanted = re.search(rf"^ +{re.escape(name)} \((.*?)\):", function.__doc__ or "", re.MULTILINE | re.DOTALL)
        wanted = f", where it takes {' '.join(wanted[1].split())}" if wanted else ""
        shown = re.sub(r"\s+", " ", np.array2string(value) if isinstance(value, np.generic) else repr(value))[:60]
        told.append(f"{name}={shown}{wanted}")
    return f"It got {'; '.join(told)}." if told else ""
