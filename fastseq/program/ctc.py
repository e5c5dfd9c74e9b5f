"""Connectionist temporal classification: the steps "ctc_loss" and "ctc_decode" (src_c/abi/ops_ctc.h)."""

from fastseq.native.kinds import CTC_FAILURES, CTC_PAD
from fastseq.program import gradient_rules

gradient_rules.register("ctc_loss", "gradients.ctc:ctc_loss_rule")

# Groups of rows that have scratch of their own, so that threads can share them; less where it is so many floats.
_GROUPS, _MOST = 16, 2**24

_REASONS = {
    "no_labels": "has no labels",
    "too_long": "is longer than its array",
    "no_time": "has more labels than frames",
    "no_label": "has a label that is no class, or the blank",
    "few_paths": "has less paths than top_paths",
}


def _scratch(p, batch, floats):
    """(Slot of scratch, how many groups at most) where each group of rows needs so many floats."""
    groups = max(1, min(_GROUPS, _MOST // max(floats, 1)))
    return p.new((min(groups, batch) * floats,)), groups


def _failure(name):
    def make(position, value):
        return ValueError(f"{name}: row {position} {_REASONS[CTC_FAILURES[value]]}.")

    return make


def loss_step(p, x, labels, label_lengths, lengths, blank, exact, dy=None, name="ops.ctc_loss"):
    """Adds the loss of each row, or with `dy` the gradient of the logits, and returns its Slot.

    Args:
        p (Builder): Gets the step.
        x (Slot): (batch, timesteps, classes), logits.
        labels, label_lengths, lengths (Slot): (batch, longest), (batch,), (batch,), int32.
        blank (int): The blank's class, counted from 0.
        exact (bool): Whether it is Keras 2's loss, which knows no path but those of the labels.
        dy (Slot): (batch,), the gradient of the losses; None for the losses themselves.
        name (str): The subject of messages.
    """
    batch, timesteps, classes = x.shape
    longest = labels.shape[1]
    wide, deep = 2 * longest + 1 + CTC_PAD, classes + CTC_PAD
    kept = 2 if dy is None else timesteps + 1
    scratch, groups = _scratch(p, batch, 2 * ((kept + 6) * wide + 3 * deep))
    y = p.new((batch,) if dy is None else x.shape)
    p.step(
        "ctc_loss", failure=_failure(name), x=x, labels=labels, label_lengths=label_lengths, lengths=lengths, dy=dy,
        y=y if dy is None else None, dx=None if dy is None else y, scratch=scratch, batch=batch, timesteps=timesteps,
        classes=classes, longest=longest, blank=blank, exact=int(exact), groups=groups, wide=wide, deep=deep,
    )  # fmt: skip
    return y


def decode_step(p, x, lengths, blank, beams, top, merges, name="ops.ctc_decode"):
    """Adds the decoding of each row, and returns the Slots (paths (top, batch, timesteps), scores (batch, top)).

    Args:
        p (Builder): Gets the step.
        x (Slot): (batch, timesteps, classes), logits.
        lengths (Slot): (batch,), int32.
        blank (int): The blank's class, counted from 0.
        beams (int): How many prefixes are kept; 0 is the best path.
        top (int): How many paths are wanted.
        merges (bool): Whether labels that repeat become one.
        name (str): The subject of messages.
    """
    batch, timesteps, classes = x.shape
    deep, nodes = classes + CTC_PAD, 5 * (timesteps * beams + 1)
    room = 2 * deep + 12 * beams + (nodes + 1) // 2
    scratch, groups = _scratch(p, batch, 2 * room if beams else 0)
    paths, scores = p.new((top, batch, timesteps), "int32"), p.new((batch, top))
    p.step(
        "ctc_decode", failure=_failure(name), x=x, lengths=lengths, paths=paths, scores=scores, scratch=scratch,
        batch=batch, timesteps=timesteps, classes=classes, blank=blank, beams=beams, top=top, merges=int(merges),
        groups=groups, deep=deep, room=room,
    )  # fmt: skip
    return paths, scores
