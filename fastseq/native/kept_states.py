"""Puts the states of stateful layers back where a call raises; _kept.pyx says how.

A program writes the states at its very end (Builder.keep), so a program that fails or is interrupted changes none of
them. A call that runs several programs, or Python between their steps, needs one of these functions around it:

- all_or_nothing: decorator of a method that users call: where the method raises, all states are as before;
- undone: runs a function and then puts the states back;
- apart: runs code of the caller's, a generator of batches for one: what it changes stays, whatever raises later;
- settled: runs a function that changes more than states: its states stay too, whatever raises later;
- settle: what has changed so far stays;
- write: sets kept arrays.
"""

from fastseq.native._kept import all_or_nothing, apart, settle, settled, undone, write

__all__ = ["all_or_nothing", "apart", "apart_each", "settle", "settled", "stateful_layers", "undone", "write"]

_END = object()


def apart_each(batches):
    """What `batches` gives, asked `apart` for each: a generator is not set back where a later batch fails."""
    batches = apart(iter, batches)
    while True:
        batch = apart(next, batches, _END)
        if batch is _END:
            return
        yield batch


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
