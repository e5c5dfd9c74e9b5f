"""Gradients of elementwise and row-wise operations, copies and look-ups."""

import numpy as np

from fastseq.gradients.backward import Rows
from fastseq.native.kinds import ACTIVATION_KINDS, BINARY_KINDS
from fastseq.program.packing_steps import FROM_VALUE
from fastseq.program.slots import strides_of

_KIND_NAMES = {number: name for name, number in BINARY_KINDS.items()}
ACTIVATION_NAMES = {number: name for name, number in ACTIVATION_KINDS.items()}


def _five(fields, letter):
    return [fields[f"{letter}{i}"] for i in range(5)]


def _zero(b):
    return b.p.constant(np.zeros(1, np.float32))


def binary(b, kind, sizes, left, right):
    """A new array of `sizes`: left op right, each a Slot and its five strides."""
    result = b.p.new(sizes)
    (a, a_strides), (c, c_strides) = left, right
    fields = {}
    for i in range(5):
        fields |= {f"n{i}": sizes[i], f"a{i}": a_strides[i], f"b{i}": c_strides[i]}
    b.step("binary", a=a, b=c, y=result, kind=BINARY_KINDS[kind], **fields)
    return result


def copy_rule(b, step):
    f = step["fields"]
    sizes, x, y = _five(f, "n"), _five(f, "x"), _five(f, "y")
    dy = b.of(f["y"])
    if f["size"] != 4 or dy is None or 0 in sizes:
        return
    contiguous = b.p.contiguous_copy(dy, sizes, y) if y != strides_of(sizes, y) else dy
    b.add_strided(f["x"], sizes, x, contiguous.reshaped(sizes))


def binary_rule(b, step):
    f = step["fields"]
    kind, sizes = _KIND_NAMES[f["kind"]], _five(f, "n")
    if kind in ("at_least", "above") or kind.endswith("int32"):
        return
    flat = strides_of(sizes, [0] * 5)
    dy, x, z = (b.of(f["y"]), flat), (f["a"], _five(f, "a")), (f["b"], _five(f, "b"))

    def times(left, right):
        return binary(b, "multiply", sizes, left, right)

    def where(test, left, right):
        return times(dy, (binary(b, test, sizes, left, right), flat))

    def none():
        return binary(b, "subtract", sizes, (_zero(b), [0] * 5), dy)

    def gradient(first):
        if kind == "add" or (kind == "subtract" and first):
            return dy[0]
        if kind == "subtract":
            return none()
        if kind == "multiply":
            return times(dy, z if first else x)
        if kind == "divide":
            if first:
                return binary(b, "divide", sizes, dy, z)
            quotient = binary(b, "divide", sizes, (times(dy, (f["y"], flat)), flat), z)
            return b.p.affine(quotient, -1.0, 0.0)
        if kind in ("maximum", "minimum"):
            # At equal values the first one gets everything, as in TensorFlow.
            larger, smaller = (x, z) if kind == "maximum" else (z, x)
            return where("at_least", larger, smaller) if first else where("above", smaller, larger)
        return _prelu(first)

    def _prelu(first):
        nothing = (_zero(b), [0] * 5)
        if not first:
            return times(dy, (binary(b, "minimum", sizes, x, nothing), flat))
        right = binary(b, "above", sizes, x, nothing)
        left = times((binary(b, "above", sizes, nothing, x), flat), z)
        return times(dy, (b.p.binary("add", right, left), flat))

    for first, (slot, strides) in ((True, x), (False, z)):
        if b.wants(slot):
            b.add_strided(slot, sizes, strides, gradient(first).reshaped(sizes))


def affine_rule(b, step):
    f = step["fields"]
    b.add(f["x"], b.p.affine(b.of(f["y"]), f["scale"], 0.0))


