"""Random graphs of operations and layers, as programs of random_programs.py: `python tests/support/random_graphs.py`.

`write(seed, legacy)` gives a Program of 3 to 15 operations. That of Keras 3 is written with keras.ops, operators,
indexing and keras.activations, that of Keras 2 with functions of TensorFlow, from which it makes TFOpLambda and
SlicingOpLambda. Operations that jump (sign, round, argmax) are left out: next to a jump float32 says nothing.
random_check.py compares.
"""

import random

from random_programs import VOCABULARY, Line, Program, Tensor

from fastseq import ops


class Writer:
    """Writes one program: `emit` a line, `pick` a tensor that was made."""

    def __init__(self, seed, legacy):
        self.rng, self.legacy = random.Random(seed), legacy
        self.lines, self.inputs, self.tensors = [], [], []
        self.steps = self.rng.randint(3, 5)

    def emit(self, text, used, *shapes, kind="float"):
        made = [Tensor(f"x{len(self.lines)}{'abcdefgh'[i] if len(shapes) > 1 else ''}", tuple(s), kind)
                for i, s in enumerate(shapes)]  # fmt: skip
        names = tuple(tensor.name for tensor in made)
        self.lines.append(Line(f"{', '.join(names)} = {text}", names, tuple(tensor.name for tensor in used)))
        self.tensors += made
        return made

    def pick(self, accepts=lambda tensor: True):
        found = [tensor for tensor in self.tensors if tensor.kind == "float" and accepts(tensor)]
        # Rather what was made last, so that graphs are deep.
        return self.rng.choice(found[-3:] if self.rng.random() < 0.7 else found) if found else None

    def numbers(self, count):
        return [self.rng.choice([-1.5, -0.75, -0.25, 0.5, 1.25, 2.0]) for _ in range(count)]

    def array(self, count):
        values = self.numbers(count)
        return str(values) if self.legacy else f"np.array({values}, 'float32')"

    def start(self):
        features = self.rng.randint(2, 4)
        if self.rng.random() < 0.3:
            (ids,) = self.emit(f"keras.Input(({self.steps},), dtype='int32')", (), (self.steps,), kind="ids")
            self.inputs.append(ids)
            options = ", mask_zero=True" if self.rng.random() < 0.5 else ""
            self.emit(f"L.Embedding({VOCABULARY}, {features}{options})({ids.name})", (ids,), (self.steps, features))
            return
        self.inputs += self.emit(f"keras.Input(({self.steps}, {features}))", (), (self.steps, features))

    def layer(self):
        x = self.pick(lambda tensor: len(tensor.shape) in (1, 2))
        if x is None:
            return
        units = self.rng.randint(2, 4)
        if len(x.shape) == 2 and self.rng.random() < 0.6:
            kind = self.rng.choice(["LSTM", "GRU", "SimpleRNN"])
            whole = self.rng.random() < 0.6
            shape = (x.shape[0], units) if whole else (units,)
            self.emit(f"L.{kind}({units}, return_sequences={whole})({x.name})", (x,), shape)
            return
        self.emit(f"L.Dense({units}, activation='tanh')({x.name})", (x,), (*x.shape[:-1], units))

    def operation(self):
        x = self.pick()
        rules = [rule for needs, rule in RULES if set(needs.split()) <= set(ops.__all__)]
        for _ in range(20):
            if self.rng.choice(rules)(self, x) is not None:
                return

    def program(self, seed):
        self.start()
        self.layer()
        for _ in range(self.rng.randint(3, 15)):
            self.operation()
            if self.rng.random() < 0.2:
                self.layer()
        outputs = [self.tensors[-1]] if self.tensors[-1].kind == "float" else [self.pick()]
        if self.rng.random() < 0.2:
            self.layer()
            outputs.append(self.tensors[-1])
        outputs = list(dict.fromkeys(outputs))
        return Program(
            seed, self.lines, self.inputs, outputs, self.rng.randint(1, 4), self.steps,
            file_format=self.rng.choice(["keras", "keras", "h5"]),
        )  # fmt: skip


