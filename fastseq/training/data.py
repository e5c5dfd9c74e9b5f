"""Batches of x, y and sample weights, out of arrays, generators, and objects with __len__ and __getitem__."""

import numpy as np

from fastseq import nest
from fastseq.models.predict import _is_arrays

_BATCH_SIZE = 32


class Arrays:
    """Batches of arrays. seed: what the order depends on in each epoch, or None for the order they are in."""

    def __init__(self, x, y, sample_weight, batch_size, seed=None):
        self._data = [_as_arrays(part) for part in (x, y, sample_weight)]
        self.rows = _common_length(self._data)
        self._batch_size = int(batch_size or _BATCH_SIZE)
        self._seed = seed

    def __len__(self):
        return -(-self.rows // self._batch_size)

    def batches(self, epoch, start=0):
        """(x, y, sample_weight) of every batch of an epoch from batch `start` on."""
        order = None if self._seed is None else np.random.default_rng([self._seed, epoch]).permutation(self.rows)
        for first in range(start * self._batch_size, self.rows, self._batch_size):
            chosen = slice(first, first + self._batch_size)
            chosen = chosen if order is None else order[chosen]
            yield [_chosen(part, chosen) for part in self._data]

    def epoch_ended(self):
        pass


class Indexed:
    """Batches of an object with __len__ and __getitem__, which may have on_epoch_end. seed: as for `Arrays`."""

    def __init__(self, source, seed=None):
        self._source = source
        self._seed = seed

    def __len__(self):
        return len(self._source)

    def batches(self, epoch, start=0):
        order = range(len(self._source))
        if self._seed is not None:
            order = np.random.default_rng([self._seed, epoch]).permutation(len(self._source)).tolist()
        for index in order[start:]:
            yield parts_of(self._source[index])

    def epoch_ended(self):
        if hasattr(self._source, "on_epoch_end"):
            self._source.on_epoch_end()


class Iterated:
    """Batches of a generator, which goes on from epoch to epoch, or of another iterable, which begins anew."""

    def __init__(self, source, steps):
        self._source = source
        self._steps = steps
        self._iterator = None

    def __len__(self):
        if self._steps is None:
            raise TypeError("unknown")
        return self._steps

    def batches(self, epoch, start=0):
        if self._iterator is None:
            self._iterator = iter(self._source)
        for batch in self._iterator:
            yield parts_of(batch)
        # It has run out: a generator for good.
        self._iterator = None if iter(self._source) is not self._source else self._iterator

    def epoch_ended(self):
        if self._steps is None:
            self._iterator = None


def parts_of(batch):
    """[x, y, sample_weight] of a batch (x, y) or (x, y, sample_weight)."""
    if not isinstance(batch, (tuple, list)) or not 2 <= len(batch) <= 3:
        count = f"{len(batch)} items" if isinstance(batch, (tuple, list)) else type(batch).__name__
        raise ValueError(f"A batch for training is (x, y) or (x, y, sample_weight), got {count}.")
    return [*batch, *[None] * (3 - len(batch))]


def source(x, y, sample_weight, batch_size, steps, seed):
    """Where batches come from; arguments as `Model.fit` has them. Raises ValueError for what does not go together."""
    if _is_arrays(x):
        if y is None:
            raise ValueError("Arrays x need labels y.")
        return Arrays(x, y, sample_weight, batch_size, seed)
    for name, value in (("y", y), ("sample_weight", sample_weight), ("batch_size", batch_size)):
        if value is not None:
            raise ValueError(f"{name} goes with arrays; a {type(x).__name__} makes its own batches of (x, y).")
    if hasattr(x, "__len__") and hasattr(x, "__getitem__") and not isinstance(x, (str, bytes, list, tuple, dict)):
        return Indexed(x, seed)
    if not hasattr(x, "__iter__") or isinstance(x, (str, bytes, list, tuple, dict)):
        raise ValueError(f"Unrecognized data type: x={str(x)[:200]} (of type {type(x)}).")
    return Iterated(x, steps)


def split(x, y, sample_weight, fraction):
    """((x, y, weights) for training, the same for validation): the last `fraction` of the rows, as Keras takes them."""
    if not 0 < fraction < 1:
        raise ValueError(f"validation_split must be between 0 and 1, got {fraction}.")
    if not _is_arrays(x):
        raise ValueError("validation_split goes with arrays x and y.")
    data = [_as_arrays(part) for part in (x, y, sample_weight)]
    rows = _common_length(data)
    at = int(np.floor(rows * (1.0 - fraction)))
    if at in (0, rows):
        raise ValueError(f"validation_split={fraction} of {rows} samples leaves one of the two parts empty.")
    return [_chosen(part, slice(0, at)) for part in data], [_chosen(part, slice(at, None)) for part in data]


def class_weights(class_weight, y):
    """(rows,) the weight of each sample by its class: a number, or the largest of one-hot labels; 1 where none is."""
    y = np.asarray(y)
    if y.ndim > 1:
        y = y[..., 0] if y.shape[-1] == 1 else y.argmax(axis=-1)
    if y.ndim != 1:
        raise ValueError(f"class_weight takes one class for each sample, the labels have shape {np.shape(y)} of them.")
    classes = np.round(y).astype(np.int64)
    return np.array([class_weight.get(int(number), 1.0) for number in classes], np.float32)


def _chosen(structure, rows):
    return nest.map_structure(lambda leaf: None if leaf is None else leaf[rows], structure)


def _as_arrays(structure):
    return nest.map_structure(lambda leaf: leaf if leaf is None else np.asarray(leaf), structure)


def _common_length(data):
    sizes = [
        [len(leaf) if leaf.ndim else 1 for leaf in nest.flatten(part) if leaf is not None] for part in data
    ]  # fmt: skip
    flat = [size for part in sizes for size in part]
    if len(set(flat)) > 1:
        named = zip(("x", "y", "sample_weight"), sizes)
        raise ValueError(
            "Data cardinality is ambiguous. Make sure all arrays contain the same number of samples. "
            + " ".join(f"'{name}' sizes: {', '.join(map(str, part))}" for name, part in named if part)
        )
    return flat[0]
