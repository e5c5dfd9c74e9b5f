"""The rows of the layers that normalize: see layer_cases.py."""

import re

import numpy as np
from layer_rows import B, Case, N, T, draw, one

import fastseq
from fastseq.layers.normalization.batch_normalization import reference_batch_normalization
from fastseq.layers.normalization.group_normalization import reference_group_normalization
from fastseq.layers.normalization.layer_normalization import reference_layer_normalization
from fastseq.layers.normalization.normalization import reference_normalization
from fastseq.layers.normalization.rms_normalization import reference_rms_normalization
from fastseq.layers.normalization.unit_normalization import reference_unit_normalization

MEAN, VARIANCE = np.linspace(-1, 1, N).tolist(), np.linspace(0.5, 2, N).tolist()
WHOLE = "it normalizes over the timesteps"


def layer(name, *arguments, **options):
    return lambda k: getattr(k, name)(*arguments, **options)


def fixed(k, **options):
    return k.Normalization(mean=MEAN, variance=VARIANCE, **options)


def stream(name, *arguments, **options):
    def make(k):
        start = k.Input((T, N))
        return fastseq.Model(start, getattr(k, name)(*arguments, **options)(start)).stream()

    return make


CASES = {
    "BatchNormalization": Case(
        make=one("BatchNormalization", momentum=0.7), ulps=4,
        options=(
            layer("BatchNormalization", moving_mean_initializer="uniform", gamma_initializer="uniform"),
            layer("BatchNormalization", 1, epsilon=1e-5, gamma_initializer="uniform", beta_constraint="non_neg"),
            layer("BatchNormalization", center=False), layer("BatchNormalization", scale=False),
            layer("BatchNormalization", synchronized=True, center=False, scale=False),
        ),
        streams=(layer("BatchNormalization"), layer("BatchNormalization", 2, scale=False)),
        known=((layer("BatchNormalization"), draw(5, 21), reference_batch_normalization),),
        raises=(
            (layer("BatchNormalization", [1, 2]), r"`axis` must be one axis, got \[1, 2\]"),
            (layer("BatchNormalization", virtual_batch_size=2), "virtual_batch_size=2 of Keras 2 is not supported"),
            (layer("BatchNormalization", renorm=True, renorm_clipping={"max": 2}), "has the keys"),
            (layer("BatchNormalization", renorm=True, renorm_clipping={"rmax": 1, "rmin": 2}), "below its rmin"),
            (layer("BatchNormalization", renorm=True, renorm_clipping={"dmax": -1}), "negative dmax"),
            (lambda k: k.BatchNormalization(5)(draw(B, T, N)), "axis 5 is out of bounds"),
            (lambda k: k.BatchNormalization(1)(k.Input((None, N))), "whose size is not known"),
            (lambda k: k.BatchNormalization()(draw(B, T, N), mask=np.ones(B, bool)), "one dimension less than"),
            (stream("BatchNormalization", 1), r"a mean and a variance for every timestep \(axis=1\)"),
        ),
    ),
    "GroupNormalization": Case(
        make=one("GroupNormalization", 3), stream=WHOLE, ulps=4,
        options=(
            layer("GroupNormalization", 3), layer("GroupNormalization", -1, epsilon=0.1),
            layer("GroupNormalization", 1, center=False), layer("GroupNormalization", 2, scale=False),
        ),
        known=((layer("GroupNormalization", 3), draw(7, 21), lambda *a: reference_group_normalization(*a, 3)),),
        raises=(
            (layer("GroupNormalization", 0), "`groups` must be a positive integer or -1, got 0"),
            (lambda k: k.GroupNormalization(4)(draw(B, T, N)), "groups=4, which do not divide the 6 channels"),
            (lambda k: k.GroupNormalization(7)(draw(B, T, N)), "groups=7, which do not divide the 6 channels"),
            (lambda k: k.GroupNormalization(1)(k.Input((4, None))), "whose size is not known"),
        ),
    ),
    "LayerNormalization": Case(
        make=one("LayerNormalization"), ulps=8,
        options=(
            layer("LayerNormalization", gamma_initializer="uniform", beta_initializer="uniform"),
            layer("LayerNormalization", 1, epsilon=1e-5, gamma_constraint="non_neg", beta_initializer="uniform"),
            layer("LayerNormalization", [-1], center=False), layer("LayerNormalization", scale=False),
        ),
        streams=(layer("LayerNormalization"), layer("LayerNormalization", 2), layer("LayerNormalization", [-1])),
        known=((layer("LayerNormalization"), draw(7, 21), reference_layer_normalization),),
        raises=(
            (lambda k: k.LayerNormalization(3)(draw(B, T, N)), "axis 3 is out of bounds"),
            (lambda k: k.LayerNormalization(1)(k.Input((None, N))), "whose size is not known"),
            (stream("LayerNormalization", 1), re.escape(f"{WHOLE} (axis=[1])")),
            (stream("LayerNormalization", (2, 1)), re.escape(f"{WHOLE} (axis=[1, 2])")),
        ),
    ),
    "Normalization": Case(
        make=lambda k, x: fixed(k)(x),
        options=(fixed, lambda k: fixed(k, invert=True), layer("Normalization", None, 2.0, 3.0)),
        shapes=((3, N), (2, 5, N), (2, 3, 5, N)),
        streams=(layer("Normalization"), layer("Normalization", None), fixed),
        known=((fixed, draw(7, N), lambda x: reference_normalization(x, MEAN, VARIANCE)),),
        raises=(
            (layer("Normalization", mean=1.0), "takes `mean` and `variance` together"),
            (layer("Normalization", mean=[1.0], variance=2.0), "of one shape"),
            (layer("Normalization", None, [1.0], [2.0]), "at most as many dimensions as it has axes"),
            (lambda k: k.Normalization(3)(draw(B, T, N)), "out of bounds"),
            (lambda k: k.Normalization(1)(k.Input((None, N))), "whose size is not known"),
            (lambda k: fixed(k)(draw(B, T, N + 1)), "does not broadcast to the sizes"),
            (lambda k: fixed(k).adapt(draw(B, N)), "it cannot adapt"),
            (lambda k: k.Normalization().adapt([]), "got no data"),
            (stream("Normalization", (1, 2)), "it has a mean for every timestep"),
        ),
    ),
    "RMSNormalization": Case(
        make=one("RMSNormalization"), mask=None, ulps=4,
        options=(layer("RMSNormalization"), layer("RMSNormalization", [-1], 0.1)),
        streams=(layer("RMSNormalization"),),
        known=((layer("RMSNormalization"), draw(7, 21), reference_rms_normalization),),
        raises=(
            (lambda k: k.RMSNormalization(3)(draw(B, T, N)), "axis 3 is out of bounds"),
            (stream("RMSNormalization", (1, 2)), re.escape(f"{WHOLE} (axis=[1, 2])")),
        ),
    ),
    "SpectralNormalization": Case(
        make=lambda k, x: k.SpectralNormalization(k.Dense(4))(x),
        streams=(lambda k: k.SpectralNormalization(k.Dense(4)),),
        raises=(
            (lambda k: k.SpectralNormalization(3), "takes a layer, got 3"),
            (lambda k: k.SpectralNormalization(k.Dense(3), 0), "`power_iterations` must be a positive integer"),
            (lambda k: k.SpectralNormalization(k.ReLU())(draw(B, N)), "has neither a kernel nor embeddings"),
        ),
    ),
    "UnitNormalization": Case(
        make=one("UnitNormalization"), ulps=4,
        options=(layer("UnitNormalization"), layer("UnitNormalization", 1)),
        streams=(layer("UnitNormalization"),),
        known=((layer("UnitNormalization"), draw(7, 21), reference_unit_normalization),),
        raises=(
            (lambda k: k.UnitNormalization(3)(draw(B, T, N)), "axis 3 is out of bounds"),
            (stream("UnitNormalization", (1, 2)), re.escape(f"{WHOLE} (axis=[1, 2])")),
        ),
    ),
}  # fmt: skip
