"""What the peers table measures: cells of (B, T, I, H), each a graph of layers with weights in Keras's layout."""

from dataclasses import dataclass, field

import convolutions
import numpy as np

RECURRENT = [
    (1, 1, 40, 64), (1, 1, 128, 256), (1, 1, 256, 512), (1, 100, 64, 64), (1, 100, 256, 256), (1, 100, 512, 512),
    (1, 100, 1024, 1024), (8, 100, 256, 256), (32, 100, 64, 64), (32, 100, 128, 128), (64, 100, 256, 256),
    (128, 50, 512, 512), (32, 50, 1024, 1024), (128, 64, 15, 16), (1000, 64, 15, 16),
    (7, 33, 37, 100), (3, 250, 13, 50), (1, 1000, 1, 10),
]  # fmt: skip
# OwnLSTM is a cell that a user writes, for RNN: an LSTM whose gates and whose state are layer-normalized.
GATES = {"LSTM": 4, "GRU": 3, "GRU_reset_before": 3, "SimpleRNN": 1, "OwnLSTM": 4}
HEADS, WIDER = 4, 4  # of a transformer block: heads of its attention; how much wider it is between its last two layers
ATTENTION_HEADS = 8  # of MultiHeadAttention
EPSILON = 1e-5  # of every normalization
NORMALIZATIONS = ("LayerNormalization", "BatchNormalization")
# The process in which fastseq runs the twins of cells.
TWIN = "fastseq, in another way"


@dataclass(frozen=True)
class Step:
    """One layer of a cell.

    kind: a key of GATES; "Dense"; "LayerNormalization" and "BatchNormalization", over the features; "Embedding" (ids
    below `vocabulary` -> units); "RepeatVector" (units times); "Last" (the last timestep); "Concatenate";
    "MultiHeadAttention" (of its input to itself, `causal` or not); of layers that users write (user_layers.py;
    reference.py has the equations) "OwnLSTM", "Attention" (an average over time, weighted by learnt weights),
    "InstantNorm" (each timestep layer-normalized) and "Transformer" (a block of as many
    units as it is given inputs). With hand_made=True fastseq runs steps of a program that are written by hand
    (hand_made.py) in the place of the user's code.
    sequences: whether a recurrent layer returns every step or the last one.
    size, dilation, padding: of a "Conv1D" or "DepthwiseConv1D" (convolutions.py).
    inputs: the values it takes: 0 is the cell's input, n the output of step n. Empty: the value before it.
    """

    kind: str
    units: int = 0
    bidirectional: bool = False
    activation: str = "linear"
    sequences: bool = True
    inputs: tuple = ()
    vocabulary: int = 0
    hand_made: bool = False
    causal: bool = False
    size: int = 1
    dilation: int = 1
    padding: str = "same"

    @property
    def recurrent(self):
        return self.kind in GATES


