"""What a step of a random program may be: RULES, functions that write lines and say whether they did."""

from random_rules import ELEMENTWISE, RECURRENT, Name, call, layer

ACTIVATIONS = [None, None, "tanh", "relu", "sigmoid", "softmax", "linear", "elu", "softsign", "gelu"]


def plain_layer(w, name, features, units=None):
    """A layer that keeps the shape, Dense but for its last dimension; a text."""
    if name == "Dense":
        return layer(name, units, activation=w.rng.choice(ACTIVATIONS), **w.common())
    if name == "Activation":
        return layer(name, w.rng.choice(["tanh", "relu", "softmax", "sigmoid", "elu"]), **w.common())
    if name in ("Dropout", "SpatialDropout1D", "GaussianDropout", "AlphaDropout", "GaussianNoise"):
        w.drops = True
        return layer(name, 0.3, **w.common())
    if name == "Softmax":
        return layer(name, axis=w.rng.choice([None, None, 1]), **w.common())
    return layer(name, **w.common())


PLAIN = [
    *["Dense"] * 5, *["Dropout"] * 2, *["Activation"] * 3, "ReLU", "LeakyReLU", "ELU", "PReLU", "Identity", "Masking",
    "SpatialDropout1D", "GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization", "Softmax",
]  # fmt: skip


def plain(w):
    x = w.pick(w.sequence if w.maybe(0.8) else w.vector)
    if x is None:
        return False
    name = w.rng.choice(PLAIN)
    if (name == "PReLU" and isinstance(x.shape[0], str)) or (name in ("Masking", "SpatialDropout1D") and w.vector(x)):
        name = "Dense"
    units = w.rng.choice([w.units, w.units, w.units + 1])
    text = plain_layer(w, name, x.shape[-1], units)
    mask = ""
    if name == "Softmax" and w.sequence(x) and "axis" not in text and w.maybe(0.1):
        mask = ", mask=None"
    w.emit(f"{text}({x.name}{mask})", [x.name], [x.shape[:-1] + (units if name == "Dense" else x.shape[-1],)])
    return True


def recurrent_options(w, kind):
    w_rng = w.rng
    options = {
        "go_backwards": w.maybe(0.15) or None,
        "zero_output_for_mask": w.maybe(0.15) or None,
        "activation": w_rng.choice([None, None, None, "relu", "sigmoid", "softsign"]),
        "use_bias": False if w.maybe(0.1) else None,
    }
    if kind != "SimpleRNN":
        options["recurrent_activation"] = w_rng.choice([None, None, None, "hard_sigmoid", "tanh"])
    if kind == "GRU":
        options["reset_after"] = w_rng.choice([None, None, True, False])
    if w.maybe(0.1):
        options["dropout"] = 0.2
        w.drops = True
    if w.maybe(0.07):
        options["recurrent_dropout"] = 0.2
        w.drops = True
    return options


def unroll_for(w, x):
    if not w.maybe(0.12):
        return None
    return Name("UNROLL") if isinstance(x.shape[0], str) else True


def cell(w, kind, units):
    options = recurrent_options(w, kind)
    for name in ("go_backwards", "zero_output_for_mask"):
        options.pop(name)
    return layer(f"{kind}Cell", units, **options)


def recurrent_layer(w, x, units, sequences, state):
    """A recurrent layer's text, and how its states are grouped: [1] for GRU, [2] for RNN(LSTMCell), [1, 2] ..."""
    kind = w.rng.choice(RECURRENT)
    common = {
        "return_sequences": sequences or None,
        "return_state": state or None,
        "stateful": True if w.stateful and w.maybe(0.4) else None,
        "unroll": unroll_for(w, x),
        **w.common(),
    }
    w.any_stateful |= common["stateful"] is True
    if w.maybe(0.75):
        return layer(kind, units, **recurrent_options(w, kind), **common), [1, 1] if kind == "LSTM" else [1]
    options = {name: recurrent_options(w, kind)[name] for name in ("go_backwards", "zero_output_for_mask")}
    if w.maybe(0.4):
        return layer("RNN", cell(w, kind, units), **options, **common), [1, 1] if kind == "LSTM" else [1]
    kinds = [w.rng.choice(RECURRENT) for _ in range(w.rng.randint(1, 3))]
    cells = Name("[" + ", ".join(cell(w, each, units) for each in kinds) + "]")
    if w.maybe(0.5):
        cells = layer("StackedRNNCells", cells)
    return layer("RNN", cells, **options, **common), [2 if each == "LSTM" else 1 for each in kinds]


