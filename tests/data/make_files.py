"""Makes the model files in this folder, with the outputs of the Keras that wrote them in reference.npz.

Run by hand:  pip install "keras>=3.15,<3.16" tensorflow tf_keras h5py && python make_files.py
tf_keras is Keras 2 (its last releases carry TensorFlow's version number in their files).
"""

import pathlib

import numpy as np

HERE = pathlib.Path(__file__).parent
REFERENCE = {}


def randomize(model, seed):
    """Weights that make a mistake visible: none is zero, biases included."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(-0.8, 0.8, w.shape).astype(np.float32) for w in model.get_weights()])


def record(name, model, inputs):
    outputs = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    for kind, arrays in (("in", inputs), ("out", outputs)):
        for index, array in enumerate(arrays):
            REFERENCE[f"{name}/{kind}{index}"] = array


def encoder_decoder(keras):
    """Two inputs, a mask, states handed over, a model called twice, a Sequential inside, three outputs."""
    layers = keras.layers
    enc = layers.Input((None,), name="enc")
    x = layers.Embedding(7, 4, mask_zero=True)(enc)
    _, h, c = layers.LSTM(3, return_state=True, name="encoder")(x)
    dec = layers.Input((None, 2), name="dec")
    y = layers.LSTM(3, return_sequences=True, name="decoder")(dec, initial_state=[h, c])
    sequential = keras.Sequential(
        [layers.Input((None, 3)), layers.GRU(3, reset_after=False, return_sequences=True), layers.LeakyReLU(0.2)]
    )
    inner = layers.Input((None, 3))
    functional = keras.Model(inner, layers.Dense(3)(inner))
    once = functional(sequential(y))
    twice = functional(once)
    joined = layers.Concatenate(axis=-1)([sequential(twice), twice])
    probabilities = layers.TimeDistributed(layers.Dense(2, activation="softmax"))(joined)
    both_ways = layers.Bidirectional(layers.LSTM(2))(layers.Add()([once, twice]))
    return keras.Model([enc, dec], [probabilities, both_ways, once])


def stack(keras, lstm, gru):
    return keras.Sequential(
        [
            keras.layers.Input((6, 3)),
            keras.layers.Bidirectional(lstm(4, return_sequences=True), name="both_ways"),
            gru(5, return_sequences=True, name="gru_layer"),
            lstm(2, return_sequences=True, name="lstm_layer"),
            keras.layers.Dense(3, name="out"),
        ]
    )


def keras2():
    import tf_keras
    from tf_keras.src.layers.rnn.cudnn_gru import CuDNNGRU
    from tf_keras.src.layers.rnn.cudnn_lstm import CuDNNLSTM

    rng = np.random.default_rng(1)
    model = encoder_decoder(tf_keras)
    randomize(model, 2)
    ids = rng.integers(0, 7, (4, 5)).astype(np.int32)
    record("keras2", model, [ids, rng.standard_normal((4, 6, 2)).astype(np.float32)])
    model.save(HERE / "keras2.h5")
    model.save(HERE / "keras2.keras")

    # cuDNN needs a GPU to run, not to be saved; tf_keras itself converts the weights for the reference.
    cudnn = stack(tf_keras, CuDNNLSTM, CuDNNGRU)
    randomize(cudnn, 3)
    cudnn.save(HERE / "keras2_cudnn.h5")
    cudnn.save_weights(HERE / "keras2_cudnn_weights.h5")
    plain = stack(tf_keras, tf_keras.layers.LSTM, tf_keras.layers.GRU)
    plain.load_weights(HERE / "keras2_cudnn_weights.h5")
    record("keras2_cudnn", plain, [rng.standard_normal((4, 6, 3)).astype(np.float32)])
    plain.save_weights(HERE / "keras2_weights.h5")


def locally_connected1d():
    """Keras 2's LocallyConnected1D in all its ways, side by side; what it computes stands in a file of its own."""
    import tf_keras

    layers, outputs = tf_keras.layers, []
    x = layers.Input((6, 6))
    for implementation, padding in ((1, "valid"), (2, "valid"), (2, "same"), (3, "valid"), (3, "same")):
        for data_format in ("channels_last", "channels_first"):
            for size, strides in ((1, 1), (3, 2)):
                name = f"{implementation}_{padding}_{data_format}_{size}_{strides}"
                options = {"implementation": implementation, "padding": padding, "data_format": data_format}
                layer = layers.LocallyConnected1D(4, size, strides, activation="hard_sigmoid", name=name, **options)
                outputs.append(layer(x))
    model = tf_keras.Model(x, outputs)
    randomize(model, 6)
    model.save(HERE / "keras2_locally_connected1d.h5")
    values = np.random.default_rng(7).standard_normal((2, 6, 6)).astype(np.float32)
    names, found = [layer.name for layer in model.layers[1:]], model.predict(values, verbose=0)
    np.savez_compressed(HERE / "keras2_locally_connected1d.npz", x=values, **dict(zip(names, found)))


def keras3():
    import keras

    rng = np.random.default_rng(4)
    model = encoder_decoder(keras)
    randomize(model, 5)
    ids = rng.integers(0, 7, (4, 5)).astype(np.int32)
    record("keras3", model, [ids, rng.standard_normal((4, 6, 2)).astype(np.float32)])
    for name in ("keras3.keras", "keras3.h5"):
        model.save(HERE / name)
    model.save_weights(HERE / "keras3.weights.h5")


if __name__ == "__main__":
    keras2()
    keras3()
    locally_connected1d()
    np.savez_compressed(HERE / "reference.npz", **REFERENCE)
