"""Epochs of batches of x, y and sample weights, for `fit` and `evaluate`."""

import numpy as np

from fastseq.data import sources

_WHO = "fit(), evaluate() and train_on_batch()"


class Counted:
    """The batches of a source of arrays or of an object with a length, whose number is known.

    source: an Arrays or Indexed.
    steps: None, where an epoch is a pass over all batches, or how many an epoch has. Then epochs go on in a pass where
    the last one stopped and end with it, as in Keras: the pass and the place in it follow from the epoch's number, so a
    run that goes on later needs to know no more than that.
    shuffle: as `Model.fit` has it: another order of the rows, of an object the batches, in every pass.
    """

    def __init__(self, source, steps, shuffle):
        self.source, self.steps, self._shuffle = source, steps, shuffle
        self._seed = self._first_epoch = 0
        self._ordered = None  # ((seed, pass, how many), the rows' or batches' order in it)

    def __len__(self):
        return len(self.source)

    def begin(self, seed, epoch):
        """Before the run's first epoch, of that number; seed: what the order depends on in each pass."""
        self._seed, self._first_epoch = seed, epoch

    def _place(self, epoch):
        """(number of the pass, its first batch in this epoch). The pass that an epoch is, is the epoch's number."""
        if self.steps is None:
            return epoch, 0
        epochs = max(1, -(-len(self) // self.steps))  # in a pass; the last may be short
        passes, within = divmod(epoch - self._first_epoch, epochs)
        return self._first_epoch + passes, within * self.steps

    def count(self, epoch):
        """How many batches the epoch has."""
        left = len(self) - self._place(epoch)[1]
        return left if self.steps is None else min(left, self.steps)

    def batches(self, epoch, start=0):
        """[x, y, sample_weight] of the batches of an epoch from its batch `start` on, and on to the end of the pass."""
        number, first = self._place(epoch)
        count = len(self)
        order = self._order(number, count) if self._shuffle else None
        for index in range(first + start, count):
            yield parts_of(self.source.batch(index, order))

    def _order(self, number, count):
        # Kept, for a pass may have many epochs.
        key = self._seed, number, count
        if self._ordered is None or self._ordered[0] != key:
            self._ordered = key, self._shuffled(np.random.default_rng([self._seed, number]), count)
        return self._ordered[1]

    def _shuffled(self, generator, count):
        if isinstance(self.source, sources.Indexed):
            return generator.permutation(count).tolist()
        rows = self.source.rows
        order = np.arange(rows)
        # "batch": the batches stay, with their rows in another order.
        size = self.source.batch_size if self._shuffle == "batch" else max(1, rows)
        for start in range(0, rows, size):
            order[start : start + size] = generator.permutation(order[start : start + size])
        return order

    def epoch_ended(self):
        if isinstance(self.source, sources.Indexed) and hasattr(self.source.x, "on_epoch_end"):
            self.source.x.on_epoch_end()


class Iterated:
    """Batches of a generator, which goes on from epoch to epoch, or of another iterable.

    That begins anew with every epoch; with a number of `steps` for each, when it has come to its end.
    """

    def __init__(self, source, steps):
        self.source = source
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
            self._iterator = iter(self.source)
            self._is_generator = self._iterator is self.source
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
            self._iterator = iter(self.source)
            if there:
                return  # in this epoch; where the last one ended with the pass, this one has the next pass

    def epoch_ended(self):
        if self._steps is None and not self._is_generator:
            self._iterator = None


def check_stateful(model, source, what, epochs=1):
    """Before the first step: raises ValueError where a stateful model would get batches of several sizes, or another
    than its Input has. Of batches that x makes nothing is known: the layer raises when it meets one."""
    data = source.source
    if not isinstance(data, sources.Arrays) or not model.stateful:
        return
    size, rows, steps = data.batch_size, data.rows, source.steps
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
    members = sources.members(batch, "A batch for training is (x, y), (x,) or (x, y, sample_weight)")
    return [*members, *[None] * (3 - len(members))]


def source(x, y, sample_weight, batch_size, steps, shuffle=False):
    """Where batches come from; arguments as `Model.fit` has them. Raises ValueError for what does not go together.

    As in Keras batch_size is not looked at but for arrays.
    """
    kind = sources.kind_of(x, "Training")
    if kind is sources.Arrays:
        return Counted(_arrays(x, y, sample_weight, batch_size, steps), steps, shuffle)
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(f"{name} goes with arrays; a {type(x).__name__} makes its own batches of (x, y).")
    return Iterated(x, steps) if kind is None else Counted(kind(x), steps, shuffle)


def _arrays(x, y, sample_weight, batch_size=None, steps=None):
    return sources.Arrays([sources.as_arrays(part, _WHO) for part in (x, y, sample_weight)], batch_size, steps)


def split(x, y, sample_weight, fraction):
    """((x, y, weights) for training, the same for validation): the last `fraction` of the rows, as Keras takes them."""
    if not 0 < fraction < 1:
        raise ValueError(f"validation_split must be between 0 and 1, got {fraction}.")
    if not sources.is_arrays(x):
        raise ValueError("validation_split goes with arrays x and y.")
    data = _arrays(x, y, sample_weight)
    at = int(np.floor(data.rows * (1.0 - fraction)))
    if at in (0, data.rows):
        raise ValueError(f"validation_split={fraction} of {data.rows} samples leaves one of the two parts empty.")
    return data.take(slice(0, at)), data.take(slice(at, None))


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
