"""Initializers: distributions, seeds and configs, and the same against Keras."""

import copy
import math
import pickle

import numpy as np
import pytest
from public_names import classes_of

import fastseq
from fastseq import initializers
from fastseq.initializers import SeedGenerator

RANDOM = {
    "random_normal": (initializers.RandomNormal, {"mean": 0.5, "stddev": 0.2}),
    "random_uniform": (initializers.RandomUniform, {"minval": -1.0, "maxval": 3.0}),
    "truncated_normal": (initializers.TruncatedNormal, {"mean": -1.0, "stddev": 0.3}),
    "variance_scaling": (initializers.VarianceScaling, {"scale": 3.0, "mode": "fan_out", "distribution": "uniform"}),
    "untruncated": (initializers.VarianceScaling, {"distribution": "untruncated_normal", "mode": "fan_avg"}),
    "glorot_uniform": (initializers.GlorotUniform, {}),
    "glorot_normal": (initializers.GlorotNormal, {}),
    "he_uniform": (initializers.HeUniform, {}),
    "he_normal": (initializers.HeNormal, {}),
    "lecun_uniform": (initializers.LecunUniform, {}),
    "lecun_normal": (initializers.LecunNormal, {}),
    "axes": (initializers.HeNormal, {"input_axes": (1, 2), "output_axes": (0,)}),
    "orthogonal": (initializers.Orthogonal, {"gain": 1.5}),
}
SHAPE = (30, 40, 50)


def test_every_initializer_has_a_case():
    """Those that draw nothing have tests of their own."""
    fixed = ("Constant", "Identity", "Ones", "Zeros")
    assert {cls.__name__ for cls, _ in RANDOM.values()} == classes_of(
        initializers.ALL_OBJECTS_DICT, "Initializer", *fixed
    )


@pytest.mark.tensorflow
@pytest.mark.parametrize("case", RANDOM)
def test_distribution_is_that_of_keras(case):
    keras = pytest.importorskip("keras")
    cls, arguments = RANDOM[case]
    ours = cls(seed=11, **arguments)(SHAPE)
    theirs = np.array(getattr(keras.initializers, cls.__name__)(seed=11, **arguments)(SHAPE))
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    # 60,000 values: quantiles and moments of equal distributions differ by about 1/sqrt(60000) = 0.004 deviations.
    deviation = theirs.std()
    quantiles = np.linspace(0.02, 0.98, 25)
    np.testing.assert_allclose(np.quantile(ours, quantiles), np.quantile(theirs, quantiles), atol=0.05 * deviation)
    np.testing.assert_allclose(ours.std(), deviation, rtol=0.015)
    bounded = "uniform" in case or case in ("variance_scaling", "truncated_normal")
    np.testing.assert_allclose(ours.max(), theirs.max(), atol=(0.02 if bounded else 1.0) * deviation)


@pytest.mark.tensorflow
@pytest.mark.parametrize("case", RANDOM)
def test_configs_are_those_of_keras(case):
    keras = pytest.importorskip("keras")
    cls, arguments = RANDOM[case]
    theirs = getattr(keras.initializers, cls.__name__)(seed=7, **arguments)
    ours = cls(seed=7, **arguments)
    assert ours.get_config() == theirs.get_config()
    assert initializers.serialize(ours) == keras.initializers.serialize(theirs)
    again = initializers.get(keras.initializers.serialize(theirs))
    np.testing.assert_array_equal(again((3, 4, 5)), ours((3, 4, 5)))
    assert type(keras.initializers.get(initializers.serialize(ours))) is type(theirs)


@pytest.mark.tensorflow
def test_constants_are_those_of_keras():
    keras = pytest.importorskip("keras")
    for name, arguments in (("Zeros", ()), ("Ones", ()), ("Constant", (2.5,)), ("Identity", (3.0,))):
        ours = getattr(initializers, name)(*arguments)
        theirs = getattr(keras.initializers, name)(*arguments)
        for shape in ((3, 5), (4, 4)):
            np.testing.assert_array_equal(ours(shape), np.array(theirs(shape)))
            assert ours(shape).dtype == np.float32
        loaded = keras.initializers.get(initializers.serialize(ours))
        np.testing.assert_array_equal(np.array(loaded((3, 5))), ours((3, 5)))


@pytest.mark.tensorflow
def test_names_are_those_of_keras():
    keras = pytest.importorskip("keras")
    from keras.src.initializers import ALL_OBJECTS_DICT

    assert set(ALL_OBJECTS_DICT) - set(initializers.ALL_OBJECTS_DICT) == {"STFT", "stft", "STFTInitializer"}
    for name, cls in initializers.ALL_OBJECTS_DICT.items():
        assert ALL_OBJECTS_DICT[name].__name__ == cls.__name__
    assert {n for n in dir(keras.initializers) if n[0] != "_"} - set(dir(initializers)) == {
        "STFT",
        "stft",
        "STFTInitializer",
    }


@pytest.mark.tensorflow
def test_config_with_a_seed_generator_of_keras():
    keras = pytest.importorskip("keras")
    config = keras.initializers.serialize(keras.initializers.RandomNormal(seed=keras.random.SeedGenerator(4)))
    ours = initializers.get(config)
    np.testing.assert_array_equal(ours((3,)), initializers.RandomNormal(seed=4)((3,)))
    assert (ours((3,)) != initializers.RandomNormal(seed=4)((3,))).all()


