"""Random models of the layers that stand around recurrent ones: convolutions, pooling, normalisations, attention.

As random_models.py, whose rules take part: one text for Keras 3.15 and tf_keras.

    python tests/support/random_surroundings.py --count 1000 --keras tf_keras --out found.jsonl
"""

import dataclasses
import random

import random_check
import random_layers
import random_models
import random_rules
from random_rules import layer

ACTIVATIONS = [None, None, "relu", "tanh", "sigmoid"]
MOST_STEPS = 40  # of a sequence that gets longer


class Writer(random_rules.Writer):
    """legacy: whether tf_keras is to run the program, which lacks some of the layers."""

    def __init__(self, seed, legacy):
        super().__init__(random.Random(seed), seed)
        self.legacy, self.own_policy = legacy, None
        self.steps = self.rng.randint(4, 9)
        self.time = "T" if self.maybe(0.4) else self.steps

    def wanted(self):
        """A sequence, rather one as long as the model's inputs, or None."""
        return self.pick(self.sequence)


def write(seed, legacy=False):
    """The program of a seed."""
    return dataclasses.replace(Writer(seed, legacy).program(RULES), policy="float32")


def is_fixed(x):
    return isinstance(x.shape[0], int)


def fewer(w, x, count):
    """The first axis of what has `count` timesteps where x's number is known, else a new unknown one."""
    return count if is_fixed(x) else w.fresh()


