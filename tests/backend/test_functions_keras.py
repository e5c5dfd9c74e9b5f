"""Every function of the backend beside tf_keras.backend: values, dtypes, shapes, gradients, traced and symbolic.

The truth is Keras 2's own function in float64, as tests/support/op_check.py has it.
"""

import numpy as np
import pytest
from op_check import DTYPES, array, assert_close

import fastseq
from fastseq import backend as K
from fastseq.gradients import append_backward
from fastseq.layers import traced_calls
from fastseq.ops.values import Traced
from fastseq.program.builder import Builder
from fastseq.program.program import Program
from fastseq.tensors import nest

pytestmark = pytest.mark.tensorflow

A, B = array(2, 3, 4), array(4, 2, seed=1)
SPECIAL = np.array([-np.inf, -2.5, -1.0, -0.0, 0.0, 0.5, 1.5, 2.5, np.inf, np.nan], np.float32)
WHOLE, YES = array(2, 3, dtype="int32"), array(2, 3, dtype="bool")
SHARES = array(4, 3, low=0.05, high=0.95)
ROWS = SHARES / SHARES.sum(-1, keepdims=True)
RIGHT = np.eye(3, dtype=np.float32)[[0, 2, 1, 0]]
NUMBERS = np.array([0, 2, 1, 0], np.int32)

