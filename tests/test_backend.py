"""The backend's settings and helpers, automatic names, and the same against Keras."""

import threading

import numpy as np
import pytest

from fastseq import backend as K
from fastseq import errors
from fastseq.tensors import naming
from fastseq.tensors.symbolic import KerasTensor


@pytest.fixture
def _fresh_names():
    naming.reset()
    yield
    naming.reset()


CLASSES = (
    "Dense GRU LSTM BatchNormalization TimeDistributed ConvLSTM2D GlobalAveragePooling1D RNN MyLSTMLayer2 L1L2 ReLU "
    "PReLU GRUCell Bidirectional LSTM Dense Dense dense MyLayer_2"
).split()


@pytest.mark.tensorflow
def test_names_are_those_of_keras(_fresh_names):
    pytest.importorskip("keras")
    from keras.src.utils import naming as of_keras

    of_keras.reset_uids()
    for name in CLASSES:
        assert naming.to_snake_case(name) == of_keras.to_snake_case(name)
        assert naming.auto_name(name) == of_keras.auto_name(name)
    for prefix in ("dense", "dense", "new", ""):
        assert K.get_uid(prefix) == of_keras.get_uid(prefix)
    assert naming.auto_name("Dense") == of_keras.auto_name("Dense")
    of_keras.reset_uids()


def test_names_count_up_and_start_again(_fresh_names):
    assert [naming.auto_name("Dense") for _ in range(3)] == ["dense", "dense_1", "dense_2"]
    assert naming.auto_name("TimeDistributed") == "time_distributed"
    K.clear_session()
    assert naming.auto_name("Dense") == "dense"
    K.reset_uids()
    assert naming.auto_name("Dense") == "dense"