def select_rule(b, step):
    f = step["fields"]
    sizes = _five(f, "n")
    flat = strides_of(sizes, [0] * 5)
    for letter in "ab":
        if not b.wants(f[letter]):
            continue
        result = b.p.new(sizes)
        fields = {name: f[name] for i in range(5) for name in (f"n{i}", f"m{i}")}
        for i in range(5):
            fields |= {f"a{i}": flat[i] if letter == "a" else 0, f"b{i}": flat[i] if letter == "b" else 0}
        sides = {"a": _zero(b), "b": _zero(b)} | {letter: b.of(f["y"])}
        b.step("select", mask=f["mask"], y=result, **sides, **fields)
        b.add_strided(f[letter], sizes, _five(f, letter), result)


def masking_rule(b, step):
    f = step["fields"]
    shape = (f["rows"], f["width"])
    dy = b.of(f["y"]).reshaped(shape)
    mask = f["mask"].reshaped((f["rows"], 1))
    b.add(f["x"], b.p.select(mask, dy, _zero(b)))


def activation_gradient(b, f, dy):
    """(the fields of the step that gives the gradient by the input of an activation, that gradient's Slot)."""
    name = ACTIVATION_NAMES[f["kind"]]
    plain_relu = name == "relu" and (f["p0"], f["p1"], f["p2"]) == (0.0, float("inf"), 0.0)
    end = "y" if name in FROM_VALUE or plain_relu else "x"
    dx = b.p.new(f["x"].shape)
    rest = {key: f[key] for key in ("count", "kind", "p0", "p1", "p2")}
    return {end: f[end], "dy": dy, "dx": dx, **rest}, dx


def activation_rule(b, step):
    f = step["fields"]
    fields, dx = activation_gradient(b, f, b.of(f["y"]))
    b.step("activation_backward", **fields)
    b.add(f["x"], dx)


def row_activation_rule(b, step):
    f = step["fields"]
    name = ACTIVATION_NAMES[f["kind"]]
    end = "x" if name in ("sparsemax", "glu") else "y"
    dx = b.p.new(f["x"].shape)
    b.step(
        "row_activation_backward", **{end: f[end]}, dy=b.of(f["y"]), dx=dx, outer=f["outer"], n=f["n"],
        inner=f["inner"], kind=f["kind"],
        scratch=b.p.new((f["outer"], 3, f["n"])) if name == "sparsemax" else None,
    )  # fmt: skip
    b.add(f["x"], dx)


def normalize_rule(b, step):
    f = step["fields"]
    dx = b.p.new(f["x"].shape)
    sizes = {name: f[name] for name in ("outer", "n", "inner", "epsilon")}
    b.step("normalize_backward", x=f["x"], dy=b.of(f["y"]), dx=dx, **sizes)
    b.add(f["x"], dx)


def embedding_rule(b, step):
    f = step["fields"]
    table = f["table"]
    if not b.wants(table):
        return
    if b.goes_by_rows(table):
        _embedding_by_rows(b, f)
        return
    d_table = b.p.new(table.shape)
    b.step(
        "embedding_backward", ids=f["ids"], dy=b.of(f["y"]), d_table=d_table, count=f["count"], width=f["width"],
        rows=table.shape[0],
    )  # fmt: skip
    b.add(table, d_table)


def _embedding_by_rows(b, f):
    """A gradient that has only the rows of the ids that there are."""
    (rows, width), count = f["table"].shape, f["count"]
    places = b.p.constant(np.zeros(rows, np.int32))
    numbers, gradient = b.p.new((count,), "int32"), b.p.new((count + 1, width))
    b.step(
        "embedding_places", ids=f["ids"], numbers=numbers, places=places, seen=b.p.constant(np.zeros(count, np.int32)),
        count_seen=b.p.constant(np.zeros(1, np.int32)), count=count,
    )  # fmt: skip
    b.step(
        "embedding_backward", ids=numbers, dy=b.of(f["y"]), d_table=gradient, count=count, width=width, rows=count + 1
    )  # fmt: skip
    b.set_rows(f["table"], Rows(gradient, places))