def write(seed, legacy=False):
    return Writer(seed, legacy).program(seed)


# ---- rules -----------------------------------------------------------------------------------------------------------
# (functions of fastseq.ops that it needs, a function of a Writer and a tensor that emits a line, or returns None).

RULES = []


def rule(needs):
    def decorate(function):
        RULES.append((needs, function))
        return function

    return decorate


def _text(needs, three, two, shape=lambda s: s, accepts=lambda s: True):
    """A line of one tensor {x}, for Keras 3 and for Keras 2."""

    @rule(needs)
    def function(w, x):
        if not accepts(x.shape):
            return None
        text = (two if w.legacy else three).format(x=x.name, last=len(x.shape))
        return w.emit(text, (x,), shape(x.shape))


def _sequence(shape):
    return len(shape) == 2


_text("negative", "-{x}", "-{x}")
_text("absolute", "abs({x})", "abs({x})")
_text("multiply", "{x} * 0.5", "{x} * 0.5")
_text("subtract", "1 - {x}", "1.0 - {x}")
_text("add", "ops.add({x}, 0.25)", "tf.add({x}, 0.25)")
_text("add", "ops.add(x1={x}, x2={x})", "tf.math.add({x}, y={x})")
_text("power", "ops.tanh({x}) ** 2", "tf.tanh({x}) ** 2")
_text("divide add absolute", "{x} / (abs({x}) + 1.0)", "{x} / (abs({x}) + 1.0)")
_text("tanh", "ops.tanh({x})", "tf.tanh({x})")
_text("tanh", "keras.activations.tanh({x})", "keras.activations.tanh({x})")
_text("exp tanh", "ops.exp(ops.tanh({x}))", "tf.exp(tf.tanh({x}))")
_text("log absolute add", "ops.log(ops.absolute({x}) + 0.5)", "tf.math.log(tf.abs({x}) + 0.5)")
_text("sqrt square add", "ops.sqrt(ops.square({x}) + 0.1)", "tf.sqrt(tf.square({x}) + 0.1)")
_text("rsqrt square add", "ops.rsqrt(ops.square({x}) + 0.5)", "tf.math.rsqrt(tf.square({x}) + 0.5)")
_text("maximum", "ops.maximum({x}, 0.1)", "tf.maximum({x}, 0.1)")
_text("minimum", "ops.minimum(0.5, {x})", "tf.minimum({x}, 0.5)")
_text("clip", "ops.clip({x}, -0.5, 0.75)", "tf.clip_by_value({x}, -0.5, 0.75)")
_text("where greater", "ops.where({x} > 0.2, {x}, 0.0)", "tf.where({x} > 0.2, {x}, 0.5 * {x})")
_text("relu", "keras.activations.relu({x})", "tf.nn.relu({x})")
_text(
    "maximum",
    "keras.activations.relu({x}, negative_slope=0.1)",
    "tf.nn.relu({x})",
    accepts=lambda s: "relu" in ops.__all__,
)
_text("sigmoid", "ops.sigmoid({x})", "tf.sigmoid({x})")
_text("sigmoid", "keras.activations.sigmoid({x})", "keras.activations.sigmoid({x})")
_text("silu", "ops.silu({x})", "keras.activations.swish({x})")
_text("gelu", "keras.activations.gelu({x})", "keras.activations.gelu({x})")
_text("elu", "ops.elu({x})", "tf.nn.elu({x})")
_text("softplus", "ops.softplus({x})", "tf.math.softplus({x})")
_text("leaky_relu", "ops.leaky_relu({x}, 0.3)", "tf.nn.leaky_relu({x}, 0.3)")
_text("softmax", "ops.softmax({x}, axis=-1)", "tf.nn.softmax({x})")
_text("softmax", "ops.softmax({x}, axis=1)", "tf.nn.softmax({x}, axis=1)", accepts=_sequence)
_text("log_softmax", "ops.log_softmax({x})", "tf.nn.log_softmax({x})")
_text("sin", "ops.sin({x})", "tf.sin({x})")
_text("erf", "ops.erf({x})", "tf.math.erf({x})")
for _name in ("mean", "sum", "max", "min", "prod", "std", "var", "logsumexp"):
    _old = {"std": "reduce_std", "var": "reduce_variance"}.get(_name, f"reduce_{_name}")
    _text(_name, f"ops.{_name}({{x}}, axis=1)", f"tf.math.{_old}({{x}}, axis=1)", lambda s: s[1:], _sequence)
    _text(_name, f"ops.{_name}({{x}}, axis=-1, keepdims=True)", f"tf.math.{_old}({{x}}, axis=-1, keepdims=True)",
          lambda s: (*s[:-1], 1), lambda s: s[-1] > 1)  # fmt: skip
