"""What a random model is as a program: its lines, its inputs' values, and the source that shows a fault.

random_models.py and random_graphs.py write such programs; both say how.
"""

import dataclasses

import numpy as np

VOCABULARY = 7


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A variable of the program. `shape` is without the batch; a string stands for a length that is not known."""

    name: str
    shape: tuple
    kind: str = "float"  # "ids" and "bool" as well


@dataclasses.dataclass(frozen=True)
class Line:
    text: str
    made: tuple  # Names of the variables that the line assigns,
    used: tuple  # and of those that it reads.


@dataclasses.dataclass
class Program:
    seed: int
    lines: list
    inputs: list  # Tensors, in the order of the model's inputs.
    outputs: list  # Tensors.
    batch: int
    steps: int  # What "T" is when the model runs.
    policy: str = "float32"
    file_format: str = "keras"
    stateful: bool = False
    random: bool = False  # Whether training draws at random.

    def needed(self):
        """The lines that the outputs depend on, in order."""
        wanted, kept = {tensor.name for tensor in self.outputs}, []
        for line in reversed(self.lines):
            if wanted & set(line.made):
                kept.append(line)
                wanted |= set(line.used)
        return kept[::-1]

    def needed_inputs(self):
        made = {name for line in self.needed() for name in line.made}
        return [tensor for tensor in self.inputs if tensor.name in made]

    def source(self):
        inputs = ", ".join(tensor.name for tensor in self.needed_inputs())
        outputs = ", ".join(tensor.name for tensor in self.outputs)
        outputs = f"[{outputs}]" if len(self.outputs) > 1 else outputs
        return "\n".join([line.text for line in self.needed()] + [f"model = keras.Model([{inputs}], {outputs})"])

    def arrays(self):
        """The inputs' values, a list in the order of the model's inputs. They do not change when lines are left out."""
        return [self._values(tensor) for tensor in self.needed_inputs()]

    def _values(self, tensor):
        rng = np.random.default_rng([self.seed, self.inputs.index(tensor)])
        shape = (self.batch, *(self.steps if isinstance(n, str) else n for n in tensor.shape))
        if tensor.kind == "bool":
            return _kept(rng, shape)
        if tensor.kind == "ids":
            return np.where(_kept(rng, shape), rng.integers(1, VOCABULARY, shape), 0).astype("int32")
        values = rng.uniform(-1.5, 1.5, shape).astype("float32")
        if len(shape) > 2 and rng.random() < 0.8:  # What Masking() masks.
            values[~_kept(rng, shape[:-1])] = 0
        return values


def _kept(rng, shape):
    """A mask whose rows have False at the left, the right, in the middle, here and there, everywhere or nowhere."""
    mask = np.ones(shape, bool)
    for row in mask.reshape(-1, shape[-1]):
        n = shape[-1]
        kind, cut = rng.integers(7), int(rng.integers(0, n + 1))
        if kind in (0, 1):
            row[:cut] = False
        elif kind in (2, 3):
            row[cut:] = False
        elif kind == 4:
            row[n // 3 : 1 + n // 2] = False
        elif kind == 5:
            row[rng.random(n) < 0.5] = False
        elif cut == 0:
            row[:] = False
    return mask
