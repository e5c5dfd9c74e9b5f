"""Gradients of models with dropout inside their cells, and with activations over a row, against Keras's GradientTape.

Keras's random factors and ours differ, so both libraries are given the same.
"""

import numpy as np
import pytest
from gradient_check import check_gradients

import fastseq
from fastseq import layers
from fastseq.layers.recurrent.gates import Gates
from fastseq.training.program import gradients_of

keras = pytest.importorskip("keras")
CELLS = {
    "lstm": ("LSTM", {"use_cudnn": False}), "gru": ("GRU", {"use_cudnn": False}),
    "gru_before": ("GRU", {"reset_after": False, "use_cudnn": False}), "simple": ("SimpleRNN", {}),
}  # fmt: skip
B, T, N, H = 5, 4, 3, 18  # N inputs


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def padded():
    x = draw(B, T, N)
    for row, length in enumerate((4, 2, 1, 3, 0)):
        x[row, length:] = 0
    return x


@pytest.fixture
def same_factors(monkeypatch):
    """Both libraries' cells take factors that depend on their kind, number and shape alone; 0 or 1 / (1 - 0.4)."""
    from keras.src.layers.rnn.dropout_rnn_cell import DropoutRNNCell

    def factors(kind, *shape):
        kept = np.random.default_rng([len(kind), *shape]).random(shape) >= 0.4
        return (kept / 0.6).astype("f")

    def ours(self, p, kind, batch, width):
        return p.constant(factors(kind, self._mask_count(), batch, width))

    def theirs(kind):
        def get(self, step_input):
            if not getattr(self, kind):
                return None
            count = getattr(self, "dropout_mask_count", None)
            found = factors(kind, count or 1, *step_input.shape)
            found = [keras.ops.cast(array, step_input.dtype) for array in found]
            return found if count else found[0]

        return get

    monkeypatch.setattr(Gates, "_factors", ours)
    monkeypatch.setattr(DropoutRNNCell, "get_dropout_mask", theirs("dropout"))
    monkeypatch.setattr(DropoutRNNCell, "get_recurrent_dropout_mask", theirs("recurrent_dropout"))


@pytest.fixture(params=CELLS)
def cell(request):
    name, options = CELLS[request.param]
    return lambda library, units=H, **more: getattr(library, name)(units, **options, **more)


def sequential(*makes):
    def make(library, model):
        x = start = library.Input((None, N))
        for function in makes:
            x = function(library)(x)
        return model(start, x)

    return make


RATES = [
    {"recurrent_dropout": 0.4}, {"dropout": 0.4}, {"dropout": 0.4, "recurrent_dropout": 0.4},
    {"recurrent_dropout": 0.4, "use_bias": False},
]  # fmt: skip


@pytest.mark.tensorflow
@pytest.mark.parametrize("rates", RATES, ids=str)
@pytest.mark.parametrize("sequences", [False, True])
def test_dropout(cell, same_factors, rates, sequences):
    make = sequential(
        lambda L: cell(L, 6, return_sequences=True), lambda L: cell(L, return_sequences=sequences, **rates)
    )
    check_gradients(make, draw(B, T, N), draw(B, T, H, seed=1) if sequences else draw(B, H, seed=1))


@pytest.mark.tensorflow
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("zeros", [False, True])
def test_dropout_under_masks(cell, same_factors, backwards, zeros):
    options = {"zero_output_for_mask": True} if zeros else {}
    options |= {"go_backwards": backwards, "dropout": 0.4, "recurrent_dropout": 0.4, "return_sequences": True}
    make = sequential(lambda L: L.Masking(), lambda L: cell(L, **options))
    check_gradients(make, padded(), draw(B, T, H, seed=1))


