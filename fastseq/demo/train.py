"""Trains the model that `fastseq demo` runs: what `fastseq train-demo` does.

A GRU reads the characters of a date in any spelling; a second GRU starts from its state and writes the ISO form, one
character a step, through a Dense softmax on every timestep; in training it is fed the right previous character. This
is the sequence-to-sequence layout of https://keras.io/examples/nlp/lstm_seq2seq/ with the state of Sutskever et al.
2014 (https://arxiv.org/abs/1409.3215).
"""

import contextlib
import json
import random
import sys
import time
from pathlib import Path

import fastseq
from fastseq import Input, Model, callbacks, layers, optimizers, requirements
from fastseq.demo import curve, dates
from fastseq.demo.reader import DateReader
from fastseq.native import runtime

UNITS, TEXT_WIDTH, ANSWER_WIDTH = 112, 24, 12
# Small batches learn more from a text: on one core, 6000 steps of 64 (21 s) get 99.95% right, 4000 of 128 (30 s) 98.9%.
BATCH, BATCHES, EPOCHS = 64, 400, 24
LEARNING_RATE = 0.005
# Without it recurrent weights grow to 3 and multiply rounding errors: over 300 random characters fastseq and Keras then
# differ by 3e-5 (1.4e-5 and 1.7e-5 from float64), with it by 2e-6; as many dates are right.
WEIGHT_DECAY = 0.2
SEED = 2021
# Texts that training never sees: for the curve after every epoch, and to measure at the end.
CURVE_TEXTS, CURVE_SEED = 1000, 17
MEASURED, MEASURED_SEED = 5000, 7


def build():
    """The training model: ids ``(B, T)`` and ``(B, 10)`` to probabilities ``(B, 10, 12)``, all layers named."""
    texts = Input((None,), dtype="int32", name="texts")
    previous = Input((None,), dtype="int32", name="previous")
    # mask_zero: a text reads the same however far its batch is padded.
    x = layers.Embedding(len(dates.ALPHABET) + 1, TEXT_WIDTH, mask_zero=True, name="text_embedding")(texts)
    _, state = layers.GRU(UNITS, return_state=True, name="encoder")(x)
    y = layers.Embedding(len(dates.ISO_ALPHABET) + 1, ANSWER_WIDTH, name="answer_embedding")(previous)
    y = layers.GRU(UNITS, return_sequences=True, name="decoder")(y, initial_state=state)
    y = layers.Dense(len(dates.ISO_ALPHABET) + 1, activation="softmax", name="characters")(y)
    return Model([texts, previous], y, name="dates")


