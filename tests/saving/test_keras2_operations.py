"""Expressions between the layers of Keras 2: TFOpLambda, SlicingOpLambda and TensorFlowOpLayer, in every format."""

import json

import numpy as np
import pytest
from hang_guard import must_end
from keras2_expressions import REFUSED, expressions

import fastseq
from fastseq import layers, ops
from fastseq.errors import FileFormatError, UnsupportedError
from fastseq.models import model_from_json
from fastseq.ops.operation import OpNode

RNG = np.random.default_rng(0)
X, IDS = RNG.standard_normal((3, 4, 5)).astype("f"), RNG.integers(0, 5, (3, 4)).astype("i4")


def graph(*operations, output):
    """JSON of a model of Keras 2: an input x, float32 (None, 4, 5), and operations."""
    x = {"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
         "config": {"batch_input_shape": [None, 4, 5], "dtype": "float32", "name": "x"}}  # fmt: skip
    config = {"name": "m", "layers": [x, *operations], "input_layers": [["x", 0, 0]], "output_layers": [output]}
    return json.dumps({"class_name": "Functional", "config": config, "keras_version": "2.11.0"})


def lambda_of(function, *nodes, name="op", class_name="TFOpLambda"):
    config = {"name": name, "trainable": True, "dtype": "float32", "function": function}
    return {"class_name": class_name, "config": config, "name": name, "inbound_nodes": list(nodes)}


def node_of(op, inputs, attributes=None, constants=None, name="tf_op_layer_op"):
    node = {"name": "op", "op": op, "attr": {"T": {"type": "DT_FLOAT"}, **(attributes or {})}}
    config = {"name": "op", "trainable": True, "dtype": "float32", "node_def": node, "constants": constants or {}}
    return {"class_name": "TensorFlowOpLayer", "config": config, "name": name, "inbound_nodes": [inputs]}


def read(*operations, output=("op", 0, 0)):
    return model_from_json(graph(*operations, output=list(output)))


# ---- without Keras ---------------------------------------------------------------------------------------------------


def test_calls_with_other_options_become_operations_of_their_own():
    """Keras 2 has the options among a call's arguments, Keras 3 in the operation's config."""
    one = lambda_of("math.reduce_sum", ["x", 0, 0, {"axis": 1}], ["x", 0, 0, {"axis": [1, 2], "keepdims": True}])
    end = lambda_of("math.subtract", ["op", 0, 0, {"y": ["op", 1, 0], "name": None}], name="end")
    model = read(one, end, output=("end", 0, 0))
    wanted = ops.subtract(ops.sum(X, axis=1), ops.sum(X, axis=(1, 2), keepdims=True).reshape(3, 1, 1))
    np.testing.assert_array_equal(model(X), wanted)
    assert [one.name for one in model.operations] == ["x", "op", "op_call1", "end"]
    assert [layer.name for layer in model.layers] == ["x"]
    np.testing.assert_array_equal(model_from_json(model.to_json())(X), wanted)
    assert read(one, output=("op", 1, 0))(X).shape == (3, 1, 1)


def test_one_function_may_be_several_operations():
    taken = lambda_of("math.negative", ["x", 0, 0, {}], name="op_square")
    model = read(taken, lambda_of("math.squared_difference", ["x", 0, 0, {"y": ["op_square", 0, 0]}]))
    np.testing.assert_array_equal(model(X), (X + X) ** 2)
    assert sorted(one.name for one in model.operations) == ["op", "op_square", "op_subtract", "x"]
    assert all(isinstance(one, OpNode) for one in model.operations[1:])


def test_shapes_that_only_a_reshape_reads():
    shape = lambda_of("compat.v1.shape", ["x", 0, 0, {"name": None, "out_type": "int32"}], name="shape")
    batch = lambda_of("__operators__.getitem", ["shape", 0, 0, {"slice_spec": 0}], name="batch",
                      class_name="SlicingOpLambda")  # fmt: skip
    model = read(shape, batch, lambda_of("reshape", ["x", 0, 0, {"shape": [["batch", 0, 0], 20]}]))
    np.testing.assert_array_equal(model(X), X.reshape(3, 20))
    with pytest.raises(UnsupportedError, match=r"compat.v1.shape \(1 operation\)"):
        read(shape, output=("shape", 0, 0))


