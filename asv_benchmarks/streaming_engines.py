"""One engine that runs cells timestep by timestep: `python streaming_engines.py NAME THREADS` answers JSON lines.

Every engine turns a cell of one timestep (cells.py) into one or more `Way`s to advance it, states kept from tick to
tick: fastseq into all that are measured, a peer into those of which the fastest is. A peer's input is in place before a
tick is timed; fastseq is handed an array.
"""

import json
import os
import sys
import time

import numpy as np
import user_layers
from engine_tools import Way, fastest
from engines import measured
from engines_keras import build
from engines_onnx import Graph
from engines_torch import reordered, step_module
from streaming_cells import CELLS, check_inputs, longer
from streaming_litert import litert_engine

# ---- fastseq ---------------------------------------------------------------------------------------------------------


def fastseq_engine(threads):
    import fastseq

    fastseq.set_num_threads(threads)

    def prepare(cell):
        name, rows = "fastseq, stream.step(x, out=y)", cell.shape[0]
        ways = [_stream(fastseq, cell, name)]
        if cell.twin:
            ways.append(_stream(fastseq, cell.twin, f"{name}, {cell.twin.name}"))
        if rows == 1:
            return ways
        model, given = build(fastseq, cell), {}
        pool, handles, long = model.stream_pool(rows), [], _plain_batch(fastseq, cell)
        handles = [pool.open() for _ in range(rows)]

        def of_pool(x):
            given["rows"] = dict(zip(handles, x))

        pooled = Way(
            "fastseq, pool.step(...)", of_pool, lambda: pool.step(given["rows"]), lambda y: np.stack(list(y.values()))
        )
        return [pooled, *ways, long]

    return prepare


def _stream(fastseq, cell, name):
    """A stream of the cell's rows."""
    rows, given = cell.shape[0], {}
    stream, y = build(fastseq, cell).stream(rows), np.empty((rows, cell.steps[-1].units), np.float32)
    return Way(name, lambda x: given.update(x=x), lambda: stream.step(given["x"], out=y))


def _plain_batch(fastseq, cell, steps=20):
    """The same rows in one call over `steps` timesteps, without streams."""
    long = longer(cell, steps)
    model, x = build(fastseq, long), long.inputs()[0]
    name = f"fastseq, model(x) over {steps} timesteps, each"
    return Way(name, lambda _: None, lambda: model(x), ticks=steps, whole=lambda x: model(x))


# ---- peers -----------------------------------------------------------------------------------------------------------


def _step_graph(cell):
    """(bytes of the ONNX model of one timestep: x and states -> y and new states, names of states, name of y)."""
    import onnx
    from onnx import TensorProto, helper

    graph, weights, states = Graph(masked=False), cell.weights(), []
    batch, _, inputs = cell.shape
    y = "x"
    for step, own in zip(cell.steps, weights):
        if not step.recurrent:
            y = graph.step(step, own, y)
            continue
        constants, options = graph.recurrent_weights(step, own)
        count = 2 if step.kind == "LSTM" else 1
        first = [f"state{len(states) + i}" for i in range(count)]
        graph.add(step.kind, y, *constants, "", *first, outputs=1 + count, **options)
        last = [f"v{len(graph.nodes) - 1}_{1 + i}" for i in range(count)]
        states += [(a, b, [1, batch, step.units]) for a, b in zip(first, last)]
        y = last[0]  # the output of the only timestep

    def info(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    given = [info("x", [1, batch, inputs]), *(info(name, shape) for name, _, shape in states)]
    results = [] if y in [last for _, last, _ in states] else [info(y, [1, batch, cell.steps[-1].units])]
    results += [info(name, shape) for _, name, shape in states]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "cell", given, results, graph.constants),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model.SerializeToString(), states, y


