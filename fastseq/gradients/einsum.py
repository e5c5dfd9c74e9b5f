"""Gradients of NumPy's einsum of two arrays, for equations that no native operation computes."""

import numpy as np


def einsum_gradient(shape, labels, other, other_labels, gradient, result_labels):
    """The gradient by one operand of `shape`, from the other operand and the gradient by the result; float64.

    labels: of each one's axes; a label that stands twice in one operand takes its diagonal.
    """
    numbers = {label: i for i, label in enumerate(dict.fromkeys((*labels, *other_labels, *result_labels)))}
    unique = tuple(dict.fromkeys(labels))
    # A label that stands in this operand alone was summed over: every element along it gets the same gradient.
    known = [label for label in unique if label in other_labels or label in result_labels]

    def of(labels):
        return [numbers[label] for label in labels]

    found = np.einsum(gradient.astype(np.float64), of(result_labels), other.astype(np.float64), of(other_labels),
                      of(known))  # fmt: skip
    whole = np.zeros(shape)
    diagonal = np.einsum(whole, of(labels), of(unique))  # a view that may be written to
    alone = tuple(i for i, label in enumerate(unique) if label not in known)
    diagonal[...] = np.expand_dims(found, alone)
    return whole.astype(np.float32)
