"""The general recurrent kernel's backward pass: dropout of the state, dropout by gate, activations over a row."""

import numpy as np
import pytest
from general_gradients import differences, general_gradients
from layer_check import EPS, isa, random_weights
from recurrent_tests import mask_patterns

from fastseq import layers
from fastseq.native import runtime

CELLS = {
    "lstm": (layers.LSTM, {}, 4), "gru": (layers.GRU, {}, 3),
    "gru_reset_before": (layers.GRU, {"reset_after": False}, 3), "simple_rnn": (layers.SimpleRNN, {}, 1),
}  # fmt: skip
# What makes a layer take the general kernel, as arguments.
KINDS = {
    "state": {"recurrent_dropout": 0.4},
    "inputs": {"dropout": 0.4, "implementation": 1},
    "both": {"dropout": 0.3, "recurrent_dropout": 0.4},
    "softmax": {"activation": "softmax"},
}


def problem(cell, size, kind, states=True, sequences=True, seed=0, **options):
    """(built layer, values, gradients, dropout factors)."""
    batch, time, inputs, units = size
    make, own, gates = CELLS[cell]
    rng = np.random.default_rng(seed)
    layer = make(units, **own, **KINDS.get(kind, {}), **options)
    layer.build((batch, time, inputs))
    layer.set_weights(random_weights([weight.shape for weight in layer.weights], seed))

    def draw(*shape):
        return rng.standard_normal(shape).astype("f")

    def factors(rate, width):
        return ((rng.random((gates, batch, width)) >= rate) / (1 - rate)).astype("f")

    values = {"x": draw(batch, time, inputs)}
    gradients = {"dy": draw(*((batch, time, units) if sequences else (batch, units)))}
    if states:
        values["h0"], gradients["dhn"] = draw(batch, units), draw(batch, units)
        if cell == "lstm":
            values["c0"], gradients["dcn"] = draw(batch, units), draw(batch, units)
    given = {"dropout": factors(layer.dropout, inputs), "recurrent_dropout": factors(layer.recurrent_dropout, units)}
    return layer, values, gradients, given


def isas():
    return runtime.available_isas()


def goes_general(cell, kind):
    """SimpleRNN multiplies its inputs ahead of the walk and runs on its own kernel."""
    return not (cell == "simple_rnn" and kind == "inputs")


def check_against_differences(cell, kind, tolerance=3e-6, states=True, sequences=True, seed=0, options=(), **walk):
    layer, values, gradients, factors = problem(cell, (3, 5, 2, 3), kind, states, sequences, seed, **dict(options))
    used = {name: array for name, array in factors.items() if getattr(layer, name)}
    truth = differences(layer, values, gradients, used, **walk)
    for name in isas():
        with isa(name):
            _, found = general_gradients(layer, values, gradients, factors, **walk)
        for part, array in truth.items():
            scale = max(1.0, np.abs(array).max())
            np.testing.assert_allclose(
                found[part], array, rtol=0, atol=tolerance * scale, err_msg=f"{cell} {kind} {part} on {name}"
            )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("states", [True, False])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_differences(cell, kind, sequences, states, go_backwards):
    if goes_general(cell, kind):
        check_against_differences(cell, kind, states=states, sequences=sequences, go_backwards=go_backwards)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", ["both", "softmax"])
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("zero_masked", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_differences_under_masks(cell, kind, sequences, zero_masked, go_backwards, rng):
    patterns = list(mask_patterns(3, 5, rng).values())
    for number, mask in enumerate(patterns[(sequences + go_backwards) % 2 :: 2]):
        check_against_differences(
            cell, kind, states=number % 2 == 0, sequences=sequences, mask=mask, zero_masked=zero_masked,
            go_backwards=go_backwards,
        )  # fmt: skip


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", [
    "softmax", "log_softmax", "relu", "linear", "sigmoid", "softsign", "gelu", "hard_sigmoid", "leaky_relu",
])  # fmt: skip
def test_differences_of_activations(cell, name):
    # Some activations let states grow, and their gradients with them.
    check_against_differences(cell, "both", 1e-4, options={"activation": name})
    if cell != "simple_rnn" and name != "log_softmax":
        check_against_differences(cell, "both", 1e-4, options={"recurrent_activation": name})


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 20, 7, 64), (5, 9, 20, 17), (61, 6, 17, 33), (9, 8, 40, 130)], ids=str)
def test_same_bits_on_threads_and_instruction_sets(cell, kind, size, rng):
    if not goes_general(cell, kind):
        return
    layer, values, gradients, factors = problem(cell, size, kind)
    mask = mask_patterns(*size[:2], rng)["inside"]
    expected = None
    for name in isas():
        for threads in (1, 2, 3):
            with isa(name), runtime.num_threads(threads):
                _, found = general_gradients(layer, values, gradients, factors, mask=mask)
            if name == "scalar":
                continue
            expected = expected or found
            for part, array in expected.items():
                np.testing.assert_array_equal(found[part], array, err_msg=f"{part}, {name}, {threads} threads")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", ["both", "softmax"])
