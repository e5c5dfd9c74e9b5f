"""A model's call as `predict` makes it: training=False, and arrays without masks."""

import numpy as np

from fastseq.tensors import nest


def run(model, x):
    """The model's outputs for one batch, as Keras's predict computes them: training=False down to every layer."""
    if "training" in model._signature.parameters:
        return model(x, training=False)
    return model(x)


def plain(outputs):
    """Arrays without the masks that ride on them."""
    if type(outputs) is np.ndarray:
        return outputs.view()
    return nest.map_structure(lambda array: np.asarray(array).view(np.ndarray), outputs)
