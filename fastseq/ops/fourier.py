"""Fourier transforms along the last axis; complex arrays are pairs of a real and an imaginary part.

https://keras.io/api/ops/fft/
"""

import numpy as np

from fastseq.ops import elementwise as e
from fastseq.ops.documented import documented
from fastseq.ops.joining import concatenate
from fastseq.ops.operation import operation
from fastseq.ops.values import MixesTimesteps, Traced, cast, lift, view
from fastseq.ops.windows import cut, padded
from fastseq.program.fourier import fourier_step, roots_of_unity
from fastseq.program.slots import strides_of

_PAIR = "(tuple of arrays): The real and the imaginary part, float32 of one shape."
_GIVES_PAIR = "A tuple of two float32 arrays, the real and the imaginary part."
_LENGTH = "(int, default None): How many elements are transformed; others are cut off, or zeros put behind."
_WINDOWS = "(str or array, default 'hann'): 'hann', 'hamming', (sequence_length,) factors, or None for none."


def _complex(x, name):
    """Both parts of `x`. Raises ValueError for what is no pair of arrays of one shape."""
    if not isinstance(x, (list, tuple)) or len(x) != 2:
        raise ValueError(f"ops.{name} takes a tuple of two arrays, real and imaginary part, got {type(x).__name__}.")
    re, im = (cast(part, "float32") for part in x)
    if re.shape != im.shape or not re.ndim:
        raise ValueError(f"ops.{name} takes two arrays of one shape with axes, got {re.shape} and {im.shape}.")
    return re, im


def _transformed(x, n, wanted, sign, **options):
    """[Traced] of a transform of `x`, one Traced or a pair, of length n."""
    parts = x if isinstance(x, tuple) else (x,)
    p, time = parts[0].p, parts[0].time
    if any(part.time != time for part in parts) or time == parts[0].ndim - 1:
        raise MixesTimesteps("it transforms timesteps")
    most = n // 2 + 1 if options.get("hermitian") else n
    parts = [_first(part, most) for part in parts]
    found = fourier_step(p, parts[0].slot, parts[1].slot if len(parts) > 1 else None, n, wanted, sign, **options)
    return tuple(Traced(p, slot, time) for slot in found if slot is not None)


def _first(x, most):
    """At most so many elements of the last axis."""
    return x if x.shape[-1] <= most else cut(x, -1, 0, most)


def _length(x, length, name, size=None):
    size = x.shape[-1] if size is None else size
    n = size if length is None else length
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
        raise ValueError(f"ops.{name}: a transform of length {n!r} of an array of shape {x.shape}.")
    return int(n)


@operation("FFT", "math", several=("x",))
@documented("The transform of complex arrays.", {"x": _PAIR}, _GIVES_PAIR, "ops.fft(([1.0, 2.0], [0.0, 1.0]))\n"
    "(array([ 3., -1.], dtype=float32), array([ 1., -1.], dtype=float32))",
            {"ValueError": "No pair of arrays of one shape, or no elements."})  # fmt: skip
def fft(x):
    re, im = _complex(x, "fft")
    n = _length(re, None, "fft")
    return _transformed((re, im), n, n, -1)


