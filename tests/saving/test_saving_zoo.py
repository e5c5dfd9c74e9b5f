"""Files in both directions, and live models, of every layer and many options, against Keras on TensorFlow."""

import model_zoo
import numpy as np
import pytest
import saving_zoo
from saving_zoo import randomize, run

import fastseq
from fastseq.tensors import naming

pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("ignore")]
keras = pytest.importorskip("keras")

ZOO = {**model_zoo.ALL, **saving_zoo.ALL, "shared_calls": model_zoo.shared}


@pytest.fixture(scope="module", params=ZOO, ids=str)
def case(request):
    """(name, Keras's model with random weights, inputs, Keras's outputs)."""
    keras.utils.clear_session()
    theirs = randomize(ZOO[request.param](keras))
    x = model_zoo.random_inputs(ZOO[request.param](fastseq), steps=3)
    return request.param, theirs, x, run(theirs, x)


def close(found, expected):
    assert len(found) == len(expected)
    for index, (ours, theirs) in enumerate(zip(found, expected)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6, err_msg=f"output {index}")


def equal(found, expected):
    assert len(found) == len(expected)
    for index, (ours, theirs) in enumerate(zip(found, expected)):
        np.testing.assert_array_equal(ours, theirs, err_msg=f"output {index}")


def scrambled(model):
    return randomize(model, seed=99)


def test_what_keras_wrote(case, tmp_path):
    """.keras, .h5 and .weights.h5 of Keras, and the live model, give the same model."""
    name, theirs, x, expected = case
    live = fastseq.from_keras(theirs)
    found = run(live, x)
    close(found, expected)
    theirs.save(tmp_path / "m.keras")
    theirs.save(tmp_path / "m.h5")
    theirs.save_weights(tmp_path / "m.weights.h5")
    for file in ("m.keras", "m.h5"):
        ours = fastseq.load_model(tmp_path / file)
        equal(run(ours, x), found)
        # The older format has no mark for a layer that stands in two places; Keras reads two layers as well.
        if not (name == "shared_with_a_wrapper" and file == "m.h5"):
            assert ours.count_params() == theirs.count_params()
        assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
        if file == "m.keras":
            assert [w.shape for w in ours.trainable_weights] == [tuple(w.shape) for w in theirs.trainable_weights]
    naming.reset()
    for file in ("m.weights.h5", "m.keras", "m.h5"):
        built = scrambled(ZOO[name](fastseq))
        built.load_weights(tmp_path / file)
        equal(run(built, x), found)


def test_what_we_write(case, tmp_path):
    """Keras reads our files of a model it wrote, and of one that fastseq built; so do we, with the same bits."""
    name, theirs, x, expected = case
    theirs.save(tmp_path / "theirs.keras")
    ours = fastseq.load_model(tmp_path / "theirs.keras")
    found = run(ours, x)
    ours.save(tmp_path / "ours.keras")
    equal(run(fastseq.load_model(tmp_path / "ours.keras"), x), found)
    equal(run(keras.saving.load_model(tmp_path / "ours.keras"), x), expected)
    ours.save(tmp_path / "ours.h5")
    equal(run(fastseq.load_model(tmp_path / "ours.h5"), x), found)
    equal(run(keras.saving.load_model(tmp_path / "ours.h5"), x), expected)

    naming.reset()
    built = randomize(ZOO[name](fastseq), seed=1)
    found = run(built, x)
    built.save(tmp_path / "built.keras")
    loaded = keras.saving.load_model(tmp_path / "built.keras")
    expected = run(loaded, x)
    close(found, expected)
    equal(run(fastseq.load_model(tmp_path / "built.keras"), x), found)

    built.save_weights(tmp_path / "built.weights.h5")
    again = scrambled(fastseq.load_model(tmp_path / "built.keras"))
    again.load_weights(tmp_path / "built.weights.h5")
    equal(run(again, x), found)
    scrambled(loaded).load_weights(tmp_path / "built.weights.h5")
    equal(run(loaded, x), expected)


def test_shared_across_models(tmp_path):
    """Keras cannot read its own file of such a model; we read ours, and a live one stays one."""
    theirs = randomize(saving_zoo.shared_across_models(keras))
    x = model_zoo.random_inputs(theirs)
    ours = fastseq.from_keras(theirs)
    close(run(ours, x), run(theirs, x))
    ours.save(tmp_path / "m.keras")
    loaded = fastseq.load_model(tmp_path / "m.keras")
    equal(run(loaded, x), run(ours, x))
    assert loaded.count_params() == ours.count_params() == theirs.count_params()
    theirs.save(tmp_path / "m.keras")
    with pytest.raises(Exception):  # noqa: B017
        keras.saving.load_model(tmp_path / "m.keras")
