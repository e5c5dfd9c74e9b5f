"""Fourier transforms of rows: the step "fourier" (src_c/kernels/fourier_inl.h), and the roots of unity it reads."""

import functools
import math

import numpy as np

from fastseq.native.kinds import FOURIER_GROUPS, FOURIER_PRIME
from fastseq.program import gradient_rules
from fastseq.program.slots import product

gradient_rules.register("fourier", "gradients.fourier:fourier_rule")


@functools.lru_cache(64)  # lengths whose roots are kept
def roots_of_unity(n):
    """(n, 2) float64: cos and sin of 2 pi j / n.

    By sums and products alone, whose bits are the same on every machine, as those of a library's sin are not; within
    an eighth of the circle, where their series end soon.
    """
    places = 8 * np.arange(n, dtype=np.int64)
    eighth, rest = places // n, places % n
    odd = eighth % 2 == 1
    x = np.where(odd, n - rest, rest) / n * (math.pi / 4)
    square = x * x
    sin, cos = np.ones(n), np.ones(n)
    for k in range(18, 1, -2):  # 1 - x^2 / (k (k - 1)) (1 - ...), from the last term inwards
        cos = 1.0 - square * cos / (k * (k - 1))
        sin = 1.0 - square * sin / (k * (k + 1))
    sin = x * sin
    sin, cos = np.where(odd, cos, sin), np.where(odd, sin, cos)
    quarter = eighth // 2
    found = np.empty((n, 2))
    found[:, 0] = np.choose(quarter, [cos, -sin, -cos, sin])
    found[:, 1] = np.choose(quarter, [sin, cos, -sin, -cos])
    found.flags.writeable = False
    return found


@functools.lru_cache(64)  # lengths whose roots are kept
def chirp_of(n):
    """(n, 2) float64: cos and sin of pi j^2 / n."""
    j = np.arange(n, dtype=np.int64)
    found = np.ascontiguousarray(roots_of_unity(2 * n)[j * j % (2 * n)])
    found.flags.writeable = False
    return found


def padded_length(n):
    """The power of two by which Bluestein's convolution computes this length; 0 where the length has small factors."""
    rest = n
    for p in range(2, FOURIER_PRIME + 1):
        while rest % p == 0:
            rest //= p
    return 0 if rest == 1 else 1 << (2 * n - 2).bit_length()


def fourier_step(p, re, im, n, wanted, sign, *, real=False, hermitian=False, doubled=False, divides=False):
    """Adds a transform along the last axis, and returns the Slots (real part, imaginary part), (..., wanted).

    Args:
        p (Builder): Gets the step.
        re, im (Slot): (..., given), given at most n; im may be None.
        n (int): The length.
        wanted (int): How many of the results.
        sign (int): Of the exponent, 1 or -1.
        real (bool): Whether the imaginary part is left out; then it is None.
        hermitian, doubled, divides (bool): See src_c/abi/ops_products.h.
    """
    *batch, given = re.shape
    rows, padded = product(batch), padded_length(n)
    y_re = p.new((*batch, wanted))
    y_im = None if real else p.new((*batch, wanted))
    p.step(
        "fourier", re=re, im=im, roots=roots_of_unity(padded or n), chirp=chirp_of(n) if padded else None, y_re=y_re,
        y_im=y_im, scratch=p.new((min(rows, FOURIER_GROUPS) * 4 * (2 * n + 3 * padded),)), rows=rows, n=n,
        padded=padded, given=given, wanted=wanted, sign=sign, hermitian=int(hermitian), doubled=int(doubled),
        divides=int(divides),
    )  # fmt: skip
    return y_re, y_im
