"""A model with its batch normalizations in the weights of the layers before them."""

import numpy as np

from fastseq.layers import Activation
from fastseq.layers.normalization.batch_normalization import BatchNormalization
from fastseq.models.cloning import clone_model
from fastseq.tensors import nest

# Layers that end in x . kernel + bias, the kernel's last axis over the features.
_LINEAR = ("Conv1D", "Dense")


def fold_batch_normalization(model):
    """A copy of a model for inference, without the batch normalizations that a Dense or Conv1D before them can take in.

    Such a layer is linear but for its activation, which must be none, and nobody else reads it; then its kernel times
    the scale of each feature, and its bias likewise, give the same. A step over the whole array falls away. It is done
    only where it is asked for, since sums of other products round differently: results are as close to the exact ones
    as before, but their bits are others. The copy is not meant to be trained: its moving statistics are gone.

    Args:
        model (Model): A built Sequential or functional model; it stays as it is.

    Returns:
        A Model of new layers of the same names. What was folded is an `Activation` that does nothing; models inside
        are folded too.

    Raises:
        ValueError: A model that is no graph of layers, or is not built.

    Example:
        >>> model = fastseq.Sequential([layers.Input((3,)), layers.Dense(4), layers.BatchNormalization()])
        >>> [type(layer).__name__ for layer in models.fold_batch_normalization(model).layers]
        ['Dense', 'Activation']
    """
    if model.call_graph is None or not model.built:
        raise ValueError(
            f"Model '{model.name}' ({type(model).__name__}) is not built, or no Sequential or functional model: its "
            "batch normalizations cannot be folded."
        )
    folds = _Folds(model)
    copies = {}

    def copy(layer):
        copies[id(layer)] = made = folds.copy_of(layer)
        return made

    def call(layer, *args, **kwargs):
        if isinstance(layer, Activation):
            kwargs.pop("mask", None)  # of the batch normalization that it stands for
        return layer(*args, **kwargs)

    has_stack = getattr(model, "_stack", None) is not None
    made = clone_model(model, clone_function=copy, call_function=None if has_stack else call, recursive=True)
    for layer in folds.layers:
        if id(layer) in copies and layer.weights and id(layer) not in folds.gone:
            copies[id(layer)].set_weights(folds.weights_of(layer))
    return made


class _Folds:
    """Which layers of a model take in which batch normalization.

    layers: all of them, those of models inside too; into: id of a layer -> the BatchNormalization that it takes in;
    gone: ids of these.
    """

    def __init__(self, model):
        self.layers, self.into, self.gone = [], {}, set()
        self._calls, self._readers, pairs = {}, {}, []
        self._collect(model, pairs)
        for before, normalization, tensor in pairs:
            once = self._calls[id(before)] == self._calls[id(normalization)] == self._readers[id(tensor)] == 1
            if once and _fits(before, normalization):
                self.into[id(before)] = normalization
                self.gone.add(id(normalization))

    def _collect(self, model, pairs):
        graph = model.call_graph
        made = {id(tensor): node.layer for node in graph.steps for tensor in node.output_tensors}
        for tensor in graph.outputs:
            self._readers[id(tensor)] = self._readers.get(id(tensor), 0) + 1
        for node in graph.steps:
            layer, first = node.layer, next(iter(node.arguments.values()))
            for tensor in nest.flatten(list(node.arguments.values())):
                self._readers[id(tensor)] = self._readers.get(id(tensor), 0) + 1
            self._calls[id(layer)] = self._calls.get(id(layer), 0) + 1
            if self._calls[id(layer)] > 1:
                continue
            self.layers.append(layer)
            if getattr(layer, "call_graph", None) is not None:
                self._collect(layer, pairs)
            if type(layer) is BatchNormalization and id(first) in made:
                pairs.append((made[id(first)], layer, first))

    def copy_of(self, layer):
        """A new layer in the place of `layer`, its weights not yet given."""
        if id(layer) in self.gone:
            return Activation("linear", name=layer.name)
        config = layer.get_config()
        return type(layer).from_config({**config, "use_bias": True} if id(layer) in self.into else config)

    def weights_of(self, layer):
        """What the new layer gets."""
        normalization = self.into.get(id(layer))
        if normalization is None:
            return layer.get_weights()
        # In float64: one rounding of each weight is all that folding costs.
        mean, variance = (w.numpy().astype("f8") for w in (normalization.moving_mean, normalization.moving_variance))
        scale, shift = 1 / np.sqrt(variance + normalization.epsilon), np.zeros(len(mean))
        scale = scale if normalization.gamma is None else scale * normalization.gamma.numpy()
        shift = shift if normalization.beta is None else shift + normalization.beta.numpy()
        bias = layer.bias.numpy() if layer.use_bias else 0.0
        return [layer.kernel.numpy() * scale, (bias - mean) * scale + shift]


def _fits(layer, normalization):
    """Whether a layer can take in the BatchNormalization behind it."""
    if type(layer).__name__ not in _LINEAR or type(layer).__module__.split(".")[0] != "fastseq":
        return False
    ndim = normalization.input_spec.ndim
    plain = getattr(layer.activation, "__name__", None) == "linear" and layer.activity_regularizer is None
    return plain and normalization.axis % ndim == ndim - 1 and normalization.activity_regularizer is None
