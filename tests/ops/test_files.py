"""Operations in model files: read and written as Keras has them, and hostile ones refused before anything is made."""

import itertools
import json
import tracemalloc

import numpy as np
import pytest
from hang_guard import must_end

from fastseq import Input, Model, activations, layers, ops
from fastseq.errors import FileFormatError, UnsupportedError
from fastseq.models import model_from_json
from fastseq.ops import files
from fastseq.ops.operation import OpNode


def tensor(layer="x", position=0):
    config = {"shape": [None, 4, 3], "dtype": "float32", "keras_history": [layer, 0, position]}
    return {"class_name": "__keras_tensor__", "config": config}


def array(value, dtype, kind="__numpy__"):
    return {"class_name": kind, "config": {"value": value, "dtype": dtype}}


def entry(class_name, config, *args, module="keras.src.ops.numpy", name="op", **kwargs):
    return {"module": module, "class_name": class_name, "config": config, "registered_name": class_name, "name": name,
            "inbound_nodes": [{"args": list(args), "kwargs": kwargs}]}  # fmt: skip


def graph(*operations, output="op"):
    """A model of an input x, float32 (None, 4, 3), and of operations."""
    x = {"module": "keras.layers", "class_name": "InputLayer", "registered_name": None, "name": "x",
         "config": {"batch_shape": [None, 4, 3], "dtype": "float32", "name": "x"}, "inbound_nodes": []}  # fmt: skip
    return {"module": "keras.src.models.functional", "class_name": "Functional", "registered_name": "Functional",
            "config": {"name": "m", "trainable": True, "layers": [x, *operations], "input_layers": [["x", 0, 0]],
                       "output_layers": [[output, 0, 0]]}}  # fmt: skip


def read(*operations, **options):
    return model_from_json(json.dumps(graph(*operations, **options)))


X = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("f")