NODES = [
    ("AddV2", {}, {"1": 2.0}, lambda x: x + 2),
    ("AddV2", {}, {"0": [1.0, 2.0, 3.0, 4.0, 5.0]}, lambda x: x + np.arange(1, 6, dtype="f")),
    ("Sub", {}, {"0": 1.0}, lambda x: 1 - x),
    ("BiasAdd", {}, {"1": {"class_name": "__numpy__", "config": {"value": [1.0] * 5, "dtype": "float32"}}},
     lambda x: x + 1),
    ("Sum", {"keep_dims": {"b": True}}, {"1": [1, 2]}, lambda x: ops.sum(x, axis=(1, 2), keepdims=True)),
    ("Mean", {"keep_dims": {"b": False}}, {"1": 1}, lambda x: ops.mean(x, axis=1)),
    ("Tanh", {}, {}, ops.tanh),
    ("Squeeze", {"squeeze_dims": {"list": {}}}, {}, lambda x: x),
    ("ExpandDims", {}, {"1": -1}, lambda x: x[..., None]),
    ("Reshape", {}, {"1": [-1, 20]}, lambda x: x.reshape(-1, 20)),
    ("Transpose", {}, {"1": [0, 2, 1]}, lambda x: x.transpose(0, 2, 1)),
    ("Cast", {"DstT": {"type": "DT_INT32"}}, {}, lambda x: x.astype("i4")),
    ("SquaredDifference", {}, {"1": 1.0}, lambda x: (x - 1) ** 2),
    ("ClipByValue", {}, {"1": 0.0, "2": 1.0}, lambda x: np.clip(x, 0, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("op", "attributes", "constants", "wanted"), NODES, ids=lambda value: str(value)[:20])
def test_nodes_of_tensorflow(op, attributes, constants, wanted):
    model = read(node_of(op, [["x", 0, 0, {}]], attributes, constants), output=("tf_op_layer_op", 0, 0))
    np.testing.assert_array_equal(model(X), wanted(X))


def test_nodes_of_several_tensors():
    joined = node_of("ConcatV2", [["x", 0, 0, {}], ["x", 0, 0, {}]], {"N": {"i": "2"}}, {"2": -1})
    stacked = node_of("Pack", [["x", 0, 0, {}], ["x", 0, 0, {}]], {"axis": {"i": "1"}})
    np.testing.assert_array_equal(read(joined, output=("tf_op_layer_op", 0, 0))(X), np.concatenate([X, X], -1))
    np.testing.assert_array_equal(read(stacked, output=("tf_op_layer_op", 0, 0))(X), np.stack([X, X], 1))


BAD = [
    lambda_of("math.reduce_sum", ["x", 0, 0, {"axis": ["x", 0, 0]}]),
    lambda_of("math.reduce_sum", ["x", 0, 0, {"axis": "1"}]),
    lambda_of("math.reduce_sum", ["x", 0, 0, {"axis": 1, "keep": 5}]),
    lambda_of("math.reduce_sum", ["_CONSTANT_VALUE", -1, 1.0, {}]),
    lambda_of("math.reduce_sum", ["_CONSTANT_VALUE", -1, "x", {"axis": ["x", 0, 0]}]),
    lambda_of("keras.models.load_model", ["x", 0, 0, {"filepath": "/etc/passwd"}]),
    lambda_of("io.read_file", ["x", 0, 0, {}]),
    lambda_of("py_function", ["x", 0, 0, {}]),
    lambda_of(None, ["x", 0, 0, {}]),
    lambda_of(["math.add"], ["x", 0, 0, {}]),
    lambda_of("math.add", ["x", 0, 0, {}]),
    lambda_of("math.add", ["x", 0, 0, {"y": {"class_name": "Lambda", "config": {}}}]),
    lambda_of("math.add", ["x", 0, 0, {"y": ["x", 7, 0]}]),
    lambda_of("math.add", ["x", 0, 0, {"y": ["x", 0, 7]}]),
    lambda_of("math.add", ["x", 0, 0, {"y": ["op", 0, 0]}]),
    lambda_of("math.add", ["x", 0, 0, {"y": [1.0, [2.0]]}]),
    lambda_of("reshape", ["x", 0, 0, {"shape": [["x", 0, 0], ["x", 0, 0]]}]),
    lambda_of("reshape", ["x", 0, 0, {"shape": [2**60]}]),
    lambda_of("reshape", ["x", 0, 0, {"shape": 20.0}]),
    lambda_of("cast", ["x", 0, 0, {"dtype": "complex64"}]),
    lambda_of("concat", [[["x", 0, 0, {"axis": 9}], ["x", 0, 0, {"axis": 9}]]]),
    lambda_of("math.add"),
    node_of("ReadFile", [["x", 0, 0, {}]], name="op"),
    node_of("Sum", [["x", 0, 0, {}]], {}, {"1": "a"}, name="op"),
    node_of("Sum", [["x", 0, 0, {}]], {}, {"a": 1}, name="op"),
    node_of("Sum", [["x", 0, 0, {}]], {}, {"99": 1}, name="op"),
    node_of("Sum", [["x", 0, 0, {}]], name="op"),
    node_of("Reshape", [["x", 0, 0, {}]], {}, {"1": [2**60]}, name="op"),
    node_of("Cast", [["x", 0, 0, {}]], {"DstT": {"type": "DT_STRING"}}, name="op"),
    {**node_of("Sum", [["x", 0, 0, {}]], name="op"), "config": {"name": "op", "node_def": "CgNhZGQ="}},
]  # fmt: skip


@pytest.mark.parametrize(
    "operation", BAD, ids=lambda one: json.dumps(one["config"])[-60:] + str(one["inbound_nodes"])[:60]
)
def test_hostile_operations(operation):
    with must_end(10), pytest.raises((UnsupportedError, FileFormatError)) as caught:
        read(operation)
    assert len(str(caught.value)) < 2_000


# ---- beside Keras ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def libraries():
    return pytest.importorskip("tensorflow"), pytest.importorskip("tf_keras"), pytest.importorskip("keras")


def known(names):
    return set(names.split()) <= set(ops.__all__)


def flat(values):
    return values if isinstance(values, (list, tuple)) else [values]


@pytest.mark.tensorflow
def test_expressions_of_keras_2(libraries, tmp_path):
    tf, tf_keras, keras = libraries
    x, i = tf_keras.Input((4, 5), name="x"), tf_keras.Input((4,), dtype="int32", name="i")
    cases = [(names, flat(outputs)) for names, outputs in expressions(tf, tf_keras, x, i)]
    for names, outputs in cases:
        if not known(names):
            with pytest.raises(UnsupportedError, match="needs what fastseq does not have"):
                fastseq.from_keras(tf_keras.Model([x, i], outputs))
    outputs = [(names, tensor) for names, tensors in cases if known(names) for tensor in tensors]
    # One of each: a file of Keras 2.12 on cannot hold an Ellipsis.
    model = tf_keras.Model([x, i], [tensor for _, tensor in outputs])
    plain = [tensor for _, tensor in outputs if "getitem" not in tensor.name]
    zipped = tf_keras.Model([x, i], plain)
    zipped.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    read = [(fastseq.from_keras(model), model), (fastseq.load_model(tmp_path / "m.h5"), model),
            (fastseq.load_model(tmp_path / "m.keras"), zipped)]  # fmt: skip
    for ours, theirs in read:
        wanted = flat(theirs.predict([X, IDS], verbose=0))
        for ours_is, theirs_is in zip(flat(ours.predict([X, IDS], verbose=0)), wanted, strict=True):
            assert ours_is.shape == theirs_is.shape
            np.testing.assert_allclose(ours_is, theirs_is, rtol=2e-5, atol=2e-6)
    ours = read[1][0]
    ours.save(tmp_path / "three.keras")
    again = keras.saving.load_model(tmp_path / "three.keras").predict([X, IDS], verbose=0)
    for ours_is, theirs_is in zip(flat(ours.predict([X, IDS], verbose=0)), again, strict=True):
        np.testing.assert_allclose(ours_is, theirs_is, rtol=2e-5, atol=2e-6)


@pytest.mark.tensorflow
@pytest.mark.parametrize("function", REFUSED)
def test_what_is_refused_is_named(libraries, function):
    tf, tf_keras, _ = libraries
    x = tf_keras.Input((4, 5))
    with pytest.raises(UnsupportedError, match=rf"{function} \(1 operation\)"):
        fastseq.from_keras(tf_keras.Model(x, REFUSED[function](tf, x)))


@pytest.mark.tensorflow
def test_masks_end_at_expressions(libraries, tmp_path):
    """A cast that changes nothing hands its tensor on, and the mask with it."""
    tf, tf_keras, _ = libraries
    make = {
        "multiply": lambda x: x * 1.0,
        "cast": lambda x: tf.cast(x, "float32"),
        "tanh": tf.tanh,
        "add": lambda x: tf_keras.layers.Add()([x, x * 2.0]),
    }
    ids = np.array([[1, 2, 0, 0], [0, 3, 3, 0]], "i4")
    for name, function in make.items():
        tokens = tf_keras.Input((4,), dtype="int32")
        embedded = tf_keras.layers.Embedding(9, 3, mask_zero=True)(tokens)
        theirs = tf_keras.Model(tokens, tf_keras.layers.LSTM(2)(function(embedded)))
        theirs.set_weights([3 * RNG.standard_normal(w.shape) for w in theirs.get_weights()])
        theirs.save(tmp_path / "m.h5")
        ours = fastseq.load_model(tmp_path / "m.h5")
        np.testing.assert_allclose(
            ours.predict(ids, verbose=0), theirs.predict(ids, verbose=0), atol=1e-6, err_msg=name
        )


@pytest.mark.tensorflow
def test_weights_come_to_their_layers(libraries, tmp_path):
    """The order of layers is that of Keras 2, whatever number of operations an expression becomes here."""
    tf, tf_keras, _ = libraries
    dense = tf_keras.layers.Dense
    x = tf_keras.Input((4, 5))
    short = dense(5, name="a")(tf.nn.l2_normalize(x, -1))
    long = dense(5, name="b")(tf.tanh(tf.exp(x)))
    inner_x = tf_keras.Input((4, 5))
    inner = tf_keras.Model(
        inner_x, dense(5, name="c")(tf.nn.l2_normalize(inner_x, -1)) - dense(5, name="d")(-inner_x * 2)
    )
    theirs = tf_keras.Model(x, inner(short * long) + tf.square(dense(5, name="e")(short)))
    wanted = theirs.predict(X, verbose=0)
    for name in ("m.h5", "m.keras"):
        theirs.save(tmp_path / name)
        np.testing.assert_allclose(fastseq.load_model(tmp_path / name)(X), wanted, rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(fastseq.from_keras(theirs)(X), wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.tensorflow
def test_nodes_as_keras_2_writes_them(libraries, tmp_path):
    """A TensorFlowOpLayer of tf_keras, which still has the class, in a file that it writes."""
    tf, tf_keras, _ = libraries
    from tf_keras.src.engine.base_layer import TensorFlowOpLayer

    with tf.Graph().as_default():
        x = tf.compat.v1.placeholder(tf.float32, (None, 4, 5))
        made = [tf.raw_ops.AddV2(x=x, y=tf.constant(2.0)), tf.raw_ops.Mean(input=x, axis=[1], keep_dims=True),
                tf.raw_ops.ConcatV2(values=[x, x], axis=-1), tf.raw_ops.Pack(values=[x, x], axis=1),
                tf.raw_ops.Reshape(tensor=x, shape=[-1, 20]), tf.raw_ops.ExpandDims(input=x, axis=1)]  # fmt: skip
        found = []
        for tensor in made:
            constants = {
                n: tf.get_static_value(one) for n, one in enumerate(tensor.op.inputs) if one.op.type == "Const"
            }
            found.append((tensor.op.node_def, constants, sum(one is x for one in tensor.op.inputs)))
    x = tf_keras.Input((4, 5))
    outputs = [
        TensorFlowOpLayer(node.SerializeToString(), node.name, constants)([x] * inputs)
        for node, constants, inputs in found
    ]
    theirs = tf_keras.Model(x, outputs)
    theirs.save(tmp_path / "m.h5")
    ours = fastseq.load_model(tmp_path / "m.h5")
    for one, other in zip(ours.predict(X, verbose=0), theirs.predict(X, verbose=0), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    assert not any(isinstance(layer, OpNode) for layer in ours.layers) and isinstance(ours.layers[0], layers.InputLayer)
