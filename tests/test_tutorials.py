"""What tutorials on Dense over time and on encoder-decoders show, with fastseq's imports; Keras runs beside it.

Each model is written once, in a function of the library, and built with both.
"""

import model_zoo as zoo
import numpy as np
import pytest
from layer_check import assert_as_close_as, random_weights

import fastseq
from fastseq.tensors import naming

pytestmark = pytest.mark.tensorflow
keras = pytest.importorskip("keras")


def both(make):
    """`make(library)` by fastseq and by Keras, with the same weights and the same names."""
    naming.reset()
    keras.utils.clear_session()
    ours, theirs = make(fastseq), make(keras)
    share_weights(ours, theirs)
    return ours, theirs


def share_weights(ours, theirs, seed=0):
    shapes = [np.shape(w) for w in theirs.get_weights()]
    assert [w.shape for w in ours.get_weights()] == shapes
    for model in (ours, theirs):
        model.set_weights(random_weights(shapes, seed))
    assert ours.count_params() == theirs.count_params()


def same(ours, theirs, x, atol=1e-6):
    """The result of `ours`, which is that of `theirs`: to a few units in the last place of numbers of about 1."""
    found, expected = np.asarray(ours(x)), np.asarray(theirs(x))
    assert found.shape == expected.shape and found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)
    return found


def summary_cells(model, monkeypatch):
    monkeypatch.setenv("COLUMNS", "240")
    lines = []
    model.summary(line_length=220, print_fn=lambda line, **_: lines.append(line))
    return zoo.cells("\n".join(lines))


def random(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype("f")


def test_dense_and_time_distributed_dense_are_one(rng):
    """On (2, 4, 3), with weights that are given: equal bits, and the same parameters."""
    x = rng.standard_normal((2, 4, 3)).astype("f")
    kernel, bias = rng.standard_normal((3, 5)).astype("f"), rng.standard_normal(5).astype("f")
    results = {}
    for k in (fastseq, keras):
        dense = k.layers.Dense(5)
        wrapped = k.layers.TimeDistributed(k.layers.Dense(5))
        for layer in (dense, wrapped):
            layer.build((None, 4, 3))
            layer.set_weights([kernel, bias])
            assert layer.count_params() == 3 * 5 + 5
        results[k] = [np.asarray(layer(x)) for layer in (dense, wrapped)]
    plain, wrapped = results[fastseq]
    assert plain.shape == (2, 4, 5)
    np.testing.assert_array_equal(plain, wrapped)
    truth = x.astype("f8") @ kernel + bias
    for found, expected in zip(results[fastseq], results[keras]):
        assert_as_close_as(found, expected, truth)
    # Each timestep is a row of one product.
    by_hand = fastseq.layers.Dense(5, weights=[kernel, bias])
    for t in range(4):
        np.testing.assert_array_equal(by_hand(x[:, t]), plain[:, t])


def gru_distributed(k):
    layers = [k.layers.GRU(16, return_sequences=True), k.layers.TimeDistributed(k.layers.Dense(8))]
    return k.Sequential([k.Input((64, 15)), *layers])


def gru_dense(k):
    return k.Sequential([k.Input((64, 15)), k.layers.GRU(16, return_sequences=True), k.layers.Dense(8)])


def gru_last(k):
    return k.Sequential([k.Input((64, 15)), k.layers.GRU(16, return_sequences=False), k.layers.Dense(8)])


GRU_ROWS = {
    gru_distributed: [
        ["gru(GRU)", "(None,64,16)", "1,584"], ["time_distributed(TimeDistributed)", "(None,64,8)", "136"]
    ],
    gru_dense: [["gru(GRU)", "(None,64,16)", "1,584"], ["dense(Dense)", "(None,64,8)", "136"]],
    gru_last: [["gru(GRU)", "(None,16)", "1,584"], ["dense(Dense)", "(None,8)", "136"]],
}  # fmt: skip


@pytest.mark.parametrize("make", GRU_ROWS, ids=lambda make: make.__name__)
def test_three_grus_and_their_summaries(make, monkeypatch):
    ours, theirs = both(make)
    rows, totals = summary_cells(ours, monkeypatch)
    assert (rows, totals) == summary_cells(theirs, monkeypatch)
    assert rows[1:] == GRU_ROWS[make]
    assert totals[0].startswith("Total params: 1,720")
    same(ours, theirs, random(5, 64, 15))


def test_the_first_two_grus_are_one_model():
    x = random(5, 64, 15)
    wrapped, plain, last = (make(fastseq) for make in GRU_ROWS)
    plain.set_weights(wrapped.get_weights())
    last.set_weights(wrapped.get_weights())
    np.testing.assert_array_equal(wrapped(x), plain(x))
    np.testing.assert_array_equal(last(x), plain(x)[:, -1])


@pytest.mark.parametrize("sequences", [True, False])
def test_shapes_of_an_lstm(sequences):
    """(N, T, F) to (N, T, H), or to (N, H): the last timestep."""
    ours, theirs = both(lambda k: k.Sequential([k.Input((None, 6)), k.layers.LSTM(10, return_sequences=sequences)]))
    assert ours.output_shape == theirs.output_shape == ((None, None, 10) if sequences else (None, 10))
    for time in (1, 7):
        found = same(ours, theirs, random(3, time, 6))
        assert found.shape == ((3, time, 10) if sequences else (3, 10))


def test_bit_vector_at_each_timestep():
    def make(k):
        layers = [k.layers.LSTM(32, return_sequences=True), k.layers.Dense(8, activation="sigmoid")]
        return k.Sequential([k.Input((None, 8)), layers[0], k.layers.TimeDistributed(layers[1])])

    ours, theirs = both(make)
    bits = np.random.default_rng(2).integers(0, 2, (6, 12, 8)).astype("f")
    found = same(ours, theirs, bits)
    assert found.shape == (6, 12, 8) and 0 < found.min() and found.max() < 1
    np.testing.assert_array_equal(found > 0.5, np.asarray(theirs(bits)) > 0.5)


@pytest.mark.parametrize("mask_zero", [False, True])
def test_a_tag_for_each_word(mask_zero):
    def make(k):
        x = k.Input((None,), dtype="int32")
        y = k.layers.Embedding(50, 16, mask_zero=mask_zero)(x)
        y = k.layers.LSTM(20, return_sequences=True)(y)
        return k.Model(x, k.layers.TimeDistributed(k.layers.Dense(3, activation="softmax"))(y))

    ours, theirs = both(make)
    words = np.random.default_rng(2).integers(1, 50, (4, 9)).astype("int32")
    words[1, 5:] = words[3, 2:] = 0
    found = same(ours, theirs, words)
    assert found.shape == (4, 9, 3)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-6)
    # A sentence does not depend on the padding behind it.
    np.testing.assert_array_equal(ours(words[1:2, :5]), found[1:2, :5])


