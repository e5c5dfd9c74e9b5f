"""Callbacks against Keras's: both are told the same logs, and do the same to the same model."""

import inspect
import itertools
import warnings

import numpy as np
import pytest
from callback_runs import run

from fastseq import callbacks, metrics

pytestmark = pytest.mark.tensorflow
keras = pytest.importorskip("keras")

NOISE = np.random.default_rng(3).uniform(0, 1, 24)
SEQUENCES = {
    "falling": [1 / (1 + i) for i in range(8)],
    "rising": [float(i) for i in range(8)],
    "plateau": [3, 2, 1, 1, 1, 1, 1, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8],
    "noise": list(NOISE),
    "nan": [1.0, np.nan, 0.5, np.nan, np.nan, np.nan],
    "slow": [1 - 1e-5 * i for i in range(12)],
}


class Shown:
    """What callbacks touch of a model, with Keras's optimizer or fastseq's, and a record of it."""

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.record = []
        self.weight = 0
        self.built, self.stop_training, self.epochs = True, False, 0
        self._initial_epoch = self._initial_batch = 0
        self.metrics = []

    def step(self):
        self.weight += 1

    def get_weights(self):
        return [self.weight]

    def set_weights(self, weights):
        self.record.append(("set", weights[0]))

    def save(self, path, overwrite=True):
        self.record.append(("save", str(path), self.weight))

    def save_weights(self, path, overwrite=True):
        self.record.append(("save_weights", str(path), self.weight))


