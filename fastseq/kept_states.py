"""States that stateful layers keep, as they were: for calls that run several programs, or Python between their steps.

A program alone writes them at its very end (Builder.keep), so that one that fails or is interrupted changes none.
"""

import contextlib

from fastseq import nest


@contextlib.contextmanager
def restored_on_error(layer, always=False):
    """Puts the states that `layer` and the layers in it keep back where an exception leaves the block, or `always`."""
    before = [(part, _copies(part)) for part in stateful_layers(layer)]
    done = False
    try:
        yield
        done = not always
    finally:
        if not done:
            for part, states in before:
                _put_back(part, states)


def stateful_layers(layer):
    """The layers in `layer`, itself among them, that keep states."""
    found, todo, seen = [], [layer], set()
    while todo:
        part = todo.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        todo += part._sublayers()
        if getattr(part, "stateful", False) and hasattr(part, "_keep_states"):
            found.append(part)
    return found


def _copies(layer):
    return None if layer.states is None else [state.copy() for state in nest.flatten(layer.states)]


def _put_back(layer, states):
    if layer.states is None:
        return
    kept = nest.flatten(layer.states)
    if states is None:  # it was built inside the block
        states = nest.flatten(layer.get_initial_state(kept[0].shape[0]))
    for state, value in zip(kept, states):
        state[...] = value
