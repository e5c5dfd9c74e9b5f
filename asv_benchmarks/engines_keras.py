"""fastseq, and Keras on TensorFlow and on JAX: one builder, for they share names and arguments."""

import importlib

import convolutions
import numpy as np
from cells import ATTENTION_HEADS, EPSILON, NORMALIZATIONS
from engine_tools import Unsupported, fastest
from user_layers import USERS, layer_of


def build(library, cell):
    """The cell as a functional model of `library` (fastseq or keras) that holds the cell's weights."""
    made, known = library.layers, []

    def apply(n, step, *values):
        if step.kind == "Last":
            known.append(None)
            return values[0][:, -1]
        if step.hand_made:
            layer = getattr(importlib.import_module("hand_made"), step.kind)()
        elif step.kind in USERS:
            layer = layer_of(library, step)
        elif step.recurrent:
            options = {"reset_after": False} if step.kind == "GRU_reset_before" else {}
            layer = getattr(made, step.kind.split("_")[0])(step.units, return_sequences=step.sequences, **options)
            layer = made.Bidirectional(layer) if step.bidirectional else layer
        elif step.kind in convolutions.KINDS:
            layer = convolutions.layer(library, step)
        elif step.kind == "Dense":
            layer = made.Dense(step.units, activation=step.activation)
        elif step.kind == "Embedding":
            layer = made.Embedding(step.vocabulary, step.units)
        elif step.kind in NORMALIZATIONS:
            layer = getattr(made, step.kind)(epsilon=EPSILON)
        elif step.kind == "RepeatVector":
            layer = made.RepeatVector(step.units)
        elif step.kind == "MultiHeadAttention":
            known.append(made.MultiHeadAttention(ATTENTION_HEADS, values[0].shape[-1] // ATTENTION_HEADS))
            return known[-1](values[0], values[0], use_causal_mask=step.causal)
        else:
            layer = made.Concatenate()
        known.append(layer)
        return layer(list(values) if step.kind == "Concatenate" else values[0])

    x = library.Input(batch_shape=cell.shape, dtype="int32" if cell.ids else "float32")
    model = library.Model(x, cell.walk(x, apply))
    for layer, own in zip(known, cell.weights()):
        if own:
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


def predict_engine(threads):
    """`Model.predict` of Keras on TensorFlow, as most programs call it, for cells with a user's own cell."""
    tensorflow_engine(threads)
    import keras

    def prepare(cell):
        if not cell.has("OwnLSTM"):
            raise Unsupported
        model, inputs = build(keras, cell), cell.inputs()
        return (lambda x: model.predict(x, batch_size=len(x), verbose=0)), inputs, np.asarray

    return prepare


def jax_engine(threads):
    import jax
    import keras

    def prepare(cell):
        model = build(keras, cell)
        mask = None if cell.mask() is None else jax.numpy.asarray(cell.mask())
        inputs = [jax.numpy.asarray(x) for x in cell.inputs()]
        if cell.has("OwnLSTM"):  # Keras's RNN multiplies the inputs inside the loop
            import users_jax

            x = inputs[0].swapaxes(0, 1)
            return fastest(users_jax.ways(cell), x), [x], lambda y: np.asarray(y).swapaxes(0, 1)
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
