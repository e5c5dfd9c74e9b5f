"""Loops of tokens over ONNX Runtime: a session's run for each token, or an ONNX Loop of the whole."""

import numpy as np
from decoding_tasks import START
from engine_tools import fastest
from engines_onnx import ORDERS, Graph, onnx_model


class _Steps(Graph):
    """Nodes of one step: from the last token (B,) int64 and states to the next ones; values are names."""

    def __init__(self, task):
        super().__init__(masked=False)
        self.task, self.weights = task, task.cell.weights()

    def choose(self, logits):
        return self.add("ArgMax", logits, axis=-1, keepdims=0)

    def text(self, recent):
        """(window, B) int64 -> the next token (B,), the next window."""
        *steps, (kernel, bias) = self.weights
        cell, last = self.task.cell, len(steps)

        def apply(n, step, *values):
            if n < last:
                return self.step(step, steps[n], *values)
            return self.add("Add", self.add("MatMul", values[0], self.constant(kernel)), self.constant(bias))

        token = self.choose(cell.walk(recent, apply))
        rest = self.add("Slice", recent, self.axes(1), self.axes(self.task.window), self.axes(0))
        return token, self.add("Concat", rest, self.add("Unsqueeze", token, self.axes(0)), axis=0)

    def lstm(self, row, h, c, softmax=False):
        """The LSTM operator: row (1, B, V), h, c (1, B, units) -> what follows from the logits, new h, c."""
        (kernel, recurrent, bias), dense = self.weights

        def gates(array):
            parts = np.split(array, 4, axis=-1)
            return np.concatenate([parts[i] for i in ORDERS["LSTM"]], axis=-1)

        arrays = gates(kernel).T[None], gates(recurrent).T[None], np.concatenate([gates(bias), 0 * bias])[None]
        weights = [self.constant(array) for array in arrays]
        self.add("LSTM", row, *weights, "", h, c, outputs=3, hidden_size=recurrent.shape[0])
        h, c = self.nodes[-1].output[1:]
        logits = self.add("Gemm", self.add("Squeeze", h, self.axes(0)), *(self.constant(array) for array in dense))
        return self.add("Softmax", logits, axis=-1) if softmax else self.choose(logits), h, c

    def sentence_op(self, token, h, c):
        """The LSTM operator over a one-hot row that is looked up: token (B,), h, c (B, units) -> the next ones."""
        time, rows = self.axes(0), self.constant(np.eye(self.task.vocabulary, dtype=np.float32))
        row, h, c = (self.add("Unsqueeze", value, time) for value in (self.add("Gather", rows, token), h, c))
        token, h, c = self.lstm(row, h, c)
        return token, self.add("Squeeze", h, time), self.add("Squeeze", c, time)

    def sentence_by_hand(self, token, h, c):
        """The gates written out, from a table of what each token gives to them."""
        (kernel, recurrent, bias), dense = self.weights
        given = self.add("Gather", self.constant(kernel + bias), token)
        sums = self.add("Gemm", h, self.constant(recurrent), given)
        self.add("Split", sums, outputs=4, axis=-1)
        i, f, g, o = self.nodes[-1].output
        kept = self.add("Mul", self.add("Sigmoid", f), c)
        c = self.add("Add", kept, self.add("Mul", self.add("Sigmoid", i), self.add("Tanh", g)))
        h = self.add("Mul", self.add("Sigmoid", o), self.add("Tanh", c))
        return self.choose(self.add("Gemm", h, *(self.constant(array) for array in dense))), h, c


def _sizes(task):
    from onnx import TensorProto

    token = ("token", TensorProto.INT64, [task.rows])
    if task.window:
        return token, [("recent", TensorProto.INT64, [task.window, task.rows])]
    units = task.cell.steps[0].units
    return token, [(name, TensorProto.FLOAT, [task.rows, units]) for name in "hc"]


def _ways(task):
    """Functions (graph, token, *states) -> token, *states."""
    if task.window:
        return [lambda graph, token, recent: graph.text(recent)]
    return [_Steps.sentence_op, _Steps.sentence_by_hand]


def _info(name, kind, shape):
    from onnx import helper

    return helper.make_tensor_value_info(name, kind, shape)


def _model(graph):
    import onnx
    from onnx import helper

    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model.SerializeToString()


def step_model(task, way):
    """One step: token, states -> new_token, new_states."""
    from onnx import helper

    token, states = _sizes(task)
    graph = _Steps(task)
    found = way(graph, token[0], *(state[0] for state in states))
    outputs = []
    for name, (old, kind, shape) in zip(found, [token, *states]):
        graph.nodes.append(helper.make_node("Identity", [name], [f"new_{old}"]))
        outputs.append(_info(f"new_{old}", kind, shape))
    inputs = [_info(*size) for size in ([] if task.window else [token]) + states]
    return _model(helper.make_graph(graph.nodes, "step", inputs, outputs, graph.constants))


