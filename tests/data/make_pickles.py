"""Made the pickles of fastseq 0.1 (`pickle_0_1_*.pickle`), when models were pickled as bytes of a `.keras` file.

Run by hand, with fastseq 0.1.0 and h5py: python make_pickles.py. What `pickle_0_1.npz` holds is what those models gave.
"""

import pickle
from pathlib import Path

import numpy as np

import fastseq
from fastseq import layers

HERE = Path(__file__).parent
X = np.random.default_rng(0).standard_normal((8, 5, 4)).astype("f")
Y = np.random.default_rng(1).standard_normal((8, 3)).astype("f")


@fastseq.saving.register_keras_serializable(package="old")
class Doubled(layers.Layer):
    def call(self, x):
        return 2 * x

    def backward(self, gradient, x):
        return 2 * gradient


def models():
    sequential = fastseq.Sequential([layers.Input((5, 4)), layers.Bidirectional(layers.GRU(3)), layers.Dense(3)])
    inputs = layers.Input((5, 4), name="x")
    shared = layers.Dense(3, name="shared")
    sums = layers.Add()([shared(layers.LSTM(4)(inputs)), shared(layers.GRU(4)(inputs))])
    functional = fastseq.Model(inputs, sums)
    functional.compile(fastseq.optimizers.Adam(0.01), "mse", metrics=["mae"])
    functional.fit(X, Y, epochs=2, batch_size=4, shuffle=False, verbose=0)
    custom = fastseq.Sequential([layers.Input((5, 4)), Doubled(name="twice"), layers.LSTM(3)])
    return {"sequential": sequential, "functional": functional, "custom": custom}


if __name__ == "__main__":
    found = {}
    for name, model in models().items():
        (HERE / f"pickle_0_1_{name}.pickle").write_bytes(pickle.dumps(model, protocol=4))
        found[name] = model.predict(X)
        if model.compiled:
            found[f"{name}_loss"] = model.fit(X, Y, batch_size=4, shuffle=False, verbose=0).history["loss"]
    np.savez(HERE / "pickle_0_1.npz", **found)
