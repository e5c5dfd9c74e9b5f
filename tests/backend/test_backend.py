"""The backend's names, settings and helpers, and automatic names."""

import importlib
import inspect
import re
import subprocess
import sys
import threading

import numpy as np
import pytest

from fastseq import backend as K
from fastseq.backend import missing
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
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'\. It has: abs, all, any, "):
        K.nonsense()


_WITH_LISTS = [
    "fastseq", "fastseq.activations", "fastseq.backend", "fastseq.callbacks", "fastseq.constraints", "fastseq.decoding",
    "fastseq.initializers", "fastseq.layers", "fastseq.losses", "fastseq.metrics", "fastseq.models", "fastseq.ops",
    "fastseq.ops.linalg", "fastseq.ops.nn", "fastseq.ops.numpy", "fastseq.optimizers", "fastseq.optimizers.schedules",
    "fastseq.regularizers", "fastseq.saving", "fastseq.streaming",
]  # fmt: skip


@pytest.mark.parametrize("package", _WITH_LISTS)
def test_a_name_that_is_not_there_comes_with_the_list_in_an_import_too(package):
    module = importlib.import_module(package)
    wanted = f"'nonsense' from '{package}'. It has: {', '.join(dir(module))}."
    with pytest.raises(ImportError, match=re.escape(wanted)) as error:
        exec(f"from {package} import nonsense")
    assert error.value.name == package
    assert not hasattr(module, "nonsense")
    with pytest.raises(AttributeError, match=re.escape(f"'{package}' has no attribute 'nonsense'. It has: ")):
        module.nonsense  # noqa: B018
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"{package}.nonsense")


def test_what_is_refused_says_why_in_an_import_too():
    for name, reason in missing.REASONS.items():
        with pytest.raises(ImportError, match=re.escape(f"'{name}' from 'fastseq.backend': {reason}.")):
            exec(f"from fastseq.backend import {name}")
        assert name not in K.__all__


def test_modules_of_a_package_with_names_are_imported():
    code = "from fastseq.backend import shapes; from fastseq.layers import recurrent; print(shapes.__name__)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "fastseq.backend.shapes\n"


@pytest.mark.tensorflow
def test_every_name_of_keras_2_is_there_or_says_why_not():
    of_keras = pytest.importorskip("tf_keras").backend
    names = {name for name in dir(of_keras) if name[0] != "_" and callable(getattr(of_keras, name))}
    assert not names - set(K.__all__) - set(missing.REASONS)
    for name in sorted(names & set(K.__all__)):
        own = inspect.signature(getattr(K, name)).parameters.values()
        theirs = inspect.signature(getattr(of_keras, name)).parameters.values()
        own, theirs = ([(p.name, p.default) for p in ps if p.kind != p.VAR_KEYWORD] for ps in (own, theirs))
        assert own == theirs or name == "clear_session", name


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


def test_get_value():
    assert K.get_value([1, 2]).tolist() == [1, 2]
