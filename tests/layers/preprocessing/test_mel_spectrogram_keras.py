"""MelSpectrogram beside Keras, eager and in a graph."""

import numpy as np
import pytest

import fastseq
from fastseq import layers

OPTIONS = (
    {"power_to_db": False},
    {},
    {"window": "hamming", "mag_exp": 1.0, "ref_power": 0.5},
    {"sequence_length": 48, "min_freq": 100.0, "max_freq": 4000.0, "top_db": 20.0, "num_mel_bins": 5},
    {"sequence_stride": 7, "sampling_rate": 8000, "min_power": 1e-3},
)


@pytest.mark.tensorflow
@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_as_in_keras(options):
    keras = pytest.importorskip("keras")
    arguments = {"fft_length": 64, "sequence_stride": 16, "num_mel_bins": 8, **options}
    theirs, ours = (k.layers.MelSpectrogram(**arguments, name="mel") for k in (keras, fastseq))
    assert ours.get_config() == {**theirs.get_config(), "dtype": ours.get_config()["dtype"]}
    assert list(ours.get_config()) == list(theirs.get_config())
    x = np.random.default_rng(0).standard_normal((3, 200)).astype("f")
    for given in (x, x[0]):
        wanted = np.asarray(theirs(given))
        found = ours(given)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=3e-5 * np.abs(wanted).max())
        assert ours.compute_output_shape(given.shape) == wanted.shape
    np.testing.assert_allclose(
        ours.linear_to_mel_weight_matrix(), theirs.linear_to_mel_weight_matrix(), rtol=0, atol=1e-4
    )


def test_of_a_tone():
    """A tone of 1 kHz is in the band that is around it."""
    x = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype("f")
    y = layers.MelSpectrogram(1024, 256, num_mel_bins=40)(x[None])
    edges = np.linspace(*(1127 * np.log1p(f / 700) for f in (20.0, 8000.0)), 42)
    band = np.argmin(np.abs(edges[1:-1] - 1127 * np.log1p(1000 / 700)))
    assert set(y[0, :, 5:-5].argmax(0)) == {band}
    assert y.max() - y.min() <= 80.0001
