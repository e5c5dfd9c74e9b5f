"""One call of a function of fastseq.ops against Keras on TensorFlow, in all the ways in which it can be used.

The truth is Keras's own function in float64. A result is right when it has Keras's shape and dtype and is at most 1.5
times as far from the truth as Keras's float32 is, or a few units in the last place.
"""

from typing import NamedTuple

import numpy as np

import fastseq
from fastseq import ops
from fastseq.gradients import append_backward
from fastseq.native import runtime
from fastseq.ops.values import Traced
from fastseq.program.builder import Builder
from fastseq.program.program import Program
from fastseq.tensors import nest

DTYPES = {"int64": "int32", "int32": "int32", "bool": "bool", "float32": "float32", "float64": "float32",
          "uint8": "int32", "int8": "int32"}  # fmt: skip


class Call(NamedTuple):
    """A call of ops.<name>: args and kwargs as both libraries take them, arrays where tensors go.

    grad: whether gradients are compared, by all float32 arrays among args; ulp: how far from the truth is near enough
    whatever Keras does, in units of the last place of the largest element; symbolic: whether it takes KerasTensors.
    """

    name: str
    args: tuple
    kwargs: dict = {}
    grad: bool = True
    ulp: float = 4.0
    symbolic: bool = True


def call(name, *args, grad=True, ulp=4.0, symbolic=True, **kwargs):
    return Call(name, args, kwargs, grad, ulp, symbolic)


def name_of(c):
    def told(value):
        if isinstance(value, np.ndarray):
            return f"{value.dtype.char}{'x'.join(map(str, value.shape))}"
        return str(value)

    return f"{c.name}-{'-'.join(told(a) for a in nest.flatten(list(c.args)))}{c.kwargs or ''}"


def array(*shape, seed=0, low=-2.0, high=2.0, dtype="float32"):
    """Random values of a shape, the same for the same arguments."""
    rng = np.random.default_rng([seed, *shape])
    if dtype == "float32":
        return rng.uniform(low, high, shape).astype(np.float32)
    return (
        (rng.uniform(0, 1, shape) < 0.5) if dtype == "bool" else rng.integers(int(low), int(high) + 1, shape, np.int32)
    )


def _map_arrays(function, structure):
    return nest.map_structure(lambda leaf: function(leaf) if isinstance(leaf, np.ndarray) else leaf, structure)


def _numpy(structure):
    return [np.asarray(leaf) for leaf in nest.flatten(structure)]


def _keras(c, float64=False):
    from keras import ops as keras_ops

    def tensor(leaf):
        return keras_ops.convert_to_tensor(leaf, "float64" if float64 and leaf.dtype == np.float32 else leaf.dtype.name)

    return _numpy(getattr(keras_ops, c.name)(*_map_arrays(tensor, list(c.args)), **c.kwargs))


def assert_close(got, keras, truth, ulp, what):
    """got is as near to the truth as Keras is, within 1.5 times, or within `ulp` units of the largest element."""
    if got.dtype != np.float32:
        np.testing.assert_array_equal(got, keras, err_msg=what)
        return
    finite = np.isfinite(truth) & (np.abs(truth) < 3.4e38)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(keras), err_msg=f"{what}: NaN")
    np.testing.assert_array_equal(got[~finite & ~np.isnan(got)], keras[~finite & ~np.isnan(got)], err_msg=what)
    if finite.any():
        scale = max(np.abs(truth[finite]).max(), 1e-30)
        ours, theirs = (np.abs(x[finite].astype(np.float64) - truth[finite]).max() for x in (got, keras))
        assert ours <= max(1.5 * theirs, ulp * 2**-24 * scale), f"{what}: {ours / scale} off, Keras {theirs / scale}"


def traced_program(c):
    """(Program of the call with its arrays as inputs, these arrays, the structure of its result)."""
    p, inputs, given = Builder(), [], []

    def slot(leaf):
        given.append(np.array(leaf, order="C"))
        inputs.append(p.input(leaf.shape, leaf.dtype.name))
        return Traced(p, inputs[-1])

    traced = _map_arrays(slot, list(c.args))
    result = nest.flatten(getattr(ops, c.name)(*traced, **c.kwargs))
    return Program(p, inputs, [leaf.slot for leaf in result]), given


