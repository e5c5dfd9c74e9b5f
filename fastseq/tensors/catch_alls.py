"""Layers whose `call` takes `*args`: what stands there is one argument, a tuple, under the name that the call gives it.

As in Keras 3.15, arrays alone may stand there, `mask` is then the tuple of their masks, and what a call named `args` or
`kwargs` takes is no shape for `build`.
"""

import inspect

# Names that Keras passes over where it looks for shapes.
_WITHOUT_SHAPES = ("args", "kwargs")


def name_of(signature):
    """The name under which a call takes any number of arguments, `args` of `*args`, or None."""
    found = (p.name for p in signature.parameters.values() if p.kind is p.VAR_POSITIONAL)
    return next(found, None)


def takes_keyword(signature, name):
    """Whether a call takes such a keyword, by its name or in its `**kwargs`."""
    return name in signature.parameters or any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())


def first_argument(layer, value):
    """dict of the call's first argument alone, which is `value`."""
    name, parameter = next(iter(layer._signature.parameters.items()))
    return {name: (value,) if parameter.kind is parameter.VAR_POSITIONAL else value}


def spread(layer, arguments):
    """Positional and keyword arguments of a call, from all of them by name."""
    if layer._rest_argument is None or layer._rest_argument not in arguments:
        return (), arguments
    named, before = dict(arguments), []
    for name in layer._signature.parameters:
        if name == layer._rest_argument:
            break
        before.append(named.pop(name))
    return (*before, *named.pop(layer._rest_argument)), named


def by_name(layer, function):
    """`function`, of the same arguments as the layer's call, as a function of all of them by name."""
    if layer._rest_argument is None:
        return function

    def named(**arguments):
        args, kwargs = spread(layer, arguments)
        return function(*args, **kwargs)

    return named


def shapes_for(layer, function, shapes):
    """What `function`, the layer's build() or compute_output_shape(), gets of the shapes of a call's arguments.

    Returns (shapes by the names of its parameters where it has several, else an empty dict; the first shape, or None).
    """
    if layer._rest_argument in _WITHOUT_SHAPES:
        shapes = {name: shape for name, shape in shapes.items() if name != layer._rest_argument}
    names = [name for name in inspect.signature(function).parameters if name.endswith("_shape")]
    matching = {f"{key}_shape": shape for key, shape in shapes.items() if f"{key}_shape" in names}
    return matching if len(names) > 1 else {}, next(iter(shapes.values()), None)
