"""Steps of layers' own that are elementwise, as chains: an activation, a merge, a cast beside operations of fastseq.ops
becomes part of one pass (program/fusing.py). The instructions are those of the steps' kernels, so the bits are theirs.
"""

from fastseq.native.kinds import ACTIVATION_KINDS, BINARY_KINDS, CASTS
from fastseq.program.chains import Chain, operands_of
from fastseq.program.slots import broadcast_strides

#: Kinds of the step "binary" that are instructions of the same name; the others are left.
_BINARY = {
    number: name
    for name, number in BINARY_KINDS.items()
    if name.removesuffix("_int32") in ("add", "subtract", "multiply", "divide", "maximum", "minimum")
}
_CASTS = {number: pair for pair, number in CASTS.items()}


def as_chain(step):
    """The Chain that computes what a native step does, or None where there is none."""
    make = _MAKERS.get(step["op"])
    if make is None or step["failure"] is not None or step["with_next"] or step.get("flat"):
        return None
    fields = step["fields"]
    found = make(fields)
    if found is None:
        return None
    values, numbers, code = found
    y = fields["y"]
    if any(value.buffer is y.buffer for value in values):
        return None  # in place
    inputs, _, places = operands_of(y.shape, values)
    code = [(name, tuple(places[o] if type(o) is int and at in reads else o for at, o in enumerate(operands)))
            for name, operands, reads in code]  # fmt: skip
    chain = Chain(y.shape, inputs, numbers, code, [(len(code) - 1, y)])
    return chain if chain.fits() else None


# Each: (Slots that are read, numbers, instructions); an instruction is (name, operands, which operands are numbers of
# those Slots).


def _activation(fields):
    x, y = fields["x"], fields["y"]
    if x.shape != y.shape or x.size != fields["count"] or fields["kind"] >= ACTIVATION_KINDS["softmax"]:
        return None
    numbers = [float(fields[name]) for name in ("p0", "p1", "p2")]
    return [x], numbers, [("activation", (0, int(fields["kind"]), ("p", 0)), {0})]


def _same_strides(fields, letters, *slots):
    """Whether the step goes over these arrays as NumPy broadcasts them."""
    try:
        shape, sizes, strides = broadcast_strides(*(slot.shape for slot in slots))
    except ValueError:
        return False  # of a gradient, which goes over memory by strides of its own, whatever the slots' shapes are
    known = {f"n{d}": size for d, size in enumerate(sizes)}
    for letter, own in zip(letters, strides):
        known |= {f"{letter}{d}": stride for d, stride in enumerate(own)}
    return shape == fields["y"].shape and all(fields[name] == value for name, value in known.items())


def _binary(fields):
    a, b = fields["a"], fields["b"]
    if fields["kind"] not in _BINARY or not _same_strides(fields, "ab", a, b):
        return None
    return [a, b], [], [(_BINARY[fields["kind"]], (0, 1), {0, 1})]


def _select(fields):
    mask, a, b = fields["mask"], fields["a"], fields["b"]
    if not _same_strides(fields, "mab", mask, a, b):
        return None
    return [mask, a, b], [], [("select", (0, 1, 2), {0, 1, 2})]


def _cast(fields):
    x, y = fields["x"], fields["y"]
    if x.shape != y.shape or x.size != fields["count"]:
        return None
    before, after = _CASTS[fields["kind"]]
    if after == "float32":
        return [x], [], [("int32_to_float32", (0,), {0})]
    if after == "int32":
        return [x], [], [("float32_to_int32" if before == "float32" else "copy", (0,), {0})]
    zero, kind = (0.0, "equal") if before == "float32" else (0, "equal_int32")
    return [x], [zero], [(kind, (0, ("n", 0)), {0}), ("logical_not", (("t", 0),), set())]


_MAKERS = {"activation": _activation, "binary": _binary, "select": _select, "cast": _cast}
