"""The layers of user_layers.py as nodes of an ONNX graph (engines_onnx.Graph), time first."""

import numpy as np
from cells import EPSILON


def attention(graph, x, weight):
    logits = graph.add("MatMul", x, graph.constant(weight))  # (T, B, 1)
    shares = graph.add("Exp", graph.add("Sub", logits, graph.add("ReduceMax", logits, axes=[0], keepdims=1)))
    total = graph.add("ReduceSum", shares, graph.axes(0), keepdims=1)
    shares = graph.add("Div", shares, graph.add("Add", total, graph.constant(np.float32(1e-7))))
    return graph.add("ReduceSum", graph.add("Mul", x, shares), graph.axes(0), keepdims=0)


def instant_norm(graph, x, gamma, beta):
    return graph.add("LayerNormalization", x, graph.constant(gamma), graph.constant(beta), epsilon=EPSILON)


def own_lstm(graph, x, kernel, recurrent, bias, gamma, state_gamma):
    """Scan, the input's products of all timesteps ahead of it."""
    from onnx import TensorProto, helper

    first = graph.constant(np.zeros((graph.batch, len(recurrent)), np.float32))
    zeros = graph.constant(np.zeros_like(state_gamma))
    recurrent, gamma, bias, state_gamma = map(graph.constant, (recurrent, gamma, bias, state_gamma))
    body = graph.inner()
    z = body.add("Add", "scanned", body.add("MatMul", "h", recurrent))
    z = body.add("LayerNormalization", z, gamma, bias, epsilon=EPSILON)
    i, f, g, o = body.add_all("Split", z, outputs=4, axis=-1)
    kept = body.add("Mul", body.add("Sigmoid", f), "c")
    c = body.add("Add", kept, body.add("Mul", body.add("Sigmoid", i), body.add("Tanh", g)))
    normal = body.add("LayerNormalization", c, state_gamma, zeros, epsilon=EPSILON)
    h = body.add("Mul", body.add("Sigmoid", o), body.add("Tanh", normal))
    y = body.add("Identity", h)

    def info(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)

    ends = [list(map(info, names)) for names in (("h", "c", "scanned"), (h, c, y))]
    timestep = helper.make_graph(body.nodes, "timestep", *ends)
    sums = graph.add("MatMul", x, graph.constant(kernel))
    return graph.add("Scan", first, first, sums, outputs=3, body=timestep, num_scan_inputs=1)


def multi_head_attention(graph, x, causal, time, *weights):
    """(T, B, C) of (T, B, C), with the weights of Keras's layer; scores (B, heads, T, T)."""
    size, heads, head = weights[0].shape

    def product(kernel, bias, perm):
        y = graph.add("MatMul", x, graph.constant(kernel.reshape(size, -1)))
        y = graph.add("Add", y, graph.constant(bias.reshape(-1)))
        return graph.add("Transpose", graph.add("Reshape", y, graph.axes(0, 0, heads, head)), perm=perm)

    scale = np.float32(1 / np.sqrt(head))
    query = product(weights[0] * scale, weights[1] * scale, [1, 2, 0, 3])
    key = product(weights[2], weights[3], [1, 2, 3, 0])
    value = product(weights[4], weights[5], [1, 2, 0, 3])
    scores = graph.add("MatMul", query, key)
    if causal:
        hidden = np.where(np.tri(time, dtype=bool), 0, -1e30).astype(np.float32)
        scores = graph.add("Add", scores, graph.constant(hidden))
    found = graph.add("MatMul", graph.add("Softmax", scores, axis=-1), value)
    found = graph.add("Reshape", graph.add("Transpose", found, perm=[2, 0, 1, 3]), graph.axes(0, 0, size))
    found = graph.add("MatMul", found, graph.constant(weights[6].reshape(-1, size)))
    return graph.add("Add", found, graph.constant(weights[7]))


USERS = {"Attention": attention, "InstantNorm": instant_norm, "OwnLSTM": own_lstm}
