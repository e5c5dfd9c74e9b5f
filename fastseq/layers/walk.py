"""Which layers there are in a layer."""


def all_layers(model):
    """Every layer in `model` at any depth, each once."""
    seen, todo = {}, [model]
    while todo:
        for layer in todo.pop()._sublayers():
            if id(layer) not in seen:
                seen[id(layer)] = layer
                todo.append(layer)
    return list(seen.values())
