"""Layers, models and optimizers for pickle and copy.deepcopy: a dict of a config, which is data, and arrays.

What a pickle holds is one call of `restored` with that dict. Its config is JSON as in a `.keras` file, and is read by
what reads those: a name in it is looked up among the built-ins and the registered classes, nothing is imported or run
for it. Registered classes and functions that the config names stand beside it as pickle has classes, so that a process
which has not yet imported, and thereby registered, them does it now. Arrays are NumPy's, out of band in protocol 5.

No HDF5 is needed. `from_bytes` reads the pickles of fastseq 0.1, which held a `.keras` file.
"""

import contextlib
import json
import sys

import numpy as np

from fastseq.configs import limits, policies, recording, serialization, shared_objects
from fastseq.configs.registry import CustomObjectScope, register_as, scope_objects
from fastseq.errors import FileFormatError
from fastseq.saving import api, carried
from fastseq.tensors import mask_rules, naming, seeds
from fastseq.tensors.variable import Variable
from fastseq.tensors.weight_budget import WeightBudget
from fastseq.version import __version__

#: Of the dict. It grows where an older fastseq would read it wrongly; further keys alone are no new version.
VERSION = 1
_KINDS = ("layer", "optimizer", "variable")


# ---- pickle ----------------------------------------------------------------------------------------------------------


def pickled(item):
    """What `__reduce__` of a layer, model, optimizer or `Variable` returns.

    Raises UnregisteredError, naming it, for a class or function that the config names and nobody has registered.
    """
    state = state_of(item)
    # A class of a function's own is found by its registered name alone, in a process that has registered it.
    objects = {key: found for key, found in state["objects"].items() if _has_address(found)}
    return restored, ({**state, "objects": objects},)


def _has_address(item):
    """Whether pickle finds a class or function by its module and name."""
    found = sys.modules.get(item.__module__)
    for name in item.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is item


def state_of(item, by_reference=False):
    """The dict that `restored` takes. Its arrays are those of `item`, not copies.

    by_reference: what is not registered goes into "objects" too, under names of its own; else UnregisteredError.
    """
    return _noted_state(item, by_reference)[0]


def _noted_state(item, by_reference):
    """(what `state_of` gives, the Recording of its config)."""
    with recording.Recording(by_reference) as noted:
        config = _config(item)
    state = {
        "version": VERSION, "fastseq": __version__, "kind": _kind(item), "config": json.dumps(config),
        "mask_rules": mask_rules.NEWEST.since, "objects": noted.objects,
        "arrays": noted.arrays,
    }  # fmt: skip
    if state["kind"] == "layer":
        if getattr(item, "compile_config", None) is not None:  # as the file that it comes from had it
            state["compile_config"] = json.dumps(item.compile_config)
        return {**state, **carried.collect(item)}, noted
    if state["kind"] == "optimizer":
        return {**state, "optimizer": carried.of_optimizer(item)}, noted
    return {**state, "value": item._value, "trainable": [item.trainable, item.listed_trainable]}, noted


def _kind(item):
    return "variable" if isinstance(item, Variable) else "layer" if hasattr(item, "saved_tree") else "optimizer"


def _config(item):
    if not isinstance(item, Variable):
        return serialization.serialize_keras_object(item)
    parts = {key: getattr(item, key) for key in ("regularizer", "constraint")}
    return {"name": item.name, **{key: serialization.serialize_keras_object(part) for key, part in parts.items()}}


def restored(state):
    """The layer, model, optimizer or `Variable` of such a dict: its own, compiled as it was.

    Raises FileFormatError for a dict that is none, and for one of a later version, which it names; UnsupportedError
    where the config asks for a class that nobody registered; and warns as `load_model` does where that is a part of
    how the model was compiled.
    """
    _check(state)
    try:
        for name, found in state["objects"].items():
            # A class that came by value, as cloudpickle brings a notebook's, was never decorated in this process.
            register_as(name, found)
        return _restored(state)[0]
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        # What is in a damaged dict may be missing, or be anything.
        raise FileFormatError(f"this is no sound state of a {state['kind']}: {error!r}") from error


