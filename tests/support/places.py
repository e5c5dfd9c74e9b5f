"""Where things are in the clone."""

from pathlib import Path

SUPPORT = Path(__file__).parent
TESTS = SUPPORT.parent
ROOT = TESTS.parent
DATA = TESTS / "data"
BENCHMARKS = ROOT / "asv_benchmarks"
SHARED = ROOT.parent / "shared"  # real models with reference outputs, which some machines have beside the clone
