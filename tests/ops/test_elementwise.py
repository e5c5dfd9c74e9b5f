"""Elementwise functions beside NumPy: shapes, dtypes, special values, what they refuse, what streams make of them."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from op_check import array

import fastseq
from fastseq import ops
from fastseq.ops.values import Traced
from fastseq.program.builder import Builder
from fastseq.program.program import Program
from fastseq.streaming import Stream

SHAPES = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4, min_side=0)
FLOATS = st.floats(width=32, allow_subnormal=False)
SMALL = st.floats(-30, 30, width=32, allow_subnormal=False)
INTEGERS = st.integers(-(2**31), 2**31 - 1)

EXACT = ["floor", "ceil", "trunc", "round", "sign", "negative", "absolute", "sqrt", "isfinite", "isinf", "isnan",
         "isposinf", "isneginf", "signbit"]  # fmt: skip
ROUNDED = ["sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "arcsinh", "arccosh", "arctanh", "exp2",
           "log2", "log10", "cbrt"]  # fmt: skip
EXACT_OF_TWO = ["add", "subtract", "multiply", "divide", "maximum", "minimum", "fmax", "fmin", "fmod"]
ROUNDED_OF_TWO = ["arctan2", "hypot", "logaddexp", "logaddexp2", "power"]
OF_INTEGERS = ["add", "subtract", "multiply", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor", "gcd",
               "mod", "fmod", "floor_divide", "equal", "less", "greater_equal"]  # fmt: skip


def near(got, wanted, ulp=0.52):
    """Within so many units in the last place of the float64 `wanted`; denormals count as 0."""
    assert got.dtype == np.float32 and got.shape == wanted.shape
    with np.errstate(all="ignore"):
        rounded = wanted.astype(np.float32)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    np.testing.assert_array_equal(got[np.isinf(got)], rounded[np.isinf(got)])
    finite = np.isfinite(got) & np.isfinite(rounded)
    unit = np.spacing(np.maximum(np.abs(rounded[finite]), np.float32(2.0**-126))).astype(np.float64)
    off = np.abs(got[finite].astype(np.float64) - wanted[finite])
    assert (off <= np.where(np.abs(wanted[finite]) < 2.0**-126, 2.0**-126, ulp * unit)).all()


def same(got, wanted):
    np.testing.assert_array_equal(got, wanted, strict=True)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0), elements=FLOATS))
def test_functions_of_one_array_are_numpys(x):
    with np.errstate(all="ignore"):
        for name in EXACT:
            same(np.asarray(getattr(ops, name)(x)), np.asarray(getattr(np, name)(x)))
        for name in ROUNDED:
            near(np.asarray(getattr(ops, name)(x)), np.asarray(getattr(np, name)(x.astype(np.float64))))


@settings(max_examples=60, deadline=None)
@given(st.data(), SHAPES, st.sampled_from([FLOATS, SMALL]))
def test_functions_of_two_arrays_broadcast_as_numpys(data, shapes, elements):
    x, y = (data.draw(hnp.arrays(np.float32, shape, elements=elements)) for shape in shapes.input_shapes)
    with np.errstate(all="ignore"):
        for name in EXACT_OF_TWO:
            wanted = np.asarray(getattr(np, name)(x, y))
            if not (np.abs(wanted[wanted != 0]) < 2.0**-125).any():  # denormals are 0 here
                same(np.asarray(getattr(ops, name)(x, y)), wanted)
        for name in ROUNDED_OF_TWO:
            wanted = np.asarray(getattr(np, name)(x.astype(np.float64), y.astype(np.float64)))
            near(np.asarray(getattr(ops, name)(x, y)), wanted)
        both = np.isfinite(x) & np.isfinite(y)
        wanted = np.where(both, np.mod(x, y), 0)
        got = np.where(both, ops.mod(x, y), 0)
        if not (np.abs(wanted[wanted != 0]) < 2.0**-125).any():
            np.testing.assert_array_equal(got, wanted)


@settings(max_examples=60, deadline=None)
@given(st.data(), SHAPES)
def test_functions_of_integers_are_numpys(data, shapes):
    x, y = (data.draw(hnp.arrays(np.int32, shape, elements=INTEGERS)) for shape in shapes.input_shapes)
    with np.errstate(all="ignore"):
        for name in OF_INTEGERS:
            same(np.asarray(getattr(ops, name)(x, y)), np.asarray(getattr(np, name)(x, y)))
        same(ops.left_shift(x, y & 31), np.left_shift(x, y & 31))
        same(ops.right_shift(x, y & 31), np.right_shift(x, y & 31))
        same(ops.power(x, y & 15), np.power(x, y & 15))
        same(ops.bitwise_not(x), np.bitwise_not(x))


def test_zero_divisors_of_integers_give_zero():
    x = np.array([-7, 0, 7, -(2**31)], np.int32)
    for name in ("mod", "fmod", "floor_divide"):
        same(getattr(ops, name)(x, np.zeros(4, np.int32)), np.zeros(4, np.int32))
        same(getattr(ops, name)(x, np.full(4, -1, np.int32)), np.array(
            [7, 0, -7, -(2**31)] if name == "floor_divide" else [0] * 4, np.int32))  # fmt: skip


@pytest.mark.parametrize("exponent", [1, 2, 3, -1, 0.5, 2.0, -1.0])
def test_a_plain_exponent_has_its_own_bits_everywhere(exponent):
    """In arrays, traced and in a model: the product or root that the number stands for."""
    x = array(3, 7, low=0.1, high=5.0)
    wanted = {1: x, 2: x * x, 3: x * x * x, -1: 1 / x, 0.5: np.sqrt(x)}[exponent]
    same(ops.power(x, exponent), wanted)
    tensor = fastseq.Input((7,))
    same(fastseq.Model(tensor, tensor**exponent)(x), wanted)


def test_a_root_has_the_ends_of_a_power():
    x = np.array([-0.0, 0.0, -np.inf, np.inf, -1.0, np.nan], np.float32)
    got = ops.power(x, 0.5)
    same(got, np.array([0.0, 0.0, np.inf, np.inf, np.nan, np.nan], np.float32))
    assert not np.signbit(got[0])


def test_after_zero_comes_the_smallest_normal_number():
    got = ops.nextafter(np.array([0, -0.0, 1, 1], np.float32), np.array([1, -1, 2, 0], np.float32))
    same(got, np.array([2.0**-126, -(2.0**-126), 1 + 2.0**-23, 1 - 2.0**-24], np.float32))


def test_ldexp_does_not_overflow_on_the_way():
    x = np.array([2.0**-100, 2.0**100, 1.5, np.inf, -0.0], np.float32)
    same(ops.ldexp(x, np.array([220, -220, -3, -400, 400], np.int32)),
         np.array([2.0**120, 2.0**-120, 1.5 / 8, np.inf, -0.0], np.float32))  # fmt: skip


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        ("uint8", 0, 255),
        ("int8", -128, 127),
        ("uint32", 0, 2**31 - 128),
        ("int64", -(2**31), 2**31 - 128),
        ("bool", 0, 1),
    ],
)
def test_a_saturating_cast_stops_at_the_ends(dtype, low, high):
    got = ops.saturate_cast(np.array([-1e20, 1e20], np.float32), dtype)
    assert got.dtype == ("bool" if dtype == "bool" else "int32")
    assert got.tolist() == [low, high]


def test_pythons_operators_on_traced_integers_are_those_of_bits():
    """As on NumPy's arrays."""

    def call(x):
        flags = (x > 1) & ~(x > 5) | (x < -2)
        return (x & 6) + (x | 1) + (x ^ 3) + (~x << 1) - (+x >> 1) + np.invert(x) + np.where(flags, 1, 0)

    x = np.arange(-8, 8, dtype=np.int32).reshape(4, 4)
    p = Builder()
    slot = p.input((4, 4), "int32")
    program = Program(p, [slot], [call(Traced(p, slot)).slot])
    same(program.run([x])[0], call(x).astype(np.int32))


