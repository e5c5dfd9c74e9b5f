"""What decoding is asked for: checks of its arguments, and the seeds of its rows."""

import numpy as np

from fastseq.decoding.step import layer_name
from fastseq.tensors.seeds import default_seed
from fastseq.tensors.symbolic import KerasTensor


def may_equal(a, b):
    return len(a) == len(b) and all(None in pair or pair[0] == pair[1] for pair in zip(a, b))


def find(tensors, wanted, who, kind):
    """Position of the tensor that `wanted` names: an index, a layer's or tensor's name, or the KerasTensor itself."""
    if isinstance(wanted, KerasTensor):
        found = [i for i, tensor in enumerate(tensors) if tensor is wanted]
    elif isinstance(wanted, str):
        found = [i for i, tensor in enumerate(tensors) if wanted in (layer_name(tensor), tensor.name)]
    elif isinstance(wanted, (int, np.integer)) and not isinstance(wanted, bool):
        found = list(range(len(tensors)))[wanted : wanted + 1 or None]
    else:
        found = []
    if len(found) != 1:
        names = [layer_name(tensor) for tensor in tensors]
        raise ValueError(
            f"{who}: {wanted!r} names {len(found) or 'no'} {kind}{'s' if len(found) > 1 else ''} of the model, which "
            f"has {names}; an index, a name or the KerasTensor itself says which."
        )
    return found[0]


def at_least_one(value, name):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} is a positive integer, got {value!r}.")
    return int(value)


def checked_token(value, name, optional=False):
    if optional and value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 0 <= value < 2**31:
        raise ValueError(f"{name} is a token, an integer from 0 on{', or None' if optional else ''}, got {value!r}.")
    return int(value)


def checked_number(value, name, fits, what):
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
        raise ValueError(f"{name} is a number, got {value!r}.")
    if not np.isfinite(value) or not fits(value):
        raise ValueError(f"{name} is {what}, got {value!r}.")
    return float(value)


def draw_of(batch, temperature, top_k, top_p, seed):
    """(a seed for each row (B,) uint64, temperature, top_k, top_p) for src_c/decode/decode.c."""
    # The kernels divide by it in float32, of which this is the smallest number that is not denormal.
    smallest = float(np.finfo(np.float32).tiny)
    hint = f"at least {smallest:.3g} (the limit 0 is greedy)"
    temperature = checked_number(temperature, "temperature", lambda value: value >= smallest, hint)
    top_p = (
        1.0 if top_p is None else checked_number(top_p, "top_p", lambda value: 0 < value <= 1, "above 0 and at most 1")
    )
    top_k = 0 if top_k is None else min(at_least_one(top_k, "top_k"), 2**31 - 1)  # more tokens than there are
    seeds = np.asarray(default_seed() if seed is None else seed)
    if seeds.dtype.kind not in "iu" or seeds.shape not in ((), (batch,)):
        raise ValueError(
            f"seed is an integer, or one for each of {batch} rows, of shape ({batch},); got {seeds.dtype} of shape "
            f"{seeds.shape}."
        )
    # Rows that share a seed are told apart by their number; a seed of one row's own is taken as that of row 0.
    numbers = np.arange(batch, dtype=np.uint64) if seeds.ndim == 0 else np.zeros(batch, np.uint64)
    mixed = _mixed(np.broadcast_to(seeds, (batch,)).astype(np.uint64)) + numbers
    return _mixed(mixed), temperature, top_k, top_p


def _mixed(z):
    """The finalizer of SplitMix64 on uint64 (B,), as fs_mix in src_c/abi/mix.h."""
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
