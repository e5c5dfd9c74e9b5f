"""Programs that run for fewer rows than they are made for: only where all that follows the rows is a size."""

import numpy as np
import pytest

from fastseq.decoding.step import RowsPlan
from fastseq.program.builder import Builder
from fastseq.program.program import Program

FACTORS = {
    "of no rows": (lambda p, rows: 2.0, True),
    "a number": (lambda p, rows: float(rows), False),
    "a constant": (lambda p, rows: p.constant(np.array([rows], np.float32)), False),
    "a constant of a row each": (lambda p, rows: p.constant(np.arange(rows, dtype=np.float32)[:, None]), False),
}


@pytest.mark.parametrize("name", FACTORS)
def test_numbers_made_of_the_rows_are_told(name):
    factor, exact = FACTORS[name]

    def trace(rows):
        p = Builder()
        x = p.input((rows, 3), "float32")
        return Program(p, [x], [p.elementwise("multiply", x, factor(p, rows))])

    assert RowsPlan(trace, 4).exact is exact