_text(
    "mean",
    "ops.mean({x}, axis=(1, 2), keepdims=True)",
    "tf.reduce_mean({x}, [1, 2], True)",
    lambda s: (1, 1),
    _sequence,
)
_text("get_item", "{x}[:, -1, :]", "{x}[:, -1, :]", lambda s: s[1:], _sequence)
_text("get_item", "{x}[:, 0]", "{x}[:, 0]", lambda s: s[1:], _sequence)
_text("get_item", "{x}[:, 1:]", "{x}[:, 1:]", lambda s: (s[0] - 1, *s[1:]), lambda s: s[0] > 1)
_text("get_item", "{x}[:, ::-1]", "{x}[:, ::-1]")
_text("get_item", "{x}[:, :, :1]", "{x}[:, :, :1]", lambda s: (s[0], 1), _sequence)
_text("get_item", "{x}[:, None]", "{x}[:, None]", lambda s: (1, *s), lambda s: len(s) == 1)
_text("expand_dims", "ops.expand_dims({x}, 1)", "tf.expand_dims({x}, 1)", lambda s: (1, *s), lambda s: len(s) == 1)
_text(
    "squeeze",
    "ops.squeeze({x}, axis=1)",
    "tf.squeeze({x}, axis=1)",
    lambda s: s[1:],
    lambda s: _sequence(s) and s[0] == 1,
)
_text("transpose", "ops.transpose({x}, (0, 2, 1))", "tf.transpose({x}, [0, 2, 1])", lambda s: s[::-1], _sequence)
_text("swapaxes", "ops.swapaxes({x}, 1, 2)", "tf.transpose({x}, perm=[0, 2, 1])", lambda s: s[::-1], _sequence)
_text(
    "stack", "ops.stack([{x}, {x}], axis=1)", "tf.stack([{x}, {x}], axis=1)", lambda s: (2, *s), lambda s: len(s) == 1
)
_text("concatenate", "ops.concatenate([{x}, {x}], axis=-1)", "tf.concat([{x}, {x}], -1)",
      lambda s: (*s[:-1], 2 * s[-1]), lambda s: s[-1] < 5)  # fmt: skip
_text("flip", "ops.flip({x}, axis=1)", "tf.reverse({x}, [1])")
_text("roll", "ops.roll({x}, 1, axis=1)", "tf.roll({x}, 1, 1)")
_text(
    "repeat",
    "ops.repeat({x}, 2, axis=1)",
    "tf.repeat({x}, 2, axis=1)",
    lambda s: (2 * s[0], *s[1:]),
    lambda s: s[0] < 4,
)
_text(
    "tile", "ops.tile({x}, (1, 2))", "tf.tile({x}, [1, 2])", lambda s: (2 * s[0],), lambda s: len(s) == 1 and s[0] < 5
)
_text("pad", "ops.pad({x}, ((0, 0), (1, 0), (0, 0)))", "tf.pad({x}, [[0, 0], [1, 0], [0, 0]])",
      lambda s: (s[0] + 1, s[1]), lambda s: _sequence(s) and s[0] < 6)  # fmt: skip
