"""The arguments that layers are constructed with, as older Kerases spell them and as configs have them."""

import inspect

from fastseq.tensors import nest


def pop_input_shape(kwargs):
    """The full batch shape that Keras 1 and 2 spellings in `kwargs` give, or None; takes them out of `kwargs`."""
    batch_shape = kwargs.pop("batch_input_shape", None)
    shape = kwargs.pop("input_shape", None)
    dim = kwargs.pop("input_dim", None)
    if batch_shape is not None:
        return tuple(batch_shape)
    if shape is None and dim is None:
        return None  # input_length and batch_size say nothing alone, and are refused with what else is left
    length = kwargs.pop("input_length", None)
    batch_size = kwargs.pop("batch_size", None)
    if shape is None:
        shape = (dim,) if length is None else (length, dim)
    return (batch_size, *((shape,) if isinstance(shape, int) else shape))


def tuples(shape):
    """A shape, or a nest of shapes, that came from JSON: lists of sizes become tuples."""
    return None if shape is None else nest.map_shapes(tuple, shape)


def automatic_config(layer):
    """Constructor arguments of a user's layer that defines no get_config, where they are plain values."""
    args, kwargs = layer._constructor_arguments
    bound = inspect.signature(type(layer).__init__).bind(layer, *args, **kwargs)
    config = {}
    for key, value in list(bound.arguments.items())[1:]:
        kind = inspect.signature(type(layer).__init__).parameters[key].kind
        entries = value if kind is inspect.Parameter.VAR_KEYWORD else {key: value}
        for name, item in entries.items() if isinstance(entries, dict) else []:
            if not _is_plain(item):
                raise NotImplementedError(
                    f"Layer '{layer.name}' ({type(layer).__name__}) has the constructor argument '{name}' of type "
                    f"{type(item).__name__}: define get_config() and from_config() so that it can be saved."
                )
            config[name] = item
    return config


def _is_plain(value):
    return all(leaf is None or isinstance(leaf, (str, int, float, bool)) for leaf in nest.flatten(value))
