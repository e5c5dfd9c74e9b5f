"""STFTSpectrogram beside Keras: every mode, padding, window and layout; weights, configs and gradients."""

import numpy as np
import pytest

import fastseq
from fastseq import layers
from fastseq.layers.preprocessing.stft_spectrogram import _MODES

OPTIONS = [
    *({"mode": mode} for mode in _MODES),
    {"padding": "same", "frame_step": 5, "window": "hamming", "periodic": True, "scaling": "spectrum"},
    {"expand_dims": True, "window": None, "scaling": None, "mode": "psd"},
    {"data_format": "channels_first", "mode": "stft", "fft_length": 64, "window": [0.5] * 24},
    {"data_format": "channels_first", "expand_dims": True, "mode": "magnitude"},
]


@pytest.mark.tensorflow
@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_as_in_keras(options):
    keras = pytest.importorskip("keras")
    first, arguments = options.get("data_format") == "channels_first", {"frame_length": 24, **options, "name": "s"}
    # TensorFlow has no convolution of channels_first on CPUs: Keras computes channels_last, and its result is turned.
    theirs, ours = keras.layers.STFTSpectrogram(**arguments), layers.STFTSpectrogram(**arguments)
    given = np.random.default_rng(0).standard_normal((3, 90, 2)).astype("f")
    theirs.data_format = "channels_last"
    wanted, x = np.asarray(theirs(given)), given
    if first:
        x = given.transpose(0, 2, 1)
        wanted = wanted.transpose((0, 3, 1, 2) if options.get("expand_dims") else (0, 2, 1))
        theirs.data_format = "channels_first"
    ours(x)
    assert ours.compute_output_shape(x.shape) == tuple(wanted.shape)
    names = [weight.path.split("/")[-1] for weight in theirs.weights]
    assert [weight.path.split("/")[-1] for weight in ours.weights] == names
    for mine, other in zip(ours.get_weights(), theirs.get_weights()):
        np.testing.assert_allclose(mine, other, atol=1e-5)  # Keras rounds angles of up to 70 to float32
    ours.set_weights(theirs.get_weights())
    if options.get("mode") == "angle":  # on a circle
        found, wanted = np.exp(1j * ours(x)), np.exp(1j * wanted)
        near = np.abs(found - wanted) < 1e-3
        assert near.mean() > 0.99
    else:
        np.testing.assert_allclose(ours(x), wanted, rtol=1e-4, atol=2e-5 * np.abs(wanted).max())
    assert ours.get_config() == {**theirs.get_config(), "dtype": ours.get_config()["dtype"]}
    assert list(ours.get_config()) == list(theirs.get_config())


def test_its_weights_are_trained_or_not():
    x = np.random.default_rng(0).standard_normal((2, 60, 1)).astype("f")
    for trainable in (True, False):
        model = fastseq.Sequential([
            layers.Input((60, 1)), layers.STFTSpectrogram(frame_length=16, trainable=trainable), layers.LSTM(2),
        ])  # fmt: skip
        model.compile("sgd", "mse")
        before = model.layers[0].get_weights()
        model.fit(x, np.zeros((2, 2), "f"), verbose=0)
        same = all(np.array_equal(a, b) for a, b in zip(before, model.layers[0].get_weights()))
        assert same is not trainable
    with pytest.raises(TypeError, match="takes floating point numbers, got int32"):
        layers.STFTSpectrogram(frame_length=16)(x.astype("i4"))
    with pytest.warns(UserWarning, match="is best a power of two, got 300"):
        layers.STFTSpectrogram(fft_length=300)