@pytest.mark.parametrize("case", RANDOM)
def test_same_seed_gives_same_values(case):
    cls, arguments = RANDOM[case]
    first = cls(seed=3, **arguments)
    values = first((4, 5, 6))
    np.testing.assert_array_equal(values, first((4, 5, 6)))
    np.testing.assert_array_equal(values, cls(seed=3, **arguments)((4, 5, 6)))
    assert not np.array_equal(values, cls(seed=4, **arguments)((4, 5, 6)))
    assert values.dtype == np.float32
    assert first((4, 5, 6), dtype="float64").dtype == np.float64


def test_without_a_seed_instances_differ_and_calls_do_not():
    one, two = initializers.GlorotUniform(), initializers.GlorotUniform()
    np.testing.assert_array_equal(one((5, 5)), one((5, 5)))
    assert not np.array_equal(one((5, 5)), two((5, 5)))
    assert not np.array_equal(one((5, 5)), one.clone()((5, 5)))


def test_seed_generator_gives_new_values_at_each_call_in_a_fixed_order():
    def draw(seed):
        initializer = initializers.RandomNormal(seed=SeedGenerator(seed))
        return np.stack([initializer((50,)) for _ in range(3)])

    np.testing.assert_array_equal(draw(1), draw(1))
    values = np.concatenate([draw(1), draw(2)])
    assert len(np.unique(values)) == values.size


def test_values_of_a_seed_stay_the_same_between_releases():
    values = initializers.GlorotUniform(seed=1)((2, 2))
    np.testing.assert_array_equal(values, initializers.GlorotUniform(seed=1 + 2**32)((2, 2)))
    np.testing.assert_allclose(values, [[0.02895695, 1.1034062], [-0.8716274, 1.0989622]], rtol=1e-6)


def test_truncated_normal_stays_within_two_deviations():
    values = initializers.TruncatedNormal(mean=1.0, stddev=0.5, seed=0)((100_000,))
    assert np.abs(values - 1).max() <= 1.0
    np.testing.assert_allclose(values.std(), 0.5 * 0.87962566, rtol=0.01)


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2), (2, 3, 4), (300, 20)])
def test_orthogonal_is_orthogonal(shape):
    matrix = initializers.Orthogonal(gain=2.0, seed=0)(shape).reshape(-1, shape[-1]).astype(np.float64)
    product = matrix @ matrix.T if matrix.shape[0] < matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=2e-6)


@pytest.mark.parametrize(
    ("shape", "fans"),
    [((), (1, 1)), ((7,), (7, 7)), ((3, 4), (3, 4)), ((5, 3, 4), (15, 20)), ((2, 5, 3, 4), (30, 40))],
)
def test_fans(shape, fans):
    assert initializers.compute_fans(shape) == fans


def test_glorot_limit():
    values = initializers.GlorotUniform(seed=0)((100, 200))
    limit = math.sqrt(6 / 300)
    assert 0.999 * limit < np.abs(values).max() <= limit * (1 + 1e-6)


def test_constant_takes_arrays_and_its_config_brings_them_back():
    constant = initializers.Constant(np.arange(3.0))
    np.testing.assert_array_equal(constant((2, 3)), [[0, 1, 2], [0, 1, 2]])
    again = initializers.get(initializers.serialize(constant))
    np.testing.assert_array_equal(again((2, 3)), constant((2, 3)))


def test_get():
    assert initializers.get(None) is None
    assert type(initializers.get("glorot_uniform")) is initializers.GlorotUniform
    assert type(initializers.get("zero")) is initializers.Zeros
    assert type(initializers.get("uniform")) is initializers.RandomUniform
    assert type(initializers.get(initializers.Ones)) is initializers.Ones
    assert type(initializers.get({"class_name": "Zeros"})) is initializers.Zeros
    assert type(initializers.get({"class_name": "Zeros", "config": None})) is initializers.Zeros
    assert initializers.get({"class_name": "HeNormal", "config": {"seed": 5}}).seed == 5
    given = initializers.get(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(given((2,)), np.array([1, 2], np.float32))
    with pytest.raises(ValueError, match="shape"):
        given((3,))

    def own(shape, dtype=None):
        return np.full(shape, 7.0)

    assert initializers.get(own) is own
    for wrong in ("nope", 5):
        with pytest.raises(ValueError, match="initializer identifier"):
            initializers.get(wrong)
    with pytest.raises(ValueError, match=r"'nope'.*register_keras_serializable"):
        initializers.get({"class_name": "nope", "config": {}})


def test_files_and_pickles_hold_an_array_in_the_place_of_an_initializer(tmp_path):
    given = np.arange(8.0).reshape(4, 2)
    model = fastseq.Sequential([fastseq.Input((4,)), fastseq.layers.Dense(2, kernel_initializer=given)])
    model.save(tmp_path / "m.keras")
    for other in (fastseq.load_model(tmp_path / "m.keras"), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(other.weights[0], given)
        np.testing.assert_array_equal(other.layers[0].kernel_initializer((4, 2)), given)


@pytest.mark.parametrize(
    "make",
    [
        lambda: initializers.VarianceScaling(scale=0.0),
        lambda: initializers.VarianceScaling(mode="fan"),
        lambda: initializers.VarianceScaling(distribution="cauchy"),
        lambda: initializers.GlorotUniform(seed="1"),
        lambda: SeedGenerator(1.5),
        lambda: initializers.Orthogonal()((3,)),
        lambda: initializers.Identity()((3,)),
        lambda: initializers.RandomNormal()((3,), dtype="int32"),
        lambda: initializers.Zeros()((3,), dtype="nope"),
        lambda: initializers.get({"class_name": "Zeros", "config": {"wrong": 1}}),
        lambda: initializers.get({"class_name": "Zeros", "config": "text"}),
    ],
)
def test_wrong_arguments_raise(make):
    with pytest.raises(ValueError):
        make()
