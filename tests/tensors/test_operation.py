"""Operations that are no layers: what can stand in a graph beside layers."""

import numpy as np
import pytest

from fastseq import Input, Model, layers, ops
from fastseq.errors import FileFormatError
from fastseq.models import clone_model, model_from_json
from fastseq.ops.operation import OpNode
from fastseq.tensors.operation import Operation

Any, Cast, NotEqual = (function.definition.node_class for function in (ops.any, ops.cast, ops.not_equal))


def masked_by_hand():
    """LSTM whose explicit mask is of other tensors than its own, so that the operations run as steps."""
    x, y = Input((3,), dtype="int32", name="x"), Input((3, 4), name="y")
    values = layers.Masking(0.5, name="masking")(y)
    ids = layers.Embedding(9, 4, name="ids")(x)
    return Model([x, y], layers.LSTM(3, name="rnn")(ids, mask=values._keras_mask))


def test_a_mask_operation_is_an_operation_and_no_layer():
    operation = NotEqual(name="not_equal_7")
    assert isinstance(operation, Operation) and not isinstance(operation, layers.Layer)
    assert isinstance(layers.Dense(2), Operation)
    embedding = layers.Embedding(9, 4, mask_zero=True)(Input((3,)))
    added = embedding._keras_mask._keras_history[0]
    assert (operation.name, operation.added, type(added), added.added) == ("not_equal_7", False, NotEqual, True)
    with pytest.raises(ValueError, match="without '/'"):
        NotEqual(name="a/b")


def test_a_symbolic_call_is_recorded():
    tensor = Input((3, 4))
    operation = Any(axis=-1)
    with pytest.raises(AttributeError, match="never been called"):
        _ = operation.input
    mask = operation(NotEqual()(tensor, 0.0))
    assert (mask.shape, mask.dtype) == ((None, 3), "bool")
    assert operation.output is mask and mask._keras_history == (operation, 0, 0)
    with pytest.raises(TypeError, match="Any"):
        operation(tensor, tensor)


def test_a_call_on_arrays_computes():
    x = np.array([[0.0, 1.0], [0.0, 0.0]], np.float32)
    np.testing.assert_array_equal(Any(axis=-1)(NotEqual()(x, 0.0)), [True, False])
    assert Cast(dtype="int64")(x).dtype == np.int32


def test_operations_in_a_model_run_as_steps():
    model = masked_by_hand()
    ids = np.array([[1, 2, 3], [4, 5, 6]], np.int32)
    y = np.ones((2, 3, 4), np.float32)
    y[0, 1:] = y[1, 2:] = 0.5
    wanted = model.get_layer("rnn")(model.get_layer("ids")(ids), mask=np.array([[1, 0, 0], [1, 1, 0]], bool))
    unmasked = model.get_layer("rnn")(model.get_layer("ids")(ids))
    for one in (model, clone_model(model), model_from_json(model.to_json())):
        one.set_weights(model.get_weights())
        kinds = [type(node.layer).__name__ for node in one._plan.steps]
        assert {"NotEqual", "Any"} <= set(kinds)
        assert all(isinstance(layer, layers.Layer) for layer in one.layers)
        np.testing.assert_array_equal(one([ids, y]), wanted)
    assert not np.array_equal(wanted, unmasked)


def test_operations_stand_in_the_summary_without_weights(capsys):
    model = masked_by_hand()
    model.summary(line_length=120)
    printed = capsys.readouterr().out
    (row,) = [line for line in printed.splitlines() if "(Any)" in line]
    assert row.split("│")[3].strip() == "0"
    assert all(not layer.weights for layer in model._graph.layers if isinstance(layer, OpNode))


def test_an_entry_that_is_neither_layer_nor_operation_is_refused():
    config = masked_by_hand().get_config()
    config["layers"][0] = {"module": "keras.initializers", "class_name": "Zeros", "config": {}, "name": "x"}
    with pytest.raises(FileFormatError, match="no layer"):
        Model.from_config(config)
