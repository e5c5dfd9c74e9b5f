"""One engine in a process of its own: `python engines.py NAME` answers JSON lines on standard input.

Every engine turns a cell (cells.py) into a function without arguments that runs the model on its input, in whatever
layout suits the engine best, and a function that brings a result back to (B, T, units).
"""

import json
import os
import sys
import time

import numpy as np


class Unsupported(Exception):
    """The engine cannot run this cell."""


def fastseq_engine(threads):
    import fastseq

    fastseq.set_num_threads(threads)

    def prepare(cell):
        x, mask = cell.inputs(), cell.mask()
        model = _keras_like(fastseq, cell)
        if mask is None:
            return (lambda: model(x)), np.asarray
        layer = model.layers[0]
        return (lambda: layer(x, mask=mask)), np.asarray

    return prepare


def _keras_like(library, cell):
    layers = [library.Input(batch_shape=cell.shape)]
    for step in cell.steps:
        if step.kind == "Dense":
            layers.append(library.layers.Dense(step.units, activation=step.activation))
            continue
        options = {"return_sequences": True}
        if step.kind == "GRU_reset_before":
            options["reset_after"] = False
        layer = getattr(library.layers, step.kind.split("_")[0])(step.units, **options)
        layers.append(library.layers.Bidirectional(layer) if step.bidirectional else layer)
    model = library.Sequential(layers)
    model.set_weights([w for own in cell.weights() for w in own])
    return model


def keras_tf_engine(threads, xla=False):
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    def prepare(cell):
        model = _keras_like(keras, cell)
        x = tf.constant(cell.inputs())
        mask = None if cell.mask() is None else tf.constant(cell.mask())

        @tf.function(jit_compile=xla)
        def call(x):
            return model(x) if mask is None else model.layers[0](x, mask=mask)

        return (lambda: call(x).numpy()), np.asarray

    return prepare


def keras_jax_engine(threads):
    import jax
    import keras

    def prepare(cell):
        model = _keras_like(keras, cell)
        x = jax.numpy.asarray(cell.inputs())
        mask = None if cell.mask() is None else jax.numpy.asarray(cell.mask())
        call = jax.jit(lambda x: model(x) if mask is None else model.layers[0](x, mask=mask))
        return (lambda: call(x).block_until_ready()), np.asarray

    return prepare


def torch_engine(threads):
    import torch

    torch.set_num_threads(threads)
    kinds = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU, "SimpleRNN": torch.nn.RNN}

    def reordered(kind, weight):
        """Keras's gates z r h are r z n in PyTorch; i f c o are the same."""
        if kind != "GRU":
            return weight
        z, r, h = np.split(weight, 3, axis=-1)
        return np.concatenate([r, z, h], axis=-1)

    def prepare(cell):
        if cell.masked or any(step.kind == "GRU_reset_before" for step in cell.steps):
            raise Unsupported
        modules, inputs = [], cell.shape[2]
        for step, weights in zip(cell.steps, cell.weights()):
            if step.kind == "Dense":
                module = torch.nn.Linear(inputs, step.units)
                module.weight.data, module.bias.data = torch.tensor(weights[0].T), torch.tensor(weights[1])
                modules.append(module)
                modules += [torch.nn.Softmax(-1)] if step.activation == "softmax" else []
                inputs = step.units
                continue
            module = kinds[step.kind](inputs, step.units, batch_first=True, bidirectional=step.bidirectional)
            for i, suffix in enumerate(["", "_reverse"][: 1 + step.bidirectional]):
                kernel, recurrent, bias = weights[3 * i : 3 * i + 3]
                given, inner = bias if step.kind == "GRU" else (bias, np.zeros_like(bias))
                arrays = {
                    "weight_ih": reordered(step.kind, kernel).T, "weight_hh": reordered(step.kind, recurrent).T,
                    "bias_ih": reordered(step.kind, given), "bias_hh": reordered(step.kind, inner),
                }  # fmt: skip
                for name, array in arrays.items():
                    getattr(module, f"{name}_l0{suffix}").data = torch.tensor(np.ascontiguousarray(array))
            module.flatten_parameters()
            modules.append(module)
            inputs = step.units * (1 + step.bidirectional)
        x = torch.tensor(cell.inputs())

        def call():
            with torch.inference_mode():
                y = x
                for module in modules:
                    y = module(y)
                    y = y[0] if isinstance(y, tuple) else y
                return y

        return call, lambda y: y.numpy()

    return prepare


