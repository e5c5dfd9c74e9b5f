"""Files of Keras 1 with Highway, MaxoutDense and Merge(mode="cos"), against its formulas in NumPy."""

import numpy as np
import pytest
from test_saving_keras1 import base, dense, draw, write

import fastseq
from fastseq.layers.core.highway import reference_highway, reference_maxout

PLAIN = {"init": "glorot_uniform", "W_regularizer": None, "b_regularizer": None, "activity_regularizer": None,
         "W_constraint": None, "b_constraint": None, "bias": True}  # fmt: skip
X = np.random.default_rng(3).standard_normal((4, 5)).astype("f")


def entry(kind, name, shape=None, **options):
    return {"class_name": kind, "config": {**base(name, shape), **PLAIN, **options}}


@pytest.mark.filterwarnings("ignore:.*which Keras 3 does not have")
def test_both_are_read_trained_and_saved(tmp_path):
    layers = [
        entry("Highway", "first", activation="linear", input_dim=5),
        entry("MaxoutDense", "second", output_dim=3, nb_feature=2, input_dim=None),
    ]
    highway, maxout = draw((5, 5), (5, 5), (5,), (5,)), draw((2, 5, 3), (2, 3), seed=1)
    weights = {
        "first": dict(zip(("W", "W_carry", "b", "b_carry"), highway)), "second": dict(zip(("W", "b"), maxout)),
    }  # fmt: skip
    model = fastseq.load_model(write(tmp_path / "m.h5", {"class_name": "Sequential", "config": layers}, weights))
    assert model.input_shape == (None, 5) and model.output_shape == (None, 3)
    wanted = reference_maxout(reference_highway(*(a.astype("f8") for a in (X, *highway))), *maxout)
    np.testing.assert_allclose(model(X), wanted, rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(fastseq.load_model(tmp_path / "m.keras")(X), model(X))
    model.compile("sgd", "mse")
    losses = model.fit(X, np.zeros((4, 3), "f"), epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_the_cosine_of_two_branches(tmp_path):
    branches = [{"class_name": "Sequential", "config": [dense(3, 5, name, (5,))]} for name in ("left", "right")]
    merge = {"class_name": "Merge", "config": {**base("cosine"), "mode": "cos", "concat_axis": -1, "dot_axes": -1,
                                               "layers": branches}}  # fmt: skip
    left, right = draw((5, 3), (3,)), draw((5, 3), (3,), seed=1)
    weights = {"left": dict(zip("Wb", left)), "right": dict(zip("Wb", right))}
    model = fastseq.load_model(write(tmp_path / "m.h5", {"class_name": "Sequential", "config": [merge]}, weights))
    a, b = X @ left[0] + left[1], X @ right[0] + right[1]
    wanted = (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))
    np.testing.assert_allclose(model([X, X])[:, 0], wanted, rtol=1e-5)