def onnxruntime_engine(threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    value_of = onnxruntime.OrtValue.ortvalue_from_numpy

    def ways(cell):
        graph, states, y = _step_graph(cell)
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        # Two bindings: one reads the first set of states and writes the second, the other one the other way.
        x = value_of(np.zeros((1, *cell.shape[::2]), np.float32))
        sets = [[value_of(np.zeros(shape, np.float32)) for _, _, shape in states] for _ in range(2)]
        bound, results = [], []
        for source, target in (sets, sets[::-1]):
            binding = session.io_binding()
            binding.bind_ortvalue_input("x", x)
            for (first, last, _), before, after in zip(states, source, target):
                binding.bind_ortvalue_input(first, before)
                binding.bind_ortvalue_output(last, after)
            outputs = {last: after for (_, last, _), after in zip(states, target)}
            if y not in outputs:
                outputs[y] = value_of(np.zeros((1, cell.shape[0], cell.steps[-1].units), np.float32))
                binding.bind_ortvalue_output(y, outputs[y])
            bound.append(binding)
            results.append(outputs[y])
        turn, feed = [0], {first: np.zeros(shape, np.float32) for first, _, shape in states}

        def tick_bound():
            now = turn[0]
            session.run_with_iobinding(bound[now])
            turn[0] = 1 - now
            return results[now]

        def tick_run():
            found = dict(zip(names, session.run(None, feed)))
            for first, last, _ in states:
                feed[first] = found[last]
            return found[y]

        return [
            Way("ONNX Runtime, IO binding", lambda new: x.update_inplace(new[None]), tick_bound, lambda y: y.numpy()),
            Way("ONNX Runtime, session.run", lambda new: feed.update(x=new[None]), tick_run),
        ]

    return ways


def jax_engine(threads):
    import jax
    import jax.numpy as jnp
    from users_jax import normalized

    # Handing a step to another thread costs as much as the step itself: LSTM(64) 14 us with it, 6 without.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    sigmoid = jax.nn.sigmoid

    def advance(cell, weights, x, *states):
        """The new states and, where it is not one of them, the output, of one timestep x (B, I)."""
        new = []
        for step, own in zip(cell.steps, weights):
            if step.kind == "LSTM":
                (kernel, recurrent, bias), (c, h) = own, states[len(new) : len(new) + 2]
                i, f, g, o = jnp.split(x @ kernel + h @ recurrent + bias, 4, axis=-1)
                c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
                x = sigmoid(o) * jnp.tanh(c)
                new += [c, x]
            elif step.kind == "GRU":
                (kernel, recurrent, bias), h = own, states[len(new)]
                xz, xr, xg = jnp.split(x @ kernel + bias[0], 3, axis=-1)
                hz, hr, hg = jnp.split(h @ recurrent + bias[1], 3, axis=-1)
                z = sigmoid(xz + hz)
                x = z * h + (1 - z) * jnp.tanh(xg + sigmoid(xr + hr) * hg)
                new.append(x)
            elif step.kind == "InstantNorm":
                x = normalized(x) * own[0] + own[1]
            else:
                x = x @ own[0] + own[1]
                x = x if step.activation == "linear" else getattr(jax.nn, step.activation)(x)
        return new if cell.steps[-1].recurrent else [*new, x]

    def ways(cell):
        weights, sizes = [[jnp.asarray(w) for w in own] for own in cell.weights()], []
        for step in cell.steps:
            sizes += [step.units] * {"LSTM": 2, "GRU": 1}.get(step.kind, 0)
        count = len(sizes)

        def way(name, call, *first):
            held = {"states": [jnp.zeros((cell.shape[0], size)) for size in sizes]}

            def tick():
                found = call(*first, held["x"], *held["states"])
                held["states"] = found[:count]
                return found[-1].block_until_ready()

            return Way(f"JAX, jit with donated states, {name}", lambda x: held.update(x=jnp.asarray(x)), tick)

        fixed = jax.jit(lambda x, *states: advance(cell, weights, x, *states), donate_argnums=range(1, 1 + count))
        given = jax.jit(lambda *values: advance(cell, *values), donate_argnums=range(2, 2 + count))
        return [way("weights as constants", fixed), way("weights given", given, weights)]

    return ways


def keras_engine(threads):
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    def layer_of(cell, n, **options):
        """options: of a recurrent layer."""
        step = cell.steps[n]
        if step.recurrent:
            inner = any(later.recurrent for later in cell.steps[n + 1 :])
            return getattr(keras.layers, step.kind)(step.units, return_sequences=inner, **options)
        if step.kind in user_layers.USERS:
            return user_layers.layer_of(keras, step)
        return keras.layers.Dense(step.units, activation=step.activation)

    def ways(cell):
        held = {}
        kept = [layer_of(cell, n, stateful=True) for n in range(len(cell.steps))]
        stateful = keras.Sequential([keras.Input(batch_shape=cell.shape), *kept])
        y = x = keras.Input(batch_shape=cell.shape)
        states, new = [], []
        outside = [layer_of(cell, n, return_state=True) for n in range(len(cell.steps))]
        for step, layer in zip(cell.steps, outside):
            if not step.recurrent:
                y = layer(y)
                continue
            own = [keras.Input(batch_shape=(cell.shape[0], step.units)) for _ in range(1 + (step.kind == "LSTM"))]
            y, *after = layer(y, initial_state=own)
            states, new = states + own, new + after
        one_step = keras.Model([x, *states], [y, *new])
        for own, layers in zip(cell.weights(), zip(kept, outside)):
            for layer in layers:
                layer.set_weights(own)
        held["states"] = [np.zeros(state.shape, np.float32) for state in states]

        def load(x):
            held["x"] = x[:, None]

        def tick():
            y, *held["states"] = one_step.predict_on_batch([held["x"], *held["states"]])
            return y

        return [
            Way("Keras on TensorFlow, predict_on_batch, stateful", load, lambda: stateful.predict_on_batch(held["x"])),
            Way("Keras on TensorFlow, predict_on_batch, states in and out", load, tick),
        ]

    return ways


def torch_engine(threads):
    import torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)

    def module_of(step, weights, suffix):
        if not step.recurrent:
            return step_module(torch, step, weights)
        kernel, recurrent, bias = weights
        given, inner = bias if step.kind == "GRU" else (bias, np.zeros_like(bias))
        module = getattr(torch.nn, step.kind + ("" if suffix else "Cell"))(kernel.shape[0], step.units)
        for name, array in (("weight_ih", kernel), ("weight_hh", recurrent), ("bias_ih", given), ("bias_hh", inner)):
            array = np.ascontiguousarray(reordered(step.kind, array).T)
            getattr(module, name + suffix).data = torch.tensor(array)
        return module

    def way(cell, name, suffix):
        modules = [module_of(step, own, suffix) for step, own in zip(cell.steps, cell.weights())]
        shape = (1, cell.shape[0]) if suffix else (cell.shape[0],)
        held = {"x": None}
        for n, step in enumerate(cell.steps):
            zeros = torch.zeros(*shape, step.units)
            held[n] = (zeros, zeros) if step.kind == "LSTM" else zeros

        def tick():
            y = held["x"]
            for n, (step, module) in enumerate(zip(cell.steps, modules)):
                if not step.recurrent:
                    y = module(y)
                elif suffix:
                    y, held[n] = module(y, held[n])
                else:
                    held[n] = module(y, held[n])
                    y = held[n][0] if step.kind == "LSTM" else held[n]
            return y

        def load(x):
            held["x"] = torch.tensor(x[None] if suffix else x)

        return Way(name, load, tick, lambda y: y.numpy())

    def ways(cell):
        return [way(cell, "PyTorch, cells", ""), way(cell, "PyTorch, layers over one timestep", "_l0")]

    return ways