def onnx_model(cell):
    """The cell as ONNX operators, time first: x (T, B, I), y (T, B, units), and `lengths` where it is masked."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    orders = {"LSTM": (0, 3, 1, 2), "GRU": (0, 1, 2), "SimpleRNN": (0,)}  # i o f c; z r h
    nodes, constants, value = [], [], "x"
    batch, time_steps, inputs = cell.shape

    def constant(array, name):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def gates(array, kind):
        parts = np.split(array, len(orders[kind]), axis=-1)
        return np.concatenate([parts[i] for i in orders[kind]], axis=-1)

    for n, (step, weights) in enumerate(zip(cell.steps, cell.weights())):
        if step.kind == "Dense":
            nodes.append(helper.make_node("MatMul", [value, constant(weights[0], f"w{n}")], [f"m{n}"]))
            nodes.append(helper.make_node("Add", [f"m{n}", constant(weights[1], f"b{n}")], [f"a{n}"]))
            value, inputs = f"a{n}", step.units
            if step.activation == "softmax":
                nodes.append(helper.make_node("Softmax", [value], [f"s{n}"], axis=-1))
                value = f"s{n}"
            continue
        kind = step.kind.split("_")[0]
        directions = 1 + step.bidirectional
        kernels, recurrents, biases = [], [], []
        for i in range(directions):
            kernel, recurrent, bias = weights[3 * i : 3 * i + 3]
            given, inner = bias if step.kind == "GRU" else (bias, np.zeros_like(bias))
            kernels.append(gates(kernel, kind).T)
            recurrents.append(gates(recurrent, kind).T)
            biases.append(np.concatenate([gates(given, kind), gates(inner, kind)]))
        names = [value, constant(np.stack(kernels), f"w{n}"), constant(np.stack(recurrents), f"r{n}")]
        names.append(constant(np.stack(biases), f"b{n}"))
        if cell.masked:
            names.append("lengths")
        extra = {"linear_before_reset": int(step.kind == "GRU")} if kind == "GRU" else {}
        op = "RNN" if kind == "SimpleRNN" else kind
        direction = "bidirectional" if step.bidirectional else "forward"
        nodes.append(helper.make_node(op, names, [f"y{n}"], hidden_size=step.units, direction=direction, **extra))
        width = directions * step.units
        if step.bidirectional:
            nodes.append(helper.make_node("Transpose", [f"y{n}"], [f"t{n}"], perm=[0, 2, 1, 3]))
            value = f"t{n}"
        else:
            value = f"y{n}"
        shape = constant(np.array([time_steps, batch, width], np.int64), f"shape{n}")
        nodes.append(helper.make_node("Reshape", [value, shape], [f"z{n}"]))
        value, inputs = f"z{n}", width
    info = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [time_steps, batch, cell.shape[2]])]
    if cell.masked:
        info.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, [batch]))
    result = helper.make_tensor_value_info(value, TensorProto.FLOAT, [time_steps, batch, inputs])
    graph = helper.make_graph(nodes, "cell", info, [result], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _time_first(y):
    return np.asarray(y).transpose(1, 0, 2)


def onnxruntime_engine(threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1

    def prepare(cell):
        if cell.masked == "left":
            raise Unsupported
        session = onnxruntime.InferenceSession(onnx_model(cell), options, providers=["CPUExecutionProvider"])
        feed = {"x": np.ascontiguousarray(cell.inputs().transpose(1, 0, 2))}
        if cell.masked:
            feed["lengths"] = cell.lengths().astype(np.int32)
        return (lambda: session.run(None, feed)[0]), _time_first

    return prepare


def openvino_engine(threads):
    import openvino

    core = openvino.Core()
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}

    def prepare(cell):
        if cell.masked:
            raise Unsupported
        compiled = core.compile_model(core.read_model(onnx_model(cell)), "CPU", options)
        request = compiled.create_infer_request()
        x = np.ascontiguousarray(cell.inputs().transpose(1, 0, 2))
        return (lambda: request.infer([x], share_inputs=True)[0]), _time_first

    return prepare


ENGINES = {
    "fastseq": fastseq_engine,
    "TensorFlow": keras_tf_engine,
    "TensorFlow XLA": lambda threads: keras_tf_engine(threads, xla=True),
    "JAX": keras_jax_engine,
    "PyTorch": torch_engine,
    "ONNX Runtime": onnxruntime_engine,
    "OpenVINO": openvino_engine,
}


def serve(name, threads):
    """Commands: {"prepare": index of the cell, "check": path of a .npy to write}, {"run": seconds}."""
    from cells import all_cells

    prepare, cells, call = ENGINES[name](threads), all_cells(), None
    for line in sys.stdin:
        command = json.loads(line)
        try:
            if "prepare" in command:
                call, bring = prepare(cells[command["prepare"]])
                np.save(command["check"], bring(call()))
                answer = {"ready": True}
            else:
                times, end = [], time.perf_counter() + command["run"]
                while len(times) < 5 or time.perf_counter() < end:
                    start = time.perf_counter()
                    call()
                    times.append(time.perf_counter() - start)
                answer = {"median": float(np.median(times)), "calls": len(times)}
        except Unsupported:
            answer = {"unsupported": True}
        except Exception as error:  # an engine that fails on a cell must not end the whole table
            answer = {"failed": f"{type(error).__name__}: {error}"[:300]}
        print("@" + json.dumps(answer), flush=True)


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "jax" if sys.argv[1] == "JAX" else "tensorflow"
    serve(sys.argv[1], int(sys.argv[2]))
