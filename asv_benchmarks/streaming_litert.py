"""LiteRT timestep by timestep: the cell's step, states in and out, converted once to its built-in operations."""

import multiprocessing
import os
from functools import partial

import numpy as np
from engine_tools import Way


def convert(cell):
    """The flatbuffer of the step: x (B, I) and states -> the last layer's output and new states.

    The layers' cells stand in it, without a loop over the one timestep. Runs in a process of its own, as TensorFlow's
    threads and memory would stand beside the interpreter's.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import tensorflow as tf
    from user_layers import USERS, layer_of

    stack, sizes, width = [], [], cell.shape[-1]
    for step, own in zip(cell.steps, cell.weights()):
        if step.recurrent:
            layer, count = getattr(keras.layers, f"{step.kind}Cell")(step.units), 1 + (step.kind == "LSTM")
        elif step.kind in USERS:
            layer, count = layer_of(keras, step), 0
        else:
            layer, count = keras.layers.Dense(step.units, activation=step.activation), 0
        layer.build((cell.shape[0], width))
        if own:
            layer.set_weights(own)
        width = step.units or width
        sizes += [width] * count
        stack.append((layer, count))

    def advance(x, *states):
        new = []
        for layer, count in stack:
            if count:
                x, after = layer(x, list(states[len(new) : len(new) + count]))
                new += after
            else:
                x = layer(x)
        return [x, *new]

    shapes = [cell.shape[::2], *((cell.shape[0], size) for size in sizes)]
    names = ["x", *(f"state{i}" for i in range(len(sizes)))]
    signature = [tf.TensorSpec(shape, tf.float32, name=name) for shape, name in zip(shapes, names)]
    step = tf.function(advance, input_signature=signature).get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([step]).convert()


def litert_engine(threads):
    from ai_edge_litert.interpreter import Interpreter

    helper = multiprocessing.get_context("spawn").Pool(1)

    def interpreter_of(content):
        """(interpreter, indices of x and the states, indices of the output and the new states)."""
        found = Interpreter(model_content=content, num_threads=threads)
        found.allocate_tensors()
        # The converter may order inputs and outputs anew, and names them x, state0 ... and Identity, Identity_1 ...
        details = found.get_input_details(), found.get_output_details()
        given, results = ([entry["index"] for entry in sorted(part, key=_place)] for part in details)
        for state in given[1:]:  # memory that nothing has set before
            found.set_tensor(state, np.zeros_like(found.get_tensor(state)))
        return found, given, results

    def by_arrays(content):
        """States out of the interpreter and into it again, as NumPy arrays."""
        interpreter, (x, *states), (y, *new) = interpreter_of(content)

        def tick():
            interpreter.invoke()
            for before, after in zip(states, new):
                interpreter.set_tensor(before, interpreter.get_tensor(after))
            return interpreter.get_tensor(y)

        return Way("LiteRT, set_tensor and get_tensor", partial(interpreter.set_tensor, x), tick)

    def by_views(content):
        """States copied inside the interpreter's memory. Views of it must not outlive the tick: invoke() asks."""
        interpreter, (x, *states), (y, *new) = interpreter_of(content)
        pairs = [(interpreter.tensor(before), interpreter.tensor(after)) for before, after in zip(states, new)]
        output = interpreter.tensor(y)

        def tick():
            interpreter.invoke()
            for before, after in pairs:
                before()[:] = after()
            return output().copy()

        return Way("LiteRT, views of its tensors", partial(interpreter.set_tensor, x), tick)

    def ways(cell):
        content = helper.apply(convert, (cell,))
        return [by_arrays(content), by_views(content)]

    return ways


def _place(entry):
    """x and Identity come first, then the states and Identity_1 ... by number."""
    number = entry["name"].split(":")[0].removeprefix("state").removeprefix("Identity_")
    return int(number) if number.isdigit() else -1