@dataclass(frozen=True)
class Cell:
    """One row of the table. The input is (B, T, I) float32, or (B, T) ids where the first step is an Embedding.

    masked: "", "right" or "left", lengths uniform in 10..T. sentences: lengths of inputs that one call runs one after
    another, each (1, length, I); T is None then. twin: a cell of the same weights, inputs and results, which no engine
    but fastseq runs, in turn with this one; its name says how. alone: no engine but fastseq runs the cell itself.
    """

    name: str
    shape: tuple
    steps: tuple
    masked: str = ""
    sentences: tuple = ()
    twin: "Cell | None" = None
    alone: bool = False
    flops: float = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "flops", self._flops())

    @property
    def ids(self):
        return self.steps[0].kind == "Embedding"

    @property
    def channels_first(self):
        """Whether engines that want channels first get the input so, in the place of time first."""
        return all(step.kind in convolutions.KINDS for step in self.steps)

    @property
    def recurrent(self):
        return any(step.recurrent for step in self.steps)

    def has(self, kind):
        return any(step.kind == kind for step in self.steps)

    def walk(self, value, apply):
        """The last value, with apply(n, step, *values) for step after step; n counts from 0."""
        values = [value]
        for n, step in enumerate(self.steps):
            values.append(apply(n, step, *([values[i] for i in step.inputs] or values[-1:])))
        return values[-1]

    def _flops(self):
        """Of one call: a multiply-add counts two. A value is (rows, width): rows over batch and time."""
        batch, total = self.shape[0], 0
        if self.masked:
            rows = int(self.lengths().sum())
        else:
            rows = sum(self.sentences) or batch * self.shape[1]

        def apply(n, step, *values):
            nonlocal total
            rows, width = values[0]
            if step.recurrent:
                directions = 1 + step.bidirectional
                total += rows * directions * GATES[step.kind] * step.units * (width + step.units)
                return rows if step.sequences else batch, directions * step.units
            if step.kind in ("Dense", "Conv1D"):
                total += rows * step.size * width * step.units
            if step.kind == "DepthwiseConv1D":
                total += rows * step.size * width
                return rows, width
            if step.kind == "Attention":  # x . W and the sum weighted by it
                total += 2 * rows * width
            if step.kind in ("Attention", "Last"):
                return batch, width
            if step.kind in NORMALIZATIONS:
                total += rows * width  # the last multiply-add, of what is bound by memory
            if step.kind in ("InstantNorm", *NORMALIZATIONS):
                return rows, width
            if step.kind == "Transformer":
                total += rows * width * (width * (3 + 1 + 2 * WIDER) + 2 * self.shape[1])
            if step.kind == "MultiHeadAttention":  # a causal one needs half of its scores
                total += rows * width * (4 * width + self.shape[1] * (1 if step.causal else 2))
                return rows, width
            if step.kind == "RepeatVector":
                return rows * step.units, width
            if step.kind == "Concatenate":
                return rows, sum(width for _, width in values)
            return rows, step.units

        self.walk((rows, self.shape[-1]), apply)
        return 2.0 * total

    def inputs(self):
        """What one call runs: a list of one array, or of one for each sentence."""
        rng = np.random.default_rng(0)
        if self.ids:
            return [rng.integers(0, self.steps[0].vocabulary, self.shape).astype(np.int32)]
        shapes = [(self.shape[0], length, self.shape[2]) for length in self.sentences] or [self.shape]
        return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]

    def lengths(self):
        return np.random.default_rng(1).integers(10, self.shape[1] + 1, self.shape[0])

    def mask(self):
        """(B, T) bool, or None."""
        if not self.masked:
            return None
        steps, lengths = np.arange(self.shape[1]), self.lengths()[:, None]
        return steps < lengths if self.masked == "right" else steps >= self.shape[1] - lengths

    def weights(self):
        """For each step a list of arrays as Keras keeps them; a bidirectional one has the backward ones after."""
        rng, found = np.random.default_rng(2), []

        def draw(*shape):
            return (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)

        def apply(n, step, *widths):
            width, own = sum(widths), []
            found.append(own)
            if step.kind in OWN_SHAPES:
                own += [_drawn_own(draw, shape) for shape in OWN_SHAPES[step.kind](width, step.units)]
                return step.units or width
            if step.recurrent:
                gates = GATES[step.kind] * step.units
                for _ in range(1 + step.bidirectional):
                    bias = (2, gates) if step.kind == "GRU" else (gates,)
                    own += [draw(width, gates), draw(step.units, gates), 0.1 * draw(*bias)]
                return step.units * (1 + step.bidirectional)
            if step.kind in convolutions.KINDS:
                kernel, bias = convolutions.shapes(step, width)
                own += [draw(kernel[0] * width, 1, kernel[2]).reshape(kernel), 0.1 * draw(*bias)]
                return bias[0]
            if step.kind == "Dense":
                own += [draw(width, step.units), 0.1 * draw(step.units)]
            elif step.kind == "Attention":
                own.append(draw(width, 1))
            elif step.kind == "MultiHeadAttention":
                heads = ATTENTION_HEADS, width // ATTENTION_HEADS
                for _ in range(3):
                    own += [draw(width, width).reshape(width, *heads), 0.1 * draw(width).reshape(heads)]
                own += [draw(width, width).reshape(*heads, width), 0.1 * draw(width)]
            elif step.kind == "Embedding":
                own.append(rng.standard_normal((step.vocabulary, step.units)).astype(np.float32))
            return step.units if step.kind in ("Dense", "Embedding") else width

        self.walk(self.shape[-1], apply)
        return found


# Shapes of what users' own layers keep, by inputs and units. A negative size: factors, drawn around 1.
OWN_SHAPES = {
    "OwnLSTM": lambda n, units: [(n, 4 * units), (units, 4 * units), (4 * units,), (-4 * units,), (-units,)],
    "InstantNorm": lambda n, units: [(-n,), (n,)],
    "LayerNormalization": lambda n, units: [(-n,), (n,)],
    "BatchNormalization": lambda n, units: [(-n,), (n,), (n,), (-n,)],
    "Transformer": lambda n, units: [
        (n, 3 * n), (3 * n,), (n, n), (n,), (-n,), (n,),
        (n, WIDER * n), (WIDER * n,), (WIDER * n, n), (n,), (-n,), (n,),
    ],
}  # fmt: skip