ENGINES = {
    "fastseq": fastseq_engine, "ONNX Runtime": onnxruntime_engine, "JAX": jax_engine, "TensorFlow": keras_engine,
    "PyTorch": torch_engine, "LiteRT": litert_engine,
}  # fmt: skip


# ---- the process -----------------------------------------------------------------------------------------------------


def latencies(call, seconds):
    """Median and 99th percentile of single calls, in seconds, the clock's 0.05 us included."""
    clock, times = time.perf_counter_ns, []
    end = clock() + int(1e9 * seconds)
    now = clock()
    while now < end or len(times) < 20:
        start = clock()
        call()
        now = clock()
        times.append(now - start)
    median, p99 = np.percentile(times, [50, 99])
    return {"single": median / 1e9, "p99": p99 / 1e9}


def serve(name, threads):
    """Commands: {"prepare": index of the cell, "check": path of a .npz to write}, {"run": seconds, "way": number}."""
    prepare, ways = ENGINES[name](threads), []
    for line in sys.stdin:
        command = json.loads(line)
        try:
            if "prepare" in command:
                ways = None  # frees the last cell's weights first
                cell = CELLS[command["prepare"]]
                ways = prepare(cell)
                outputs = [way.outputs(check_inputs(cell)) for way in ways]
                for way in ways:
                    way.load(cell.inputs()[0][:, 0].copy())
                if name != "fastseq":
                    ticks = [lambda _, way=way: way.tick() for way in ways]
                    best = ticks.index(fastest(ticks, None))
                    ways, outputs = [ways[best]], [outputs[best]]
                np.savez(command["check"], *outputs)
                answer = {"ways": [way.name for way in ways]}
            else:
                way = ways[command["way"]]
                half = command["run"] / 2
                found = {**measured(way.tick, half), **latencies(way.tick, half)}
                answer = {key: value / way.ticks for key, value in found.items() if key != "calls"}
        except Exception as error:  # an engine that fails on a cell must not end the whole table
            answer = {"failed": f"{type(error).__name__}: {error}"[:300]}
        print("@" + json.dumps(answer), flush=True)


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "tensorflow"
    serve(sys.argv[1], int(sys.argv[2]))
