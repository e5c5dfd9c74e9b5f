"""`fastseq verify`: one model file through fastseq and through Keras, over random and edge-case inputs."""

import logging
import os
from typing import NamedTuple

import numpy as np

from fastseq.errors import missing_keras

SEED = 20
#: Timesteps of an ordinary case, and of the long one: an error that grows along the sequence shows only there.
STEPS, LONG = 17, 300
ROWS = 9
CHUNK = 16
#: Ids of an integer input that no Embedding limits.
FREE_IDS = 10


class Row(NamedTuple):
    """One output in one case; `difference` is relative to the larger of 1 and the largest value Keras gave."""

    case: str
    output: str
    shape: tuple
    difference: float


def compare(path, model):
    """Runs the file at `path` through `model` (fastseq's) and through Keras; returns a list of `Row`.

    Raises `ImportError` where Keras or its backend is not installed, and `ValueError` where Keras cannot load the file.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Every case has another shape, and TensorFlow warns of each retracing.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    try:
        import keras
    except ImportError as error:
        raise missing_keras(error) from error
    try:
        reference = keras.models.load_model(path, compile=False)
    except MemoryError:
        raise
    except Exception as error:
        # Keras raises whatever it meets in the file, so no narrower list would hold.
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"Keras {keras.__version__} cannot load {path}: {reason}") from error
    limits = id_limits(model)
    padding = _mask_value(model.get_config())
    rows = []
    for case, arrays in cases(model.inputs, limits, padding):
        for one in (model, reference):
            _reset(one)
        feed = packed(reference, arrays, [tensor.name for tensor in model.inputs])
        wanted = _flat(reference.predict_on_batch(feed))
        # The batch of 65 runs in five parts, as it would in a long predict.
        batch_size = len(arrays[0]) if model.stateful else CHUNK
        got = _flat(model.predict(feed, batch_size=batch_size, verbose=0))
        for name, a, b in zip(output_names(model), got, wanted, strict=True):
            rows.append(Row(case, name, np.shape(b), difference(a, b)))
    return rows


def output_names(model):
    """A different name for each output: what the model calls them, or its last layer's name, or a number."""
    names = list(getattr(model, "output_names", None) or ())
    if len(set(names)) == len(model.outputs):
        return names
    return [model.layers[-1].name] if len(model.outputs) == 1 else [f"output_{i}" for i in range(len(model.outputs))]


def difference(got, wanted):
    """The largest ``|got - wanted|``, divided by the largest ``|wanted|`` where that is above 1.

    A NaN or an infinity in the same place on both sides counts as no difference, on one side only as an infinite one;
    so does another shape.
    """
    got, wanted = np.asarray(got), np.asarray(wanted)
    if got.shape != wanted.shape:
        return float("inf")
    got, wanted = got.astype(np.float64), wanted.astype(np.float64)
    finite = np.isfinite(got) & np.isfinite(wanted)
    same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
    if not (finite | same).all():
        return float("inf")
    got, wanted = got[finite], wanted[finite]
    return float(np.abs(got - wanted).max(initial=0) / max(1.0, np.abs(wanted).max(initial=0)))


def cases(inputs, limits, padding):
    """Yields ``(name, [array per input])``. `limits` holds, per input name, how many ids its Embedding knows."""
    rng = np.random.default_rng(SEED)
    open_time = any(size is None for tensor in inputs for size in tensor.shape[1:])
    fixed = next((tensor.shape[0] for tensor in inputs if tensor.shape[0] is not None), None)

    def draw(rows, steps, scale=1.0):
        return [_random(rng, _sizes(t, rows if fixed is None else fixed, steps), t, limits, scale) for t in inputs]

    yield "random", draw(ROWS, STEPS)
    if fixed is None:
        yield "batch of 1", draw(1, STEPS)
        yield "batch of 65", draw(65, STEPS)
    if open_time:
        yield "1 step", draw(ROWS, 1)
        yield f"{LONG} steps", draw(ROWS, LONG)
    yield "zeros", [np.zeros_like(array) for array in draw(ROWS, STEPS)]
    if any(not _takes_ids(tensor, limits) for tensor in inputs):
        yield "values around 30", draw(ROWS, STEPS, 30.0)
        yield "values around 1e-20", draw(ROWS, STEPS, 1e-20)
    if any(len(tensor.shape) > (1 if _takes_ids(tensor, limits) else 2) for tensor in inputs):
        for where in ("right", "left", "inside", "everywhere"):
            arrays = draw(ROWS, STEPS)
            for array in arrays:
                _pad(rng, array, where, padding if array.ndim > 2 else 0)
            yield f"padding {where}", arrays


