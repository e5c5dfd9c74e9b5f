"""Python objects <-> Keras 3's config dicts: ``{"module", "class_name", "config", "registered_name"}``.

A config is data. What its words may lead to is a closed set: the names in tables.py, the registered objects, and the
``custom_objects`` of the caller. Nothing is imported, evaluated or unpickled because a config says so; ``module`` only
tells a built-in of Keras from a user's class of the same name. https://keras.io/api/models/model_saving_apis/
"""

import inspect
import types
import warnings

import numpy as np

from fastseq.configs import policies, recording, registry, shared_objects, tables
from fastseq.errors import FileFormatError, UnsupportedError
from fastseq.tensors.symbolic import KerasTensor

_PLAIN_TYPES = (str, int, float, bool)
# dtype words of a config that may become an array; "object" or a structured type may not.
_ARRAY_DTYPES = frozenset(
    ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64")
)
_POLICIES = ("DTypePolicy", "FloatDTypePolicy", "Policy", "PolicyV1")


def serialize_keras_object(obj):
    """The config of an object, in Keras's form.

    Args:
        obj (object): Plain values stay, containers are walked, objects become config dicts.

    Returns:
        Plain data: dict, list, str, number or None.

    Raises:
        UnsupportedError: A lambda, or an object without ``get_config()``.

    Example:
        >>> saving.serialize_keras_object(layers.Permute((2, 1)))["class_name"]
        'Permute'
    """
    if obj is None or isinstance(obj, _PLAIN_TYPES):
        return obj
    if isinstance(obj, (list, tuple)):
        items = [serialize_keras_object(item) for item in obj]
        return tuple(items) if isinstance(obj, tuple) else items
    if isinstance(obj, dict):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    special = _serialize_special(obj)
    return _serialize_object(obj) if special is None else special


def _serialize_special(obj):
    """Config of a value that is neither plain nor an object with a class of its own; None for other objects."""
    if isinstance(obj, np.generic):
        return obj.item()
    if isinstance(obj, np.ndarray):
        if obj.ndim == 0:
            return obj.item()
        if recording.current() is not None and obj.dtype.kind in "biuf":
            return recording.current().array(obj)
        return {"class_name": "__numpy__", "config": {"value": obj.tolist(), "dtype": obj.dtype.name}}
    if isinstance(obj, np.dtype):
        return obj.name
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode("utf-8")}}
    if isinstance(obj, slice):
        bounds = {key: serialize_keras_object(getattr(obj, key)) for key in ("start", "stop", "step")}
        return {"class_name": "__slice__", "config": bounds}
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, KerasTensor):
        history = obj._keras_history
        history = [history[0].name, *history[1:]] if history else None
        config = {"shape": list(obj.shape), "dtype": str(obj.dtype), "keras_history": history}
        return {"class_name": "__keras_tensor__", "config": config}
    return None


def _serialize_object(obj):
    noted = recording.current()
    if isinstance(obj, types.FunctionType):
        if obj.__name__ == "<lambda>" and noted is None:
            raise UnsupportedError(f"A lambda cannot be saved. {tables.LAMBDA_ADVICE}")
        return _named_function(obj, registry.get_registered_name(obj), noted)
    if inspect.isclass(obj) or not hasattr(obj, "get_config"):
        if callable(obj) and noted is not None and noted.by_reference:
            return _named_function(obj, type(obj).__name__, noted)
        raise UnsupportedError(
            f"Cannot serialize {obj!r} of type {type(obj).__name__}: only instances with a get_config() method can be."
        )
    # A replaced Lambda's function is no part of a file; a copy has it at hand.
    config = obj.config_for_file() if noted is None and hasattr(obj, "config_for_file") else obj.get_config()
    if not isinstance(config, dict):
        raise TypeError(f"get_config() of {obj!r} should return a dict. It returned: {config!r}")
    cls = type(obj)
    module = _public_module(cls)
    result = {
        "module": module or (None if cls.__module__ == "__main__" else cls.__module__),
        "class_name": cls.__name__,
        "config": serialize_keras_object(config),
        "registered_name": registry.get_registered_name(cls),
    }
    if module == tables.OWN_MODULE:
        result["registered_name"] = f"{tables.OWN_PACKAGE}>{cls.__name__}"
    elif module is not None and cls.__name__ != "Functional":
        result["registered_name"] = None
    if noted is not None:
        if module is None:
            result["registered_name"] = noted.key(cls, result["registered_name"], obj)
        if hasattr(obj, "saved_tree"):  # a layer
            result["shared_object_id"] = noted.number(obj)
    for part in ("build_config", "compile_config"):
        get_part = getattr(obj, f"get_{part}", None)
        part_config = get_part() if get_part is not None else None
        if part_config is not None:
            result[part] = serialize_keras_object(part_config)
    return result


