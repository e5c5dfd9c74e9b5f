"""What streams are measured on: cells of one timestep, and the inputs that every engine's outputs are checked on."""

from dataclasses import replace

from cells import Cell, Step

CELLS = [
    Cell("LSTM(64) over 40 inputs", (1, 1, 40), (Step("LSTM", 64),)),
    Cell(
        "GRU(16)-Dense(8)-softmax over 15 inputs", (1, 1, 15),
        (Step("GRU", 16), Step("Dense", 8, activation="softmax")),
    ),
    Cell("1,000 streams of GRU(128) over 128 inputs", (1000, 1, 128), (Step("GRU", 128),)),
]  # fmt: skip


def longer(cell, steps=20):
    """The cell over so many timesteps."""
    return replace(cell, shape=(cell.shape[0], steps, *cell.shape[2:]))


def check_inputs(cell):
    """What the outputs are checked on: (B, 20, I)."""
    return longer(cell).inputs()[0]