def test_threads_name_on_their_own(_fresh_names):
    naming.auto_name("Dense")
    names = {}

    def build(key):
        names[key] = [naming.auto_name("Dense") for _ in range(200)]

    threads = [threading.Thread(target=build, args=(key,)) for key in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = ["dense", *(f"dense_{i}" for i in range(1, 200))]
    assert all(names[key] == expected for key in range(8))
    assert naming.auto_name("Dense") == "dense_1"


def test_settings():
    assert K.backend() == "fastseq"
    K.set_floatx("float32")
    assert K.floatx() == "float32"
    with pytest.raises(ValueError, match="float16"):
        K.set_floatx("float16")
    assert K.epsilon() == 1e-7
    assert K.image_data_format() == "channels_last"
    K.set_image_data_format("channels_first")
    assert K.image_data_format() == "channels_first"
    K.set_image_data_format("channels_last")
    with pytest.raises(ValueError, match="data_format"):
        K.set_image_data_format("last")


def test_removed_names_say_what_to_do():
    with pytest.raises(AttributeError, match="training=True"):
        K.learning_phase()
    assert not hasattr(K, "get_session")
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        K.nonsense()


def test_tensors():
    tensor = KerasTensor((None, 3))
    assert K.is_keras_tensor(tensor)
    assert not K.is_keras_tensor(np.zeros(2))
    assert K.int_shape(tensor) == K.shape(tensor) == (None, 3)
    assert K.ndim(tensor) == 2
    assert K.int_shape(np.zeros((2, 3))) == (2, 3)
    assert K.int_shape(5) is None
    assert K.shape([[1], [2]]) == (2, 1)


@pytest.mark.parametrize("dtype", [np.float64, "float64", np.dtype("float64"), float])
def test_standardize_dtype(dtype):
    assert K.standardize_dtype(dtype) == "float64"


def test_dtypes():
    assert K.standardize_dtype(None) == "float32"
    assert K.standardize_dtype("bool") == "bool"
    assert K.standardize_dtype("bfloat16") == "bfloat16"
    for wrong in ("nope", object, "datetime64[s]", 5):
        with pytest.raises(ValueError, match="Invalid dtype"):
            K.standardize_dtype(wrong)
    assert K.is_float_dtype("float16")
    assert not K.is_float_dtype("int8")
    assert K.is_int_dtype(np.uint8)
    assert not K.is_int_dtype("bool")


A = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 7 - 1
B = np.arange(8, dtype=np.float32).reshape(4, 2)
CALLS = [
    ("sum", (A,), {"axis": 1}),
    ("sum", (A > 0,), {}),
    ("sum", (A.astype("int32"),), {}),
    ("sum", ([1.5, 2.0],), {}),
    ("mean", (A,), {"axis": -1, "keepdims": True}),
    ("mean", (A > 0,), {}),
    ("mean", (A.astype("int32"),), {}),
    ("max", (A,), {"axis": 0}),
    ("min", (A,), {}),
    ("argmax", (A,), {}),
    ("abs", (A,), {}),
    ("exp", (A,), {}),
    ("log", (A,), {}),
    ("sqrt", (A,), {}),
    ("square", (A,), {}),
    ("clip", (A, -0.5, 0.5), {}),
    ("clip", (A, None, 0.5), {}),
    ("clip", (A, 0.5, -0.5), {}),
    ("dot", (A, B), {}),
    ("dot", (A, A.reshape(2, 4, 3)), {}),
    ("concatenate", ([A, A],), {}),
    ("concatenate", ([A, A],), {"axis": 1}),
    ("stack", ([A, A],), {"axis": 1}),
    ("expand_dims", (A,), {}),
    ("expand_dims", (A, 1), {}),
    ("squeeze", (A[:1], 0), {}),
    ("reshape", (A, (4, -1)), {}),
    ("transpose", (B,), {}),
    ("permute_dimensions", (A, (2, 0, 1)), {}),
    ("zeros", ((2, 3),), {}),
    ("ones", ((2, 3),), {"dtype": "int32"}),
    ("cast", (A, "int32"), {}),
    ("cast_to_floatx", (A.astype("float64"),), {}),
    ("relu", (A,), {"alpha": 0.1, "max_value": 0.5}),
    ("sigmoid", (A,), {}),
    ("softmax", (A,), {"axis": 1}),
    ("tanh", (A,), {}),
]


@pytest.mark.tensorflow
@pytest.mark.parametrize(("name", "arguments", "keywords"), CALLS)
def test_helpers_are_those_of_keras_2(name, arguments, keywords):
    keras = pytest.importorskip("keras")
    tensorflow = pytest.importorskip("tensorflow")
    from keras.src.legacy import backend as legacy

    ours = np.asarray(getattr(K, name)(*arguments, **keywords))

    def tensors(argument):
        if isinstance(argument, list):
            return [tensors(item) for item in argument]
        return tensorflow.constant(argument) if isinstance(argument, np.ndarray) else argument

    # The old functions refuse to add booleans and round the mean of integers down, where Keras 3 does what one expects.
    of_keras = keras.ops if name in ("sum", "mean") else legacy
    theirs = np.asarray(getattr(of_keras, name)(*map(tensors, arguments), **keywords))
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-7)


def test_get_value():
    assert K.get_value([1, 2]).tolist() == [1, 2]


def test_file_format_error_names_what_is_known():
    error = errors.FileFormatError("weights are missing", path="a.keras", layer="lstm_1")
    assert (error.path, error.layer, error.reason) == ("a.keras", "lstm_1", "weights are missing")
    assert str(error) == "file 'a.keras', layer 'lstm_1': weights are missing"
    assert str(errors.FileFormatError("truncated")) == "truncated"
    assert isinstance(error, ValueError)
    assert issubclass(errors.UnsupportedError, ValueError)


def test_errors_survive_pickling():
    import pickle

    error = pickle.loads(pickle.dumps(errors.FileFormatError("bad", path="p", layer="l")))
    assert str(error) == "file 'p', layer 'l': bad"
