"""`losses.CTC` beside Keras 3.15: values, gradients, what fits, training and files."""

import numpy as np
import pytest

import fastseq
from fastseq import losses, ops
from fastseq.training.traced_losses import has_own_gradient

pytestmark = pytest.mark.tensorflow
keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

_BATCH, _TIME, _CLASSES = 5, 7, 6
_LABELS = np.array([[1, 2, 3], [4, 4, 0], [5, 0, 0], [0, 0, 0], [2, 5, 2]])


def _logits(seed=1):
    return (np.random.default_rng(seed).standard_normal((_BATCH, _TIME, _CLASSES)) * 2).astype("f")


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("weight", [None, np.array([1.0, 0.0, 2.0, 0.5, 3.0], "f")])
@pytest.mark.parametrize("kind", ["int64", "int32", "float32"])
def test_values_and_gradients(reduction, weight, kind):
    x = tf.convert_to_tensor(_logits())
    with tf.GradientTape() as tape:
        tape.watch(x)
        wanted = keras.losses.CTC(reduction=reduction)(_LABELS, x, weight)
    loss = losses.CTC(reduction=reduction)
    value, gradient = loss.value_and_gradient(_LABELS.astype(kind), _logits(), weight)
    np.testing.assert_allclose(value, wanted, rtol=2e-6)
    np.testing.assert_allclose(gradient, tape.gradient(wanted, x), rtol=1e-4, atol=2e-6)
    np.testing.assert_allclose(loss(_LABELS.astype(kind), _logits(), weight), wanted, rtol=2e-6)
    own = losses.CTC(reduction="none", dtype="float64")(_LABELS, _logits())
    assert own.dtype == np.float64 and own.shape == (_BATCH,)
    np.testing.assert_allclose(own, keras.losses.ctc(_LABELS, _logits()), rtol=2e-6)
    np.testing.assert_array_equal(own.astype("f"), losses.ctc(_LABELS, _logits()))


@pytest.mark.parametrize("given", ["ctc", "CTC", losses.ctc, losses.CTC(), losses.CTC])
def test_every_way_to_name_it(given):
    loss = losses.get(given)
    assert loss in (losses.ctc,) or isinstance(loss, losses.CTC)
    assert isinstance(losses.for_output(given, _LABELS, _logits()), losses.CTC)


def test_its_config_is_keras_s():
    ours, theirs = losses.CTC("sum", "mine"), keras.losses.CTC("sum", "mine")
    assert ours.get_config() == theirs.get_config()
    assert losses.serialize(ours) == keras.losses.serialize(theirs)
    again = losses.deserialize(keras.losses.serialize(theirs))
    assert (type(again), again.reduction, again.name) == (losses.CTC, "sum", "mine")
    assert losses.deserialize("ctc") is losses.ctc and losses.CTC().name == keras.losses.CTC().name == "ctc"


def test_what_does_not_fit():
    for y_true, y_pred in [((5,), (5, 7, 6)), ((5, 3), (5, 6)), ((5, 3, 2), (5, 7, 6))]:
        with pytest.raises(ValueError, match=r"Loss ctc: the labels have shape \(batch, longest\).*got \(5,"):
            losses.ctc(np.ones(y_true, "i"), np.ones(y_pred, "f"))
        with pytest.raises(ValueError, match=r"Targets|Logits"):
            keras.losses.ctc(np.ones(y_true, "i"), np.ones(y_pred, "f"))
    model = _model(fastseq)
    with pytest.raises(ValueError, match=r"labels have shape \(5,\).*in loss ctc"):
        model.train_on_batch(np.ones((5, _TIME, 3), "f"), np.ones(5, "i"))


def _model(library, loss=None):
    layers = [library.Input((_TIME, 3)), library.layers.LSTM(4, return_sequences=True), library.layers.Dense(_CLASSES)]
    model = library.Sequential(layers)
    model.compile(optimizer=library.optimizers.SGD(0.1), loss=loss or library.losses.CTC())
    return model


def test_training_evaluating_and_files(tmp_path):
    x = np.random.default_rng(0).standard_normal((_BATCH, _TIME, 3)).astype("f")
    theirs = _model(keras)
    theirs.save(tmp_path / "theirs.keras")
    ours = fastseq.load_model(tmp_path / "theirs.keras")
    assert isinstance(ours.loss, losses.CTC) and not has_own_gradient(ours.loss)
    assert ours.evaluate(x, _LABELS, verbose=0) == pytest.approx(theirs.evaluate(x, _LABELS, verbose=0), rel=1e-5)
    for _ in range(3):
        got, wanted = ours.train_on_batch(x, _LABELS), theirs.train_on_batch(x, _LABELS)
        assert float(np.squeeze(got)) == pytest.approx(float(np.squeeze(wanted)), rel=1e-5)
    for own, other in zip(ours.get_weights(), theirs.get_weights()):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-5)
    ours.save(tmp_path / "ours.keras")
    again = keras.models.load_model(tmp_path / "ours.keras")
    assert type(again.loss) is keras.losses.CTC
    assert again.evaluate(x, _LABELS, verbose=0) == pytest.approx(ours.evaluate(x, _LABELS, verbose=0), rel=1e-5)
    weight = np.array([1, 0, 2, 1, 1], "f")
    by_name, in_python = _model(fastseq, "ctc"), _model(fastseq, losses.CTC(dtype="float64"))
    in_python.set_weights(by_name.get_weights())
    first, second = (model.train_on_batch(x, _LABELS, sample_weight=weight) for model in (by_name, in_python))
    assert float(np.squeeze(first)) == pytest.approx(float(np.squeeze(second)), rel=1e-5)


def test_in_value_and_grad():
    x = _logits()
    value, gradient = fastseq.value_and_grad(lambda logits: ops.sum(losses.ctc(_LABELS, logits)))(x)
    wanted, by_hand = losses.CTC(reduction="sum").value_and_gradient(_LABELS, x)
    assert float(value) == pytest.approx(wanted, rel=1e-6)
    np.testing.assert_allclose(gradient, by_hand, rtol=1e-6)
