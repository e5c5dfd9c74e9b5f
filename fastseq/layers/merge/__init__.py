"""Layers of several inputs; Keras 1's and 2's name for the module of these layers.

Imported at once: `dot` and `concatenate` are functions here, and names of files.
"""

from fastseq.layers.merge.concatenate import Concatenate, concatenate
from fastseq.layers.merge.dot import Dot, dot
from fastseq.layers.merge.functions import add, average, maximum, minimum, multiply, subtract
from fastseq.layers.merge.merging import Add, Average, Maximum, Minimum, Multiply, Subtract

__all__ = [
    "Add",
    "Average",
    "Concatenate",
    "Dot",
    "Maximum",
    "Minimum",
    "Multiply",
    "Subtract",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]
