"""The operations that training adds beside the recurrent ones: each against NumPy in float64, on every ISA."""

import numpy as np
import pytest
from layer_check import EPS
from native_steps import Steps, activation_fields, assert_near, draw, on_every_isa, run_step

from fastseq.native import _native
from fastseq.native.kinds import ACTIVATION_KINDS
from fastseq.program import packing

ISAS = [name for name, present in _native.isa_names() if present]


# ---- packing --------------------------------------------------------------------------------------------------------


def packed(matrix, fields):
    runs = []
    on_every_isa(lambda: run_step("pack", "y", (packing.packed_size(fields),), x=matrix, **fields), runs.append)
    return runs


@pytest.mark.parametrize("units", [1, 15, 16, 17, 64, 65, 100])
@pytest.mark.parametrize("rows", [1, 16, 37])
@pytest.mark.parametrize("gates", [1, 2, 3, 4])
def test_packed_as_python_packs(units, rows, gates):
    matrix = draw(rows, gates * units)
    expected = {"beside=1": packing.pack_gates(matrix, gates)}
    fields = {"beside=1": packing.pack_fields(rows, units, gates * units, gates=gates)}
    if gates < 3:
        beside = 4 // gates
        expected["groups"] = packing.pack_gate_groups(matrix, gates)
        fields["groups"] = packing.pack_fields(rows, units, gates * units, gates=gates, beside=beside, filled=True)
    if gates == 1:
        expected["dense"] = packing.pack_groups(matrix)
        fields["dense"] = packing.pack_fields(rows, units, units, beside=4)
    expected["transposed"] = packing.pack_groups(matrix.T)
    fields["transposed"] = packing.pack_fields(gates * units, rows, gates * units, beside=4, transposed=True)
    for name in fields:
        for found in packed(matrix, fields[name]):
            np.testing.assert_array_equal(found, expected[name].ravel(), err_msg=name)


@pytest.mark.parametrize("units", [5, 16, 70])
def test_packed_parts_of_a_matrix(units):
    """The recurrent kernel of a GRU that resets before: z and r, and the candidate, forward and transposed."""
    matrix = draw(units, 3 * units)
    fields = packing.pack_fields(units, units, 3 * units, gates=2, beside=2, filled=True)
    for found in packed(matrix, fields):
        np.testing.assert_array_equal(found, packing.pack_gate_groups(matrix[:, : 2 * units], 2).ravel())
    backward = packing.pack_recurrent_backward("gru_reset_before", matrix)
    fields = packing.pack_fields(2 * units, units, 3 * units, beside=4, transposed=True)
    for found in packed(matrix, fields):
        np.testing.assert_array_equal(found, backward["w_h"])
    fields = packing.pack_fields(units, units, 3 * units, beside=4, transposed=True)
    for found in packed(matrix.ravel()[2 * units :], fields):
        np.testing.assert_array_equal(found, backward["w_c"])


# ---- activations ----------------------------------------------------------------------------------------------------


PARAMETERS = {
    "relu": [(0.0, np.inf, 0.0), (0.3, np.inf, 0.0), (0.0, 1.5, 0.0), (0.2, 1.2, 0.4), (0.0, np.inf, 0.5)],
    "leaky_relu": [(0.2,)], "elu": [(0.7,)], "celu": [(1.3,)], "squareplus": [(4.0,)], "soft_shrink": [(0.5,)],
    "hard_shrink": [(0.5,)], "threshold": [(0.4, -1.0)],
}  # fmt: skip
ELEMENTWISE = [name for name, kind in ACTIVATION_KINDS.items() if kind < ACTIVATION_KINDS["softmax"]]


def activation(spec, x):
    return run_step("activation", "y", x.shape, x=x, count=x.size, **activation_fields("kind", "p", spec))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_activation(name):
    """Slopes against differences of the native activation itself, far from its kinks and in steps that keep digits."""
    x = np.linspace(-4, 4, 997).astype("f")
    dy = draw(x.size)
    for parameters in PARAMETERS.get(name, [()]):
        spec = name, parameters
        step = np.float32(2.0**-7)
        ends = [activation(spec, x + sign * step).astype("f8") for sign in (1, -1, 2, -2)]
        slopes = (8 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12 * np.float64(step))
        # Near a kink the difference looks at both of its sides.
        kinks = [k for p in parameters for k in (p, -p) if np.isfinite(p)] + [0, 1, -1, 2.5, -2.5, 3, -3, 6]
        far = np.min([np.abs(x - k) for k in kinks], axis=0) > 3 * step

        def run(spec=spec):
            return run_step(
                "activation_backward", "dx", x.shape, x=x, dy=dy, count=x.size, **activation_fields("kind", "p", spec)
            )

        def check(found, slopes=slopes, far=far):
            # The differences are of float32 values, whose rounding they take 128 times.
            atol = 4e-4 * max(1.0, np.abs(slopes).max() / 8)
            np.testing.assert_allclose(found[far], (dy * slopes)[far], rtol=0, atol=atol)

        on_every_isa(run, check)