def distributed(k):
    return k.Sequential([k.Input((4, 3)), k.layers.TimeDistributed(k.layers.Dense(5))])


def flattened(k):
    layers = [k.layers.Flatten(), k.layers.Dense(20), k.layers.Reshape((4, 5))]
    return k.Sequential([k.Input((4, 3)), *layers])


def test_shared_weights_against_weights_for_everything():
    """On (4, 3): 20 parameters that every timestep shares, or 260 that lead from everything to everything."""
    x = random(6, 4, 3)
    for make, parameters in ((distributed, 20), (flattened, 260)):
        ours, theirs = both(make)
        assert ours.count_params() == theirs.count_params() == parameters
        assert ours.output_shape == theirs.output_shape == (None, 4, 5)
        found = same(ours, theirs, x)
        changed = x.copy()
        changed[:, 2] += 1
        touched = np.any(ours(changed) != found, axis=(0, 2))
        assert touched.tolist() == ([False, False, True, False] if make is distributed else [True] * 4)


def test_only_shared_weights_take_another_number_of_timesteps():
    def any_length(k):
        return k.Sequential([k.Input((None, 3)), k.layers.TimeDistributed(k.layers.Dense(5))])

    ours, theirs = both(any_length)
    for time in (1, 4, 11):
        same(ours, theirs, random(2, time, 3))
    layer = fastseq.layers.TimeDistributed(fastseq.layers.Dense(5))
    layer(random(2, 4, 3))
    assert layer(random(2, 11, 3)).shape == (2, 11, 5)

    ours, theirs = both(flattened)
    with pytest.raises(ValueError, match=r"'dense'.*value 12.*\(2, 33\)"):
        ours(random(2, 11, 3))
    with pytest.raises(ValueError):
        theirs(random(2, 11, 3))
    for k in (fastseq, keras):
        with pytest.raises(ValueError):
            k.Sequential([k.Input((None, 3)), k.layers.Flatten(), k.layers.Dense(20)])


