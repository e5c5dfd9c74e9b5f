"""The functions of simd/simd_functions.h: bits on every instruction set, errors, special values."""

import ast
import os
import platform
import shutil
import subprocess

import numpy as np
import pytest
from places import ROOT, TESTS
from scipy import special as scipy_special

SOURCE = TESTS / "simd_functions.c"
COMPILER = os.environ.get("CC", "cc").split()[0]
CROSS_COMPILER, EMULATOR, CROSS_ROOT = "aarch64-linux-gnu-gcc", "qemu-aarch64", "/usr/aarch64-linux-gnu"
X86 = platform.machine().lower() in ("x86_64", "amd64")
ARM64 = platform.machine().lower() in ("aarch64", "arm64")
SMALLEST = np.float32(2.0**-126)
# These fuse multiplications and additions where the CPU can, so `scalar` may differ in the last bits.
FUSED = {"exp", "expm1", "log", "log1p", "tanh", "sigmoid", "softplus", "erf"}
# In ulps. Half of one is the rounding to float.
MOST, MOST_FUSED, MOST_OTHERS = 0.52, 2.6, {"rsqrt": 1.5}

pytestmark = pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"{COMPILER} is not installed")


def setup_flags():
    """COMMON and ISA_FLAGS as setup.py has them, read without running it."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id in ("COMMON", "ISA_FLAGS"):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found["COMMON"], found["ISA_FLAGS"]


class Functions:
    """The functions on one instruction set: a compiled program, in an emulator where the CPU is another one."""

    def __init__(self, isa, folder):
        common, isa_flags = setup_flags()
        foreign = isa == "neon" and not ARM64
        program = folder / f"simd_functions_{isa}"
        command = [CROSS_COMPILER if foreign else COMPILER, *common, *isa_flags[isa], f"-I{ROOT / 'src_c'}"]
        command += [f"-DWORDS=<simd/simd_{isa}.h>", SOURCE, "-lm", "-o", program]
        subprocess.run([str(part) for part in command], check=True, timeout=600)
        self.command = [*([EMULATOR, "-L", CROSS_ROOT] if foreign else []), str(program)]
        done = subprocess.run(self.command, capture_output=True, timeout=100, check=False)
        if done.returncode == 2:
            pytest.skip(f"this CPU has no {isa}")
        assert done.returncode == 0
        self.names = [tuple(line.split()) for line in done.stdout.decode().splitlines()]

    def __call__(self, kind, name, *arguments):
        """The function of arrays of one size, float32 or int32; its NaNs are as the CPU made them."""
        data = b"".join(array.tobytes() for array in arguments)
        done = subprocess.run([*self.command, kind, name], input=data, capture_output=True, timeout=100, check=True)
        result = np.frombuffer(done.stdout, arguments[0].dtype)
        assert result.shape == arguments[0].shape
        return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("simd_functions")


@pytest.fixture(scope="module")
def scalar(folder):
    return Functions("scalar", folder)


@pytest.fixture(scope="module")
def fastest(folder, scalar):
    """Of an instruction set with FMA, if this machine has one."""
    for isa in ["avx2"] * X86 + ["neon"] * ARM64:
        try:
            return Functions(isa, folder)
        except pytest.skip.Exception:
            pass
    return scalar


def uniform(low, high, count=20_000):
    return np.random.default_rng(0).uniform(low, high, count)


def spread(low=-126, high=128, count=20_000):
    """Numbers of both signs, as many of each exponent of 2 in [low, high)."""
    random = np.random.default_rng(1)
    return 2.0 ** random.uniform(low, high, count) * random.choice([-1, 1], count)


SPECIAL = np.array([0, 1, 0.5, 2, 2.5, 3, 0.1, 16777215, 16777216, 8388609, 1e30, 3e38, 1.5e-38, 100, np.inf, np.nan])
SPECIAL = np.concatenate([SPECIAL, -SPECIAL, [2.0**-126, np.pi, np.pi / 2]])


def flushed(array):
    """As float32; denormals are zeros, as kernels take them."""
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    return np.where(np.abs(array) < SMALLEST, np.copysign(np.float32(0), array), array)


def as_floats(*parts):
    """One array, special values behind."""
    return flushed(np.concatenate([*parts, SPECIAL]))


def as_pairs(*pairs):
    """Two arrays, every pair of special values behind."""
    grid = [array.ravel() for array in np.meshgrid(SPECIAL, SPECIAL)]
    return tuple(flushed(np.concatenate([*(pair[side] for pair in pairs), grid[side]])) for side in (0, 1))


def near_one(low=-24, high=-1):
    return 1 + spread(low, high)


INSIDE = (uniform(-1, 1), spread(-126, 0.1), near_one(-24, 0), -near_one(-24, 0))
ANGLES = (uniform(-10, 10), uniform(-2e6, 2e6), spread(), np.pi / 2 * np.arange(-3000, 3000))
ANGLES += (np.pi / 2 * np.arange(0, 667_000, 47),)  # up to 2^20, beyond which angles are reduced otherwise
POSITIVE = (uniform(0, 3), np.abs(spread()), near_one())
MIDDLE = (uniform(-5, 5), uniform(-110, 110), spread())
PARTS = (uniform(-30, 30), spread(), np.arange(-40, 40) / 2, 2.0**23 + np.arange(-9, 9) / 2)


def with_sign_of_zero(function):
    """scipy.special drops the sign of -0 in odd functions."""
    return lambda x: np.copysign(function(x), x)


def sinc(x):
    """The parity of the nearest integer is the sign; the sine of pi x itself would be that of a rounded product."""
    whole = np.rint(x)
    sign = np.where(np.abs(whole) % 2 == 1, -1.0, 1.0)
    return np.where(x == 0, 1, sign * np.sin(np.pi * (x - whole)) / (np.pi * x))


# What each function is in float64, and on what arguments it is measured.
UNARY = {
    "abs": (np.abs, PARTS), "neg": (np.negative, PARTS), "sqrt": (np.sqrt, POSITIVE),
    "exp": (np.exp, MIDDLE), "expm1": (np.expm1, MIDDLE), "log": (np.log, POSITIVE),
    "log1p": (np.log1p, (*INSIDE, *POSITIVE)), "tanh": (np.tanh, MIDDLE),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), MIDDLE), "softplus": (lambda x: np.logaddexp(x, 0), MIDDLE),
    "erf": (with_sign_of_zero(scipy_special.erf), MIDDLE),
    "sin": (np.sin, ANGLES), "cos": (np.cos, ANGLES), "tan": (np.tan, ANGLES),
    "sinc": (sinc, (*MIDDLE, *PARTS)),
    "asin": (np.arcsin, INSIDE), "acos": (np.arccos, INSIDE), "atan": (np.arctan, MIDDLE),
    "sinh": (np.sinh, MIDDLE), "cosh": (np.cosh, MIDDLE), "asinh": (np.arcsinh, MIDDLE),
    "acosh": (np.arccosh, (uniform(1, 5), 1 + np.abs(spread(-24, 5)), *POSITIVE)), "atanh": (np.arctanh, INSIDE),
    "exp2": (np.exp2, (*MIDDLE, np.arange(-130, 130))), "log2": (np.log2, POSITIVE), "log10": (np.log10, POSITIVE),
    "cbrt": (np.cbrt, MIDDLE), "rsqrt": (lambda x: 1 / np.sqrt(x), POSITIVE),
    "erfc": (scipy_special.erfc, (*MIDDLE, uniform(-11, 11))),
    "erfinv": (with_sign_of_zero(scipy_special.erfinv), INSIDE),
    "i0": (lambda x: np.where(np.isinf(x), np.inf, scipy_special.i0(x)), MIDDLE),
    "i1": (lambda x: np.where((x == 0) | np.isinf(x), x, scipy_special.i1(x)), MIDDLE),
    "floor": (np.floor, PARTS), "ceil": (np.ceil, PARTS), "trunc": (np.trunc, PARTS), "round": (np.rint, PARTS),
    "sign": (np.sign, PARTS),
}  # fmt: skip
SOME = (uniform(-5, 5), uniform(-5, 5)[::-1])
ANY = (spread(), spread()[::-1])
WHOLE = (np.arange(20_000) % 199 - 99, np.arange(20_000) % 19 - 9)
BINARY = {
    "atan2": (np.arctan2, (SOME, ANY)),
    "pow": (
        np.power,
        (SOME, ANY, WHOLE, (uniform(0, 5), uniform(-20, 20)[::-1]), (near_one(), spread(-2, 30)), (ANY[0], SOME[1])),
    ),
    "fmod": (np.fmod, (SOME, ANY, WHOLE)),
    "mod": (np.remainder, (SOME, ANY, WHOLE)),
    "floor_divide": (np.floor_divide, (SOME, ANY, WHOLE)),
    "logaddexp": (np.logaddexp, (SOME, ANY, (uniform(0, 50), uniform(-50, 50)[::-1]))),
    "logaddexp2": (np.logaddexp2, (SOME, ANY, (uniform(0, 50), uniform(-50, 50)[::-1]))),
    "hypot": (np.hypot, (SOME, ANY)),
    "heaviside": (np.heaviside, (SOME, ANY, WHOLE)),
    "nextafter": (np.nextafter, (SOME, ANY)),
}
# Equal to NumPy's function of float32, bit by bit.
OF_FLOAT32 = {"floor_divide", "nextafter"}
FUNCTIONS = {("unary", name): row for name, row in UNARY.items()} | {
    ("binary", name): row for name, row in BINARY.items()
}
WHOLES = np.array([0, 1, -1, 2, -2, 3, 7, -7, 31, 32, -31, 46341, 65536, 2**31 - 1, -(2**31), 2**31 - 2], np.int64)
INT_UNARY = {
    "negative": np.negative, "abs": np.abs, "sign": np.sign, "bitwise_not": np.invert, "square": np.square,
}  # fmt: skip
INT_BINARY = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "minimum": np.minimum, "maximum": np.maximum,
    "floor_divide": np.floor_divide, "mod": np.remainder, "fmod": np.fmod, "power": np.power,
    "gcd": np.gcd, "lcm": np.lcm,
    "bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or, "bitwise_xor": np.bitwise_xor,
    "left_shift": np.left_shift, "right_shift": np.right_shift,
}  # fmt: skip


def arguments_of(case):
    return (as_floats(*FUNCTIONS[case][1]),) if case[0] == "unary" else as_pairs(*FUNCTIONS[case][1])


def integers_of(kind):
    random = np.random.default_rng(2).integers(-(2**31), 2**31, (2, 4000))
    small = np.random.default_rng(3).integers(-40, 40, (2, 4000))
    mixed = np.concatenate([random, small, [random[0], small[0]], [g.ravel() for g in np.meshgrid(WHOLES, WHOLES)]], 1)
    return tuple(mixed.astype(np.int32)[: 1 if kind == "int_unary" else 2])


def truth(case, arguments):
    """NumPy's answer in float64, of float64 arguments but for OF_FLOAT32."""
    function = FUNCTIONS[case][0]
    with np.errstate(all="ignore"):
        if case[1] in OF_FLOAT32:
            return function(*arguments).astype(float)
        return function(*(array.astype(float) for array in arguments))


