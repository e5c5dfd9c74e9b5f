"""Batch renormalization, an option of BatchNormalization. Source: Ioffe 2017, https://arxiv.org/abs/1702.03275."""

import math

import numpy as np

from fastseq import initializers
from fastseq.layers.normalization import moving_statistics
from fastseq.ops import elementwise as e
from fastseq.ops.normalization import constant_for_gradients

_LIMITS = ("rmax", "rmin", "dmax")


def checked_clipping(clipping):
    """A renorm_clipping= argument as a dict. Raises ValueError for unknown keys, and limits that are none."""
    clipping = clipping or {}
    if set(clipping) - set(_LIMITS):
        raise ValueError(f"BatchNormalization: `renorm_clipping` has the keys {list(_LIMITS)}, got {clipping}.")
    rmax, rmin, dmax = (clipping.get(name) for name in _LIMITS)
    if rmax is not None and rmin is not None and rmax < rmin:
        raise ValueError(f"BatchNormalization: `renorm_clipping` has an rmax below its rmin: {clipping}.")
    if dmax is not None and dmax < 0:
        raise ValueError(f"BatchNormalization: `renorm_clipping` has a negative dmax: {clipping}.")
    return clipping


def add_weights(layer, shape):
    """The moving statistics that the correction goes by."""

    def deviation(shape, dtype=None):
        initializer = layer.moving_variance_initializer
        if isinstance(initializer, initializers.Initializer):
            initializer = type(initializer).from_config(initializer.get_config())
        return np.sqrt(np.asarray(initializer(shape, dtype)))

    for name, initializer in (
        ("moving_stddev", deviation), ("renorm_mean", layer.moving_mean_initializer), ("renorm_stddev", deviation)
    ):  # fmt: skip
        setattr(layer, name, layer.add_weight(shape, initializer, trainable=False, name=name))


def _deviation(variance, epsilon):
    return e.sqrt(e.add(variance, epsilon))


def corrected(p, layer, mean, variance, gamma, beta):
    """(gamma, beta) by which the batch's values are those of the moving mean and deviation, within the limits."""
    moving = e.maximum(moving_statistics.read(p, layer.renorm_stddev), math.sqrt(layer.epsilon))
    r = e.divide(_deviation(variance, layer.epsilon), moving)
    d = e.divide(e.subtract(mean, moving_statistics.read(p, layer.renorm_mean)), moving)
    rmax, rmin, dmax = (layer.renorm_clipping.get(name) for name in _LIMITS)
    r = r if rmin is None else e.maximum(r, float(rmin))
    r = r if rmax is None else e.minimum(r, float(rmax))
    d = d if dmax is None else e.clip(d, -float(dmax), float(dmax))
    r, d = constant_for_gradients(r), constant_for_gradients(d)
    scale, shift = (r, d) if gamma is None else (e.multiply(r, gamma), e.multiply(d, gamma))
    return scale, shift if beta is None else e.add(shift, beta)


def follow(p, layer, mean, variance):
    """The moving statistics after the call."""
    deviation = _deviation(variance, layer.epsilon)
    moving_statistics.follow(p, layer.renorm_mean, mean, layer.renorm_momentum)
    moving_statistics.follow(p, layer.renorm_stddev, deviation, layer.renorm_momentum)
    moving_statistics.follow(p, layer.moving_mean, mean, layer.momentum)
    moved = moving_statistics.follow(p, layer.moving_stddev, deviation, layer.momentum)
    # Rounding may take it below 0.
    variance = e.maximum(e.subtract(e.multiply(moved, moved), layer.epsilon), 0.0)
    moving_statistics.write(p, layer.moving_variance, variance)
