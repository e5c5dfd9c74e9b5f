"""The backend's loops and choices over functions."""

import numpy as np

from fastseq import ops
from fastseq.backend.documented import documented
from fastseq.errors import UnsupportedError
from fastseq.tensors import nest
from fastseq.tensors.symbolic import KerasTensor

_FN = "(callable): `fn(value, entry)` -> the next value, of the same shape."
_ELEMS = "(array): What is gone over, along its first axis."
_FIRST = "(array, default None): The value before it; None is the {} entry."
_NAME = "(str, default None): For code that passes one; nothing is named."


def _called(expression):
    return expression() if callable(expression) else expression


@documented(
    "One of two expressions.",
    {"condition": "(array): Which. Of no axes, it chooses for all; else for each element of its axes, the first of "
     "the expressions.", "then_expression": "(array or callable): Where it holds; a callable takes no arguments.",
     "else_expression": "(array or callable): Where it does not, of the same shape."},
    "An array.",
    "backend.switch(np.array([True, False]), np.array([1.0, 2.0]), np.array([3.0, 4.0]))\n"
    'array([1., 4.], dtype=float32)',
    {"ValueError": "A condition of more axes than the expressions have."},
)  # fmt: skip
def switch(condition, then_expression, else_expression):
    if not ops.ndim(condition) and not isinstance(condition, KerasTensor):
        return ops.cond(condition, lambda: _called(then_expression), lambda: _called(else_expression))
    first, second = _called(then_expression), _called(else_expression)
    more = ops.ndim(first) - ops.ndim(condition)
    if more < 0:
        raise ValueError(
            f"backend.switch: a condition of shape {ops.shape(condition)} has more axes than an expression of shape "
            f"{ops.shape(first)}."
        )
    for _ in range(more):
        condition = ops.expand_dims(condition, -1)
    return ops.where(condition, first, second)


@documented(
    "The first expression in training, the second else.",
    {"x": "(array or callable): In training; a callable takes no arguments.", "alt": "(array or callable): Else.",
     "training": "(bool, default None): Which; None is False, so a layer hands on the `training` of its call."},
    "What was chosen.",
    "backend.in_train_phase([1.0], [2.0], training=True)\n"
    '[1.0]',
)  # fmt: skip
def in_train_phase(x, alt, training=None):
    return _called(x if training else alt)


@documented(
    "The second expression in training, the first else.",
    {"x": "(array or callable): Outside of training; a callable takes no arguments.",
     "alt": "(array or callable): In training.",
     "training": "(bool, default None): Which; None is False, so a layer hands on the `training` of its call."},
    "What was chosen.",
    "backend.in_test_phase([1.0], [2.0], training=True)\n"
    '[2.0]',
)  # fmt: skip
def in_test_phase(x, alt, training=None):
    return in_train_phase(alt, x, training)


@documented(
    "What a function gives for each entry of the first axis, along a new first axis.",
    {"fn": "(callable): A function of one entry.", "elems": "(array or nest): What is gone over.", "name": _NAME,
     "dtype": "(str, default None): That of the result; None is what the function gives."},
    "An array, or a nest of them.",
    'backend.map_fn(lambda x: x * x, np.arange(3, dtype="float32"))\n'
    'array([0., 1., 4.], dtype=float32)',
)  # fmt: skip
def map_fn(fn, elems, name=None, dtype=None):
    found = ops.map(fn, elems)
    return found if dtype is None else nest.map_structure(lambda leaf: ops.cast(leaf, dtype), found)


def _folded(fn, elems, initializer, is_reversed):
    if initializer is None:
        initializer, elems = (elems[-1], elems[:-1]) if is_reversed else (elems[0], elems[1:])
    return ops.scan(lambda value, x: (fn(value, x), None), initializer, elems, reverse=is_reversed)[0]


@documented("A value carried from the first entry to the last.",
            {"fn": _FN, "elems": _ELEMS, "initializer": _FIRST.format("first"), "name": _NAME}, "The last value.",
            'backend.foldl(lambda total, x: total + x, np.arange(4, dtype="float32"))\n'
    'np.float32(6.0)')  # fmt: skip
def foldl(fn, elems, initializer=None, name=None):
    return _folded(fn, elems, initializer, False)


@documented("A value carried from the last entry to the first.",
            {"fn": _FN, "elems": _ELEMS, "initializer": _FIRST.format("last"), "name": _NAME}, "The last value.",
            'backend.foldr(lambda total, x: total + x, np.arange(4, dtype="float32"))\n'
    'np.float32(6.0)')  # fmt: skip
def foldr(fn, elems, initializer=None, name=None):
    return _folded(fn, elems, initializer, True)