def prepared(texts, answers):
    """``([ids (B, T), the answers one step later (B, 10)], ids of the answers (B, 10))``, as `fit` takes them."""
    answer_ids = dates.encode_answers(answers)
    # T is a multiple of four, so that all batches of a run have one of 16 shapes, each of which has its own program.
    width = -(-max(map(len, texts)) // 4) * 4
    return [dates.encode(texts, width), dates.decoder_inputs(answer_ids)], answer_ids


class Batches:
    """`count` batches of texts, other ones in every epoch. Those of like length share a batch: half the padding."""

    def __init__(self, count, seed):
        self._count, self._seed, self._epoch = count, seed, 0
        self._draw()

    def _draw(self):
        # Far above the seeds used to measure.
        texts, answers = dates.samples(self._count * BATCH, [self._seed, 1_000_000 + self._epoch])
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        self._texts, self._answers = [texts[row] for row in order], [answers[row] for row in order]

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        rows = slice(index * BATCH, (index + 1) * BATCH)
        return prepared(self._texts[rows], self._answers[rows])

    def on_epoch_end(self):
        self._epoch += 1
        self._draw()


class Progress(callbacks.Callback):
    """One tqdm bar on stderr for the steps of all epochs. steps: done so far."""

    def __init__(self, epochs, per_epoch):
        super().__init__()
        self.steps, self._epochs, self._shown = 0, epochs, {}
        self._bar = requirements.load("tqdm", "train-demo").tqdm(
            total=epochs * per_epoch, unit="step", file=sys.stderr, dynamic_ncols=True
        )

    def on_epoch_begin(self, epoch, logs=None):
        self._bar.set_description(f"epoch {epoch + 1}/{self._epochs}", refresh=False)

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        self._shown["loss"] = f"{logs['loss']:.2g}"
        self._bar.set_postfix(self._shown, refresh=False)
        self._bar.update()

    def on_epoch_end(self, epoch, logs=None):
        self._shown["unseen"] = f"{logs['val_loss']:.2g}"
        self._bar.set_postfix(self._shown)

    def close(self):
        self._bar.close()


@contextlib.contextmanager
def _seeded(seed):
    """Weights and orders of rows are drawn with Python's generator: from `seed` inside, as before it afterwards."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


def fitted(epochs=EPOCHS, seed=SEED):
    """Trains for `epochs` of `BATCHES`: (the model, dict name -> a number for each epoch, steps done).

    The same seed gives the same weights, on any number of threads. After Ctrl-C it returns what there is; before the
    first step there is nothing, and KeyboardInterrupt goes on.
    """
    with _seeded(seed):
        model, data = build(), Batches(BATCHES, seed)
        schedule = optimizers.schedules.CosineDecay(LEARNING_RATE, epochs * BATCHES, alpha=0.002)
        optimizer = optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY, clipnorm=1.0)
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        unseen = prepared(*dates.samples(CURVE_TEXTS, CURVE_SEED, unseen=True))
        progress = Progress(epochs, BATCHES)
        try:
            model.fit(
                data, epochs=epochs, verbose=0, callbacks=[progress], validation_data=unseen,
                validation_batch_size=CURVE_TEXTS // 4,
            )  # fmt: skip
        except KeyboardInterrupt:
            if not progress.steps:
                raise
        finally:
            progress.close()
    return model, model.history.history, progress.steps


def exact_matches(model, count=MEASURED, seed=MEASURED_SEED):
    """How many of `count` unseen texts the model, fed its own characters, converts without one wrong sign."""
    texts, answers = dates.samples(count, seed, unseen=True)
    return sum(a == b for a, b in zip(DateReader(model).read(texts), answers, strict=True))


def _without_optimizer(model):
    """A fresh model of the same weights: with the optimizer's state the file is three times as large."""
    made = build()
    made.set_weights(model.get_weights())
    return made


def run(out, epochs=EPOCHS, seed=SEED, plot=None):
    """Trains, writes the model to `out`, what there is to know of it to a .json beside it, and the loss curve.

    plot: the picture's file; None for one beside `out`: a .png where matplotlib is installed, else an .svg. Returns
    True, or False after Ctrl-C, which ends the training and keeps what there is.
    """
    out, steps = Path(out), epochs * BATCHES
    print(
        f"Training a GRU that reads dates and a GRU that writes their ISO form: {epochs} epochs of {BATCHES} batches\n"
        f"of {BATCH} texts, seed {seed}, threads: {runtime.get_num_threads()}. Ctrl-C ends it and keeps the model.\n",
        flush=True,
    )
    started, cpu_started = time.perf_counter(), time.process_time()
    model, history, done = fitted(epochs, seed)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    # The model is written before anything else that takes time: a second Ctrl-C loses nothing.
    _without_optimizer(model).save(out)
    if done < steps:
        print(f"Stopped after {done} of {steps} steps; the weights of the last whole step are kept.")
    right = exact_matches(model)
    print(
        f"Trained for {seconds:.1f} s. {right} of {MEASURED} texts that it was never trained on are right: "
        f"{right / MEASURED:.2%}.\n\n{out}: the model, {out.stat().st_size:,} bytes"
    )
    about = {
        "made_by": f"fastseq train-demo --epochs {epochs} --seed {seed}",
        "fastseq": fastseq.__version__,
        "batch_size": BATCH,
        "steps": done,
        "cpu_seconds": round(cpu_seconds, 1),
        "parameters": model.count_params(),
        "alphabet": dates.ALPHABET,
        "iso_alphabet": dates.ISO_ALPHABET,
        f"exact_match_on_{MEASURED}_unseen": right / MEASURED,
        "history": {name: [float(f"{value:.4g}") for value in values] for name, values in history.items()},
    }
    about_path = out.with_suffix(".json")
    about_path.write_text(json.dumps(about, indent=2) + "\n", encoding="ascii")
    print(f"{about_path}: how it was made, and the losses of every epoch")
    print(_drawn(history, plot or out.with_suffix(curve.default_ending())))
    print(f"\nTry it: fastseq demo --model {out}")
    return done == steps


def _drawn(history, picture):
    """Draws the curve; one line about it."""
    if not history:
        return "No loss curve: not one epoch was finished."
    curve.draw(history, picture)
    return f"{picture}: the loss curve"
