"""The rows of the layers that pool over time, and that add, repeat and leave out timesteps; see layer_cases.py."""

import numpy as np
from layer_rows import LAST, REFUSED, Case, N, T, draw, last, one, stream_of

import fastseq
from fastseq.layers.core.highway import reference_highway, reference_maxout
from fastseq.layers.pooling.global_pooling1d import reference_global_average
from fastseq.layers.pooling.pooling1d import reference_pooling

SEQUENCES = ((2, 5, N), (3, 33, 17), (1, 100, 1))
WINDOWS = "its windows reach into later timesteps, or leave some out"
TOGETHER = "it takes all timesteps together"


def planes(k, x):
    """(B, T, 2, N) of (B, T, N)."""
    return k.TimeDistributed(k.RepeatVector(2))(x)


def pools(name, kind):
    """MaxPooling1D and AveragePooling1D."""

    def layer(*arguments, **options):
        return lambda k: getattr(k, name)(*arguments, **options)

    return Case(
        one(name, 2), WINDOWS, None, shapes=SEQUENCES,
        options=(
            layer(2), layer(3, 1), layer((2,), [3]), layer(3, 2, "same"), layer(4, 1, padding="same"),
            layer(1, 3, "same"), layer(2, 3, "valid", "channels_last"),
            layer(3, 2, "same", data_format="channels_first", name="first"), layer(1, padding="same"),
        ),
        streams=(layer(1), layer(2, 2, data_format="channels_first"), layer(3, 1, "same", "channels_first")),
        known=tuple(
            (layer(size, strides, padding), draw(29, 5), lambda x, s=size, t=strides, p=padding: reference_pooling(
                x, s, t, p, kind))
            for size in (1, 2, 5) for strides in (1, 2, 7, None) for padding in ("valid", "same")
        ),
        raises=(
            (lambda k: layer(0)(k), "`pool_size` must be at least 1, got 0"),
            (lambda k: layer(2.5)(k), "`pool_size` must be an integer or a tuple of one, got 2.5"),
            (lambda k: layer((2, 2))(k), r"`pool_size` must be an integer or a tuple of one, got \(2, 2\)"),
            (lambda k: layer(2, 0)(k), "`strides` must be at least 1, got 0"),
            (lambda k: layer(2, padding="causal")(k), "`padding` must be 'valid' or 'same', got 'causal'"),
            (lambda k: layer(2, data_format="first")(k), "`data_format` must be 'channels_last' or 'channels_first'"),
            (lambda k: layer(5)(k)(draw(1, 4, 2)), r"pool_size=5 and padding='valid' has no window .*\(1, 4, 2\)"),
            (lambda k: layer(5)(k)(k.Input((4, 2))), r"pool_size=5 and padding='valid' has no window"),
            (lambda k: layer(2, padding="same")(k)(draw(1, 0, 2)), "has no window"),
            (lambda k: layer(2)(k)(draw(4, 2)), "ndim=3"),
            (lambda k: layer(2)(k)(np.ones((1, 4, 2), bool)), "got bool"),
            (lambda k: stream_of(k, layer(2, 1)(k)), WINDOWS),
            (lambda k: stream_of(k, layer(1, 2)(k)), WINDOWS),
        ),
    )  # fmt: skip


def global_pools(name, reason=TOGETHER, **fields):
    return Case(
        one(name), reason, None, shapes=SEQUENCES, ulps=2,
        options=tuple(
            lambda k, f=data_format, d=keepdims: getattr(k, name)(f, keepdims=d)
            for data_format in (None, "channels_first") for keepdims in (False, True)
        ) if name != "GlobalAveragePooling1D" else (
            lambda k: getattr(k, name)(), lambda k: getattr(k, name)("channels_last", keepdims=True),
        ),
        raises=(
            (lambda k: getattr(k, name)("last"), "`data_format` must be 'channels_last' or 'channels_first'"),
            (lambda k: getattr(k, name)(keepdims="no"), "`keepdims` must be a bool, got 'no'"),
            (lambda k: getattr(k, name)()(draw(1, 0, 2)), "needs at least one timestep"),
            (lambda k: getattr(k, name)()(draw(1, 2)), "ndim=3"),
        ),
        **fields,
    )  # fmt: skip


