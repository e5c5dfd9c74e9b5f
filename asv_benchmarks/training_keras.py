"""Training by fastseq and by Keras on TensorFlow, JAX and PyTorch: one builder, for they share names and arguments."""

import time

from training_tools import Way
from user_layers import USERS, layer_of


def build(library, task):
    """The task's model with its weights, compiled as the tutorials do but for `jit_compile`."""
    made, cell, stack = library.layers, task.cell, []
    for step in cell.steps:
        if step.kind in USERS:
            stack.append(layer_of(library, step))
        elif step.recurrent:
            layer = getattr(made, step.kind)(step.units, return_sequences=step.sequences)
            stack.append(made.Bidirectional(layer) if step.bidirectional else layer)
        elif step.kind == "Embedding":
            stack.append(made.Embedding(step.vocabulary, step.units))
        elif task.wrapped:
            stack += [made.TimeDistributed(made.Dense(step.units)), made.Activation(step.activation)]
        else:
            stack.append(made.Dense(step.units, activation=step.activation))
    shape = cell.shape[1:]
    model = library.Sequential([library.Input(shape, dtype="int32" if cell.ids else "float32"), *stack])
    model.set_weights([weight for own in cell.weights() for weight in own])
    return model


def compiled(library, task, **options):
    model = build(library, task)
    metrics = ["accuracy"] if task.samples else None
    model.compile(optimizer="rmsprop", loss=task.loss, metrics=metrics, **options)
    return model


def clock(library):
    """A callback that notes when each epoch ended."""

    class Clock(library.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.ends = []

        def on_epoch_end(self, epoch, logs=None):
            self.ends.append(time.perf_counter())

    return Clock()


def fitted(library, model, task):
    """The way of `fit`."""
    x, y = task.data()

    def fit(epochs, **options):
        return model.fit(x, y, batch_size=task.batch, epochs=epochs, verbose=0, **options)

    def epochs(n):
        noted = clock(library)
        fit(n + 1, callbacks=[noted])  # the first one starts `fit` too
        return [end - start for start, end in zip(noted.ends, noted.ends[1:])]

    return Way(losses=lambda n: [float(loss) for loss in fit(n, shuffle=False).history["loss"]], epochs=epochs)


def stepped(model, x, y):
    """The way of `train_on_batch`."""

    def run(n):
        for _ in range(n):
            model.train_on_batch(x, y)

    def losses(n):
        found = []
        for _ in range(n):
            loss = model.train_on_batch(x, y)
            found.append(float(loss[0] if isinstance(loss, list) else loss))
        return found

    return Way(losses=losses, run=run)


def fastseq_engine(threads):
    import fastseq

    fastseq.set_num_threads(threads)

    def prepare(task):
        def make():
            model = compiled(fastseq, task)
            if task.samples:
                return fitted(fastseq, model, task)
            x, y = task.data()
            way = stepped(model, x, y)
            way.gradients = gradients(model, x, y)
            return way

        return [make]

    return prepare


def gradients(model, x, y):
    """A function of n: n times what a step of fastseq does before its optimizer, gradients into new arrays."""
    from fastseq.training.program import gradient_function

    compute = gradient_function(model, x, y, model.loss)

    def run(n):
        for _ in range(n):
            compute()

    return run


def keras_engine(threads, backend, jit):
    import keras

    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tensor = tf.constant
    elif backend == "torch":
        import torch

        torch.set_num_threads(threads)
        tensor = torch.tensor
    else:
        import jax

        tensor = jax.numpy.asarray

    def prepare(task):
        def make():
            model = compiled(keras, task, jit_compile=jit)
            if task.samples:
                return fitted(keras, model, task)
            return stepped(model, *map(tensor, task.data()))

        return [make]

    return prepare