@operation("RFFT", "math", options=("fft_length",))
@documented(
    "The transform of real arrays: the first half of it, of which the rest are the conjugates.",
    {"x": "(array): (..., n).", "fft_length": _LENGTH},
    "A tuple of two float32 arrays (..., fft_length // 2 + 1), the real and the imaginary part.",
    "ops.rfft([1.0, 2.0, 3.0, 4.0])\n(array([10., -2., -2.], dtype=float32), array([0., 2., 0.], dtype=float32))",
    {"ValueError": "A scalar, or a length below 1."},
)
def rfft(x, fft_length=None):
    x = cast(x, "float32")
    if not x.ndim:
        raise ValueError("ops.rfft takes an array with axes, got a scalar.")
    n = _length(x, fft_length, "rfft")
    return _transformed(x, n, n // 2 + 1, -1)


@operation("IRFFT", "math", options=("fft_length",), several=("x",))
@documented(
    "The real array whose `rfft` is given.",
    {"x": _PAIR, "fft_length": "(int, default None): The length of the result; None is 2 (n - 1)."},
    "float32 array (..., fft_length).",
    "ops.irfft(([10.0, -2.0, -2.0], [0.0, 2.0, 0.0]))\narray([1., 2., 3., 4.], dtype=float32)",
    {"ValueError": "No pair of arrays of one shape, or a length below 1."},
)
def irfft(x, fft_length=None):
    re, im = _complex(x, "irfft")
    n = _length(re, fft_length, "irfft", 2 * (re.shape[-1] - 1))
    return _transformed((re, im), n, n, 1, hermitian=True, divides=True, real=True)[0]


# ---- short times -----------------------------------------------------------------------------------------------------


def _window_of(window, sequence_length, fft_length, name):
    """(fft_length,) float32 factors of a frame, zeros around them; None for none. Keras's: periodic windows."""
    if window is None:
        return None
    if isinstance(window, str):
        if window not in ("hann", "hamming"):
            raise ValueError(f"ops.{name}: window={window!r} is neither 'hann' nor 'hamming'.")
        share = 0.5 if window == "hann" else 0.54
        # TensorFlow's are periodic for even lengths alone.
        period = sequence_length if sequence_length % 2 == 0 else max(sequence_length - 1, 1)
        factors = share - (1 - share) * roots_of_unity(period)[np.arange(sequence_length) % period, 0]
        factors = np.ones(1) if sequence_length == 1 else factors
    else:
        factors = np.asarray(window, np.float32)
        if factors.shape != (sequence_length,):
            raise ValueError(
                f"ops.{name}: a window of shape {factors.shape} is not of sequence_length={sequence_length}."
            )
    left = (fft_length - sequence_length) // 2
    whole = np.zeros(fft_length, np.float32)
    whole[left : left + sequence_length] = factors
    return whole


def _check_frames(name, sequence_length, sequence_stride, fft_length):
    for value in (sequence_length, sequence_stride, fft_length):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
            raise ValueError(f"ops.{name} takes lengths and a stride from 1 on, got {value!r}.")
    if fft_length < sequence_length:
        raise ValueError(
            f"ops.{name}: fft_length={fft_length} is less than sequence_length={sequence_length}, which it has to hold."
        )


def _reflected(x, width):
    """`width` elements more on either side, as in a mirror that stands on the first, or last, element."""
    size = x.shape[-1]
    if size <= width:
        raise ValueError(f"ops.stft: center=True needs more than fft_length // 2 = {width} elements, got {size}.")
    strides = [*strides_of(x.shape)[:-1], -1]
    shape = (*x.shape[:-1], width)
    left, right = (view(x, shape, strides, start, x.time) for start in (width, size - 2))
    return concatenate([left, x, right], -1) if width else x


_STFT = {
    "sequence_length": "(int): Elements of a frame that the window is for.",
    "sequence_stride": "(int): From a frame to the next.",
    "fft_length": "(int): Elements of a frame, at least sequence_length; the window stands in its middle.",
}


@operation("STFT", "math", options=("sequence_length", "sequence_stride", "fft_length", "window", "center"))
@documented(
    "The transforms of frames that overlap.",
    {
        "x": "(array): (..., n), float32.",
        **_STFT,
        "window": _WINDOWS,
        "center": "(bool, default True): Whether the first frame has the first element in its middle.",
    },
    "A tuple of two float32 arrays (..., frames, fft_length // 2 + 1), the real and the imaginary part.",
    "ops.stft(np.arange(8, dtype=np.float32), 4, 2, 4)[0].shape\n(5, 3)",
    {"ValueError": "Lengths that do not fit, or an unknown window.", "TypeError": "An array of integers."},
)
def stft(x, sequence_length, sequence_stride, fft_length, window="hann", center=True):
    if x.dtype != "float32":
        raise TypeError(f"ops.stft takes float32, got {x.dtype}.")
    _check_frames("stft", sequence_length, sequence_stride, fft_length)
    factors = _window_of(window, sequence_length, fft_length, "stft")
    if x.time == x.ndim - 1:
        raise MixesTimesteps("it transforms timesteps")
    if center:
        x = _reflected(x, fft_length // 2)
    count = max(0, 1 + (x.shape[-1] - fft_length) // sequence_stride)
    strides = strides_of(x.shape)
    frames = view(x, (*x.shape[:-1], count, fft_length), [*strides[:-1], sequence_stride, 1], time=x.time)
    if factors is not None:
        frames = e.multiply(frames, lift(x.p, factors))
    return _transformed(frames, fft_length, fft_length // 2 + 1, -1)


def _dual_window(factors, stride):
    """What frames are multiplied by so that overlapping ones, added up, give what the window was put on."""
    size = len(factors)
    squares = np.zeros(-(-size // stride) * stride)
    squares[:size] = np.square(factors.astype(np.float64))
    sums = np.tile(squares.reshape(-1, stride).sum(0), len(squares) // stride)[:size]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sums == 0, 0, factors / sums).astype(np.float32)


@operation(
    "ISTFT",
    "math",
    options=("sequence_length", "sequence_stride", "fft_length", "length", "window", "center"),
    several=("x",),
)
@documented(
    "The array whose `stft` is given, where windows and strides allow it.",
    {
        "x": "(tuple of arrays): (..., frames, fft_length // 2 + 1), the real and the imaginary part.",
        **_STFT,
        "length": "(int, default None): Elements of the result; None is all that frames reach.",
        "window": _WINDOWS,
        "center": "(bool, default True): Whether the first frame has the first element in its middle.",
    },
    "float32 array (..., length).",
    "ops.istft(ops.stft(np.arange(8, dtype=np.float32), 4, 2, 4), 4, 2, 4)\n"
    "array([0., 1., 2., 3., 4., 5., 6., 7.], dtype=float32)",
    {"ValueError": "No pair of arrays of one shape, lengths that do not fit, or an unknown window."},
)
def istft(x, sequence_length, sequence_stride, fft_length, length=None, window="hann", center=True):
    re, im = _complex(x, "istft")
    _check_frames("istft", sequence_length, sequence_stride, fft_length)
    if re.ndim < 2:
        raise ValueError(f"ops.istft takes arrays (..., frames, frequencies), got shape {re.shape}.")
    factors = _window_of(window, sequence_length, fft_length, "istft")
    if re.time is not None and re.time >= re.ndim - 2:
        raise MixesTimesteps("it transforms timesteps")
    (frames,) = _transformed((re, im), fft_length, fft_length, 1, hermitian=True, divides=True, real=True)
    if factors is not None:
        frames = e.multiply(frames, lift(re.p, _dual_window(factors, sequence_stride)))
    whole = _overlapped(frames, sequence_stride)
    start = fft_length // 2 if center else 0
    end = whole.shape[-1] - start if length is None else min(start + length, whole.shape[-1])
    return cut(whole, -1, start, max(0, end - start))


def _overlapped(frames, stride):
    """(..., (count - 1) stride + size): frames (..., count, size) added up, each `stride` behind the one before."""
    *batch, count, size = frames.shape
    parts = -(-size // stride)  # of a frame, each of `stride` elements but the last
    total = (count - 1) * stride + size if count else 0
    rows = count + parts - 1
    found = None
    for part in range(parts):
        width = min(stride, size - part * stride)
        piece = view(frames, (*batch, count, width), strides_of(frames.shape), part * stride, frames.time)
        piece = padded(padded(piece, -1, 0, stride - width), -2, part, parts - 1 - part)
        found = piece if found is None else e.add(found, piece)
    flat = Traced(found.p, found.slot.reshaped((*batch, rows * stride)), found.time)
    return cut(flat, -1, 0, total)