# ---- what Keras writes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "wanted"),
    [
        (entry("Multiply", {"name": "op"}, tensor(), 2.0), X * 2),
        (entry("Subtract", {"name": "op"}, 1, tensor()), 1 - X),
        (entry("Add", {"name": "op"}, tensor(), x2=tensor()), X + X),
        (entry("Add", {"name": "op"}, x2=3.0, x1=tensor()), X + 3),
        (entry("Add", {"name": "op"}, tensor(), array([1.0, 2.0, 3.0], "float64")), X + np.array([1, 2, 3], "f")),
        (entry("Add", {"name": "op"}, tensor(), array([[1], [2], [3], [4]], "int64", "__tensor__")),
         X + np.arange(1, 5, dtype="f")[:, None]),
        (entry("Sum", {"name": "op", "axis": [1, 2], "keepdims": True}, tensor()), None),
        (entry("Sum", {"axis": [1, 2]}, tensor()), None),  # Keras 3.0 to 3.5 wrote no name
        (entry("Reshape", {"name": "op", "newshape": [-1, 12]}, tensor()), X.reshape(2, 12)),
        (entry("Concatenate", {"name": "op", "axis": -1}, [tensor(), tensor()]), np.concatenate([X, X], -1)),
        (entry("Stack", {"name": "op", "axis": 1}, [tensor(), tensor()]), np.stack([X, X], 1)),
        (entry("Cast", {"name": "op", "dtype": "int64"}, tensor(), module="keras.src.ops.core"), X.astype("i4")),
        (entry("ReLU", {"name": "op", "negative_slope": 0.0, "max_value": 1.0, "threshold": 0.0}, tensor(),
               module="keras.src.activations.activations"), np.clip(X, 0, 1)),
    ],
    ids=lambda value: value["class_name"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_entries_of_keras(operation, wanted):
    model = read(operation)
    if wanted is None:
        wanted = ops.sum(X, axis=(1, 2), keepdims=operation["config"].get("keepdims", False))
    np.testing.assert_array_equal(model(X), wanted)
    assert [layer.name for layer in model.layers] == ["x"]
    assert [one.name for one in model.operations] == ["x", "op"]
    again = json.loads(model.to_json())["config"]["layers"][1]
    assert [again[key] for key in ("module", "class_name", "registered_name")] == [
        operation[key] for key in ("module", "class_name", "registered_name")
    ]
    assert again["config"] == {"name": "op", **{n: None for n in again["config"]}, **again["config"]}
    np.testing.assert_array_equal(model_from_json(model.to_json())(X), wanted)


def test_activations_called_on_symbolic_tensors():
    x = Input((4, 3))
    model = Model(x, [activations.relu(x), activations.relu(x, max_value=0.5), activations.tanh(x)])
    assert activations.linear(x) is x
    kinds = [(type(one).__name__, type(one).__module__) for one in model.operations[1:]]
    assert kinds == [("ReLU", "keras.src.activations.activations")] * 2 + [("Tanh", "keras.src.ops.numpy")]
    for one in (model, model_from_json(model.to_json())):
        for ours, wanted in zip(one(X), (np.maximum(X, 0), np.clip(X, 0, 0.5), layers.Activation("tanh")(X))):
            np.testing.assert_array_equal(ours, wanted)
    with pytest.raises(TypeError, match="symbolic"):
        activations.hard_sigmoid_keras2(x)


# ---- hostile entries -------------------------------------------------------------------------------------------------

HUGE = 2**62
BAD = [
    entry("Sum", {"name": "op", "axis": True}, tensor()),
    entry("Any", {"name": "op", "axis": False}, tensor()),
    entry("Any", {"name": "op", "axis": "1"}, tensor()),
    entry("Any", {"name": "op", "axis": 1.0}, tensor()),
    entry("Any", {"name": "op", "keepdims": 1}, tensor()),
    entry("Any", {"name": "op", "keepdims": None}, tensor()),
    entry("Sum", {"name": "op", "axis": [[1]]}, tensor()),
    entry("Sum", {"name": "op", "axis": [1] * 100_000}, tensor()),
    entry("Sum", {"name": "op", "axis": 7}, tensor()),
    entry("Sum", {"name": "op", "axis": {"class_name": "function", "config": "os.system"}}, tensor()),
    entry("Sum", {"name": "op", "keepdim": True}, tensor()),
    entry("Sum", {"name": 5}, tensor()),
    entry("Sum", {"name": "op"}, tensor(), 5),
    entry("Sum", {"name": "op"}, tensor(), axis=1),
    entry("Sum", {"name": "op"}, [tensor(), tensor()]),
    entry("Sum", {"name": "op"}, 5),
    entry("Sum", {"name": "op"}),
    entry("Sum", {"name": "op"}, "x"),
    entry("Sum", ["name"], tensor()),
    entry("Add", {"name": "op"}, tensor(), {"class_name": "__lambda__", "config": {"value": "4wAA"}}),
    entry("Add", {"name": "op"}, tensor(), array(["1"], "object")),
    entry("Add", {"name": "op"}, tensor(), array([[1], 2], "float32")),
    entry("Add", {"name": "op"}, tensor(), array(["a"], "float32")),
    entry("Add", {"name": "op"}, tensor(), {"class_name": "__slice__", "config": {"start": 0, "stop": 1, "step": 1}}),
    entry("Add", {"name": "op"}, tensor(), {"class_name": "__ellipsis__", "config": {}}),
    entry("Add", {"name": "op"}, tensor(), "2"),
    entry("Add", {"name": "op"}, tensor(), {"a": 1}),
    entry("Add", {"name": "op"}, tensor(), {"class_name": "load_model", "module": "keras.models", "config": {}}),
    entry("Reshape", {"name": "op", "newshape": [HUGE]}, tensor()),
    entry("Reshape", {"name": "op", "newshape": [-1, -1]}, tensor()),
    entry("Reshape", {"name": "op", "newshape": [2**31 - 1] * 60}, tensor()),
    entry("Reshape", {"name": "op", "newshape": [1] * 65}, tensor()),
    entry("Reshape", {"name": "op", "newshape": "12"}, tensor()),
    entry("Reshape", {"name": "op"}, tensor()),
    entry("Cast", {"name": "op", "dtype": "os"}, tensor(), module="keras.src.ops.core"),
    entry("Cast", {"name": "op", "dtype": ["int32"]}, tensor(), module="keras.src.ops.core"),
    entry("Clip", {"name": "op", "x_min": [0.0], "x_max": 1.0}, tensor()),
    entry("Sum", {"name": "op"}, tensor(), module="keras.src.ops.nn"),
    entry("system", {"name": "op"}, tensor(), module="keras.src.ops.numpy.os"),
    entry("ReLU", {"name": "op", "max_value": "x"}, tensor(), module="keras.src.activations.activations"),
    entry("Relu", {"name": "op"}, tensor(), module="keras.src.activations.activations"),
    entry(["Sum"], {"name": "op"}, tensor()),
    entry("Concatenate", {"name": "op", "axis": 2}, tensor()),
    entry("Concatenate", {"name": "op", "axis": 2}, []),
    entry("Concatenate", {"name": "op", "axis": 2}, [tensor(), "x"]),
]


@pytest.mark.parametrize("operation", BAD, ids=lambda one: f"{one['class_name']} {str(one['config'])[:40]}")
def test_hostile_entries(operation):
    tracemalloc.start()
    try:
        with must_end(10), pytest.raises((UnsupportedError, FileFormatError)) as caught:
            read(operation)
        assert tracemalloc.get_traced_memory()[1] < 30 << 20
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 2_000


def test_a_chain_that_grows_is_refused_by_its_shape():
    """Each doubles: 2**40 numbers a row, of which none is ever made."""
    names = ["x", *(f"op{i}" for i in range(40))]
    chain = [
        entry("Concatenate", {"name": name, "axis": 1}, [tensor(before)] * 2, name=name)
        for before, name in itertools.pairwise(names)
    ]
    with must_end(10), pytest.raises((UnsupportedError, FileFormatError), match="larger than a model"):
        read(*chain, output="op39")


def test_options_have_tuples_where_json_has_lists():
    node = files.deserialize(entry("Sum", {"name": "s", "axis": [1, 2], "keepdims": False}))
    assert isinstance(node, OpNode) and node.values == {"axis": (1, 2), "keepdims": False} and node.name == "s"
