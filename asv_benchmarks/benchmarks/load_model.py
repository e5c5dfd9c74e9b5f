"""Loading the date model that ships inside the package."""

from pathlib import Path

import fastseq
import fastseq.demo

FILE = Path(fastseq.demo.__file__).with_name("dates.keras")


class LoadModel:
    def time_load(self):
        fastseq.load_model(FILE)

    def peakmem_load(self):
        fastseq.load_model(FILE)