def ulps(found, true):
    """The error of each float32 in units of its last place; infinite where one is NaN or infinite and should not be."""
    size = np.abs(true)
    overflows = size >= float(np.finfo(np.float32).max) * (1 + 2.0**-25)
    with np.errstate(all="ignore"):
        place = np.maximum(np.floor(np.log2(np.where(size > 0, size, 1))), -126) - 23
        error = np.abs(found.astype(float) - true) * 2.0**-place
        error[overflows] = np.where(found[overflows] == np.sign(true[overflows]) * np.inf, 0, np.inf)
    error[np.isnan(true)] = np.where(np.isnan(found[np.isnan(true)]), 0, np.inf)
    error[np.isnan(found) & ~np.isnan(true)] = np.inf
    # A denormal result is a zero; one that a fraction of an ulp makes the smallest normal number may be that.
    small = size < SMALLEST
    error[small] = np.where(np.abs(found[small]) <= SMALLEST, 0, np.inf)
    return error


def bits(array):
    """Every NaN alike: a kernel passes its results through v_one_nan."""
    return np.where(np.isnan(array), np.float32(np.nan), array).view(np.uint32) if array.dtype == np.float32 else array


def test_every_function_is_tested(scalar):
    tested = [*FUNCTIONS, *(("int_unary", name) for name in INT_UNARY), *(("int_binary", name) for name in INT_BINARY)]
    assert sorted(scalar.names) == sorted(tested)