def check_arrays(c):
    """On arrays: Keras's shapes, dtypes and values. Returns the results."""
    got, keras, truth = _numpy(getattr(ops, c.name)(*c.args, **c.kwargs)), _keras(c), _keras(c, True)
    assert len(got) == len(keras), c
    for mine, theirs, true in zip(got, keras, truth):
        assert mine.shape == theirs.shape, (name_of(c), mine.shape, theirs.shape)
        assert mine.dtype.name == DTYPES.get(theirs.dtype.name), (name_of(c), mine.dtype, theirs.dtype)
        assert_close(mine, theirs, true, c.ulp, name_of(c))
    return got


def check_program(c, got):
    """Traced: native steps only, and the bits of the call on arrays, on every instruction set that is the same."""
    program, given = traced_program(c)
    assert not program.has_python, f"{name_of(c)} adds a Python step"
    for mine, other in zip(got, program.run(given)):
        np.testing.assert_array_equal(mine, other, err_msg=f"{name_of(c)}: traced")
    best = runtime.active_isa()
    for isa in runtime.available_isas():
        if isa not in (best, "scalar"):
            runtime.force_isa(isa)
            try:
                for mine, other in zip(got, _numpy(getattr(ops, c.name)(*c.args, **c.kwargs))):
                    np.testing.assert_array_equal(mine, other, err_msg=f"{name_of(c)}: {isa}")
            finally:
                runtime.force_isa("")


def check_symbolic(c):
    """On symbolic tensors with an unknown first size: Keras's shapes and dtypes."""
    import keras

    def symbolic(kind):
        return lambda leaf: kind((None, *leaf.shape[1:]), dtype=leaf.dtype.name) if leaf.ndim else leaf

    mine = nest.flatten(getattr(ops, c.name)(*_map_arrays(symbolic(fastseq.KerasTensor), list(c.args)), **c.kwargs))
    theirs = nest.flatten(
        getattr(keras.ops, c.name)(*_map_arrays(symbolic(keras.KerasTensor), list(c.args)), **c.kwargs)
    )
    for a, b in zip(mine, theirs, strict=True):
        assert a.shape == tuple(b.shape), (name_of(c), a.shape, b.shape)
        assert a.dtype == DTYPES.get(b.dtype), (name_of(c), a.dtype, b.dtype)


def check_gradients(c):
    """The gradients of sum(result * weights) by every float32 array, against GradientTape."""
    import tensorflow as tf
    from keras import ops as keras_ops

    def gradients(dtype):
        variables = []

        def tensor(leaf):
            found = tf.constant(leaf, dtype if leaf.dtype == np.float32 else leaf.dtype)
            if leaf.dtype == np.float32:
                variables.append(found)
            return found

        args = _map_arrays(tensor, list(c.args))
        with tf.GradientTape() as tape:
            tape.watch(variables)
            results = [r for r in nest.flatten(getattr(keras_ops, c.name)(*args, **c.kwargs)) if r.dtype == dtype]
            total = sum(tf.reduce_sum(r * array(*r.shape, seed=7).astype(dtype)) for r in results)
        return [
            np.zeros(v.shape, dtype) if g is None else tf.convert_to_tensor(g).numpy()
            for g, v in zip(tape.gradient(total, variables), variables)
        ]

    p, inputs, given, wanted = Builder(), [], [], []

    def slot(leaf):
        given.append(np.array(leaf, order="C"))
        inputs.append(p.input(leaf.shape, leaf.dtype.name))
        if leaf.dtype == np.float32:
            wanted.append(inputs[-1])
        return Traced(p, inputs[-1])

    results = nest.flatten(getattr(ops, c.name)(*_map_arrays(slot, list(c.args)), **c.kwargs))
    ends = [(r.slot, p.constant(array(*r.shape, seed=7))) for r in results if r.dtype == "float32"]
    found = append_backward(p, ends, wanted)
    known = [slot for slot in found if slot is not None]
    values = iter(Program(p, inputs, known).run(given))
    mine = [np.zeros(w.shape, np.float32) if slot is None else next(values) for w, slot in zip(wanted, found)]
    for got, keras, truth in zip(mine, gradients("float32"), gradients("float64"), strict=True):
        assert_close(got.reshape(truth.shape), keras, truth, 2 * c.ulp, f"{name_of(c)}: gradient")


def check(c):
    """All of the above."""
    got = check_arrays(c)
    check_program(c, got)
    if c.symbolic:
        check_symbolic(c)
    if c.grad and any(isinstance(a, np.ndarray) and a.dtype == np.float32 for a in nest.flatten(list(c.args))):
        check_gradients(c)