def adaptive(name, kind):
    def twin(x, size):
        ends = [(i * x.shape[1] // size, -(-(i + 1) * x.shape[1] // size)) for i in range(size)]
        return np.stack([getattr(x[:, start:end], kind)(axis=1) for start, end in ends], axis=1)

    return Case(
        one(name, 3), "its windows depend on how many timesteps there are", None, shapes=SEQUENCES,
        # The gradient of AdaptiveMaxPooling1D(1) is not a number in Keras on TensorFlow, or ends the process.
        options=(
            lambda k: getattr(k, name)(1 if kind == "mean" else 5), lambda k: getattr(k, name)((2,)),
            lambda k: getattr(k, name)(3, "channels_first"), lambda k: getattr(k, name)([4], name="four"),
        ),
        known=tuple(
            (lambda k, n=size: getattr(k, name)(n), draw(11, 3), lambda x, n=size: twin(x, n))
            for size in (1, 3, 11, 16)
        ),
        raises=(
            (lambda k: getattr(k, name)(0), "`output_size` must be at least 1, got 0"),
            (lambda k: getattr(k, name)((1, 2)), "`output_size` must be an integer or a tuple of one"),
            (lambda k: getattr(k, name)(2, "last"), "`data_format` must be"),
            (lambda k: getattr(k, name)(2)(draw(4, 2)), "takes inputs of 3 dimensions"),
            (lambda k: getattr(k, name)(2)(np.ones((1, 4, 2), "i4")), "takes floating point numbers, got int32"),
        ),
    )  # fmt: skip


CASES = {
    "AdaptiveAveragePooling1D": adaptive("AdaptiveAveragePooling1D", "mean"),
    "AdaptiveMaxPooling1D": adaptive("AdaptiveMaxPooling1D", "max"),
    "AveragePooling1D": pools("AveragePooling1D", "mean"),
    "MaxPooling1D": pools("MaxPooling1D", "max"),
    "GlobalAveragePooling1D": global_pools(
        "GlobalAveragePooling1D",
        known=((lambda k: k.GlobalAveragePooling1D(), draw(40, 7), reference_global_average),),
    ),
    "GlobalMaxPooling1D": global_pools(
        "GlobalMaxPooling1D",
        known=((lambda k: k.GlobalMaxPooling1D(), draw(40, 7), lambda x: x.max(axis=1)),),
        streams=(lambda k: k.GlobalMaxPooling1D("channels_first", keepdims=True),),
    ),
    "Cropping1D": Case(
        one("Cropping1D"), "it leaves timesteps out", None, shapes=SEQUENCES,
        options=(
            lambda k: k.Cropping1D(), lambda k: k.Cropping1D(0), lambda k: k.Cropping1D((0, 2)),
            lambda k: k.Cropping1D([3, 0]), lambda k: k.Cropping1D(1),
        ),
        streams=(lambda k: k.Cropping1D(0),),
        raises=(
            (lambda k: k.Cropping1D((1, 1, 1)), "`cropping` must be an integer or a pair of integers"),
            (lambda k: k.Cropping1D((1, -1)), "`cropping` must be at least 0, got -1"),
            (lambda k: k.Cropping1D(2)(draw(1, 4, 2)), r"cropping=\(2, 2\) leaves nothing of an input of shape"),
            (lambda k: k.Cropping1D(2)(k.Input((3, 2))), "leaves nothing of an input of shape"),
            (lambda k: stream_of(k, k.Cropping1D((1, 0))), "it leaves timesteps out"),
        ),
    ),
    "Highway": Case(
        lambda k, x: k.TimeDistributed(k.Highway(activation="tanh"))(x),
        known=((lambda k: k.Highway(), draw(5), reference_highway),),
        raises=((lambda k: k.Highway()(draw(2, 3, 4)), "ndim=2"),),
    ),
    "MaxoutDense": Case(
        lambda k, x: k.TimeDistributed(k.MaxoutDense(N, 3))(x),
        known=((lambda k: k.MaxoutDense(6, 3), draw(5), reference_maxout),),
        raises=(
            (lambda k: k.MaxoutDense(0), "`units` must be at least 1, got 0"),
            (lambda k: k.MaxoutDense(2, 1.5), "`nb_feature` must be an integer or a tuple of one, got 1.5"),
            (lambda k: k.MaxoutDense(2)(draw(2, 3, 4)), "ndim=2"),
        ),
    ),
    "MelSpectrogram": Case(
        lambda k, x: k.MelSpectrogram(8, 4, num_mel_bins=3)(last(k, x, 24)), LAST, None,
        raises=(
            (lambda k: k.MelSpectrogram(8, sequence_length=9), "`fft_length` must be at least `sequence_length`"),
            (lambda k: k.MelSpectrogram(8)(draw(2, 3, 40)), r"takes signals \(batch, samples\) or \(samples,\)"),
            (lambda k: k.MelSpectrogram(8)(draw(2, 3)), "needs more than fft_length // 2"),
            (
                lambda k: fastseq.Sequential([k.Input((40,)), k.MelSpectrogram(8)]).stream(),
                "it transforms all timesteps together",
            ),
        ),
    ),
    "Rescaling": Case(
        one("Rescaling", np.linspace(0.5, 2, N), [-1.0] * N),
        options=(
            lambda k: k.Rescaling(1 / 255), lambda k: k.Rescaling(2, offset=-1), lambda k: k.Rescaling(0.0, 1e30),
            lambda k: k.Rescaling(np.linspace(-1, 3, N), np.arange(N)), lambda k: k.Rescaling(0.3, [0.5] * N),
        ),
        shapes=((3, N), (2, 5, N)),
        known=((lambda k: k.Rescaling(2.0, -1.0), [0, 1, -3, np.inf, np.nan], [-1, 1, -7, np.inf, np.nan]),),
        raises=(
            (lambda k: k.Rescaling("much"), "takes a number or an array of numbers as its scale, got 'much'"),
            (lambda k: k.Rescaling(1.0, [1.0, 2.0, 3.0])(draw(2, 4)), "takes as its offset what broadcasts to its"),
            (lambda k: stream_of(k, k.Rescaling(np.ones((T, N)))), r"scale of shape \(4, 6\) has a value for every"),
        ),
    ),
    "SpatialDropout2D": Case(lambda k, x: k.TimeDistributed(k.Flatten())(k.SpatialDropout2D(0.3)(planes(k, x)))),
    "SpatialDropout3D": Case(
        lambda k, x: k.SpatialDropout3D(0.3)(k.TimeDistributed(k.TimeDistributed(k.RepeatVector(2)))(planes(k, x))),
        mask=REFUSED,
    ),
    "STFTSpectrogram": Case(
        one("STFTSpectrogram", frame_length=4, padding="same"), "its frames reach into later timesteps", None,
        raises=(
            (lambda k: k.STFTSpectrogram("power"), "`mode` must be one of 'log', 'magnitude'"),
            (lambda k: k.STFTSpectrogram(frame_step=300), "`frame_step` must be from 1 to frame_length=256, got 300"),
            (lambda k: k.STFTSpectrogram(fft_length=100), "`fft_length` must be at least frame_length=256, got 100"),
            (lambda k: k.STFTSpectrogram(scaling="no"), "`scaling` must be one of None, 'density', 'spectrum'"),
            (lambda k: k.STFTSpectrogram(padding="causal"), "`padding` must be one of 'valid', 'same'"),
            (lambda k: k.STFTSpectrogram(window=[1.0, 2.0])(draw(1, 300, 1)), "takes a window of frame_length=256"),
            (lambda k: k.STFTSpectrogram()(draw(1, 40, 1)), "has no frame in an input of shape"),
        ),
    ),
    "UpSampling1D": Case(
        one("UpSampling1D"), "it makes several timesteps of each one", None, shapes=SEQUENCES,
        options=(lambda k: k.UpSampling1D(), lambda k: k.UpSampling1D(1), lambda k: k.UpSampling1D(size=5)),
        streams=(lambda k: k.UpSampling1D(1),),
        raises=((lambda k: k.UpSampling1D(0), "`size` must be a positive integer, got 0"),),
    ),
    "ZeroPadding1D": Case(
        one("ZeroPadding1D"), "it adds timesteps", None, shapes=SEQUENCES,
        options=(
            lambda k: k.ZeroPadding1D(), lambda k: k.ZeroPadding1D((3, 0)), lambda k: k.ZeroPadding1D([0, 2]),
            lambda k: k.ZeroPadding1D(0), lambda k: k.ZeroPadding1D(2, "channels_first"),
        ),
        streams=(lambda k: k.ZeroPadding1D(0), lambda k: k.ZeroPadding1D(2, "channels_first")),
        raises=(
            (lambda k: k.ZeroPadding1D((1, 1, 1)), "`padding` must be an integer or a pair of integers"),
            (lambda k: k.ZeroPadding1D(-1), "`padding` must be at least 0, got -1"),
            (lambda k: k.ZeroPadding1D("same"), "`padding` must be an integer or a tuple of one, got 'same'"),
            (lambda k: stream_of(k, k.ZeroPadding1D((2, 0))), "it adds timesteps"),
        ),
    ),
}  # fmt: skip
