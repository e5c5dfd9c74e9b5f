"""`Model.predict`: batches out of arrays, generators and sequences, and their results put together."""

import sys
import time
import warnings

import numpy as np

from fastseq import requirements
from fastseq.layers.inference import plain, run
from fastseq.layers.walk import has_python, known_layers
from fastseq.native.kept_states import apart_each
from fastseq.tensors import arrays, nest

_KERAS_BATCH_SIZE = 32
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
    source = _source(model, x, batch_size, steps)
    progress = _Progress(model.name, source.count, verbose)
    gathered = _Gathered(source.rows)
    done = 0
    for batch in source:
        gathered.add(plain(run(model, batch)))
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
    return rows <= (batch_size or _KERAS_BATCH_SIZE)


# ---- where batches come from -----------------------------------------------------------------------------------------


class _Source:
    """Batches. count: how many, rows: rows of all of them; None where that is not known."""

    def __init__(self, batches, count=None, rows=None):
        self.batches = batches
        self.count = count
        self.rows = rows

    def __iter__(self):
        return apart_each(self.batches)


def _source(model, x, batch_size, steps):
    if _is_arrays(x):
        return _from_arrays(model, x, batch_size, steps)
    if x is None or isinstance(x, (str, bytes, list, tuple, dict, int, float)):
        raise unrecognized("predict", x)
    if hasattr(x, "__len__") and hasattr(x, "__getitem__"):
        return _from_sequence(x, steps)
    if not hasattr(x, "__iter__"):
        raise ValueError(f"Unrecognized data type: {type(x)} is neither an array nor can it be iterated over.")
    return _Source((_inputs_of(batch) for batch in x), steps)


def unrecognized(who, x):
    """The error for an x that is neither arrays nor makes batches."""
    hint = ""
    if isinstance(x, (list, tuple)) and x and not any(_is_array(leaf) for leaf in nest.flatten(x)):
        hint = " np.array(x) makes an array of a list of numbers."
    return ValueError(
        f"Unrecognized data type: x={str(x)[:200]} (of type {type(x)}). {who} takes an array, a list or dict of "
        f"arrays, a generator, or an object with __len__ and __getitem__.{hint}"
    )


def _is_array(value):
    return hasattr(value, "__array__") or (hasattr(value, "shape") and hasattr(value, "dtype"))


def _is_arrays(x):
    """An array, or lists and dicts of nothing but arrays. Raises ValueError for ragged and sparse ones."""
    leaves = nest.flatten(x)
    for leaf in leaves:
        if type(leaf) is not np.ndarray:
            arrays.refuse_uneven(leaf, "A model")
    return bool(leaves) and all(_is_array(leaf) for leaf in leaves)


def _inputs_of(batch):
    """x of a batch x, (x,), (x, y) or (x, y, weights); a list counts as a tuple, as in Keras."""
    if not isinstance(batch, (tuple, list)):
        return batch
    if 1 <= len(batch) <= 3:
        return batch[0]
    raise ValueError(f"A batch is x, (x,), (x, y) or (x, y, sample_weight), got {len(batch)} items.")


def _from_sequence(x, steps):
    try:
        count = len(x)
    except TypeError:
        count = None
    # keras.utils.PyDataset may have no length (None): it goes on for ever.
    if getattr(x, "num_batches", count) is None:
        count = None

    def batches():
        index = 0
        while count is None or index < count:
            yield _inputs_of(x[index])
            index += 1

    if count is None and steps is None:
        raise ValueError(f"A {type(x).__name__} without a length needs steps=.")
    return _Source(batches(), count if steps is None else steps)


def _from_arrays(model, x, batch_size, steps):
    x = nest.map_structure(lambda leaf: leaf if isinstance(leaf, np.ndarray) else np.asarray(leaf), x)
    leaves = nest.flatten(x)
    for leaf in leaves:
        if leaf.ndim == 0:
            raise ValueError(f"Model '{model.name}': predict takes arrays of rows, got a single value of shape ().")
    lengths = [len(leaf) for leaf in leaves]
    if len(set(lengths)) > 1:
        raise ValueError(
            "Data cardinality is ambiguous. Make sure all arrays contain the same number of samples. 'x' sizes: "
            + ", ".join(map(str, lengths))
        )
    rows = lengths[0]
    batch_size = batch_size or _automatic_batch_size(model, leaves, steps)
    if _is_stateful(model) and rows % batch_size:
        raise ValueError(
            "In a stateful network, you should only pass inputs with a number of samples that can be divided by the "
            f"batch size. Found: {rows} samples. Batch size: {batch_size}."
        )
    starts = range(0, rows, batch_size) if rows else range(1)
    if steps is not None:
        starts = starts[:steps]
        rows = min(rows, steps * batch_size)

    def batches():
        for start in starts:
            chosen = slice(start, start + batch_size)
            yield nest.map_structure(lambda leaf, chosen=chosen: leaf[chosen], x)

    return _Source(batches(), len(starts), rows)


def _is_stateful(model):
    return bool(getattr(model, "stateful", False))


def _stateful_batch_size(model):
    """The rows of a batch of a stateful model: those of its inputs, where it says them."""
    sizes = {tensor.shape[0] for tensor in getattr(model, "inputs", []) if tensor.shape}
    sizes.discard(None)
    return sizes.pop() if len(sizes) == 1 else _KERAS_BATCH_SIZE


def _automatic_batch_size(model, leaves, steps):
    """Rows per batch where the caller does not say."""
    if _is_stateful(model):
        return _stateful_batch_size(model)
    # The result of a layer in Python may depend on what else is in the batch.
    if steps is not None or has_python(model):
        return _KERAS_BATCH_SIZE
    return int(np.clip(_CHUNK_VALUES // max(_values_per_row(model, leaves), 1), _KERAS_BATCH_SIZE, _MOST_ROWS))


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
