"""The one door to C: the extensions, and the sentence that says what is wrong where they are not built."""

import os

from fastseq.native import built
from fastseq.version import __version__

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
built.look(_PACKAGE)  # first of all: who has not built them may have no NumPy either

from fastseq import requirements  # noqa: E402, F401 - which looks at NumPy's version, ahead of what an older one breaks

built.compare(_PACKAGE, __version__)
