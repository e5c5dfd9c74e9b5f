"""Trains the model that `fastseq demo` runs, with Keras on TensorFlow: ``python -m fastseq.demo.train OUT.keras``.

A GRU reads the characters of a date in any spelling; a second GRU starts from its state and writes the ISO form, one
character a step, through a Dense softmax on every timestep; in training it is fed the right previous character. This
is the sequence-to-sequence layout of https://keras.io/examples/nlp/lstm_seq2seq/ with the state of Sutskever et al.
2014 (https://arxiv.org/abs/1409.3215). Needs the `test` extra and about ten minutes on two cores. Beside OUT.keras
it writes OUT.json: how the file was made and what it scored on dates that it had not seen.
"""

import argparse
import json
import os
import time

import numpy as np

from . import dates

UNITS, TEXT_WIDTH, ANSWER_WIDTH = 112, 24, 12
BATCH = 256


def build():
    """The training model: ids ``(B, T)`` and ``(B, 10)`` to probabilities ``(B, 10, 12)``, all layers named."""
    from keras import Input, Model, layers

    texts = Input((None,), dtype="int32", name="texts")
    previous = Input((None,), dtype="int32", name="previous")
    # mask_zero: a text reads the same however far its batch is padded.
    x = layers.Embedding(len(dates.ALPHABET) + 1, TEXT_WIDTH, mask_zero=True, name="text_embedding")(texts)
    _, state = layers.GRU(UNITS, return_state=True, name="encoder")(x)
    y = layers.Embedding(len(dates.ISO_ALPHABET) + 1, ANSWER_WIDTH, name="answer_embedding")(previous)
    y = layers.GRU(UNITS, return_sequences=True, name="decoder")(y, initial_state=state)
    y = layers.Dense(len(dates.ISO_ALPHABET) + 1, activation="softmax", name="characters")(y)
    return Model([texts, previous], y, name="dates")


def batches(count, seed):
    """`count` batches of fresh texts; texts of like length share a batch, which halves the padded steps."""
    texts, answers = dates.samples(count * BATCH, seed)
    order = np.argsort([len(text) for text in texts], kind="stable").reshape(count, BATCH)
    for rows in order[np.random.default_rng(seed).permutation(count)]:
        answer_ids = dates.encode_answers([answers[i] for i in rows])
        text_ids = dates.encode([texts[i] for i in rows])
        yield (text_ids, dates.decoder_inputs(answer_ids)), answer_ids


def greedy_accuracy(model, count, seed):
    """The share of `count` unseen texts that the model, fed its own characters, converts without one wrong sign."""
    texts, answers = dates.samples(count, seed, unseen=True)
    ids, previous = dates.encode(texts), np.zeros((count, dates.ISO_LENGTH), np.int32)
    for step in range(dates.ISO_LENGTH):
        best = model.predict([ids, previous], batch_size=512, verbose=0)[:, step].argmax(-1)
        if step + 1 < dates.ISO_LENGTH:
            previous[:, step + 1] = best
    written = np.concatenate([previous[:, 1:], best[:, None]], axis=1)
    return float(np.mean([a == b for a, b in zip(dates.decode(written), answers, strict=True)]))


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m fastseq.demo.train", description=__doc__.split(":")[0])
    parser.add_argument("out", metavar="OUT.keras")
    parser.add_argument("--epochs", type=int, default=80, help="epochs of 200 batches of 256 texts (default 80)")
    parser.add_argument("--seed", type=int, default=2021)
    args = parser.parse_args(argv)

    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(args.seed)
    model = build()
    per_epoch, started = 200, time.time()
    signature = (
        (tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None, dates.ISO_LENGTH), tf.int32)),
        tf.TensorSpec((None, dates.ISO_LENGTH), tf.int32),
    )

    def endless():
        # Seeds of training start far above those used to measure.
        for epoch in range(args.epochs):
            yield from batches(per_epoch, [args.seed, 1_000_000 + epoch])

    data = tf.data.Dataset.from_generator(endless, output_signature=signature).prefetch(4)
    schedule = keras.optimizers.schedules.CosineDecay(4e-3, args.epochs * per_epoch - 200, 1e-5, warmup_target=4e-3)
    model.compile(
        keras.optimizers.Adam(schedule, clipnorm=1.0), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(data, epochs=args.epochs, steps_per_epoch=per_epoch, verbose=2)

    accuracy = greedy_accuracy(model, 5000, seed=7)
    # A fresh model of the same weights: without the optimizer's state the file is a third as large.
    shipped = build()
    shipped.set_weights(model.get_weights())
    shipped.save(args.out)
    about = {
        "made_by": "fastseq/demo/train.py",
        "keras": keras.__version__,
        "seed": args.seed,
        "epochs": args.epochs,
        "minutes": round((time.time() - started) / 60, 1),
        "parameters": shipped.count_params(),
        "alphabet": dates.ALPHABET,
        "iso_alphabet": dates.ISO_ALPHABET,
        "exact_match_on_5000_unseen": accuracy,
    }
    with open(os.path.splitext(args.out)[0] + ".json", "w", encoding="ascii") as file:
        json.dump(about, file, indent=2)
        file.write("\n")
    print(f"{accuracy:.2%} of 5000 unseen dates right; {os.path.getsize(args.out)} bytes; {about['minutes']} minutes")


if __name__ == "__main__":
    main()
