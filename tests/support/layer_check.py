"""check_layer: one layer, built twice from the same lines, against Keras on TensorFlow, float64, and every ISA."""

import contextlib
import json
import pickle
from typing import NamedTuple

import numpy as np
import pytest

import fastseq
from fastseq.layers import binding
from fastseq.native import runtime
from fastseq.tensors import arrays, nest

EPS = np.finfo(np.float32).eps


def leaves(outputs):
    return [np.asarray(leaf) for leaf in nest.flatten(outputs)]


@contextlib.contextmanager
def isa(name):
    runtime.force_isa(name)
    try:
        assert runtime.active_isa() == name
        yield
    finally:
        runtime.force_isa("")


def random_weights(shapes, seed=0):
    """Weights that drive every gate: about unit variance of the sums, no zeros left from initializers."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(s).astype("f") / np.sqrt(s[0] if len(s) > 1 else 4).astype("f") for s in shapes]


def weights_for(variables, seed=0):
    """`random_weights` for the variables of a layer or model, above 0 where they are variances and deviations."""
    found = random_weights([tuple(variable.shape) for variable in variables], seed)
    positive = [variable.name.endswith(("variance", "stddev")) for variable in variables]
    return [np.abs(array) + np.float32(0.1) if above else array for array, above in zip(found, positive)]


def rms(array):
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64)))) if array.size else 0.0


def assert_as_close_as(found, keras32, truth, what=""):
    """The error of `found` against float64 is at most 1.5 times that of Keras on TensorFlow.

    Errors are root mean squares; TensorFlow may be exact by luck on small arrays, so one unit in the last place of the
    largest value is always granted.
    """
    assert found.shape == truth.shape and found.dtype == keras32.dtype, (what, found.shape, truth.shape, found.dtype)
    if found.dtype.kind != "f":
        np.testing.assert_array_equal(found, truth, err_msg=what)
        return
    np.testing.assert_array_equal(np.isnan(found), np.isnan(truth), err_msg=what)
    finite = np.isfinite(truth)
    np.testing.assert_array_equal(found[~finite], truth[~finite].astype("f"), err_msg=what)
    found, keras32, truth = found[finite], keras32[finite], truth[finite]
    floor = EPS * np.max(np.abs(truth), initial=0.0)
    ours, theirs = rms(found - truth), rms(keras32 - truth)
    assert ours <= max(1.5 * theirs, floor), f"{what}: error {ours:.3g}, TensorFlow's {theirs:.3g}, floor {floor:.3g}"


def describe(layer, inputs, call):
    arguments = binding.convert(layer, binding.bind(layer, (inputs,), call))
    return layer._programs.program(layer, arguments).describe()


def normal(config):
    """A config as JSON, without what differs by design: names that count up."""

    def clean(value):
        if isinstance(value, dict):
            return {k: clean(v) for k, v in value.items() if k not in ("name", "seed", "shared_object_id")}
        return [clean(v) for v in value] if isinstance(value, (list, tuple)) else value

    return clean(json.loads(json.dumps(config)))


class InKeras(NamedTuple):
    """A Keras layer, what it gave for a call, with which masks, and the float64 result."""

    layer: object
    outputs: list
    masks: list
    double: list

    def rows(self, start, stop):
        def part(arrays):
            return [array if array is None else array[start:stop] for array in arrays]

        return InKeras(self.layer, part(self.outputs), part(self.masks), part(self.double))


_KNOWN = {}  # an InKeras for calls that Keras answers together, by all that it depends on


def check_layer(
    make, inputs, call=None, weights=None, truth=None, rows=True, config=True, masks=True, seed=0, together=None
):
    """Builds `make(library.layers)` with Keras and with fastseq and compares everything a user sees.

    make: function of `keras.layers` or `fastseq.layers` that returns the layer; inputs: an array or a list of them;
    call: further call arguments (mask=, initial_state= ... as arrays); weights: list of arrays, else random ones;
    truth(inputs, weights, call): the float64 result, else Keras itself in float64; rows: whether a batch's rows are
    independent; config: whether get_config must equal Keras's; together: a list of calls with the same inputs, `call`
    itself among them, that each have a check of their own: Keras computes them once, as one batch. Returns fastseq's
    outputs as a list of arrays.
    """
    pytest.importorskip("keras")
    call = call or {}
    ours = make(fastseq.layers)
    fastseq_first = ours(inputs, **call)
    weights = weights or weights_for(ours.weights, seed)
    ours.set_weights(weights)
    shapes = nest.map_structure(np.shape, inputs)
    if together is None:
        by_keras = _in_keras(make, shapes, inputs, call, weights, truth)
    else:
        by_keras = _in_keras_together(make, shapes, ours, inputs, call, weights, together)
    theirs, expected, double = by_keras.layer, by_keras.outputs, by_keras.double
    assert [v.shape for v in ours.weights] == [tuple(v.shape) for v in theirs.weights]
    assert [v.name for v in ours.weights] == [v.name for v in theirs.weights]
    assert ours.count_params() == theirs.count_params()

    if getattr(ours, "stateful", False):
        ours.reset_state()
    outputs = ours(inputs, **call)
    assert type(nest.flatten(fastseq_first)[0]) is type(nest.flatten(outputs)[0])
    found = leaves(outputs)
    assert len(found) == len(expected)
    for i, (ours_i, theirs_i, double_i) in enumerate(zip(found, expected, double)):
        assert_as_close_as(ours_i, theirs_i, double_i, f"output {i}")
    if masks:
        for ours_i, mask in zip(nest.flatten(outputs), by_keras.masks):
            _assert_same_mask(arrays.mask_of(ours_i), mask)
    if not getattr(ours, "stateful", False):
        _check_isas(ours, inputs, call, found, expected, double)
        _check_threads(ours, inputs, call, found)
        if rows:
            _check_rows(ours, inputs, call, found)
    if config:
        _check_config(theirs, ours, inputs, call, found)
    _check_shapes(theirs, ours, inputs)
    return found


def _in_keras(make, shapes, inputs, call, weights, truth=None):
    import keras

    layer, outputs = _run_keras(keras, make, shapes, inputs, call, weights)
    masks = [getattr(output, "_keras_mask", None) for output in outputs]
    masks = [mask if mask is None else np.asarray(mask) for mask in masks]
    if truth is not None:
        return InKeras(layer, leaves(outputs), masks, leaves(truth(inputs, weights, call)))

    def widen(value):
        return value.astype("f8") if getattr(value, "dtype", None) is not None and value.dtype.kind == "f" else value

    before = keras.config.dtype_policy().name
    keras.config.set_dtype_policy("float64")
    try:
        widened = (nest.map_structure(widen, value) for value in (inputs, call, weights))
        return InKeras(layer, leaves(outputs), masks, leaves(_run_keras(keras, make, shapes, *widened)[1]))
    finally:
        keras.config.set_dtype_policy(before)


def _run_keras(keras, make, shapes, inputs, call, weights):
    layer = make(keras.layers)
    layer.build(shapes)
    layer.set_weights(weights)
    outputs = layer(inputs, **call)
    return layer, nest.flatten(list(outputs) if isinstance(outputs, (list, tuple)) else outputs)


def _in_keras_together(make, shapes, ours, inputs, call, weights, together):
    key = pickle.dumps((type(ours).__name__, normal(ours.get_config()), inputs, weights, together))
    if key not in _KNOWN:
        many = nest.map_structure(lambda array: np.concatenate([array] * len(together)), inputs)
        calls = nest.pack_like(together[0], [np.concatenate(parts) for parts in zip(*map(nest.flatten, together))])
        _KNOWN[key] = _in_keras(make, shapes, many, calls, weights)
    (place,) = [i for i, other in enumerate(together) if other is call]
    batch = len(nest.flatten(inputs)[0])
    return _KNOWN[key].rows(place * batch, (place + 1) * batch)


def _assert_same_mask(ours, theirs):
    assert (ours is None) == (theirs is None), f"mask: ours {ours is not None}, Keras's {theirs is not None}"
    if ours is not None:
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def _check_isas(layer, inputs, call, found, expected, double):
    """Every ISA of this machine: verified to be the one that ran, as exact, and with the same bits where it has FMA."""
    for name in runtime.available_isas():
        with isa(name):
            kernels = [kernel for _, kernel, _ in describe(layer, inputs, call)]
            assert all(kernel == "python" or kernel.endswith(f"__{name}") for kernel in kernels), kernels
            results = leaves(layer(inputs, **call))
        for i, (ours_i, theirs_i, double_i, bits) in enumerate(zip(results, expected, double, found)):
            assert_as_close_as(ours_i, theirs_i, double_i, f"output {i} on {name}")
            if name != "scalar" and "scalar" != runtime.active_isa():
                np.testing.assert_array_equal(ours_i, bits, err_msg=f"bits of output {i} on {name}")


def _check_threads(layer, inputs, call, found):
    for threads in (1, 2, 3):
        with runtime.num_threads(threads):
            for ours_i, bits in zip(leaves(layer(inputs, **call)), found):
                np.testing.assert_array_equal(ours_i, bits, err_msg=f"{threads} threads")


def _check_rows(layer, inputs, call, found):
    batch = nest.flatten(inputs)[0].shape[0]
    for row in {0, batch - 1} if batch > 1 else ():

        def one(value, row=row):
            keep = isinstance(value, np.ndarray) and value.ndim and value.shape[0] == batch
            return value[row : row + 1] if keep else value

        alone = layer(nest.map_structure(one, inputs), **{k: nest.map_structure(one, v) for k, v in call.items()})
        for ours_i, bits in zip(leaves(alone), found):
            np.testing.assert_array_equal(ours_i, bits[row : row + 1], err_msg=f"row {row} alone")


def _check_config(theirs, ours, inputs, call, found):
    assert normal(ours.get_config()) == normal(theirs.get_config())
    again = type(ours).from_config(json.loads(json.dumps(ours.get_config())))
    again(inputs, **call)
    again.set_weights(ours.get_weights())
    if getattr(again, "stateful", False):
        again.reset_state()
    for ours_i, bits in zip(leaves(again(inputs, **call)), found):
        np.testing.assert_array_equal(ours_i, bits, err_msg="after from_config(get_config())")
    # What we write, Keras reads.
    type(theirs).from_config(json.loads(json.dumps(ours.get_config())))


def _check_shapes(theirs, ours, inputs):
    shapes = nest.map_structure(lambda a: (None, *a.shape[1:]), inputs)
    try:
        expected = theirs.compute_output_shape(shapes)
    except Exception:
        return
    assert [tuple(s) for s in _shape_list(ours.compute_output_shape(shapes))] == [
        tuple(s) for s in _shape_list(expected)
    ]


def _shape_list(shapes):
    return [shapes] if nest.is_shape(shapes) else [s for item in shapes for s in _shape_list(item)]
