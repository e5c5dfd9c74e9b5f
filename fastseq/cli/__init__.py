"""The command `fastseq`: demo, train-demo, inspect, predict, verify."""

from fastseq.cli.commands import main

__all__ = ["main"]
