"""A walk through the layers in a layer."""


def all_layers(layer):
    """Every layer in `layer` at any depth, each once, in no order that means anything."""
    seen, todo = {}, [layer]
    while todo:
        for inner in todo.pop()._sublayers():
            if id(inner) not in seen:
                seen[id(inner)] = inner
                todo.append(inner)
    return list(seen.values())
