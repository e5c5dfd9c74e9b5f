"""The rules by which random_models.py writes a program, a layer or two at a time."""

from random_programs import VOCABULARY, Line, Program, Tensor

POLICIES = ["mixed_float16", "mixed_bfloat16", "float16", "float64"]
ELEMENTWISE = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]
RECURRENT = ["LSTM", "GRU", "SimpleRNN"]
# Names that Keras, or fastseq, gives to what it adds to a graph by itself.
TAKEN = ["concatenate", "not_equal", "any", "lstm", "add", "mask", "not_equal_1"]


class Name(str):
    """A variable of the program, or an expression, where a value is written."""

    __repr__ = str.__str__


def call(name, /, *values, **options):
    """The text `name(values, options)`, without the options that are None."""
    given = [f"{key}={value!r}" for key, value in options.items() if value is not None]
    return Name(f"{name}({', '.join([repr(value) for value in values] + given)})")


def layer(name, /, *values, **options):
    return call(f"L.{name}", *values, **options)


class Writer:
    def __init__(self, rng, seed):
        self.rng, self.seed = rng, seed
        self.lines, self.inputs, self.tensors, self.used = [], [], [], set()
        self.count = 0
        self.units = rng.choice([2, 3, 4])
        self.steps = rng.randint(2, 5)
        self.time = "T" if rng.random() < 0.5 else self.steps
        self.batch = rng.randint(1, 4)
        self.stateful = rng.random() < 0.15
        self.own_policy = rng.choice(POLICIES) if rng.random() < 0.05 else None
        self.drops = False  # Whether something is drawn at random in training.
        self.any_stateful = False
        self.taken = rng.sample(TAKEN, len(TAKEN))
        self.states = []  # Lists of tensors that one recurrent layer's states were.

    # Words of the rules.

    def maybe(self, probability):
        return self.rng.random() < probability

    def fresh(self):
        self.count += 1
        return f"x{self.count}"

    def pick(self, accepts):
        """A tensor that is accepted, rather one that nothing uses yet; None where there is none."""
        found = [tensor for tensor in self.tensors if accepts(tensor)]
        unused = [tensor for tensor in found if tensor.name not in self.used]
        if not found:
            return None
        return self.rng.choice(unused if unused and self.maybe(0.7) else found)

    def line(self, text, made, used):
        self.lines.append(Line(text, tuple(made), tuple(used)))
        self.used.update(used)

    def emit(self, expression, used, shapes, kind="float", grouping=None):
        """Writes `a, b = expression`; `grouping` [1, 2] writes `a, (b, c)`. Returns the tensors."""
        made = [Tensor(self.fresh(), tuple(shape), kind) for shape in shapes]
        names = [tensor.name for tensor in made]
        if grouping:
            rest = list(names)
            parts = [[rest.pop(0) for _ in range(n)] for n in grouping]
            target = ", ".join(part[0] if len(part) == 1 else f"({', '.join(part)})" for part in parts)
        else:
            target = ", ".join(names)
        self.line(f"{target} = {expression}", names, used)
        self.tensors.extend(made)
        return made

    def named(self):
        return self.taken.pop() if self.taken and self.maybe(0.03) else None

    def dtype(self):
        return call("P", self.own_policy) if self.own_policy and self.maybe(0.3) else None

    def common(self):
        return {"name": self.named(), "dtype": self.dtype()}

    def input(self, shape, kind="float"):
        dtype = {"float": None, "bool": "bool", "ids": self.rng.choice(["int32", "int32", None])}[kind]
        shown = tuple(None if isinstance(n, str) else n for n in shape)
        batch = self.batch if self.stateful else None
        (tensor,) = self.emit(call("keras.Input", shown, batch_size=batch, dtype=dtype), (), [shape], kind)
        self.inputs.append(tensor)
        return tensor

    def sequence(self, tensor):
        return tensor.kind == "float" and len(tensor.shape) == 2

    def vector(self, tensor):
        return tensor.kind == "float" and len(tensor.shape) == 1

    def mask_for(self, tensor):
        """A bool input for a sequence's timesteps: an old one where it fits and luck has it, else a new one."""
        old = self.pick(lambda other: other.kind == "bool" and other.shape == tensor.shape[:1])
        if tensor.shape[0] not in (self.time, "T") and isinstance(tensor.shape[0], str):
            return None
        return old if old is not None and self.maybe(0.6) else self.input(tensor.shape[:1], "bool")

    def states_of(self, units, count):
        """`count` tensors (units,): another layer's states, inputs, or what a Dense made."""
        for group in self.rng.sample(self.states, len(self.states)):
            if len(group) == count and all(t.shape == (units,) for t in group) and self.maybe(0.7):
                return group
        group = []
        for _ in range(count):
            source = self.pick(self.vector) if self.maybe(0.5) else None
            if source is not None and source.shape == (units,):
                group.append(source)
            elif source is not None and isinstance(source.shape[0], int):
                group += self.emit(f"{layer('Dense', units)}({source.name})", [source.name], [(units,)])
            else:
                group.append(self.input((units,)))
        return group

    # Where sequences come from.

    def source(self):
        choice = self.rng.random()
        if choice < 0.45:
            ids = self.input((self.time,), "ids")
            self.embed(ids, self.maybe(0.8))
        elif choice < 0.55:
            ids = self.input((self.time, self.rng.randint(1, 3)), "ids")
            self.embed(ids, self.maybe(0.8))
        else:
            values = self.input((self.time, self.rng.choice([self.units, self.units, 1, 5])))
            if self.maybe(0.6):
                self.emit(f"{layer('Masking', **self.common())}({values.name})", [values.name], [values.shape])

    def embed(self, ids, mask_zero):
        options = {"mask_zero": True if mask_zero else None}
        inner = layer("Embedding", VOCABULARY, self.units, **options, **self.common())
        if len(ids.shape) == 2 and self.maybe(0.6):
            inner = layer("TimeDistributed", inner)
        self.emit(f"{inner}({ids.name})", [ids.name], [ids.shape + (self.units,)])

    # The program.

    def program(self, steps):
        """A Program of some steps; steps: [(function of the Writer, how often it is drawn)], random_layers.RULES."""
        for _ in range(self.rng.choice([1, 1, 2, 2, 3])):
            self.source()
        wanted = self.rng.randint(2, 6)
        rules, weights = zip(*steps)
        for _ in range(40):
            if wanted == 0:
                break
            (rule,) = self.rng.choices(rules, weights)
            wanted -= bool(rule(self))
        return Program(
            self.seed,
            self.lines,
            self.inputs,
            self._outputs(),
            self.batch,
            self.steps,
            policy=self.rng.choice(POLICIES) if self.maybe(0.05) else "float32",
            file_format=self.rng.choice(["keras", "h5"]),
            stateful=self.any_stateful,
            random=self.drops,
        )

    def _outputs(self):
        computed = [t for t in self.tensors if t.kind == "float" and t not in self.inputs]
        ends = [t for t in computed if t.name not in self.used]
        outputs = ends[-3:] or computed[-1:]
        if self.maybe(0.15):  # One from the middle as well.
            outputs += [t for t in [self.rng.choice(computed)] if t not in outputs]
        return outputs