CALLS = [
    *((name, (x,), {}) for name in ("abs", "sign", "square", "round") for x in (A, SPECIAL, WHOLE)),
    *((name, (x,), {}) for name in ("cos", "sin", "exp", "log", "sqrt", "sigmoid", "softplus", "softsign",
                                    "tanh", "hard_sigmoid", "relu") for x in (A, SPECIAL)),
    ("elu", (A,), {}), ("elu", (SPECIAL[:-1],), {}), ("elu", (A, 0.5), {}),
    ("relu", (A,), {"alpha": 0.1, "max_value": 0.5, "threshold": -0.5}), ("relu", (A,), {"max_value": 1.0}),
    ("softmax", (A,), {}), ("softmax", (A, 1), {}), ("softmax", (A[0],), {"axis": 0}),
    *((name, (A, A[:, :, :1]), {}) for name in ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal",
                                                "maximum", "minimum")),
    ("maximum", (WHOLE, WHOLE[::-1]), {}), ("pow", (np.abs(A), 1.5), {}), ("pow", (A, 2), {}), ("pow", (WHOLE, 2), {}),
    ("clip", (A, -0.5, 0.5), {}), ("clip", (A, None, 0.5), {}), ("clip", (A, 0.5, -0.5), {}),
    ("clip", (A, -1.0, None), {}),
    *((name, (A,), keywords) for name in ("sum", "mean", "max", "min", "prod", "std", "var") for keywords in (
        {}, {"axis": 1}, {"axis": (0, -1)}, {"axis": -1, "keepdims": True})),
    *((name, (x,), keywords) for name in ("any", "all") for x in (YES, WHOLE) for keywords in ({}, {"axis": 0})),
    ("sum", (WHOLE,), {"axis": 1}), ("max", (WHOLE,), {}), ("prod", (WHOLE,), {}), ("mean", (YES,), {}),
    ("std", (YES,), {"axis": 0}), ("cumsum", (A,), {}), ("cumsum", (A, -1), {}), ("cumprod", (A,), {"axis": 1}),
    ("argmax", (A,), {}), ("argmin", (A, 1), {}), ("argmax", (WHOLE,), {"axis": 0}),
    ("dot", (A, B), {}), ("dot", (A, array(2, 4, 3)), {}), ("dot", (A[0], B), {}),
    ("batch_dot", (A, array(2, 4, 5)), {}), ("batch_dot", (A, array(2, 5, 4)), {"axes": 2}),
    ("batch_dot", (A, array(2, 3)), {"axes": 1}), ("batch_dot", (array(2, 3), A), {"axes": (1, 1)}),
    ("batch_dot", (array(2, 3), array(2, 3, seed=2)), {}),
    ("batch_dot", (array(2, 3, 4, 5), array(2, 4, 6)), {"axes": (2, 1)}),
    ("batch_dot", (array(2, 3, 4), array(2, 5, 4, 3)), {"axes": (-1, -2)}),
    ("concatenate", ([A, A],), {}), ("concatenate", ([A, A], 1), {}), ("stack", ([A, A],), {"axis": 1}),
    ("expand_dims", (A,), {}), ("expand_dims", (A, 1), {}), ("squeeze", (A[:1], 0), {}), ("reshape", (A, (4, -1)), {}),
    ("flatten", (A,), {}), ("batch_flatten", (A,), {}), ("transpose", (B,), {}),
    ("permute_dimensions", (A, (2, 0, 1)), {}), ("reverse", (A, 1), {}), ("reverse", (A, (0, 2)), {}),
    ("gather", (B, np.array([[0, 3], [1, 1]], np.int32)), {}), ("one_hot", (NUMBERS, 3), {}),
    ("tile", (A, (1, 2, 1)), {}),
    ("repeat", (B, 3), {}), ("repeat_elements", (A, 2, 1), {}), ("temporal_padding", (A,), {}),
    ("temporal_padding", (A, (2, 0)), {}), ("spatial_2d_padding", (array(2, 3, 4, 1),), {}),
    ("spatial_2d_padding", (array(2, 1, 3, 4), ((1, 0), (2, 1)), "channels_first"), {}),
    ("spatial_3d_padding", (array(1, 2, 2, 2, 1),), {}), ("zeros_like", (A,), {}), ("ones_like", (WHOLE,), {}),
    ("ones_like", (A, "int32"), {}), ("cast", (A, "int32"), {}), ("cast", (WHOLE, "float32"), {}),
    ("stop_gradient", (A,), {}),
    ("bias_add", (A, array(4)), {}), ("bias_add", (A, array(3, 4)), {}),
    ("bias_add", (A, array(4, 3), "channels_first"), {}), ("l2_normalize", (A, -1), {}), ("l2_normalize", (A,), {}),
    ("batch_normalization", (A, array(4), array(4, low=0.5), array(4, seed=2), array(4, seed=3)), {}),
    ("batch_normalization", (A, array(1, 1, 4), array(1, 1, 4, low=0.5), array(1, 1, 4, seed=2), None),
     {"epsilon": 0.1}),
    ("normalize_batch_in_training", (A, array(4), array(4, seed=1), [0, 1]), {}),
    ("binary_crossentropy", (RIGHT, SHARES), {}), ("binary_crossentropy", (RIGHT, SHARES), {"from_logits": True}),
    ("binary_crossentropy", (RIGHT, RIGHT), {}),
    ("binary_focal_crossentropy", (RIGHT, SHARES), {}),
    ("binary_focal_crossentropy", (RIGHT, SHARES), {"apply_class_balancing": True, "gamma": 1.5, "from_logits": True}),
    ("categorical_crossentropy", (RIGHT, SHARES), {}), ("categorical_crossentropy", (RIGHT.T, SHARES.T), {"axis": 0}),
    ("categorical_crossentropy", (RIGHT, SHARES), {"from_logits": True}),
    ("categorical_focal_crossentropy", (RIGHT, ROWS), {}),
    ("categorical_focal_crossentropy", (RIGHT, SHARES), {"from_logits": True}),
    ("sparse_categorical_crossentropy", (NUMBERS, ROWS), {}),
    ("sparse_categorical_crossentropy", (NUMBERS[:, None], SHARES), {"from_logits": True}),
    ("sparse_categorical_crossentropy", (NUMBERS, ROWS.T.copy()), {"axis": 0}),
    ("sparse_categorical_crossentropy", (NUMBERS, ROWS), {"ignore_class": 0}),
    ("switch", (A[:, :, 0] > 0, A, A + 1), {}), ("switch", (A > 0, A, A * 2), {}),
]  # fmt: skip


def named(call):
    name, arguments, keywords = call
    return f"{name}-{'-'.join(str(getattr(a, 'shape', a)) for a in nest.flatten(list(arguments)))}{keywords or ''}"


