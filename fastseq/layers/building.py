"""The layers that are being built, under `weight_locks.building`: one thread at a time builds, another one waits."""

import os

# The layers that are being built. A layer says `built` before all that it needs is there.
under_way = []


if hasattr(os, "register_at_fork"):
    # The thread that built something stayed with the parent.
    os.register_at_fork(after_in_child=under_way.clear)
