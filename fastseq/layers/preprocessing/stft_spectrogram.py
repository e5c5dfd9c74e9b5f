"""STFTSpectrogram; see https://keras.io/api/layers/preprocessing_layers/audio_preprocessing/stft_spectrogram/."""

import math
import warnings

import numpy as np

from fastseq import ops
from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.layers.input_spec import InputSpec
from fastseq.layers.options import data_format_of
from fastseq.ops.values import Traced

_MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")
_EPSILON = 1e-7


class STFTSpectrogram(Layer):
    """Spectra of short pieces of signals, by products with weights that begin as sines and cosines under a window.

    (B, T, C) float32 -> (B, T', C F), or (B, T', F, C) with expand_dims, where F = fft_length // 2 + 1, twice as many
    in mode "stft". Each channel is transformed by itself. trainable=False keeps the weights as they begin.

    Args:
        mode (str, default "log"): "log" of the magnitude, "magnitude", "psd", "real", "imag", "angle", or "stft", which
            is real parts and then imaginary ones.
        frame_length (int, default 256): Samples of a frame.
        frame_step (int, default None): Samples from a frame to the next; None is half of `frame_length`.
        fft_length (int, default None): Bins from 0 to the sampling rate; None is the next power of 2.
        window (str or array, default "hann"): A name of `scipy.signal.get_window`, the window itself, or None.
        periodic (bool, default False): As Keras passes it to `get_window`.
        scaling (str, default "density"): "density", "spectrum", or None for no scaling by the window.
        padding (str, default "valid"): "valid", T' = (T - frame_length) // frame_step + 1, or "same", T' = ceil(T /
            frame_step), with zeros around the signal.
        expand_dims (bool, default False): Whether bins and channels are axes of their own.
        data_format (str, default None): "channels_last", or "channels_first" for (B, C, T) -> (B, C F, T') or (B, C,
            T', F); None is what `backend.image_data_format()` says.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        TypeError: Inputs that are no floats.
        ValueError: Other values of these, inputs of another rank, and signals without one frame.

    Example:
        >>> layers.STFTSpectrogram(frame_length=64)(np.ones((2, 160, 1))).shape
        (2, 4, 33)
    """

    keeps_time = time_axis.whole_sequence("its frames reach into later timesteps")

    def __init__(
        self, mode="log", frame_length=256, frame_step=None, fft_length=None, window="hann", periodic=False,
        scaling="density", padding="valid", expand_dims=False, data_format=None, **kwargs,
    ):  # fmt: skip
        who = "STFTSpectrogram"
        if frame_step is not None and not 1 <= frame_step <= frame_length:
            raise ValueError(f"{who}: `frame_step` must be from 1 to frame_length={frame_length}, got {frame_step}.")
        if fft_length is not None and fft_length < frame_length:
            raise ValueError(f"{who}: `fft_length` must be at least frame_length={frame_length}, got {fft_length}.")
        if fft_length is not None and fft_length & -fft_length != fft_length:
            warnings.warn(f"{who}: `fft_length` is best a power of two, got {fft_length}.", stacklevel=2)
        for name, value, allowed in (
            ("mode", mode, _MODES), ("scaling", scaling, (None, "density", "spectrum")),
            ("padding", padding, ("valid", "same")),
        ):  # fmt: skip
            if value not in allowed:
                raise ValueError(f"{who}: `{name}` must be one of {', '.join(map(repr, allowed))}, got {value!r}.")
        if isinstance(window, str):
            _named_window(window, 1, periodic)
        super().__init__(**kwargs)
        self.mode, self.frame_length, self.frame_step, self.fft_length = mode, frame_length, frame_step, fft_length
        self._step = frame_step or frame_length // 2
        self._bins = (fft_length or 2 ** math.ceil(math.log2(frame_length))) // 2 + 1
        self.window, self.periodic, self.scaling, self.padding = window, periodic, scaling, padding
        self.expand_dims, self.data_format = expand_dims, data_format_of(data_format, who)
        self.input_spec = InputSpec(ndim=3)

    def build(self, input_shape):
        shape = (self.frame_length, 1, self._bins)
        if self.mode != "imag":
            self.real_kernel = self.add_weight(shape, lambda *_, **__: self._waves(np.cos), name="real_kernel")
        if self.mode != "real":
            self.imag_kernel = self.add_weight(shape, lambda *_, **__: self._waves(np.sin), name="imag_kernel")
        self.built = True

    def _waves(self, function):
        """(frame_length, 1, bins): what the weights begin as."""
        turns = np.outer(np.arange(self.frame_length), np.arange(self._bins)) / (2 * (self._bins - 1))
        waves = function(-2 * np.pi * turns)
        if self.window is not None:
            window = self.window
            if isinstance(window, str):
                window = _named_window(window, self.frame_length, self.periodic)
            window = np.asarray(window, np.float64)
            if window.shape != (self.frame_length,):
                raise ValueError(
                    f"Layer '{self.name}' (STFTSpectrogram) takes a window of frame_length={self.frame_length} "
                    f"numbers, got shape {window.shape}."
                )
            sums = {None: 1.0, "density": np.sqrt(np.sum(window**2)), "spectrum": np.sum(np.abs(window))}
            waves *= window[:, None] / sums[self.scaling]
        return waves[:, None].astype(np.float32)

    def compute_output_shape(self, input_shape):
        batch, *rest = super().compute_output_shape(input_shape)
        channels, time = rest if self.data_format == "channels_first" else rest[::-1]
        if time is not None:
            time = -(-time // self._step) if self.padding == "same" else (time - self.frame_length) // self._step + 1
            if time < 1:
                raise ValueError(
                    f"Layer '{self.name}' (STFTSpectrogram) with frame_length={self.frame_length} has no frame in an "
                    f"input of shape {tuple(input_shape)}."
                )
        bins = self._bins * (2 if self.mode == "stft" else 1)
        all_bins = None if channels is None else channels * bins
        if self.data_format == "channels_first":
            return (batch, channels, time, bins) if self.expand_dims else (batch, all_bins, time)
        return (batch, time, bins, channels) if self.expand_dims else (batch, time, all_bins)

    def emit(self, p, inputs):
        if inputs.dtype != "float32":
            raise TypeError(f"Layer '{self.name}' (STFTSpectrogram) takes floating point numbers, got {inputs.dtype}.")
        shape, x = self.compute_output_shape(inputs.shape), Traced(p, inputs.with_mask(None))
        x = x if self.data_format == "channels_first" else ops.transpose(x, (0, 2, 1))
        y = self._spectrum(x)  # (B, C, T', F)
        if self.data_format == "channels_first":
            y = y if self.expand_dims else ops.transpose(y, (0, 1, 3, 2))
        else:
            y = ops.transpose(y, (0, 2, 3, 1) if self.expand_dims else (0, 2, 1, 3))
        return ops.reshape(y, shape).slot

    def _spectrum(self, x):
        batch, channels, time = x.shape
        signals = ops.reshape(x, (batch * channels, time, 1))

        def part(kernel):
            y = ops.conv(signals, kernel, strides=self._step, padding=self.padding)
            return ops.reshape(y, (batch, channels, *y.shape[1:]))

        real = part(self.real_kernel) if self.mode != "imag" else None
        imag = part(self.imag_kernel) if self.mode != "real" else None
        if self.mode in ("real", "imag"):
            return imag if real is None else real
        if self.mode == "angle":
            return ops.arctan2(imag, real)
        if self.mode == "stft":
            return ops.concatenate([real, imag], axis=3)
        power = ops.add(ops.square(real), ops.square(imag))
        if self.mode == "psd":
            inner = power[:, :, :, 1:-1]
            return ops.add(power, ops.pad(inner, ((0, 0), (0, 0), (0, 0), (1, 1))))
        magnitude = ops.sqrt(ops.maximum(power, _EPSILON))
        return magnitude if self.mode == "magnitude" else ops.log(ops.maximum(magnitude, _EPSILON))

    def get_config(self):
        names = "mode frame_length frame_step fft_length window periodic scaling padding data_format expand_dims"
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}


def _named_window(name, length, periodic):
    from scipy.signal import get_window  # 0.2 s, of which a program without this layer needs nothing

    return get_window(name, length, periodic)
