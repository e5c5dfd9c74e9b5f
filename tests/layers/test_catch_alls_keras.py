"""Layers of users whose `call` takes `*args` and `**kwargs`, beside Keras 3.15."""

import keras
import numpy as np
import pytest

import fastseq
from fastseq import ops

_X = np.arange(12, dtype="float32").reshape(2, 2, 3) / 7
_Y = 1 - _X
_MASK = np.array([[True, False], [True, True]])


def _of_arrays(Noting):
    class Sum(Noting):
        def call(self, *args):
            return sum(args)

    class FirstAndOthers(Noting):
        def call(self, first, *others):
            return first * 2 + sum(others)

    class OthersByAnotherName(Noting):
        def call(self, *inputs, training=None):
            return sum(inputs) * (2 if training else 3)

    class BuiltByNames(Noting):
        def build(self, first_shape, others_shape):
            self.shape = first_shape, others_shape

        def call(self, first, *others):
            return first + others[-1]

    class Pair(Noting):
        def call(self, first, second):
            return first - second

    return {cls.__name__: cls for cls in (Sum, FirstAndOthers, OthersByAnotherName, BuiltByNames, Pair)}


def _of_masks(Noting):
    class WithMask(Noting):
        supports_masking = True

        def call(self, *args, mask=None):
            return args[0] + len(args) + (0 if mask is None else 100 * len(mask)) + (mask[0] is not None) * 1000

    class MasksByName(Noting):
        supports_masking = True

        def call(self, first, *others, mask=None, first_mask=None, others_mask=None):
            return (
                first + (mask is not None) * 100 + (first_mask is not None) * 1000 + (others_mask is not None) * 10000
            )

    return {cls.__name__: cls for cls in (WithMask, MasksByName)}


def _of_keywords(Noting):
    class Keywords(Noting):
        def call(self, first, **kwargs):
            scale = kwargs.get("scale", 1.0)
            return first * scale + kwargs["bias"] + ("training" in kwargs) * 100 + ("mask" in kwargs) * 1000

    class Both(Noting):
        def call(self, *args, **kwargs):
            return args[0] * (5 if kwargs.get("training") else 7) + sum(kwargs.values())

    return {cls.__name__: cls for cls in (Keywords, Both)}


def _classes(library):
    """The same layers on the Layer of one library or the other, by name."""

    class Noting(library.layers.Layer):
        shape = "not built"

        def build(self, input_shape):
            self.shape = input_shape

    return _of_arrays(Noting) | _of_masks(Noting) | _of_keywords(Noting)


_OURS, _THEIRS = _classes(fastseq), _classes(keras)
_CALLS = [
    ("Sum", 1, {}), ("Sum", 2, {}), ("Sum", 3, {}), ("FirstAndOthers", 1, {}), ("FirstAndOthers", 3, {}),
    ("OthersByAnotherName", 2, {}), ("OthersByAnotherName", 1, {"training": True}), ("WithMask", 1, {}),
    ("WithMask", 2, {}), ("MasksByName", 1, {}), ("MasksByName", 3, {}), ("Keywords", 1, {"bias": _Y}),
    ("Keywords", 1, {"bias": _Y, "training": True}),
    ("Keywords", 1, {"bias": _Y, "mask": _MASK}), ("Both", 1, {"training": True}),
    ("BuiltByNames", 2, {}), ("BuiltByNames", 3, {}), ("Pair", 2, {}),
]  # fmt: skip


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name, count, keywords", _CALLS)
@pytest.mark.filterwarnings("ignore:.*does not support masking")
def test_what_a_call_gets_and_what_its_build_gets(name, count, keywords, masked):
    def called(library, cls):
        array = library.layers.Masking(mask_value=_X[0, 1, 0])(_X) if masked else library.ops.convert_to_tensor(_X)
        layer = cls()
        if "mask" in keywords and library is keras:  # it takes the mask's tensor for one of numbers
            return layer, layer(array, **{**keywords, "mask": keras.ops.convert_to_tensor(_MASK)})
        return layer, layer(array, *[_Y, _X * 5][: count - 1], **keywords)

    ours, result = called(fastseq, _OURS[name])
    theirs, wanted = called(keras, _THEIRS[name])
    np.testing.assert_array_equal(np.asarray(result), np.asarray(wanted))
    assert ours.shape == theirs.shape
    assert ops.is_tensor(result) and (getattr(wanted, "_keras_mask", None) is None) == (
        fastseq.tensors.arrays.mask_of(result) is None
    )


