"""Automatic names, as the backend starts and counts them."""

import contextlib
import gc

from fastseq.tensors import naming


def clear_session(free_memory=True):
    """Starts the automatic names again. There is no global graph to free.

    Args:
        free_memory (bool, default True): Whether to run Python's collector.

    Example:
        >>> backend.clear_session()
    """
    naming.reset()
    if free_memory:
        gc.collect()


def get_uid(prefix=""):
    """Number of automatic names given under a prefix so far, this call included.

    Args:
        prefix (str, default ""): What the names begin with.

    Returns:
        int.

    Example:
        >>> backend.get_uid("never_used_before")
        1
    """
    return naming.get_uid(prefix)


def reset_uids():
    """Starts the automatic names, and the counts of ``get_uid``, again.

    Example:
        >>> backend.reset_uids()
    """
    naming.reset()


def name_scope(name):
    """A context for code that names parts of TensorFlow's graph. There is none, so it changes nothing.

    Args:
        name (str): The name.

    Returns:
        A context manager.

    Example:
        >>> with backend.name_scope("attention"):
        ...     y = backend.exp([1.0])
    """
    return contextlib.nullcontext(name)