@pytest.mark.parametrize("isa", ["avx2", "avx512", pytest.param("neon", marks=pytest.mark.slow("runs in an emulator"))])
def test_bits_are_the_same_on_every_instruction_set(isa, folder, scalar, fastest):
    if not ARM64 and (isa == "neon" or not X86):
        for program in (CROSS_COMPILER, EMULATOR):
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not installed")
    if ARM64 and isa != "neon":
        pytest.skip(f"this CPU has no {isa}")
    functions = Functions(isa, folder)
    assert functions.names == scalar.names
    different = []
    for kind, name in scalar.names:
        arguments = integers_of(kind) if kind.startswith("int") else arguments_of((kind, name))
        expected = (fastest if name in FUSED else scalar)(kind, name, *arguments)
        if (bits(functions(kind, name, *arguments)) != bits(expected)).any():
            different.append(name)
    assert different == []


@pytest.mark.parametrize("case", FUNCTIONS, ids="-".join)
def test_error_and_special_values(case, fastest):
    arguments = arguments_of(case)
    found, true = fastest(*case, *arguments), truth(case, arguments)
    error = ulps(found, true)
    worst = int(error.argmax())
    most = MOST_FUSED if case[1] in FUSED else 0 if case[1] in OF_FLOAT32 else MOST_OTHERS.get(case[1], MOST)
    assert error[worst] <= most, ([array[worst] for array in arguments], found[worst], true[worst])
    zero = (found == 0) & (true == 0)
    wrong = zero & (np.signbit(found) != np.signbit(true))
    assert not wrong.any(), [array[wrong][0] for array in arguments]


