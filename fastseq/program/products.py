"""Products of two arrays that both change from call to call: the step "matmul" (src_c/kernels/matmul_inl.h).

Its operands and its result are read and written by strides, so that transposed and broadcast ones are not copied.
"""

from fastseq.program import gradient_rules

gradient_rules.register("matmul", "gradients.products:matmul_rule")

_MOST_BATCH_AXES = 3


class TooManyAxes(ValueError):
    """The axes of a batch cannot be walked by three strides."""


def matmul_step(p, a, b, y, batch, sizes, a_strides, b_strides, y_strides):
    """Adds a step that writes `y`, (*batch, m, n), the products of `a`, (*batch, m, k), and `b`, (*batch, k, n).

    Args:
        p (Builder): Gets the step.
        a, b, y (Slot): The arrays, read and written from their first element on.
        batch (list of int): Sizes of the axes that all three have.
        sizes (tuple of int): m, k, n.
        a_strides, b_strides, y_strides (list of int): In elements, for each axis of `batch`, then for the two of a
            matrix. Those of operands may be 0.

    Raises:
        TooManyAxes: More than three axes of the batch are left when those that belong together are joined.
    """
    m, k, n = sizes
    axes = _merged(batch, a_strides[:-2], b_strides[:-2], y_strides[:-2])
    (am, ak), (bk, bn), (ym, yn) = a_strides[-2:], b_strides[-2:], y_strides[-2:]
    # One b for many a makes rows of them, one a for many b columns: so the one is packed once.
    while axes and axes[-1][2] == 0 and axes[-1][1] == am * m and axes[-1][3] == ym * m:
        m *= axes.pop()[0]
    while axes and axes[-1][1] == 0 and axes[-1][2] == bn * n and axes[-1][3] == yn * n:
        n *= axes.pop()[0]
    if len(axes) > _MOST_BATCH_AXES:
        raise TooManyAxes(f"Products over {len(axes)} axes in this order are not supported, {_MOST_BATCH_AXES} are.")
    axes = [(1, 0, 0, 0)] * (_MOST_BATCH_AXES - len(axes)) + axes
    fields = {}
    for i, (size, *strides) in enumerate(axes):
        fields |= {f"n{i}": size} | {f"{name}{i}": stride for name, stride in zip("aby", strides)}
    p.step("matmul", a=a, b=b, y=y, m=m, k=k, n=n, am=am, ak=ak, bk=bk, bn=bn, ym=ym, yn=yn, **fields)


def _merged(batch, *strides):
    """[(size, strides of a, b, y)], without axes of size 1, neighbours that belong together joined."""
    axes = []
    for size, *own in zip(batch, *strides):
        if size == 1:
            continue
        if axes and all(before == after * size for before, after in zip(axes[-1][1:], own)):
            axes[-1] = (axes[-1][0] * size, *own)
        else:
            axes.append((size, *own))
    return axes


def plain_matmul(p, a, b, y, batch, m, k, n):
    """`matmul_step` of contiguous (batch, m, k) and (batch, k, n)."""
    matmul_step(p, a, b, y, [batch], (m, k, n), [m * k, k, 1], [k * n, n, 1], [m * n, n, 1])
