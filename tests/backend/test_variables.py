"""The backend's weights, random numbers and what else has values of its own."""

import numpy as np
import pytest

import fastseq
from fastseq import backend as K
from fastseq import layers


def test_weights_are_changed():
    x = K.variable([1.0, 2.0], name="x")
    assert (x.name, K.dtype(x), K.count_params(x)) == ("x", "float32", 2)
    assert K.update(x, [3.0, 4.0]) is x
    assert K.get_value(K.update_add(x, [1.0, 1.0])).tolist() == [4.0, 5.0]
    assert K.get_value(K.update_sub(x, 1.0 * np.ones(2))).tolist() == [3.0, 4.0]
    assert K.get_value(K.moving_average_update(x, [1.0, 0.0], 0.75)).tolist() == [2.5, 3.0]
    K.batch_set_value([(x, [7.0, 8.0])])
    assert [value.tolist() for value in K.batch_get_value([x])] == [[7.0, 8.0]]
    K.set_value(x, [0.0, 1.0])
    assert K.eval(x).tolist() == [0.0, 1.0]
    np.testing.assert_array_equal(K.exp(x), K.exp([0.0, 1.0]))
    with pytest.raises(ValueError, match="shape"):
        K.update(x, [1.0])
    with pytest.raises(ValueError, match="float32"):
        K.variable([1], dtype="int32")


def test_random_values_follow_their_seeds():
    for draw in (
        K.random_normal,
        K.random_uniform,
        K.truncated_normal,
        lambda *a, **k: K.random_bernoulli(*a, 0.5, **k),
    ):
        values = draw((1000,), seed=1)
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, draw((1000,), seed=1))
        assert (values != draw((1000,), seed=2)).any()
        assert (draw((1000,)) != draw((1000,))).any()
    assert abs(K.random_normal((10000,), 3.0, 0.5, seed=1).mean() - 3) < 0.05
    assert np.abs(K.truncated_normal((1000,), seed=1)).max() <= 2
    bounded = K.random_uniform((1000,), -1.0, 4.0, seed=1)
    assert -1 <= bounded.min() < -0.9
    assert 3.9 < bounded.max() < 4
    assert 0.15 < K.random_binomial((10000,), 0.2, seed=1).mean() < 0.25
    assert K.random_bernoulli((3,), 0.5, "bool").dtype == bool
    assert K.random_normal_variable((2, 3), 0.0, 1.0, seed=1).shape == (2, 3)
    assert K.random_uniform_variable((2,), 5.0, 6.0, name="w").name == "w"
    for refused in (K.random_normal, K.random_uniform):
        with pytest.raises(ValueError, match="int32"):
            refused((2,), dtype="int32")


def test_dropout():
    x = np.ones((100, 100), np.float32)
    y = K.dropout(x, 0.25, seed=1)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert 0.22 < (y == 0).mean() < 0.28
    rows = K.dropout(x, 0.5, noise_shape=(None, 1), seed=1)
    assert (rows == rows[:, :1]).all()
    np.testing.assert_array_equal(K.dropout(x, 0.0), x)
    with pytest.raises(ValueError, match="below 1"):
        K.dropout(x, 1.0)
    with pytest.raises(TypeError, match=r"layers\.Dropout"):
        K.dropout(layers.Input((3,)), 0.5)


def test_constants_and_ranges():
    assert K.constant([1, 2]).dtype == np.float32
    assert K.constant(3, "int32", (2, 2)).tolist() == [[3, 3], [3, 3]]
    assert K.constant([1, 2, 3, 4], shape=(2, 2)).shape == (2, 2)
    assert K.arange(-3).tolist() == []
    assert K.arange(1, 7, 2).tolist() == [1, 3, 5]
    assert K.arange(3, dtype="float32").dtype == np.float32
    assert K.eye(2).tolist() == [[1, 0], [0, 1]]
    assert K.ones((2,), "int32").dtype == np.int32
    assert K.zeros((2,), name="z").tolist() == [0, 0]
    assert K.slice(np.arange(12).reshape(3, 4), (1, 0), (2, -1)).tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]


@pytest.mark.parametrize("start, size", [((0, 0), (4, 1)), ((2, 0), (2, 1)), ((-1, 0), (1, 1)), ((0, 5), (1, -1)),
                                         ((0, 0), (-2, 1)), ((0,), (1,)), ((0, 0), (1,))])  # fmt: skip
def test_a_slice_that_reaches_beyond_the_array_is_refused(start, size):
    with pytest.raises(ValueError, match=r"^backend\.slice: "):
        K.slice(np.arange(12).reshape(3, 4), start, size)


def test_a_slice_of_what_is_not_known():
    x = fastseq.Input((None, 4))
    assert K.slice(x, (0, 1, 0), (-1, -1, 2)).shape == (None, None, 2)
    assert K.slice(np.zeros((3, 4)), (3, 0), (0, -1)).shape == (0, 4)


def test_print_tensor_prints_and_hands_on(capsys):
    x = np.array([1.0, 2.0], np.float32)
    assert K.print_tensor(x, "x =") is x
    assert capsys.readouterr().out == "x = [1. 2.]\n"


def test_what_is_no_argument_is_refused():
    three, sequence = np.ones((2, 3)), np.ones((2, 4, 3))
    for call, message in (
        (lambda: K.softmax([1.0, 2.0]), "1D"),
        (lambda: K.repeat(sequence, 2), r"\(2, 4, 3\)"),
        (lambda: K.batch_dot(three, np.ones((3, 3))), "2 is not 3"),
        (lambda: K.batch_dot(sequence, three, axes=0), "behind the batch"),
        (lambda: K.batch_dot([1.0], [1.0]), "batch"),
        (lambda: K.batch_dot(sequence, sequence, axes=([1], 1)), "an int or two"),
        (lambda: K.bias_add(sequence, three, "last"), "data_format"),
        (lambda: K.bias_add(sequence, np.ones((2, 4, 3))), "neither one axis"),
        (lambda: K.batch_flatten(layers.Input((None, 3))), "unknown sizes"),
        (lambda: K.count_params(layers.Input((3,))), "unknown sizes"),
        (lambda: K.switch(sequence > 0, three, three), "more axes"),
        (lambda: K.spatial_2d_padding(np.ones((1, 2, 2, 1)), ((1, 1),)), "2 pairs"),
        (lambda: K.rnn(None, sequence, [], input_length=[1, 2]), "mask="),
        (lambda: K.rnn(None, sequence, [], input_length=3), r"\[4\] timesteps"),
        (lambda: K.function([layers.Input((3,))], [], updates=[1]), "updates"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match=r"layers\.RNN"):
        K.rnn(None, layers.Input((4, 3)), [])


def test_choices():
    assert K.switch(True, lambda: 1.0, lambda: 2.0) == 1.0
    rows = K.switch(np.array([True, False]), np.ones((2, 3)), np.zeros((2, 3)))
    assert rows.tolist() == [[1, 1, 1], [0, 0, 0]]
    assert K.sparse_categorical_crossentropy([[0, 1]], np.full((1, 2, 4), 0.25), ignore_class=1)[0, 1] == 0
    assert not K.is_sparse(rows)
    assert K.to_dense(rows) is rows
    with K.name_scope("attention"):
        assert isinstance(K.variable(1.0), fastseq.Variable)