def test_a_log_of_a_sum_near_one_is_as_near_to_zero_as_it_should_be(scalar):
    """ln(e^x + e^y) with y = ln(1 - e^x): the error beside the rounding of the result is below 4e-16."""
    x = -np.abs(spread(-20, -1)).astype(np.float32)
    y = np.log(-np.expm1(x.astype(float))).astype(np.float32)
    true = np.log1p(np.expm1(x.astype(float)) + np.exp(y.astype(float)))
    error = np.abs(scalar("binary", "logaddexp", x, y) - true)
    assert np.abs(true).max() < 1e-6
    assert (error <= 4e-16 + 2.0**-24 * np.abs(true)).all()


def test_no_angle_is_too_large(scalar):
    """Beside values computed with 200 digits. The first is the float nearest to a multiple of pi / 2 of all."""
    x = np.float32([16367173 * 2.0**72, np.finfo(np.float32).max, 1e30, 1e10, 2.0**20, 2.0**20 + 0.125])
    sines = [1.0, -0.5218765233336585, -0.7911634385219837, -0.4875060250875107, 0.3304931400217347, 0.4455835824412472]
    cosines = [-1.6147697982476211e-09, 0.8530210398303042, -0.6116047854178966, 0.873119622676856]
    cosines += [0.943808393901312, 0.895240342622485]
    for sign in (1, -1):
        np.testing.assert_array_equal(scalar("unary", "sin", sign * x), np.float32(sines) * np.float32(sign))
        np.testing.assert_array_equal(scalar("unary", "cos", sign * x), np.float32(cosines))
        tangents = sign * np.array(sines) / cosines
        np.testing.assert_array_equal(scalar("unary", "tan", sign * x), tangents.astype(np.float32))


OF_KERAS = {"neg": "negative", "pow": "power", "atan2": "arctan2"} | {
    name: f"arc{name[1:]}" for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh")
}


@pytest.mark.tensorflow
@pytest.mark.parametrize("case", [case for case in FUNCTIONS if case[1] != "i1"], ids="-".join)
def test_error_beside_keras(case, fastest):
    """At most 1.5 times that of Keras on TensorFlow in float32, where both and the truth are numbers."""
    ops = pytest.importorskip("keras").ops
    arguments = arguments_of(case)
    keras = np.array(getattr(ops, OF_KERAS.get(case[1], case[1]))(*map(ops.convert_to_tensor, arguments)))
    errors = [ulps(found, truth(case, arguments)) for found in (fastest(*case, *arguments), keras)]
    both = np.isfinite(errors[0]) & np.isfinite(errors[1])
    assert both.sum() > 0.8 * both.size
    assert errors[0][both].max() <= 1.5 * errors[1][both].max()


@pytest.mark.parametrize("name", INT_UNARY)
def test_integers(name, scalar):
    (x,) = integers_of("int_unary")
    np.testing.assert_array_equal(scalar("int_unary", name, x), INT_UNARY[name](x))


@pytest.mark.parametrize("name", INT_BINARY)
def test_pairs_of_integers(name, scalar):
    x, y = integers_of("int_binary")
    if name == "power":  # NumPy refuses the others
        assert list(scalar("int_binary", name, np.int32([1, -1, -1, 2, 0]), np.int32([-3, -3, -2, -1, -1]))) == [
            1, -1, 1, 0, 0,
        ]  # fmt: skip
        x, y = x[y >= 0], y[y >= 0]
    with np.errstate(all="ignore"):
        expected = INT_BINARY[name](x, y)
    np.testing.assert_array_equal(scalar("int_binary", name, x, y), expected)
