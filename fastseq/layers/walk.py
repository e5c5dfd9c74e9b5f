"""Which layers there are in a layer, and what calls ask of them, remembered until layers come, go or change."""

from typing import NamedTuple

from fastseq.program import added_losses

_structure = object()  # another one whenever some layer gets or loses layers, or is told whether it is stateful


def structure_changed():
    """What was worked out by walks over layers is worked out anew when it is next asked for."""
    global _structure
    _structure = object()
    added_losses.look_again()


def all_layers(layer):
    """Every layer in `layer` at any depth, each once, in no order that means anything."""
    seen, todo = {}, [layer]
    while todo:
        for inner in todo.pop()._sublayers():
            if id(inner) not in seen:
                seen[id(inner)] = inner
                todo.append(inner)
    return list(seen.values())


class _Walked(NamedTuple):
    """layers: as `all_layers` finds them; stateful: whether a layer of ours keeps states; asked: the others, whose
    `stateful` may be anything that their class computes; in_python: whether one is Python. structure: when it held."""

    structure: object
    layers: tuple
    stateful: bool
    asked: tuple
    in_python: bool


def _walked(model):
    structure = _structure  # before the walk: what changes while it goes on is for the next one
    known = model._walked
    if known is None or known.structure is not structure:
        layers = tuple(all_layers(model))
        ours = [layer for layer in layers if type(layer).__module__.partition(".")[0] == "fastseq"]
        asked = tuple(layer for layer in layers if type(layer).__module__.partition(".")[0] != "fastseq")
        stateful = any(getattr(layer, "stateful", False) for layer in ours)
        known = _Walked(structure, layers, stateful, asked, any(layer._is_python for layer in layers))
        object.__setattr__(model, "_walked", known)
    return known


def known_layers(model):
    """The layers of `all_layers`, a tuple."""
    return _walked(model).layers


def keeps_states(model):
    """Whether a layer in `model`, at any depth, says that it keeps states between calls."""
    known = _walked(model)
    return known.stateful or any(getattr(layer, "stateful", False) for layer in known.asked)


def has_python(model):
    """Whether `model` or a layer in it, at any depth, is Python."""
    return model._is_python or _walked(model).in_python
