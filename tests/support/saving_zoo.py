"""Models with every layer and many options, written once for Keras and fastseq: what files must carry over.

Each function takes a library, `keras` or `fastseq`, and returns a built model. `model_zoo` has further
ones, for graphs.
"""

import numpy as np

ACTIVATIONS = """celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear
log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus
sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink""".split()


def sequence(k, *shape):
    return k.Input(shape or (5, 4))


def activations(k):
    x = sequence(k)
    outputs = [k.layers.Activation(name)(x) for name in ACTIVATIONS]
    outputs += [k.layers.Dense(4, activation=name)(x) for name in ACTIVATIONS]
    return k.Model(x, outputs)


def activations_in_cells(k):
    x = sequence(k, 3, 4)
    outputs = [k.layers.LSTM(3, activation=name, recurrent_activation="hard_sigmoid")(x) for name in ("relu6", "mish")]
    outputs += [k.layers.GRU(3, activation=name, recurrent_activation="tanh")(x) for name in ("elu", "softsign")]
    return k.Model(x, [*outputs, k.layers.SimpleRNN(3, activation=None)(x), k.layers.GRU(2, activation="softmax")(x)])


def advanced_activations(k):
    x, make = sequence(k), k.layers
    layers = [
        make.LeakyReLU(negative_slope=0.2),
        make.ELU(alpha=0.7),
        make.PReLU(),
        make.PReLU(shared_axes=[1], alpha_regularizer="l2", alpha_constraint="non_neg"),
        make.ReLU(max_value=2.0, negative_slope=0.1, threshold=0.3),
        make.Softmax(axis=1),
        make.Softmax(axis=[1, 2]),
        make.Dense(3, activation=make.LeakyReLU(0.3)),
        make.Activation(make.ReLU(max_value=1.0)),
    ]
    return k.Model(x, [layer(x) for layer in layers])


def noises(k):
    make = k.layers
    return k.Sequential(
        [
            sequence(k),
            make.Dropout(0.3, noise_shape=(None, 1, 4), seed=3),
            make.SpatialDropout1D(0.2),
            make.GaussianNoise(0.5, seed=1),
            make.GaussianDropout(0.1),
            make.AlphaDropout(0.4, noise_shape=(None, 5, 1)),
            make.ActivityRegularization(l1=0.1, l2=0.2),
            make.Dense(2),
        ]
    )


def shapes(k):
    x, make = sequence(k), k.layers
    flat = make.Flatten()(x)
    return k.Model(
        x,
        [
            flat,
            make.Flatten(data_format="channels_first")(x),
            make.RepeatVector(3)(flat),
            make.Permute((2, 1))(x),
            make.Identity()(x),
            make.Reshape((2, -1))(x),
            make.Dense(2)(make.Reshape((5, 2, 2))(x)),
        ],
    )


def merges(k):
    x, y, make = sequence(k), sequence(k), k.layers
    kinds = (make.Add, make.Subtract, make.Multiply, make.Average, make.Maximum, make.Minimum, make.Concatenate)
    outputs = [kind()([x, y]) for kind in kinds]
    outputs += [make.Concatenate(axis=1)([x, y, x]), make.Dot(axes=(2, 2))([x, y]), make.Dot(1, normalize=True)([x, y])]
    return k.Model([x, y], outputs)


def regularized(k):
    x, make = sequence(k), k.layers
    rule, limit, start = k.regularizers, k.constraints, k.initializers
    y = make.Dense(
        4,
        kernel_initializer=start.HeNormal(seed=2),
        kernel_regularizer=rule.L1L2(0.1, 0.2),
        bias_regularizer="l1",
        activity_regularizer=rule.L2(0.01),
        bias_constraint=limit.NonNeg(),
        kernel_constraint=limit.MinMaxNorm(0.1, 2.0, rate=0.5, axis=1),
    )(x)
    y = make.LSTM(
        3,
        return_sequences=True,
        recurrent_initializer=start.Orthogonal(gain=0.5),
        bias_initializer=start.RandomUniform(-1, 1),
        recurrent_regularizer=rule.OrthogonalRegularizer(0.1, mode="columns"),
        kernel_constraint=limit.MaxNorm(1.5, axis=0),
        recurrent_constraint=limit.UnitNorm(),
    )(y)
    y = make.GRU(2, kernel_initializer=start.VarianceScaling(2.0, "fan_out", "uniform"), bias_initializer="ones")(y)
    return k.Model(x, y)


