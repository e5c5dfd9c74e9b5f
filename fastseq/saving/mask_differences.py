"""What Keras 3.15 will compute differently of a model whose calls follow the rules of masks of an older Keras.

A file can keep those rules for fastseq, but Keras 3.15 knows only its own. So the model is traced twice, by its own
rules and by Keras 3.15's: where the two give other steps, the numbers there may be others too.
"""

import dataclasses
import hashlib
import warnings

import numpy as np

from fastseq.layers.walk import all_layers
from fastseq.program.builder import Builder
from fastseq.program.slots import Slot
from fastseq.program.steps import ends_of
from fastseq.tensors import mask_rules, nest

# Field of MaskRules -> what Keras 3.15 does where the model's rules differ in that field.
_NOW = {
    "with_states": "it runs recurrent layers that are called with initial states without their mask",
    "merged": "it masks what merging layers give where one input (all, for arithmetic) is not masked",
    "masked_values": "it leaves masked values out of Multiply, Maximum and Minimum",
    "given": "it hands on a mask that is given to a call",
    "none_given": "it fills in the mask of the input where a call says mask=None",
    "softmax_zeros": "its Softmax gives zeros where the mask does not hold",
    "heads_take_masks": "its MultiHeadAttention takes the masks off its inputs for all that come later",
    "words": "it does not make the mask of TimeDistributed's outputs from the layer inside",
    "identity": "it hands masks on through Identity",
    "masking_zeros": "its Masking gives zeros for masked timesteps, not NaN",
    "kept_states_first": "it starts stateful layers from the initial states that they are called with",
}
_SIZE = 3  # of what a model's inputs leave open


def tell(model):
    """Warns where Keras 3.15 would compute `model` differently, with the layers and what it does there."""
    rules = _rules_in(model)
    if rules == {mask_rules.NEWEST}:
        return
    own = _steps(model, None)
    if own is None or own == _steps(model, _told):
        return
    words, layers = [], []
    for field in dataclasses.fields(mask_rules.MaskRules):
        newest = getattr(mask_rules.NEWEST, field.name)
        steps = _steps(model, lambda r, f=field.name, v=newest: dataclasses.replace(r, **{f: v}))
        if field.name in _NOW and steps != own:
            words.append(_NOW[field.name])
            layers += _differing(own, steps)
    names = ", ".join(f"'{name}'" for name in dict.fromkeys(layers))
    makers = " and ".join(sorted(rule.maker for rule in rules if rule != mask_rules.NEWEST))
    warnings.warn(
        f"Model '{model.name}' follows the rules of masks of {makers}, and Keras 3.15 will compute it differently: "
        f"{'; '.join(words) or 'masks go other ways there'}{f' (layers {names})' if names else ''}. fastseq keeps the "
        "rules in the file and computes what it computes now. To get these numbers in Keras too, keep the older file, "
        "or build the model anew with masks that are given to its layers' calls.",
        stacklevel=5,
    )


def _told(rules):
    """Keras 3.15's rules, but for masked infinities and NaN in GlobalAveragePooling1D: of finite numbers the mean is
    the same, and every model of an older Keras that pools under a mask would warn."""
    return dataclasses.replace(mask_rules.NEWEST, pools_leave_out=rules.pools_leave_out)


def _rules_in(model):
    found = set()
    for part in [model, *all_layers(model)]:
        graph = getattr(part, "_graph", None)
        found |= {node.mask_rules for node in graph.steps} if graph is not None else set()
        found |= {part.mask_rules} if hasattr(part, "mask_rules") else set()
    return found or {mask_rules.NEWEST}


def _steps(model, change_rules):
    """{key: (layer's name, a step without its slots)} of what reaches the results; None where it cannot be traced."""
    p = Builder(change_rules=change_rules)
    shapes = [(tensor.shape, tensor.dtype) for tensor in getattr(model, "inputs", [])]
    inputs = [p.input(tuple(size or _SIZE for size in shape), dtype) for shape, dtype in shapes]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = nest.flatten(model.trace(p, {"inputs": nest.pack_like(model.input, inputs)}))
    except (AttributeError, TypeError, ValueError):
        return None
    wanted = [*outputs, *(slot.mask for slot in outputs if slot.mask is not None)]
    wanted += [slot for _, slot in p._kept.values()]
    return _Numbered(p.steps, wanted).steps


class _Numbered:
    """The steps that `wanted` depends on. Equal values have equal keys.

    steps: {key: (layer's name, what it does)}, the results' keys under "results".
    """

    def __init__(self, steps, wanted):
        self._keys = {}  # id of a buffer -> what it holds, as text
        self.steps = {}
        for step in _needed(steps, {id(slot.buffer) for slot in wanted}):
            name, fields = step["name"], step.get("fields", {})
            if step["op"] is None:
                alone = ("python", name)
            else:
                slots = {key: value for key, value in fields.items() if isinstance(value, Slot)}
                others = {key: _plain(value) for key, value in fields.items() if key not in slots}
                alone = (step["op"], tuple(slots), tuple(others.items()))
            reads, writes = ends_of(step)
            key = _digest(alone, *(self._of(slot) for slot in reads), *(slot.offset for slot in writes))
            for number, slot in enumerate(writes):
                buffer = id(slot.buffer)
                self._keys[buffer] = _digest(self._keys.get(buffer), key, number)
            self.steps[key] = (name, alone)
        self.steps["results"] = (None, tuple(self._of(slot) for slot in wanted))

    def _of(self, slot):
        buffer = slot.buffer
        if buffer.kind == "constant":
            return "constant", slot.shape, slot.offset, _plain(buffer.array)
        return buffer.kind, buffer.number, slot.shape, slot.offset, self._keys.get(id(buffer))


def _needed(steps, live):
    found = []
    for step in reversed(steps):
        read, written = ({id(slot.buffer) for slot in slots} for slots in ends_of(step))
        if written & live:
            live |= read | written
            found.append(step)
    return found[::-1]


def _plain(value):
    """What tells an array, or anything else in a step, from another: small ones by their values."""
    if not isinstance(value, np.ndarray):
        return value
    small = value.nbytes <= 4096
    return value.shape, value.dtype.char, value.tobytes() if small else id(value)


def _digest(*parts):
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _differing(own, other):
    """Names of the layers that do something else, not those that only get something else."""
    if other is None:
        return []

    def by_layer(steps):
        found = {}
        for key, (name, alone) in steps.items():
            if key != "results":
                found.setdefault(name, []).append(repr(alone))
        return found

    mine, others = by_layer(own), by_layer(other)
    return [name for name in [*mine, *others] if name is not None and mine.get(name) != others.get(name)]
