"""Backward through time, with its weight gradients: against central differences, GradientTape, and itself."""

import functools

import numpy as np
import pytest
from central_differences import WEIGHTS, differences
from layer_check import EPS, assert_as_close_as, isa, random_weights
from native_steps import RecurrentGradients
from recurrent_tests import mask_patterns

from fastseq import activations, layers
from fastseq.native import _native, runtime

OPERATIONS = {
    "lstm": lambda units, **o: layers.LSTM(units, **o),
    "gru": lambda units, **o: layers.GRU(units, **o),
    "gru_reset_before": lambda units, **o: layers.GRU(units, reset_after=False, **o),
    "simple_rnn": lambda units, **o: layers.SimpleRNN(units, **o),
}
PARTS = {"x": "dx", "kernel": "kernel", "recurrent": "recurrent", "bias": "bias", "h0": "dh0", "c0": "dc0"}
ELEMENTWISE = [
    "tanh", "sigmoid", "relu", "linear", "leaky_relu", "relu6", "elu", "selu", "celu", "softplus", "softsign",
    "squareplus", "soft_shrink", "hard_shrink", "sparse_plus", "silu", "gelu", "tanh_shrink",
    "sparse_sigmoid", "exponential", "hard_sigmoid", "hard_silu", "hard_tanh", "mish", "log_sigmoid",
]  # fmt: skip
SIZES = [
    (1, 1, 1, 1),
    (2, 3, 4, 5),
    (1, 9, 40, 64),
    (7, 12, 37, 100),
    (13, 5, 15, 16),
    (33, 4, 20, 17),
    (3, 40, 130, 48),
]


def shapes(operation, inputs, units):
    gates = {"lstm": 4, "simple_rnn": 1}.get(operation, 3)
    bias = (2, gates * units) if operation == "gru" else (gates * units,)
    return [(inputs, gates * units), (units, gates * units), bias]


def problem(operation, size, states=True, sequences=True, seed=0):
    """(weights, {x, h0, c0}, {dy, dhn, dcn}) of float32 random numbers."""
    batch, time, inputs, units = size
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.standard_normal(shape).astype("f")

    given, gradients = (
        {"x": draw(batch, time, inputs)},
        {"dy": draw(*((batch, time, units) if sequences else (batch, units)))},
    )
    if states:
        given["h0"], gradients["dhn"] = draw(batch, units), draw(batch, units)
        if operation == "lstm":
            given["c0"], gradients["dcn"] = draw(batch, units), draw(batch, units)
    return random_weights(shapes(operation, inputs, units), seed), given, gradients


def check_against_differences(
    operation, specs, sequences=True, states=True, mask=None, seed=0, tolerance=3e-6, scale=1.0, **options
):
    weights, given, gradients = problem(operation, (3, 5, 2, 3), states, sequences, seed)
    weights = [np.float32(scale) * array for array in weights]
    names = [spec[0] for spec in specs]
    keywords = {"activation": names[0]} if operation == "simple_rnn" else {
        "activation": names[0], "recurrent_activation": names[1]
    }  # fmt: skip
    layer = OPERATIONS[operation](3, **keywords)
    specs = [activations.native_spec(activations.get(name)) for name in names]
    chain = RecurrentGradients(operation, weights, specs, sequences=sequences, **options)
    values = {**given, **dict(zip(WEIGHTS, weights))}
    truth = differences(layer._reference_step, layer.state_count, values, gradients, mask, **options)
    for name in [name for name, _ in runtime_isas()]:
        with isa(name):
            found = chain(**given, **gradients, mask=mask)
        for part, array in truth.items():
            scale = max(1.0, np.abs(array).max())
            np.testing.assert_allclose(
                found[PARTS[part]], array, rtol=0, atol=tolerance * scale, err_msg=f"{operation} {part} on {name}"
            )


def runtime_isas():
    return [(name, present) for name, present in _native.isa_names() if present]


