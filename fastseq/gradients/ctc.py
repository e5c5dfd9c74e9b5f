"""The gradient of the loss of connectionist temporal classification, which its own step computes."""

from fastseq.program.ctc import loss_step


def ctc_loss_rule(b, step):
    f = step["fields"]
    given = (f[name] for name in ("x", "labels", "label_lengths", "lengths", "blank", "exact"))
    b.add(f["x"], loss_step(b.p, *given, dy=b.of(f["y"])))
