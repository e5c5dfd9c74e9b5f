"""``python -m fastseq`` is the `fastseq` command."""

import sys

from fastseq.cli import main

sys.exit(main())