def _named_function(function, name, noted):
    """The config of a function; noted: the Recording of it, where there is one."""
    if noted is not None and not tables.is_builtin_function(function):
        name = noted.key(function, name)
    return {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}


def _public_module(cls):
    """The module in which Keras has a built-in class, ours for one that it does not have, None for a user's class."""
    name = cls.__name__
    if "saved_module" in vars(cls):
        return cls.saved_module
    if name in tables.MODEL_MODULES:
        return tables.MODEL_MODULES[name] if tables.models_by_name()[name] is cls else None
    kind = next((kind for kind in tables.KINDS if tables.table(kind).get(name) is cls), None)
    if kind == "layers" and not tables.is_in_keras(name):
        return tables.OWN_MODULE
    return kind and f"keras.{tables.NESTED.get(kind, kind)}"


def callable_of(identifier, kind, table, names):
    """What a name, config dict, class or callable stands for among built-ins of one kind; None is None.

    kind: what they are, for messages; table: name -> built-in; names: those to tell of. Raises ValueError for others.
    """
    if identifier is None:
        return None
    found = identifier
    if isinstance(identifier, (dict, str)):
        found = deserialize_keras_object(identifier, module_objects=table)
    if inspect.isclass(found):
        found = found()
    if callable(found):
        return found
    raise ValueError(f"Could not interpret {kind} identifier: {identifier}. There are: {', '.join(names)}.")


def deserialize_keras_object(config, custom_objects=None, module_objects=None):
    """The object that ``config`` describes.

    Args:
        config (dict): What ``serialize_keras_object`` gives, or older forms; plain values are returned as they are.
        custom_objects (dict, default None): Name -> class or function of your own, beside the registered ones.
        module_objects (dict, default None): Name -> built-in; ``config`` may be a name in it, others are returned.

    Returns:
        What is described.

    Raises:
        UnsupportedError: A class or function nobody registered, a lambda, or a config its class does not take.
        FileFormatError: A config of no known form.

    Example:
        >>> saving.deserialize_keras_object(saving.serialize_keras_object(layers.Permute((2, 1)))).dims
        (2, 1)
    """
    known = _known(custom_objects)
    try:
        with policies.reading():
            return _deserialize(config, known, module_objects)
    except RecursionError:
        raise FileFormatError("A config is nested too deeply to be a model's.") from None


def _known(custom_objects):
    """Name -> class or function of the user's, all that there are."""
    return {**(custom_objects or {}), **registry.scope_objects(), **registry.get_custom_objects()}


def find_class(config, custom_objects=None):
    """The class that a config names. Raises NotFound of `tables` where nobody has it, and UnsupportedError."""
    return _find_class(config, _known(custom_objects))


def _deserialize(config, known, module_objects):
    # The last argument is always given: Python 3.13.0 does not count recursion through a default one.
    if config is None:
        return None
    if isinstance(config, str) and config in known:
        return known[config]
    if isinstance(config, (list, tuple)):
        return [_deserialize(item, known, None) for item in config]
    if module_objects is not None:
        return _from_module(config, known, module_objects)
    if isinstance(config, _PLAIN_TYPES):
        return config
    if not isinstance(config, dict):
        raise FileFormatError(f"Could not parse the config {config!r}.")
    if config.get("class_name") in ("__tuple__", "TensorShape") and "items" in config:
        return tuple(_deserialize(config["items"], known, None))
    if "class_name" not in config or "config" not in config:
        return {key: _deserialize(value, known, None) for key, value in config.items()}
    if not isinstance(config["class_name"], str):
        raise FileFormatError(f"The class name in a config should be text. Received: {config['class_name']!r}")
    if config["class_name"].startswith("__"):
        return _special(config, known)
    if config["class_name"] == "function":
        return _function(config, known)
    return _instance(config, known)


