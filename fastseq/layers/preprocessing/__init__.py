"""Layers that make a model's inputs ready; Keras's name for the module of these layers."""

from fastseq.configs.lazy_names import Names, face

_NAMES = Names("fastseq.layers", {
    "preprocessing.mel_spectrogram": "MelSpectrogram",
    "preprocessing.rescaling": "Rescaling",
    "preprocessing.stft_spectrogram": "STFTSpectrogram",
})  # fmt: skip

__all__ = list(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)
