"""Programs by themselves, without a layer."""

import numpy as np

from fastseq.builder import Builder
from fastseq.program import Program


def test_a_constant_is_read_from_where_its_slot_begins():
    p = Builder()
    constant, y = p.constant(np.arange(6, dtype=np.float32)), p.new((3,))
    p.copy(constant.at(2), y, (3,), (1,), (1,))
    (found,) = Program(p, [], [y]).run([])
    np.testing.assert_array_equal(found, [2, 3, 4])