_text("take", "ops.take({x}, [0, 1, 0], axis=-1)", "tf.gather({x}, [0, 1, 0], axis=-1)", lambda s: (*s[:-1], 3),
      lambda s: s[-1] > 1)  # fmt: skip
_text("cumsum", "ops.cumsum({x}, axis=1)", "tf.cumsum({x}, 1)")
_text("matmul", "ops.matmul({x}, ops.transpose({x}, (0, 2, 1)))", "tf.matmul({x}, {x}, transpose_b=True)",
      lambda s: (s[0], s[0]), _sequence)  # fmt: skip
_text("einsum", "ops.einsum('bte,bse->bts', {x}, {x})", "tf.matmul({x}, {x}, transpose_b=True)", lambda s: (s[0], s[0]),
      lambda s: _sequence(s) and "swapaxes" in ops.__all__)  # fmt: skip
_text("normalize", "ops.normalize({x} + 0.5)", "tf.nn.l2_normalize({x} + 0.5, -1)")
_text("stop_gradient", "{x} + ops.stop_gradient({x})", "{x} + tf.stop_gradient({x})")


@rule("add subtract multiply maximum minimum")
def two_tensors(w, x):
    """Two tensors of one shape."""
    y = w.pick(lambda tensor: tensor.shape == x.shape and tensor is not x)
    if y is None:
        return None
    name = w.rng.choice(["+", "-", "*", "maximum", "minimum"])
    if len(name) == 1:
        return w.emit(f"{x.name} {name} {y.name}", (x, y), x.shape)
    return w.emit(f"{'tf' if w.legacy else 'ops'}.{name}({x.name}, {y.name})", (x, y), x.shape)


@rule("add multiply")
def broadcast(w, x):
    """A vector beside a sequence, as (batch, 1, features) or as features alone."""
    if len(x.shape) != 2:
        return None
    y = w.pick(lambda tensor: tensor.shape in ((1, x.shape[1]), (x.shape[0], 1)))
    sign = w.rng.choice("+*-")
    if y is None:
        return w.emit(f"{x.name} {sign} {w.array(x.shape[1])}", (x,), x.shape)
    return w.emit(f"{y.name} {sign} {x.name}", (y, x), x.shape)


@rule("subtract multiply")
def constant_first(w, x):
    name = w.rng.choice(["subtract", "multiply"])
    return w.emit(f"{'tf' if w.legacy else 'ops'}.{name}({w.array(x.shape[-1])}, {x.name})", (x,), x.shape)


@rule("concatenate")
def concatenate(w, x):
    y = w.pick(lambda tensor: tensor.shape[:-1] == x.shape[:-1] and tensor.shape[-1] + x.shape[-1] < 9)
    if y is None:
        return None
    name = "tf.concat" if w.legacy else "ops.concatenate"
    return w.emit(f"{name}([{x.name}, {y.name}], axis=-1)", (x, y), (*x.shape[:-1], x.shape[-1] + y.shape[-1]))


@rule("reshape")
def reshape(w, x):
    size = x.shape[0] * x.shape[1] if len(x.shape) == 2 else x.shape[0]
    if len(x.shape) == 2:
        shape = w.rng.choice([(size,), (x.shape[1], x.shape[0])])
    else:
        shape = (size // 2, 2) if size % 2 == 0 else (size, 1)
    name = "tf.reshape" if w.legacy else "ops.reshape"
    return w.emit(f"{name}({x.name}, {(-1, *shape)})", (x,), shape)


@rule("split")
def split(w, x):
    if x.shape[-1] % 2:
        return None
    name = "tf.split" if w.legacy else "ops.split"
    half = (*x.shape[:-1], x.shape[-1] // 2)
    return w.emit(f"{name}({x.name}, 2, axis=-1)", (x,), half, half)


if __name__ == "__main__":
    import functools

    import random_check

    random_check.main(lambda keras: functools.partial(write, legacy=keras.__name__.startswith("tf_keras")))
