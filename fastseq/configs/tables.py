"""The closed tables that names in configs are looked up in, by kind, and what is said where a name is in none.

The names here are all that a config can lead to, beside what the user registers.
"""

import importlib

from fastseq.errors import UnsupportedError

BUILTIN_PACKAGES = ("keras", "tf_keras", "keras_core", "tensorflow", "fastseq")
MODEL_MODULES = {"Sequential": "keras", "Model": "keras", "Functional": "keras.src.models.functional"}
# Classes that Keras's HDF5 files have under the name of their source, not under the public one.
OTHER_NAMES = {"GroupedQueryAttention": "GroupQueryAttention"}
OWN_PACKAGE, OWN_MODULE = "fastseq", "fastseq.layers"
NESTED = {"schedules": "optimizers.schedules"}
# Kind -> the class that a user subclasses to stand in for a missing one.
_BASES = {"optimizers": "optimizers.Optimizer", "losses": "losses.Loss", "metrics": "metrics.Metric"}
_MOST_TOLD = 5  # Lambda layers, in a message
# Kinds whose place other kinds may take: a layer may be an activation, a loss a metric.
_ALSO = {"activations": ("layers",), "metrics": ("metric functions", "losses")}
LAMBDA_ADVICE = (
    "A lambda in a config is Python bytecode, and fastseq never runs code out of a file. Write it as a class instead: "
    "subclass fastseq.layers.Layer, register it with @fastseq.saving.register_keras_serializable(), and put it in the "
    "place of the Lambda layer."
)


def lambda_layer_advice(names):
    """What is said of a file's Lambda layers of these names, for which there is no function."""
    keys = ", ".join(f"{str(name)[:100]!r}: function" for name in names[:_MOST_TOLD])
    keys += ", ..." if len(names) > _MOST_TOLD else ""
    return (
        "The function of a Lambda layer in a file is Python code or bytecode, and fastseq never runs code out "
        f"of a file. Give a function of your own, written with fastseq.ops or NumPy: custom_objects={{{keys}}}, or "
        "{'Lambda': function} for all Lambda layers alike; or, there, a subclass of fastseq.layers.Layer."
    )


class NotFound(UnsupportedError):
    """A class or function that neither fastseq nor the user has. what: "class" or "function"."""

    def __init__(self, message, what="class"):
        super().__init__(message)
        self.what = what


# kind -> (module of fastseq, name of its table there).
_TABLES = {
    "layers": ("layers", "REGISTRY"),
    "initializers": ("initializers", "ALL_OBJECTS_DICT"),
    "regularizers": ("regularizers", "ALL_OBJECTS_DICT"),
    "constraints": ("constraints", "ALL_OBJECTS_DICT"),
    "activations": ("activations", "ALL_OBJECTS_DICT"),
    "random": ("initializers", "RANDOM_OBJECTS_DICT"),
    "schedules": ("optimizers.schedules", "ALL_OBJECTS_DICT"),
    "optimizers": ("optimizers", "ALL_OBJECTS_DICT"),
    "losses": ("losses", "ALL_OBJECTS_DICT"),
    "metrics": ("metrics", "ALL_OBJECTS_DICT"),
    # Under their names the table of metrics has classes; the config of a function asks for the function.
    "metric functions": ("metrics", "ALL_FUNCTIONS_DICT"),
}


KINDS = tuple(_TABLES)


def table(kind):
    """name -> class or function, for every built-in of one kind that a config may name."""
    module, name = _TABLES[kind]
    # Imported here: these modules import this one, and a model that is not compiled needs no optimizers.
    return getattr(importlib.import_module(f"fastseq.{module}"), name)


def all_tables():
    """kind -> name -> class or function, for every built-in that a config may name."""
    return {kind: table(kind) for kind in _TABLES}


def models_by_name():
    """Name -> class of the models; apart from the layers, which must not wait for the models to be imported."""
    models = importlib.import_module("fastseq.models")
    return {name: getattr(models, name) for name in MODEL_MODULES}


def lambda_class():
    """The class of a file's Lambda layer that has a function of the user's; no config leads to it without one."""
    return importlib.import_module("fastseq.layers.core.lambda_layer").Lambda


