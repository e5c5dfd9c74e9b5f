"""Connectionist temporal classification, of probabilities: the blank is the last class, as Keras 2 has it."""

from fastseq import ops
from fastseq.backend.documented import documented
from fastseq.ops.ctc import beams_of, ctc_losses, decoded
from fastseq.ops.operation import operation
from fastseq.tensors import nest
from fastseq.tensors.settings import epsilon
from fastseq.tensors.symbolic import KerasTensor

_PREDICTIONS = "(array (batch, timesteps, classes)): Probabilities, as of a softmax; the blank is the last class."


def _no_symbols(name, *arguments):
    if any(isinstance(leaf, KerasTensor) for leaf in nest.flatten(arguments)):
        raise TypeError(
            f"backend.{name} of symbolic tensors is not recorded, as Keras 3 has no operation for it: call it inside "
            "of a loss or layer of your own, or take ops.ctc_loss and ops.ctc_decode."
        )


# Keras 3 has neither as an operation, so no file names them.
@operation("CTCBatchLosses", "backend")
def _losses(target, output, target_length, output_length):
    return ctc_losses(target, output, target_length, output_length, None, True, "backend.ctc_batch_cost")


@operation("CTCBatchDecode", "backend", options=("beams", "top"))
def _paths(inputs, lengths, beams, top):
    return decoded(inputs, lengths, beams, top, True, None, "backend.ctc_decode")


@documented(
    "The loss of connectionist temporal classification of each row: `ops.ctc_loss` of probabilities, whose logarithms "
    "are taken of `y_pred + epsilon`. As in Keras 2, labels that no path can write within the timesteps, as equal ones "
    "without a timestep for the blank between, give infinity.",
    {"y_true": "(array (batch, longest)): The labels, each a class but the last one.", "y_pred": _PREDICTIONS,
     "input_length": "(array (batch, 1)): How many of the timesteps count.",
     "label_length": "(array (batch, 1)): How many of the labels count."},
    "float32 array (batch, 1).",
    "backend.ctc_batch_cost([[0, 1]], np.full((1, 3, 3), 1 / 3, 'f'), [[3]], [[2]])\n"
    "array([[1.686399]], dtype=float32)",
    {"ValueError": "Other shapes; a row without labels, or with more of them than timesteps; a label that is no class, "
     "or the blank.", "TypeError": "Symbolic tensors: call it inside of a layer or loss of your own."},
)  # fmt: skip
def ctc_batch_cost(y_true, y_pred, input_length, label_length):
    _no_symbols("ctc_batch_cost", y_true, y_pred, input_length, label_length)
    lengths = [ops.cast(ops.squeeze(length, -1), "int32") for length in (label_length, input_length)]
    found = _losses(ops.cast(y_true, "int32"), ops.log(ops.add(y_pred, epsilon())), *lengths)
    return ops.expand_dims(found, 1)


@documented(
    "The most probable labels of each row, of probabilities; equal ones in a row are one.",
    {"y_pred": _PREDICTIONS, "input_length": "(array (batch,)): How many of the timesteps count.",
     "greedy": "(bool, default True): Whether the largest probability of each timestep is taken; False searches.",
     "beam_width": "(int, default 100): How many beginnings the search keeps.",
     "top_paths": "(int, default 1): How many results of the search."},
    "(list of int32 arrays (batch, timesteps), -1 behind the labels; float32 array (batch, top_paths)): see "
    "`ops.ctc_decode`.",
    "labels, scores = backend.ctc_decode([[[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.2, 0.6, 0.2]]], [3])\n"
    ">>> labels\n[array([[ 0,  1, -1]], dtype=int32)]",
    {"ValueError": "Other shapes, less paths than `top_paths`, or a row that is longer than its array.",
     "TypeError": "Symbolic tensors: call it inside of a layer of your own."},
)  # fmt: skip
def ctc_decode(y_pred, input_length, greedy=True, beam_width=100, top_paths=1):
    _no_symbols("ctc_decode", y_pred, input_length)
    timesteps = ops.shape(y_pred)[1]
    beams, top = (0, 1) if greedy else beams_of(beam_width, top_paths, timesteps, "backend.ctc_decode")
    logits = ops.log(ops.add(y_pred, epsilon()))
    paths, scores = _paths(logits, ops.cast(input_length, "int32"), beams=beams, top=top)
    return [paths[i] for i in range(top)], scores
