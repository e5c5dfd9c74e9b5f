"""`Model.predict`: batches out of arrays, generators and sequences, and their results put together."""

import itertools
import sys
import time
import warnings

import numpy as np

from fastseq import requirements
from fastseq.data import sources
from fastseq.layers.inference import plain, run
from fastseq.layers.walk import has_python, known_layers
from fastseq.native.kept_states import apart_each
from fastseq.tensors import nest

# Values that one batch of automatic size may hold in all layers' outputs together: 32 MB of float32.
# LSTM(128) over (1024, 100, 64), one core of Zen 4, best of 6 rounds: 426 ms with 2^22 and 2^23, 493 with 2^19, 510
# with 2^25. GRU(64) over (4096, 50, 32) takes 190 to 221 ms with any of them, without a trend.
_CHUNK_VALUES = 1 << 23
_MOST_ROWS = 8192
_BAR_DELAY = 1.0


def predict(model, x, batch_size, verbose, steps, callbacks):
    """See `Model.predict`."""
    if callbacks:
        raise ValueError("predict(callbacks=...) is not supported: loop over batches with predict_on_batch instead.")
    if verbose not in (0, 1, 2, "auto"):
        raise ValueError(f"verbose is 0, 1, 2 or 'auto', got {verbose!r}.")
    if batch_size is not None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ValueError(f"batch_size is a positive integer or None, got {batch_size!r}.")
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 1):
        raise ValueError(f"steps is a positive integer or None, got {steps!r}.")
    if steps is None and verbose != 2 and _is_one_batch(model, x, batch_size):
        return plain(run(model, x))
    batches, count, rows = _source(model, x, batch_size, steps)
    progress = _Progress(model.name, count, verbose)
    gathered = _Gathered(rows)
    done = 0
    for batch in apart_each(batches):
        gathered.add(plain(run(model, _inputs_of(batch))))
        done += 1
        progress.update(done)
        if steps is not None and done >= steps:
            break
    progress.close(done)
    if steps is not None and done < steps:
        warnings.warn(f"Model '{model.name}': the input ran out of data after {done} of {steps} steps.", stacklevel=3)
    if done == 0:
        raise ValueError(f"Model '{model.name}': predict got no batch at all.")
    return gathered.result()


def _is_one_batch(model, x, batch_size):
    """True for arrays of so few rows that they are one batch, whatever the model is made of."""
    leaves = (x,) if type(x) is np.ndarray else nest.flatten(x)
    if not leaves or any(type(leaf) is not np.ndarray or leaf.ndim == 0 for leaf in leaves):
        return False
    rows = len(leaves[0])
    if len(leaves) > 1 and any(len(leaf) != rows for leaf in leaves):
        return False
    if _is_stateful(model):
        return rows == (batch_size or _stateful_batch_size(model))
    return rows <= (batch_size or sources.BATCH_SIZE)


# ---- where batches come from -----------------------------------------------------------------------------------------


def _source(model, x, batch_size, steps):
    """(batches, how many there are, rows of all of them); None where a number is not known."""
    kind = sources.kind_of(x, "predict")
    if kind is None:
        return iter(x), steps, None
    if kind is sources.Arrays:
        source = _arrays(model, x, batch_size, steps)
        # Of no rows there is one batch too, whose result has the outputs' shapes.
        numbers, rows = range(max(1, len(source)))[:steps], source.rows
        if steps is not None:
            rows = min(rows, steps * source.batch_size)
        return (source.batch(index) for index in numbers), len(numbers), rows
    source = kind(x)
    count = source.known_length()
    if count is None and steps is None:
        raise ValueError(f"A {type(x).__name__} without a length needs steps=.")
    numbers = itertools.count() if count is None else range(count)
    return (source.batch(index) for index in numbers), count if steps is None else steps, None


def _inputs_of(batch):
    """x of a batch x, (x,), (x, y) or (x, y, weights); a list counts as a tuple, as in Keras."""
    if not isinstance(batch, (tuple, list)):
        return batch
    return sources.members(batch, "A batch is x, (x,), (x, y) or (x, y, sample_weight)")[0]


def _arrays(model, x, batch_size, steps):
    x = sources.as_arrays(x, "A model")
    leaves = nest.flatten(x)
    for leaf in leaves:
        if leaf.ndim == 0:
            raise ValueError(f"Model '{model.name}': predict takes arrays of rows, got a single value of shape ().")
    source = sources.Arrays([x], batch_size or _automatic_batch_size(model, leaves, steps))
    if _is_stateful(model) and source.rows % source.batch_size:
        raise ValueError(
            "In a stateful network, you should only pass inputs with a number of samples that can be divided by the "
            f"batch size. Found: {source.rows} samples. Batch size: {source.batch_size}."
        )
    return source


