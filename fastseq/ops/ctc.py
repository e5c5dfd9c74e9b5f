"""Connectionist temporal classification: the loss, and what decodes. https://keras.io/api/ops/nn/

Both are steps with a kernel of their own (src_c/kernels/ctc_loss_inl.h, ctc_decode_inl.h), in double.
"""

import operator

from fastseq.ops.documented import documented
from fastseq.ops.operation import operation
from fastseq.ops.values import MixesTimesteps, Traced, cast
from fastseq.program.ctc import decode_step, loss_step

_LOGITS = "(float32 array (batch, timesteps, classes)): Logits, without a softmax."
_LENGTHS = "(int32 array (batch,)): How many of the timesteps count, from the first one on."
_STRATEGIES = ("greedy", "beam_search")


def _checked(name, x, others):
    """The logits as float32, and `others`, {name: (array, axes)}, as int32; all of one batch."""
    arrays = {"logits": (x, 3), **others}
    shapes = {what: array.shape for what, (array, _) in arrays.items()}
    told = ", ".join(f"{what} {shape}" for what, shape in shapes.items())
    if any(len(shapes[what]) != axes for what, (_, axes) in arrays.items()):
        raise ValueError(f"{name}: logits are (batch, timesteps, classes), lengths (batch,), got {told}.")
    if any(array.time is not None for array, _ in arrays.values()):
        raise MixesTimesteps("it takes all timesteps together")
    batches = {shape[0] for shape in shapes.values()} - getattr(x.p, "unknown", frozenset())
    if len(batches) > 1 or x.shape[2] == 0:
        raise ValueError(f"{name}: arrays of one batch and at least one class are wanted, got {told}.")
    return cast(x, "float32"), *(cast(array, "int32") for array, _ in others.values())


def _blank(name, mask_index, classes, x):
    index = classes - 1 if mask_index is None else operator.index(mask_index)
    found = index + classes if index < 0 else index
    if not 0 <= found < classes and classes not in getattr(x.p, "unknown", ()):
        raise ValueError(f"{name}: mask_index={mask_index} is none of {classes} classes.")
    return found


def ctc_losses(target, output, target_length, output_length, blank, exact, name):
    """The losses (batch,) of Traced arrays. exact: as Keras 2's backend has them (src_c/abi/ops_ctc.h)."""
    output, *others = _checked(name, output, {"target": (target, 2), "target_length": (target_length, 1),
                                              "output_length": (output_length, 1)})  # fmt: skip
    blank = _blank(name, blank, output.shape[2], output)
    slots = [array.slot for array in (output, *others)]
    return Traced(output.p, loss_step(output.p, *slots, blank, exact, name=name))


@operation("CTCLoss", "nn", options=("mask_index",))
@documented(
    "The loss of connectionist temporal classification (Graves et al., 2006, "
    "https://www.cs.toronto.edu/~graves/icml_2006.pdf): minus the logarithm of the probability of the labels, over all "
    "ways to lay them along the timesteps with blanks between. As in Keras on TensorFlow, labels that cannot be "
    "reached give about 707, not infinity, and a logit of a row that is not finite makes its loss and gradient NaN.",
    {"target": "(int32 array (batch, longest)): The labels, each a class. What is behind a row's length counts not.",
     "output": _LOGITS, "target_length": "(int32 array (batch,)): How many labels each row has.",
     "output_length": _LENGTHS, "mask_index": "(int, default 0): The class of the blank; -1 is the last one."},
    "float32 array (batch,).",
    "ops.ctc_loss([[1, 2]], np.zeros((1, 3, 4), 'f'), [2], [3])\narray([2.5494452], dtype=float32)",
    {"ValueError": "Arrays of other axes or of several batches, or a blank that is no class."},
)  # fmt: skip
def ctc_loss(target, output, target_length, output_length, mask_index=0):
    return ctc_losses(target, output, target_length, output_length, 0 if mask_index is None else mask_index, False,
                      "ops.ctc_loss")  # fmt: skip


def decoded(x, lengths, beams, top, merges, blank, name):
    """(paths, scores) as Traced. beams: 0 is the best path."""
    x, lengths = _checked(name, x, {"sequence_lengths": (lengths, 1)})
    blank = _blank(name, blank, x.shape[2], x)
    found = decode_step(x.p, x.slot, lengths.slot, blank, beams, top, bool(merges), name)
    return tuple(Traced(x.p, slot) for slot in found)


def beams_of(beam_width, top_paths, timesteps, name):
    """(beam_width, top_paths) as integers that fit each other."""
    beams, top = operator.index(beam_width), operator.index(top_paths)
    if not 1 <= top <= beams:
        raise ValueError(f"{name}: top_paths is within [1, beam_width], got {top_paths} and {beam_width}.")
    if timesteps * beams >= 2**31:
        raise ValueError(f"{name}: {timesteps} timesteps of {beams} beams are more than 2**31 prefixes.")
    return beams, top


@operation("CTCDecode", "nn", options=("strategy", "beam_width", "top_paths", "merge_repeated", "mask_index"))
@documented(
    "The most probable labels of a model that was trained with `ctc_loss`, without blanks.",
    {"inputs": _LOGITS, "sequence_lengths": _LENGTHS,
     "strategy": '(str, default "greedy"): "greedy" takes the largest logit of each timestep; "beam_search" adds the '
     "probabilities of all ways to write the same labels, of equal ones the first found is kept.",
     "beam_width": "(int, default 100): How many beginnings the search keeps.",
     "top_paths": "(int, default 1): How many results of the search, the most probable first.",
     "merge_repeated": "(bool, default True): Whether equal labels in a row, with no blank between them, are one; "
     "with beam_search they are in any case.",
     "mask_index": "(int, default 0): The class of the blank; None is the last one."},
    "(int32 array (top_paths, batch, timesteps), -1 behind the labels; float32 array (batch, top_paths), logarithms of "
    "their\n        probabilities). Greedy gives one path, and minus the sum of its logits.",
    "labels, scores = ops.ctc_decode([[[0.1, 0.7, 0.2], [0.8, 0.1, 0.1], [0.2, 0.2, 0.6]]], [3])\n"
    ">>> labels\narray([[[ 1,  2, -1]]], dtype=int32)",
    {"ValueError": "Arrays of other axes or of several batches, a blank that is no class, another strategy, less paths "
     "than `top_paths`, or a row that is longer than its array."},
)  # fmt: skip
def ctc_decode(inputs, sequence_lengths, strategy="greedy", beam_width=100, top_paths=1, merge_repeated=True,
               mask_index=0):  # fmt: skip
    if strategy not in _STRATEGIES:
        raise ValueError(f"ops.ctc_decode: strategy is one of {', '.join(_STRATEGIES)}, got {strategy!r}.")
    greedy = strategy == "greedy"
    timesteps = inputs.shape[1] if inputs.ndim == 3 else 0
    beams, top = (0, 1) if greedy else beams_of(beam_width, top_paths, timesteps, "ops.ctc_decode")
    return decoded(inputs, sequence_lengths, beams, top, merge_repeated and greedy, mask_index, "ops.ctc_decode")
