"""Names under which users' classes and functions are found again when a config is read.

Same functions, arguments and order of look-up as in https://keras.io/api/models/model_saving_apis/serialization_utils/
"""

import inspect
import threading

_registered_objects = {}
_registered_names = {}
_state = threading.local()


class CustomObjectScope:
    """Within ``with CustomObjectScope({name: object}):``, configs find these objects, in this thread only.

    As in Keras, an inner scope replaces an outer one until it ends.

    Args:
        custom_objects (dict): Name -> class or function.

    Example:
        >>> class Mine(layers.Layer):
        ...     pass
        >>> with saving.CustomObjectScope({"Mine": Mine}):
        ...     found = saving.get_registered_object("Mine")
        >>> found is Mine, saving.get_registered_object("Mine")
        (True, None)
    """

    def __init__(self, custom_objects):
        self.custom_objects = custom_objects or {}
        self._outer = []

    def __enter__(self):
        self._outer.append(scope_objects())
        _state.scope = dict(self.custom_objects)
        return self

    def __exit__(self, *exception):
        _state.scope = self._outer.pop()


custom_object_scope = CustomObjectScope


def scope_objects():
    """The objects of the scope this thread is in; an empty dict outside of any."""
    return getattr(_state, "scope", {})


def get_custom_objects():
    """The registered objects, without those of scopes.

    Returns:
        The live dict ``"package>name"`` -> class or function.

    Example:
        >>> isinstance(saving.get_custom_objects(), dict)
        True
    """
    return _registered_objects


def register_keras_serializable(package="Custom", name=None):
    """Decorator that registers a class or function under ``"package>name"``, so that files which name it can be loaded.

    Args:
        package (str, default "Custom"): First part of the name.
        name (str, default None): Second part; None is its ``__name__``.

    Returns:
        The decorator, which returns what it gets.

    Raises:
        ValueError: A class without a ``get_config()`` method.

    Example:
        >>> @saving.register_keras_serializable("docs")
        ... class Doubled(layers.Layer):
        ...     def call(self, x):
        ...         return 2 * x
        >>> saving.get_registered_name(Doubled)
        'docs>Doubled'
    """

    def register(target):
        if inspect.isclass(target) and not hasattr(target, "get_config"):
            raise ValueError(f"Cannot register the class {target.__name__}: it has no get_config() method.")
        registered_name = f"{package}>{target.__name__ if name is None else name}"
        _registered_objects[registered_name] = target
        _registered_names[target] = registered_name
        return target

    return register


def register_as(name, target):
    """Registers what is not registered yet under a whole name, as "package>name"."""
    if target not in _registered_names and name not in _registered_objects:
        _registered_objects[name] = target
        _registered_names[target] = name


def registered():
    """Registered class or function -> its "package>name"."""
    return _registered_names


def get_registered_name(obj):
    """The name that a class or function was registered under.

    Args:
        obj (class or function): What may be registered.

    Returns:
        str, ``"package>name"``, or its ``__name__`` where it is not registered.

    Example:
        >>> saving.get_registered_name(layers.Dense)
        'Dense'
    """
    name = _registered_names.get(obj)
    return obj.__name__ if name is None else name


def get_registered_object(name, custom_objects=None, module_objects=None):
    """The object of a name: from the current scope, the registered ones, then the two dicts given.

    Args:
        name (str): ``"package>name"``, or a name in one of the dicts.
        custom_objects (dict, default None): Name -> class or function of your own, beside the registered ones.
        module_objects (dict, default None): Name -> class or function, where it is looked up last.

    Returns:
        A class or function, or None.

    Example:
        >>> saving.get_registered_object("square", custom_objects={"square": np.square}) is np.square
        True
    """
    for table in (scope_objects(), _registered_objects, custom_objects, module_objects):
        if table and name in table:
            return table[name]
    return None


def lambda_function(config, known):
    """The user's function for the Lambda layer of a config, or None: under the name that the file has for it, the
    layer's name, or "Lambda". known: name -> class or function."""
    inner = config.get("config")
    inner = inner if isinstance(inner, dict) else {}
    if callable(inner.get("function")):
        return inner["function"]  # of get_config(), in this process
    for name in (saved_name(inner.get("function")), inner.get("name"), "Lambda"):
        found = known.get(name) if isinstance(name, str) else None
        if callable(found) and not inspect.isclass(found):
            return found
    return None


def saved_name(function):
    """The name of a function in a config; None for code."""
    if isinstance(function, dict) and function.get("class_name") == "function":
        function = function.get("config")
    return function if isinstance(function, str) else None