def _is_stateful(model):
    return bool(getattr(model, "stateful", False))


def _stateful_batch_size(model):
    """The rows of a batch of a stateful model: those of its inputs, where it says them."""
    sizes = {tensor.shape[0] for tensor in getattr(model, "inputs", []) if tensor.shape}
    sizes.discard(None)
    return sizes.pop() if len(sizes) == 1 else sources.BATCH_SIZE


def _automatic_batch_size(model, leaves, steps):
    """Rows per batch where the caller does not say."""
    if _is_stateful(model):
        return _stateful_batch_size(model)
    # The result of a layer in Python may depend on what else is in the batch.
    if steps is not None or has_python(model):
        return sources.BATCH_SIZE
    return int(np.clip(_CHUNK_VALUES // max(_values_per_row(model, leaves), 1), sources.BATCH_SIZE, _MOST_ROWS))


def _values_per_row(model, leaves):
    """About how many values one row makes in all layers together."""
    steps = max((leaf.shape[1] for leaf in leaves if leaf.ndim > 1), default=1)
    total = sum(int(np.prod(leaf.shape[1:], dtype=np.int64)) for leaf in leaves)
    for layer in known_layers(model):
        for node in layer._inbound_nodes[:1]:
            for tensor in node.output_tensors:
                total += int(np.prod([steps if size is None else size for size in tensor.shape[1:]], dtype=np.int64))
    return total


# ---- results and progress --------------------------------------------------------------------------------------------


class _Gathered:
    """Batches' results, written into arrays of the final size at once where `rows` is known."""

    def __init__(self, rows):
        self.rows = rows
        self.structure = self.parts = self.wholes = None
        self.filled = 0

    def add(self, outputs):
        flat = nest.flatten(outputs)
        if self.parts is None:
            self.structure = nest.map_structure(lambda _: None, outputs)
            self.parts = [[] for _ in flat]
            self._whole(flat)
        if self.rows is not None and all(
            len(array) == len(flat[0]) and array.shape[1:] == whole.shape[1:] and array.dtype == whole.dtype
            for array, whole in zip(flat, self.wholes)
        ):
            for array, whole in zip(flat, self.wholes):
                if array is not whole:
                    whole[self.filled : self.filled + len(array)] = array
            self.filled += len(flat[0])
            return
        self._give_up_wholes()
        for part, array in zip(self.parts, flat):
            part.append(array)

    def _whole(self, first):
        """The arrays of the final size; the first batch's own where it is the only one."""
        if self.rows is None or any(array.ndim == 0 for array in first):
            self.rows = None
            return
        if all(len(array) == self.rows for array in first):
            self.wholes = first
        else:
            self.wholes = [np.empty((self.rows, *array.shape[1:]), array.dtype) for array in first]

    def _give_up_wholes(self):
        """Batches whose results differ in more than the number of rows are kept apart until the end."""
        if self.rows is not None:
            if self.filled:
                self.parts = [[whole[: self.filled]] for whole in self.wholes]
            self.rows = None
            self.wholes = None

    def result(self):
        if self.rows is not None and self.filled == self.rows:
            return nest.pack_like(self.structure, self.wholes)
        self._give_up_wholes()
        return nest.pack_like(self.structure, [self._join(part) for part in self.parts])

    @staticmethod
    def _join(part):
        if len(part) == 1:
            return part[0]
        if part[0].ndim == 0:
            return np.stack(part)
        shapes = {array.shape[1:] for array in part}
        if len(shapes) > 1:
            raise ValueError(
                f"The batches' results have the shapes {sorted(shapes)} behind their rows and cannot be one array. "
                "Use predict_on_batch for each batch, or pad them to one length."
            )
        return np.concatenate(part)


class _Progress:
    """A tqdm bar that appears once the run has lasted a second, or one line at the end."""

    def __init__(self, name, count, verbose):
        self.name = name
        self.count = count
        self.verbose = 1 if verbose == "auto" else verbose
        self.start = time.monotonic()
        self.bar = None

    def update(self, done):
        if self.verbose != 1:
            return
        if self.bar is None:
            if time.monotonic() - self.start < _BAR_DELAY or done == self.count:
                return
            # Only here: importing tqdm takes longer than most runs.
            tqdm = requirements.load("tqdm", "The progress bar of predict(verbose=1)")
            self.bar = tqdm.tqdm(total=self.count, initial=done, desc=self.name, unit="batch", file=sys.stderr)
            return
        self.bar.update(1)

    def close(self, done):
        if self.bar is not None:
            self.bar.close()
        if self.verbose == 2:
            seconds = time.monotonic() - self.start
            print(f"{self.name}: {done} batches in {seconds:.2f} s", file=sys.stderr)
