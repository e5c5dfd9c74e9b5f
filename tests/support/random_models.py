"""Random Keras models as short programs: one text for Keras 3.15, Keras 3.3 and tf_keras.

`write(seed)` gives a Program. Its lines call nothing but Keras's public API, so the same seed gives the same
architecture in every module, `print(program.source())` is a program that shows a fault, and a shorter one comes from
leaving lines out. random_rules.py has the rules that write the lines, random_check.py runs them beside fastseq.
"""

import dataclasses
import random
import sys

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


def write(seed):
    """The program of a seed."""
    import random_rules

    return random_rules.Writer(random.Random(seed), seed).program()


def shapes_of(model):
    return [tuple(np.shape(weight)) for weight in model.get_weights()]


def is_legacy(keras):
    """Whether a module is tf_keras."""
    return keras.__name__.startswith("tf_keras")


def version_of(keras):
    return tuple(int(part) for part in keras.__version__.split(".")[:2])


def set_policy(keras, policy):
    floatx = "float64" if policy == "float64" else "float32"
    if is_legacy(keras):
        keras.backend.set_floatx(floatx)
        keras.mixed_precision.set_global_policy(policy)
    else:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy) if version_of(keras) > (3, 3) else _set_old_policy(keras, policy)


def _set_old_policy(keras, policy):
    keras.mixed_precision.set_dtype_policy(policy)


def build(keras, program, policy=None):
    """The program's model in a Keras module, under a dtype policy (the program's own, where none is given).

    Raises what Keras raises where it cannot build the model.
    """
    keras.backend.clear_session() if is_legacy(keras) else keras.utils.clear_session()
    asked = policy or program.policy
    names = {
        "keras": keras,
        "L": keras.layers,
        "ops": getattr(keras, "ops", None),
        "tf": sys.modules.get("tensorflow"),
        "np": np,
        # Keras 3.15 alone unrolls over a number of timesteps that is not known.
        "UNROLL": version_of(keras) >= (3, 4),
        # A layer's own policy; all of them are `policy` where that is given.
        "P": lambda own: policy or own,
    }
    set_policy(keras, asked)
    try:
        exec(program.source(), names)
    finally:
        set_policy(keras, "float32")
    return names["model"]


def weights_for(model, seed):
    """Random weights for a model: float32 values, large enough that an error in one place shows at the end."""
    rng = np.random.default_rng([seed, 1000])
    return [rng.uniform(-1, 1, shape).astype("float32") for shape in shapes_of(model)]
