"""What streams are measured on: cells of one timestep, and the inputs that every engine's outputs are checked on."""

from dataclasses import replace

from cells import Cell, Step


def _speech(hand_made):
    """The first part of DTLN, which takes noise out of speech: a mask for the 257 bins of a block's spectrum."""
    return (
        Step("InstantNorm", hand_made=hand_made), Step("LSTM", 128), Step("LSTM", 128),
        Step("Dense", 257, activation="sigmoid"),
    )  # fmt: skip


CELLS = [
    Cell("LSTM(64) over 40 inputs", (1, 1, 40), (Step("LSTM", 64),)),
    Cell(
        "GRU(16)-Dense(8)-softmax over 15 inputs", (1, 1, 15),
        (Step("GRU", 16), Step("Dense", 8, activation="softmax")),
    ),
    Cell("1,000 streams of GRU(128) over 128 inputs", (1000, 1, 128), (Step("GRU", 128),)),
    Cell(
        "A user's instant layer normalization-2 LSTM(128)-Dense(257, sigmoid) over 257 inputs", (1, 1, 257),
        _speech(False), twin=Cell("hand-made steps", (1, 1, 257), _speech(True)),
    ),
]  # fmt: skip


def longer(cell, steps=20):
    """The cell over so many timesteps, without its twin."""
    return replace(cell, shape=(cell.shape[0], steps, *cell.shape[2:]), twin=None)


def check_inputs(cell):
    """What the outputs are checked on: (B, 20, I)."""
    return longer(cell).inputs()[0]
