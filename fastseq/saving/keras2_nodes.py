"""Nodes of TensorFlow's graph in files of TensorFlow 2.2 and 2.3, as calls of fastseq.ops.

A TensorFlowOpLayer holds one: JSON of a NodeDef, its `op`, and by name its attributes, {"b": bool} or {"i": "7"} and so
on. Inputs that are constants stand in the layer's config, under the number of the input.
"""

from fastseq.saving import keras2_functions as functions
from fastseq.saving.keras2_calls import Call, NotKnown

_DTYPES = {
    "DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16", "DT_BFLOAT16": "bfloat16",
    "DT_INT32": "int32", "DT_INT64": "int64", "DT_INT16": "int16", "DT_INT8": "int8", "DT_UINT8": "uint8",
    "DT_BOOL": "bool",
}  # fmt: skip


def call(config, inputs):
    """The Call that a TensorFlowOpLayer is; inputs: its tensors. Raises NotKnown."""
    node, constants = config.get("node_def"), config.get("constants") or {}
    function = TABLE.get(node.get("op")) if isinstance(node, dict) and isinstance(node.get("op"), str) else None
    if function is None or not isinstance(constants, dict):
        raise NotKnown(f"TensorFlowOpLayer {str(node)[:100]}")
    try:
        values = list(inputs)
        for index in sorted(constants, key=int):
            if not 0 <= int(index) <= len(values):
                raise IndexError(f"there is no input {index}")
            values.insert(int(index), _plain(constants[index]))
        return function(_Attributes(node.get("attr", {})), *values)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
        raise NotKnown(f"{node['op']}: {error}") from error


def _plain(value):
    """A constant as nests of numbers: Keras writes some of them as arrays."""
    if isinstance(value, dict) and value.get("class_name") in ("__numpy__", "__tensor__"):
        return value["config"]["value"]
    return value


class _Attributes:
    """The attributes of a node; those that are not written have their defaults."""

    def __init__(self, values):
        self._values = values

    def whole(self, name, default=0):
        return int(self._values[name]["i"]) if name in self._values else default

    def wholes(self, name):
        return [int(item) for item in self._values.get(name, {}).get("list", {}).get("i", [])]

    def flag(self, name):
        return bool(self._values.get(name, {}).get("b", False))

    def number(self, name, default):
        return float(self._values[name]["f"]) if name in self._values else default

    def dtype(self, name):
        return _DTYPES[self._values[name]["type"]]


def _unary(name):
    return lambda attributes, x: Call(name, x)


def _binary(name):
    return lambda attributes, x, y: Call(name, x, y)


def _reduction(name):
    return lambda attributes, x, axis: functions.reduction(name)(x, axis, attributes.flag("keep_dims"))


def _strided_slice(attributes, x, begin, end, strides):
    masks = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    return functions.strided_slice(x, begin, end, strides, **{mask: attributes.whole(mask) for mask in masks})


def _matmul(first, second):
    return lambda attributes, a, b: functions.matmul(a, b, attributes.flag(first), attributes.flag(second))


def _concatenate(attributes, *values):
    *values, axis = values
    return Call("concatenate", values, axis=axis)


