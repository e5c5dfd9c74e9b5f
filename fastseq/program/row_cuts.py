"""Cuts a loop's body into tiles of rows that do not meet: each tile runs all times by itself (src_c/run/loops.c).

So threads share a loop without meeting at every step. Rows are apart where every array that the body writes has its
rows one behind the other, and no step reads or writes a row of it but its own; that is read off the strides, whatever
the steps compute.
"""

from typing import NamedTuple

from fastseq.native.kinds import ACTIVATION_KINDS
from fastseq.program.slots import Slot, product
from fastseq.program.steps import ends_of

_DIMENSIONS = range(5)


class _Walk(NamedTuple):
    """How a step goes over an array: bytes from a row to the next, and the first and last byte of a row that it takes,
    counted from its pointer."""

    row: int
    first: int
    last: int


def cuts_of(steps, rows):
    """What differs in the steps of a loop's body for a part of its rows: a list for each step of (field, what one row
    counts or is long, whether the field is a size and no pointer). None where rows meet."""
    if rows < 2:
        return None
    written = {id(slot.buffer) for step in steps for slot in ends_of(step)[1]}
    found = [_cuts_of_step(step, rows, written) for step in steps]
    return None if None in found else found


def _cuts_of_step(step, rows, written):
    walks = _WALKS.get(step["op"], lambda f, rows: None)(step["fields"], rows)
    if walks is None or step["failure"] is not None or step["with_next"]:
        return None
    sizes, walks = walks
    for name, slot in step["fields"].items():
        if isinstance(slot, Slot) and id(slot.buffer) in written and not _stays_in_row(slot, walks.get(name), rows):
            return None
    cuts = [(name, size, True) for name, size in sizes.items()]
    return cuts + [(name, walk.row, False) for name, walk in walks.items() if walk.row]


def _stays_in_row(slot, walk, rows):
    """Whether a step takes of each row of an array that the loop writes nothing but what is that row's."""
    whole = abs(slot.moves) or slot.buffer.nbytes  # of one time
    if walk is None or whole % rows or walk.row != whole // rows:
        return False
    start = slot.offset % whole
    return start + walk.first >= 0 and start + walk.last < walk.row


def _over(sizes, strides, itemsize, lead, per_row):
    """The _Walk of an array over dimensions, of which `lead` has the rows, so many of its places each."""
    spans = [((per_row if d == lead else n) - 1) * s * itemsize for d, (n, s) in enumerate(zip(sizes, strides))]
    first, last = sum(min(0, span) for span in spans), sum(max(0, span) for span in spans)
    return _Walk(strides[lead] * per_row * itemsize, first, last + itemsize - 1)


def _flat(count, itemsize, rows):
    """The _Walk of `count` elements one behind the other."""
    row = count * itemsize // rows
    return _Walk(row, 0, row - 1)


def _lead(sizes, rows):
    """(the first dimension that is not 1, how many of its places a row has), or None."""
    lead = next((d for d, size in enumerate(sizes) if size != 1), None)
    return None if lead is None or not sizes[lead] or sizes[lead] % rows else (lead, sizes[lead] // rows)


def _chain(f, rows):
    sizes = [f[f"n{d}"] for d in _DIMENSIONS]
    found = _lead(sizes, rows)
    if found is None:
        return None
    lead, per_row = found
    walks = {}
    for i in range(f["inputs"]):
        strides = [f[f"s{i}{d}"] for d in _DIMENSIONS]
        walks[f"x{i}"] = _over(sizes, strides, f[f"x{i}"].itemsize, lead, per_row)
    if "reduced" not in f:
        for i in range(f["outputs"]):
            walks[f"y{i}"] = _flat(product(sizes), f[f"y{i}"].itemsize, rows)
    elif f["reduced"] >> lead & 1:
        return None
    else:
        kept = product([size for d, size in enumerate(sizes) if not f["reduced"] >> d & 1])
        walks["y"] = _flat(kept, f["y"].itemsize, rows)
    return {f"n{lead}": per_row}, walks


def _strided(letters, contiguous=()):
    """Of an operation over n0 to n4 that reads, or writes, arrays by strides: {field: first letter of its strides}."""

    def walks_of(f, rows):
        sizes = [f[f"n{d}"] for d in _DIMENSIONS]
        found = _lead(sizes, rows)
        if found is None:
            return None
        walks = {
            name: _over(sizes, [f[f"{letter}{d}"] for d in _DIMENSIONS], f[name].itemsize, *found)
            for name, letter in letters.items()
        }
        walks |= {name: _flat(product(sizes), f[name].itemsize, rows) for name in contiguous}
        return {f"n{found[0]}": found[1]}, walks

    return walks_of


def _counted(f, rows):
    """Of an operation over `count` elements."""
    if not f["count"] or f["count"] % rows:
        return None
    walks = {name: _flat(f["count"], slot.itemsize, rows) for name, slot in f.items() if isinstance(slot, Slot)}
    return {"count": f["count"] // rows}, walks


def _by_row(f, rows):
    """Of an activation of whole rows."""
    if f["kind"] == ACTIVATION_KINDS["glu"] or not f["outer"] or f["outer"] % rows:
        return None
    count = f["outer"] * f["n"] * f["inner"]
    walks = {name: _flat(count, 4, rows) for name, slot in f.items() if isinstance(slot, Slot) and name != "scratch"}
    if f["scratch"] is not None:
        walks["scratch"] = _flat(f["outer"] * 3 * f["n"], 4, rows)
    return {"outer": f["outer"] // rows}, walks


def _dense(f, rows):
    if not f["rows"] or f["rows"] % rows:
        return None
    per_row = f["rows"] // rows
    x = _over([per_row, f["inputs"]], [f["x_stride"], 1], 4, 0, per_row)
    return {"rows": per_row}, {"x": x, "y": _over([per_row, f["units"]], [f["y_stride"], 1], 4, 0, per_row)}


def _matmul(f, rows):
    matrices = {"a": ("m", "k"), "b": ("k", "n"), "y": ("m", "n")}
    sizes = [f[name] for name in ("n0", "n1", "n2", "m", "k", "n")]
    found = _lead(sizes[:4], rows)
    if found is None:
        return None
    strides = {
        name: [*(f[f"{name}{i}"] for i in range(3)), *(f[f"{name}{n}"] if n in own else 0 for n in "mkn")]
        for name, own in matrices.items()
    }
    walks = {name: _over(sizes, strides[name], 4, *found) for name in matrices}
    return {("n0", "n1", "n2", "m")[found[0]]: found[1]}, walks


def _reduce_sum(f, rows):
    sizes = [f[f"{letter}{i}"] for letter in "kr" for i in range(3)]
    found = _lead(sizes[:3], rows)
    if found is None:
        return None
    x = _over(sizes, [f[f"x{letter}{i}"] for letter in "kr" for i in range(3)], 4, *found)
    return {f"k{found[0]}": found[1]}, {"x": x, "y": _flat(product(sizes[:3]), 4, rows)}


#: operation -> function of (fields, rows): (sizes {field: of a row}, {field of an array with rows: _Walk}), or None.
_WALKS = {
    "elementwise": _chain, "reduce": _chain, "dense": _dense, "matmul": _matmul, "reduce_sum": _reduce_sum,
    "copy": _strided({"x": "x", "y": "y"}), "binary": _strided({"a": "a", "b": "b"}, ["y"]),
    "select": _strided({"mask": "m", "a": "a", "b": "b"}, ["y"]),
    "activation": _counted, "activation_backward": _counted, "affine": _counted, "cast": _counted,
    "row_activation": _by_row, "row_activation_backward": _by_row,
}  # fmt: skip