DEFAULTS = (("tanh",), ("sigmoid",))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("states", [True, False])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_differences(operation, sequences, states, go_backwards):
    check_against_differences(operation, DEFAULTS, sequences, states, go_backwards=go_backwards)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("zero_masked", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_differences_under_masks(operation, sequences, zero_masked, go_backwards, rng):
    for mask in mask_patterns(3, 5, rng).values():
        check_against_differences(
            operation, DEFAULTS, sequences, mask=mask, zero_masked=zero_masked, go_backwards=go_backwards
        )


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_differences_of_activations(operation, name):
    # Some activations let gates and states grow, and their gradients with them; powers of powers grow without end.
    options = {"tolerance": 2e-5, "scale": 0.2 if name == "exponential" else 1.0}
    check_against_differences(operation, ((name,), ("sigmoid",)), **options)
    if operation != "simple_rnn":
        check_against_differences(operation, (("tanh",), (name,)), **options)
        if name != "exponential":
            check_against_differences(operation, ((name,), (name,)), seed=1, tolerance=1e-4)


@pytest.mark.parametrize("name", ["linear", "tanh", "sigmoid", "relu", "exponential"])
def test_simple_rnn_without_a_trace(name):
    weights, given, gradients = problem("simple_rnn", (7, 6, 5, 20))
    specs = [activations.native_spec(activations.get(name)), ("linear", ())]
    with_trace = RecurrentGradients("simple_rnn", weights, specs)(**given, **gradients)
    found = RecurrentGradients("simple_rnn", weights, specs, traced=False)(**given, **gradients)
    for part in PARTS.values():
        if part in found:
            np.testing.assert_allclose(found[part], with_trace[part], rtol=1e-5, atol=1e-6)


@functools.lru_cache
def keras_gradients(operation, dtype, inputs, units, sequences, go_backwards, zero_masked, compiled):
    """A function of (weights, {x, h0, c0}, {dy, dhn, dcn}, mask) that gives the gradients by GradientTape in Keras.

    compiled: as a graph of TensorFlow, which takes half a second to make and little to run.
    """
    import tensorflow as tf
    from keras import layers as keras_layers

    options = {"return_sequences": sequences, "return_state": True, "go_backwards": go_backwards, "dtype": dtype}
    if zero_masked:
        options["zero_output_for_mask"] = True
    if operation == "lstm":
        layer = keras_layers.LSTM(units, **options)
    elif operation == "simple_rnn":
        layer = keras_layers.SimpleRNN(units, **options)
    else:
        layer = keras_layers.GRU(units, reset_after=operation == "gru", **options)
    layer.build((None, None, inputs))

    def taped(given, gradients, mask):
        initial = [given[name] for name in ("h0", "c0") if name in given] or None
        with tf.GradientTape() as tape:
            tape.watch(given)
            outputs = layer(given["x"], initial_state=initial, mask=mask)
            named = dict(zip(("dy", "dhn", "dcn"), outputs))
            total = sum(tf.reduce_sum(named[name] * array) for name, array in gradients.items())
        variables = {**given, **dict(zip(("kernel", "recurrent", "bias"), layer.trainable_variables))}
        return tape.gradient(total, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    taped = tf.function(taped, autograph=False) if compiled else taped

    def run(weights, given, gradients, mask):
        layer.set_weights(weights)
        given, gradients = (
            {name: tf.constant(array.astype(dtype)) for name, array in arrays.items()} for arrays in (given, gradients)
        )
        found = taped(given, gradients, None if mask is None else tf.constant(mask))
        return {PARTS[name]: gradient.numpy() for name, gradient in found.items()}

    return run


def compare_with_the_tape(operation, size, draws):
    """All gradients of `draws`, dicts of options, against the tape's.

    Errors of the forward pass come back through all steps, so one draw says little about who is closer: all of them are
    compared at once.
    """
    parts, compiled = {}, size[1] * len(draws) > 100
    for seed, options in enumerate(draws):
        options = {"mask": None, "sequences": True, "go_backwards": False, "zero_masked": False, **options}
        weights, given, gradients = problem(operation, size, options.pop("states", True), options["sequences"], seed)
        mask = options.pop("mask")
        keras32, truth = (
            keras_gradients(operation, dtype, *size[2:], **options, compiled=compiled)(weights, given, gradients, mask)
            for dtype in ("float32", "float64")
        )
        found = RecurrentGradients(operation, weights, **options)(**given, **gradients, mask=mask)
        for part, array in truth.items():
            parts.setdefault(part, []).append([values.ravel() for values in (found[part], keras32[part], array)])
    for part, arrays in parts.items():
        ours, theirs, exact = (np.concatenate(column) for column in zip(*arrays))
        assert_as_close_as(ours, theirs, exact, f"{operation} {size} {part}")


@pytest.mark.tensorflow
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_as_close_as_the_tape(operation, size, sequences):
    draws = 16 if np.prod(size) == 1 else 4
    compare_with_the_tape(operation, size, draws * [{"sequences": sequences}])


@pytest.mark.tensorflow
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("pattern", ["right", "left", "inside", "all masked"])
def test_as_close_as_the_tape_under_masks(operation, go_backwards, pattern, rng):
    options = {"mask": mask_patterns(9, 5, rng)[pattern], "go_backwards": go_backwards}
    draws = [{"sequences": sequences, "states": states} for sequences in (True, False) for states in (True, False)]
    compare_with_the_tape(operation, (9, 5, 10, 33), [{**options, **draw} for draw in [*draws, {"zero_masked": True}]])


def same(found, expected, parts=None):
    for part in parts or expected:
        if part != "trace":
            np.testing.assert_array_equal(found[part], expected[part], err_msg=part)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "size", [(1, 40, 30, 64), (2, 50, 20, 130), (5, 30, 64, 100), (61, 20, 17, 33), (9, 70, 96, 256)], ids=str
)
def test_same_bits_on_any_number_of_threads(operation, size, rng):
    weights, given, gradients = problem(operation, size)
    chain = RecurrentGradients(operation, weights)
    for mask in (None, mask_patterns(*size[:2], rng)["inside"]):
        expected = None
        for threads in (1, 2, 3):
            runtime.set_num_threads(threads)
            found = chain(**given, **gradients, mask=mask)
            same(found, expected := expected or found)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_row_has_the_same_bits_alone(operation, rng):
    size = (23, 8, 20, 50)
    weights, given, gradients = problem(operation, size)
    mask = mask_patterns(*size[:2], rng)["inside"]
    chain = RecurrentGradients(operation, weights)
    together = chain(**given, **gradients, mask=mask)
    for row in range(0, size[0], 4):
        one = {name: array[row : row + 1] for name, array in {**given, **gradients, "mask": mask}.items()}
        alone = chain(**{name: np.ascontiguousarray(array) for name, array in one.items()})
        for part in ("y", "dz", "dx", "dh0", "dc0"):
            if part in together:
                np.testing.assert_array_equal(alone[part][0], together[part][row], err_msg=part)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("size", [(1, 5, 7, 64), (9, 6, 20, 50), (40, 3, 33, 130)], ids=str)
def test_same_bits_on_every_isa_with_fma(operation, size, rng):
    weights, given, gradients = problem(operation, size)
    mask = mask_patterns(*size[:2], rng)["inside"]
    chain = RecurrentGradients(operation, weights)
    best = chain(**given, **gradients, mask=mask)
    for name, _ in runtime_isas():
        with isa(name):
            found = chain(**given, **gradients, mask=mask)
        if name != "scalar":
            same(found, best)
            continue
        for part in set(PARTS.values()) & set(best):
            scale = np.abs(best[part]).max()
            np.testing.assert_allclose(found[part], best[part], rtol=0, atol=100 * EPS * scale)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("size", [(1, 9, 5, 64), (5, 4, 20, 17), (37, 3, 8, 100)], ids=str)
def test_the_trace_changes_no_output(operation, size, rng):
    weights, given, gradients = problem(operation, size, states=False)
    layer = OPERATIONS[operation](size[3], return_sequences=True)
    layer.build(given["x"].shape)
    layer.set_weights(weights)
    mask = mask_patterns(*size[:2], rng)["left"]
    found = RecurrentGradients(operation, weights)(**given, **gradients, mask=mask)
    np.testing.assert_array_equal(found["y"], layer(given["x"], mask=mask))
    np.testing.assert_array_equal(found["states"], np.where(mask[..., None], found["y"], found["states"]))
    assert not np.any(found["dz"][~mask])