@documented(
    "Carries states along the timesteps of a sequence.",
    {"step_function": "(callable): `step_function(input, states)` of one timestep -> `(output, new_states)`, where "
     "`states` is the list of states and then of constants.",
     "inputs": "(array or nest): (batch, time, ...).", "initial_states": "(list of array): The states before it.",
     "go_backwards": "(bool, default False): Whether the last timestep comes first, also in the outputs.",
     "mask": "(bool array, default None): (batch, time) or (batch, time, 1). Where it is false the states stay.",
     "constants": "(list of array, default None): What the function gets behind the states.",
     "unroll": "(bool, default False): Changes nothing; the numbers are the same.",
     "input_length": "(int, default None): The number of timesteps, which the inputs say already.",
     "time_major": "(bool, default False): Whether inputs, mask and outputs are (time, batch, ...).",
     "zero_output_for_mask": "(bool, default False): Whether masked outputs are 0, and not the last ones again.",
     "return_all_outputs": "(bool, default True): Whether `outputs` has all timesteps, and not the last alone."},
    "tuple of the last output, the outputs (batch, time, ...), and the new states, a tuple.",
    "backend.rnn(lambda x, states: (x, [x + states[0]]), np.ones((1, 3, 2)), [np.zeros((1, 2))])[2]\n"
    "(array([[3., 3.]], dtype=float32),)",
    {"TypeError": "Symbolic tensors.", "UnsupportedError": "Lengths for each sequence: give a mask.",
     "ValueError": "A length that is not the number of timesteps."},
)  # fmt: skip
def rnn(
    step_function, inputs, initial_states, go_backwards=False, mask=None, constants=None, unroll=False,
    input_length=None, time_major=False, zero_output_for_mask=False, return_all_outputs=True,
):  # fmt: skip
    _check_rnn(inputs, input_length, 0 if time_major else 1)
    initial_states, constants = (
        [nest.map_structure(ops.convert_to_tensor, part) for part in parts]
        for parts in (initial_states, constants or ())
    )

    def ordered(x):
        x = x if time_major else ops.swapaxes(x, 0, 1)
        return ops.flip(x, 0) if go_backwards else x

    xs = nest.map_structure(ordered, inputs)
    if mask is None:

        def step(states, x):
            output, new = step_function(x, [*states, *constants])
            return list(new), output

        states, ys = ops.scan(step, initial_states, xs)
    else:
        masks = ordered(ops.cast(ops.squeeze(mask, -1) if ops.ndim(mask) == 3 else mask, "bool"))
        states, ys = _masked_rnn(step_function, xs, initial_states, masks, constants, zero_output_for_mask)
    last = nest.map_structure(lambda y: y[-1], ys)
    kept = ys if return_all_outputs else nest.map_structure(lambda y: y[-1:], ys)
    outputs = kept if time_major else nest.map_structure(lambda y: ops.swapaxes(y, 0, 1), kept)
    return last, outputs, tuple(states)


def _check_rnn(inputs, input_length, axis):
    if any(isinstance(leaf, KerasTensor) for leaf in nest.flatten(inputs)):
        raise TypeError("backend.rnn of symbolic tensors is not recorded: call it in a layer, or use layers.RNN.")
    if input_length is None:
        return
    if np.ndim(input_length):
        raise UnsupportedError("backend.rnn takes no input_length for each sequence. Give mask=, which says the same.")
    times = {leaf.shape[axis] for leaf in nest.flatten(inputs)}
    if times != {int(input_length)}:
        raise ValueError(f"backend.rnn: input_length={input_length} for sequences of {sorted(times)} timesteps.")


def _masked_rnn(step_function, xs, states, masks, constants, zeros):
    """The last states and the outputs, where a mask keeps the states, and the outputs or zeros in their place."""

    def chosen(mask, new, old):
        for _ in range(ops.ndim(new) - 1):
            mask = ops.expand_dims(mask, -1)
        return ops.where(mask, new, old)

    def step(carry, entry):
        (states, before), (x, mask) = carry, entry
        output, new = step_function(x, [*states, *constants])
        others = nest.map_structure(ops.zeros_like, output) if zeros else before
        output = nest.pack_like(
            output, [chosen(mask, y, old) for y, old in zip(nest.flatten(output), nest.flatten(others))]
        ) if nest.is_nested(output) else chosen(mask, output, others)  # fmt: skip
        flat = [chosen(mask, y, old) for y, old in zip(nest.flatten(list(new)), nest.flatten(states))]
        return (nest.pack_like(states, flat), () if zeros else output), output

    before = ()
    if not zeros:
        first, _ = step_function(nest.map_structure(lambda x: x[0], xs), [*states, *constants])
        before = nest.map_structure(ops.zeros_like, first)
    (states, _), ys = ops.scan(step, (states, before), (xs, masks))
    return states, ys