def _from_module(config, known, module_objects):
    """A name or config of one kind of built-in. A plain name that is not in the table is returned as it is."""
    if not isinstance(config, dict):
        if not isinstance(config, str) or config not in module_objects:
            return config
        config = {"class_name": config, "config": {}}
    if not isinstance(config.get("class_name"), str):
        raise FileFormatError(f"A config should name its class as `class_name`. Received: {config!r}")
    # Keras 2 left `config` out where it was empty.
    config = {"config": {}, **config}
    inner = config["config"]
    words = [word for word in (config["class_name"], config.get("registered_name"), inner) if isinstance(word, str)]
    name = inner if config["class_name"] == "function" and isinstance(inner, str) else config["class_name"]
    of_users = "module" in config and config["module"] is None
    if of_users or any(word in known for word in words) or name.startswith("__"):
        return _deserialize(config, known, None)
    # A metric's name stands for its class, in the config of a function for the function.
    wants_function = config["class_name"] == "function"
    if name not in module_objects or (wants_function and not isinstance(module_objects[name], types.FunctionType)):
        tables.check_kind(name, module_objects)
        return _deserialize(config, known, None)
    tables.check_registered_name(config, name)
    if isinstance(module_objects[name], types.FunctionType):
        return module_objects[name]
    return _instance({**config, "class_name": name}, known, module_objects[name])


def deserialize_of_kind(value, kind, custom_objects=None):
    """What a config dict stands for among the built-ins of one kind (a key of the tables) and the custom objects.

    Lists, and dicts that are no configs, are walked; names of built-ins come back as they are. Raises UnsupportedError
    for a built-in of another kind, and as `deserialize_keras_object`.
    """
    if isinstance(value, (list, tuple)):
        return [deserialize_of_kind(item, kind, custom_objects) for item in value]
    if not isinstance(value, dict):
        return deserialize_keras_object(value, custom_objects)
    if "class_name" not in value:
        return {key: deserialize_of_kind(item, kind, custom_objects) for key, item in value.items()}
    return deserialize_keras_object(value, custom_objects, module_objects=tables.table(kind))


def _special(config, known):
    """A value whose class name is a dunder word."""
    name, inner = config["class_name"], config["config"]
    if name == "__lambda__":
        raise UnsupportedError(tables.LAMBDA_ADVICE)
    if name == "__ellipsis__":
        return Ellipsis
    if name == recording.CARRIED and (array := recording.carried_array(inner)) is not None:
        return array
    try:
        if name in ("__numpy__", "__tensor__"):
            if inner["dtype"] not in _ARRAY_DTYPES:
                raise UnsupportedError(f"A config holds an array of dtype {inner['dtype']!r}, which is not supported.")
            return np.array(inner["value"], dtype=inner["dtype"])
        if name == "__bytes__":
            return inner["value"].encode("utf-8")
        if name == "__slice__":
            return slice(*(_deserialize(inner[key], known, None) for key in ("start", "stop", "step")))
        if name == "__keras_tensor__":
            tensor = KerasTensor(inner["shape"], dtype=inner["dtype"])
            tensor._pre_serialization_keras_history = inner["keras_history"]
            return tensor
    except UnsupportedError:
        raise
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise FileFormatError(f"A config has a {name} without its proper parts ({error!r}).") from error
    raise UnsupportedError(f"A config holds a {name} object, which fastseq does not read.")