@pytest.mark.parametrize("name", ["linear", "tanh", "sigmoid", "relu", "exponential"])
@pytest.mark.parametrize("count", [1, 15, 1000])
def test_activation_from_its_value(name, count):
    x, dy = draw(count), draw(count, seed=1)
    spec = name, ((0.0, np.inf, 0.0) if name == "relu" else ())
    fields = {"dy": dy, "count": count, **activation_fields("kind", "p", spec)}
    y = activation(spec, x)
    truth = run_step("activation_backward", "dx", x.shape, x=x, **fields)
    on_every_isa(
        lambda: run_step("activation_backward", "dx", x.shape, y=y, **fields),
        lambda found: np.testing.assert_allclose(found, truth, rtol=1e-5, atol=1e-7),
    )


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if name != "hard_sigmoid_keras2"])
def test_activation_as_the_tape(name):
    """With the kinks themselves: 0, 1, 3, 6 and the parameters are among the arguments."""
    import keras
    import tensorflow as tf

    x = np.concatenate([np.linspace(-8, 8, 1601), [-3, -2.5, -1, -0.5, 0, 0.5, 1, 1.5, 2.5, 3, 6, 0.4]]).astype("f")
    dy = draw(x.size)
    keras_name, fixed = ("gelu", {"approximate": True}) if name == "gelu_tanh" else (name, {})
    names = {
        "relu": ("negative_slope", "max_value", "threshold"), "leaky_relu": ("negative_slope",), "elu": ("alpha",),
        "celu": ("alpha",), "squareplus": ("b",), "soft_shrink": ("threshold",), "hard_shrink": ("threshold",),
        "threshold": ("threshold", "default_value"),
    }  # fmt: skip
    if name == "gelu":
        fixed = {"approximate": False}
    function = getattr(keras.activations, keras_name)
    for parameters in PARAMETERS.get(name, [()]):
        named = dict(zip(names.get(name, ()), [None if p == np.inf else p for p in parameters]))
        truth = []
        for dtype in ("float32", "float64"):
            given = tf.Variable(x.astype(dtype))
            with tf.GradientTape() as tape:
                y = function(given, **named, **fixed)
            truth.append(tape.gradient(y, given, output_gradients=tf.constant(dy.astype(dtype))).numpy())
        found = run_step(
            "activation_backward", "dx", x.shape, x=x, dy=dy, count=x.size,
            **activation_fields("kind", "p", (name, parameters)),
        )  # fmt: skip
        floor = 8 * EPS * np.abs(truth[1]).max()
        assert np.abs(found - truth[1]).max() <= max(1.5 * np.abs(truth[0] - truth[1]).max(), floor), parameters


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "glu"])
@pytest.mark.parametrize("size", [(1, 2, 1), (5, 8, 1), (3, 40, 7), (20, 300, 1)], ids=str)
def test_row_activation(name, size):
    outer, n, inner = size
    x = 2 * draw(*size)
    dy = draw(outer, n // 2 if name == "glu" else n, inner, seed=1)
    wide, weights = x.astype("f8"), dy.astype("f8")
    e = np.exp(wide - wide.max(1, keepdims=True))
    y = e / e.sum(1, keepdims=True)
    if name == "softmax":
        truth = y * (weights - (weights * y).sum(1, keepdims=True))
    elif name == "log_softmax":
        truth = weights - y * weights.sum(1, keepdims=True)
        y = np.log(y)
    else:
        left, right = np.split(wide, 2, axis=1)
        gate = 1 / (1 + np.exp(-right))
        truth = np.concatenate([weights * gate, weights * left * gate * (1 - gate)], axis=1)
    given = {"x": x} if name == "glu" else {"y": y.astype("f")}

    def run():
        return run_step(
            "row_activation_backward", "dx", x.shape, dy=dy, outer=outer, n=n, inner=inner,
            kind=ACTIVATION_KINDS[name], **given,
        )  # fmt: skip

    on_every_isa(run, lambda found: assert_near(found, truth, 9, max(1.0, np.abs(truth).max())))


# ---- look-ups, sums, norms ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 16, 37, 128])
@pytest.mark.parametrize("count", [0, 1, 500, 4000])
@pytest.mark.parametrize("accumulate", [0, 1])
def test_embedding(width, count, accumulate, rng):
    rows = 23
    ids, dy, start = rng.integers(0, rows - 1, count).astype("i4"), draw(count, width), draw(rows, width, seed=1)
    truth = accumulate * start.astype("f4")
    one_by_one = truth.copy()
    for at, row in zip(ids, dy):
        one_by_one[at] += row
    fields = {"ids": ids, "dy": dy, "count": count, "width": width, "rows": rows, "accumulate": accumulate}
    on_every_isa(
        lambda: run_step("embedding_backward", "d_table", (rows, width), start, **fields),
        lambda found: np.testing.assert_array_equal(found, one_by_one),
    )


KEPT = {
    "none": slice(0), "first": slice(1), "last": slice(-1, None), "odd": slice(1, None, 2), "even": slice(0, None, 2),
    "all": slice(3),
}  # fmt: skip


def kept_axes():
    """Shapes and which of their axes stay: at most three stay, and at most three are summed."""
    for shape in ((7,), (3, 5), (4, 6, 300), (2, 3, 4, 5), (3, 2, 5, 2, 40), (2, 1000, 3)):
        axes = range(len(shape))
        for name, chosen in KEPT.items():
            stay = list(axes[chosen])
            if len(axes) - 3 <= len(stay) <= 3:
                yield pytest.param(shape, stay, id=f"{shape}-{name}")


@pytest.mark.parametrize(("shape", "stay"), [*kept_axes()])
@pytest.mark.parametrize("accumulate", [0, 1])
def test_reduce_sum(shape, stay, accumulate):
    axes = list(range(len(shape)))
    summed = [axis for axis in axes if axis not in stay]
    x = draw(*shape)
    strides = [stride // 4 for stride in x.strides]
    fields = {}
    for letter, chosen in (("k", stay), ("r", summed)):
        chosen = [None] * (3 - len(chosen)) + chosen
        for i, axis in enumerate(chosen):
            fields[f"{letter}{i}"] = 1 if axis is None else shape[axis]
            fields[f"x{letter}{i}"] = 0 if axis is None else strides[axis]
    size = tuple(shape[axis] for axis in stay)
    start = draw(*size, seed=1) if size else draw(1, seed=1)[0].reshape(())
    truth = x.sum(tuple(summed), dtype="f8") + accumulate * start.astype("f8")
    terms = np.prod([shape[axis] for axis in summed], initial=1)
    on_every_isa(
        lambda: run_step("reduce_sum", "y", size, start, x=x, accumulate=accumulate, **fields),
        lambda found: assert_near(found, truth, 9, max(1.0, np.sqrt(terms))),
    )


def test_reduce_sum_of_many_rows_keeps_its_digits():
    x = np.full((20000, 40), 0.1, "f")
    found = run_step("reduce_sum", "y", (40,), x=x, k0=1, k1=1, k2=40, xk2=1, r0=1, r1=1, r2=20000, xr2=40)
    np.testing.assert_allclose(found, x.sum(0, dtype="f8"), rtol=4e-6)


@pytest.mark.parametrize("size", [(1, 1, 1), (4, 30, 1), (3, 17, 6)], ids=str)
def test_normalize(size):
    outer, n, inner = size
    x, dy = draw(*size), draw(*size, seed=1)
    x[0] *= 1e-4  # below epsilon the scale is constant
    wide, epsilon = x.astype("f8"), np.float64(np.float32(1e-4))
    squares = (wide**2).sum(1, keepdims=True)
    scale = 1 / np.sqrt(np.maximum(squares, epsilon))
    slope = np.where(squares < epsilon, 0, (wide * dy).sum(1, keepdims=True) * scale**3)
    truth = scale * dy - slope * wide
    fields = {"x": x, "dy": dy, "outer": outer, "n": n, "inner": inner, "epsilon": 1e-4}
    on_every_isa(lambda: run_step("normalize_backward", "dx", size, **fields), lambda found: assert_near(found, truth))


@pytest.mark.parametrize("kind, truth", [("at_least", np.greater_equal), ("above", np.greater)])
def test_sides_of_a_maximum(kind, truth):
    a, b = np.round(draw(6, 37)), np.round(draw(37, seed=1))

    def run():
        steps = Steps()
        found = steps.builder.binary(kind, steps.builder.constant(a), steps.builder.constant(b))
        steps.wanted["found"] = found
        return steps.run()["found"]

    on_every_isa(run, lambda found: np.testing.assert_array_equal(found, truth(a, b).astype("f")))