def id_limits(model):
    """``{input name: number of ids}`` for the inputs that Embedding layers read, from the model's config.

    An input of a nested model that cannot be followed gets the smallest Embedding of the whole model.
    """
    config = model.get_config()
    everywhere = [entry["input_dim"] for entry in _walk(config) if "input_dim" in entry and "output_dim" in entry]
    if not everywhere:
        return {}
    layers = config.get("layers", [])
    by_reader = {}
    for layer in layers:
        inside = [e["input_dim"] for e in _walk(layer.get("config")) if "input_dim" in e and "output_dim" in e]
        for entry in _walk(layer.get("inbound_nodes")):
            if "keras_history" in entry and inside:
                by_reader.setdefault(entry["keras_history"][0], []).extend(inside)
    if "input_layers" not in config:  # Sequential: the first layer reads the input.
        first = next((layer for layer in layers if layer["class_name"] != "InputLayer"), {})
        inside = [e["input_dim"] for e in _walk(first) if "input_dim" in e and "output_dim" in e]
        return {model.inputs[0].name: min(inside)} if inside else {}
    found = {tensor.name: min(by_reader[tensor.name]) for tensor in model.inputs if tensor.name in by_reader}
    return found or {tensor.name: min(everywhere) for tensor in model.inputs}


def _walk(value):
    """Every dict inside nested dicts, lists and tuples, the outermost first."""
    if isinstance(value, dict):
        yield value
        value = value.values()
    if not isinstance(value, str) and hasattr(value, "__iter__"):
        for item in value:
            yield from _walk(item)


def _mask_value(config):
    return next((float(entry["mask_value"]) for entry in _walk(config) if "mask_value" in entry), 0.0)


def _takes_ids(tensor, limits):
    return tensor.name in limits or "int" in str(tensor.dtype)


def _sizes(tensor, rows, steps):
    return (rows, *(steps if size is None else size for size in tensor.shape[1:]))


def _random(rng, shape, tensor, limits, scale):
    if _takes_ids(tensor, limits):
        # Id 0 is padding wherever mask_zero is set, and has its own cases.
        limit = limits.get(tensor.name, FREE_IDS)
        return rng.integers(min(1, limit - 1), limit, shape).astype(np.int32)
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def _pad(rng, array, where, value):
    """Writes padding into `array` ``(B, T)`` or ``(B, T, ...)``: another count in each row; row 0 stays whole."""
    if array.ndim < 2:
        return
    rows, steps = array.shape[:2]
    for row in range(1, rows):
        count = steps if where == "everywhere" else int(rng.integers(1, max(2, steps)))
        if where == "inside":
            array[row, rng.permutation(steps)[: min(count, steps - 1)]] = value
        else:
            start = steps - count if where == "right" else 0
            array[row, start : start + count] = value


def packed(model, arrays, names=None):
    """The arrays in the structure that `model` takes: one array, a list, or a dict by name."""
    if isinstance(getattr(model, "input", None), dict):
        return dict(zip(names or [tensor.name for tensor in model.inputs], arrays, strict=True))
    return arrays[0] if len(arrays) == 1 else arrays


def _flat(outputs):
    if isinstance(outputs, dict):
        return list(outputs.values())
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def _reset(model):
    """Zeroes the states that stateful layers, nested ones too, keep between calls."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            _reset(layer)
        elif getattr(layer, "stateful", False):
            (getattr(layer, "reset_state", None) or layer.reset_states)()
