"""Loops of tokens in JAX, PyTorch and TensorFlow, written for speed: no engine pays for a one-hot row or a softmax that
the choice does not need, unless that is faster."""

from functools import partial

import numpy as np
from decoding_tasks import START
from engine_tools import fastest, one_step
from engines_torch import step_module


def _jax_cell(jax, recurrent, z, h, c):
    """One step of an LSTM whose inputs' share z of the gates is there."""
    i, f, g, o = jax.numpy.split(z + h @ recurrent, 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jax.numpy.tanh(g)
    return jax.nn.sigmoid(o) * jax.numpy.tanh(c), c


def _jax_sentence_step(jax, weights, carry):
    (kernel, recurrent, bias), dense = weights
    token, h, c = carry
    h, c = _jax_cell(jax, recurrent, kernel[token] + bias, h, c)
    return (jax.numpy.argmax(h @ dense[0] + dense[1], -1), h, c)


def _jax_lstm(jax, weights, x):
    """(T, B, I) -> (T, B, units)."""
    kernel, recurrent, bias = weights
    state = jax.numpy.zeros((x.shape[1], recurrent.shape[0]), x.dtype)

    def body(states, z):
        states = _jax_cell(jax, recurrent, z, *states)
        return states, states[0]

    return jax.lax.scan(body, (state, state), x @ kernel + bias)[1]


def _jax_text_step(jax, weights, carry):
    [table], first, second, _, [attention], dense = weights
    _, ids = carry
    embedded = table[ids]
    y = _jax_lstm(jax, first, embedded)
    x = jax.numpy.concatenate([embedded, y, _jax_lstm(jax, second, y)], -1)
    shares = jax.numpy.exp(x @ attention - (x @ attention).max(0))
    average = (x * (shares / (shares.sum(0) + 1e-7))).sum(0)
    token = jax.numpy.argmax(average @ dense[0] + dense[1], -1)
    return token, jax.numpy.concatenate([ids[1:], token[None].astype(ids.dtype)])


def _jax_whole_way(jax, step, weights, token, tokens, unroll, constant):
    """The loop as one compiled program; constant: the weights are constants of it."""

    def scanned(weights, *states):
        def body(carry, _):
            carry = step(weights, carry)
            return carry, carry[0]

        return jax.lax.scan(body, (token, *states), length=tokens, unroll=unroll)[1]

    if constant:
        run = jax.jit(lambda *states: scanned(weights, *states))
        return lambda states: np.asarray(run(*states))
    run = jax.jit(scanned)
    return lambda states: np.asarray(run(weights, *states))


def _jax_step_way(jax, step, weights, token, tokens, constant):
    """A call of a compiled step for every token; constant: the weights are constants of it."""
    run = jax.jit(lambda *carry: step(weights, carry) if constant else step(carry[0], carry[1:]))
    given = () if constant else (weights,)

    def loop(states):
        carry, found = (token, *states), []
        for _ in range(tokens):
            carry = run(*given, *carry)
            found.append(carry[0])
        return np.stack([np.asarray(one) for one in found])

    return loop


def jax_engine(threads, whole):
    """whole: the loop is one compiled program; otherwise every token is a call of a compiled step."""
    import jax

    def prepare(task):
        weights = [[jax.numpy.asarray(w) for w in own] for own in task.cell.weights()]
        token = jax.numpy.full(task.rows, START)
        step = partial(_jax_text_step if task.window else _jax_sentence_step, jax)
        states = [task.start()[0].T] if task.window else task.start()
        given = (jax, step, weights, token, task.tokens)
        if whole:
            unrolled = [(1, True), (1, False)] + ([] if task.window else [(task.tokens, True), (task.tokens, False)])
            ways = [_jax_whole_way(*given, *options) for options in unrolled]
        else:
            ways = [_jax_step_way(*given, constant) for constant in (True, False)]
        return fastest(ways, states), [states], lambda y: y.T

    return prepare


def _torch_text_way(torch, task):
    modules = [step_module(torch, step, weights) for step, weights in zip(task.cell.steps, task.cell.weights())]

    def loop(start):
        ids, found = torch.tensor(start[0].T.copy()), torch.empty((task.tokens, task.rows), dtype=torch.int64)
        for position in range(task.tokens):
            shares = task.cell.walk(ids, lambda n, step, *values: modules[n](*values))
            found[position] = token = shares.argmax(-1)
            ids = torch.cat([ids[1:], token[None].to(ids.dtype)])
        return found

    return loop


def _torch_sentence_ways(torch, task):
    (kernel, recurrent, bias), dense = [[torch.tensor(w) for w in own] for own in task.cell.weights()]
    table, rows = kernel + bias, torch.eye(task.vocabulary)
    one = torch.nn.LSTMCell(task.vocabulary, recurrent.shape[0])
    many = torch.nn.LSTM(task.vocabulary, recurrent.shape[0])
    for module, suffix in ((one, ""), (many, "_l0")):
        arrays = {"weight_ih": kernel.T, "weight_hh": recurrent.T, "bias_ih": bias, "bias_hh": 0 * bias}
        for name, array in arrays.items():
            getattr(module, name + suffix).data = array.contiguous()

    def by_hand(token, h, c):
        i, f, g, o = torch.addmm(table[token], h, recurrent).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def layer(token, h, c):
        _, (h, c) = many(rows[token][None], (h[None], c[None]))
        return h[0], c[0]

    def way(step):
        def loop(start):
            token, found = torch.full((task.rows,), START), torch.empty((task.tokens, task.rows), dtype=torch.int64)
            h, c = (torch.from_numpy(state) for state in start)
            for position in range(task.tokens):
                h, c = step(token, h, c)
                found[position] = token = torch.addmm(dense[1], h, dense[0]).argmax(-1)
            return found

        return loop

    return [way(by_hand), way(layer), way(lambda token, h, c: one(rows[token], (h, c)))]


def torch_engine(threads):
    import torch

    torch.set_num_threads(threads)

    def quiet(way):
        def loop(start):
            with torch.inference_mode():
                return way(start)

        return loop

    def prepare(task):
        ways = [_torch_text_way(torch, task)] if task.window else _torch_sentence_ways(torch, task)
        start = task.start()
        return fastest([quiet(way) for way in ways], start), [start], lambda y: y.numpy().T

    return prepare


def tensorflow_engine(threads):
    """The whole loop in one tf.function, with XLA and without; the model's layers are Keras's."""
    import keras
    import tensorflow as tf
    from engines_keras import build

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    def prepare(task):
        model = build(keras, task.cell) if task.window else one_step(keras, task)

        def step(token, states):
            if task.window:
                token = tf.argmax(model(states[0]), -1)
                return token, [tf.concat([states[0][:, 1:], tf.cast(token[:, None], states[0].dtype)], 1)]
            shares, *states = model([tf.one_hot(token, task.vocabulary)[:, None], *states])
            return tf.argmax(shares[:, -1], -1), states

        def whole(*states):
            token, states = tf.fill([task.rows], np.int64(START)), list(states)
            found = tf.TensorArray(tf.int64, task.tokens)
            for position in tf.range(task.tokens):
                token, states = step(token, states)
                found = found.write(position, token)
            return found.stack()

        def way(xla):
            call = tf.function(whole, jit_compile=xla)
            return lambda states: call(*states).numpy()

        start = [tf.constant(array) for array in task.start()]
        return fastest([way(False), way(True)], start), [start], lambda y: y.T

    return prepare
