"""Reverse-mode differentiation of programs: for every step of a forward pass, the steps that give its gradients.

Each operation of src_c's FS_OPS through which a gradient can go has a rule, which the file that emits it registers
(program/gradient_rules.py). A model is a list of such steps, so there is nothing to be said about layers.
"""

from fastseq.gradients import loops, recurrent
from fastseq.gradients.backward import Backward
from fastseq.program import last_timestep


def append_backward(p, outputs, wanted, by_rows=False):
    """Appends the backward pass of all steps of the builder `p` to it.

    outputs: pairs of a float32 Slot and the Slot of the loss's gradient by it; wanted: Slots that gradients are wanted
    of. Returns a Slot for each of them, of its shape, or None for those that the outputs do not depend on; by_rows: or
    `backward.Rows` for a table that one look-up reads.
    Raises UnsupportedError, naming the layer, for a step whose gradient is not known.
    """
    last_timestep.shorten(p.steps, [slot for slot, _ in outputs] + wanted, traced=True)
    backward = Backward(p, wanted, by_rows)
    for slot, gradient in outputs:
        backward.add(slot, gradient)
    outer = p.layer_name
    steps = backward.steps[:]
    while steps:
        step = steps.pop()
        if "loop" in step:
            loops.through_loop(backward, [*reversed(_loop_before(steps, step)), step])
            continue
        p.layer_name = step["name"]
        # What ran beside this one forward, two directions of a sequence, runs beside it backward.
        beside = steps[-1] if steps and steps[-1].get("with_next") else None
        if beside is not None and recurrent.is_pair(step, beside) and backward.reaches(step, beside):
            recurrent.both(backward, step, steps.pop())
        else:
            backward.through(step)
    p.layer_name = outer
    backward.drop_unneeded(p.steps)
    return [backward.found(slot) for slot in wanted]


def _loop_before(steps, last):
    """Takes the other steps of the loop of `last` from the end of `steps`, and returns them, from the last on."""
    found = []
    while steps and steps[-1].get("loop") is last["loop"]:
        found.append(steps.pop())
    return found
