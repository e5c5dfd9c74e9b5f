"""Random models beside Keras: files of Keras 3.15 and of tf_keras made here, and stored ones of Keras 3.3.

`python tests/support/random_check.py --count 2000` runs as many as one likes, random_models.py says how they are made.
"""

import io
import json
import warnings
import zipfile

import keras33_masks
import numpy as np
import pytest
import random_check
import random_models
import random_rules
import random_surroundings

import fastseq

# 52 and 48 seeds: a range, and those of it that Keras itself cannot build or run.
SEEDS = {
    "keras": sorted({*range(57)} - {1, 2, 11, 46, 47}),
    "tf_keras": sorted({*range(58)} - {1, 2, 9, 11, 20, 31, 36, 46, 49, 55}),
}
# Of random_surroundings.py.
AROUND = {"keras": sorted({*range(51)} - {38}), "tf_keras": sorted({*range(53)} - {29, 32, 38})}


def _check(module, seed, folder):
    keras = pytest.importorskip(module)
    program = random_models.write(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        faults = random_check.compare(keras, program, folder, train=seed % 8 == 0, graph=seed % 3 == 0)
    assert not faults, "\n".join([*map(str, faults), program.source()])


@pytest.mark.tensorflow
@pytest.mark.parametrize(("module", "seed"), [(module, seed) for module in AROUND for seed in AROUND[module]])
def test_layers_around_recurrent_ones(module, seed, tmp_path):
    """Convolutions, pooling, normalisations, attention."""
    keras = pytest.importorskip(module)
    program = random_surroundings.write(seed, legacy=module == "tf_keras")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        faults = random_check.compare(keras, program, tmp_path, train=seed % 8 == 0, graph=seed % 3 == 0)
    assert not faults, "\n".join([*map(str, faults), program.source()])


@pytest.mark.tensorflow
@pytest.mark.parametrize("seed", SEEDS["keras"])
def test_keras3(seed, tmp_path):
    _check("keras", seed, tmp_path)


@pytest.mark.tensorflow
@pytest.mark.parametrize("seed", SEEDS["tf_keras"])
def test_keras2(seed, tmp_path):
    _check("tf_keras", seed, tmp_path)


STORED = {**keras33_masks.cases("masks"), **keras33_masks.cases("rules")}


@pytest.mark.parametrize("name", STORED)
def test_stored_of_keras33(name, tmp_path):
    case = STORED[name]
    path = tmp_path / "model.keras"
    path.write_bytes(case.file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = random_check.leaves(fastseq.load_model(path).predict(random_check.given(case.inputs)))
    for array, exact, error in zip(found, case.exact, case.error, strict=True):
        floor = random_check.ULPS * random_check.EPS * max(1.0, np.max(np.abs(exact), initial=0))
        np.testing.assert_allclose(array, exact, rtol=0, atol=1.5 * error + floor)


def test_what_is_stored():
    assert len(keras33_masks.cases("masks")) >= 100
    for case in STORED.values():
        with zipfile.ZipFile(io.BytesIO(case.file)) as archive:
            assert json.loads(archive.read("metadata.json"))["keras_version"] == "3.3.3"
        assert not case.reloaded  # Keras 3.3 computes the same after loading, so there is one right value.


@pytest.mark.tensorflow
@pytest.mark.parametrize("module", ["keras", "tf_keras"])
def test_keras_zeroes_other_timesteps_where_it_unrolls_backwards(module):
    """The fault of Keras's own for which random_check.py compares with Keras's loop."""
    keras = pytest.importorskip(module)
    x, mask = np.ones((1, 3, 1), np.float32), np.array([[True, True, False]])
    loop, unrolled = (
        keras.layers.SimpleRNN(
            1, return_sequences=True, go_backwards=True, zero_output_for_mask=True, unroll=unroll,
            kernel_initializer="ones", recurrent_initializer="zeros", activation=None,
        )(x, mask=mask)
        for unroll in (False, True)
    )  # fmt: skip
    np.testing.assert_array_equal(np.ravel(loop), [0, 1, 1])  # The masked timestep is the first of those that it walks.
    np.testing.assert_array_equal(np.ravel(unrolled), [0, 1, 0])


def test_a_seed_gives_one_program():
    for seed in range(50):
        first, second = random_models.write(seed), random_models.write(seed)
        assert first.source() == second.source()
        for a, b in zip(first.arrays(), second.arrays(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_programs_are_of_many_kinds():
    """A rule that stopped to write lines would leave a kind of model untested."""
    sources = "\n".join(random_models.write(seed).source() for seed in range(300))
    words = [
        "mask_zero=True", "Masking()", "mask=x", "initial_state=", "return_state=True", "go_backwards=True", "P('",
        "zero_output_for_mask=True", "stateful=True", "unroll=", "L.RNN(", "StackedRNNCells", "merge_mode=None",
        "merge_mode='mul'", "backward_layer=", "L.TimeDistributed(L.Embedding", "keras.Sequential", "L.Dot(axes=1",
        "axis=1)", "axis=-1)", "RepeatVector", "Permute", "Reshape", "Flatten", "dtype='bool'",
        *random_rules.ELEMENTWISE,
    ]  # fmt: skip
    assert [word for word in words if word not in sources] == []


def test_the_programs_of_layers_around_are_of_many_kinds():
    sources = "\n".join(random_surroundings.write(seed).source() for seed in range(300))
    words = [
        "Conv1D", "SeparableConv1D", "DepthwiseConv1D", "Conv1DTranspose", "padding='causal'", "strides=2",
        "dilation_rate=3", "MaxPooling1D", "GlobalAveragePooling1D(keepdims", "UpSampling1D", "ZeroPadding1D",
        "Cropping1D", "axis=[1, 2]", "BatchNormalization", "RMSNormalization", "GroupQueryAttention", "causal_mask",
    ]  # fmt: skip
    assert [word for word in words if word not in sources] == []


def test_the_comparison_sees_faults():
    single, double = np.ones(3, np.float32), np.ones(3)
    assert random_check.too_far(single, single, lambda: double) is None
    off = single + np.float32(1e-5)
    assert "off by 1e-05" in random_check.too_far(off, single, lambda: double)
    # Keras itself is as far from float64.
    assert random_check.too_far(off, single, lambda: double + 2e-5) is None
    assert random_check.too_far(np.array([1, np.nan, 1], np.float32), single, lambda: double)
    assert random_check.too_far(np.ones(2, np.float32), single, lambda: double)