def convolution(w):
    x = w.wanted()
    if x is None:
        return False
    size, stride, rate = w.rng.randint(1, 4), w.rng.choice([1, 1, 1, 2, 3]), w.rng.choice([1, 1, 2, 3])
    if stride > 1:
        rate = 1
    padding = w.rng.choice(["causal", "same", "valid"])
    kind = w.rng.choice(["Conv1D", "Conv1D", "Conv1D", "SeparableConv1D", "DepthwiseConv1D"])
    if kind != "Conv1D" and padding == "causal":
        padding = "same"
    if kind != "Conv1D" and stride > 1 and w.legacy:
        stride = 1
    span = (size - 1) * rate + 1
    if padding == "valid" and not (is_fixed(x) and x.shape[0] >= span):
        padding = "same"
    options = {
        "strides": stride if stride > 1 else None,
        "padding": padding,
        "dilation_rate": rate if rate > 1 else None,
        "use_bias": False if w.maybe(0.2) else None,
        "activation": w.rng.choice(ACTIVATIONS),
        **w.common(),
    }
    filters, depth = w.units, w.rng.choice([1, 1, 2])
    if kind == "DepthwiseConv1D":
        text, filters = layer(kind, size, depth_multiplier=depth, **options), depth * x.shape[1]
    elif kind == "SeparableConv1D":
        text = layer(kind, filters, size, depth_multiplier=depth, **options)
    else:
        text = layer(kind, filters, size, **options)
    steps = x.shape[0]
    if padding == "valid" or stride > 1:
        inside = steps - span + 1 if padding == "valid" else steps
        steps = -(-inside // stride) if is_fixed(x) else w.fresh()
    w.emit(f"{text}({x.name})", [x.name], [(steps, filters)])
    return True


def transposed(w):
    x = w.wanted()
    if x is None or (is_fixed(x) and x.shape[0] * 3 > MOST_STEPS):
        return False
    size, stride, padding = w.rng.randint(1, 4), w.rng.choice([1, 2, 3]), w.rng.choice(["valid", "same"])
    text = layer(
        "Conv1DTranspose", w.units, size, strides=stride, padding=padding, activation=w.rng.choice(ACTIVATIONS)
    )
    count = x.shape[0] * stride if is_fixed(x) else None
    if is_fixed(x) and padding == "valid":
        count += max(size - stride, 0)
    w.emit(f"{text}({x.name})", [x.name], [(count or w.fresh(), w.units)])
    return True


def pooling(w):
    x = w.wanted()
    if x is None:
        return False
    if w.maybe(0.4):
        kind = w.rng.choice(["GlobalAveragePooling1D", "GlobalAveragePooling1D", "GlobalMaxPooling1D"])
        kept = w.maybe(0.2) or None
        w.emit(f"{layer(kind, keepdims=kept)}({x.name})", [x.name], [(1, x.shape[1]) if kept else x.shape[1:]])
        return True
    size, stride = w.rng.choice([1, 2, 2, 3]), w.rng.choice([None, None, 1, 2, 3])
    padding = "valid" if is_fixed(x) and x.shape[0] >= size and w.maybe(0.6) else "same"
    text = layer(w.rng.choice(["MaxPooling1D", "AveragePooling1D"]), size, strides=stride, padding=padding)
    step = stride or size
    count = None
    if is_fixed(x):
        count = -(-(x.shape[0] - size + 1 if padding == "valid" else x.shape[0]) // step)
    elif step == 1:
        count = x.shape[0]
    w.emit(f"{text}({x.name})", [x.name], [(count or w.fresh(), x.shape[1])])
    return True


def timesteps(w):
    """Timesteps that are repeated, added or left out."""
    x = w.pick(lambda t: w.sequence(t) and is_fixed(t) and 3 < t.shape[0] < MOST_STEPS // 2)
    if x is None:
        return False
    text, count = w.rng.choice([
        (layer("UpSampling1D", 2), 2 * x.shape[0]),
        (layer("ZeroPadding1D", 2), x.shape[0] + 4),
        (layer("ZeroPadding1D", (1, 0)), x.shape[0] + 1),
        (layer("Cropping1D", (1, 2)), x.shape[0] - 3),
    ])  # fmt: skip
    w.emit(f"{text}({x.name})", [x.name], [(count, x.shape[1])])
    return True


def normalisation(w):
    x = w.pick(w.sequence if w.maybe(0.8) else w.vector)
    if x is None:
        return False
    kinds = [
        "LayerNormalization",
        "LayerNormalization",
        "BatchNormalization",
        "BatchNormalization",
        "UnitNormalization",
    ]
    kinds += ["GroupNormalization", "Rescaling"] + ([] if w.legacy else ["RMSNormalization"])
    kind = w.rng.choice(kinds)
    # A wide epsilon: where rows vary little, it is rounding that is compared.
    options = {
        "LayerNormalization": {"epsilon": 0.1, "center": False if w.maybe(0.2) else None},
        "BatchNormalization": {"epsilon": 0.1, "scale": False if w.maybe(0.2) else None},
        "UnitNormalization": {},
        "GroupNormalization": {"groups": 1, "epsilon": 0.1},
        "RMSNormalization": {"epsilon": 0.1},
        "Rescaling": {"scale": 0.5, "offset": 0.25},
    }[kind]
    if kind == "LayerNormalization" and len(x.shape) == 2 and is_fixed(x) and w.maybe(0.2):
        options["axis"] = [1, 2]
    w.emit(f"{layer(kind, **options, **w.common())}({x.name})", [x.name], [x.shape])
    return True


def attention(w):
    x = w.wanted()
    if x is None:
        return False
    value = w.pick(w.sequence) if w.maybe(0.5) else x
    causal = ", use_causal_mask=True" if w.maybe(0.3) else ""
    kinds = ["MultiHeadAttention", "MultiHeadAttention", "Attention", "AdditiveAttention"]
    kind = w.rng.choice(kinds if w.legacy else [*kinds, "GroupQueryAttention"])
    if kind in ("Attention", "AdditiveAttention"):
        value = value if value.shape[1] == x.shape[1] else x
        scale = w.maybe(0.5) or None
        given, shape = f"[{x.name}, {value.name}]", x.shape
        text = layer(kind, use_scale=scale if kind == "Attention" else None)
    else:
        value = value if kind == "MultiHeadAttention" or value.shape[1] == x.shape[1] else x
        heads = (4, 2) if kind == "GroupQueryAttention" else (2,)
        sizes = (3, *heads) if kind == "GroupQueryAttention" else (*heads, 3)
        text, given, shape = layer(kind, *sizes, **w.common()), f"{x.name}, {value.name}", x.shape
    w.emit(f"{text}({given}{causal})", list(dict.fromkeys([x.name, value.name])), [shape])
    return True


RULES = [
    (convolution, 5), (transposed, 1.5), (pooling, 4), (timesteps, 1.5), (normalisation, 5), (attention, 3),
    (random_layers.plain, 2), (random_layers.recurrent, 3), (random_layers.bidirectional, 1),
    (random_layers.time_distributed, 1), (random_layers.elementwise, 3), (random_layers.concatenate, 2),
    (random_layers.nested, 0.7), (random_layers.shared, 0.7),
]  # fmt: skip


def programs(keras):
    return lambda seed: write(seed, random_models.is_legacy(keras))


if __name__ == "__main__":
    random_check.main(programs)
