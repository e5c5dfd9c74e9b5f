"""Every name of the closed tables is found in a process that has only imported fastseq, whatever came before it."""

import json
import os
import subprocess
import sys

import pytest

from fastseq.configs import tables

# A child for each name: what one look-up imports is not there for the next one.
PROGRAM = """
import json, os, sys
import fastseq
from fastseq.configs import tables

failed = []
for kind, name in json.load(sys.stdin):
    child = os.fork()
    if child == 0:
        try:
            module = "builtins" if kind == "metric functions" else f"keras.{kind}"  # as configs name them
            found = [table[name] for table in tables.candidate_tables(module) if name in table]
            os._exit(0 if found and tables.table(kind)[name] in found else 1)
        except BaseException:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    if status:
        failed.append((kind, name))
print(json.dumps(failed))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_every_name_in_a_fresh_process():
    names = [(kind, name) for kind in tables.KINDS for name in tables.table(kind)]
    assert len(names) > 200 and {kind for kind, _ in names} == set(tables.KINDS)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(names),
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert json.loads(done.stdout) == []


LAZY = """
import sys, fastseq
from fastseq import layers

assert "LSTM" in layers.REGISTRY and len(layers.REGISTRY) > 40
assert "fastseq.layers.recurrent.lstm" not in sys.modules
layers.LSTM
assert "fastseq.layers.recurrent.lstm" in sys.modules
"""


def test_a_table_knows_its_names_without_importing_them():
    subprocess.run([sys.executable, "-c", LAZY], timeout=120, check=True)