def _drawn_own(draw, shape):
    """Weights as Cell.weights draws them; biases are small, and factors near 1."""
    if len(shape) > 1:
        return draw(*shape)
    drawn = 0.1 * np.sqrt(abs(shape[0]), dtype=np.float32) * draw(abs(shape[0]))
    return drawn + (shape[0] < 0)


def _label(shape, units):
    return f"({', '.join(map(str, (*shape, units)))})"


def _textgenrnn(batch):
    """A published model of text, by its sizes: 40 ids of 465 characters -> the probabilities of the next one."""

    def steps(hand_made):
        return (
            Step("Embedding", 100, vocabulary=465), Step("LSTM", 128), Step("LSTM", 128),
            Step("Concatenate", inputs=(1, 2, 3)), Step("Attention", hand_made=hand_made),
            Step("Dense", 465, activation="softmax"),
        )  # fmt: skip

    twin = Cell("attention in hand-made steps", (batch, 40), steps(True))
    name = f"Embedding-2 LSTM(128)-concat-attention-softmax ({batch}, 40)"
    return Cell(name, (batch, 40), steps(False), twin=twin)


def _last_timestep(batch):
    """The last timestep, taken from the sequence, and beside it the layer that returns nothing else."""
    shape = (batch, 100, 128)
    twin = Cell("return_sequences=False", shape, (Step("LSTM", 128, sequences=False),))
    return Cell(f"LSTM-h[:, -1] {_label(shape, 128)}", shape, (Step("LSTM", 128), Step("Last")), twin=twin, alone=True)


def _normalizations():
    """One timestep, what fits a cache, and what does not."""
    shapes = ((1, 1, 64), (1, 100, 256), (32, 100, 256), (64, 512, 512))
    return [Cell(f"{kind} {shape}", shape, (Step(kind),)) for kind in NORMALIZATIONS for shape in shapes]


def own_lstm(batch):
    """A user's cell in RNN."""
    shape = (batch, 100, 64)
    return Cell(f"own cell, layer-normalized LSTM {_label(shape, 64)}", shape, (Step("OwnLSTM", 64),))


def attention_cells():
    """Self-attention of 8 heads of 64, as in a transformer of 512 units."""
    return [
        Cell(f"MultiHeadAttention{' causal' * causal} {_label((batch, time), 512)}", (batch, time, 512),
             (Step("MultiHeadAttention", 512, causal=causal),))
        for causal in (False, True) for time in (64, 512, 2048) for batch in (1, 8)
    ]  # fmt: skip


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
        steps = (Step("Dense", units, activation=activation),)
        cells.append(Cell(f"Dense {activation} {_label(shape, units)}", shape, steps))
    for shape, units in (((1, 100, 256), 256), ((32, 100, 128), 128), ((1, 63, 24), 32)):
        cells.append(Cell(f"bidirectional LSTM {_label(shape, units)}", shape, (Step("LSTM", units, True),)))
    for shape, units in (((1, 100, 256), 256), ((32, 100, 128), 128)):
        cells.append(Cell(f"3 LSTM {_label(shape, units)}", shape, (Step("LSTM", units),) * 3))
    # 20 sentences rather than hundreds: their lengths repeat little, and a call stays below 50 ms.
    lengths = tuple(int(n) for n in np.random.default_rng(3).integers(20, 41, 20))
    tagger = (Step("LSTM", 300, True),) * 2
    cells.append(
        Cell("2 bidirectional LSTM (1, 20 to 40, 300, 300), 20 sentences", (1, None, 300), tagger, "", lengths)
    )
    tagger = (Step("GRU", 16), Step("Dense", 8, activation="softmax"))
    cells.append(Cell("GRU(16)-Dense(8)-softmax (1000, 64, 15)", (1000, 64, 15), tagger))
    cells += [_textgenrnn(1), _textgenrnn(64)]
    autoencoder = (Step("LSTM", 64, sequences=False), Step("RepeatVector", 50), Step("LSTM", 64), Step("Dense", 8))
    cells.append(Cell("LSTM(64)-RepeatVector-LSTM(64)-Dense(8) (1, 50, 8)", (1, 50, 8), autoencoder))
    for kind in ("LSTM", "GRU"):
        for side in ("right", "left"):
            name = f"{kind} {side}-padded (32, 100, 128, 128)"
            cells.append(Cell(name, (32, 100, 128), (Step(kind, 128),), side))
    cells += _normalizations() + attention_cells()
    cells += convolutions.cells(Cell, Step, _label)
    return [*cells, own_lstm(1), own_lstm(32), _last_timestep(1), _last_timestep(32)]
