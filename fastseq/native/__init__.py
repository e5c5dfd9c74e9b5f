"""The one door to C: the extensions, and the sentence that says what is wrong where they are not built."""

from pathlib import Path

from fastseq import requirements  # noqa: F401 - ahead of the extensions, as it looks at NumPy's version
from fastseq.native import built
from fastseq.version import __version__

built.check(Path(__file__).parents[1], __version__)
