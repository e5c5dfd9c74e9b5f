"""Pools over windows: the step "pool" (src_c/abi/ops_pooling.h)."""

from fastseq.native.kinds import POOL_KINDS
from fastseq.program import gradient_rules

gradient_rules.register("pool", "gradients.pooling:pool_rule")
SIZES = ("outer", "length", "inner", "windows", "size", "stride", "before")


def pool(p, x, kind, axis, size, stride=1, before=0, windows=1):
    """Adds the step; returns a Slot of x's shape, with `windows` elements along `axis`.

    x (Slot): float32. kind: "max", whose gradient goes to the first of equal values, "max_shared", where they share
    it, or "mean". Window w begins at w stride - before, and has one element at least.
    """
    shape = x.shape
    y = p.new((*shape[:axis], windows, *shape[axis + 1 :]))
    outer, inner = 1, 1
    for n in shape[:axis]:
        outer *= n
    for n in shape[axis + 1 :]:
        inner *= n
    p.step(
        "pool", x=x, y=y, outer=outer, length=shape[axis], inner=inner, windows=windows, size=size, stride=stride,
        before=before, kind=POOL_KINDS[kind],
    )  # fmt: skip
    return y
