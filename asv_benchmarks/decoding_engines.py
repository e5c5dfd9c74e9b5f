"""One engine of decoding_peers.py in a process of its own: `python decoding_engines.py NAME THREADS`.

Every engine turns a task (decoding_tasks.py) into a function that writes all its tokens, and one that brings the result
to (B, tokens). Where there are several ways to write the loop, the one that is fastest for the task.
"""

import os
import sys
from functools import partial

import numpy as np
from decoding_compiled import jax_engine, tensorflow_engine, torch_engine
from decoding_onnx import bound_engine, loop_engine, run_engine
from decoding_tasks import START, all_tasks
from engine_tools import Unsupported, one_step
from engines import serve
from engines_keras import build


def fastseq_engine(threads):
    import fastseq
    from fastseq.decoding import Decoder, generate

    fastseq.set_num_threads(threads)

    def prepare(task):
        start = task.start()
        if task.window:
            model = build(fastseq, task.cell)
            return (lambda ids: generate(model, ids, task.tokens, task.window).ids), start, np.asarray
        decoder = Decoder(one_step(fastseq, task), start_id=START, max_length=task.tokens)
        # The peers' loops sum no scores either.
        return (lambda states: decoder.greedy(states, scores=False).ids), [start], np.asarray

    return prepare


def keras_engine(threads, call):
    """The loops of Keras's examples: every token is a call of the model's method `call`."""
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    def prepare(task):
        model = build(keras, task.cell) if task.window else one_step(keras, task)
        options = {"verbose": 0, "batch_size": task.rows} if call == "predict" else {}
        method, rows = partial(getattr(model, call), **options), np.arange(task.rows)

        def text(ids):
            found = np.empty((task.rows, task.tokens), np.int64)
            for position in range(task.tokens):
                found[:, position] = token = np.argmax(method(ids), axis=-1)
                ids = np.concatenate([ids[:, 1:], token[:, None].astype(ids.dtype)], axis=1)
            return found

        def sentence(states):
            found, token = np.empty((task.rows, task.tokens), np.int64), START
            for position in range(task.tokens):
                target = np.zeros((task.rows, 1, task.vocabulary), np.float32)
                target[rows, 0, token] = 1.0
                shares, *states = method([target, *states])
                found[:, position] = token = np.argmax(shares[:, -1], axis=-1)
            return found

        if task.window and call == "predict":
            raise Unsupported  # 5 s a text: predict_on_batch stands for it
        return (text, task.start(), np.asarray) if task.window else (sentence, [task.start()], np.asarray)

    return prepare


ENGINES = {
    "fastseq": fastseq_engine,
    "Keras predict": partial(keras_engine, call="predict"),
    "Keras predict_on_batch": partial(keras_engine, call="predict_on_batch"),
    "TensorFlow tf.function": tensorflow_engine,
    "JAX, a jitted step": partial(jax_engine, whole=False),
    "JAX, the whole loop jitted": partial(jax_engine, whole=True),
    "ONNX Runtime, session.run": run_engine,
    "ONNX Runtime, bound arrays": bound_engine,
    "ONNX Runtime, the loop in the graph": loop_engine,
    "PyTorch": torch_engine,
}

if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "tensorflow"
    serve(ENGINES[sys.argv[1]](int(sys.argv[2])), all_tasks())
