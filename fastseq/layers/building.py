"""One thread at a time builds layers: another one that calls the same layer waits, and finds it built."""

import os
import threading

# Re-entrant, as a layer builds those in it. `with` on it is safe where Ctrl-C comes: Python looks for signals neither
# between taking it and the block, nor between the block's end and giving it back.
lock = threading.RLock()
# The layers that are being built. A layer says `built` before all that it needs is there.
under_way = []


def _in_child():
    """The thread that built something stayed with the parent."""
    global lock
    lock = threading.RLock()
    under_way.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
