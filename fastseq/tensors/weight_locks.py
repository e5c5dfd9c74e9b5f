"""The two locks around weights. Who takes both takes `building` first.

Both are re-entrant: a layer builds those in it, and gives them weights meanwhile. `with` on them is safe where Ctrl-C
comes: Python looks for signals neither between taking one and the block, nor between the block's end and giving it
back.
"""

import os
import threading

# One thread at a time builds layers; user's code may run under it.
building = threading.RLock()
# Held while weights that belong together change, and while it is looked at whether they did: for a short time, in which
# no code of a user's runs.
changing = threading.RLock()


def _in_child():
    """The threads that held them stayed with the parent."""
    global building, changing
    building, changing = threading.RLock(), threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
