"""MelSpectrogram; see https://keras.io/api/layers/preprocessing_layers/audio_preprocessing/mel_spectrogram/."""

import numpy as np

from fastseq import ops
from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.ops.values import Traced

_BREAK, _HIGH = 700.0, 1127.0  # Hertz, and Q, of HTK's mel scale, as in Keras


class MelSpectrogram(Layer):
    """The power of mel bands in short pieces of a signal: (B, T) or (T,) -> (B, num_mel_bins, frames), float32.

    The signal is reflected at both ends, so that a frame stands around every `sequence_stride`-th sample. With
    power_to_db the largest value of the whole batch counts, as in Keras: a row may differ from the row alone.

    Args:
        fft_length (int, default 2048): Samples of a transform.
        sequence_stride (int, default 512): Samples from a frame to the next.
        sequence_length (int, default None): Samples under the window; None is `fft_length`.
        window (str or array, default "hann"): "hann", "hamming", the window itself, or None.
        sampling_rate (int, default 16000): Samples a second.
        num_mel_bins (int, default 128): How many bands.
        min_freq (float, default 20.0): Where the lowest band begins, in Hertz.
        max_freq (float, default None): Where the highest band ends; None is half of the sampling rate.
        power_to_db (bool, default True): Whether decibels are given.
        top_db (float, default 80.0): How far below the largest one decibels may be.
        mag_exp (float, default 2.0): Power of the magnitudes: 1 is energy, 2 is power.
        min_power (float, default 1e-10): What a smaller power counts as.
        ref_power (float, default 1.0): The power that is 0 decibels.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: A fft_length below sequence_length, other axes, and a signal too short to be reflected.

    Example:
        >>> layers.MelSpectrogram(64, 16, num_mel_bins=8)(np.ones((2, 160))).shape
        (2, 8, 11)
    """

    keeps_time = time_axis.whole_sequence("it transforms all timesteps together")

    def __init__(
        self, fft_length=2048, sequence_stride=512, sequence_length=None, window="hann", sampling_rate=16000,
        num_mel_bins=128, min_freq=20.0, max_freq=None, power_to_db=True, top_db=80.0, mag_exp=2.0, min_power=1e-10,
        ref_power=1.0, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.fft_length, self.sequence_stride = fft_length, sequence_stride
        self.sequence_length = sequence_length or fft_length
        if self.fft_length < self.sequence_length:
            raise ValueError(
                f"MelSpectrogram: `fft_length` must be at least `sequence_length`, got {self.fft_length} and "
                f"{self.sequence_length}."
            )
        self.window, self.sampling_rate, self.num_mel_bins = window, sampling_rate, num_mel_bins
        self.min_freq, self.max_freq = min_freq, max_freq or int(sampling_rate / 2)
        self.power_to_db, self.top_db, self.mag_exp = power_to_db, top_db, mag_exp
        self.min_power, self.ref_power = min_power, ref_power
        self.built = True

    def compute_output_shape(self, input_shape):
        shape = super().compute_output_shape(input_shape)
        if len(shape) not in (1, 2):
            raise ValueError(
                f"Layer '{self.name}' (MelSpectrogram) takes signals (batch, samples) or (samples,), got shape {shape}."
            )
        if shape[-1] is None:
            return (*shape[:-1], self.num_mel_bins, None)
        padded = shape[-1] + 2 * (self.fft_length // 2)
        return (*shape[:-1], self.num_mel_bins, max(0, 1 + (padded - self.fft_length) // self.sequence_stride))

    def emit(self, p, inputs):
        self.compute_output_shape(inputs.shape)
        re, im = ops.stft(
            Traced(p, p.float32(inputs)), self.sequence_length, self.sequence_stride, self.fft_length, self.window
        )
        power = ops.power(ops.sqrt(ops.add(ops.square(re), ops.square(im))), float(self.mag_exp))
        bands = self.linear_to_mel_weight_matrix(
            self.num_mel_bins, self.fft_length // 2 + 1, self.sampling_rate, self.min_freq, self.max_freq
        )
        y = ops.matmul(power, bands)
        if self.power_to_db:
            y = ops.multiply(ops.log10(ops.maximum(y, float(self.min_power))), 10.0)
            y = ops.subtract(y, float(10 * np.log10(max(abs(self.ref_power), self.min_power))))
            y = ops.maximum(y, ops.subtract(ops.max(y), float(self.top_db)))
        return ops.swapaxes(y, -1, -2).slot

    def linear_to_mel_weight_matrix(
        self, num_mel_bins=20, num_spectrogram_bins=129, sampling_rate=8000, lower_edge_hertz=125.0,
        upper_edge_hertz=3800.0, dtype="float32",
    ):  # fmt: skip
        """What makes mel bands of the bins of a spectrogram, by a product: triangles with a peak of 1.

        Args:
            num_mel_bins (int, default 20): How many bands.
            num_spectrogram_bins (int, default 129): How many bins, from 0 Hertz to half of the sampling rate.
            sampling_rate (int, default 8000): Samples a second.
            lower_edge_hertz (float, default 125.0): Where the lowest band begins.
            upper_edge_hertz (float, default 3800.0): Where the highest band ends.
            dtype (str, default "float32"): Of the result.

        Returns:
            array (num_spectrogram_bins, num_mel_bins).
        """

        def mel(hertz):
            return _HIGH * np.log1p(np.asarray(hertz, np.float64) / _BREAK)

        bins = mel(np.linspace(0.0, sampling_rate / 2.0, num_spectrogram_bins)[1:])[:, None]
        edges = np.linspace(mel(lower_edge_hertz), mel(upper_edge_hertz), num_mel_bins + 2)
        low, center, high = edges[:-2], edges[1:-1], edges[2:]
        slopes = np.minimum((bins - low) / (center - low), (high - bins) / (high - center))
        return np.pad(np.maximum(slopes, 0.0), [[1, 0], [0, 0]]).astype(dtype)  # without the bin of 0 Hertz, as HTK

    def get_config(self):
        names = (
            "fft_length sequence_stride sequence_length window sampling_rate num_mel_bins min_freq max_freq "
            "power_to_db top_db mag_exp min_power ref_power"
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}
