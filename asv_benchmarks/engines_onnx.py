"""ONNX Runtime and OpenVINO, from one ONNX graph of the cell."""

import convolutions
import numpy as np
from cells import EPSILON
from engine_tools import Unsupported, fastest
from users_onnx import USERS, multi_head_attention

ORDERS = {"LSTM": (0, 3, 1, 2), "GRU": (0, 1, 2), "SimpleRNN": (0,)}  # i o f c; z r h


class Graph:
    """Nodes and constants of an ONNX graph; values are names. Time first: (T, B, I)."""

    def __init__(self, masked, batch=1, time=None):
        self.nodes, self.constants, self.masked, self._prefix = [], [], masked, "v"
        self.batch, self.time = batch, time

    def inner(self):
        """The graph of a loop's body, with this one's constants."""
        found = Graph(self.masked, self.batch, self.time)
        found.constants, found._prefix = self.constants, f"{self._prefix}{len(self.nodes)}_"
        return found

    def constant(self, array):
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, op, *values, outputs=1, **attributes):
        """Adds a node; returns its output's name, of several the last one's."""
        return self.add_all(op, *values, outputs=outputs, **attributes)[-1]

    def add_all(self, op, *values, outputs, **attributes):
        """Adds a node; returns the names of its outputs."""
        from onnx import helper

        names = [f"{self._prefix}{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(values), names, **attributes))
        return names

    def axes(self, *numbers):
        return self.constant(np.array(numbers, np.int64))

    def step(self, step, weights, *values):
        """Adds the nodes of one step of the cell; returns the name of its output."""
        x = values[0]
        if step.kind in USERS:
            return USERS[step.kind](self, x, *weights)
        if step.recurrent:
            return self._recurrent(step, weights, x)
        if step.kind == "Dense":
            y = self.add("Add", self.add("MatMul", x, self.constant(weights[0])), self.constant(weights[1]))
            return y if step.activation == "linear" else self.activated(step.activation, y)
        if step.kind in convolutions.KINDS:
            return convolutions.onnx_step(self, step, x, *weights)
        if step.kind == "Embedding":
            return self.add("Gather", self.constant(weights[0]), x, axis=0)
        if step.kind == "RepeatVector":
            return self.add("Expand", self.add("Unsqueeze", x, self.axes(0)), self.axes(step.units, 1, 1))
        if step.kind == "LayerNormalization":
            return self.add("LayerNormalization", x, *map(self.constant, weights), epsilon=EPSILON)
        if step.kind == "BatchNormalization":  # folded, as converters write it: faster than the operation of that name
            gamma, beta, mean, variance = weights
            scale = gamma / np.sqrt(variance + np.float32(EPSILON))
            return self.add("Add", self.add("Mul", x, self.constant(scale)), self.constant(beta - mean * scale))
        if step.kind == "MultiHeadAttention":
            return multi_head_attention(self, x, step.causal, self.time, *weights)
        if step.kind == "Concatenate":
            return self.add("Concat", *values, axis=-1)
        raise Unsupported

    def activated(self, name, x):
        return self.add("Softmax", x, axis=-1) if name == "softmax" else self.add(name.capitalize(), x)

    def recurrent_weights(self, step, weights):
        """(constants W, R and B of a recurrent node, its attributes without the direction)."""
        kind = step.kind.split("_")[0]

        def gates(array):
            parts = np.split(array, len(ORDERS[kind]), axis=-1)
            return np.concatenate([parts[i] for i in ORDERS[kind]], axis=-1)

        kernels, recurrents, biases = [], [], []
        for i in range(1 + step.bidirectional):
            kernel, recurrent, bias = weights[3 * i : 3 * i + 3]
            given, inner = bias if step.kind == "GRU" else (bias, np.zeros_like(bias))
            kernels.append(gates(kernel).T)
            recurrents.append(gates(recurrent).T)
            biases.append(np.concatenate([gates(given), gates(inner)]))
        options = {"linear_before_reset": int(step.kind == "GRU")} if kind == "GRU" else {}
        constants = [self.constant(np.stack(arrays)) for arrays in (kernels, recurrents, biases)]
        return constants, {"hidden_size": step.units, **options}

    def _recurrent(self, step, weights, x):
        kind = step.kind.split("_")[0]
        if step.bidirectional and not step.sequences:
            raise Unsupported
        constants, options = self.recurrent_weights(step, weights)
        y = self.add(
            "RNN" if kind == "SimpleRNN" else kind, x, *constants, *(["lengths"] if self.masked else []),
            outputs=1 if step.sequences else 2, direction="bidirectional" if step.bidirectional else "forward",
            **options,
        )  # fmt: skip
        if not step.sequences:
            return self.add("Squeeze", y, self.axes(0))  # the last state, (1, B, units)
        if not step.bidirectional:
            return self.add("Squeeze", y, self.axes(1))  # (T, 1, B, units)
        y = self.add("Transpose", y, perm=[0, 2, 1, 3])
        return self.add("Reshape", y, self.axes(0, 0, -1))


def _rank(n, step, rank, *others):
    if step.kind == "RepeatVector":
        return 3
    return 2 if step.kind == "Attention" or not step.sequences else rank


def onnx_model(cell):
    """The cell as the bytes of an ONNX model: x -> y, and `lengths` (B,) where it is masked.

    x: (T, B, I), of a convolution (B, I, T), or (T, B) ids.
    """
    import onnx
    from onnx import TensorProto, helper

    graph, weights = Graph(bool(cell.masked), *cell.shape[:2]), cell.weights()
    y = cell.walk("x", lambda n, step, *values: graph.step(step, weights[n], *values))
    batch, time = cell.shape[:2]
    kind = TensorProto.INT32 if cell.ids else TensorProto.FLOAT
    shape = [time or "time", batch, *cell.shape[2:]]
    if cell.channels_first:
        shape = [batch, cell.shape[2], time]
    info = [helper.make_tensor_value_info("x", kind, shape)]
    if cell.masked:
        info.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, [batch]))
    result = helper.make_tensor_value_info(y, TensorProto.FLOAT, [None] * cell.walk(3, _rank))
    model = helper.make_model(
        helper.make_graph(graph.nodes, "cell", info, [result], graph.constants),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _layout(cell):
    """What makes the graph's input of the cell's, and what brings its output back."""
    if cell.channels_first:
        return convolutions.channels_first, lambda y: np.array(y).swapaxes(1, 2)
    return _time_first, _batch_first


def _time_first(x):
    return np.ascontiguousarray(x.swapaxes(0, 1))


def _batch_first(y):
    y = np.array(y)
    return y.swapaxes(0, 1) if y.ndim == 3 else y


def onnxruntime_engine(threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL

    def prepare(cell):
        if cell.masked == "left":
            raise Unsupported
        session = onnxruntime.InferenceSession(onnx_model(cell), options, providers=["CPUExecutionProvider"])
        given, brought = _layout(cell)
        inputs = [given(x) for x in cell.inputs()]
        extra = {"lengths": cell.lengths().astype(np.int32)} if cell.masked else {}
        if len(inputs) > 1:
            return (lambda x: session.run(None, {"x": x})[0]), inputs, brought

        feed = {"x": inputs[0], **extra}
        bound = session.io_binding()
        kept = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in feed.items()}
        for name, value in kept.items():
            bound.bind_ortvalue_input(name, value)
        output = session.get_outputs()[0].name
        shape = session.run(None, feed)[0].shape
        result = onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, np.float32)
        bound.bind_ortvalue_output(output, result)

        def run_bound(_):
            session.run_with_iobinding(bound)
            return result

        way = fastest([lambda _: session.run(None, feed)[0], run_bound], inputs[0])
        return way, inputs, lambda y: brought(y.numpy() if hasattr(y, "numpy") else y)

    return prepare


