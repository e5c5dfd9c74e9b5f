"""What the peers table measures: cells of (B, T, I, H), each a stack of layers with weights in Keras's layout."""

from dataclasses import dataclass, field

import numpy as np

RECURRENT = [
    (1, 1, 40, 64), (1, 1, 128, 256), (1, 1, 256, 512), (1, 100, 64, 64), (1, 100, 256, 256), (1, 100, 512, 512),
    (1, 100, 1024, 1024), (8, 100, 256, 256), (32, 100, 64, 64), (32, 100, 128, 128), (64, 100, 256, 256),
    (128, 50, 512, 512), (32, 50, 1024, 1024), (128, 64, 15, 16), (1000, 64, 15, 16),
    (7, 33, 37, 100), (3, 250, 13, 50), (1, 1000, 1, 10),
]  # fmt: skip
GATES = {"LSTM": 4, "GRU": 3, "GRU_reset_before": 3, "SimpleRNN": 1}


@dataclass(frozen=True)
class Step:
    """One layer: kind is a key of GATES or "Dense"; units; bidirectional; activation of a Dense."""

    kind: str
    units: int
    bidirectional: bool = False
    activation: str = "linear"


@dataclass(frozen=True)
class Cell:
    """One row of the table. x is (B, T, I); `masked` is "", "right" or "left": lengths uniform in 10..T."""

    name: str
    shape: tuple
    steps: tuple
    masked: str = ""
    flops: float = field(init=False)

    def __post_init__(self):
        batch, time, inputs = self.shape
        total = 0
        for step in self.steps:
            if step.kind == "Dense":
                total += inputs * step.units
                inputs = step.units
            else:
                directions = 2 if step.bidirectional else 1
                total += directions * GATES[step.kind] * step.units * (inputs + step.units)
                inputs = directions * step.units
        steps = batch * time if not self.masked else int(self.mask().sum())
        object.__setattr__(self, "flops", 2.0 * steps * total)

    def inputs(self):
        return np.random.default_rng(0).standard_normal(self.shape).astype(np.float32)

    def lengths(self):
        return np.random.default_rng(1).integers(10, self.shape[1] + 1, self.shape[0])

    def mask(self):
        """(B, T) bool, or None."""
        if not self.masked:
            return None
        steps, lengths = np.arange(self.shape[1]), self.lengths()[:, None]
        return steps < lengths if self.masked == "right" else steps >= self.shape[1] - lengths

    def weights(self):
        """For each layer a list of arrays as Keras keeps them; a bidirectional one has the backward ones after."""
        rng = np.random.default_rng(2)
        inputs, found = self.shape[2], []

        def draw(*shape):
            return (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)

        for step in self.steps:
            if step.kind == "Dense":
                found.append([draw(inputs, step.units), 0.1 * draw(step.units)])
                inputs = step.units
                continue
            width, own = GATES[step.kind] * step.units, []
            for _ in range(2 if step.bidirectional else 1):
                bias = (2, width) if step.kind == "GRU" else (width,)
                own += [draw(inputs, width), draw(step.units, width), 0.1 * draw(*bias)]
            found.append(own)
            inputs = step.units * (2 if step.bidirectional else 1)
        return found


def _label(shape, units):
    return f"({', '.join(map(str, (*shape, units)))})"


def all_cells():
    cells = []
    for kind in ("LSTM", "GRU"):
        cells += [Cell(f"{kind} {_label(s[:3], s[3])}", s[:3], (Step(kind, s[3]),)) for s in RECURRENT]
    for kind in ("GRU_reset_before", "SimpleRNN"):
        for shape in ((1, 100, 256), (64, 100, 256)):
            cells.append(Cell(f"{kind} {_label(shape, 256)}", shape, (Step(kind, 256),)))
    for shape, units, activation in (
        ((32, 100, 256), 256, "linear"), ((1000, 64, 16), 8, "linear"), ((1, 1, 64), 32, "linear"),
        ((64, 200, 128), 1000, "softmax"),
    ):  # fmt: skip
        cells.append(
            Cell(f"Dense {activation} {_label(shape, units)}", shape, (Step("Dense", units, False, activation),))
        )
    for shape, units in (((1, 100, 256), 256), ((32, 100, 128), 128), ((1, 63, 24), 32)):
        cells.append(Cell(f"bidirectional LSTM {_label(shape, units)}", shape, (Step("LSTM", units, True),)))
    for shape, units in (((1, 100, 256), 256), ((32, 100, 128), 128)):
        cells.append(Cell(f"3 LSTM {_label(shape, units)}", shape, (Step("LSTM", units),) * 3))
    cells.append(Cell("2 bidirectional LSTM (1, 30, 300, 300)", (1, 30, 300), (Step("LSTM", 300, True),) * 2))
    tagger = (Step("GRU", 16), Step("Dense", 8, False, "softmax"))
    cells.append(Cell("GRU(16)-Dense(8)-softmax (1000, 64, 15)", (1000, 64, 15), tagger))
    for kind in ("LSTM", "GRU"):
        for side in ("right", "left"):
            name = f"{kind} {side}-padded (32, 100, 128, 128)"
            cells.append(Cell(name, (32, 100, 128), (Step(kind, 128),), side))
    return cells
