"""`__module__` of a public class or function is the module in which users find it, whatever was imported before."""

import importlib
import inspect
import json
import pickle
import subprocess
import sys
import traceback
import typing

import pytest
from public_names import MODULES

import fastseq
from fastseq import initializers, layers, losses, metrics, models, optimizers
from fastseq.configs.lazy_names import Names, publish

# Names that a second module has too -> the one that they name.
ALSO_IN = {
    "fastseq": {
        "fastseq.layers": {"Input", "Layer"},
        "fastseq.models": {"Model", "Sequential"},
        "fastseq.saving": {"from_keras", "load_model"},
    },
    "fastseq.metrics": {
        "fastseq.losses": {"mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_error"},
    },
}


def public_items():
    """{dotted name: class or function}"""
    found = {}
    for module in MODULES:
        for name in importlib.import_module(module).__all__:
            item = getattr(importlib.import_module(module), name)
            if callable(item):
                found[f"{module}.{name}"] = item
    return found


ITEMS = public_items()
CLASSES = {name: item for name, item in ITEMS.items() if inspect.isclass(item)}
FUNCTIONS = {name: item for name, item in ITEMS.items() if inspect.isfunction(item)}


def home_of(name):
    module, _, word = name.rpartition(".")
    return next((home for home, words in ALSO_IN.get(module, {}).items() if word in words), module)


def test_every_public_name():
    assert len(ITEMS) > 250
    assert {name: item.__module__ for name, item in ITEMS.items()} == {name: home_of(name) for name in ITEMS}


def test_the_module_has_it_under_its_own_name():
    for item in ITEMS.values():
        assert getattr(sys.modules[item.__module__], item.__qualname__) is item


ALONE = """
import importlib, inspect, json, pkgutil, sys
import fastseq.layers

table = fastseq.layers.REGISTRY
table._found = None  # who looks a name up there raises TypeError
found = {}
for module in pkgutil.walk_packages(fastseq.layers.__path__, "fastseq.layers."):
    for name, item in vars(importlib.import_module(module.name)).items():
        if inspect.isclass(item) and name in table:
            found[name] = item.__module__
print(json.dumps([found, sorted(table)]))
"""


def test_classes_of_layers_that_nobody_looked_up():
    """A base class, or the layer that another one makes, does not wait until somebody asks for it by name."""
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, timeout=300, check=True)
    found, names = json.loads(done.stdout)
    assert found == dict.fromkeys(names, "fastseq.layers")


def test_a_users_class_keeps_its_own():
    class LSTM(layers.LSTM):
        pass

    class Huber(losses.Huber):
        pass

    class Sequential(fastseq.Sequential):
        pass

    assert {cls.__module__ for cls in (LSTM, Huber, Sequential)} == {__name__}
    assert type(LSTM(2)).__module__ == __name__


def test_publish_leaves_alone_what_is_not_ours_and_what_another_package_has():
    def own():
        pass

    own.__module__ = "fastseq.somewhere.inside"
    namespace = {
        "__name__": "fastseq.test_publish", "__all__": ["own", "Names", "Dense", "dumps", "number", "absent"],
        "own": own, "Names": Names, "Dense": layers.Dense, "dumps": pickle.dumps, "number": 3,
    }  # fmt: skip
    before = Names.__module__
    try:
        publish(namespace)
        assert (own.__module__, Names.__module__) == ("fastseq.test_publish", "fastseq.test_publish")
        assert (layers.Dense.__module__, pickle.dumps.__module__) == ("fastseq.layers", "_pickle")
    finally:
        Names.__module__ = before


def test_words_that_people_see():
    assert repr(layers.LSTM) == "<class 'fastseq.layers.LSTM'>"
    assert repr(fastseq.Model) == "<class 'fastseq.models.Model'>"
    said = traceback.format_exception_only(fastseq.UnsupportedError("no"))
    assert said == ["fastseq.UnsupportedError: no\n"]


# ---- what reads __module__ -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_classes_and_functions_name_the_public_path(protocol):
    for item in ITEMS.values():
        data = pickle.dumps(item, protocol)
        assert pickle.loads(data) is item
        assert item.__module__.encode() in data


OLD_PATHS = {
    "fastseq.callbacks.base": "History", "fastseq.decoding.loop": "Decoded", "fastseq.errors": "FileFormatError",
    "fastseq.initializers.scaling": "GlorotUniform", "fastseq.layers.core.input_layer": "Input",
    "fastseq.layers.recurrent.lstm": "LSTM", "fastseq.losses.regression": "Huber",
    "fastseq.metrics.confusion": "Precision", "fastseq.models.sequential": "Sequential",
    "fastseq.optimizers.adam": "Adam", "fastseq.activations.smooth": "gelu", "fastseq.tensors.symbolic": "KerasTensor",
}  # fmt: skip


@pytest.mark.parametrize("module", OLD_PATHS)
def test_pickles_that_name_the_file_are_read(module):
    """Pickles of before: a class stood in them by the module of its source."""
    name = OLD_PATHS[module]
    item = pickle.loads(f"c{module}\n{name}\n.".encode())
    assert item is ITEMS[f"{item.__module__}.{name}"]


@pytest.mark.parametrize(
    "make",
    [losses.Huber, metrics.Precision, initializers.GlorotUniform, optimizers.Adam, lambda: layers.LSTM(2),
     lambda: models.Sequential([layers.Input((3,)), layers.Dense(2)]), lambda: fastseq.FileFormatError("bad"),
     lambda: fastseq.decoding.Decoded(1, 2, None), fastseq.callbacks.History],
)  # fmt: skip
def test_pickles_of_instances(make):
    made = make()
    again = pickle.loads(pickle.dumps(made))
    assert type(again) is type(made)


def test_source_of_functions_and_methods():
    for name, item in FUNCTIONS.items():
        assert inspect.getsource(item).lstrip().startswith(("def ", "@")), name
    for name, item in CLASSES.items():
        for method in filter(inspect.isfunction, vars(item).values()):
            assert inspect.getsource(method).strip(), name


def test_type_hints():
    for name, item in ITEMS.items():
        found = typing.get_type_hints(item)
        assert set(found) == set(getattr(item, "__annotations__", ())), name
    assert set(typing.get_type_hints(fastseq.decoding.Decoded)) == {"ids", "lengths", "scores"}


def test_configs_name_keras_modules():
    for item, module in (
        (layers.Dense(2), "keras.layers"), (losses.Huber(), "keras.losses"), (optimizers.Adam(), "keras.optimizers"),
        (initializers.Zeros(), "keras.initializers"), (metrics.Mean(), "keras.metrics"),
        (layers.LocallyConnected1D(2, 1), "fastseq.layers"), (models.Sequential(), "keras"),
    ):  # fmt: skip
        assert fastseq.saving.serialize_keras_object(item)["module"] == module
