"""Every public name has Args, Returns, Raises and an Example where its signature and source ask for them.

The names come from `__all__` of the public modules, and the methods from the classes that users call.
"""

import ast
import doctest
import importlib
import inspect
import re
import textwrap
import types

import numpy as np
import pytest
from public_names import MODULES

import fastseq
from fastseq.decoding import Decoder
from fastseq.streaming import Stream, StreamPool

# Methods that programs, streams, training and files call, not users: fastseq/layers/README.md is about those of layers.
INSIDE = {
    "emit", "emit_mask", "keeps_time", "last_output", "packed", "saved_tree", "symbolic_mask", "trace",
    "cell_of_output", "direction", "gates", "initial_slots", "reference", "walk",
    "arrange", "check_ranks", "layers_in_keras", "name_ends",
    "build_for", "take_over", "takes_logits", "Mean.add", "value_and_gradient_of_logits", "for_integers",
}  # fmt: skip
SECTION = re.compile(r"^(Args|Returns|Raises|Example):$", re.MULTILINE)
GLOBALS = {module.rpartition(".")[2]: importlib.import_module(module) for module in MODULES} | {"np": np}
PROPERTIES = (property, types.GetSetDescriptorType)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def public_objects():
    """{dotted name: class or function}, each object under the first of its names."""
    found, seen = {}, set()
    for module in map(importlib.import_module, MODULES):
        for name in module.__all__:
            item = getattr(module, name)
            if callable(item) and not isinstance(item, types.ModuleType) and id(item) not in seen:
                seen.add(id(item))
                found[f"{module.__name__}.{name}"] = item
    return found


def owner_of(cls, name):
    """The class among `cls` and its bases that defines an attribute."""
    return next(base for base in cls.__mro__ if name in vars(base))


def public_methods():
    """{Class.name: (class, attribute)} of the methods and properties of public classes, each where it is first met."""
    found, seen = {}, set()
    for cls in filter(inspect.isclass, OBJECTS.values()):
        for name in dir(cls):
            owner = owner_of(cls, name)
            if name.startswith("_") or not INSIDE.isdisjoint((name, f"{owner.__name__}.{name}")):
                continue
            attribute = vars(owner)[name]
            is_method = callable(attribute) or isinstance(attribute, (classmethod, staticmethod, *PROPERTIES))
            new = (owner, name) not in seen
            if new and is_method and owner.__module__.startswith("fastseq") and not inspect.isclass(attribute):
                seen.add((owner, name))
                found[f"{cls.__name__}.{name}"] = (cls, attribute)
    return found


OBJECTS = public_objects()
# Functions that say why they are not there, outside of `__all__`.
OBJECTS |= {f"fastseq.ops.{name}": getattr(GLOBALS["ops"], name) for name in ("nonzero", "unique")}
METHODS = public_methods()


def sections(doc):
    """{name of a section: its text}, of all sections of a name where there are several."""
    parts, found = SECTION.split(inspect.cleandoc(doc)), {}
    for name, text in zip(parts[1::2], parts[2::2]):
        found[name] = found.get(name, "") + text
    return found


def parameters(item):
    """Names of the arguments as a docstring has them: with their stars, without self."""
    try:
        signature = inspect.signature(item)
    except (TypeError, ValueError):
        return []
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    names = [stars.get(p.kind, "") + p.name for p in signature.parameters.values()]
    return [name for name in names if name not in ("self", "cls", "pool")]


def own_tree(item):
    """The tree of a function's source, or None where there is none (Cython, the constructor of a base class)."""
    function = vars(item).get("__init__") if inspect.isclass(item) else item
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body[0]
    except (AttributeError, OSError, TypeError):
        return None


def statements(node):
    """The statements of a function without those of the functions in it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.ClassDef, ast.Lambda)):
            yield child
            yield from statements(child)


def wanted(item, is_method=False):
    """The sections that an object's signature and source ask for; an Example of each class and function."""
    found = set() if is_method else {"Example"}
    if parameters(item):
        found.add("Args")
    tree = own_tree(item)
    if tree is None:
        return found
    inside = list(statements(tree))
    if any(isinstance(node, ast.Raise) and node.exc is not None for node in inside):
        found.add("Raises")
    returns = any(isinstance(node, ast.Return) and not is_none(node.value) for node in inside)
    if not inspect.isclass(item) and returns:
        found.add("Returns")
    return found


def is_none(value):
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def missing(name, item, doc, is_method=False):
    """What a docstring lacks, as sentences."""
    if not doc or not doc.strip():
        return [f"{name} has no docstring"]
    found = sections(doc)
    lacking = wanted(item, is_method) - set(found)
    faults = [f"{name} has no {section}" for section in sorted(lacking)]
    for argument in parameters(item):
        if not re.search(rf"^    {re.escape(argument)}[ :]", found.get("Args", ""), re.MULTILINE):
            faults.append(f"{name} says nothing of {argument}")
    return faults


def doc_of(item):
    """A class's own docstring, a function's, without the one of object."""
    return vars(item).get("__doc__") if inspect.isclass(item) else item.__doc__


def function_of(attribute):
    """What a class has under a method's name, as a function."""
    return getattr(attribute, "__func__", attribute)


def docs_of_method(cls, name):
    """The docstrings of a method and of those that it overrides, which say what stays the same."""
    found = [function_of(vars(base)[name]).__doc__ for base in cls.__mro__ if name in vars(base)]
    return "\n".join(inspect.cleandoc(doc) for doc in found if doc)


