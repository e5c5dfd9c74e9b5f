"""Objects that a config names twice, by `shared_object_id`, and that are built once."""

import contextlib
import threading

_state = threading.local()


class ObjectSharingScope:
    """Within it, an object that a config names twice by ``shared_object_id`` is built once, in this thread."""

    def __enter__(self):
        self._outer = getattr(_state, "shared", None)
        _state.shared = dict(getattr(_state, "made", {}))
        return self

    def __exit__(self, *exception):
        _state.shared = self._outer


@contextlib.contextmanager
def already_made(objects):
    """Within it, in this thread, these objects stand for their ``shared_object_id``: dict number -> object."""
    _state.made = objects
    try:
        yield
    finally:
        _state.made = {}


def known():
    """dict number -> object of the scope that this thread is in, None outside of any."""
    return getattr(_state, "shared", None)
