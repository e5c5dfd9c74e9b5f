"""LayerNormalization and RMSNormalization: the kernels beside the operations that compute the same, and the twin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_check import isa

import fastseq
from fastseq import layers, ops
from fastseq.layers.normalization.layer_normalization import reference_layer_normalization
from fastseq.layers.normalization.rms_normalization import reference_rms_normalization
from fastseq.native import runtime
from fastseq.training.program import gradients_of

SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=2).flatmap(
    lambda rows: st.sampled_from([1, 2, 7, 15, 16, 17, 48, 63, 64, 65, 130, 200]).map(lambda n: (*rows, n))
)


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def composed(x, *weights, name, epsilon, center=True):
    """The same by operations."""
    if name == "RMSNormalization":
        return ops.rms_normalization(x, weights[0], -1, epsilon)
    return ops.layer_normalization(x, *weights, axis=-1, epsilon=epsilon)


@pytest.mark.parametrize("name", ["LayerNormalization", "RMSNormalization"])
@given(SHAPES, st.floats(-100, 100), st.sampled_from([1e-6, 1e-3, 1.0]))
@settings(max_examples=40, deadline=None)
def test_the_kernel_gives_what_the_operations_give(name, shape, shift, epsilon):
    """Its error against float64 is at most 1.5 times theirs, on every instruction set, with the same bits."""
    x = 3 * random(*shape) + np.float32(shift)
    layer = getattr(layers, name)(epsilon=epsilon)
    layer.build(shape)
    layer.set_weights([random(*weight.shape, seed=1) for weight in layer.weights])
    twin = {"LayerNormalization": reference_layer_normalization, "RMSNormalization": reference_rms_normalization}[name]
    truth = twin(x.astype("f8"), *(weight.astype("f8") for weight in layer.get_weights()), epsilon=epsilon)
    found = layer(x)
    by_operations = composed(x, *layer.get_weights(), name=name, epsilon=epsilon)
    floor = 2 * np.finfo("f4").eps * np.abs(truth).max()
    assert np.abs(found - truth).max() <= max(1.5 * np.abs(by_operations - truth).max(), floor)
    for words in runtime.available_isas():
        with isa(words):
            again = layer(x)
        if words != "scalar":
            np.testing.assert_array_equal(again, found)
    np.testing.assert_array_equal(layer(x[:1]), found[:1])


def gradients(make, x, y):
    """(those by the weights, one layer before the normalization among them) of a model."""
    start = fastseq.Input(x.shape[1:])
    model = fastseq.Model(start, make(layers.Dense(x.shape[-1], use_bias=False)(start)))
    model.set_weights([random(*weight.shape, seed=2) for weight in model.weights])
    return gradients_of(model, x, y, "mse")[1]


class ByOperations(layers.Layer):
    """The layer of that name as its operations."""

    def __init__(self, kind, center, scale, **kwargs):
        super().__init__(**kwargs)
        self.kind, self.center, self.scale = kind, center, scale

    def build(self, shape):
        self.gamma = self.add_weight(shape[-1:]) if self.scale else None
        self.beta = self.add_weight(shape[-1:]) if self.center else None

    def call(self, x):
        if self.kind == "RMSNormalization":
            return ops.rms_normalization(x, self.gamma, -1, 1e-2)
        return ops.layer_normalization(x, self.gamma, self.beta, -1, 1e-2)


@pytest.mark.parametrize("shape", [(1, 1), (3, 17), (40, 64), (5, 13, 70)], ids=str)
@pytest.mark.parametrize("name, center, scale", [
    ("LayerNormalization", True, True), ("LayerNormalization", False, True), ("LayerNormalization", True, False),
    ("LayerNormalization", False, False), ("RMSNormalization", False, True),
])  # fmt: skip
def test_the_kernels_gradients_are_those_of_the_operations(name, center, scale, shape):
    x, y = random(*shape), random(*shape, seed=1)
    options = {} if name == "RMSNormalization" else {"center": center, "scale": scale}
    fused = gradients(getattr(layers, name)(epsilon=1e-2, **options), x, y)
    for one, other in zip(fused, gradients(ByOperations(name, center, scale), x, y), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=4e-6 * max(np.abs(other).max(), 1e-3))


def test_gradients_have_the_same_bits_on_any_threads_and_instruction_set():
    x, y, found = random(70, 9, 40), random(70, 9, 40, seed=1), []
    for threads in (1, 2, 3):
        for words in (words for words in runtime.available_isas() if words != "scalar"):
            with isa(words), runtime.num_threads(threads):
                found.append(gradients(layers.LayerNormalization(), x, y))
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_several_axes_are_one_row():
    layer, x = layers.LayerNormalization(axis=[1, 2]), random(3, 4, 5)
    truth = reference_layer_normalization(x.astype("f8"), axis=(1, 2))
    np.testing.assert_allclose(layer(x), truth, rtol=0, atol=1e-6)
    kernels = [kernel for _, kernel, _ in layer._programs.program(layer, {"inputs": x}).describe()]
    assert len(kernels) == 1 and kernels[0].startswith("fs_f32_layer_norm__")


def test_a_long_row_keeps_its_small_variance():
    x = random(2, 100_003) + 1000
    truth = reference_layer_normalization(x.astype("f8"))
    np.testing.assert_allclose(layers.LayerNormalization()(x), truth, rtol=0, atol=1e-3)


def test_what_is_no_number_stays_in_its_row():
    x = random(4, 20)
    x[1, 3], x[2, 5] = np.nan, np.inf
    for name in ("LayerNormalization", "RMSNormalization"):
        y = getattr(layers, name)()(x)
        assert np.isnan(y[1]).all() and np.isnan(y[2, 5])
        np.testing.assert_array_equal(y[[0, 3]], getattr(layers, name)()(x[[0, 3]]))


def test_no_rows_and_no_features():
    layer = layers.LayerNormalization()
    assert layer(np.zeros((0, 3), "f")).shape == (0, 3)
    assert layers.LayerNormalization()(np.zeros((2, 0), "f")).shape == (2, 0)
