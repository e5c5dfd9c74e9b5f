"""What the training table measures: steps of layers with a loss, and epochs of the tutorials' models."""

from dataclasses import dataclass

import numpy as np
from cells import Cell, Step, own_lstm

RATE, RHO, EPSILON = 1e-3, 0.9, 1e-7  # Keras's RMSprop
# The loss of an output, by the activation that gives it; without one, mean squared error over whole sequences.
LOSSES = {"softmax": "categorical_crossentropy", "sigmoid": "binary_crossentropy"}


@dataclass(frozen=True)
class Task:
    """One row: a training step on one batch, or, with `samples`, epochs of `fit` over that many rows in batches.

    cell: the model and the shape of a batch. wrapped: the Dense stands in a TimeDistributed and its activation behind
    it. memory: the peak of a step's memory is measured too. stored: a .npz with x and y, where they are not drawn.
    """

    name: str
    cell: Cell
    samples: int = 0
    wrapped: bool = False
    memory: bool = False
    stored: str = ""

    @property
    def loss(self):
        return LOSSES.get(self.cell.steps[-1].activation, "mse")

    @property
    def batch(self):
        return self.cell.shape[0]

    @property
    def flops(self):
        """Of forward and backward by the usual count: three times those of the forward products."""
        return 3 * self.cell.flops

    @property
    def needed_flops(self):
        """Without the products for gradients by the input, which no step needs; of a single recurrent layer."""
        inputs, units = self.cell.shape[-1], self.cell.steps[0].units
        return self.flops - self.cell.flops * inputs / (inputs + units)

    def data(self):
        """(x, y) as Keras takes them: (rows, T, I) or ids (rows, T); labels of the output's shape, float32."""
        if self.stored:
            with np.load(self.stored) as file:
                return file["x"], file["y"]
        rng, rows = np.random.default_rng(5), self.samples or self.batch
        shape, last = (rows, *self.cell.shape[1:]), self.cell.steps[-1]
        if self.cell.ids:
            x = rng.integers(0, self.cell.steps[0].vocabulary, shape).astype(np.int32)
        else:
            x = rng.standard_normal(shape).astype(np.float32)
        sequences = next((step.sequences for step in reversed(self.cell.steps) if step.recurrent), True)
        leading = shape[:2] if sequences else shape[:1]
        if self.loss == "mse":
            return x, rng.standard_normal((*leading, last.units * (1 + last.bidirectional))).astype(np.float32)
        if self.loss == "binary_crossentropy":
            return x, rng.integers(0, 2, (*leading, 1)).astype(np.float32)
        return x, np.eye(last.units, dtype=np.float32)[rng.integers(0, last.units, leading)]

    def batches(self, order):
        """The rows of every batch of an epoch that takes the rows in this order."""
        return [order[first : first + self.batch] for first in range(0, self.samples, self.batch)]


def _steps():
    """(name, shape of a batch, steps, whether memory is measured)."""
    for units in (256, 128):
        for kind in ("LSTM", "GRU"):
            yield f"{kind} (64, 100, {units}, {units})", (64, 100, units), (Step(kind, units),), units == 256
    yield "LSTM (1, 100, 64, 64)", (1, 100, 64), (Step("LSTM", 64),), False
    yield "GRU (128, 64, 15, 16)", (128, 64, 15), (Step("GRU", 16),), False
    yield "SimpleRNN (64, 100, 128, 128)", (64, 100, 128), (Step("SimpleRNN", 128),), False
    yield "bidirectional LSTM (32, 100, 64, 64)", (32, 100, 64), (Step("LSTM", 64, True),), False
    review = (
        Step("Embedding", 64, vocabulary=10000), Step("LSTM", 64, sequences=False),
        Step("Dense", 1, activation="sigmoid"),
    )  # fmt: skip
    yield "Embedding(10000, 64)-LSTM(64)-Dense(1) (32, 100)", (32, 100), review, False
    own = own_lstm(32)
    yield own.name, own.shape, own.steps, False
    for shape in ((8, 64, 64), (32, 128, 512)):
        yield f"a user's transformer block {shape}", shape, (Step("Transformer", shape[-1]),), False


def all_tasks():
    """Epochs of the three models first, then steps."""
    tasks = []
    for name, sequences, wrapped in (
        ("GRU(16)-TimeDistributed(Dense(8))-softmax", True, True), ("GRU(16)-Dense(8, softmax)", True, False),
        ("GRU(16), last step-Dense(8, softmax)", False, False),
    ):  # fmt: skip
        steps = (Step("GRU", 16, sequences=sequences), Step("Dense", 8, activation="softmax"))
        tasks.append(Task(name, Cell(name, (128, 64, 15), steps), samples=1000, wrapped=wrapped))
    tasks += [Task(name, Cell(name, shape, steps), memory=memory) for name, shape, steps, memory in _steps()]
    return tasks