def lstm_options(k):
    x = sequence(k, 3, 4)
    options = [
        {"use_bias": False},
        {"unit_forget_bias": False, "go_backwards": True},
        {"return_sequences": True, "return_state": True, "dropout": 0.2, "recurrent_dropout": 0.3, "seed": 5},
        {"unroll": True, "return_sequences": True, "zero_output_for_mask": True},
        {"use_cudnn": False, "trainable": False},
    ]
    return k.Model(x, [k.layers.LSTM(3, **kwargs)(x) for kwargs in options])


def gru_options(k):
    x = sequence(k, 3, 4)
    options = [
        {"reset_after": False},
        {"reset_after": True, "go_backwards": True, "return_sequences": True},
        {"reset_after": False, "use_bias": False, "return_state": True},
        {"reset_after": True, "use_bias": False, "dropout": 0.5, "unroll": True},
    ]
    rnn = k.layers.SimpleRNN
    simple = [rnn(3, return_state=True), rnn(2, use_bias=False, recurrent_dropout=0.5), rnn(2, go_backwards=True)]
    return k.Model(x, [k.layers.GRU(3, **kwargs)(x) for kwargs in options] + [layer(x) for layer in simple])


def cells(k):
    x, make = sequence(k, 3, 4), k.layers
    stack = make.StackedRNNCells([make.LSTMCell(3), make.LSTMCell(2, unit_forget_bias=False), make.GRUCell(4)])
    simple = [make.SimpleRNNCell(3, activation="relu"), make.GRUCell(2, reset_after=False, recurrent_dropout=0.1)]
    y, *_ = make.RNN(stack, return_sequences=True, return_state=True)(make.Masking()(x))
    outputs = [y, make.RNN(simple, go_backwards=True)(y), make.RNN(make.LSTMCell(3, use_bias=False, dropout=0.2))(y)]
    both = make.Bidirectional(make.RNN([make.GRUCell(2), make.LSTMCell(3)], return_sequences=True), merge_mode="sum")
    return k.Model(x, [*outputs, both(x)])


def both_ways(k):
    x, make = sequence(k, 3, 4), k.layers
    outputs = []
    for mode in ("sum", "mul", "ave", "concat", None):
        outputs.append(make.Bidirectional(make.LSTM(3, return_sequences=True), merge_mode=mode)(x))
        outputs.append(make.Bidirectional(make.GRU(2), merge_mode=mode, name=f"gru_{mode}")(x))
    backward = make.LSTM(2, go_backwards=True, activation="relu", name="other_way")
    outputs.append(make.Bidirectional(make.LSTM(3, name="one_way"), backward_layer=backward)(x))
    mixed = make.GRU(3, go_backwards=True, return_sequences=True, use_bias=False)
    outputs.append(make.Bidirectional(make.SimpleRNN(3, return_sequences=True), "sum", backward_layer=mixed)(x))
    return k.Model(x, outputs)


def states_both_ways(k):
    x, make = sequence(k, None, 4), k.layers
    _, *states = make.Bidirectional(make.LSTM(3, return_state=True), name="encoder")(x)
    decoder = make.Bidirectional(make.LSTM(3, return_sequences=True, return_state=True), name="decoder")
    y, *last = decoder(x, initial_state=list(states))
    return k.Model(x, [y, *last])


def initial_states(k):
    x, h, c = sequence(k, None, 4), k.Input((3,)), k.Input((3,))
    make = k.layers
    shared = make.LSTM(3, return_sequences=True, return_state=True)
    y, *states = shared(x, initial_state=[h, c])
    z, *_ = shared(x, initial_state=states)
    return k.Model(
        [x, h, c], [y, z, make.GRU(3)(x, initial_state=make.Dense(3)(h)), make.SimpleRNN(3)(z, initial_state=c)]
    )


def distributed(k):
    x, make = sequence(k, None, 5, 4), k.layers
    i = k.Input((5, 4))
    graph = k.Model(i, make.Add()([make.Dense(4)(i), i]), name="graph")
    stack = k.Sequential([k.Input((5, 4)), make.LSTM(3), make.Dense(2, activation="softmax")], name="stack")
    inner = (make.Dense(2), make.GRU(3, reset_after=False), make.Flatten(), graph, stack)
    outputs = [make.TimeDistributed(layer)(x) for layer in inner]
    outputs.append(make.TimeDistributed(make.TimeDistributed(make.Dense(3)))(x))
    outputs.append(make.TimeDistributed(make.Bidirectional(make.LSTM(2)))(x))
    return k.Model(x, [*outputs, make.LSTM(2)(outputs[1])])