def arguments(w, x, units, grouping, initial, mask):
    """(text, names) of what a recurrent layer is called on: x, initial_state= and mask= where they are wanted."""
    text, used = x.name, [x.name]
    if initial:
        states = w.states_of(units, sum(grouping))
        names = [state.name for state in states]
        rest, parts = list(names), []
        for n in grouping:
            part = [rest.pop(0) for _ in range(n)]
            parts.append(part[0] if n == 1 else f"[{', '.join(part)}]")
        text += f", initial_state={parts[0] if grouping == [1] else '[' + ', '.join(parts) + ']'}"
        used += names
    if mask:
        mask = w.mask_for(x)
        if mask is not None:
            text += f", mask={mask.name}"
            used.append(mask.name)
    elif w.maybe(0.06):
        text += ", mask=None"
    return text, used


def recurrent(w):
    x = w.pick(w.sequence)
    if x is None:
        return False
    units = w.units if w.maybe(0.8) else w.units + 1
    sequences, state = w.maybe(0.65), w.maybe(0.35)
    text, grouping = recurrent_layer(w, x, units, sequences, state)
    given, used = arguments(w, x, units, grouping, w.maybe(0.3), w.maybe(0.2))
    shape = (x.shape[0], units) if sequences else (units,)
    count = sum(grouping) if state else 0
    made = w.emit(f"{text}({given})", used, [shape] + [(units,)] * count, grouping=[1, *grouping] if state else None)
    if state:
        w.states.append(made[1:])
    return True


