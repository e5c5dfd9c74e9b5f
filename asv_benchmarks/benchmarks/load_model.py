"""Loading: the date model that ships inside the package, and wide models of 4 LSTM(512), 31 MB, from each format; and
what comes once after it: the first call, which packs the weights, and their way back.
"""

from pathlib import Path

import numpy as np

import fastseq
import fastseq.demo

FILES = {
    "dates.keras": str(Path(fastseq.demo.__file__).with_name("dates.keras")),
    "wide.keras": "wide.keras",
    "wide.weights.h5": "wide.weights.h5",
}


def wide_model():
    layers = [fastseq.layers.LSTM(512, return_sequences=True) for _ in range(4)]
    return fastseq.Sequential([fastseq.Input((None, 512)), *layers])


class LoadModel:
    params = [list(FILES)]
    param_names = ["file"]
    timeout = 120

    def setup_cache(self):
        """asv runs it once, in the folder that the benchmarks run in."""
        model = wide_model()
        model.save("wide.keras")
        model.save_weights("wide.weights.h5")

    def setup(self, file):
        self.model = wide_model() if file.endswith(".weights.h5") else None

    def time_load(self, file):
        if self.model is None:
            fastseq.load_model(FILES[file])
        else:
            self.model.load_weights(FILES[file])

    def peakmem_load(self, file):
        self.time_load(file)


class FirstCall:
    number = 1  # a first call is made once
    warmup_time = 0
    timeout = 120

    def setup_cache(self):
        wide_model().save("wide.keras")

    def setup(self):
        self.model = fastseq.load_model("wide.keras")
        self.x = np.zeros((1, 1, 512), np.float32)

    def time_first_call(self):
        self.model(self.x)

    def time_warm(self):
        self.model.warm(self.x.shape)

    def peakmem_first_call(self):
        self.model(self.x)


class PackedWeights:
    def setup(self):
        self.model = wide_model().warm((1, 1, 512))

    def time_get_weights(self):
        self.model.get_weights()
