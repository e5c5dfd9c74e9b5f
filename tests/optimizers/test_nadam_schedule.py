"""Nadam's schedule_decay of Keras 1 and 2: the numbers that a model was trained with, and what is saved of them."""

import copy
import warnings

import numpy as np
import pytest

import fastseq
from fastseq import optimizers
from fastseq.tensors.variable import Variable


def _keras_2(x, gradients, decay, rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """keras/optimizers.py of Keras 2.2.4, in float64."""
    m, v, product = 0.0, 0.0, 1.0
    for t, g in enumerate(gradients, 1):
        now, following = (beta_1 * (1.0 - 0.5 * 0.96 ** (step * decay)) for step in (t, t + 1))
        product *= now
        m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g * g
        mean = (1 - now) * g / (1 - product) + following * m / (1 - product * following)
        x = x - rate * mean / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
    return x


@pytest.mark.parametrize("decay", [0.004, 0.1, 1.0])
def test_steps_are_those_of_keras_2(decay):
    rng = np.random.default_rng(0)
    start = rng.standard_normal((3, 5)).astype("f")
    gradients = [rng.standard_normal((3, 5)).astype("f") for _ in range(10)]
    weight = Variable(start, "w")
    optimizer = optimizers.Nadam(schedule_decay=decay)
    for gradient in gradients:
        optimizer.apply([gradient], [weight])
    expected = _keras_2(start.astype(float), [g.astype(float) for g in gradients], decay)
    np.testing.assert_allclose(weight.numpy(), expected, rtol=0, atol=2e-6)
    if decay != 1:
        usual = _keras_2(start.astype(float), [g.astype(float) for g in gradients], 1.0)
        assert np.abs(usual - expected).max() > 1e-5


def test_the_config_keeps_it():
    config = optimizers.Nadam(schedule_decay=0.004).get_config()
    assert config["schedule_decay"] == 0.004
    assert optimizers.Nadam.from_config(config).schedule_decay == 0.004
    assert "schedule_decay" not in optimizers.Nadam().get_config()


def test_saving_tells_that_keras_3_has_no_such_option(tmp_path):
    model = fastseq.Sequential([fastseq.Input((3,)), fastseq.layers.Dense(2)])
    model.compile(optimizers.Nadam(schedule_decay=0.004), "mse")
    model.train_on_batch(np.ones((2, 3)), np.ones((2, 2)))
    for name in ("m.keras", "m.h5"):
        with pytest.warns(UserWarning, match=r"schedule_decay=0\.004.*compile=False") as caught:
            model.save(tmp_path / name)
        assert [warning.filename for warning in caught] == [__file__]
        assert fastseq.load_model(tmp_path / name).optimizer.schedule_decay == 0.004
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.save(tmp_path / "m.keras", include_optimizer=False)
        assert copy.deepcopy(model).optimizer.schedule_decay == 0.004


@pytest.mark.tensorflow
def test_steps_are_those_of_the_legacy_optimizer():
    import tensorflow as tf
    import tf_keras

    rng = np.random.default_rng(1)
    start = rng.standard_normal((3, 5)).astype("f")
    gradients = [rng.standard_normal((3, 5)).astype("f") for _ in range(10)]
    theirs, ours = tf.Variable(start), Variable(start, "w")
    legacy, optimizer = tf_keras.optimizers.legacy.Nadam(), optimizers.Nadam(schedule_decay=0.004)
    for gradient in gradients:
        legacy.apply_gradients([(tf.constant(gradient), theirs)])
        optimizer.apply([gradient], [ours])
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=0, atol=1e-6)
