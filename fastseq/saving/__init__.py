"""Reading and writing models: `.keras`, `.weights.h5`, and the older `.h5`. A file is data, never code."""

from fastseq.configs.lazy_names import own_face, publish
from fastseq.configs.registry import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from fastseq.configs.serialization import deserialize_keras_object, serialize_keras_object
from fastseq.saving.api import from_keras, load_model, load_weights, save_model, save_weights
from fastseq.tensors import copyable

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "from_keras",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]
publish(globals())

copyable.carried_by("fastseq.saving.copying")
__getattr__, __dir__ = own_face(globals())