def over_arrays(function, arguments):
    return nest.map_structure(lambda leaf: function(leaf) if isinstance(leaf, np.ndarray) else leaf, list(arguments))


def of_keras(call, dtype="float32"):
    """Keras 2's results, and the gradients of their sum, weighted, by every float32 array."""
    import tensorflow as tf
    import tf_keras

    (name, arguments, keywords), variables = call, []

    def tensor(leaf):
        found = tf.constant(leaf, dtype if leaf.dtype == np.float32 else leaf.dtype)
        if leaf.dtype == np.float32:
            variables.append(found)
        return found

    given = over_arrays(tensor, arguments)
    with tf.GradientTape() as tape:
        tape.watch(variables)
        results = nest.flatten(getattr(tf_keras.backend, name)(*given, **keywords))
        floats = [result for result in results if result.dtype == dtype]
        total = sum(tf.reduce_sum(result * array(*result.shape, seed=7).astype(dtype)) for result in floats)
    found = tape.gradient(total, variables) if floats else [None] * len(variables)
    gradients = [np.zeros(v.shape, dtype) if g is None else tf.convert_to_tensor(g).numpy()
                 for v, g in zip(variables, found)]  # fmt: skip
    return [np.asarray(result) for result in results], gradients


def of_a_trace(call):
    """As `of_keras`, of the call traced in a program: there are native steps alone."""
    (name, arguments, keywords), p = call, Builder()
    inputs, given, wanted = [], [], []

    def slot(leaf):
        given.append(np.array(leaf, order="C"))
        inputs.append(p.input(leaf.shape, leaf.dtype.name))
        if leaf.dtype == np.float32:
            wanted.append(inputs[-1])
        return Traced(p, inputs[-1])

    results = nest.flatten(getattr(K, name)(*over_arrays(slot, arguments), **keywords))
    ends = [(r.slot, p.constant(array(*r.shape, seed=7))) for r in results if r.dtype == "float32"]
    found = append_backward(p, ends, wanted)
    known = [slot for slot in found if slot is not None]
    program = Program(p, inputs, [*(result.slot for result in results), *known])
    assert not program.has_python
    values = program.run(given)
    left = iter(values[len(results) :])
    gradients = [np.zeros(w.shape, np.float32) if slot is None else next(left) for w, slot in zip(wanted, found)]
    return values[: len(results)], gradients


@pytest.mark.parametrize("call", CALLS, ids=named)
def test_values_and_gradients_are_those_of_keras_2(call):
    name, arguments, keywords = call
    mine = [np.asarray(leaf) for leaf in nest.flatten(getattr(K, name)(*arguments, **keywords))]
    (theirs, their_gradients), (truth, true_gradients) = of_keras(call), of_keras(call, "float64")
    assert len(mine) == len(theirs)
    for ours, keras, true in zip(mine, theirs, truth):
        assert (ours.shape, ours.dtype.name) == (keras.shape, DTYPES[keras.dtype.name])
        assert_close(ours, keras, true, 4.0, named(call))
    traced, gradients = of_a_trace(call)
    for ours, other in zip(mine, traced, strict=True):
        np.testing.assert_array_equal(ours, other)
    for ours, keras, true in zip(gradients, their_gradients, true_gradients, strict=True):
        assert_close(ours.reshape(true.shape), keras, true, 8.0, f"{named(call)}: gradient")


@pytest.mark.parametrize("call", [call for call in CALLS if call[0] not in ("tile", "stop_gradient")], ids=named)
def test_on_symbolic_tensors_it_is_a_model_of_the_same_bits(call):
    name, arguments, keywords = call
    inputs, given = [], []

    def symbolic(leaf):
        if leaf.ndim < 2 or leaf.dtype == bool:
            return leaf
        given.append(leaf)
        inputs.append(fastseq.Input(batch_shape=leaf.shape, dtype=leaf.dtype.name))
        return inputs[-1]

    outputs = nest.flatten(getattr(K, name)(*over_arrays(symbolic, arguments), **keywords))
    if not inputs:
        return
    wanted = nest.flatten(getattr(K, name)(*arguments, **keywords))
    for mine, other, tensor in zip(K.function(inputs, outputs)(given), wanted, outputs, strict=True):
        assert (mine.shape, mine.dtype.name) == (tensor.shape, tensor.dtype)
        np.testing.assert_array_equal(mine, other)


