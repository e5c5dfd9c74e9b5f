"""Says in a config which layers are one: a layer of two models, one inside the other, or of a model and a wrapper.

Keras marks them with `shared_object_id` while it saves, but forgets some marks when it copies configs of nested models,
and a live model's config has none. So they are found here, by walking the config and the model side by side.
"""


def mark_shared(config, model):
    """Gives one `shared_object_id` to all entries of `config` (changed in place) that stand for the same layer.

    config: a serialized Sequential or functional model, of fastseq or Keras; model: the model it was made from.
    """
    places = {}
    _collect(config, model, places)
    for number, entries in enumerate(places.values()):
        if len(entries) > 1:
            for entry in entries:
                entry["shared_object_id"] = number


def _collect(entry, layer, places):
    places.setdefault(id(layer), []).append(entry)
    inner = entry["config"]
    if isinstance(inner.get("layers"), list) and hasattr(layer, "layers"):
        layers = {item.name: item for item in layer.layers}
        for item in inner["layers"]:
            name = item.get("name", item["config"].get("name"))
            if name in layers:
                _collect(item, layers[name], places)
    elif isinstance(inner.get("layer"), dict) and hasattr(layer, "layer"):
        _collect(inner["layer"], layer.layer, places)
