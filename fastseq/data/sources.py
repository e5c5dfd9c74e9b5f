"""What `predict`, `fit` and `evaluate` take as x: arrays, objects with __len__ and __getitem__, and other iterables.

The first two are sources, whose batches have numbers: `batch(index)`. An iterable's batches come as it gives them.
"""

import numpy as np

from fastseq.tensors import arrays, nest

BATCH_SIZE = 32  # Keras's


class Arrays:
    """Batches out of nests of arrays that have the same number of rows.

    parts: what a batch has, each a nest of arrays: [x], or [x, y, sample_weight] where None stands for what is not
    there.
    batch_size: None is Keras's, or what cuts the rows into `count` batches where that is given.
    """

    def __init__(self, parts, batch_size=None, count=None):
        self.parts = parts
        self.rows = _common_length(parts)
        if batch_size is None:
            batch_size = -(-self.rows // count) if count else BATCH_SIZE
        self.batch_size = max(1, int(batch_size))

    def __len__(self):
        return -(-self.rows // self.batch_size)

    def batch(self, index, order=None):
        """The parts with the rows of one batch: views, or copies where `order` (rows,) says which row comes when."""
        start = index * self.batch_size
        rows = slice(start, start + self.batch_size)
        return self.take(rows if order is None else order[rows])

    def take(self, rows):
        """The parts with some rows."""
        return [nest.map_structure(lambda leaf: None if leaf is None else leaf[rows], part) for part in self.parts]


class Indexed:
    """Batches of an object with __len__ and __getitem__."""

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def batch(self, index, order=None):
        """One batch as the object gives it; `order` says which of them comes when."""
        return self.x[index if order is None else order[index]]

    def known_length(self):
        """How many batches there are; None of one that goes on for ever, as keras.utils.PyDataset may."""
        try:
            count = len(self.x)
        except TypeError:
            return None
        return None if getattr(self.x, "num_batches", count) is None else count


def kind_of(x, who):
    """Arrays, Indexed, or None for another iterable. who: the method that names itself in a ValueError for the rest."""
    if is_arrays(x):
        return Arrays
    if not isinstance(x, (str, bytes, list, tuple, dict)):
        if hasattr(x, "__len__") and hasattr(x, "__getitem__"):
            return Indexed
        if hasattr(x, "__iter__"):
            return None
    hint = ""
    if isinstance(x, (list, tuple)) and x and not any(_is_array(leaf) for leaf in nest.flatten(x)):
        hint = " np.array(x) makes an array of a list of numbers."
    raise ValueError(
        f"Unrecognized data type: x={str(x)[:200]} (of type {type(x)}). {who} takes an array, a list or dict of "
        f"arrays, a generator, or an object with __len__ and __getitem__.{hint}"
    )


def is_arrays(x):
    """An array, or lists and dicts of nothing but arrays. Raises ValueError for ragged and sparse ones."""
    leaves = nest.flatten(x)
    for leaf in leaves:
        if type(leaf) is not np.ndarray:
            arrays.refuse_uneven(leaf, "A model")
    return bool(leaves) and all(_is_array(leaf) for leaf in leaves)


def _is_array(value):
    return hasattr(value, "__array__") or (hasattr(value, "shape") and hasattr(value, "dtype"))


def as_arrays(structure, who):
    """A nest with NumPy arrays in the place of other array-likes; None stays. who: named in the ValueError for uneven
    ones."""

    def array(leaf):
        if leaf is None or type(leaf) is np.ndarray:
            return leaf
        arrays.refuse_uneven(leaf, who)
        return np.asarray(leaf)

    return nest.map_structure(array, structure)


def _common_length(parts):
    """The rows of all arrays in x, y and sample_weight. Raises ValueError where they differ."""
    sizes = [
        [len(leaf) if leaf.ndim else 1 for leaf in nest.flatten(part) if leaf is not None] for part in parts
    ]  # fmt: skip
    flat = [size for part in sizes for size in part]
    if len(set(flat)) > 1:
        named = zip(("x", "y", "sample_weight"), sizes)
        raise ValueError(
            "Data cardinality is ambiguous. Make sure all arrays contain the same number of samples. "
            + " ".join(f"'{name}' sizes: {', '.join(map(str, part))}" for name, part in named if part)
        )
    return flat[0]


def members(batch, forms):
    """The 1 to 3 members of a batch that is a tuple or a list. forms: the ValueError for another begins with them."""
    if isinstance(batch, (tuple, list)) and 1 <= len(batch) <= 3:
        return batch
    count = f"{len(batch)} items" if isinstance(batch, (tuple, list)) else type(batch).__name__
    raise ValueError(f"{forms}, got {count}.")
