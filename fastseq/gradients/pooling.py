"""Gradients of pools over windows."""

from fastseq.native.kinds import POOL_KINDS
from fastseq.program.pooling import SIZES


def pool_rule(b, step):
    f = step["fields"]
    if not b.wants(f["x"]):
        return
    dx = b.p.new(f["x"].shape)
    read = {} if f["kind"] == POOL_KINDS["mean"] else {"x": f["x"], "y": f["y"]}
    b.step("pool_backward", dy=b.of(f["y"]), dx=dx, kind=f["kind"], **read, **{name: f[name] for name in SIZES})
    b.add(f["x"], dx)