def _function(config, known):
    name = config["config"]
    if not isinstance(name, str):
        raise FileFormatError(f"The config of a function should be its name. Received: {name!r}")
    if name in known:
        return known[name]
    module = config.get("module")
    if module == "builtins" or tables.is_builtin_module(module):
        for table in tables.candidate_tables(module):
            if isinstance(table.get(name), types.FunctionType):
                tables.check_registered_name(config, name)
                return table[name]
    # Keras up to 3.6 wrote a registered function as "name" instead of "package>name".
    if ">" not in name:
        for full_name, custom in known.items():
            if full_name.endswith(f">{name}"):
                return custom
    raise tables.not_found("function", name, config)


def _instance(config, known, cls=None):
    """An object of a class, from its ``from_config``."""
    inner = {} if config["config"] is None else config["config"]
    name = config["class_name"]
    if not isinstance(inner, dict):
        raise FileFormatError(f"The config of {name} should be a dict. Received: {inner!r}")
    shared, shared_id = shared_objects.known(), config.get("shared_object_id")
    # Only numbers name shared objects; anything else, a list for one, may not even be a key.
    sharing = shared is not None and isinstance(shared_id, int)
    if sharing and shared_id in shared:
        return shared[shared_id]
    cls = cls or _find_class(config, known)
    if cls is _policy_name:
        return _policy_name(name, inner)
    if isinstance(cls, types.FunctionType):
        return cls
    if not hasattr(cls, "from_config"):
        raise UnsupportedError(f"Cannot make a {name} from a config: the class has no from_config() method.")
    with registry.CustomObjectScope(known):
        try:
            instance = cls.from_config(inner)
        except (KeyError, TypeError) as error:
            reason = f"it has no {error}" if isinstance(error, KeyError) else error
            raise UnsupportedError(f"{name} cannot be made from its config {inner!s:.300}: {reason}") from error
        if config.get("build_config") and not getattr(instance, "built", True):
            instance.build_from_config(config["build_config"])
        if config.get("compile_config") and hasattr(instance, "compile_from_config"):
            _compile_saved(instance, config["compile_config"])
    if sharing:
        shared[shared_id] = instance
    return instance


def _compile_saved(model, config):
    """`model.compile_from_config(config)` while a file is loaded: what goes wrong is warned of, and not raised."""
    try:
        if not isinstance(config, dict):
            raise TypeError(f"compile_config is {str(config)[:100]!r}, not a dict")
        model.compile_from_config(config)
    except MemoryError:
        raise
    # A config from a file can make any constructor raise anything.
    except Exception as error:
        if hasattr(model, "_trainer"):
            model._trainer = None
        warnings.warn(
            f"Model '{getattr(model, 'name', model)}' is loaded, but not compiled: {str(error)[:1000]} Call compile() "
            "before you train it; load_model(..., compile=False) does not try.",
            stacklevel=2,
        )


def _find_class(config, known):
    name, module = config["class_name"], config.get("module")
    registered_name = config.get("registered_name", name)
    if name == "Lambda" and ("module" not in config or tables.is_builtin_module(module)):
        if registry.lambda_function(config, known) is not None:
            return tables.lambda_class()
    if isinstance(registered_name, str) and registered_name in known:
        return known[registered_name]
    # A script's own class has the module None: it is not the built-in of the same name.
    if "module" not in config or tables.is_builtin_module(module):
        if name in _POLICIES:
            return _policy_name
        public = tables.OTHER_NAMES.get(name, name)
        for table in (tables.models_by_name(),) if name in tables.MODEL_MODULES else tables.candidate_tables(module):
            if public in table:
                tables.check_registered_name(config, name)
                return table[public]
    if name in known:
        return known[name]
    if name == "Lambda":
        inner = config["config"] if isinstance(config["config"], dict) else {}
        raise tables.NotFound(tables.lambda_layer_advice([inner.get("name", "the layer's name")]))
    raise tables.not_found("class", name, config)


def _policy_name(class_name, config):
    """A dtype policy is its name here: fastseq has one compute type and needs no more of a policy."""
    if not isinstance(config.get("name"), str):
        raise FileFormatError(f"A {class_name} should name its dtype. Received: {config!r}")
    return config["name"]
