"""The rows of `CASES` in layer_cases.py of the convolutions over time."""

from layer_rows import B, Case, N, T, draw, one, stream_of

import fastseq
from fastseq.layers.convolutional.conv1d import reference_conv1d
from fastseq.layers.convolutional.conv1d_transpose import reference_conv1d_transpose
from fastseq.layers.convolutional.depthwise_conv1d import reference_depthwise_conv1d
from fastseq.layers.convolutional.separable_conv1d import reference_separable_conv1d


def twins(make, reference, *options, shape=(17, 5)):
    """`known` for each of `options`: make(k, **options) beside its naive twin."""
    return tuple(
        (
            lambda k, given=given: make(k, **given), draw(*shape),
            lambda *arrays, given=given: reference(*arrays, **given),
        )
        for given in options
    )  # fmt: skip


CASES = {
    "Conv1D": Case(
        one(
            "Conv1D", 4, 3, padding="causal", dilation_rate=2, activation="tanh", kernel_regularizer="l2",
            bias_regularizer="l1",
        ),
        mask=None,
        options=(
            lambda k: k.Conv1D(4, 3), lambda k: k.Conv1D(70, 2, 2, activation="relu"),
            lambda k: k.Conv1D(5, [3], padding="SAME"), lambda k: k.Conv1D(17, 4, 3, "same", use_bias=False),
            lambda k: k.Conv1D(5, 2, padding="same", dilation_rate=3, activation="softmax"),
            lambda k: k.Conv1D(33, 3, (2,), "causal", "channels_last"), lambda k: k.Conv1D(1, 1, 2, activation="gelu"),
            lambda k: k.Conv1D(6, 3, padding="causal", dilation_rate=(4,), activation="tanh"),
            lambda k: k.Conv1D(130, 5, padding="causal", activation="sigmoid", activity_regularizer="l2"),
            lambda k: k.Conv1D(
                4, 2, kernel_initializer="zeros", bias_initializer="ones", kernel_constraint="non_neg",
                bias_constraint="unit_norm",
            ),
            lambda k: k.Conv1D(4, 9, padding="same"), lambda k: k.Conv1D(3, 2, 4, activation="elu"),
        ),
        shapes=((2, 7, N), (5, 33, N), (1, 40, 19)), ulps=2,
        streams=(
            lambda k: k.Conv1D(4, 3, padding="causal"), lambda k: k.Conv1D(70, 1, activation="softmax"),
            lambda k: k.Conv1D(4, 4, padding="causal", dilation_rate=5, activation="relu"),
            lambda k: k.Conv1D(3, 9, padding="causal", use_bias=False),
            lambda k: k.Conv1D(4, 3, padding="causal", groups=2), lambda k: k.Conv1D(6, 3, padding="causal", groups=6),
            lambda k: k.Conv1D(12, 2, padding="causal", groups=6, dilation_rate=3, activation="tanh"),
            lambda k: k.Conv1D(3, 1, padding="same"),
        ),
        known=(
            (lambda k: k.Conv1D(1, 2, padding="causal", kernel_initializer="ones"), [[1], [2], [4]], [[1], [3], [6]]),
            (lambda k: k.Conv1D(1, 2, padding="same", kernel_initializer="ones"), [[1], [2], [4]], [[3], [6], [4]]),
            *twins(
                lambda k, **options: k.Conv1D(20, 3, activation="relu", **options),
                lambda *arrays, **options: reference_conv1d(*arrays, activation="relu", **options),
                {}, {"padding": "causal", "dilation_rate": 3}, {"padding": "same", "strides": 2}, {"strides": 5},
                {"groups": 5}, {"data_format": "channels_first", "padding": "causal"},
            ),
            *twins(
                lambda k, **options: k.Conv1D(150, 4, **options), reference_conv1d,
                {"groups": 2}, {"groups": 3, "padding": "same"}, {"groups": 6, "padding": "causal", "strides": 2},
                shape=(19, 6),
            ),
        ),
        raises=(
            (lambda k: k.Conv1D(0, 2), "`filters` must be a positive integer, got 0"),
            (lambda k: k.Conv1D(2, (2, 2)), r"`kernel_size` must be a positive integer, got \(2, 2\)"),
            (lambda k: k.Conv1D(2, 2, padding="full"), "`padding` must be one of .*, got 'full'"),
            (lambda k: k.Conv1D(2, 2, padding=[1, 1]), r"`padding` must be one of .*, got \[1, 1\]"),
            (lambda k: k.Conv1D(2, 2, 2, dilation_rate=2), "strides=2 and dilation_rate=2 go with 1 alone"),
            (lambda k: k.Conv1D(2, 2, data_format="last"), "`data_format` must be .*, got 'last'"),
            (lambda k: k.Conv1D(2, 2, groups=0), "`groups` must be a positive integer, got 0"),
            (lambda k: k.Conv1D(3, 2, groups=2), "filters=3 is no multiple of groups=2"),
            (lambda k: k.Conv1D(4, 2, groups=4)(draw(B, T, N)), f"groups=4 do not divide the {N} channels"),
            (lambda k: k.Conv1D(4, 2, lora_rank=4), "lora_rank=4 is not supported"),
            (lambda k: k.Conv1D(2, 3, dilation_rate=2)(draw(B, T, N)), "needs at least 5 timesteps for one window"),
            (lambda k: k.Conv1D(2, 3)(draw(B, N)), "min_ndim=3|at least 3 dimensions"),
            (lambda k: k.Conv1D(2, 3)(draw(B, T, N, 2)), r"takes \(batch, timesteps, channels\), got shape"),
            (lambda k: stream_of(k, k.Conv1D(2, 3)), "padding='valid' it reads later timesteps"),
            (lambda k: stream_of(k, k.Conv1D(2, 3, 2, "causal")), r"strides=\(2,\) it gives fewer timesteps"),
            (
                lambda k: fastseq.Sequential([k.Input((2, 2)), k.Conv1D(2, 1, data_format="channels_first")]).stream(),
                "its axis 1 is the channels",
            ),
            (lambda k: k.Bidirectional(k.Conv1D(2, 3)), "takes a recurrent layer, 'conv1d.*' has no attribute"),
        ),
    ),
    "Conv1DTranspose": Case(
        one("Conv1DTranspose", 4, 1, activation="tanh", kernel_regularizer="l2", bias_regularizer="l1"),
        mask=None,
        options=(
            lambda k: k.Conv1DTranspose(4, 3), lambda k: k.Conv1DTranspose(70, 2, 2, activation="relu"),
            lambda k: k.Conv1DTranspose(5, [3], padding="SAME"), lambda k: k.Conv1DTranspose(3, 4, 3, "same", 1),
            lambda k: k.Conv1DTranspose(5, 3, 2, "same", 1, use_bias=False), lambda k: k.Conv1DTranspose(3, 1, (3,)),
            # Without dilation: TensorFlow has none on CPUs.
            lambda k: k.Conv1DTranspose(5, 2, activation="sigmoid"),
            lambda k: k.Conv1DTranspose(17, 3, padding="same", activation="gelu"),
            lambda k: k.Conv1DTranspose(6, 5, 3, "valid", [2], "channels_last", activation="tanh"),
            lambda k: k.Conv1DTranspose(
                4, 2, kernel_initializer="zeros", bias_initializer="ones", kernel_constraint="non_neg",
                bias_constraint="unit_norm", activity_regularizer="l2",
            ),
        ),
        shapes=((2, 7, N), (5, 33, N), (1, 40, 19)), ulps=2,
        streams=(lambda k: k.Conv1DTranspose(4, 1), lambda k: k.Conv1DTranspose(70, 1, activation="softmax")),
        known=(
            (
                lambda k: k.Conv1DTranspose(1, 2, kernel_initializer="ones"), [[1], [2], [4]], [[1], [3], [6], [4]],
            ),
            (
                lambda k: k.Conv1DTranspose(1, 2, 3, kernel_initializer="ones"), [[1], [2]],
                [[1], [1], [0], [2], [2], [0]],
            ),
            *twins(
                lambda k, **options: k.Conv1DTranspose(20, 5, activation="relu", **options),
                lambda *arrays, **options: reference_conv1d_transpose(*arrays, activation="relu", **options),
                {}, {"dilation_rate": 3}, {"padding": "same", "strides": 2}, {"strides": 7, "output_padding": 1},
                {"padding": "same", "strides": 4, "output_padding": 3},
                {"data_format": "channels_first", "strides": 3},
            ),
        ),
        raises=(
            (lambda k: k.Conv1DTranspose(0, 2), "`filters` must be a positive integer, got 0"),
            (lambda k: k.Conv1DTranspose(2, 2, padding="causal"), "`padding` must be one of .*, got 'causal'"),
            (lambda k: k.Conv1DTranspose(2, 2, 2, dilation_rate=2), "strides=2 and dilation_rate=2 go with 1 alone"),
            (lambda k: k.Conv1DTranspose(2, 2, 2, output_padding=2), r"from 0 on and below strides=\(2,\), got 2"),
            (lambda k: k.Conv1DTranspose(2, 2, 2, output_padding=-1), "from 0 on and below .* got -1"),
            (lambda k: k.Conv1DTranspose(2, 2, 1, "same", 0)(draw(B, 1, N)), "has no result for 1 timesteps"),
            (lambda k: stream_of(k, k.Conv1DTranspose(2, 3)), "it spreads a timestep over several"),
            (lambda k: stream_of(k, k.Conv1DTranspose(2, 1, 2)), "it spreads a timestep over several"),
        ),
    ),
    "DepthwiseConv1D": Case(
        one("DepthwiseConv1D", 1, activation="tanh", depthwise_regularizer="l2", bias_regularizer="l1"),
        mask=None,
        options=(
            lambda k: k.DepthwiseConv1D(3), lambda k: k.DepthwiseConv1D(2, 2, activation="relu"),
            lambda k: k.DepthwiseConv1D([3], padding="SAME", depth_multiplier=3),
            lambda k: k.DepthwiseConv1D(4, (3,), "same", 2, use_bias=False, activation="gelu"),
            lambda k: k.DepthwiseConv1D(2, padding="same", dilation_rate=3, activation="softmax"),
            lambda k: k.DepthwiseConv1D(2, 1, "valid", 2, "channels_last", dilation_rate=(3,), activation="tanh"),
            lambda k: k.DepthwiseConv1D(
                2, depthwise_initializer="zeros", bias_initializer="ones", depthwise_constraint="non_neg",
                bias_constraint="unit_norm", activity_regularizer="l2",
            ),
        ),
        shapes=((2, 7, N), (5, 33, N), (1, 40, 19)), ulps=2,
        streams=(
            lambda k: k.DepthwiseConv1D(1, depth_multiplier=3), lambda k: k.DepthwiseConv1D(1, activation="softmax"),
        ),
        known=(
            (
                lambda k: k.DepthwiseConv1D(2, padding="same", depthwise_initializer="ones"), [[1, 5], [2, 6], [4, 7]],
                [[3, 11], [6, 13], [4, 7]],
            ),
            *twins(
                lambda k, **options: k.DepthwiseConv1D(3, activation="relu", **options),
                lambda *arrays, **options: reference_depthwise_conv1d(*arrays, activation="relu", **options),
                {}, {"padding": "same", "dilation_rate": 3, "strides": 2}, {"strides": 5},
                {"data_format": "channels_first"},
            ),
            *twins(
                lambda k, **options: k.DepthwiseConv1D(4, depth_multiplier=3, **options), reference_depthwise_conv1d,
                {"strides": 2}, {"padding": "same"}, shape=(19, 37),
            ),
        ),
        raises=(
            (lambda k: k.DepthwiseConv1D(2, depth_multiplier=-1), "`depth_multiplier` must be a positive integer"),
            (lambda k: k.DepthwiseConv1D(2, padding="causal"), "`padding` must be one of .*, got 'causal'"),
            (lambda k: k.DepthwiseConv1D(0), "`kernel_size` must be a positive integer, got 0"),
            (lambda k: k.DepthwiseConv1D(9)(draw(B, T, N)), "needs at least 9 timesteps for one window"),
            (lambda k: stream_of(k, k.DepthwiseConv1D(3)), r"padding='valid' it reads later timesteps\.$"),
        ),
    ),
    "SeparableConv1D": Case(
        one(
            "SeparableConv1D", 4, 1, activation="tanh", depthwise_regularizer="l2", pointwise_regularizer="l1",
            bias_regularizer="l1",
        ),
        mask=None,
        options=(
            lambda k: k.SeparableConv1D(4, 3), lambda k: k.SeparableConv1D(70, 2, 2, activation="relu"),
            lambda k: k.SeparableConv1D(5, [3], padding="SAME", depth_multiplier=3),
            lambda k: k.SeparableConv1D(17, 4, (3,), "same", use_bias=False, activation="gelu"),
            lambda k: k.SeparableConv1D(5, 2, padding="same", dilation_rate=3, activation="softmax"),
            lambda k: k.SeparableConv1D(3, 2, 1, "valid", "channels_last", (3,), 2, activation="tanh"),
            lambda k: k.SeparableConv1D(
                4, 2, depthwise_initializer="ones", pointwise_initializer="ones", bias_initializer="ones",
                depthwise_constraint="non_neg", pointwise_constraint="non_neg", bias_constraint="unit_norm",
                activity_regularizer="l2",
            ),
        ),
        shapes=((2, 7, N), (5, 33, N), (1, 40, 19)), ulps=2,
        streams=(
            lambda k: k.SeparableConv1D(4, 3, padding="causal"), lambda k: k.SeparableConv1D(7, 1, depth_multiplier=2),
            lambda k: k.SeparableConv1D(4, 2, 1, "causal", None, 3, 2, "softmax"),
        ),
        known=(
            (
                lambda k: k.SeparableConv1D(
                    1, 2, padding="causal", depthwise_initializer="ones", pointwise_initializer="ones"
                ),
                [[1, 5], [2, 6], [4, 7]], [[6], [14], [19]],
            ),
            *twins(
                lambda k, **options: k.SeparableConv1D(20, 3, activation="relu", **options),
                lambda *arrays, **options: reference_separable_conv1d(*arrays, activation="relu", **options),
                {}, {"padding": "causal", "dilation_rate": 3}, {"padding": "same", "strides": 2}, {"strides": 5},
                {"data_format": "channels_first"},
            ),
        ),
        raises=(
            (lambda k: k.SeparableConv1D(0, 2), "`filters` must be a positive integer, got 0"),
            (
                lambda k: k.SeparableConv1D(2, 2, depth_multiplier=0),
                "`depth_multiplier` must be a positive integer, got 0",
            ),
            (lambda k: k.SeparableConv1D(2, 2, padding="full"), "`padding` must be one of .*, got 'full'"),
            (lambda k: k.SeparableConv1D(2, 9)(draw(B, T, N)), "needs at least 9 timesteps for one window"),
            (lambda k: stream_of(k, k.SeparableConv1D(2, 3)), "padding='valid' it reads later timesteps"),
        ),
    ),
}  # fmt: skip
