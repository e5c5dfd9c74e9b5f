"""What is said of a model that needs layers which are not there: all of them with counts, and no others."""

import json

import numpy as np
import pytest
from saving_files import dense, functional, input_layer, keras_file, node, sequential

import fastseq
from fastseq import cli
from fastseq.errors import FileFormatError, UnsupportedError
from fastseq.saving.missing import missing_layers


def missing(class_name, name, **options):
    return {"module": "keras.layers", "class_name": class_name, "config": {"name": name, **options}, "name": name,
            "registered_name": None}  # fmt: skip


def refused(tmp_path, config, **options):
    path = keras_file(tmp_path / "m.keras", config)
    with pytest.raises(FileFormatError) as caught:
        fastseq.load_model(path, **options)
    assert caught.value.path == str(path)
    return caught.value


def test_all_are_named_with_their_numbers(tmp_path):
    wrapped = {"module": "keras.layers", "class_name": "TimeDistributed", "registered_name": None,
               "config": {"name": "td", "layer": missing("Conv2DTranspose", "inside")}}  # fmt: skip
    both = {"module": "keras.layers", "class_name": "Bidirectional", "registered_name": None,
            "config": {"name": "bi", "layer": missing("ConvLSTM1D", "f"),
                       "backward_layer": missing("ConvLSTM1D", "b")}}  # fmt: skip
    cells = {"module": "keras.layers", "class_name": "RNN", "registered_name": None,
             "config": {"name": "rnn", "cell": missing("NASCell", "cell")}}  # fmt: skip
    inner = sequential(missing("Conv2DTranspose", "nested"))
    inner["config"]["name"] = "inner"
    config = sequential(
        input_layer(), missing("Conv2DTranspose", "a"), missing("MaxPooling2D", "b"), wrapped, both, cells, inner,
        dense(name="last"),
    )  # fmt: skip
    error = refused(tmp_path, config)
    assert (
        "Conv2DTranspose (3 layers), MaxPooling2D (1 layer), ConvLSTM1D (2 layers), NASCell (1 layer)." in error.reason
    )
    assert (
        "register_keras_serializable" in error.reason and "custom_objects={'Conv2DTranspose': ..., 'Max" in error.reason
    )
    assert error.layer is None
    assert "Dense" not in error.reason and "RNN" not in error.reason.replace("NASCell", "")


def test_one_reads_well(tmp_path):
    error = refused(tmp_path, sequential(input_layer(), missing("Conv2DTranspose", "a")))
    assert error.layer == "a" and error.reason.startswith(
        "The class 'Conv2DTranspose' of module 'keras.layers' is not one fast"
    )
    error = refused(
        tmp_path, sequential(input_layer(), missing("Conv2DTranspose", "a"), missing("Conv2DTranspose", "b"))
    )
    assert error.layer == "a" and "'Conv2DTranspose' (2 layers) of module" in error.reason


def test_the_users_own_are_not_missing(tmp_path):
    class Conv2DTranspose(fastseq.layers.Layer):
        def call(self, inputs):
            return inputs

    config = sequential(input_layer(), missing("Conv2DTranspose", "a"), missing("Pool", "b"), missing("Pool", "c"))
    config["config"]["layers"][1]["module"] = "theirs"
    error = refused(tmp_path, config, custom_objects={"Conv2DTranspose": Conv2DTranspose})
    assert error.reason.startswith("The class 'Pool' (2 layers)")


def test_lambdas_are_told_of_beside_others(tmp_path):
    error = refused(tmp_path, sequential(input_layer(), missing("Lambda", "l"), missing("Conv2DTranspose", "c")))
    assert "Lambda (1 layer), Conv2DTranspose (1 layer)" in error.reason and "'l': function" in error.reason
    assert "'Lambda': ..." not in error.reason
    assert "bytecode" in refused(tmp_path, sequential(input_layer(), missing("Lambda", "l"))).reason


def test_a_missing_function_is_told_of_too(tmp_path):
    own = {"module": "builtins", "class_name": "function", "config": "own", "registered_name": "function"}
    error = refused(
        tmp_path, sequential(input_layer(), dense(name="d", activation=own), missing("Conv2DTranspose", "c"))
    )
    assert "function 'own'" in error.reason and "Conv2DTranspose (1 layer) too" in error.reason


def operation(class_name, name, **config):
    return {"module": "keras.src.ops.numpy", "class_name": class_name, "config": {"name": name, **config},
            "registered_name": class_name, "name": name}  # fmt: skip


def test_expressions_are_no_layers(tmp_path):
    layers = [
        (input_layer(), []),
        (operation("NotEqual", "not_equal"), [node(["input", 0, 0])]),
        (operation("Eigh", "add"), [node(["input", 0, 0])]),
        (missing("Conv2DTranspose", "conv"), [node(["add", 0, 0])]),
    ]
    error = refused(tmp_path, functional(layers, outputs=("conv", 0, 0)))
    assert "Eigh (1 operation), Conv2DTranspose (1 layer)." in error.reason and "not_equal" not in str(error)
    old = {"class_name": "TFOpLambda", "config": {"name": "t", "trainable": True, "function": "__operators__.add"}}
    found = missing_layers({"class_name": "Sequential", "config": {"layers": [old, old]}})
    assert [(name, kind, len(layers)) for name, kind, _, layers in found] == [("add", "operation", 2)]


def test_the_same_words_everywhere(tmp_path, capsys):
    config = sequential(input_layer(), missing("Conv2DTranspose", "a"), missing("Pool", "b"))
    error = refused(tmp_path, config)
    with pytest.raises(UnsupportedError) as caught:
        fastseq.models.model_from_json(json.dumps(config))
    assert str(caught.value) == error.reason
    assert cli.main(["inspect", error.path]) == 2
    assert error.reason in capsys.readouterr().err


def test_the_list_has_an_end(tmp_path):
    entries = [missing("A" * 5000 + str(number), f"n{number}") for number in range(300)]
    reason = refused(tmp_path, sequential(input_layer(), *entries)).reason
    assert len(reason) < 20_000


def test_another_fault_keeps_its_own_words(tmp_path):
    error = refused(tmp_path, sequential(input_layer(), dense(name="d", units=-1)))
    assert error.layer == "d" and "units" in error.reason and "needs what" not in error.reason


@pytest.mark.tensorflow
@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_masked_models_of_keras(tmp_path, library):
    k = pytest.importorskip(library)
    L = k.layers
    ids = k.Input((8,), dtype="int32")
    x = L.LSTM(4, return_sequences=True)(L.Embedding(9, 4, mask_zero=True)(ids))
    x = L.Reshape((8, 4, 1))(x)
    model = k.Model(ids, L.GlobalAveragePooling2D(name="g")(L.Conv2DTranspose(3, 2, name="c")(x)))
    for path in (tmp_path / "m.keras", tmp_path / "m.h5"):
        model.save(path)
        with pytest.raises(
            FileFormatError, match=r"Conv2DTranspose \(1 layer\), GlobalAveragePooling2D \(1 layer\)"
        ) as caught:
            fastseq.load_model(path)
        assert "not_equal" not in str(caught.value)
    with pytest.raises(UnsupportedError, match=r"Conv2DTranspose \(1 layer\), GlobalAveragePooling2D \(1 layer\)"):
        fastseq.from_keras(model)
    single = k.Model(ids, L.Conv2DTranspose(3, 2, name="c")(x))
    with pytest.raises(UnsupportedError, match="Layer 'c': The class 'Conv2DTranspose'"):
        fastseq.from_keras(single)
    assert np.shape(model.get_weights()[0]) == (9, 4)
