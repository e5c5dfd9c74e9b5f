"""The products of the backward pass, whole, in pieces, over two dimensions: against NumPy in float64, on every ISA."""

import itertools

import numpy as np
import pytest
from layer_check import rms
from native_steps import Steps, assert_near, draw, on_every_isa, run_step

# rows, m, n: less than a vector, edges of panels, groups of four and row blocks, more rows than a chunk, none.
PRODUCTS = [
    (1, 1, 1),
    (5, 3, 17),
    (300, 6, 64),
    (257, 7, 65),
    (1000, 33, 200),
    (64, 25, 48),
    (513, 130, 31),
    (0, 4, 20),
]


@pytest.mark.parametrize("splits", [2, 3, 5])
@pytest.mark.parametrize("rows, m, n", [(1000, 33, 200), (300, 6, 64), (2000, 3, 17), (100, 25, 70)])
def test_product_in_pieces(rows, m, n, splits):
    """Pieces begin at chunks of 256 rows; where there are more pieces than chunks, some are zeros."""
    a, b = draw(rows, m), draw(rows, n, seed=1)
    ends = [-(-rows // 256) * i // splits * 256 for i in range(splits)] + [rows]
    pieces = [slice(first, end) for first, end in itertools.pairwise(ends)]

    def run():
        steps = Steps()
        c, sums = steps.out("c", (splits, m, n)), steps.out("sums", (splits, n))
        steps.step(
            "product_tn", a=a, b=b, c=c, sums=sums, n0=1, n1=rows, m=m, n=n, a1=m, b1=n, c_stride=n, splits=splits
        )
        found = steps.run()
        return np.concatenate([found["c"].ravel(), found["sums"].ravel()])

    def check(found):
        c, sums = found[: splits * m * n].reshape(splits, m, n), found[splits * m * n :].reshape(splits, n)
        for i, piece in enumerate(pieces):
            scale = max(1.0, np.sqrt(rows))
            assert_near(c[i], a[piece].T.astype("f8") @ b[piece], 256, scale)
            assert_near(sums[i], b[piece].sum(0, dtype="f8"), 16, scale)

    on_every_isa(run, check)


@pytest.mark.parametrize("size", PRODUCTS, ids=str)
@pytest.mark.parametrize("accumulate", [0, 1])
def test_product(size, accumulate):
    rows, m, n = size
    a, b, start = draw(rows, m), draw(rows, n, seed=1), draw(m, n, seed=2)
    truth = a.T.astype("f8") @ b + accumulate * start.astype("f8")
    scale = max(1.0, np.sqrt(rows))  # of a sum of so many; a chunk of 256 is one chain

    def run():
        return run_step(
            "product_tn", "c", (m, n), start, a=a, b=b, n0=1, n1=rows, m=m, n=n, a1=m, b1=n, c_stride=n,
            accumulate=accumulate,
        )  # fmt: skip

    on_every_isa(run, lambda found: assert_near(found, truth, min(rows, 256), scale))


def test_product_is_as_exact_as_blas():
    a, b = draw(6400, 64), draw(6400, 80, seed=1)
    truth = a.T.astype("f8") @ b
    found = run_step("product_tn", "c", (64, 80), a=a, b=b, n0=1, n1=6400, m=64, n=80, a1=64, b1=80, c_stride=80)
    assert rms(found - truth) <= rms(a.T @ b - truth)


@pytest.mark.parametrize("size", PRODUCTS, ids=str)
@pytest.mark.parametrize("accumulate", [0, 1])
def test_column_sums_of_a_product(size, accumulate):
    rows, m, n = size
    a, b, start = draw(rows, m), draw(rows, n, seed=1), draw(n, seed=2)

    def run():
        steps = Steps()
        steps.step(
            "product_tn", a=a, b=b, n0=1, n1=rows, m=m, n=n, a1=m, b1=n, c_stride=n, accumulate=accumulate,
            c=steps.out("c", (m, n), np.zeros((m, n), "f")), sums=steps.out("sums", (n,), start),
        )  # fmt: skip
        return steps.run()["sums"]

    truth = b.sum(0, dtype="f8") + accumulate * start
    on_every_isa(run, lambda found: assert_near(found, truth, 16, max(1.0, np.sqrt(rows))))


@pytest.mark.parametrize("inner", [1, 3, 99])
@pytest.mark.parametrize("backwards", [False, True])
def test_product_over_two_dimensions(inner, backwards):
    """Rows of a shifted array times those of one that is walked backwards, into columns of a wider result."""
    a, b, wide = draw(7, inner + 1, 20), draw(7, inner + 2, 50, seed=1), draw(20, 90, seed=2)
    fields = {"n0": 7, "n1": inner, "m": 20, "n": 40, "a0": a[0].size, "a1": 20, "b0": b[0].size, "c_stride": 90}
    right = b[:, 1:-1, 5:45][:, :: -1 if backwards else 1]

    def run():
        steps = Steps()
        out = steps.out("c", wide.shape, wide)
        first = inner if backwards else 1
        steps.step(
            "product_tn", a=a, b=(b, first * 50 + 5), b1=-50 if backwards else 50, c=(out, 30), **fields
        )  # fmt: skip
        return steps.run()["c"]

    truth = wide.astype("f8")
    truth[:, 30:70] = np.einsum("btm,btn->mn", a[:, :inner].astype("f8"), right)

    def check(found):
        assert_near(found, truth, min(7 * inner, 256), np.sqrt(7 * inner))
        np.testing.assert_array_equal(found[:, [*range(30), *range(70, 90)]], wide[:, [*range(30), *range(70, 90)]])

    on_every_isa(run, check)


SIZES = [(3, 5, 7, 9), (2, 1, 4, 6), (1, 8, 0, 3), (2, 0, 3, 4), (1, 1, 600, 70), (1, 200, 300, 130), (2, 3, 270, 65)]


@pytest.mark.parametrize("a_turned", [0, 1])
@pytest.mark.parametrize("b_turned", [0, 1])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_matmul_of_transposed(a_turned, b_turned, size):
    batch, m, k, n = size
    a, b = draw(batch, m, k), draw(batch, k, n, seed=1)

    def run():
        return run_step(
            "matmul", "y", (batch, m, n), a=np.ascontiguousarray(a.swapaxes(1, 2)) if a_turned else a,
            b=np.ascontiguousarray(b.swapaxes(1, 2)) if b_turned else b, n0=1, n1=1, n2=batch, m=m, k=k, n=n,
            a0=0, a1=0, a2=m * k, am=1 if a_turned else k, ak=m if a_turned else 1,
            b0=0, b1=0, b2=k * n, bk=1 if b_turned else n, bn=k if b_turned else 1,
            y0=0, y1=0, y2=m * n, ym=n, yn=1,
        )  # fmt: skip

    on_every_isa(run, lambda found: assert_near(found, a.astype("f8") @ b, max(k, 1), np.sqrt(max(k, 1))))


def test_matmul_is_one_chain():
    """Each element: k = 0, 1, 2 ... from zero on, one fused multiply-add each, whatever blocks there are."""
    a, b = draw(70, 700), draw(700, 90, seed=1)
    sums = np.zeros((70, 90))
    for k in range(700):  # exact in double, rounded once
        sums = (sums + a[:, k : k + 1].astype("f8") * b[k].astype("f8")).astype("f4").astype("f8")
    found = run_step("matmul", "y", (70, 90), a=a, b=b, n0=1, n1=1, n2=1, m=70, k=700, n=90, a0=0, a1=0, a2=0, am=700,
                     ak=1, b0=0, b1=0, b2=0, bk=90, bn=1, y0=0, y1=0, y2=0, ym=90, yn=1)  # fmt: skip
    same = found == sums.astype("f4")
    assert same.mean() > 0.999  # the sum in double is rounded twice where it is half between two floats
