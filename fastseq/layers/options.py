"""Arguments that layers over sequences share: lengths of one axis, and where the channels stand."""

import operator

from fastseq.tensors import settings


def length_of(value, who, name, least=1):
    """The integer of an argument for the one axis of time, given alone or as the one item of a list or tuple.

    Raises ValueError for anything else, and for one below `least`.
    """
    found = value[0] if isinstance(value, (list, tuple)) and len(value) == 1 else value
    try:
        if isinstance(found, bool):
            raise TypeError
        found = operator.index(found)
    except TypeError:
        raise ValueError(f"{who}: `{name}` must be an integer or a tuple of one, got {value!r}.") from None
    if found < least:
        raise ValueError(f"{who}: `{name}` must be at least {least}, got {value!r}.")
    return found


def ends_of(value, who, name):
    """(how many at the start, how many at the end): an integer of 0 or more for both, or a pair of them."""
    pair = (value, value) if not isinstance(value, (list, tuple)) else tuple(value)
    if len(pair) != 2:
        raise ValueError(f"{who}: `{name}` must be an integer or a pair of integers, got {value!r}.")
    return tuple(length_of(one, who, name, least=0) for one in pair)


def data_format_of(value, who):
    """ "channels_last" or "channels_first"; None is what `backend.image_data_format()` says, as in Keras."""
    value = settings.image_data_format() if value is None else str(value).lower()
    if value not in ("channels_last", "channels_first"):
        raise ValueError(f"{who}: `data_format` must be 'channels_last' or 'channels_first', got {value!r}.")
    return value
