"""States that stateful layers keep, as they were where a call raises; _kept.pyx says how.

A program writes them at its very end (Builder.keep), so that one that fails or is interrupted changes none. For calls
of several programs, or with Python between their steps, the functions here stand around them:

- all_or_nothing: decorator of a method that users call, so that nothing of it is left where it raises;
- undone: runs a function whose changes shall not stay;
- apart: runs what is the caller's own, as a generator of batches is, whose calls stay whatever comes later;
- settled: runs what has changed more than states when it ends: those stay too, whatever comes later;
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
