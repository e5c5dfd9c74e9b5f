"""The table of layers: a row says all that the tests know of one, and no layer may be without a row.

test_every_layer.py and test_every_layer_trains.py go over the names of `layers.REGISTRY` and take the row by `case_of`.
A row is written once for both libraries: `k` is `fastseq.layers` or `keras.layers`. Some families have their rows in
files of their own.
"""

import layer_cases_attention
import layer_cases_convolutional
import layer_cases_normalization
import layer_cases_pooling
import numpy as np
import pytest
from layer_rows import LAST, RATES, REFUSED, B, Case, N, T, cell, draw, last, one, states, stream_of, two

from fastseq.layers.core.dense import reference_dense

CASES = {
    "Activation": Case(one("Activation", "mish")),
    "ActivityRegularization": Case(one("ActivityRegularization", 0.1, 0.1)),
    "AlphaDropout": Case(one("AlphaDropout", 0.3)),
    "Bidirectional": Case(
        lambda k, x: k.Bidirectional(k.LSTM(4, return_sequences=True, **RATES))(x),
        "its backward half starts at the last timestep",
    ),
    "Concatenate": Case(two("Concatenate")),
    "Dense": Case(
        one("Dense", 4, activation="gelu"),
        known=((lambda k: k.Dense(21, use_bias=False), draw(7, 5), reference_dense),),
    ),
    "Dot": Case(two("Dot", axes=1), "it multiplies over the timesteps", mask=None),
    "Dropout": Case(one("Dropout", 0.3)),
    "ELU": Case(
        one("ELU"),
        options=(lambda k: k.ELU(), *(lambda k, alpha=alpha: k.ELU(alpha) for alpha in (0.3, 2, -1.0))),
        known=(
            (
                lambda k: k.ELU(2.0), [-np.log(2), 0.0, 3.0, np.inf, -np.inf, -1e-6, np.nan],
                [-1.0, 0.0, 3.0, np.inf, -2.0, -2e-6, np.nan],
            ),
        ),
    ),
    "EinsumDense": Case(one("EinsumDense", "abc,de->abde", (T, 2, 3)), mask=None),
    "Embedding": Case(lambda k, x: k.GRU(3, **RATES)(k.Embedding(9, 4, mask_zero=True)(x)), LAST, None, ids=True),
    "Flatten": Case(one("Flatten"), "it puts all timesteps into one row", None),
    "GRU": Case(
        one("GRU", 4, **RATES), LAST, None,
        streams=(
            lambda k: k.GRU(4, return_sequences=True), lambda k: k.GRU(5, return_sequences=True, reset_after=False),
            lambda k: k.GRU(4, "softmax", return_sequences=True, use_bias=False),
        ),
        raises=((lambda k: stream_of(k, k.GRU(4, go_backwards=True)), "it goes backwards, from the last timestep"),),
    ),
    "GRUCell": cell(lambda k, x: k.GRUCell(4, **RATES)(last(k, x), states(k, x, 4, 1))[0]),
    "GaussianDropout": Case(one("GaussianDropout", 0.3)),
    "GaussianNoise": Case(one("GaussianNoise", 0.3)),
    "Identity": Case(one("Identity")),
    "InputLayer": Case(lambda k, x: x, benchmark=None),
    "LSTM": Case(one("LSTM", 4, **RATES), LAST, None),
    "LSTMCell": cell(lambda k, x: k.LSTMCell(4, **RATES)(last(k, x), states(k, x, 4, 2))[0]),
    "LeakyReLU": Case(one("LeakyReLU")),
    "LocallyConnected1D": Case(
        one("LocallyConnected1D", 4, 2), "it has weights of its own for every timestep", None,
        raises=(
            (lambda k: k.LocallyConnected1D(4, 0), "`kernel_size` must be a positive integer, got 0"),
            (lambda k: k.LocallyConnected1D(4, 9)(draw(B, T, N)), r"needs at least kernel_size=9 timesteps"),
        ),
    ),
    "Masking": Case(lambda k, x: k.GRU(4, **RATES)(k.Masking()(x)), LAST, None),
    "PReLU": Case(
        one("PReLU"), "it has a weight for every timestep; shared_axes=\\[1\\] shares them",
        streams=(lambda k: k.PReLU(shared_axes=[1]),),
    ),
    "Permute": Case(one("Permute", (2, 1)), "it moves the time axis", None),
    "RNN": Case(lambda k, x: k.RNN([k.LSTMCell(3, **RATES), k.SimpleRNNCell(4, **RATES)])(x), LAST, None),
    "ReLU": Case(one("ReLU", 6.0, 0.1, 0.2)),
    "RepeatVector": Case(
        lambda k, x: k.RepeatVector(3)(last(k, x)), "it makes a new sequence out of each timestep", None
    ),
    "Reshape": Case(one("Reshape", (N, T)), "it may mix timesteps", None),
    "SimpleRNN": Case(one("SimpleRNN", 4, **RATES), LAST, None),
    "SimpleRNNCell": cell(lambda k, x: k.SimpleRNNCell(4, **RATES)(last(k, x), states(k, x, 4, 1))[0]),
    "Softmax": Case(one("Softmax"), mask=REFUSED),
    "SpatialDropout1D": Case(one("SpatialDropout1D", 0.3)),
    "StackedRNNCells": cell(
        lambda k, x: k.StackedRNNCells([k.GRUCell(4), k.LSTMCell(3, **RATES)])(
            last(k, x), [states(k, x, 4, 1), states(k, x, 3, 2)]
        )[0],
        LAST,
    ),
    "TimeDistributed": Case(
        lambda k, x: k.TimeDistributed(k.GRU(3, **RATES))(k.TimeDistributed(k.RepeatVector(2))(x)), mask=REFUSED
    ),
    **{name: Case(two(name)) for name in ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")},
    **layer_cases_attention.CASES,
    **layer_cases_convolutional.CASES,
    **layer_cases_normalization.CASES,
    **layer_cases_pooling.CASES,
}  # fmt: skip


def case_of(name):
    """The row of a layer; where there is none the test fails and says what to do."""
    if name not in CASES:
        pytest.fail(f"Layer {name} has no row in CASES of tests/support/layer_cases.py: add one.", pytrace=False)
    return CASES[name]


def rows_of(field):
    """(name of a layer, entry) for every entry of a field of all rows, as pytest's parameters."""
    return [
        pytest.param(name, entry, id=f"{name}-{i}")
        for name, case in sorted(CASES.items())
        for i, entry in enumerate(getattr(case, field))
    ]


def start_of(k, ids):
    """(a model's input, what the case gets of it)."""
    if ids:
        start = k.Input((T,), dtype="int32")
        return start, start
    start = k.Input((T, N))
    return start, k.Dense(N, activation="tanh")(start)


def inputs_of(ids):
    return np.arange(B * T, dtype="i4").reshape(B, T) % 9 if ids else draw(B, T, N)