def stateful(k):
    make = k.layers
    return k.Sequential(
        [
            k.Input(batch_shape=(3, 5, 4)),
            make.LSTM(3, stateful=True, return_sequences=True),
            make.Bidirectional(make.GRU(2, stateful=True, return_sequences=True)),
            make.SimpleRNN(2, stateful=True),
        ]
    )


def masked_graph(k):
    """A mask that is computed in the graph, by NotEqual, and goes through many layers."""
    ids, make = k.Input((5,), dtype="int32"), k.layers
    x = make.Embedding(9, 4, mask_zero=True, embeddings_regularizer="l2", embeddings_constraint="unit_norm")(ids)
    y = make.Dropout(0.5)(make.TimeDistributed(make.Dense(4, activation="tanh"))(x))
    y = make.Bidirectional(make.LSTM(3, return_sequences=True), merge_mode="concat")(y)
    both = make.Concatenate()([x, y])
    return k.Model(
        ids,
        [
            make.GRU(3)(both),
            make.LSTM(3, go_backwards=True, zero_output_for_mask=True, return_sequences=True)(both),
            make.SimpleRNN(2)(make.Masking(0.25)(x)),
            make.Add()([y, y]),
        ],
    )


def masked_stack(k):
    make = k.layers
    return k.Sequential(
        [
            k.Input((None, 4)),
            make.Masking(mask_value=0.5),
            make.GRU(4, return_sequences=True),
            make.Activation("relu"),
            make.Bidirectional(make.SimpleRNN(3), merge_mode="ave"),
        ]
    )


def shared(k):
    """A layer and a model used more than once, in places that Keras can save: each within one model."""
    make = k.layers
    dense, rnn = make.Dense(4, name="shared_dense"), make.GRU(4, return_sequences=True, name="shared_rnn")
    i, j = k.Input((5, 4)), k.Input((5, 4))
    inner = k.Model([i, j], [dense(dense(i)), make.Multiply()([dense(j), i])], name="inner")
    x = sequence(k)
    first, second = inner([x, rnn(x)])
    third, fourth = inner([second, rnn(first)])
    return k.Model(x, {"sum": make.Add()([third, fourth]), "rnn": rnn(third), "x": x})


def shared_with_a_wrapper(k):
    x, dense = sequence(k), k.layers.Dense(4, activation="tanh")
    return k.Model(x, k.layers.TimeDistributed(dense)(dense(x)))


def models_in_models(k):
    make = k.layers
    innermost = k.Sequential([k.Input((5, 4)), make.Dense(4), make.Dense(4, activation="relu")])
    i = k.Input((5, 4))
    middle = k.Model(i, make.LSTM(4, return_sequences=True)(innermost(i)))
    return k.Sequential([sequence(k), make.Dense(4), middle, make.Dense(3), make.GRU(2), make.Dense(1)])


def shared_across_models(k):
    """A model used by another one and beside it. Keras saves this, and cannot load it."""
    i, j = k.Input((5, 4)), k.Input((5, 4))
    dense = k.layers.Dense(4, name="dense")
    inner = k.Model(i, dense(k.layers.GRU(4, return_sequences=True, name="gru")(i)), name="inner")
    middle = k.Model(j, k.layers.Add(name="sum")([inner(j), dense(j)]), name="middle")
    x = sequence(k)
    return k.Model(x, middle(inner(x)), name="outer")


def of_every_name(k):
    """Names that look like paths, numbers and keywords."""
    x, make = sequence(k), k.layers
    y = make.Dense(4, name="vars")(x)
    y = make.Dense(4, name="layers")(make.Dense(4, name="layer.with.dots and a blank")(y))
    return k.Model(x, make.GRU(2, name="0")(make.Dense(3, name="größe")(y)), name="cell")


ALL = {
    f.__name__: f
    for f in (
        activations, activations_in_cells, advanced_activations, noises, shapes, merges, regularized, lstm_options,
        gru_options, both_ways, states_both_ways, initial_states, distributed, stateful, masked_graph, masked_stack,
        shared, shared_with_a_wrapper, models_in_models, of_every_name, cells,
    )
}  # fmt: skip


def randomize(model, seed=0):
    """Weights of which none is zero, biases included, and of a size that keeps a difference of layers visible."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(-0.8, 0.8, np.shape(w)).astype(np.float32) for w in model.get_weights()])
    return model


def leaves(value):
    """Arrays of a structure of outputs, in one order for both libraries."""
    if isinstance(value, dict):
        return [leaf for key in sorted(value) for leaf in leaves(value[key])]
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in leaves(item)]
    return [np.asarray(value)]


def run(model, x):
    """Outputs as arrays; a stateful model starts anew."""
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_state()
    return leaves(model(x, training=False))