def test_a_dense_of_its_own_for_each_timestep():
    """LocallyConnected1D(kernel_size=1), which Keras 3 does not have: there it is T layers over slices."""
    x = random(6, 4, 3)
    ours = fastseq.Sequential([fastseq.Input((4, 3)), fastseq.layers.LocallyConnected1D(5, kernel_size=1)])
    assert ours.count_params() == 4 * 20 and ours.output_shape == (None, 4, 5)
    ours.set_weights(random_weights([w.shape for w in ours.get_weights()]))
    inputs = keras.Input((4, 3))
    steps = [keras.layers.Dense(5) for _ in range(4)]
    joined = keras.layers.Concatenate(axis=1)([
        keras.layers.Reshape((1, 5))(step(inputs[:, t])) for t, step in enumerate(steps)
    ])  # fmt: skip
    theirs = keras.Model(inputs, joined)
    kernel, bias = ours.get_weights()
    for t, step in enumerate(steps):
        step.set_weights([kernel[t], bias[t]])
    assert theirs.count_params() == ours.count_params()
    same(ours, theirs, x)
    with pytest.raises(ValueError, match=r"axis 1.*value 4.*\(2, 5, 3\)"):
        ours(random(2, 5, 3))


SOURCE, TARGET, UNITS = 9, 7, 12


def encoder_decoder(k):
    """(the model that is trained, and the two that decode: encoder, and one step of the decoder)."""
    encoder_inputs = k.Input((None, SOURCE), name="encoder_inputs")
    _, h, c = k.layers.LSTM(UNITS, return_state=True, name="encoder")(encoder_inputs)
    decoder_inputs = k.Input((None, TARGET), name="decoder_inputs")
    decoder = k.layers.LSTM(UNITS, return_sequences=True, return_state=True, name="decoder")
    decoded, _, _ = decoder(decoder_inputs, initial_state=[h, c])
    dense = k.layers.Dense(TARGET, activation="softmax", name="letters")
    trained = k.Model([encoder_inputs, decoder_inputs], dense(decoded))
    states = [k.Input((UNITS,), name="h"), k.Input((UNITS,), name="c")]
    decoded, *after = decoder(decoder_inputs, initial_state=states)
    step = k.Model([decoder_inputs, *states], [dense(decoded), *after])
    return trained, k.Model(encoder_inputs, [h, c]), step


def greedy(encoder, step, source, length):
    """The tutorial's loop: what comes out is the next input. (chosen letters, (B, length, TARGET) probabilities)."""
    states = [np.asarray(state) for state in encoder(source)]
    letter, chosen, probabilities = np.zeros(len(source), int), [], []
    for _ in range(length):
        y, *states = (np.asarray(array) for array in step([np.eye(TARGET, dtype="f")[letter][:, None], *states]))
        letter = y[:, -1].argmax(-1)
        chosen.append(letter)
        probabilities.append(y[:, -1])
    return np.stack(chosen, 1), np.stack(probabilities, 1)


def test_encoder_decoder():
    naming.reset()
    keras.utils.clear_session()
    ours, theirs = encoder_decoder(fastseq), encoder_decoder(keras)
    # The models share their layers: the weights of the first are those of the others.
    share_weights(ours[0], theirs[0])
    source = random(3, 8, SOURCE)
    letters, probabilities = greedy(*ours[1:], source, 10)
    expected, expected_probabilities = greedy(*theirs[1:], source, 10)
    np.testing.assert_array_equal(letters, expected)
    np.testing.assert_allclose(probabilities, expected_probabilities, atol=1e-6)
    # The trained model over the same letters: the bits of the steps.
    fed = np.eye(TARGET, dtype="f")[np.concatenate([np.zeros((3, 1), int), letters[:, :-1]], axis=1)]
    whole = same(ours[0], theirs[0], [source, fed])
    np.testing.assert_array_equal(whole, probabilities)


def test_parts_of_the_encoder_decoder(monkeypatch):
    naming.reset()
    keras.utils.clear_session()
    for ours, theirs in zip(encoder_decoder(fastseq), encoder_decoder(keras)):
        assert summary_cells(ours, monkeypatch) == summary_cells(theirs, monkeypatch)
        assert [tuple(t.shape) for t in ours.inputs] == [tuple(t.shape) for t in theirs.inputs]
        assert [tuple(t.shape) for t in ours.outputs] == [tuple(t.shape) for t in theirs.outputs]


def test_dense_over_an_input_of_two_axes():
    """Input((7, 12)) to Dense(5): 65 parameters, one product for each of the 7."""

    def make(k):
        x = k.Input((7, 12))
        return k.Model(x, k.layers.Dense(5)(x))

    ours, theirs = both(make)
    assert ours.count_params() == 12 * 5 + 5 == 65
    assert ours.output_shape == theirs.output_shape == (None, 7, 5)
    same(ours, theirs, random(4, 7, 12))
