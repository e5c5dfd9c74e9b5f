"""Docstrings of operations, in one form: a sentence, Args, Returns, an Example."""

import textwrap

ARRAY = "(array): float32, int32 or bool; lists and plain numbers become one."
AXIS = "(int or tuple, default None): The axes; None is all."
NO_BROADCAST = {"ValueError": "Shapes that do not broadcast."}
NO_DTYPE = {"ValueError": "A dtype that is unknown, or of neither floats, integers nor booleans."}
KEEPDIMS = "(bool, default False): Whether these axes stay, with size 1."


def documented(summary, arguments, returns, example=None, raises=None):
    """A decorator that writes a function's docstring.

    Args:
        summary (str): What it computes.
        arguments (dict): Name -> "(type): what it is."
        returns (str): What comes out.
        example (str): Python that a reader may run, and what it prints on the lines behind it; or None.
        raises (dict): Name of the exception -> when.

    Returns:
        The decorator.
    """

    def lines(entries, between):
        for name, text in entries.items():
            yield from textwrap.wrap(f"{name}{between}{text}", 112, initial_indent=" " * 8, subsequent_indent=" " * 12)

    def decorate(function):
        first = textwrap.wrap(summary, 116, subsequent_indent="    ", break_on_hyphens=False)
        parts = [*first, "", "    Args:", *lines(arguments, " "), "", "    Returns:", f"        {returns}"]
        if raises:
            parts += ["", "    Raises:", *lines(raises, ": ")]
        if example:
            parts += ["", "    Example:", textwrap.indent(f">>> {example}", " " * 8)]
        function.__doc__ = "\n".join([*parts, "    "])
        return function

    return decorate
