"""Files of Keras 1, written with h5py as Keras 1.2.2 wrote them, against its step functions in NumPy."""

import json

import h5py
import numpy as np
import pytest

import fastseq
from fastseq.errors import FileFormatError
from fastseq.saving import keras1

LSTM_GATES, GRU_GATES = "icfo", "zrh"


def base(name, shape=None, dtype="float32"):
    config = {"name": name, "trainable": True}
    return config if shape is None else {**config, "batch_input_shape": [None, *shape], "input_dtype": dtype}


def recurrent(kind, units, inputs, name="rnn", shape=None, **options):
    """The entry of Keras 1.2.2's SimpleRNN, GRU or LSTM, whose get_config has these keys."""
    config = {
        **base(name, shape), "output_dim": units, "init": "glorot_uniform", "inner_init": "orthogonal",
        "activation": "tanh", "inner_activation": "hard_sigmoid", "forget_bias_init": "one", "W_regularizer": None,
        "U_regularizer": None, "b_regularizer": None, "dropout_W": 0.0, "dropout_U": 0.0, "return_sequences": False,
        "go_backwards": False, "stateful": False, "unroll": False, "consume_less": "cpu", "input_dim": inputs,
        "input_length": None, **options,
    }  # fmt: skip
    missing = {"LSTM": (), "GRU": ("forget_bias_init",), "SimpleRNN": ("forget_bias_init", "inner_activation")}[kind]
    return {"class_name": kind, "config": {key: value for key, value in config.items() if key not in missing}}


def dense(units, inputs, name="dense_1", shape=None, kind="Dense", **options):
    config = {
        **base(name, shape), "output_dim": units, "init": "glorot_uniform", "activation": "linear",
        "W_regularizer": None, "b_regularizer": None, "activity_regularizer": None, "W_constraint": None,
        "b_constraint": None, "bias": True, "input_dim": inputs, **options,
    }  # fmt: skip
    return {"class_name": kind, "config": config}


def embedding(ids, width, name="embedding_1", length=None, **options):
    config = {
        **base(name, (length,), "int32"), "input_dim": ids, "output_dim": width, "init": "uniform",
        "input_length": length, "mask_zero": False, "activity_regularizer": None, "W_regularizer": None,
        "W_constraint": None, "dropout": 0.0, **options,
    }  # fmt: skip
    return {"class_name": "Embedding", "config": config}


def draw(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype("f") for shape in shapes]


def gates(kind, inputs, units, seed=0):
    """Arrays of consume_less "cpu" and "mem": W, U and b of each gate, named as Keras 1 did."""
    names = {"LSTM": LSTM_GATES, "GRU": GRU_GATES}[kind]
    arrays = draw(*[(inputs, units), (units, units), (units,)] * len(names), seed=seed)
    return dict(zip([f"{part}_{gate}" for gate in names for part in "WUb"], arrays))


def write(path, config, weights, version="1.2.2", training=None, whole=True):
    """weights: dict layer name -> dict of arrays, or None for a layer without any. whole: with the config too."""
    with h5py.File(path, "w") as file:
        group = file
        if whole:
            if version is not None:
                file.attrs["keras_version"] = version.encode()
            file.attrs["model_config"] = json.dumps(config).encode()
            if training is not None:
                file.attrs["training_config"] = json.dumps(training).encode()
            group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in weights]
        for name, arrays in weights.items():
            layer = group.create_group(name)
            names = [f"{name}_{key}" for key in arrays or ()]
            layer.attrs["weight_names"] = np.array([n.encode() for n in names], "S" if names else "S1")
            for n, array in zip(names, (arrays or {}).values()):
                layer.create_dataset(n, array.shape, array.dtype)[...] = array
    return path


def hard_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


def run_lstm(x, w):
    """keras/layers/recurrent.py of Keras 1.2.2, LSTM.step with consume_less="mem"."""
    h = c = np.zeros((len(x), w["U_i"].shape[0]))
    for t in range(x.shape[1]):
        i, f, o = (hard_sigmoid(x[:, t] @ w[f"W_{g}"] + w[f"b_{g}"] + h @ w[f"U_{g}"]) for g in "ifo")
        c = f * c + i * np.tanh(x[:, t] @ w["W_c"] + w["b_c"] + h @ w["U_c"])
        h = o * np.tanh(c)
    return h