def test_what_is_refused():
    with pytest.raises(TypeError, match=r"ops\.gcd: it takes integers or booleans, not float32"):
        ops.gcd([1.5], [2])
    with pytest.raises(TypeError, match=r"ops\.ldexp: the exponents"):
        ops.ldexp([1.5], [2.0])
    with pytest.raises(ValueError, match=r"ops\.power: integers to the power -2"):
        ops.power([1, 2], -2)
    with pytest.raises(ValueError, match=r"ops\.round: decimals=400"):
        ops.round([1.5], 400)
    with pytest.raises(ValueError, match=r"ops\.select: .* 2 conditions and 1"):
        ops.select([[True], [False]], [[1.0]])
    with pytest.raises(ValueError, match=r"ops\.view: an array of dtype float32 cannot be seen as int8"):
        ops.view([1.0], "int8")
    with pytest.raises(fastseq.UnsupportedError, match=r"ops\.view_as_complex"):
        ops.view_as_complex([[1.0, 2.0]])


def _clip_in_a_layer(x):
    class Own(fastseq.Layer):
        def call(self, inputs):
            return inputs + ops.clip(inputs, np.ones((2, 5)), 1.0)

    return Own()(x)


@pytest.mark.parametrize("function", [
    lambda x: ops.add(x, np.ones((2, 5))), lambda x: ops.where(x, np.ones((2, 5)), 0.0),
    lambda x: ops.clip(x, np.ones((2, 5)), 1.0), lambda x: ops.isclose(np.ones((2, 5)), x), _clip_in_a_layer,
    lambda x: ops.average(x, weights=np.ones((2, 5))),
])  # fmt: skip
def test_shapes_that_do_not_broadcast_are_told_as_they_were_given(function):
    """Also where an operation inside finds out, and where a size is unknown, which is traced as a number."""
    words = r"ops\.\w+ takes arrays that broadcast to one shape, got shapes .*"
    with pytest.raises(ValueError, match=words) as found:
        function(np.ones((4, 3), np.float32))
    assert "(4, 3)" in str(found.value) and "(2, 5)" in str(found.value)
    assert str(pickle.loads(pickle.dumps(found.value))) == str(found.value)
    if function is not _clip_in_a_layer:
        with pytest.raises(ValueError, match=words) as found:
            function(fastseq.Input((3,)))
        assert "(None, 3)" in str(found.value) and "(2, 5)" in str(found.value)


def test_messages_show_no_number_for_an_unknown_size():
    with pytest.raises(ValueError, match=r"axis 5 is out of bounds for an array of shape \(None, None, 3\)"):
        ops.sum(fastseq.Input((None, 3)), axis=5)
    with pytest.raises(ValueError, match=r"shapes \(None, 3\), \(None, 5\) are not alike"):
        ops.concatenate([fastseq.Input((3,)), fastseq.Input((5,))], axis=0)


def test_streams_have_the_bits_of_the_whole_sequence():
    x = fastseq.Input((None, 3))
    h = fastseq.layers.GRU(3, return_sequences=True)(x)
    y = ops.logaddexp(ops.sin(h) ** 2, ops.clip(x, -0.5, 0.5)) % 0.7
    model = fastseq.Model(x, ops.where(ops.isfinite(y), ops.round(y, 2), 0.0))
    values = array(1, 9, 3)
    stream = Stream(model)
    steps = [stream.step(values[:, t]) for t in range(9)]
    same(np.stack(steps, 1), model(values))