def bidirectional(w):
    x = w.pick(w.sequence)
    if x is None:
        return False
    units = w.units
    sequences, state = w.maybe(0.6), w.maybe(0.3)
    text, grouping = recurrent_layer(w, x, units, sequences, state)
    while len(grouping) != sum(grouping) or any(word in text for word in ("RNN([", "Stacked", "name", "go_backwards")):
        text, grouping = recurrent_layer(w, x, units, sequences, state)
    if w.maybe(0.15):
        text += ", backward_layer=" + text[:-1] + ", go_backwards=True)"
    merge = w.rng.choice(["concat", "concat", "sum", "mul", "ave", None])
    expression = f"L.Bidirectional({text}, merge_mode={merge!r})"
    given, used = arguments(w, x, units, grouping * 2, w.maybe(0.2), w.maybe(0.2))
    last = units * 2 if merge == "concat" else units
    shape = (x.shape[0], last) if sequences else (last,)
    results = 2 if merge is None else 1
    count = 2 * sum(grouping) if state else 0
    made = w.emit(f"{expression}({given})", used, [shape] * results + [(units,)] * count)
    if state:
        w.states += [made[results : results + count // 2], made[results + count // 2 :], made[results:]]
    return True


def time_distributed(w):
    deep = w.pick(lambda t: t.kind == "float" and len(t.shape) == 3)
    x = deep if deep is not None else w.pick(w.sequence)
    if x is None:
        return False
    units, features = w.units, x.shape[-1]
    inner, last = w.rng.choice(["Dense", "Dense", "Activation", "Dropout", "Masking", "chain"]), features
    if deep is not None:
        inner = w.rng.choice(["Dense", "Flatten", "recurrent", "recurrent", "Bidirectional", "chain"])
    if inner == "Masking" and len(x.shape) < 4:
        inner = "Activation"
    shape = x.shape[:-1]
    if inner == "Dense":
        text, last = plain_layer(w, "Dense", features, units), units
    elif inner == "chain":
        text, last = chain(w, x.shape[1:], units), units
    elif inner == "Flatten":
        text, last, shape = layer("Flatten"), features * x.shape[1], shape[:1]
    elif inner in ("recurrent", "Bidirectional"):
        kind, sequences = w.rng.choice(RECURRENT), w.maybe(0.5)
        text = layer(kind, units, return_sequences=sequences or None, **recurrent_options(w, kind))
        last, shape = units, shape if sequences else shape[:1]
        if inner == "Bidirectional":
            text, last = layer(inner, text), 2 * units
    else:
        text = plain_layer(w, inner, features)
    mask = w.mask_for(x) if w.maybe(0.15) else None
    given = x.name if mask is None else f"{x.name}, mask={mask.name}"
    used = [x.name] if mask is None else [x.name, mask.name]
    w.emit(f"L.TimeDistributed({text})({given})", used, [shape + (last,)])
    return True


def chain(w, shape, units):
    """A Sequential model (shape) -> (..., units), a text; it may mask, and take a recurrent layer on the way."""
    parts = []
    if len(shape) > 1 and w.maybe(0.3):
        parts.append(layer("Masking"))
    if len(shape) == 2 and w.maybe(0.5):
        kind = w.rng.choice(RECURRENT)
        parts.append(layer(kind, units, return_sequences=True, **recurrent_options(w, kind)))
    if w.maybe(0.3):
        parts.append(plain_layer(w, w.rng.choice(["Dropout", "Activation", "ReLU"]), None))
    parts.append(layer("Dense", units, activation=w.rng.choice(ACTIVATIONS)))
    if w.maybe(0.4):
        shown = tuple(None if isinstance(n, str) else n for n in shape)
        parts.insert(0, call("keras.Input", shown, batch_size=w.batch if w.stateful else None))
    return Name(f"keras.Sequential([{', '.join(parts)}])")


def same_shape(w, x):
    """Another tensor of x's shape; one whose last dimension differs gets a Dense. None where there is none."""
    other = w.pick(lambda t: t.kind == x.kind and t is not x and t.shape[:-1] == x.shape[:-1])
    if other is None or other.shape == x.shape:
        return other
    (other,) = w.emit(f"{layer('Dense', x.shape[-1])}({other.name})", [other.name], [x.shape])
    return other


def elementwise(w):
    x = w.pick(w.sequence if w.maybe(0.85) else w.vector)
    if x is None:
        return False
    name = w.rng.choice(ELEMENTWISE)
    parts = [x]
    for _ in range(1 if name == "Subtract" or w.maybe(0.75) else 2):
        vector = w.pick(lambda t: w.vector(t) and t.shape == x.shape[-1:]) if w.maybe(0.15) else None
        other = vector if vector is not None else same_shape(w, x)
        if other is not None:
            parts.append(other)
    if len(parts) == 1:
        return False
    w.rng.shuffle(parts)
    shape = max((part.shape for part in parts), key=len)
    names = [part.name for part in parts]
    w.emit(f"{layer(name, **w.common())}([{', '.join(names)}])", names, [shape])
    return True


def concatenate(w):
    x = w.pick(w.sequence if w.maybe(0.85) else w.vector)
    if x is None:
        return False
    parts = [x]
    if w.sequence(x) and w.maybe(0.4):
        other = w.pick(lambda t: w.sequence(t) and t.shape[1] == x.shape[1])
        parts.append(other)
        length = x.shape[0] + other.shape[0] if all(isinstance(p.shape[0], int) for p in parts) else w.fresh()
        axis, shape = w.rng.choice([1, 1, -2]), (length, x.shape[1])
    else:
        for _ in range(w.rng.choice([1, 1, 2])):
            other = w.pick(lambda t: t.kind == "float" and t.shape[:-1] == x.shape[:-1])
            parts.append(other)
        axis = w.rng.choice([-1, -1, len(x.shape)])
        shape = x.shape[:-1] + (sum(part.shape[-1] for part in parts),)
    names = [part.name for part in parts]
    w.emit(f"{layer('Concatenate', axis=axis, **w.common())}([{', '.join(names)}])", names, [shape])
    return True


def dot(w):
    x = w.pick(w.sequence)
    if x is None:
        return False
    normalize = w.maybe(0.2) or None
    other = w.pick(lambda t: w.sequence(t) and t.shape[0] == x.shape[0])
    if other is not None and w.maybe(0.5):
        axes, shape = 1, (x.shape[1], other.shape[1])
    else:
        other = w.pick(lambda t: t.kind == "float" and 0 < len(t.shape) < 3 and t.shape[-1] == x.shape[1])
        if len(other.shape) == 2 and isinstance(other.shape[0], str):
            return False
        axes, shape = (2, len(other.shape)), x.shape[:1] + other.shape[:-1]
        if len(shape) == 1 and isinstance(shape[0], str):
            return False
    names = [x.name, other.name]
    w.emit(f"{layer('Dot', axes=axes, normalize=normalize)}([{', '.join(names)}])", names, [shape])
    return True


def reshaping(w):
    name = w.rng.choice(["RepeatVector", "RepeatVector", "Permute", "Reshape", "Flatten"])
    if name == "RepeatVector":
        x = w.pick(w.vector)
        if x is None:
            return False
        length = w.steps if w.time == "T" else w.time
        w.emit(f"{layer(name, length)}({x.name})", [x.name], [(length, x.shape[0])])
        return True
    x = w.pick(lambda t: w.sequence(t) and isinstance(t.shape[0], int))
    if x is None:
        return False
    steps, features = x.shape
    text, shape = {
        "Permute": (layer(name, (2, 1)), (features, steps)),
        "Reshape": w.rng.choice([
            (layer(name, (features, steps)), (features, steps)),
            (layer(name, (steps, features)), (steps, features)),
            (layer(name, (-1, features)), (steps, features)),
            (layer(name, (steps, 1, features)), (steps, 1, features)),
        ]),
        "Flatten": (layer(name), (steps * features,)),
    }[name]  # fmt: skip
    w.emit(f"{text}({x.name})", [x.name], [shape])
    return True


def nested(w):
    """A Sequential or functional model in the model, called once or twice, here and there with a mask."""
    x = w.pick(w.sequence)
    if x is None or (isinstance(x.shape[0], str) and x.shape[0] != "T"):
        return False
    inner = w.fresh()
    if w.maybe(0.5):
        w.line(f"{inner} = {chain(w, x.shape, w.units)}", [inner], [])
        shapes = [(x.shape[0], w.units)]
    else:
        shapes = _functional(w, x, inner)
    others = [t for t in w.tensors if t.kind == x.kind and t.shape == x.shape and t is not x]
    for tensor in [x] + ([w.rng.choice(others)] if others and w.maybe(0.4) else []):
        w.emit(f"{inner}({tensor.name})", [inner, tensor.name], shapes)
    return True


def _functional(w, x, inner):
    shown = tuple(None if isinstance(n, str) else n for n in x.shape)
    start, mid = w.fresh(), w.fresh()
    w.line(f"{start} = {call('keras.Input', shown, batch_size=w.batch if w.stateful else None)}", [start], [])
    source = start
    if w.maybe(0.3):
        source = w.fresh()
        w.line(f"{source} = L.Masking()({start})", [source], [start])
    sequences, state = w.maybe(0.7), w.maybe(0.4)
    text, grouping = recurrent_layer(w, x, w.units, sequences, False)
    if state and sum(grouping) == len(grouping):
        text = Name(text[:-1] + ", return_state=True)")
        states = [w.fresh() for _ in grouping]
    else:
        states = []
    w.line(f"{', '.join([mid, *states])} = {text}({source})", [mid, *states], [source])
    names = [mid, *states] if w.maybe(0.7) else [mid]
    outputs = f"[{', '.join(names)}]" if len(names) > 1 else mid
    w.line(f"{inner} = keras.Model({start}, {outputs})", [inner], [start, *names])
    return [(x.shape[0], w.units) if sequences else (w.units,)] + [(w.units,)] * (len(names) - 1)


def shared(w):
    """One layer called on two tensors."""
    x = w.pick(w.sequence)
    if x is None:
        return False
    others = [t for t in w.tensors if w.sequence(t) and t.shape == x.shape and t is not x]
    if not others:
        return False
    name, sequences = w.fresh(), w.maybe(0.6)
    if w.maybe(0.3):
        text, shape = plain_layer(w, "Dense", x.shape[-1], w.units), (x.shape[0], w.units)
    else:
        text, _ = recurrent_layer(w, x, w.units, sequences, False)
        shape = (x.shape[0], w.units) if sequences else (w.units,)
    w.line(f"{name} = {text}", [name], [])
    for tensor in (x, w.rng.choice(others)):
        w.emit(f"{name}({tensor.name})", [name, tensor.name], [shape])
    return True


RULES = [
    (plain, 5), (recurrent, 6), (bidirectional, 3), (time_distributed, 2.5), (elementwise, 4), (concatenate, 3),
    (dot, 0.7), (reshaping, 2), (nested, 2), (shared, 1.5), (lambda w: bool(w.source()) or True, 0.7),
]  # fmt: skip
