"""Training by JAX alone: a jitted step over arrays, time first, the input's products ahead of `lax.scan`."""

from functools import partial

import numpy as np
from training_cells import EPSILON, RATE, RHO
from training_tools import Way, timed_epochs
from user_layers import USERS


def _lstm(jax, z, state, kernel):
    h, c = state
    i, f, g, o = jax.numpy.split(z + h @ kernel, 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jax.numpy.tanh(g)
    return jax.nn.sigmoid(o) * jax.numpy.tanh(c), c


def _gru(jax, z, state, kernel, bias):
    (h,) = state
    units = h.shape[-1]
    inner = h @ kernel + bias
    gates = jax.nn.sigmoid(z[..., : 2 * units] + inner[..., : 2 * units])
    update, reset = gates[..., :units], gates[..., units:]
    return (update * h + (1 - update) * jax.numpy.tanh(z[..., 2 * units :] + reset * inner[..., 2 * units :]),)


def _simple(jax, z, state, kernel):
    return (jax.numpy.tanh(z + state[0] @ kernel),)


KINDS = {"LSTM": (_lstm, 2), "GRU": (_gru, 1), "SimpleRNN": (_simple, 1)}


def _recurrence(jax, step, weights, x, backwards):
    """(T, B, units) of (T, B, I), or (B, units) of the last step."""
    kernel, recurrent, bias = weights
    function, states = KINDS[step.kind]
    inner = (recurrent, bias[1]) if step.kind == "GRU" else (recurrent,)
    sums = x @ kernel + (bias[0] if step.kind == "GRU" else bias)
    first = (jax.numpy.zeros((x.shape[1], step.units), x.dtype),) * states

    def advance(state, z):
        state = function(jax, z, state, *inner)
        return state, state[0] if step.sequences else None

    # Unrolled by 2, 4 or 10 it is no faster: GRU (64, 100, 128, 128) 252 ms, so 260, 275, 400.
    last, outputs = jax.lax.scan(advance, first, sums, reverse=backwards)
    return outputs if step.sequences else last[0]


def outputs_of(jax, task, weights, x, form=0):
    """The output before its softmax or sigmoid. form: of a user's own layer, which of users_jax.FORMS."""
    for step, own in zip(task.cell.steps, weights):
        if step.kind in USERS:
            import users_jax

            x = users_jax.FORMS[step.kind][form](x, *own)
        elif step.recurrent:
            parts = [own[3 * i : 3 * i + 3] for i in range(1 + step.bidirectional)]
            found = [_recurrence(jax, step, part, x, bool(i)) for i, part in enumerate(parts)]
            x = jax.numpy.concatenate(found, -1)
        else:
            x = own[0][x] if step.kind == "Embedding" else x @ own[0] + own[1]
    return x


def loss_of(jax, task, y, labels):
    """Labels are class numbers where Keras takes one-hot rows."""
    if task.loss == "mse":
        return jax.numpy.mean((y - labels) ** 2)
    if task.loss == "binary_crossentropy":
        return jax.numpy.mean(jax.numpy.logaddexp(0, y) - labels * y)
    chosen = jax.numpy.take_along_axis(y, labels[..., None], -1)[..., 0]
    return jax.numpy.mean(jax.nn.logsumexp(y, axis=-1) - chosen)


def _step_of(jax, task, form=0):
    """A function of weights, squares, x and labels: the new weights and squares, the loss and the output."""

    def step(weights, squares, x, labels):
        def loss(weights):
            y = outputs_of(jax, task, weights, x, form)
            return loss_of(jax, task, y, labels), y

        (value, y), gradients = jax.value_and_grad(loss, has_aux=True)(weights)
        squares = jax.tree.map(lambda s, g: RHO * s + (1 - RHO) * g * g, squares, gradients)
        weights = jax.tree.map(lambda w, g, s: w - RATE * g / jax.numpy.sqrt(s + EPSILON), weights, gradients, squares)
        return weights, squares, value, y

    return step


def _data_of(jax, task):
    """x and labels, time first where there is one and a layer walks over it."""
    x, y = task.data()
    recurrent = task.cell.recurrent
    sequences = recurrent and y.ndim == 3
    y = y.argmax(-1).astype(np.int32) if task.loss == "categorical_crossentropy" else y
    return [jax.numpy.asarray(a.swapaxes(0, 1) if first else a) for a, first in ((x, recurrent), (y, sequences))]


def _start(jax, task):
    """The task's weights, and the optimizer's squares."""
    weights = jax.tree.map(jax.numpy.asarray, task.cell.weights())
    return [weights, jax.tree.map(jax.numpy.zeros_like, weights)]


def _stepped(jax, task, form=0):
    """The way of a task of steps."""
    (x, labels), state = _data_of(jax, task), _start(jax, task)
    program = jax.jit(lambda *given: _step_of(jax, task, form)(*given)[:3], donate_argnums=(0, 1))

    def step():
        *state[:], loss = program(*state, x, labels)
        return loss

    def run(n):
        for _ in range(n):
            loss = step()
        loss.block_until_ready()

    return Way(losses=lambda n: [float(step()) for _ in range(n)], run=run)


def _counted(jax, task, weights, squares, rows, x, labels):
    """A step on these rows: (weights, squares, its loss times the rows, right labels)."""
    own = jax.numpy.take(labels, rows, axis=labels.ndim - 1)
    *after, loss, y = _step_of(jax, task)(weights, squares, jax.numpy.take(x, rows, axis=1), own)
    return *after, loss * len(rows), (y.argmax(-1) == own).sum()


def _way_of_epochs(jax, task, epoch):
    """epoch(weights, squares, order) -> (weights, squares, sum of losses over rows, right labels)."""
    state, rng = _start(jax, task), np.random.default_rng(0)

    def one(order):
        *state[:], total, right = epoch(*state, order)
        return float(total) / task.samples, int(right)

    return Way(
        losses=lambda n: [one(np.arange(task.samples))[0] for _ in range(n)],
        epochs=lambda n: timed_epochs(lambda: one(rng.permutation(task.samples)), n),
    )


def _epoch_by_steps(jax, task):
    """The way of a task of epochs: a call of a compiled step for each batch."""
    x, labels = _data_of(jax, task)
    program = jax.jit(partial(_counted, jax, task), donate_argnums=(0, 1))

    def epoch(weights, squares, order):
        total, right = [], []
        for rows in task.batches(order):
            weights, squares, loss, count = program(weights, squares, rows, x, labels)
            total.append(loss)
            right.append(count)
        return weights, squares, sum(map(float, total)), sum(map(int, right))

    return _way_of_epochs(jax, task, epoch)


def _epoch_at_once(jax, task):
    """The way of a task of epochs: one compiled program for all its batches."""
    x, labels = _data_of(jax, task)

    def epoch(weights, squares, order):
        def one(state, rows):
            *state, loss, count = _counted(jax, task, *state, rows, x, labels)
            return tuple(state), (loss, count)

        whole = task.samples // task.batch * task.batch
        batches = order[:whole].reshape(-1, task.batch)
        state, (losses, counts) = jax.lax.scan(one, (weights, squares), batches)
        total, right = losses.sum(), counts.sum()
        if whole < task.samples:
            state, (loss, count) = one(state, order[whole:])
            total, right = total + loss, right + count
        return *state, total, right

    return _way_of_epochs(jax, task, jax.jit(epoch, donate_argnums=(0, 1)))


def jax_engine(threads):
    """The number of threads is that of the CPUs that the process may use."""
    import jax

    def prepare(task):
        if task.samples:
            return [partial(_epoch_by_steps, jax, task), partial(_epoch_at_once, jax, task)]
        own = any(step.kind in USERS for step in task.cell.steps)
        return [partial(_stepped, jax, task, form) for form in range(1 + own)]

    return prepare
