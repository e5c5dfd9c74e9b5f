"""Gradients through layers of random noise: against central differences in float64 of a twin with the same noise."""

import numpy as np
import pytest

import fastseq
from fastseq import layers
from fastseq.training.program import gradients_of

B, T, N, STEP = 5, 7, 3, 1e-5
LAYERS = {
    "Dropout": lambda: layers.Dropout(0.4, seed=3),
    "Dropout of whole timesteps": lambda: layers.Dropout(0.4, noise_shape=(None, None, 1), seed=3),
    "SpatialDropout1D": lambda: layers.SpatialDropout1D(0.4, seed=3),
    "GaussianDropout": lambda: layers.GaussianDropout(0.4, seed=3),
    "GaussianNoise": lambda: layers.GaussianNoise(0.4, seed=3),
    "AlphaDropout": lambda: layers.AlphaDropout(0.4, seed=3),
}


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("name", LAYERS)
def test_noise(name):
    x, y = draw(B, T, N).astype("f"), draw(B, T, 2, seed=1).astype("f")
    model = fastseq.Sequential([layers.Dense(4, activation="tanh"), LAYERS[name](), layers.Dense(2)])
    model(x)
    weights = [draw(*weight.shape, seed=2 + i).astype("f") for i, weight in enumerate(model.get_weights())]
    model.set_weights(weights)
    # All of them are scale * x + shift with random numbers that do not depend on x: a layer's first draw gives them.
    shift = LAYERS[name]()(np.zeros((B, T, 4), "f"), training=True).astype("f8")
    scale = LAYERS[name]()(np.ones((B, T, 4), "f"), training=True).astype("f8") - shift
    assert scale.std() > 0.1 or shift.std() > 0.1

    def loss_of(weights):
        kernel, bias, last_kernel, last_bias = weights
        inside = np.tanh(x.astype("f8") @ kernel + bias) * scale + shift
        return np.mean(np.square(inside @ last_kernel + last_bias - y))

    value, found = gradients_of(model, x, y, "mse")
    weights = [weight.astype("f8") for weight in weights]
    assert value == pytest.approx(loss_of(weights), rel=1e-6)
    for number, gradient in enumerate(found):
        way = draw(*gradient.shape, seed=9)
        ends = []
        for sign in (1, -1):
            moved = list(weights)
            moved[number] = weights[number] + sign * STEP * way
            ends.append(loss_of(moved))
        slope = (ends[0] - ends[1]) / (2 * STEP)
        limit = 1e-5 * np.linalg.norm(way) * np.linalg.norm(gradient)
        assert abs(np.vdot(gradient, way) - slope) <= limit and abs(slope) > 1e-3, number
