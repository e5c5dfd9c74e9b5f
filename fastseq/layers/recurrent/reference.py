"""The naive twin of all recurrent layers: a walk over time in NumPy."""

import numpy as np


def reference_recurrence(step, x, states, mask=None, go_backwards=False, zero_output_for_mask=False):
    """The naive walk over time, in the dtype of its arrays.

    step(x_t, states) -> (output, list of new states); x (B, T, ...); states: list of (B, ...); mask (B, T) bool, or
    (B, T, H) for each unit by itself.
    A masked step keeps the states and repeats the last output (zeros before the first), or gives zeros.
    Returns ((B, T, ...) outputs in the order of the walk, final states).
    """
    outputs, last = [], 0

    def where(keep, new, old):
        return np.where(keep.reshape(*keep.shape, *[1] * (np.ndim(new) - keep.ndim)), new, old)

    for t in range(x.shape[1])[:: -1 if go_backwards else 1]:
        output, new = step(x[:, t], states)
        if mask is not None:
            keep = np.asarray(mask, bool)[:, t]
            output = where(keep, output, 0 if zero_output_for_mask else last)
            new = [where(keep, value, old) for value, old in zip(new, states)]
        states, last = new, output
        outputs.append(output)
    return np.stack(outputs, axis=1), list(states)