def test_scalar_is_near_the_others(cell, kind):
    layer, values, gradients, factors = problem(cell, (9, 6, 20, 50), kind)
    _, best = general_gradients(layer, values, gradients, factors)
    with isa("scalar"):
        _, found = general_gradients(layer, values, gradients, factors)
    for part, array in best.items():
        np.testing.assert_allclose(found[part], array, rtol=0, atol=200 * EPS * np.abs(array).max())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", ["both", "softmax"])
def test_a_row_has_the_same_bits_alone(cell, kind, rng):
    size = (23, 8, 20, 50)
    layer, values, gradients, factors = problem(cell, size, kind)
    mask = mask_patterns(*size[:2], rng)["inside"]
    _, together = general_gradients(layer, values, gradients, factors, mask=mask)
    for row in range(0, size[0], 4):

        def one(arrays, row=row):
            return {name: np.ascontiguousarray(array[row : row + 1]) for name, array in arrays.items()}

        own = {name: np.ascontiguousarray(array[:, row : row + 1]) for name, array in factors.items()}
        _, alone = general_gradients(layer, one(values), one(gradients), own, mask=mask[row : row + 1])
        for part in values:
            np.testing.assert_array_equal(alone[part][0], together[part][row], err_msg=part)


@pytest.mark.parametrize("cell", CELLS)
def test_the_trace_changes_no_output(cell):
    """A forward pass that keeps a trace gives what one without it gives."""
    layer, values, gradients, factors = problem(cell, (5, 6, 7, 20), "softmax", states=False)
    outputs, _ = general_gradients(layer, values, gradients, factors)
    layer.return_sequences = True
    np.testing.assert_array_equal(outputs[0], layer(values["x"]))


@pytest.mark.parametrize("cell", CELLS)
def test_agrees_with_the_kernel_of_its_own(cell):
    """Factors of one are no dropout: the gradients are those of the layer's own kernels."""
    layer, values, gradients, _ = problem(cell, (7, 9, 10, 33), "state")
    ones = {"recurrent_dropout": np.ones((layer.gates, 7, 33), "f")}
    _, found = general_gradients(layer, values, gradients, ones)
    truth = own_kernel(cell, layer, values, gradients)
    for part, array in truth.items():
        np.testing.assert_allclose(found[part], array, rtol=0, atol=100 * EPS * np.abs(array).max(), err_msg=part)


def own_kernel(cell, layer, values, gradients):
    from native_steps import RecurrentGradients

    found = RecurrentGradients(cell, layer.get_weights())(**values, **gradients)
    names = {"x": "dx", "h0": "dh0", "c0": "dc0", "kernel": "kernel", "recurrent": "recurrent", "bias": "bias"}
    return {part: found[name] for part, name in names.items() if name in found}
