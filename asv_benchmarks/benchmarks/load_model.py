"""Loading: the date model that ships inside the package, and wide models of 4 LSTM(512), 31 MB, from each format."""

from pathlib import Path

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
