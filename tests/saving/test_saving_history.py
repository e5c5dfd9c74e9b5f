"""Configs of every era of Keras, after its sources: what was written once is honoured, or known to mean nothing.

Hand-written ones stand for versions that cannot be installed here; Keras 3.15 and tf_keras write theirs themselves.
"""

import json
import warnings

import numpy as np
import pytest
from saving_files import h5_model, keras_file, sequential

import fastseq
from fastseq import initializers


def model_of(entry, version="2.2.4-tf", shape=(None, 4)):
    """A model of Keras 2 with one layer."""
    config = {**entry["config"], "batch_input_shape": list(shape)}
    layers = [{**entry, "config": config}]
    text = json.dumps({"class_name": "Sequential", "config": {"name": "s", "layers": layers}, "keras_version": version})
    return fastseq.models.model_from_json(text)


def dense(**options):
    return {"class_name": "Dense", "config": {"name": "d", "trainable": True, "units": 3, **options}}


# TensorFlow 1.10 to 1.15, python/ops/init_ops.py: every get_config has a dtype.
TF1_INITIALIZERS = [
    ("Zeros", {}), ("Ones", {}), ("Constant", {"value": 0.5}), ("Identity", {"gain": 2.0}),
    ("RandomUniform", {"minval": -0.1, "maxval": 0.1, "seed": 3}),
    ("RandomNormal", {"mean": 0.0, "stddev": 0.1, "seed": 3}),
    ("TruncatedNormal", {"mean": 0.0, "stddev": 0.1, "seed": 3}), ("Orthogonal", {"gain": 1.0, "seed": 3}),
    ("VarianceScaling", {"scale": 2.0, "mode": "fan_in", "distribution": "truncated_normal", "seed": 3}),
    ("VarianceScaling", {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": 3}),
    ("GlorotUniform", {"seed": 3}), ("GlorotNormal", {"seed": 3}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), TF1_INITIALIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", None])
def test_initializers_of_tensorflow_1(name, options, dtype):
    saved = {"class_name": name, "config": {**options, "dtype": dtype}}
    layer = model_of(dense(kernel_initializer=saved)).layers[0]
    found = layer.kernel_initializer.get_config()
    assert {key: found[key] for key in options} == options and "dtype" not in found
    lstm = {"class_name": "LSTM", "config": {"name": "l", "units": 4, "bias_initializer": saved}}
    if name in ("Zeros", "Ones", "Constant"):
        model_of(lstm, shape=(None, 5, 4))
    inner = {"class_name": "TimeDistributed", "config": {"name": "t", "layer": dense(kernel_initializer=saved)}}
    model_of(inner, shape=(None, 5, 4))


def test_other_keys_of_initializers_are_refused():
    for config in ({"dtype": "int32"}, {"dtype": "float32", "other": 1}, {"verify": True}):
        with pytest.raises(ValueError, match="Zeros"):
            model_of(dense(kernel_initializer={"class_name": "Zeros", "config": config}))
    # Nor does Keras 3 take it, where a config is its own.
    with pytest.raises(ValueError, match="dtype"):
        initializers.get({"class_name": "Zeros", "config": {"dtype": "float32"}})


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_embeddings_of_integers(dtype):
    entry = {"class_name": "Embedding", "config": {
        "name": "e", "trainable": True, "dtype": dtype, "input_dim": 9, "output_dim": 3, "input_length": 5,
        "embeddings_initializer": {"class_name": "RandomUniform", "config": {"minval": -1, "maxval": 1, "seed": None}},
        "embeddings_regularizer": None, "activity_regularizer": None, "embeddings_constraint": None,
        "mask_zero": False}}  # fmt: skip
    model = model_of(entry, "2.0.5", shape=(None, 5))
    assert model.layers[0].dtype_policy == "float32"
    assert model.inputs[0].dtype == ("float32" if dtype == "float32" else "int32")
    ids = np.array([[0, 1, 2, 8, 3]])
    np.testing.assert_array_equal(model.predict(ids), model.get_weights()[0][ids])


@pytest.mark.parametrize(("name", "options", "shape"), [
    ("Flatten", {"data_format": "channels_last"}, (None, 5, 4)), ("Reshape", {"target_shape": [4, 5]}, (None, 5, 4)),
    ("RepeatVector", {"n": 3}, (None, 4)), ("Permute", {"dims": [2, 1]}, (None, 5, 4)),
])  # fmt: skip
def test_layers_that_keep_integers(name, options, shape):
    """TensorFlow 1 wrote the input's dtype as that of the layer."""
    model_of({"class_name": name, "config": {"name": "x", "trainable": True, "dtype": "int32", **options}}, shape=shape)
    with pytest.raises(ValueError, match="int32"):
        model_of(dense(dtype="int32"))


@pytest.mark.parametrize(("name", "options"), [
    ("LSTM", {"units": 3, "implementation": 1, "time_major": False, "dynamic": False, "num_constants": None}),
    ("GRU", {"units": 3, "implementation": 2, "reset_after": False, "rng_type": "legacy_stateful"}),
    ("SimpleRNN", {"units": 3, "dynamic": True}),
    ("Dropout", {"rate": 0.1, "noise_shape": None, "seed": None, "rng_type": "stateless"}),
    ("Softmax", {"axis": -1, "robust_masking": True}),
    ("Softmax", {"axis": [-1]}),
    ("LeakyReLU", {"alpha": {"type": "ndarray", "value": 0.25}}),
    ("ReLU", {"max_value": {"type": "ndarray", "value": 6.0}, "negative_slope": 0.0, "threshold": 0.0}),
    ("ELU", {"alpha": 1.0}),
])  # fmt: skip
def test_keys_that_mean_nothing(name, options):
    layer = model_of({"class_name": name, "config": {"name": "x", "trainable": True, **options}}, shape=(None, 5, 4))
    if name == "LeakyReLU":
        assert layer.layers[0].negative_slope == 0.25
    with pytest.raises(ValueError, match="unknown_key"):
        model_of({"class_name": name, "config": {"name": "x", **options, "unknown_key": 1}}, shape=(None, 5, 4))


def test_keys_that_mean_nothing_elsewhere_are_refused():
    for options in ({"rng_type": "stateless"}, {"robust_masking": True}, {"num_constants": None}):
        with pytest.raises(ValueError, match=next(iter(options))):
            model_of(dense(**options))


def test_keys_that_mean_something_else_are_refused():
    for options, match in (({"time_major": True}, "time_major"), ({"num_constants": 1}, "constants")):
        with pytest.raises(ValueError, match=match):
            model_of({"class_name": "LSTM", "config": {"name": "x", "units": 3, **options}}, shape=(None, 5, 4))


# ---- how models were compiled ----------------------------------------------------------------------------------------


def compiled(tmp_path, optimizer, version="2.4.0", loss="mse", metrics=None):
    """The model of a full-model `.h5` of Keras 1 or 2."""
    training = {"optimizer_config": optimizer, "loss": loss, "metrics": metrics, "loss_weights": None}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = fastseq.load_model(h5_model(tmp_path / "m.h5", sequential(), version=version, training=training))
    assert [str(w.message) for w in caught] == []
    assert model.optimizer is not None
    model.train_on_batch(np.ones((2, 3), "f"), np.ones((2, 2), "f"))
    return model


# (class, config as written, what it means here), after keras/optimizers.py and keras/optimizers/ of the versions named
OPTIMIZERS = [
    # 1.2 to 2.2
    ("SGD", {"lr": 0.1, "momentum": 0.5, "decay": 0.0, "nesterov": True}, {"momentum": 0.5, "nesterov": True}),
    ("RMSprop", {"lr": 0.1, "rho": 0.8, "epsilon": 1e-8, "decay": 0.0}, {"rho": 0.8, "epsilon": 1e-8}),
    ("Adagrad", {"lr": 0.1, "epsilon": 1e-8, "decay": 0.0}, {"initial_accumulator_value": 0.0}),
    ("Adadelta", {"lr": 0.1, "rho": 0.9, "epsilon": 1e-8, "decay": 0.0}, {"rho": 0.9}),
    ("Adam", {"lr": 0.1, "beta_1": 0.8, "beta_2": 0.99, "epsilon": None, "decay": 0.0, "amsgrad": True},
     {"beta_1": 0.8, "epsilon": 1e-7, "amsgrad": True}),
    ("Nadam", {"lr": 0.1, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-8, "schedule_decay": 0.004},
     {"schedule_decay": 0.004}),
    ("SGD", {"lr": 0.1, "clipnorm": 2.0}, {"clipnorm": 2.0}),
    ("SGD", {"name": "SGD", "lr": 0.1, "clipvalue": 2.0}, {"clipvalue": 2.0}),
    # TensorFlow 2.0 to 2.10, OptimizerV2
    ("SGD", {"name": "SGD", "learning_rate": 0.1, "decay": 0.0, "momentum": 0.0, "nesterov": False}, {}),
    ("RMSprop", {"name": "RMSprop", "learning_rate": 0.1, "decay": 0.0, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-07,
                 "centered": True}, {"centered": True}),
    ("Nadam", {"name": "Nadam", "learning_rate": 0.1, "decay": 0.004, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-07},
     {"schedule_decay": 0.004}),
    ("Adagrad", {"name": "Adagrad", "learning_rate": 0.1, "decay": 0.0, "initial_accumulator_value": 0.1,
                 "epsilon": 1e-07}, {"initial_accumulator_value": 0.1}),
    # Keras 2.11 to 2.15
    *[(f"Custom>{name}", {
        "name": name, "weight_decay": None, "clipnorm": None, "global_clipnorm": None, "clipvalue": None,
        "use_ema": False, "ema_momentum": 0.99, "ema_overwrite_frequency": 100, "jit_compile": True,
        "is_legacy_optimizer": False, "learning_rate": 0.1, **own}, {})
      for name, own in (
          ("Adam", {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-07, "amsgrad": False}),
          ("RMSprop", {"rho": 0.9, "momentum": 0.0, "epsilon": 1e-07, "centered": False}),
          ("SGD", {"momentum": 0.0, "nesterov": False}), ("Adadelta", {"rho": 0.95, "epsilon": 1e-07}),
          ("Adagrad", {"initial_accumulator_value": 0.1, "epsilon": 1e-07}),
          ("Nadam", {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-07}),
      )],
    ("Custom>AdamW", {"name": "AdamW", "weight_decay": 0.004, "learning_rate": 0.1, "jit_compile": False,
                      "is_legacy_optimizer": False}, {"weight_decay": 0.004}),
    ("adam", {"learning_rate": 0.1}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "config", "meaning"), OPTIMIZERS)
def test_optimizers(tmp_path, name, config, meaning):
    optimizer = compiled(tmp_path, {"class_name": name, "config": config}).optimizer
    assert type(optimizer).__name__.lower() == name.removeprefix("Custom>").lower()
    assert float(optimizer.learning_rate) == np.float32(0.1)
    for key, value in meaning.items():
        assert getattr(optimizer, key) == value


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adagrad", "Adadelta"])
def test_a_decay_goes_on(tmp_path, name):
    optimizer = compiled(tmp_path, {"class_name": name, "config": {"lr": 0.5, "decay": 0.25}}).optimizer
    # keras/optimizers.py of Keras 1 and 2: lr *= 1 / (1 + decay * iterations)
    assert [optimizer._learning_rate(step) for step in (0, 1, 4)] == [0.5, np.float32(0.4), 0.25]
    assert optimizer.learning_rate == np.float32(0.4)  # after a step


def test_loss_scales_are_left_out(tmp_path):
    adam = {"class_name": "Adam", "config": {"name": "Adam", "learning_rate": 0.25, "decay": 0.0}}
    wrappers = [
        # TensorFlow 2.1 to 2.3, Keras 2.4 to 2.10, 2.11 on
        ("LossScaleOptimizer", {"optimizer": adam, "loss_scale": {"class_name": "DynamicLossScale", "config": {}}}),
        ("LossScaleOptimizer", {"inner_optimizer": adam, "dynamic": True, "initial_scale": 32768.0,
                                "dynamic_growth_steps": 2000}),
        ("LossScaleOptimizerV3", {"inner_optimizer": {**adam, "class_name": "Custom>Adam"}, "dynamic": True}),
    ]  # fmt: skip
    for name, config in wrappers:
        optimizer = compiled(tmp_path, {"class_name": name, "config": config}).optimizer
        assert type(optimizer).__name__ == "Adam" and float(optimizer.learning_rate) == 0.25
    config = {"name": "scaled", "initial_scale": 32768.0, "dynamic_growth_steps": 2000, "inner_optimizer": {
        **adam, "module": "keras.optimizers", "registered_name": None, "config": {"learning_rate": 0.25}}}  # fmt: skip
    optimizer = {"module": "keras.optimizers", "class_name": "LossScaleOptimizer", "config": config}
    saved = {**sequential(), "compile_config": {"optimizer": optimizer, "loss": "mse"}}
    with pytest.warns(UserWarning, match="was not taken over"):  # there is none in the file
        model = fastseq.load_model(keras_file(tmp_path / "m.keras", saved))
    assert type(model.optimizer).__name__ == "Adam" and float(model.optimizer.learning_rate) == 0.25


def test_a_users_own_custom_name_goes_first(tmp_path):
    @fastseq.saving.register_keras_serializable(name="Adam")
    class Own(fastseq.optimizers.SGD):
        pass

    try:
        assert type(compiled(tmp_path, {"class_name": "Custom>Adam", "config": {}}).optimizer) is Own
    finally:
        fastseq.saving.get_custom_objects().pop("Custom>Adam")


@pytest.mark.parametrize(("name", "config", "match"), [
    ("Custom>Adamax", {}, "'Adamax'"), ("SGD", {"learning_rate": 0.1, "unknown": 1}, "unknown"),
    ("SGD", {"learning_rate": {"class_name": "ExponentialDecay", "config": {
        "initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5}}, "decay": 0.1}, "decay"),
    ("SGD", {"lr": 0.1, "decay": "x"}, "decay"),
    ("SGD", {"lr": 10**400, "decay": 10**400}, "decay"), ("Custom>Nothing", {}, "Custom>Nothing"),
    ("LossScaleOptimizer", {"dynamic": True}, "LossScaleOptimizer"),
])  # fmt: skip
def test_what_is_not_there_leaves_the_model_uncompiled(tmp_path, name, config, match):
    training = {"optimizer_config": {"class_name": name, "config": config}, "loss": "mse"}
    with pytest.warns(UserWarning, match=f"not compiled: .*{match}"):
        model = fastseq.load_model(h5_model(tmp_path / "m.h5", sequential(), version="2.12.0", training=training))
    assert model.optimizer is None and model.predict(np.ones((1, 3))).shape == (1, 2)


@pytest.mark.parametrize(("loss", "metrics"), [
    ("mape", ["MAPE"]), ("mean_absolute_percentage_error", [["mean_absolute_percentage_error"]]),
    ({"class_name": "MeanAbsolutePercentageError", "config": {"reduction": "auto", "name": "m"}},
     [[{"class_name": "MeanAbsolutePercentageError", "config": {"name": "m", "dtype": "float32"}}]]),
    # tf.keras 2.10 on writes the function beside the class
    ({"class_name": "Huber", "config": {"reduction": "auto", "name": "h", "delta": 2.0, "fn": "huber"}}, None),
    ({"class_name": "MeanSquaredError", "config": {"reduction": "sum", "name": "m", "fn": "mean_squared_error"}}, None),
    ("mse", [[{"class_name": "MeanMetricWrapper", "config": {"name": "m", "fn": "mean_absolute_error"}}]]),
])  # fmt: skip
def test_losses_and_metrics(tmp_path, loss, metrics):
    model = compiled(tmp_path, {"class_name": "SGD", "config": {"learning_rate": 0.1}}, loss=loss, metrics=metrics)
    if isinstance(loss, dict) and loss["class_name"] == "Huber":
        assert model._trainer.compiled.losses[0]._fn_kwargs == {"delta": 2.0}


# ---- what Keras 3.15 and tf_keras write ------------------------------------------------------------------------------


def _layers(k):
    L, legacy = k.layers, k.__name__ == "tf_keras"
    yield from (L.LSTM(3, dropout=0.1), L.GRU(3), L.SimpleRNN(3), L.Bidirectional(L.LSTM(3)), L.Dropout(0.1))
    yield from (L.TimeDistributed(L.Dense(3)), L.RNN([L.LSTMCell(3), L.GRUCell(3)]), L.GaussianNoise(0.1))
    yield from (L.LeakyReLU(), L.ELU(), L.ReLU(6.0), L.PReLU(), L.Softmax(), L.AlphaDropout(0.1), L.Flatten())
    yield from (L.SpatialDropout1D(0.1), L.Masking(), L.Permute((2, 1)), L.Reshape((-1,)), L.Activation("tanh"))
    if legacy:
        yield L.LocallyConnected1D(3, 2)
        yield L.Softmax(robust_masking=True)
    for name, _ in TF1_INITIALIZERS:
        yield L.Dense(4, kernel_initializer=getattr(k.initializers, name)(), bias_initializer="ones")
    for name in ("L1", "L2", "L1L2", "OrthogonalRegularizer"):
        yield L.Dense(4, kernel_regularizer=getattr(k.regularizers, name)(0.1))
    for name in ("MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"):
        yield L.Dense(4, kernel_constraint=getattr(k.constraints, name)())


@pytest.mark.tensorflow
@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_layers_that_keras_writes(library):
    k = pytest.importorskip(library)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for layer in _layers(k):
            text = k.Sequential([k.Input((5, 4)), layer]).to_json()
            found = fastseq.models.model_from_json(text).layers[0]
            assert type(found).__name__ == type(layer).__name__


@pytest.mark.tensorflow
@pytest.mark.parametrize("library", ["keras", "tf_keras", "legacy"])
def test_optimizers_that_keras_writes(library, tmp_path):
    k = pytest.importorskip("keras" if library == "keras" else "tf_keras")
    module = k.optimizers.legacy if library == "legacy" else k.optimizers
    for name in ("Adadelta", "Adagrad", "Adam", "AdamW", "Nadam", "RMSprop", "SGD"):
        if not hasattr(module, name):
            continue
        optimizer = getattr(module, name)(learning_rate=0.25, clipnorm=1.0)
        serialized = json.loads(json.dumps(k.optimizers.serialize(optimizer), default=float))
        version = "3.15.1" if library == "keras" else "2.15.0"
        training = {"optimizer_config": serialized, "loss": "mape", "metrics": None, "loss_weights": None}
        path = h5_model(tmp_path / "m.h5", sequential(), version=version, training=training)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = fastseq.load_model(path).optimizer
        assert type(found).__name__ == name and float(found.learning_rate) == 0.25 and found.clipnorm == 1.0
        if name == "Nadam":
            assert found.schedule_decay == (0.004 if library == "legacy" else 1.0)


@pytest.mark.tensorflow
@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_adadelta_in_files(tmp_path, library):
    """Its state goes there and back with Keras 3.15; a file of Keras 2 starts it anew."""
    k = pytest.importorskip(library)
    theirs = k.Sequential([k.Input((3,)), k.layers.Dense(2)])
    theirs.compile(k.optimizers.Adadelta(0.5, rho=0.9), "mape", run_eagerly=True)
    x, y = np.ones((4, 3), "f"), np.full((4, 2), 2.0, "f")
    theirs.train_on_batch(x, y)
    theirs.save(tmp_path / "m.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error" if library == "keras" else "ignore")
        ours = fastseq.load_model(tmp_path / "m.keras")
    assert (type(ours.optimizer).__name__, ours.optimizer.rho) == ("Adadelta", 0.9)
    if library == "tf_keras":
        return
    ours.save(tmp_path / "again.keras")
    again = k.models.load_model(tmp_path / "again.keras")
    for model in (theirs, ours, again):
        for _ in range(3):
            model.train_on_batch(x, y)
    for model in (theirs, again):
        for own, other in zip(ours.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-6)


def test_nadams_state_of_keras_before_3_10():
    optimizer = fastseq.optimizers.Nadam()
    optimizer.build([fastseq.Variable(np.zeros((2, 3), "f"), "a"), fastseq.Variable(np.zeros(2, "f"), "b")])
    moments = [np.full((2, 3), 1.0), np.full((2, 3), 2.0), np.full(2, 3.0), np.full(2, 4.0)]
    values = [np.int64(7), np.float32(0.5), *moments, np.float32(0.25)]
    older = [*values[:2], values[-1], *values[2:-1]]
    for order in (values, older):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            optimizer.load_own_variables({str(index): value for index, value in enumerate(order)})
        for variable, value in zip(optimizer.variables, values, strict=True):
            np.testing.assert_array_equal(variable.numpy(), value)
            variable.assign(np.zeros(variable.shape))
