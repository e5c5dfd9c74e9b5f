"""Labels and sample weights checked against a model's outputs, before a step changes anything.

Only shapes and dtypes count, so a program for training is checked once, when it is made; a step pays nothing for it.
"""

import warnings

import numpy as np

from fastseq import losses, metrics

_LOSSES = (
    losses.BinaryCrossentropy, losses.CategoricalCrossentropy, losses.CTC, losses.Huber, losses.KLDivergence,
    losses.MeanAbsoluteError, losses.MeanAbsolutePercentageError, losses.MeanSquaredError,
    losses.SparseCategoricalCrossentropy,
)  # fmt: skip
_METRICS = (
    metrics.Accuracy, metrics.BinaryAccuracy, metrics.CategoricalAccuracy, metrics.MeanAbsoluteError,
    metrics.MeanAbsolutePercentageError, metrics.MeanSquaredError, metrics.Precision, metrics.Recall,
    metrics.SparseCategoricalAccuracy, metrics.SparseTopKCategoricalAccuracy, metrics.TopKCategoricalAccuracy,
)  # fmt: skip


def check(model, compiled, y, shapes):
    """Raises ValueError for labels that losses cannot be chosen for: missing ones, text, another number of rows.

    compiled: a `Compiled`; y: an array or None for each output; shapes: of the predictions.
    """
    names = compiled.names
    for name, needed, labels, predicted in zip(names, compiled.needs_labels(), y, shapes):
        what = _what(model, name, names)
        if labels is None:
            if needed:
                raise ValueError(f"{what}: there are no labels y, which its loss or metrics need.")
            continue
        if labels.dtype.kind not in "biuf":
            raise ValueError(f"{what}: labels are numbers, got an array of dtype {labels.dtype}.")
        if labels.ndim == 0 or labels.shape[0] != predicted[0]:
            raise ValueError(
                f"{what}: the labels have shape {labels.shape}, the predictions {predicted}: not as many samples."
            )


def check_losses(model, compiled, y, weights, shapes):
    """Raises ValueError where a built-in loss or metric cannot take an output's labels or weights, with all shapes.

    compiled: a `Compiled` that was prepared; y, weights: an array or None for each output; shapes: of the predictions.
    """
    for number, (loss, labels, weight, predicted) in enumerate(zip(compiled.losses, y, weights, shapes)):
        what = _what(model, compiled.names[number], compiled.names)
        chosen = [metric for _, metric in compiled.metrics_of(number)]
        if labels is None:
            continue
        if type(loss) in _LOSSES and not _takes(loss.call, labels, predicted):
            raise ValueError(
                f"{what}: the labels have shape {labels.shape}, the predictions {predicted}; they do not go together "
                f"in loss {loss.name}.{_advice(loss, labels.shape, predicted)}"
            )
        for metric in chosen:
            if type(metric) in _METRICS and not _takes(_copy_of(metric).update_state, labels, predicted):
                raise ValueError(
                    f"{what}: the labels have shape {labels.shape}, the predictions {predicted}; they do not go "
                    f"together in metric {metric.name}."
                )
        if weight is not None and type(loss) in _LOSSES:
            _check_weights(what, loss, labels, weight, predicted)


def _what(model, name, names):
    return f"Model '{model.name}'" + (f", output '{name}'" if len(names) > 1 else "")


def _copy_of(metric):
    return type(metric).from_config(metric.get_config())


def _some(shape, dtype="float32"):
    """Two rows of zeros instead of a batch: what is told by shapes is told by them."""
    return np.zeros((2, *shape[1:]), dtype)


def _takes(function, labels, predicted):
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            function(_some(labels.shape, labels.dtype), _some(predicted))
    except ValueError:
        return False
    return True


def _advice(loss, labels, predicted):
    """What was meant, most likely; empty where nothing is likely."""
    sparse = type(loss) is losses.SparseCategoricalCrossentropy
    per_label = predicted[:-1] if sparse else predicted
    if labels == predicted and sparse:
        return " One-hot labels go with categorical_crossentropy; class numbers of them are y.argmax(-1)."
    if labels in (predicted[:-1], (*predicted[:-1], 1)) and type(loss) is losses.CategoricalCrossentropy:
        return " Class numbers go with sparse_categorical_crossentropy; categorical_crossentropy wants them one-hot."
    if len(labels) > 1 and (labels[0], *labels[2:]) == per_label:
        return (
            " These are labels for every timestep, and the model predicts once for each sequence: give its last "
            "recurrent layer return_sequences=True, or take the labels of one timestep, as y[:, -1]."
        )
    if len(per_label) > 1 and labels == (per_label[0], *per_label[2:]):
        return (
            " This is one label for each sequence, and the model predicts for every timestep: give its last recurrent "
            "layer return_sequences=False, or labels for every timestep."
        )
    if labels[:-1] == predicted[:-1] and not sparse:
        return f" The model's last layer gives {predicted[-1]} numbers where the labels have {labels[-1]}."
    return ""


def _check_weights(what, loss, labels, weight, predicted):
    """Weights are of the shape of the loss's values, or of one that broadcasts to it."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        values = np.shape(loss.call(_some(labels.shape, labels.dtype), _some(predicted)))
    # Labels (B, T) of predictions (B, T, 1) may have weights for every timestep, too.
    wanted = [(predicted[0], *values[1:]), predicted[:-1]]
    given = weight.shape
    for shape in wanted:
        own = given[:-1] if len(given) == len(shape) + 1 and given[-1] == 1 else given
        # Values of one timestep lose it beside weights that have none.
        own = (*given, 1) if len(given) == len(shape) - 1 and shape[-1] == 1 else own
        if _broadcasts(own, shape):
            return
    advice = ""
    if given == predicted[:1]:
        advice = " One weight for each sample is sample_weight" + "[:" + ", None" * (len(values) - 1) + "]."
    raise ValueError(
        f"{what}: the sample weights have shape {given}, and there is one loss for each of {wanted[0]} (predictions "
        f"{predicted}); the weights must have that shape, or one that broadcasts to it.{advice}"
    )


def _broadcasts(shape, wanted):
    try:
        return np.broadcast_shapes(shape, wanted) == tuple(wanted)
    except ValueError:
        return False