def overrides_layer(name):
    """Whether a method of a layer is one that `Layer` has too, whose docstring then stands for it."""
    cls, _ = METHODS[name]
    owner, name = owner_of(cls, attribute_name(name)), attribute_name(name)
    return hasattr(fastseq.Layer, name) and issubclass(cls, fastseq.Layer) and owner not in fastseq.Layer.__mro__


def is_of_models(name):
    """Whether a method is defined in one of the classes whose methods say everything themselves."""
    cls, _ = METHODS[name]
    return owner_of(cls, attribute_name(name)).__module__.startswith("fastseq.models")


def attribute_name(name):
    return name.rpartition(".")[2]


@pytest.mark.parametrize("name", OBJECTS)
def test_sections_of_public_names(name):
    assert missing(name, OBJECTS[name], doc_of(OBJECTS[name])) == []


@pytest.mark.parametrize("name", METHODS)
def test_sections_of_public_methods(name):
    cls, attribute = METHODS[name]
    if isinstance(attribute, PROPERTIES) or overrides_layer(name):
        assert inspect.getdoc(getattr(cls, attribute_name(name))), f"{name} has no docstring"
        return
    assert missing(name, function_of(attribute), docs_of_method(cls, attribute_name(name)), is_method=True) == []


@pytest.mark.parametrize("name", [name for name in METHODS if is_of_models(name)])
def test_methods_of_models_say_everything_themselves(name):
    """No reader of `help(model.fit)` has to look at another class; each has an Example, too."""
    _, attribute = METHODS[name]
    if isinstance(attribute, PROPERTIES):
        assert attribute.__doc__, f"{name} has no docstring"
    else:
        assert missing(name, function_of(attribute), function_of(attribute).__doc__) == []


@pytest.mark.parametrize("name", [*OBJECTS, *METHODS])
def test_examples_run(name):
    doc = doc_of(OBJECTS[name]) if name in OBJECTS else getattr(function_of(METHODS[name][1]), "__doc__", None)
    examples = doctest.DocTestParser().get_doctest(inspect.cleandoc(doc or ""), dict(GLOBALS), name, None, None)
    said = []
    doctest.DocTestRunner(optionflags=FLAGS).run(examples, out=said.append)
    assert said == []


def operations_without_raises():
    functions = {name: item for name, item in OBJECTS.items() if name.startswith("fastseq.ops.")}
    return [name for name, function in functions.items() if "Raises" not in sections(function.__doc__)]


@pytest.mark.parametrize("name", operations_without_raises())
def test_operations_without_raises_take_everything(name):
    """Arrays of shapes that do not broadcast, and scalars; they have no argument that could be wrong otherwise."""
    function = OBJECTS[name]
    x, other = np.ones((2, 3), np.float32), np.ones((5, 7), np.float32)
    named = inspect.signature(function).parameters
    options = function.definition.options if hasattr(function, "definition") else ()
    tensors = [p for p in named.values() if p.default is p.empty and p.name not in options]
    numbers = [1.0 for p in named.values() if p.default is p.empty and p.name in options]
    function(*[x, other, other][: len(tensors)], *numbers)
    function(*[np.float32(1)] * len(tensors), *numbers)
    assert named.keys().isdisjoint({"axis", "axes", "shape", "dtype"})


@pytest.mark.parametrize("cls", [Stream, StreamPool, Decoder, fastseq.Variable])
def test_an_example_shows_every_method(cls):
    examples = sections(doc_of(cls))["Example"]
    methods = [name for name in dir(cls) if f"{cls.__name__}.{name}" in METHODS]
    called = [name for name in methods if not isinstance(inspect.getattr_static(cls, name), property)]
    named = "|".join(re.findall(r"\.(\w+)", examples))
    assert [name for name in called if not re.fullmatch(named, name)] == []


def test_a_hole_is_seen():
    """The tests above see what they are there to see."""

    def f(x, **options):
        """A docstring.

        Args:
            x: What is halved.
        """
        if not x:
            raise ValueError
        return x / 2

    names = ["has no Example", "has no Raises", "has no Returns", "says nothing of **options"]
    assert missing("f", f, f.__doc__) == [f"f {name}" for name in names]
    assert missing("f", f, None) == ["f has no docstring"]


def test_a_hole_in_a_method_is_seen():
    class Base:
        def f(self, x):
            """A docstring.

            Args:
                x: What is halved.
            """

    class Own(Base):
        def f(self, x, y):
            """Another one."""
            return x / y

    doc = docs_of_method(Own, "f")
    assert missing("f", Own.f, doc, is_method=True) == ["f has no Returns", "f says nothing of y"]
    assert missing("f", Base.f, docs_of_method(Base, "f"), is_method=True) == []
    assert missing("f", Base.f, Base.f.__doc__) == ["f has no Example"]


def test_every_public_class_has_its_methods_looked_at():
    looked_at = {owner_of(cls, attribute_name(name)) for name, (cls, _) in METHODS.items()}
    assert len(METHODS) > 350
    assert {fastseq.Layer, fastseq.Model, fastseq.Sequential, Stream, fastseq.losses.Loss} <= looked_at


def test_help_of_a_layer_shows_its_arguments():
    for name in inspect.signature(fastseq.layers.LSTM).parameters:
        assert f"    {name} (" in inspect.getdoc(fastseq.layers.LSTM) or name == "kwargs"