TABLE = {
    "StridedSlice": _strided_slice,
    "MatMul": _matmul("transpose_a", "transpose_b"),
    "BatchMatMul": _matmul("adj_x", "adj_y"),
    "BatchMatMulV2": _matmul("adj_x", "adj_y"),
    "ConcatV2": _concatenate,
    "Pack": lambda attributes, *values: Call("stack", values, axis=attributes.whole("axis")),
    "Unpack": lambda attributes, x: Call("unstack", x, num=attributes.whole("num"), axis=attributes.whole("axis")),
    "Split": lambda attributes, axis, x: functions.split(x, attributes.whole("num_split"), axis),
    "SplitV": lambda attributes, x, sizes, axis: functions.split(x, sizes, axis),
    "Squeeze": lambda attributes, x: functions.squeeze(x, attributes.wholes("squeeze_dims")),
    "ExpandDims": lambda attributes, x, axis: Call("expand_dims", x, axis),
    "Reshape": lambda attributes, x, shape: functions.reshape(x, shape),
    "Transpose": lambda attributes, x, perm: functions.transpose(x, perm),
    "Slice": lambda attributes, x, begin, size: functions.cut(x, begin, size),
    "Cast": lambda attributes, x: functions.cast(x, attributes.dtype("DstT")),
    "Tile": lambda attributes, x, multiples: Call("tile", x, multiples),
    "GatherV2": lambda attributes, x, indices, axis: Call("take", x, indices, axis=axis),
    "Pad": lambda attributes, x, paddings: functions.pad(x, paddings),
    "PadV2": lambda attributes, x, paddings, value: functions.pad(x, paddings, constant_values=value),
    "OneHot": lambda attributes, x, depth, on, off: functions.one_hot(x, depth, on, off, attributes.whole("axis", -1)),
    "ArgMax": lambda attributes, x, axis: Call("argmax", x, axis=axis),
    "ArgMin": lambda attributes, x, axis: Call("argmin", x, axis=axis),
    "ReverseV2": lambda attributes, x, axis: Call("flip", x, axis=axis),
    "Cumsum": lambda attributes, x, axis: functions.cumulated("cumsum")(
        x, axis, attributes.flag("exclusive"), attributes.flag("reverse")
    ),
    "SelectV2": lambda attributes, condition, x, y: Call("where", condition, x, y),
    "ClipByValue": lambda attributes, x, low, high: functions.clip(x, low, high),
    "BroadcastTo": lambda attributes, x, shape: Call("broadcast_to", x, shape),
    "LeakyRelu": lambda attributes, x: Call("leaky_relu", x, negative_slope=attributes.number("alpha", 0.2)),
    "SquaredDifference": lambda attributes, x, y: Call("square", Call("subtract", x, y)),
    "DivNoNan": lambda attributes, x, y: functions.divide_no_nan(x, y),
    "AddN": lambda attributes, *values: functions.add_n(list(values)),
}
TABLE.update({name: _binary(function) for name, function in {
    "Add": "add", "AddV2": "add", "BiasAdd": "add", "Sub": "subtract", "Mul": "multiply", "RealDiv": "divide",
    "Div": "divide", "FloorDiv": "floor_divide", "FloorMod": "mod", "Pow": "power", "Maximum": "maximum",
    "Minimum": "minimum", "Greater": "greater", "GreaterEqual": "greater_equal", "Less": "less",
    "LessEqual": "less_equal", "Equal": "equal", "NotEqual": "not_equal", "LogicalAnd": "logical_and",
    "LogicalOr": "logical_or", "Atan2": "arctan2",
}.items()})  # fmt: skip
TABLE.update({name: _reduction(function) for name, function in {
    "Mean": "mean", "Sum": "sum", "Max": "max", "Min": "min", "Prod": "prod", "Any": "any", "All": "all",
}.items()})  # fmt: skip
TABLE.update({name: _unary(function) for name, function in {
    "Softmax": "softmax", "LogSoftmax": "log_softmax", "Relu": "relu", "Relu6": "relu6", "Elu": "elu", "Selu": "selu",
    "Sigmoid": "sigmoid", "Tanh": "tanh", "Softplus": "softplus", "Softsign": "softsign", "Exp": "exp",
    "Expm1": "expm1", "Log": "log", "Log1p": "log1p", "Sqrt": "sqrt", "Rsqrt": "rsqrt", "Square": "square",
    "Neg": "negative", "Abs": "absolute", "Sign": "sign", "Floor": "floor", "Ceil": "ceil", "Round": "round",
    "Rint": "round", "Reciprocal": "reciprocal", "Inv": "reciprocal", "Sin": "sin", "Cos": "cos", "Tan": "tan",
    "Erf": "erf", "LogicalNot": "logical_not", "IsNan": "isnan", "ZerosLike": "zeros_like", "OnesLike": "ones_like",
    "Identity": "copy", "StopGradient": "stop_gradient",
}.items()})  # fmt: skip