def _restored(state):
    """(what `restored` gives, its parts by path where it is a layer)."""
    objects = {**scope_objects(), **state["objects"]}
    config = limits.parse_json(state["config"], "config", None)
    with contextlib.ExitStack() as stack:
        # A copy uses up no name and no seed, and warns of no policy: its original did so.
        for scope in (naming.not_counted(), seeds.drawn_apart(), policies.reading(quiet=True)):
            stack.enter_context(scope)
        stack.enter_context(CustomObjectScope(objects))
        stack.enter_context(recording.arrays_at_hand(state["arrays"]))
        if state["kind"] == "variable":
            return _variable(config, state), {}
        if state["kind"] == "optimizer":
            return _optimizer(config, state), {}
        size = sum(array.nbytes for part in state["layers"].values() for array in part.get("weights", ()))
        made = _layer(config, size, mask_rules.named(state["mask_rules"]))
        with WeightBudget(size):
            parts = carried.give(made, state)
        if "compile_config" in state:
            made.compile_config = limits.parse_json(state["compile_config"], "compile_config", None)
        return made, parts


def _layer(config, size, rules):
    if isinstance(config, dict) and isinstance(config.get("config"), dict) and "layers" in config["config"]:
        return api._build(config, None, None, size, rules, optimizers_wait=True)
    scopes = (shared_objects.ObjectSharingScope(), WeightBudget(size, optimizers_wait=True), mask_rules.scope(rules))
    with scopes[0], scopes[1], scopes[2]:
        made = serialization.deserialize_keras_object(config)
    if not hasattr(made, "saved_tree"):
        raise FileFormatError(f"a pickle of a layer describes a {type(made).__name__}")
    return made


def _optimizer(config, state):
    from fastseq import optimizers

    optimizer = optimizers.deserialize(config)
    if not isinstance(optimizer, optimizers.Optimizer):
        raise FileFormatError(f"a pickle of an optimizer describes a {type(optimizer).__name__}")
    carried.to_optimizer(optimizer, state["optimizer"])
    return optimizer


def _variable(config, state):
    from fastseq import constraints, regularizers

    trainable, listed = state["trainable"]
    variable = Variable(
        _numbers(state["value"]), config["name"], listed, regularizer=regularizers.get(config["regularizer"]),
        constraint=constraints.get(config["constraint"]),
    )  # fmt: skip
    variable.trainable = bool(trainable)
    return variable


def _numbers(value):
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
        raise FileFormatError("a pickle of a weight holds no numbers")
    return value


def _check(state):
    version = state.get("version") if isinstance(state, dict) else None
    if type(version) is not int or version < 1 or state.get("kind") not in _KINDS:
        raise FileFormatError("this is no state of a layer, a model, an optimizer or a weight")
    if version > VERSION:
        raise FileFormatError(
            f"this pickle is of version {version}, made by fastseq {str(state.get('fastseq'))[:40]}; fastseq "
            f"{__version__} reads them up to version {VERSION}: update fastseq-cpu, or save the model to a .keras file "
            "there and load that"
        )


# ---- copy.deepcopy ---------------------------------------------------------------------------------------------------


def deep_copy(item, memo=None):
    """A layer, model, optimizer or `Variable` of its own with the same weights, states and all that a pickle holds.

    Classes and functions in it need not be registered: they are at hand, and are the same in the copy.
    memo: as copy.deepcopy has it: a layer in `item` that was copied before stays that copy, and the layers and weights
    in `item` go into it beside `item`.
    """
    state, noted = _noted_state(item, by_reference=True)
    with shared_objects.already_made(noted.by_number(memo or {})):
        made, parts = _restored(state)
    if memo is not None and parts:
        for path, own in carried.parts(item).items():
            if path not in parts:
                continue
            memo[id(own)] = parts[path]
            memo.update(zip(map(id, own._own_weights()), parts[path]._own_weights()))
            if getattr(own, "optimizer", None) is not None:
                memo[id(own.optimizer)] = parts[path].optimizer
    return made


# ---- fastseq 0.1 -----------------------------------------------------------------------------------------------------


def from_bytes(data, custom_objects=None):
    """The model of the bytes of a `.keras` file, compiled as it was. Raises and warns as `load_model` does."""
    from fastseq.saving.keras_zip import KerasArchive

    with KerasArchive(None, data) as archive, policies.reading(quiet=True):
        return api.load_archive(archive, custom_objects)
