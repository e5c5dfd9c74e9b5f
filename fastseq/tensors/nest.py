"""Nested structures of lists, tuples and dicts: the few operations the API needs.

As in Keras the leaves of a dict come in the order of its keys, and a dict made from another has that one's order.
"""


def is_nested(structure):
    return isinstance(structure, (list, tuple, dict))


def flatten(structure):
    """Leaves of `structure`, depth first; None is a leaf."""
    if isinstance(structure, dict):
        return [leaf for key in sorted(structure) for leaf in flatten(structure[key])]
    if isinstance(structure, (list, tuple)):
        return [leaf for item in structure for leaf in flatten(item)]
    return [structure]


def map_structure(function, structure):
    """`structure` with `function(leaf)` in the place of every leaf."""
    if isinstance(structure, dict):
        found = {key: map_structure(function, structure[key]) for key in sorted(structure)}
        return {key: found[key] for key in structure}
    if isinstance(structure, (list, tuple)):
        items = [map_structure(function, item) for item in structure]
        if isinstance(structure, list):
            return items
        # A namedtuple takes its fields as separate arguments.
        return type(structure)(*items) if hasattr(structure, "_fields") else tuple(items)
    return function(structure)


def pack_like(structure, leaves):
    """`structure` with its leaves replaced, in `flatten` order, by `leaves`."""
    iterator = iter(leaves)
    return map_structure(lambda _: next(iterator), structure)


def is_shape(value):
    """True for a shape tuple or list, such as `(None, 3)`; False for a nest of shapes."""
    return isinstance(value, (list, tuple)) and all(item is None or isinstance(item, int) for item in value)


def map_shapes(function, shapes):
    """`shapes`, one shape or a nest of shapes, with `function(shape)` in the place of every shape."""
    if is_shape(shapes):
        return function(tuple(shapes))
    if isinstance(shapes, dict):
        return {key: map_shapes(function, value) for key, value in shapes.items()}
    return [map_shapes(function, value) for value in shapes]
