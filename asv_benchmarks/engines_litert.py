"""LiteRT, the engine of TensorFlow Lite: the cell's Keras model, converted once to its built-in operations."""

import multiprocessing
import os
from dataclasses import replace

import numpy as np
from engine_tools import Unsupported


def convert(cell):
    """The flatbuffer of a cell, or None where the built-in operations do not suffice.

    Runs in a process of its own, for TensorFlow's threads and memory would stand beside the interpreter's.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import tensorflow as tf
    from engines_keras import build

    model = build(keras, cell)
    # Weights as constants: what stays a variable, the interpreter cannot read inside a WHILE.
    groups = (model.trainable_variables, model.non_trainable_variables)
    weights = [[tf.constant(variable.value) for variable in group] for group in groups]
    try:
        signature = tf.TensorSpec(cell.shape, tf.int32 if cell.ids else tf.float32)
        call = tf.function(lambda x: model.stateless_call(*weights, x)[0], input_signature=[signature])
        return tf.lite.TFLiteConverter.from_concrete_functions([call.get_concrete_function()]).convert()
    except Exception:  # the converter raises a class it does not export for what would need Flex operations
        return None


def litert_engine(threads):
    from ai_edge_litert.interpreter import Interpreter

    helper = multiprocessing.get_context("spawn").Pool(1)

    def interpreter_of(cell):
        """A function of x for a cell of one shape."""
        content = helper.apply(convert, (cell,))
        if content is None:
            raise Unsupported
        interpreter = Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
        given, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

        def run(x):
            interpreter.set_tensor(given, x)
            interpreter.invoke()
            return interpreter.get_tensor(result)

        return run

    def prepare(cell):
        if cell.masked:
            raise Unsupported
        inputs = cell.inputs()
        shapes = {x.shape for x in inputs}
        # Shapes are fixed when the model is converted: one interpreter for each length.
        runs = {shape: interpreter_of(replace(cell, shape=shape, sentences=())) for shape in shapes}
        run = runs[inputs[0].shape] if len(runs) == 1 else lambda x: runs[x.shape](x)
        return run, inputs, np.asarray

    return prepare