@pytest.mark.tensorflow
@pytest.mark.parametrize("masked", [False, True])
def test_dropout_with_states_given_and_returned(cell, same_factors, masked):
    rates = {"dropout": 0.4, "recurrent_dropout": 0.4}

    def make(library, model):
        first, second = library.Input((None, N)), library.Input((None, 2))
        x = library.Masking()(first) if masked else first
        y = library.Masking()(second) if masked else second
        _, *states = cell(library, return_state=True, **rates)(x)
        y, *last = cell(library, return_sequences=True, return_state=True, **rates)(y, initial_state=states)
        y = library.Dense(4)(y)
        joined = library.Concatenate()(last) if len(last) > 1 else last[0]
        y = library.Add()([y, library.Dense(4)(library.RepeatVector(4)(joined))])
        return model([first, second], y)

    decoder = draw(B, 4, 2, seed=2)
    decoder[1, 2:] = decoder[2, 1:] = 0
    check_gradients(make, [padded() if masked else draw(B, T, N), decoder], draw(B, 4, 4, seed=1))


@pytest.mark.tensorflow
@pytest.mark.parametrize("merge", ["concat", "sum"])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_dropout_in_bidirectional(cell, same_factors, merge, sequences, masked):
    options = {"return_sequences": sequences, "dropout": 0.4, "recurrent_dropout": 0.4}
    steps = [lambda L: L.Masking()] if masked else []
    wrapped = lambda L: L.Bidirectional(cell(L, 5, **options), merge_mode=merge)  # noqa: E731
    width = 10 if merge == "concat" else 5
    y = draw(B, T, width, seed=1) if sequences else draw(B, width, seed=1)
    check_gradients(sequential(*steps, wrapped), padded() if masked else draw(B, T, N), y)


@pytest.mark.tensorflow
@pytest.mark.parametrize("backwards", [False, True])
def test_dropout_in_stacked_cells(same_factors, backwards):
    rates = {"dropout": 0.4, "recurrent_dropout": 0.4}

    def make(library, model):
        x = library.Input((T, N))
        cells = [library.LSTMCell(5, **rates), library.GRUCell(4, **rates), library.SimpleRNNCell(3, **rates)]
        return model(x, library.RNN(cells, go_backwards=backwards, return_sequences=True)(x))

    check_gradients(make, draw(B, T, N), draw(B, T, 3, seed=1))


@pytest.mark.tensorflow
@pytest.mark.parametrize("units", [1, 17, 70])
def test_one_timestep_and_odd_widths(cell, same_factors, units):
    make = sequential(lambda L: cell(L, units, recurrent_dropout=0.4))
    check_gradients(make, draw(B, 1, N), draw(B, units, seed=1))
    check_gradients(make, draw(B, 3, N), draw(B, units, seed=1))


@pytest.mark.tensorflow
@pytest.mark.parametrize("activation", ["softmax", "log_softmax", "sparsemax"])
def test_activations_over_a_row(cell, activation):
    make = sequential(lambda L: cell(L, activation=activation, return_sequences=True))
    check_gradients(make, draw(B, T, N), draw(B, T, H, seed=1))


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["lstm", "gru", "gru_before"])
@pytest.mark.parametrize("activation", ["softmax", "sparsemax"])
def test_gates_over_a_row(name, activation):
    kind, options = CELLS[name]
    make = sequential(lambda L: getattr(L, kind)(H, recurrent_activation=activation, **options))
    check_gradients(make, draw(B, T, N), draw(B, H, seed=1))


def test_new_factors_in_every_step():
    """As many steps, as many draws: the loss of the same weights differs, and a seed repeats it."""

    def losses():
        model = fastseq.Sequential([layers.GRU(8, recurrent_dropout=0.5, dropout=0.2, seed=3), layers.Dense(2)])
        x, y = draw(B, T, N), draw(B, 2, seed=1)
        model(x)
        model.set_weights([draw(*weight.shape, seed=2) for weight in model.weights])
        return [gradients_of(model, x, y, "mse")[0] for _ in range(3)]

    first = losses()
    assert len(set(first)) > 1 and first == losses()
