"""Einstein's summation. https://keras.io/api/ops/numpy/#einsum-function"""

import re

from fastseq.ops.contraction import contract, product_dtype, sizes_of
from fastseq.ops.documented import documented
from fastseq.ops.operation import operation
from fastseq.ops.values import MixesTimesteps, reduce, reordered, view
from fastseq.program.slots import strides_of


def _refuse(subscripts, why):
    raise ValueError(f"ops.einsum: subscripts {subscripts!r} {why}.")


def parsed(subscripts, ranks):
    """(labels of each operand, labels of the result), a label a letter, or a number for an axis of an ellipsis.

    Without "->" the result has the letters that stand once, in the order of the alphabet, behind the ellipsis.
    """
    if not isinstance(subscripts, str):
        raise ValueError(f"ops.einsum takes its subscripts as a string first, got {subscripts!r}.")
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        _refuse(subscripts, f"are for {len(terms)} arrays, got {len(ranks)}")
    if any(not re.fullmatch(r"[a-zA-Z]*(\.\.\.)?[a-zA-Z]*", term) for term in (*terms, right)):
        _refuse(subscripts, "are not known: letters, commas, '->' and '...' are")
    found, most = [], 0
    for term, rank in zip(terms, ranks):
        own = len(term.replace("...", ""))
        rest = rank - own
        if rest < 0 or (rest and "..." not in term):
            _refuse(subscripts, f"have {own} letters for an array of {rank} axes")
        before, dots, after = term.partition("...")
        most = max(most, rest)
        found.append([*before, *(range(-rest, 0) if dots else ()), *after])
    every = [label for labels in found for label in labels]
    if arrow:
        before, dots, after = right.partition("...")
        result = [*before, *(range(-most, 0) if dots else ()), *after]
    else:
        once = sorted(label for label in set(every) if isinstance(label, str) and every.count(label) == 1)
        result = [*range(-most, 0), *once]
    if len(set(result)) != len(result) or not set(result) <= {*every}:
        _refuse(subscripts, "name an axis of the result twice, or one that no array has")
    return found, result


def _diagonal(x, labels):
    """`x` with each label once: those that stand twice take the elements whose places along both are equal."""
    unique = list(dict.fromkeys(labels))
    if len(unique) == len(labels):
        return x, labels
    strides, sizes = dict.fromkeys(unique, 0), {}
    for label, size, stride in zip(labels, x.shape, strides_of(x.shape)):
        strides[label] += stride
        if sizes.setdefault(label, size) != size and not {size, sizes[label]} & set(getattr(x.p, "unknown", ())):
            raise ValueError(f"ops.einsum: an array of shape {x.shape} has two sizes along '{label}'.")
    time = None
    if x.time is not None:
        if labels.count(labels[x.time]) > 1:
            raise MixesTimesteps("it takes the diagonal of timesteps")
        time = unique.index(labels[x.time])
    return view(x, [sizes[i] for i in unique], [strides[i] for i in unique], time=time), unique


def _one(x, labels, result):
    """One array: sums, then the order of the result."""
    gone = {i for i, label in enumerate(labels) if label not in result}
    if gone:
        x = reduce("sum" if x.dtype == "float32" else "sum_int32", x, gone, x.dtype)
    kept = [label for label in labels if label in result]
    return reordered(x, [kept.index(label) for label in result])


def _check_letters(pairs, sizes):
    """Raises ValueError where a size of 1 meets another along a letter: that is for the axes of an ellipsis."""
    for x, labels in pairs:
        for label, size in zip(labels, x.shape):
            known = not {size, sizes[label]} & set(getattr(x.p, "unknown", ()))
            if isinstance(label, str) and size != sizes[label] and known:
                raise ValueError(f"ops.einsum: sizes {size} and {sizes[label]} along '{label}' are not one size.")


@operation("Einsum", options=("subscripts",), several=("operands",))
@documented(
    "Sums of products over axes that letters name.",
    {
        "subscripts": "(str): The axes of each array, with a comma between arrays; then '->' and those of the result. "
        "A letter that the result has not is summed over; '...' stands for axes that broadcast.",
        "*operands": "(array): One for each term.",
    },
    "float32 array, or int32 where all are integers.",
    'ops.einsum("ij,jk->ik", [[1.0, 2.0]], [[3.0], [4.0]])\narray([[11.]], dtype=float32)',
    {"ValueError": "Subscripts that are not known, or sizes that do not fit."},
)
def einsum(subscripts, *operands):
    terms, result = parsed(subscripts, [x.ndim for x in operands])
    arrays = product_dtype(operands)
    pairs = [_diagonal(x, labels) for x, labels in zip(arrays, terms)]
    sizes = sizes_of(arrays[0].p, "einsum", *((labels, x.shape) for x, labels in pairs))
    _check_letters(pairs, sizes)
    x, labels = pairs[0]
    for at, (other, its) in enumerate(pairs[1:], 2):
        later = {label for _, own in pairs[at:] for label in own} | set(result)
        kept = result if at == len(pairs) else [i for i in dict.fromkeys((*labels, *its)) if i in later]
        x, labels = contract(x, other, labels, its, kept, "einsum"), kept
    if len(pairs) == 1:
        x = _one(x, labels, result)
    assert x.shape == tuple(sizes[label] for label in result)
    return x
