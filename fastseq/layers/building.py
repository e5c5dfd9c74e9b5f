"""One thread at a time builds layers: another one that calls the same layer waits, and finds it built."""

import os

from fastseq.tensors import weight_locks

# The layers that are being built. A layer says `built` before all that it needs is there.
under_way = []


def __getattr__(name):
    """`lock`, which a forked child has anew."""
    if name == "lock":
        return weight_locks.building
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if hasattr(os, "register_at_fork"):
    # The thread that built something stayed with the parent.
    os.register_at_fork(after_in_child=under_way.clear)