def loop_model(task, way):
    """All steps in a Loop: states -> ids (tokens, B)."""
    from onnx import TensorProto, helper, numpy_helper

    token, states = _sizes(task)
    graph = _Steps(task)
    found = way(graph, token[0], *(state[0] for state in states))
    body = [("go", TensorProto.BOOL, []), token, *states]
    names = []
    for name in ("go", *found, found[0]):
        names.append(f"out{len(names)}")
        graph.nodes.append(helper.make_node("Identity", [name], [names[-1]]))
    outputs = [_info(name, kind, shape) for name, (_, kind, shape) in zip(names, [*body, token])]
    inputs = [_info("turn", TensorProto.INT64, []), *(_info(*size) for size in body)]
    inner = helper.make_graph(graph.nodes, "step", inputs, outputs, graph.constants)
    given = [f"first_{name}" for name, *_ in states]
    constants = {
        "count": np.array(task.tokens), "always": np.array(True), "begin": np.full(task.rows, START, np.int64)
    }  # fmt: skip
    ends = [f"last{i}" for i in range(1 + len(states))]
    node = helper.make_node("Loop", ["count", "always", "begin", *given], [*ends, "ids"], body=inner)
    outer = helper.make_graph(
        [node], "loop", [_info(name, kind, shape) for name, (_, kind, shape) in zip(given, states)],
        [_info("ids", TensorProto.INT64, [task.tokens, task.rows])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )  # fmt: skip
    return _model(outer)


def _hot_step(task):
    """The tutorials' step: one-hot rows hot (1, B, V), states (1, B, units) -> probabilities (B, V), new states."""
    from onnx import TensorProto, helper

    graph = _Steps(task)
    shares, *after = graph.lstm("hot", "h", "c", softmax=True)
    (recurrent, dense), rows = task.cell.steps, task.rows
    state = (TensorProto.FLOAT, [1, rows, recurrent.units])
    inputs = [_info("hot", TensorProto.FLOAT, [1, rows, task.vocabulary]), *(_info(name, *state) for name in "hc")]
    outputs = [_info(shares, TensorProto.FLOAT, [rows, dense.units]), *(_info(name, *state) for name in after)]
    return _model(helper.make_graph(graph.nodes, "step", inputs, outputs, graph.constants))


def _sessions(threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return lambda model: onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_engine(threads):
    """The loop as one writes it first: session.run for every token, the choice in NumPy."""
    session = _sessions(threads)

    def prepare(task):
        opened = session(onnx_model(task.cell) if task.window else _hot_step(task))

        def text(start):
            recent, found = start[0], np.empty((task.tokens, task.rows), np.int64)
            for position in range(task.tokens):
                found[position] = token = opened.run(None, {"x": recent})[0].argmax(-1)
                recent = np.concatenate([recent[1:], token[None].astype(recent.dtype)])
            return found

        def sentence(start):
            h, c = (state[None] for state in start)
            token, rows, found = START, np.arange(task.rows), np.empty((task.tokens, task.rows), np.int64)
            for position in range(task.tokens):
                hot = np.zeros((1, task.rows, task.vocabulary), np.float32)
                hot[0, rows, token] = 1
                shares, h, c = opened.run(None, {"hot": hot, "h": h, "c": c})
                found[position] = token = shares.argmax(-1)
            return found

        start = [np.ascontiguousarray(task.start()[0].T)] if task.window else task.start()
        return text if task.window else sentence, [start], lambda y: y.T

    return prepare


def bound_engine(threads):
    """A run for every token over arrays that are bound once, the choice in the graph; ids or one-hot rows within."""
    import onnxruntime

    session, value = _sessions(threads), onnxruntime.OrtValue.ortvalue_from_numpy

    def way(task, step):
        """Tokens go straight into the rows of the result, states to and fro between two places."""
        opened, (_, states) = session(step_model(task, step)), _sizes(task)
        result = np.full((1 + task.tokens, task.rows), START, np.int64)
        given = [np.empty(shape, np.int64 if task.window else np.float32) for *_, shape in states]
        places = [[value(array) for array in given]]
        places += [[value(np.empty_like(array)) for array in given] for _ in range(2)]
        bindings, tokens = [], [value(row) for row in result]
        for turn in range(task.tokens):
            binding = opened.io_binding()
            source = places[0 if turn == 0 else 1 + turn % 2]
            if not task.window:
                binding.bind_ortvalue_input("token", tokens[turn])
            binding.bind_ortvalue_output("new_token", tokens[turn + 1])
            for (name, *_), here, there in zip(states, source, places[1 + (turn + 1) % 2]):
                binding.bind_ortvalue_input(name, here)
                binding.bind_ortvalue_output(f"new_{name}", there)
            bindings.append(binding)

        def loop(start):
            for array, state in zip(given, start):
                array[:] = state
            for binding in bindings:
                opened.run_with_iobinding(binding)
            return result[1:]

        return loop

    return _prepare(way)


def loop_engine(threads):
    """The whole loop in the graph."""
    session = _sessions(threads)

    def way(task, step):
        opened, (_, states) = session(loop_model(task, step)), _sizes(task)
        return lambda start: opened.run(None, {f"first_{name}": x for (name, *_), x in zip(states, start)})[0]

    return _prepare(way)


def _prepare(way):
    def prepare(task):
        start = [np.ascontiguousarray(task.start()[0].T.astype(np.int64))] if task.window else task.start()
        return fastest([way(task, step) for step in _ways(task)], start), [start], lambda y: np.array(y).T

    return prepare
