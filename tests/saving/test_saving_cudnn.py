"""Weights of CuDNNLSTM and CuDNNGRU, from files made here, against cuDNN's own equations in float64.

cuDNN keeps a matrix per gate, out x in, and one bias for the input and one for the state. Keras 2 kept all of them in
`kernel` (I, G H), `recurrent_kernel` (H, G H) and `bias` (2 G H,): a gate's block is cuDNN's matrix, read row by row.
"""

import json

import h5py
import numpy as np
import pytest

import fastseq
from fastseq import layers
from fastseq.errors import FileFormatError

INPUTS, UNITS = 5, 3
X = np.random.default_rng(0).standard_normal((4, 6, INPUTS)).astype(np.float32)


def saved_weights(gates, seed, inputs=INPUTS):
    rng = np.random.default_rng(seed)
    shapes = (inputs, gates * UNITS), (UNITS, gates * UNITS), (2 * gates * UNITS,)
    return [rng.uniform(-0.9, 0.9, shape).astype(np.float32) for shape in shapes]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cudnn_gates(weights, gates):
    """Per gate, in the order of the file: W (H, I), R (H, H), bias of the input, bias of the state."""
    kernel, recurrent, bias = (w.astype(np.float64) for w in weights)
    block = [slice(g * UNITS, (g + 1) * UNITS) for g in range(gates)]
    bias = bias.reshape(2, gates, UNITS)
    return [
        (kernel[:, b].reshape(UNITS, -1), recurrent[:, b].reshape(UNITS, UNITS), bias[0, g], bias[1, g])
        for g, b in enumerate(block)
    ]


def cudnn_lstm(x, weights):
    """cudnnRNNMode_t CUDNN_LSTM; all hidden states (B, T, H). Gates in the file: input, forget, cell, output."""
    parts = cudnn_gates(weights, 4)
    h = c = np.zeros((len(x), UNITS))
    outputs = []
    for step in np.swapaxes(x.astype(np.float64), 0, 1):
        i, f, g, o = (step @ w.T + h @ r.T + bw + br for w, r, bw, br in parts)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, 1)


def cudnn_gru(x, weights):
    """cudnnRNNMode_t CUDNN_GRU; all hidden states. Gates in the file: update, reset, new."""
    (wz, rz, bwz, brz), (wr, rr, bwr, brr), (wn, rn, bwn, brn) = cudnn_gates(weights, 3)
    h = np.zeros((len(x), UNITS))
    outputs = []
    for step in np.swapaxes(x.astype(np.float64), 0, 1):
        z = sigmoid(step @ wz.T + h @ rz.T + bwz + brz)
        r = sigmoid(step @ wr.T + h @ rr.T + bwr + brr)
        new = np.tanh(step @ wn.T + bwn + r * (h @ rn.T + brn))
        h = (1 - z) * new + z * h
        outputs.append(h)
    return np.stack(outputs, 1)


def both_directions(run, x, weights):
    return np.concatenate([run(x, weights[:3]), run(x[:, ::-1], weights[3:])[:, ::-1]], -1)


def config(class_name, name, **others):
    inner = {"name": name, "trainable": True, "units": UNITS, "return_sequences": True, "return_state": False,
             "go_backwards": False, "stateful": False, "kernel_initializer": "glorot_uniform", **others}  # fmt: skip
    return {"class_name": class_name, "config": inner}


def write(path, entry, weights, full):
    """A file of Keras 2.1.5 with one recurrent layer named `rnn`; full: with the model's config."""
    entry["config"]["batch_input_shape"] = [None, None, INPUTS]
    with h5py.File(path, "w") as file:
        group = file
        if full:
            file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": [entry]}).encode()
            file.attrs["keras_version"] = b"2.1.5"
            group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"rnn"]
        group.attrs["keras_version"] = b"2.1.5"
        group = group.create_group("rnn")
        names = [f"rnn/{index}/weight:0" for index in range(len(weights))]
        group.attrs["weight_names"] = [name.encode() for name in names]
        for name, value in zip(names, weights):
            group[name] = value
    return path


CASES = {
    "LSTM": (layers.LSTM, cudnn_lstm, 4),
    "GRU": (layers.GRU, cudnn_gru, 3),
}


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("wrapped", [False, True], ids=["alone", "bidirectional"])
def test_against_the_equations_of_cudnn(tmp_path, kind, wrapped):
    make, run, gates = CASES[kind]
    entry, weights = config(f"CuDNN{kind}", "rnn"), saved_weights(gates, 1)
    layer = make(UNITS, return_sequences=True, name="rnn")
    expected = run(X, weights)
    if wrapped:
        entry = {"class_name": "Bidirectional", "config": {"name": "rnn", "layer": entry, "merge_mode": "concat"}}
        weights += saved_weights(gates, 2)
        layer = layers.Bidirectional(layer, name="rnn")
        expected = both_directions(run, X, weights)
    model = fastseq.load_model(write(tmp_path / "m.h5", entry, weights, full=True))
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, rtol=0, atol=1e-6)
    write(tmp_path / "w.h5", entry, weights, full=False)
    for by_name in (False, True):
        built = fastseq.Sequential([fastseq.Input((None, INPUTS)), layer])
        built.load_weights(tmp_path / "w.h5", by_name=by_name)
        np.testing.assert_array_equal(built.predict(X, verbose=0), model.predict(X, verbose=0))
        built.set_weights([np.zeros_like(w) for w in built.get_weights()])
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(fastseq.load_model(tmp_path / "m.keras")(X), model(X))


def test_square_kernels_are_converted_too(tmp_path):
    """With I = H the shapes of the kernels alone do not tell the layouts apart; the bias does."""
    entry, weights = config("CuDNNGRU", "rnn"), saved_weights(3, 4, inputs=UNITS)
    x = X[:, :, :UNITS]
    path = write(tmp_path / "w.h5", entry, weights, full=False)
    model = fastseq.Sequential([fastseq.Input((None, UNITS)), layers.GRU(UNITS, return_sequences=True)])
    model.load_weights(path)
    np.testing.assert_allclose(model.predict(x, verbose=0), cudnn_gru(x, weights), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        layers.GRU(UNITS, reset_after=False),
        layers.GRU(UNITS, use_bias=False),
        layers.LSTM(UNITS),
        layers.GRU(UNITS + 1),
    ],
    ids=["reset_after", "use_bias", "LSTM", "units"],
)
def test_layers_that_cannot_take_them(tmp_path, layer):
    path = write(tmp_path / "w.h5", config("CuDNNGRU", "rnn"), saved_weights(3, 5), full=False)
    model = fastseq.Sequential([fastseq.Input((None, INPUTS)), layer])
    before = model.get_weights()
    with pytest.raises(FileFormatError, match=rf"w\.h5', layer '{layer.name}': .*(weights|shape)"):
        model.load_weights(path)
    for ours, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, kept)
