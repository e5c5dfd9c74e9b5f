"""Batches of x, y and sample weights, out of arrays, generators, and objects with __len__ and __getitem__."""

import numpy as np

from fastseq.data.predict import _is_arrays, unrecognized
from fastseq.tensors import nest
from fastseq.tensors.arrays import refuse_uneven

_BATCH_SIZE = 32


class _Counted:
    """Batches whose number is known. Subclasses define `__len__` and `_batches(number, first)`.

    steps: None, where an epoch is a pass over all batches, or how many an epoch has. Then epochs go on in a pass where
    the last one stopped and end with it, as in Keras: the pass and the place in it follow from the epoch's number, so a
    run that goes on later needs to know no more than that.
    """

    def __init__(self, steps, shuffle):
        self._steps, self._shuffle = steps, shuffle
        self._seed = self._first_epoch = 0

    def begin(self, seed, epoch):
        """Before the run's first epoch, of that number; seed: what the order depends on in each pass."""
        self._seed, self._first_epoch = seed, epoch

    def _place(self, epoch):
        """(number of the pass, its first batch in this epoch). The pass that an epoch is, is the epoch's number."""
        if self._steps is None:
            return epoch, 0
        epochs = max(1, -(-len(self) // self._steps))  # in a pass; the last may be short
        passes, within = divmod(epoch - self._first_epoch, epochs)
        return self._first_epoch + passes, within * self._steps

    def count(self, epoch):
        """How many batches the epoch has."""
        left = len(self) - self._place(epoch)[1]
        return left if self._steps is None else min(left, self._steps)

    def batches(self, epoch, start=0):
        """[x, y, sample_weight] of the batches of an epoch from its batch `start` on, and on to the end of the pass."""
        number, first = self._place(epoch)
        return self._batches(number, first + start)

    def _generator(self, number):
        return np.random.default_rng([self._seed, number])

    def epoch_ended(self):
        pass


class Arrays(_Counted):
    """Batches of arrays. shuffle: as `Model.fit` has it; another order of the rows in every pass."""

    def __init__(self, x, y, sample_weight, batch_size, steps=None, shuffle=False):
        super().__init__(steps, shuffle)
        self._data = [_as_arrays(part) for part in (x, y, sample_weight)]
        self.rows = _common_length(self._data)
        if batch_size is None:
            batch_size = -(-self.rows // steps) if steps else _BATCH_SIZE
        self._batch_size = max(1, int(batch_size))
        self._ordered = None  # (seed, pass), and the rows' order in it

    def __len__(self):
        return -(-self.rows // self._batch_size)

    def _batches(self, number, first):
        order = self._order(number) if self._shuffle else None
        for start in range(first * self._batch_size, self.rows, self._batch_size):
            chosen = slice(start, start + self._batch_size)
            chosen = chosen if order is None else order[chosen]
            yield [_chosen(part, chosen) for part in self._data]

    def _order(self, number):
        # Kept, for a pass may have many epochs.
        key = self._seed, number
        if self._ordered is None or self._ordered[0] != key:
            order = np.arange(self.rows)
            # "batch": the batches stay, with their rows in another order.
            size = self._batch_size if self._shuffle == "batch" else max(1, self.rows)
            generator = self._generator(number)
            for start in range(0, self.rows, size):
                order[start : start + size] = generator.permutation(order[start : start + size])
            self._ordered = key, order
        return self._ordered[1]


class Indexed(_Counted):
    """Batches of an object with __len__ and __getitem__, which may have on_epoch_end. shuffle: them, in every pass."""

    def __init__(self, source, steps=None, shuffle=False):
        super().__init__(steps, shuffle)
        self._source = source

    def __len__(self):
        return len(self._source)

    def _batches(self, number, first):
        order = range(len(self))
        if self._shuffle:
            order = self._generator(number).permutation(len(self)).tolist()
        for index in order[first:]:
            yield parts_of(self._source[index])

    def epoch_ended(self):
        if hasattr(self._source, "on_epoch_end"):
            self._source.on_epoch_end()


class Iterated:
    """Batches of a generator, which goes on from epoch to epoch, or of another iterable.

    That begins anew with every epoch; with a number of `steps` for each, when it has come to its end.
    """

    def __init__(self, source, steps):
        self._source = source
        self._steps = steps
        self._iterator = None
        self._is_generator = False

    def begin(self, seed, epoch):
        pass

    def __len__(self):
        if self._steps is None:
            raise TypeError("unknown")
        return self._steps

    def count(self, epoch):
        return self._steps

    def batches(self, epoch, start=0):
        skipped = 0
        if self._iterator is None:
            self._iterator = iter(self._source)
            self._is_generator = self._iterator is self._source
            # What a killed run has done of this epoch is skipped. A generator's place is not known: it goes on.
            skipped = 0 if self._is_generator or self._steps is not None else start
        for _ in range(2):
            there = False
            for batch in self._iterator:
                there = True
                if skipped:
                    skipped -= 1
                    continue
                yield parts_of(batch)
            if self._is_generator:
                return
            self._iterator = iter(self._source)
            if there:
                return  # in this epoch; where the last one ended with the pass, this one has the next pass

    def epoch_ended(self):
        if self._steps is None and not self._is_generator:
            self._iterator = None


def check_stateful(model, source, what, epochs=1):
    """Before the first step: raises ValueError where a stateful model would get batches of several sizes, or another
    than its Input has. Of batches that x makes nothing is known: the layer raises when it meets one."""
    if not isinstance(source, Arrays) or not model.stateful:
        return
    size, rows, steps = source._batch_size, source.rows, source._steps
    all_of_it = steps is None or epochs > 1 or steps * size > rows
    if rows % size and all_of_it:
        raise ValueError(
            f"Model '{model.name}' is stateful, so all batches have the same number of rows: {what}() got {rows} rows "
            f"and batch_size={size}, which leaves {rows % size} for the last one."
        )
    wanted = {tensor.shape[0] for tensor in getattr(model, "inputs", ()) if tensor.shape} if model.built else set()
    wanted.discard(None)
    if len(wanted) == 1 and wanted != {size}:
        raise ValueError(
            f"Model '{model.name}' is stateful and takes batches of {min(wanted)} rows, {what}() would make some of "
            f"{size}: batch_size={min(wanted)}."
        )


def parts_of(batch):
    """[x, y, sample_weight] of a batch (x,), (x, y) or (x, y, sample_weight)."""
    if not isinstance(batch, (tuple, list)) or not 1 <= len(batch) <= 3:
        count = f"{len(batch)} items" if isinstance(batch, (tuple, list)) else type(batch).__name__
        raise ValueError(f"A batch for training is (x, y), (x,) or (x, y, sample_weight), got {count}.")
    return [*batch, *[None] * (3 - len(batch))]


def source(x, y, sample_weight, batch_size, steps, shuffle=False):
    """Where batches come from; arguments as `Model.fit` has them. Raises ValueError for what does not go together.

    As in Keras batch_size is not looked at but for arrays.
    """
    if _is_arrays(x):
        return Arrays(x, y, sample_weight, batch_size, steps, shuffle)
    batches = not isinstance(x, (str, bytes, list, tuple, dict))
    if not batches or not (hasattr(x, "__iter__") or (hasattr(x, "__len__") and hasattr(x, "__getitem__"))):
        raise unrecognized("Training", x)
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(f"{name} goes with arrays; a {type(x).__name__} makes its own batches of (x, y).")
    if hasattr(x, "__len__") and hasattr(x, "__getitem__"):
        return Indexed(x, steps, shuffle)
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
    if not isinstance(class_weight, dict):
        raise TypeError(f"class_weight is a dict of class number -> weight, got {class_weight!r}.")
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
    def array(leaf):
        if leaf is None or type(leaf) is np.ndarray:
            return leaf
        refuse_uneven(leaf, "fit(), evaluate() and train_on_batch()")
        return np.asarray(leaf)

    return nest.map_structure(array, structure)


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