def openvino_engine(threads):
    import openvino

    core = openvino.Core()
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}

    def prepare(cell):
        if cell.masked == "left":
            raise Unsupported
        given, brought = _layout(cell)
        inputs = [given(x) for x in cell.inputs()]

        def request(shape=None):
            model = core.read_model(onnx_model(cell))
            if shape:
                model.reshape(list(shape))
            return core.compile_model(model, "CPU", options).create_infer_request()

        one = request()
        if cell.sentences:
            fixed = {x.shape: None for x in inputs}
            fixed.update({shape: request(shape) for shape in fixed})
            ways = [
                lambda x: one.infer([x], share_inputs=True)[0],
                lambda x: fixed[x.shape].infer([x], share_inputs=True)[0],
            ]
            whole = [lambda xs, way=way: [way(x) for x in xs] for way in ways]
            return ways[whole.index(fastest(whole, inputs))], inputs, brought
        bound = request()
        lengths = [cell.lengths().astype(np.int32)] if cell.masked else []
        for i, array in enumerate([inputs[0], *lengths]):
            bound.set_input_tensor(i, openvino.Tensor(array, shared_memory=True))

        def run_bound(_):
            bound.start_async()
            bound.wait()
            return bound.get_output_tensor().data

        ways = [lambda x: one.infer([x, *lengths], share_inputs=True, share_outputs=True)[0], run_bound]
        return fastest(ways, inputs[0]), inputs, brought

    return prepare
