"""Integrals, correlations, distances and blocks of fastseq.ops beside Keras's."""

import numpy as np
import pytest
from op_check import array, call, check, check_arrays, check_gradients, check_program, name_of

from fastseq import ops

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

X, Y, WHOLE = array(3, 5), array(2, 3, 4), array(3, 5, dtype="int32")
LINE, SHORT = array(9), array(4, seed=1)
IMAGES = array(2, 4, 6, 3)
FIRST = np.ascontiguousarray(IMAGES.transpose(0, 3, 1, 2))

CALLS = [
    *(call("trapezoid", x, axis=axis, dx=dx, grad=x is not WHOLE, symbolic=False) for x in (X, Y, WHOLE)
      for axis in (-1, 0) for dx in (1.0, 0.5)),
    *(call("trapezoid", Y, axis=axis, grad=False) for axis in (-1, 1)),
    *(call("vander", x, N=n, increasing=up, grad=False, symbolic=False) for x in (SHORT, np.arange(4, dtype=np.int32))
      for n in (None, 3, 6) for up in (False, True)),
    call("vander", SHORT, 3, symbolic=False),
    *(call("corrcoef", x, grad=x is not WHOLE, ulp=8.0, symbolic=False) for x in (X, WHOLE)),
    *(call("correlate", a, b, mode=mode, symbolic=False) for a, b in ((LINE, SHORT), (LINE, array(5)), (LINE, array(1)))
      for mode in ("valid", "same", "full")),
    *(call("correlate", SHORT, LINE, mode=mode, symbolic=False) for mode in ("same", "full")),
    call("correlate", np.arange(5, dtype=np.int32), array(2, dtype="int32"), mode="full", grad=False, symbolic=False),
    *(call("unravel_index", np.array([0, 7, 23, 5], np.int32), shape, grad=False, symbolic=False)
      for shape in ((24,), (4, 6), (2, 3, 4))),
    *(call("cdist", a, b) for a, b in ((X, array(4, 5, seed=2)), (Y, array(2, 6, 4, seed=3)))),
    call("psnr", X, array(3, 5, seed=5), 2.0, ulp=16.0), call("psnr", Y, array(2, 3, 4, seed=5), 255, ulp=16.0),
    *(call("space_to_depth", x, 2, data_format=kind)
      for x, kind in ((IMAGES, "channels_last"), (FIRST, "channels_first"))),
    *(call("depth_to_space", x, 2, data_format=kind)
      for x, kind in ((array(2, 3, 2, 8), "channels_last"), (array(2, 8, 3, 2), "channels_first"))),
    *(call("unfold", FIRST, *options, symbolic=False) for options in (
        (2,), ((2, 3), 1, 0, 2), (3, 1, 1, 2), ((2, 2), (2, 1), (1, 2), (1, 3)))),
    *(call("fold", array(2, 12, n), (4, 6), 2, *options, symbolic=False) for n, options in (
        (15, ()), (6, (1, 0, 2)), (12, (1, 1, 2)), (24, (2, (1, 1), (1, 1))))),
    *(call("rearrange", IMAGES, pattern, symbolic=False, **sizes) for pattern, sizes in (
        ("b h w c -> b c h w", {}), ("b h w c -> b (h w) c", {}), ("b h w c -> (b h) (c w)", {}),
        ("b (h r) w c -> b h (r w c)", {"r": 2}), ("b (h r) (w s) c -> b h w (r s c)", {"h": 2, "s": 3}))),
    # With one window TensorFlow's gradient of the largest is memory that nobody has written.
    *(call(name, x, (size,), data_format=kind, symbolic=kind != "channels_last",
           grad=size > 1)
      for name in ("adaptive_average_pool", "adaptive_max_pool")
      for x, kind in ((array(2, 7, 3), "channels_last"), (array(2, 3, 8), "channels_first")) for size in (1, 3, 4)),
    call("adaptive_average_pool", array(2, 7, 3), 7, symbolic=False),
    call("adaptive_max_pool", array(2, 6, 3), 2, symbolic=False),
]  # fmt: skip


@pytest.mark.parametrize("c", CALLS, ids=name_of)
def test_like_keras(c):
    check(c)


@pytest.mark.parametrize("c", [call("argpartition", np.array([7, 2, 9, 4, 4, 1], np.int32), kth) for kth in (0, 2, 5)],
                         ids=name_of)  # fmt: skip
def test_partitions(c):
    """Keras's order within the parts is not defined, and with two axes its parts are those of the first row."""
    x, kth = c.args
    mine, theirs = ops.argpartition(x, kth), np.asarray(keras.ops.argpartition(x, kth))
    assert mine.dtype == np.int32 and sorted(mine) == sorted(theirs)
    assert x[mine[kth]] == np.sort(x)[kth] and sorted(x[mine[:kth]]) == sorted(np.sort(x)[:kth])
    check_program(c, [mine])


def test_integrals_at_places():
    places = np.cumsum(np.abs(array(5, seed=9)))
    for x in (places, [0.0, 1.0, 3.0, 3.5, 4.0]):
        c = call("trapezoid", X, x=x)
        check_arrays(c)
        check_program(c, [ops.trapezoid(X, x=x)])
        check_gradients(c)
