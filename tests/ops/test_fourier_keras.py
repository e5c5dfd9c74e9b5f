"""Fourier transforms of fastseq.ops beside Keras's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from op_check import array, call, check, name_of

from fastseq import ops
from fastseq.program.fourier import chirp_of, roots_of_unity

pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

LONG = array(2, 60)
HALF = array(3, 9), array(3, 9, seed=1)
CALLS = [
    *(call("rfft", array(3, n), ulp=6) for n in (1, 2, 7, 16, 30, 37, 97)),
    # TensorFlow has no gradient of what is cut off.
    *(call("rfft", array(2, 3, 10), n, grad=n >= 10, ulp=6) for n in (8, 10, 15)),
    *(call("irfft", HALF, n, grad=n != 10, ulp=6) for n in (None, 16, 17, 10, 30)),
    *(call("fft", (array(2, n), array(2, n, seed=1)), ulp=6, symbolic=False) for n in (1, 8, 12, 41)),
    *(call("stft", LONG, 8, stride, size, window=window, center=center, ulp=8)
      for stride, size, window, center in [(4, 8, "hann", True), (3, 10, "hamming", False), (8, 8, None, True),
                                           (5, 16, "hann", True)]),
    call("stft", LONG, 7, 2, 8, ulp=8),
    *(call("istft", (array(2, 7, size // 2 + 1), array(2, 7, size // 2 + 1, seed=1)), 8, stride, size, length=length,
           window=window, center=center, ulp=16)
      for stride, size, window, center, length in [(4, 8, "hann", True, None), (3, 10, "hamming", False, None),
                                                   (2, 8, "hann", True, 9), (8, 8, None, False, None)]),
]  # fmt: skip


@pytest.mark.parametrize("c", CALLS, ids=name_of)
def test_like_keras(c):
    check(c)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 600), st.integers(0, 3))
def test_rfft_is_numpys(n, rows):
    """Any length: to the last place of float32 but for few."""
    x = np.random.default_rng(n).standard_normal((rows, n)).astype("f")
    re, im = ops.rfft(x)
    truth = np.fft.rfft(x.astype("d")) if rows else np.zeros((0, n // 2 + 1), complex)
    for mine, true in ((re, truth.real), (im, truth.imag)):
        np.testing.assert_allclose(mine, true, rtol=1.2e-7, atol=1e-12 * n)
    np.testing.assert_allclose(ops.irfft((re, im), n), x, atol=1e-5)


def test_roots_and_chirps():
    for n in (1, 2, 3, 8, 97, 360, 4096):
        angle = 2 * np.longdouble("3.14159265358979323846") * np.arange(n) / n
        truth = np.stack([np.cos(angle), np.sin(angle)], 1)
        assert np.abs(roots_of_unity(n) - truth).max() < 2.5e-16
        np.testing.assert_array_equal(roots_of_unity(n)[0], [1, 0])
    np.testing.assert_array_equal(chirp_of(5)[2], roots_of_unity(10)[4])


@pytest.mark.parametrize("name, args, kwargs, error, words", [
    ("rfft", (1.0,), {}, ValueError, "ops.rfft takes an array with axes"),
    ("rfft", (LONG, 0), {}, ValueError, "a transform of length 0"),
    ("fft", (array(3, 4),), {}, ValueError, "takes a tuple of two arrays|takes two arrays of one shape"),
    ("irfft", ((LONG, LONG[:1]),), {}, ValueError, "takes two arrays of one shape"),
    ("stft", (LONG, 8, 4, 6), {}, ValueError, "fft_length=6 is less than sequence_length=8"),
    ("stft", (LONG, 8, 4, 8), {"window": "kaiser"}, ValueError, "neither 'hann' nor 'hamming'"),
    ("stft", (LONG.astype(np.int32), 8, 4, 8), {}, TypeError, "takes float32, got int32"),
    ("stft", (LONG[:, :3], 8, 4, 8), {}, ValueError, "needs more than fft_length // 2 = 4 elements"),
    ("istft", ((LONG, LONG), 8, 0, 8), {}, ValueError, "a stride from 1 on, got 0"),
], ids=str)  # fmt: skip
def test_bad_arguments(name, args, kwargs, error, words):
    with pytest.raises(error, match=words):
        getattr(ops, name)(*args, **kwargs)
