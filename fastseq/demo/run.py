"""What `fastseq demo` prints."""

import importlib
import os
import statistics
import time

import numpy as np

import fastseq
from fastseq.demo import dates
from fastseq.demo.reader import DateReader, StepReader
from fastseq.errors import missing_keras
from fastseq.native import runtime

LAYERS = {"text_embedding", "encoder", "answer_embedding", "decoder", "characters"}
SHOWN = 8
SEED = 7
# Strings timed one at a time: the median of a hundred calls is steady, and Keras needs seconds for a few.
SINGLE, SINGLE_KERAS, SINGLE_KERAS_PREDICT = 100, 20, 5


def _median_each(function, items, repeats=1):
    """Median seconds of ``function(item)`` over all items, after one call of each to warm up."""
    for item in items:
        function(item)
    taken = []
    for _ in range(repeats):
        for item in items:
            started = time.perf_counter()
            function(item)
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def format_time(seconds):
    unit, scale = ("s", 1) if seconds >= 1 else ("ms", 1e3) if seconds >= 1e-3 else ("us", 1e6)
    return f"{seconds * scale:.3g} {unit}"


def _measure(reader, model, texts, ids, previous, single):
    """Seconds for one text and for all texts, and the teacher-forced probabilities ``(B, 10, 12)``."""
    one = _median_each(lambda text: reader.read([text]), texts[:single])
    every = _median_each(reader.read_ids, [ids], repeats=5)
    batch = _median_each(lambda x: model.predict(x, batch_size=len(ids), verbose=0), [[ids, previous]], repeats=5)
    return one, every, batch, model.predict([ids, previous], batch_size=len(ids), verbose=0)


def _compare(path, texts, ids, previous, ours, written):
    """Times Keras on the same work in this process; prints a table, or one line where Keras is not installed.

    path: the model's file.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        keras = importlib.import_module("keras")
        model = keras.models.load_model(path, compile=False)
    except ImportError as error:
        print(f"\nKeras is not installed here, so there is nothing to compare with. {missing_keras(error)}")
        return
    loop = StepReader(keras, model)
    theirs = _measure(loop, model, texts, ids, previous, SINGLE_KERAS)
    tutorial = StepReader(keras, model, call="predict")
    slowest = _median_each(lambda text: tutorial.read([text]), texts[:SINGLE_KERAS_PREDICT])
    here = StepReader(fastseq, fastseq.load_model(path))
    step_by_step = _median_each(lambda text: here.read([text]), texts[:SINGLE])

    count = len(texts)
    rows = (
        ("one date; Keras: a loop with predict", ours[0], slowest),
        ("one date; Keras: with predict_on_batch", ours[0], theirs[0]),
        ("one date, that loop on both", step_by_step, theirs[0]),
        (f"{count} dates at once; Keras: that loop", ours[1], theirs[1]),
        (f"{count} dates at once, model.predict", ours[2], theirs[2]),
    )
    print(f"\n{'':44}{'fastseq':>10}{f'Keras {keras.__version__}':>14}{'faster':>9}")
    for what, mine, other in rows:
        ratio = other / mine
        faster = f"{ratio:.3g}x" if ratio < 100 else f"{ratio:,.0f}x"
        print(f"{what:44}{format_time(mine):>10}{format_time(other):>14}{faster:>9}")
    agree = np.mean((loop.read_ids(ids) == written).all(axis=1))
    difference = np.abs(ours[3] - theirs[3]).max()
    print(
        f"\nKeras ran on {keras.backend.backend()}, both with the threads they choose. Same answer for {agree:.1%} of\n"
        f"the dates; the probabilities differ by {difference:.1e} at most."
    )


def run(model, path, count=1000, compare=False):
    """Prints the accuracy on `count` unseen texts, some of them, and times; beside Keras's with `compare`.

    model: what `train.build` makes, trained, out of the file `path`. Raises ValueError for another.
    """
    missing = LAYERS - {layer.name for layer in model.layers}
    if missing:
        raise ValueError(f"{path}: not a model of train-demo, it has no layer '{min(missing)}'")
    print(
        "Dates in any spelling to ISO form, one character a step: a GRU encoder, a GRU decoder that starts from its\n"
        "state, and Dense on every timestep. "
        f"{model.count_params():,} parameters, {path.stat().st_size:,} bytes.\n"
    )
    texts, answers = dates.samples(count, SEED, unseen=True)
    ids = dates.encode(texts)
    reader = DateReader(model)
    written = reader.read_ids(ids)
    read = dates.decode(written)
    width = max(len(repr(text)) for text in texts[:SHOWN])
    for text, ours, answer in list(zip(texts, read, answers, strict=True))[:SHOWN]:
        print(f"  {text!r:{width}}  ->  {ours}" + ("" if ours == answer else f"   (wrong: {answer})"))
    right = sum(a == b for a, b in zip(read, answers, strict=True))
    print(f"\n{right} of {count} texts that it was never trained on are right: {right / count:.2%}.")

    previous = dates.decoder_inputs(dates.encode_answers(answers))
    ours = _measure(reader, model, texts, ids, previous, SINGLE)
    print(
        f"One text at a time: {format_time(ours[0])} each (median; one call of the encoder, one of the decoder).\n"
        f"{count} at once: {format_time(ours[1] / count)} each. Kernels: {runtime.active_isa()}, "
        f"threads: {runtime.threads_in_words()}."
    )
    if compare:
        _compare(path, texts, ids, previous, ours, written)
