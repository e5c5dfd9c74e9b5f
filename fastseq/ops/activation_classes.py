"""Operations that Keras keeps beside its activations: keras.activations.relu makes a ReLU of a symbolic tensor.

https://keras.io/api/layers/activations/
"""

import math

from fastseq.ops.operation import operation
from fastseq.ops.values import Traced, cast

MODULE = "keras.src.activations.activations"


@operation("ReLU", MODULE, options=("negative_slope", "max_value", "threshold"))
def relu(x, negative_slope=0.0, max_value=None, threshold=0.0):
    x = cast(x, "float32")
    parameters = negative_slope, math.inf if max_value is None else max_value, threshold
    return Traced(x.p, x.p.activation(("relu", tuple(map(float, parameters))), x.slot), x.time)
