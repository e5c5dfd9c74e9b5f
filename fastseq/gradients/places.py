"""Gradients of steps that take, put and cumulate elements along an axis (src_c/abi/ops_places.h)."""

import numpy as np

from fastseq.native.kinds import CUMULATIONS, PUT_KINDS

_PUT_NAMES = {number: name for name, number in PUT_KINDS.items()}
_SIZES = ("outer", "n", "inner", "count", "own", "each")


def _three(slot, f, size):
    return slot.reshaped((f["outer"], f[size], f["inner"]))


def _taken(b, f, x):
    """What stands at the step's places in `x`, over the shape of what it puts there."""
    y = b.p.new((f["outer"], f["count"], f["inner"]))
    b.step("gather", x=x, places=f["places"], y=y, size=4, **{name: f[name] for name in _SIZES})
    return y


def _put(b, f, values, kind, x=None):
    """`values` put to the step's places, in `x` or zeros."""
    y = b.p.new((f["outer"], f["n"], f["inner"]))
    b.step("scatter", x=x, places=f["places"], v=values, y=y, kind=PUT_KINDS[kind], whole=0,
           **{name: f[name] for name in _SIZES})  # fmt: skip
    return y


def gather_rule(b, step):
    f = step["fields"]
    if f["x"].dtype == "float32":
        b.add(f["x"], _put(b, f, b.of(f["y"]), "add"))


def scatter_rule(b, step):
    f = step["fields"]
    if f["whole"]:
        return
    kind, dy, v = _PUT_NAMES[f["kind"]], _three(b.of(f["y"]), f, "n"), _three(f["v"], f, "count")
    if kind == "mul":
        _through_products(b, step, dy, v)
        return
    if kind in ("max", "min"):
        # As TensorFlow: in equal parts to all that are as large.
        y = _three(f["y"], f, "n")
        best = b.p.elementwise("int32_to_float32", b.p.elementwise("equal", v, _taken(b, f, y), dtype="bool"))
        hits = _put(b, f, best, "add")
        if f["x"] is not None:
            of_x = b.p.elementwise("equal", _three(f["x"], f, "n"), y, dtype="bool")
            of_x = b.p.elementwise("int32_to_float32", of_x)
            hits = b.p.elementwise("add", of_x, hits)
            b.add(f["x"], b.p.elementwise("divide", b.p.elementwise("multiply", dy, of_x), hits))
        b.add(f["v"], b.p.elementwise("multiply", _taken(b, f, b.p.elementwise("divide", dy, hits)), best))
        return
    b.add(f["v"], _taken(b, f, dy))
    if f["x"] is not None and b.wants(f["x"]):
        zeros = b.p.broadcast(b.p.constant(np.zeros(1, np.float32)), v.shape)
        b.add(f["x"], _put(b, f, zeros, "set", dy) if kind == "set" else dy)


def _through_products(b, step, dy, v):
    """As TensorFlow: by the product of all that are not 0; where one is, it alone has a gradient, of the others."""
    f, p = step["fields"], b.p
    if f["x"] is not None and b.wants(f["x"]):  # by the product of all that is put to its place
        ones = p.broadcast(p.constant(np.ones(1, np.float32)), dy.shape)
        b.add(f["x"], p.elementwise("multiply", dy, _put(b, f, v, "mul", ones)))
    zero = p.elementwise("equal", v, 0.0, dtype="bool")
    number = p.elementwise("int32_to_float32", zero)
    zeros = _put(b, f, number, "add")
    x = None if f["x"] is None else _three(f["x"], f, "n")
    others = _put(b, f, p.elementwise("select", zero, 1.0, v), "mul", x)
    # A place with more zeros than the element itself has the product 0 of the others.
    alone = p.elementwise("equal", _taken(b, f, zeros), number, dtype="bool")
    found = p.elementwise(
        "divide", _taken(b, f, p.elementwise("multiply", dy, others)), p.elementwise("select", zero, 1.0, v)
    )
    b.add(f["v"], p.elementwise("select", alone, found, 0.0))


def cumulate_rule(b, step):
    f = step["fields"]
    if f["whole"]:
        return
    product = f["kind"] == CUMULATIONS["prod"]
    dy, x = _three(b.of(f["y"]), f, "n"), _three(f["x"], f, "n")
    if product:
        dy = b.p.elementwise("multiply", dy, _three(f["y"], f, "n"))
    dx = b.p.new(x.shape)
    b.step("cumulate", x=dy, y=dx, outer=f["outer"], n=f["n"], inner=f["inner"], kind=CUMULATIONS["sum"],
           backwards=1 - f["backwards"])  # fmt: skip
    if product:  # as TensorFlow: 0 where x is
        zero = b.p.elementwise("equal", x, 0.0, dtype="bool")
        dx = b.p.elementwise("select", zero, 0.0, b.p.elementwise("divide", dx, x))
    b.add(f["x"], dx)