def run_gru(x, w):
    h = np.zeros((len(x), w["U_z"].shape[0]))
    for t in range(x.shape[1]):
        z, r = (hard_sigmoid(x[:, t] @ w[f"W_{g}"] + w[f"b_{g}"] + h @ w[f"U_{g}"]) for g in "zr")
        h = z * h + (1 - z) * np.tanh(x[:, t] @ w["W_h"] + w["b_h"] + (r * h) @ w["U_h"])
    return h


RUN = {"LSTM": run_lstm, "GRU": run_gru}
X = np.random.default_rng(9).standard_normal((4, 6, 3)).astype("f")


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("version", ["1.2.2", "1.0.8", None])
@pytest.mark.parametrize("whole", [False, True])
def test_gates_apart(tmp_path, kind, version, whole):
    w, (kernel, bias) = gates(kind, 3, 5), draw((5, 2), (2,), seed=1)
    config = {"class_name": "Sequential", "config": [recurrent(kind, 5, 3, shape=(None, 3)), dense(2, 5)]}
    path = write(tmp_path / "m.h5", config, {"rnn": w, "dense_1": {"W": kernel, "b": bias}}, version, whole=whole)
    if whole:
        model = fastseq.load_model(path, compile=False)
    else:
        model = fastseq.models.model_from_json(json.dumps({**config, "keras_version": "1.2.2"}))
        model.load_weights(path)
    np.testing.assert_allclose(model.predict(X), RUN[kind](X, w) @ kernel + bias, rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_gates_together(tmp_path, kind):
    """consume_less="gpu" kept one array for all gates, in the order of Keras 2."""
    w = gates(kind, 3, 5)
    order = "ifco" if kind == "LSTM" else "zrh"
    joined = {part: np.concatenate([w[f"{part}_{gate}"] for gate in order], -1) for part in "WUb"}
    config = {"class_name": "Sequential", "config": [recurrent(kind, 5, 3, shape=(6, 3), consume_less="gpu")]}
    model = fastseq.load_model(write(tmp_path / "m.h5", config, {"rnn": joined}), compile=False)
    np.testing.assert_allclose(model.predict(X), RUN[kind](X, w), rtol=0, atol=2e-6)


def test_wrappers(tmp_path):
    """Bidirectional, TimeDistributed and TimeDistributedDense around gates that stand apart."""
    forward, backward = gates("LSTM", 3, 4), gates("LSTM", 3, 4, seed=1)
    k1, b1, k2, b2 = draw((8, 3), (3,), (3, 2), (2,), seed=2)
    inner = recurrent("LSTM", 4, 3, name="lstm_1", return_sequences=True)
    config = {"class_name": "Sequential", "config": [
        {"class_name": "Bidirectional", "config": {**base("bi", (6, 3)), "merge_mode": "concat", "layer": inner}},
        {"class_name": "TimeDistributed", "config": {**base("td"), "layer": dense(3, 8, activation="relu")}},
        dense(2, 3, "tdd", kind="TimeDistributedDense", input_length=6),
    ]}  # fmt: skip
    weights = {
        "bi": {**{f"f{key}": a for key, a in forward.items()}, **{f"b{key}": a for key, a in backward.items()}},
        "td": {"W": k1, "b": b1}, "tdd": {"W": k2, "b": b2},
    }  # fmt: skip
    model = fastseq.load_model(write(tmp_path / "m.h5", config, weights), compile=False)
    halves = [np.stack([run_lstm(x[:, : t + 1], w) for t in range(6)], 1)
              for x, w in ((X, forward), (X[:, ::-1], backward))]  # fmt: skip
    both = np.concatenate([halves[0], halves[1][:, ::-1]], -1)
    expected = np.maximum(both @ k1 + b1, 0) @ k2 + b2
    np.testing.assert_allclose(model.predict(X), expected, rtol=0, atol=5e-6)


def test_arguments_keep_their_meaning(tmp_path):
    l2 = {"name": "L1L2Regularizer", "l1": 0.0, "l2": 0.25}
    config = {"class_name": "Sequential", "config": [
        embedding(9, 3, length=6, W_regularizer={"name": "WeightRegularizer", "l1": 0.5, "l2": 0.0}),
        recurrent("LSTM", 4, 3, W_regularizer=l2, U_regularizer=l2, dropout_W=0.2, dropout_U=0.3,
                  inner_activation="relu"),
        {"class_name": "Dropout", "config": {**base("drop"), "p": 0.4}},
        {"class_name": "GaussianNoise", "config": {**base("noise"), "sigma": 0.1}},
        dense(2, 4, activation="softmax", W_constraint={"name": "MaxNorm", "m": 3, "axis": 0},
              b_constraint={"name": "NonNeg"}, init="he_normal", bias=True),
    ]}  # fmt: skip
    model = fastseq.models.model_from_json(json.dumps(config))
    table, lstm, drop, noise, last = model.layers
    assert table.embeddings_regularizer.l1 == 0.5
    assert (lstm.kernel_regularizer.l2, lstm.recurrent_regularizer.l2, lstm.dropout, lstm.recurrent_dropout) == (
        0.25, 0.25, 0.2, 0.3,
    )  # fmt: skip
    assert lstm.recurrent_activation is fastseq.activations.relu and lstm.unit_forget_bias
    assert (drop.rate, noise.stddev, last.units, last.use_bias) == (0.4, 0.1, 2, True)
    assert (last.kernel_constraint.max_value, type(last.bias_constraint).__name__) == (3, "NonNeg")
    assert type(last.kernel_initializer).__name__ == "HeNormal"
    assert model.input_shape == (None, 6) and model.predict(np.zeros((2, 6), int)).shape == (2, 2)


def test_branches_that_a_merge_begins_with(tmp_path):
    """Sequential([Merge([branch, branch]), ...]): the weights stand branch by branch."""
    w1, w2 = gates("LSTM", 3, 4), gates("GRU", 3, 4, seed=1)
    k1, b1, k2, b2 = draw((4, 4), (4,), (8, 2), (2,), seed=2)
    branches = [
        {"class_name": "Sequential", "config": [recurrent("LSTM", 4, 3, "lstm_1", (6, 3)), dense(4, 4, "dense_1")]},
        {"class_name": "Sequential", "config": [recurrent("GRU", 4, 3, "gru_1", (6, 3))]},
    ]
    merge = {
        "name": "merge_1", "mode": "concat", "mode_type": "raw", "concat_axis": -1, "dot_axes": -1, "arguments": {},
        "output_shape": None, "output_shape_type": "raw", "output_mask": None, "output_mask_type": "raw",
        "layers": branches,
    }  # fmt: skip
    config = {"class_name": "Sequential", "config": [{"class_name": "Merge", "config": merge}, dense(2, 8, "dense_2")]}
    weights = {
        "lstm_1": w1, "dense_1": {"W": k1, "b": b1}, "gru_1": w2, "merge_1": None, "dense_2": {"W": k2, "b": b2},
    }  # fmt: skip
    model = fastseq.load_model(write(tmp_path / "m.h5", config, weights), compile=False)
    assert [tensor.shape for tensor in model.inputs] == [(None, 6, 3)] * 2
    other = X[::-1].copy()
    expected = np.concatenate([run_lstm(X, w1) @ k1 + b1, run_gru(other, w2)], -1) @ k2 + b2
    np.testing.assert_allclose(model.predict([X, other]), expected, rtol=0, atol=5e-6)


def test_functional_models(tmp_path):
    w, (kernel, bias) = gates("LSTM", 3, 4), draw((8, 2), (2,), seed=1)
    layers = [
        {"class_name": "InputLayer", "name": "input_1", "inbound_nodes": [],
         "config": {"batch_input_shape": [None, 6, 3], "input_dtype": "float32", "sparse": False, "name": "input_1"}},
        {**recurrent("LSTM", 4, 3, "lstm_1"), "name": "lstm_1",
         "inbound_nodes": [[["input_1", 0, 0]], [["input_1", 0, 0]]]},
        {"class_name": "Merge", "name": "merge_1", "inbound_nodes": [[["lstm_1", 0, 0], ["lstm_1", 1, 0]]],
         "config": {"name": "merge_1", "mode": "concat", "mode_type": "raw", "concat_axis": -1, "dot_axes": -1,
                    "arguments": {}, "output_shape": None, "output_shape_type": "raw", "output_mask": None,
                    "output_mask_type": "raw"}},
        {**dense(2, 8), "name": "dense_1", "inbound_nodes": [[["merge_1", 0, 0]]]},
    ]  # fmt: skip
    inner = {"name": "model_1", "layers": layers, "input_layers": [["input_1", 0, 0]],
             "output_layers": [["dense_1", 0, 0]]}  # fmt: skip
    weights = {"input_1": None, "lstm_1": w, "merge_1": None, "dense_1": {"W": kernel, "b": bias}}
    model = fastseq.load_model(write(tmp_path / "m.h5", {"class_name": "Model", "config": inner}, weights))
    expected = np.concatenate([run_lstm(X, w)] * 2, -1) @ kernel + bias
    np.testing.assert_allclose(model.predict(X), expected, rtol=0, atol=5e-6)


def test_how_it_was_compiled(tmp_path):
    kernel, bias = draw((3, 2), (2,))
    config = {"class_name": "Sequential", "config": [dense(2, 3, shape=(3,))]}
    training = {
        "optimizer_config": {"class_name": "Adam", "config": {
            "lr": 0.01, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-8, "decay": 0.0}},
        "loss": "mse", "metrics": ["mape"], "sample_weight_mode": None, "loss_weights": None,
    }  # fmt: skip
    path = write(tmp_path / "m.h5", config, {"dense_1": {"W": kernel, "b": bias}}, training=training)
    model = fastseq.load_model(path)
    optimizer = model.optimizer
    assert (float(optimizer.learning_rate), optimizer.beta_1, optimizer.epsilon) == (np.float32(0.01), 0.8, 1e-8)
    assert list(model.train_on_batch(np.ones((2, 3)), np.ones((2, 2)), return_dict=True)) == ["loss", "mape"]


def test_words_left_out_warn(tmp_path):
    (table,) = draw((9, 3))
    config = {"class_name": "Sequential", "config": [embedding(9, 3, length=4, dropout=0.2)]}
    with pytest.warns(UserWarning, match="'embedding_1' of Keras 1 left out words"):
        model = fastseq.load_model(write(tmp_path / "m.h5", config, {"embedding_1": {"W": table}}))
    assert model.inputs[0].dtype == "int32"
    ids = np.array([[1, 2, 8, 0]])
    np.testing.assert_array_equal(model.predict(ids), table[ids])


@pytest.mark.parametrize(("layer", "match"), [
    (dense(2, 3, shape=(3,), W_regularizer={"name": "EigenvalueRegularizer", "k": 1.0}), "EigenvalueRegularizer"),
    ({"class_name": "ParametricSoftplus", "config": {**base("m", (3,)), "alpha_init": 0.2}}, "ParametricSoftplus"),
    ({"class_name": "Merge", "config": {"name": "m", "mode": "concat", "layers": [
        {"class_name": "Model", "config": {}}]}}, "Merge of functional models"),
])  # fmt: skip
def test_what_there_is_no_form_of_is_named(tmp_path, layer, match):
    path = write(tmp_path / "m.h5", {"class_name": "Sequential", "config": [layer]}, {"m": None})
    with pytest.raises(FileFormatError, match=match):
        fastseq.load_model(path)


def test_keys_of_nobody_are_refused():
    config = dense(2, 3, shape=(3,), nb_feature=4)
    with pytest.raises(ValueError, match="nb_feature"):
        fastseq.models.model_from_json(json.dumps({"class_name": "Sequential", "config": [config]}))


def test_weights_of_another_number_or_shape(tmp_path):
    w = gates("LSTM", 3, 5)
    config = {"class_name": "Sequential", "config": [recurrent("LSTM", 5, 3, shape=(6, 3))]}
    short = {key: w[key] for key in list(w)[:-1]}
    with pytest.raises(FileFormatError, match="3 weights where the file has 11"):
        fastseq.load_model(write(tmp_path / "m.h5", config, {"rnn": short}))
    with pytest.raises(FileFormatError, match="3 weights where the file has 12"):
        fastseq.load_model(write(tmp_path / "m.h5", config, {"rnn": {**w, "b_o": w["b_o"][:-1]}}))


@pytest.mark.tensorflow
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_numbers_are_those_of_keras_2_with_the_same_weights(tmp_path, kind):
    import tf_keras

    w = gates(kind, 3, 5)
    config = {"class_name": "Sequential", "config": [recurrent(kind, 5, 3, shape=(6, 3))]}
    path = write(tmp_path / "m.h5", config, {"rnn": w})
    options = {"reset_after": False} if kind == "GRU" else {}
    layer = getattr(tf_keras.layers, kind)(5, recurrent_activation="hard_sigmoid", name="rnn", **options)
    theirs = tf_keras.Sequential([tf_keras.Input((6, 3)), layer])
    theirs.load_weights(write(tmp_path / "w.h5", None, {"rnn": w}, whole=False))
    np.testing.assert_allclose(
        fastseq.load_model(path).predict(X), theirs.predict(X, verbose=0), rtol=0, atol=1e-6
    )  # fmt: skip


def test_every_renamed_argument_is_one_the_layer_has():
    import inspect

    from fastseq import layers

    for name, renamed in keras1.RENAMED.items():
        cls = getattr(layers, keras1.CLASSES.get(name, name))
        assert set(renamed.values()) - {"recurrent_activation"} <= set(inspect.signature(cls.__init__).parameters)