def of_both(make, logs, watch, steps=3):
    """What `watch(callback, model)` sees after every epoch, with ours and with Keras's callback."""
    found = []
    for module in (callbacks, keras.callbacks):
        model = Shown(keras.optimizers.SGD(0.5))
        callback, seen = make(module), []

        class Watch(module.Callback):
            def on_epoch_end(self, epoch, logs=None, callback=callback, model=model, seen=seen):
                seen.append((watch(callback, model), dict(logs)))

        listed = module.CallbackList([callback, Watch()], add_history=True, model=model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run(model, listed, [dict(entry) for entry in logs], steps)
        found.append((seen, model.record, model.epochs, model.stop_training, model.history.history))
    return found


def logs_of(name):
    return [{"loss": float(value), "val_loss": float(value), "acc": -float(value)} for value in SEQUENCES[name]]


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("arguments", [
    {}, {"patience": 2}, {"patience": 2, "restore_best_weights": True}, {"patience": 1, "min_delta": 0.1},
    {"monitor": "acc", "mode": "max", "patience": 2}, {"patience": 1, "baseline": 0.5}, {"start_from_epoch": 3},
    {"monitor": "missing"}, {"patience": 3, "restore_best_weights": True, "start_from_epoch": 2},
], ids=str)  # fmt: skip
def test_early_stopping(name, arguments, capsys):
    arguments = {"mode": "min", "verbose": 1, **arguments}

    def watch(callback, model):
        return callback.wait, callback.best, callback.stopped_epoch, callback.best_epoch, model.stop_training

    ours, theirs = of_both(lambda module: module.EarlyStopping(**arguments), logs_of(name), watch)
    np.testing.assert_equal(ours, theirs)


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("arguments", [
    {}, {"patience": 2}, {"patience": 1, "cooldown": 2}, {"patience": 1, "min_lr": 0.2, "factor": 0.5},
    {"patience": 2, "min_delta": 0.05, "factor": 0.3}, {"monitor": "acc", "mode": "max", "patience": 1},
    {"monitor": "missing"},
], ids=str)  # fmt: skip
def test_reduce_lr_on_plateau(name, arguments):
    def watch(callback, model):
        return callback.wait, callback.best, callback.cooldown_counter, float(model.optimizer.learning_rate)

    arguments = {"mode": "min", "verbose": 1, **arguments}
    ours, theirs = of_both(lambda module: module.ReduceLROnPlateau(**arguments), logs_of(name), watch)
    np.testing.assert_equal(ours, theirs)


@pytest.mark.parametrize("file", ["best.h5", "best.keras"])
def test_whole_models_are_loaded_by_keras(file, tmp_path):
    import fastseq

    x, y = np.random.default_rng(0).random((2, 20, 3), "f")
    model = fastseq.Sequential([fastseq.Input((3,)), fastseq.layers.Dense(3)])
    model.compile("adam", "mse")
    saving = callbacks.ModelCheckpoint(tmp_path / file, monitor="loss", save_best_only=True)
    model.fit(x, y, epochs=2, verbose=0, callbacks=[saving])
    assert saving.best == min(model.history.history["loss"])
    for library in (keras, fastseq):
        found = library.models.load_model(tmp_path / file)
        np.testing.assert_allclose(found.predict(x, verbose=0), model.predict(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("arguments", [
    {}, {"save_best_only": True}, {"save_best_only": True, "initial_value_threshold": 0.6}, {"save_freq": 2},
    {"save_freq": 4}, {"save_best_only": True, "monitor": "acc", "mode": "max"},
    {"save_best_only": True, "monitor": "missing"}, {"save_weights_only": True}, {"save_freq": 0},
], ids=str)  # fmt: skip
def test_model_checkpoint(name, arguments, tmp_path):
    ending = ".weights.h5" if arguments.get("save_weights_only") else ".keras"
    place = "{epoch:03d}-{batch}" if "save_freq" in arguments else "{epoch:03d}-{val_loss:.2f}"
    arguments = {"filepath": str(tmp_path / f"{place}{ending}"), "mode": "min", **arguments}

    def watch(callback, model):
        return callback.best, list(model.record)

    ours, theirs = of_both(lambda module: module.ModelCheckpoint(**arguments), logs_of(name), watch)
    np.testing.assert_equal(ours, theirs)
    assert ours[1] or name == "nan" or "initial_value_threshold" in arguments


def test_learning_rate_scheduler():
    for schedule in (lambda epoch: 0.1 * (epoch + 1), lambda epoch, rate: rate * 0.5):
        ours, theirs = of_both(
            lambda module, schedule=schedule: module.LearningRateScheduler(schedule, verbose=1),
            logs_of("falling"),
            lambda callback, model: float(model.optimizer.learning_rate),
        )
        np.testing.assert_equal(ours, theirs)


@pytest.mark.parametrize("name", ["falling", "nan"])
def test_terminate_on_nan(name):
    ours, theirs = of_both(lambda module: module.TerminateOnNaN(), logs_of(name), lambda callback, model: model.weight)
    np.testing.assert_equal(ours, theirs)


def test_csv_logger(tmp_path):
    logs = [{"loss": 0.5, "acc": 1.0}, {"loss": 0.25, "val_loss": 2.0}, {"acc": 0.1, "loss": "text"}]
    for separator, append, times in itertools.product((",", ";"), (False, True), (1, 2)):
        texts = []
        for module in (callbacks, keras.callbacks):
            path = tmp_path / f"{module.__name__}{separator}{append}{times}.csv"
            for _ in range(times):
                model = Shown(None)
                run(model, module.CallbackList([module.CSVLogger(path, separator, append)], model=model), logs)
            texts.append(path.read_bytes())
        assert texts[0] == texts[1] and texts[0].count(b"\n") == (7 if append and times == 2 else 4)


@pytest.mark.parametrize("name", ["BinaryAccuracy", "Precision", "Recall", "MeanSquaredError", "MeanAbsoluteError",
                                  "TopKCategoricalAccuracy"])  # fmt: skip
def test_auto_mode_knows_the_direction_of_metrics(name):
    from keras.src.trainers.compile_utils import MetricsList

    best = []
    for module, metric in ((callbacks, getattr(metrics, name)()), (keras.callbacks, getattr(keras.metrics, name)())):
        model = Shown(keras.optimizers.SGD(0.5))
        metric.name = "watched"
        model.metrics = [MetricsList([metric]) if module is keras.callbacks else metric]
        stopping = module.EarlyStopping("val_watched", patience=10)
        run(model, module.CallbackList([stopping], model=model), [{"val_watched": value} for value in (2.0, 3.0, 1.0)])
        best.append(stopping.best)
    assert best[0] == best[1] == (1.0 if "Error" in name else 3.0)


def test_names_and_arguments_are_those_of_keras():
    for name in callbacks.__all__:
        ours = inspect.signature(getattr(callbacks, name).__init__)
        theirs = inspect.signature(getattr(keras.callbacks, name).__init__)
        known = [name for name in theirs.parameters if name in ours.parameters or name != "kwargs"]
        assert list(ours.parameters) == known, name
        assert all(ours.parameters[key].default == theirs.parameters[key].default for key in known), name