def test_rounding_of_whole_means_and_sums_of_booleans_are_those_of_keras_3():
    """Keras 2 rounds the mean of integers down, and refuses to add booleans."""
    assert K.mean(np.array([1, 2])) == np.float32(1.5)
    total = K.sum(np.array([True, True]))
    assert (total, total.dtype) == (2, np.int32)


def test_in_top_k():
    import tf_keras

    for k in (1, 2, 3):
        wanted = tf_keras.backend.in_top_k(SHARES, NUMBERS, k)
        np.testing.assert_array_equal(K.in_top_k(SHARES, NUMBERS, k), wanted)


STEPS = {"plain": {}, "backwards": {"go_backwards": True}, "masked": {"mask": True},
         "zeros": {"mask": True, "zero_output_for_mask": True}, "last": {"return_all_outputs": False},
         "unrolled": {"unroll": True, "mask": True},
         "major": {"time_major": True}, "masked backwards": {"mask": True, "go_backwards": True}}  # fmt: skip


@pytest.mark.parametrize("case", STEPS)
def test_rnn(case):
    import tensorflow as tf
    import tf_keras

    x, w, bias = array(2, 5, 3), array(3, 3, seed=1), array(3, seed=2)
    options = dict(STEPS[case])
    if "mask" in options:
        options["mask"] = np.array([[True, True, False, True, False], [False, True, True, False, True]])

    def step_of(backend, w=w):
        def step(x, states):
            h = backend.tanh(backend.dot(x, w) + states[0] + states[2])
            return h * 2.0, [h, states[1] + 1.0]

        return step

    def run(backend, tensor):
        if "time_major" in options:
            given = tensor(x.swapaxes(0, 1).copy())
        else:
            given = tensor(x)
        states = [tensor(np.zeros((2, 3), np.float32)), tensor(np.zeros((2, 3), np.float32))]
        masks = {"mask": tensor(options["mask"])} if "mask" in options else {}
        found = backend.rnn(
            step_of(backend, tensor(w)), given, states, constants=[tensor(bias)], **{**options, **masks}
        )
        return [np.asarray(leaf) for leaf in (found[0], found[1], *found[2])]

    mine, theirs = run(K, np.asarray), run(tf_keras.backend, tf.constant)
    for ours, keras in zip(mine, theirs, strict=True):
        assert ours.shape == keras.shape
        np.testing.assert_allclose(ours, keras, rtol=1e-6, atol=1e-6)

    class Walk(fastseq.layers.Layer):
        def call(self, x):
            mask = {"mask": K.constant(options["mask"], "bool")} if "mask" in options else {}
            states = [K.zeros((2, 3)), K.zeros((2, 3))]
            x = K.permute_dimensions(x, (1, 0, 2)) if "time_major" in options else x
            last, ys, _ = K.rnn(step_of(K), x, states, constants=[bias], **{**options, **mask})
            return K.concatenate([last, K.batch_flatten(ys)]) if "time_major" not in options else last

    walk = Walk()
    model = fastseq.Sequential([fastseq.Input(batch_shape=x.shape), walk])
    found = model(x)
    np.testing.assert_array_equal(found[:, :3], mine[0])
    assert traced_calls.untraced(walk) is None


def test_folds_and_maps():
    import tf_keras

    x = array(4, 3)
    for name in ("foldl", "foldr"):
        for options in ({}, {"initializer": array(3, seed=3)}):
            mine = getattr(K, name)(lambda a, b: a * 0.5 + b, x, **options)
            np.testing.assert_allclose(
                mine, getattr(tf_keras.backend, name)(lambda a, b: a * 0.5 + b, x, **options), 1e-6
            )
    np.testing.assert_array_equal(K.map_fn(K.square, x), tf_keras.backend.map_fn(tf_keras.backend.square, x))
    assert K.map_fn(K.square, x, dtype="int32").dtype == np.int32