def is_in_keras(layer):
    """Whether Keras 3 has a layer of this name; else its config says so: module "fastseq.layers", registered name
    "fastseq>..."."""
    return layer not in importlib.import_module("fastseq.layers").NOT_IN_KERAS


def is_builtin_module(module):
    return isinstance(module, str) and module.split(".", 1)[0] in BUILTIN_PACKAGES


def is_builtin_function(function):
    """Whether a name in a config leads to this very function."""
    name = getattr(function, "__name__", None)
    return any(table.get(name) is function for table in all_tables().values())


def candidate_tables(module):
    """The tables a built-in of this module may be in: its kind's own where ``module`` names one, else all of them."""
    words = module.split(".") if isinstance(module, str) else ()
    return [table(kind) for kind in _TABLES if kind in words] or list(all_tables().values())


def check_kind(name, module_objects):
    """Raises where a config asks for one kind of built-in by the name of another: an initializer as activation."""
    tables = all_tables()
    kind = next((kind for kind, table in tables.items() if table is module_objects), None)
    allowed = _ALSO.get(kind, ())
    found = [other for other, table in tables.items() if name in table]
    if found and not any(other in allowed for other in found):
        wanted = "of the kind asked for" if kind is None else f"among the {kind}"
        raise UnsupportedError(f"There is no '{name}' {wanted}; it is one of the {' and '.join(found)}.")


def check_registered_name(config, name):
    registered_name = config.get("registered_name")
    own = name if is_in_keras(name) else f"{OWN_PACKAGE}>{name}"
    if registered_name and registered_name not in (name, own, config["class_name"]):
        raise UnsupportedError(
            f"A config names the built-in '{name}' but was registered as '{registered_name}', which is not known here. "
            f"Register the class or function it stands for with @fastseq.saving.register_keras_serializable()."
        )


def why_refused(names):
    """What is said of layers of Keras that fastseq does not have on purpose; empty where there are none among them."""
    reasons = importlib.import_module("fastseq.layers").REASONS
    found = {}
    for name in dict.fromkeys(names):
        if name in reasons and name != "Lambda":  # of which `lambda_layer_advice` says more
            found.setdefault(reasons[name], []).append(str(name))
    return "".join(f" {', '.join(names)}: {reason}." for reason, names in found.items())


def not_found(what, name, config, count=1):
    """The error that there is no class or function of this name, and how to bring one of one's own.

    count: of layers that ask for it.
    """
    origin = f" of module '{config['module']}'" if config.get("module") else ""
    missing = "is not one fastseq has" if is_builtin_module(config.get("module")) else "is not known here"
    words = str(config.get("module")).split(".")
    layer = what == "class" and ("layers" in words or config.get("module") is None)
    why = why_refused([name]) if layer else ""
    base = next((base for kind, base in _BASES.items() if kind in words), "layers.Layer")
    base = f" as a subclass of fastseq.{base}" if what == "class" else ""
    origin = origin if count == 1 else f" ({count} layers){origin}"
    return NotFound(
        f"The {what} '{name}'{origin} {missing}.{why} Write it{base} and either decorate it with "
        f"@fastseq.saving.register_keras_serializable() before the model is read, or pass it in "
        f"custom_objects={{{_key(name, config)!r}: ...}}.",
        what,
    )


def advice(missing):
    """How to bring layers of one's own for those missing: (class's name, its entry, names of the layers) of each."""
    keys = ", ".join(f"{_key(name, config)!r}: ..." for name, config, _ in missing if name != "Lambda")
    text = why_refused(name for name, _, _ in missing)
    if keys:
        text += (
            " Write each layer as a subclass of fastseq.layers.Layer and either decorate it with "
            "@fastseq.saving.register_keras_serializable() before the model is read, or pass it in "
            f"custom_objects={{{keys}}}."
        )
    lambdas = next((layers for name, _, layers in missing if name == "Lambda"), None)
    return text + (f" {lambda_layer_advice(lambdas)}" if lambdas else "")


def _key(name, config):
    """The name that a custom object is looked up by."""
    registered_name = config.get("registered_name")
    return registered_name if isinstance(registered_name, str) and ">" in registered_name else name
