"""fastseq, and Keras on TensorFlow and on JAX: one builder, for they share names and arguments."""

import numpy as np
from engine_tools import fastest


def attention_layer(library):
    """The cell's Attention as a user writes it: a layer class of Keras, or one on NumPy arrays for fastseq."""

    class AttentionWeightedAverage(library.layers.Layer):
        def build(self, input_shape):
            self.W = self.add_weight(shape=(input_shape[-1], 1), name="W")

        def compute_output_shape(self, input_shape):
            return input_shape[0], input_shape[-1]

    def call_numpy(self, inputs):
        logits = (inputs @ self.W.numpy())[..., 0]
        shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
        shares = shares / (shares.sum(axis=-1, keepdims=True) + 1e-7)
        return (shares[:, None] @ inputs)[:, 0]

    def call_keras(self, inputs):
        ops = library.ops
        logits = ops.squeeze(ops.matmul(inputs, self.W), -1)
        shares = ops.exp(logits - ops.max(logits, axis=-1, keepdims=True))
        shares = shares / (ops.sum(shares, axis=-1, keepdims=True) + 1e-7)
        return ops.squeeze(ops.matmul(ops.expand_dims(shares, 1), inputs), 1)

    AttentionWeightedAverage.call = call_keras if hasattr(library, "ops") else call_numpy
    return AttentionWeightedAverage()


def build(library, cell):
    """The cell as a functional model of `library` (fastseq or keras) that holds the cell's weights."""
    made, known = library.layers, []

    def apply(n, step, *values):
        if step.recurrent:
            options = {"reset_after": False} if step.kind == "GRU_reset_before" else {}
            layer = getattr(made, step.kind.split("_")[0])(step.units, return_sequences=step.sequences, **options)
            layer = made.Bidirectional(layer) if step.bidirectional else layer
        elif step.kind == "Dense":
            layer = made.Dense(step.units, activation=step.activation)
        elif step.kind == "Embedding":
            layer = made.Embedding(step.vocabulary, step.units)
        elif step.kind == "RepeatVector":
            layer = made.RepeatVector(step.units)
        else:
            layer = made.Concatenate() if step.kind == "Concatenate" else attention_layer(library)
        known.append(layer)
        return layer(list(values) if step.kind == "Concatenate" else values[0])

    x = library.Input(batch_shape=cell.shape, dtype="int32" if cell.ids else "float32")
    model = library.Model(x, cell.walk(x, apply))
    for layer, own in zip(known, cell.weights()):
        layer.set_weights(own)
    return model


def fastseq_engine(threads):
    import fastseq

    fastseq.set_num_threads(threads)

    def prepare(cell):
        model, mask = build(fastseq, cell), cell.mask()
        if mask is None:
            return model, cell.inputs(), np.asarray
        layer = model.layers[-1]
        return (lambda x: layer(x, mask=mask)), cell.inputs(), np.asarray

    return prepare


def _called(model, mask):
    """A function of x for the model, or, where there is a mask, for its only layer with the mask."""
    if mask is None:
        return lambda x: model(x)
    layer = model.layers[-1]
    return lambda x: layer(x, mask=mask)


def tensorflow_engine(threads, xla=False):
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    def prepare(cell):
        mask = None if cell.mask() is None else tf.constant(cell.mask())
        call = tf.function(_called(build(keras, cell), mask), jit_compile=xla)
        inputs = [tf.constant(x) for x in cell.inputs()]
        if len(inputs) > 1:  # one graph for each length, over the same variables
            return (lambda x: call(x).numpy()), inputs, np.asarray
        graph = call.get_concrete_function(inputs[0])
        way = fastest([lambda x: call(x).numpy(), lambda x: graph(x).numpy()], inputs[0])
        return way, inputs, np.asarray

    return prepare


def jax_engine(threads):
    import jax
    import keras

    def prepare(cell):
        model = build(keras, cell)
        mask = None if cell.mask() is None else jax.numpy.asarray(cell.mask())
        inputs = [jax.numpy.asarray(x) for x in cell.inputs()]
        fixed = jax.jit(_called(model, mask))  # weights are constants of the program
        ways = [lambda x: fixed(x).block_until_ready()]
        if mask is None:
            trainable = [v.value for v in model.trainable_variables]
            others = [v.value for v in model.non_trainable_variables]
            given = jax.jit(lambda weights, others, x: model.stateless_call(weights, others, x)[0])
            ways.append(lambda x: given(trainable, others, x).block_until_ready())
            if len(inputs) > 1:  # as constants they would be kept once for each length
                return ways[1], inputs, np.asarray
        return fastest(ways, inputs[0]), inputs, np.asarray

    return prepare