@pytest.mark.parametrize("name, count", [
    ("Sum", 1), ("Sum", 3), ("FirstAndOthers", 1), ("FirstAndOthers", 3), ("OthersByAnotherName", 2), ("WithMask", 2),
    ("MasksByName", 3), ("BuiltByNames", 2), ("Pair", 2),
])  # fmt: skip
def test_in_a_graph_its_file_its_clone_and_its_gradient(name, count):
    def made(library, cls):
        inputs = [library.Input((2, 3)) for _ in range(count)]
        first = library.layers.Dense(3, kernel_initializer="ones")(inputs[0])
        return library.Model(inputs, cls(name="own")(first, *inputs[1:]))

    given = [_X, _Y, _X * 5][:count]
    ours, theirs = made(fastseq, _OURS[name]), made(keras, _THEIRS[name])
    wanted = theirs.predict(given, verbose=0)
    assert ours.output_shape == theirs.output_shape
    np.testing.assert_allclose(ours.predict(given), wanted, rtol=1e-6)
    for keep, other, classes in ((ours, fastseq, _OURS), (theirs, fastseq, _OURS), (ours, keras, _THEIRS)):
        again = _through_a_file(keep, other, classes[name])
        np.testing.assert_allclose(again.predict(given, verbose=0), wanted, rtol=1e-6)
    clone = fastseq.models.clone_model(ours)
    np.testing.assert_allclose(clone.predict(given), wanted, rtol=1e-6)
    ours.compile("sgd", "mse")
    before = ours.get_weights()[0]
    ours.fit(given, np.zeros_like(wanted), verbose=0)
    assert np.abs(ours.get_weights()[0] - before).min() > 0


def _through_a_file(model, library, cls):
    path = f"{_through_a_file.folder}/{type(model).__module__.split('.')[0]}.keras"
    model.save(path)
    return library.models.load_model(path, custom_objects={cls.__name__: cls}, compile=False)


@pytest.fixture(autouse=True)
def _folder(tmp_path):
    _through_a_file.folder = str(tmp_path)


def test_in_a_sequential_in_time_distributed_and_in_a_stream():
    for make in (
        lambda library, cls: [library.Input((2, 3)), cls(), library.layers.Dense(2, kernel_initializer="ones")],
        lambda library, cls: [library.Input((2, 3)), library.layers.TimeDistributed(cls())],
    ):
        ours, theirs = (
            library.Sequential(make(library, classes["Sum"]))
            for library, classes in ((fastseq, _OURS), (keras, _THEIRS))
        )
        np.testing.assert_allclose(ours.predict(_X), theirs.predict(_X, verbose=0), rtol=1e-6)
    inputs = fastseq.Input((None, 3))
    model = fastseq.Model(
        inputs, _OURS["FirstAndOthers"]()(fastseq.layers.LSTM(3, return_sequences=True)(inputs), inputs)
    )
    stream = model.stream(batch_size=2)
    steps = [stream.step(_X[:, t]) for t in range(2)]
    np.testing.assert_array_equal(np.stack(steps, 1), model.predict(_X))


def test_a_stream_asks_all_arguments_of_a_layer_for_their_timesteps():
    class Centred(fastseq.layers.Layer):
        def call(self, first, second):
            return first - ops.mean(second, axis=1, keepdims=True)

    inputs = fastseq.Input((None, 3))
    model = fastseq.Model(inputs, Centred()(fastseq.layers.Dense(3)(inputs), inputs))
    with pytest.raises(ValueError, match=r"'centred.*takes all timesteps together"):
        model.stream()


def test_the_shape_of_a_call_is_that_of_all_its_arguments():
    class Repeated(fastseq.layers.Layer):
        def call(self, first, second=None, times=1):
            return ops.concatenate([first, second] * times, axis=-1)

    class InPython(Repeated):
        traced = False

    for cls in (Repeated, InPython):
        found = cls()(fastseq.Input((2, 3)), fastseq.Input((2, 1)), times=2)
        assert found.shape == (None, 2, 8)


def test_what_is_no_array_is_no_argument_by_position():
    with pytest.raises(ValueError, match=r"'sum.*takes arrays as `args`, got 2 of type int"):
        _OURS["Sum"]()(_X, 2)
    with pytest.raises(TypeError, match="without an input"):
        _OURS["Sum"]()()
