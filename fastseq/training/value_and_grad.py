"""value_and_grad: the value and the gradients of a user's own function, as one program. As jax.value_and_grad."""

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.gradients import append_backward
from fastseq.layers.weights import changes
from fastseq.native import runtime
from fastseq.native._native import current_training
from fastseq.ops import functions
from fastseq.ops.operation import slots_of_result
from fastseq.ops.tracing import is_tracing
from fastseq.ops.values import is_number, lift
from fastseq.program.builder import Builder
from fastseq.program.cache import _input_slot
from fastseq.program.kept_programs import MOST_THAT_TRAIN, KeptPrograms
from fastseq.program.program import Program
from fastseq.program.slots import Slot
from fastseq.tensors import arrays, nest
from fastseq.tensors.variable import Variable


def value_and_grad(function, argnums=0, has_aux=False):
    """A function that gives the value of `function` and its gradients, computed by native steps.

    It is what takes the place of `tf.GradientTape` and of `jax.value_and_grad`: in a model's own `train_step`, or
    wherever gradients are wanted. `function` is traced once for the shapes it is called with, so make the result once
    and keep it, as an attribute of the model for one: each new one is traced anew. It computes with layers, models,
    `fastseq.ops`, NumPy's functions and operators. Weights are read in every call; whatever else it reads beside its
    arguments is read at the trace.

    Args:
        function (function): function(*args) gives one number, an array of one element, or with has_aux that and
            something else.
        argnums (int or tuple of int, default 0): The arguments by which it is differentiated: float arrays, Variables,
            or lists, tuples and dicts of them. Variables may be those that layers in `function` read by themselves.
        has_aux (bool, default False): Whether the function gives a pair of the value and other results, which are
            handed on.

    Returns:
        A function of the same arguments. It gives (value, gradients), or ((value, others), gradients): a float32 scalar
        and, in the form of the argument, float32 arrays; a tuple of them for several argnums. The gradient by what the
        value does not depend on is zeros.

    Raises:
        UnsupportedError: When it is called: the function asks for values, with the line and the reason; a step without
            a gradient.
        ValueError: The value is not one float; an argument that is differentiated has none.
        TypeError: An argument that is neither an array nor plain data.

    Example:
        >>> from fastseq import ops
        >>> square = fastseq.value_and_grad(lambda w, x: ops.sum(ops.square(w * x)))
        >>> value, gradient = square(np.array([1.0, 2.0]), np.array([3.0, 1.0]))
        >>> float(value), gradient
        (13.0, array([18.,  4.], dtype=float32))
    """
    return _ValueAndGrad(function, argnums, has_aux)


value_and_grad.__module__ = "fastseq"  # where users find it


class _ValueAndGrad:
    """What `value_and_grad` returns."""

    def __init__(self, function, argnums, has_aux):
        self.__wrapped__ = function
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self._several = not isinstance(argnums, (int, np.integer))
        self._argnums = tuple(argnums) if self._several else (argnums,)
        if not self._argnums or not all(isinstance(number, (int, np.integer)) for number in self._argnums):
            raise ValueError(f"value_and_grad: argnums is an int or a tuple of them, got {argnums!r}.")
        self._has_aux = has_aux
        self._programs = KeptPrograms(MOST_THAT_TRAIN)

    def _who(self):
        return f"value_and_grad: {self.__name__}()"

    def __call__(self, *args, **kwargs):
        if is_tracing():
            raise UnsupportedError("value_and_grad inside of what is traced: gradients of gradients are not computed.")
        args, kwargs = self._converted(args, kwargs)
        found, key = [], [runtime.active_isa(), current_training()]
        _collect([args, kwargs], found, key)
        program, _ = self._programs.find(tuple(key), lambda: _Program(self, args, kwargs))
        if not program.is_current():
            program = _Program(self, args, kwargs)
            self._programs.replace(tuple(key), program)
        return program.run(found)

    def _converted(self, args, kwargs):
        """The arguments with arrays in the dtypes of programs."""
        count = len(args)
        wanted = [number + count if number < 0 else number for number in self._argnums]
        if any(not 0 <= number < count for number in wanted):
            raise ValueError(f"value_and_grad: argnums={self._argnums} of {count} arguments without a name.")

        def convert(leaf, differentiated=False):
            plain = isinstance(leaf, (bool, int, float)) and not isinstance(leaf, np.generic)
            if leaf is None or isinstance(leaf, (Variable, str)) or (plain and not differentiated):
                return leaf
            mask = arrays.mask_of(leaf)
            found = arrays.standardize(leaf, self._who())
            if differentiated and found.dtype != np.float32:
                raise ValueError(f"{self._who()}: there is no gradient by an array of {found.dtype}.")
            return found if mask is None else arrays.with_mask(found, mask)

        args = [
            nest.map_structure(lambda leaf, number=number: convert(leaf, number in wanted), value)
            for number, value in enumerate(args)
        ]
        return args, {name: nest.map_structure(convert, value) for name, value in kwargs.items()}


class _Program:
    """The program of one function for arguments of some shapes."""

    def __init__(self, owner, args, kwargs):
        self._owner, self._changes = owner, changes[0]
        self._held = [leaf for leaf in nest.flatten([args, kwargs]) if isinstance(leaf, Variable)]  # known by their ids
        p, inputs = Builder(training=current_training(), trains=True), []

        def slot(leaf):
            return _input_slot(p, inputs, leaf) if isinstance(leaf, np.ndarray) else leaf

        args, kwargs = nest.map_structure(slot, args), nest.map_structure(slot, kwargs)
        value, others = self._traced(p, owner.__wrapped__, [args, kwargs])
        total = lift(p, np.asarray(value, np.float32) if is_number(value) else value)
        if total.size != 1 or total.dtype != "float32":
            raise ValueError(
                f"{self._owner._who()} gives {total.dtype} of shape {total.shape}, and only one float has gradients."
            )
        others = slots_of_result(p, others)
        wanted = [nest.map_structure(lambda leaf: self._end(p, leaf), args[number]) for number in owner._argnums]
        self._wanted = [nest.map_structure(lambda leaf: leaf is not None, part) for part in wanted]
        ends = [leaf for leaf in nest.flatten(wanted) if leaf is not None]
        found = append_backward(p, [(total.slot, p.constant(np.ones(total.shape, np.float32)))], ends)
        self._others = nest.map_structure(lambda leaf: leaf is not None, others)
        told = [leaf for leaf in nest.flatten(others) if leaf is not None]
        self._gradients = [(slot is not None, end.shape) for slot, end in zip(found, ends)]
        self._arrays = [(variable, variable._held()) for variable, _ in p.weights.values()]
        for variable, _ in self._arrays:
            variable.trained_in_place = True
        self._program = Program(p, inputs, [total.slot, *told, *(slot for slot in found if slot is not None)])

    def _traced(self, p, function, given):
        """(value, others) of the function with Slots in the places of its arrays."""

        def call(filled):
            return function(*filled[0], **filled[1])

        try:
            functions.check(call, given, p, owner=getattr(function, "__self__", None))
            found = functions.run(p, call, given)
        except Exception as error:
            if not functions.is_lasting(error):
                raise
            raise UnsupportedError(
                f"{self._owner._who()} cannot be differentiated: {functions.reason_of(error)}. Compute with layers, "
                "fastseq.ops, NumPy's functions and operators alone."
            ) from error
        if not self._owner._has_aux:
            return found, None
        if not isinstance(found, tuple) or len(found) != 2:
            raise ValueError(f"{self._owner._who()} gives no pair of a value and other results, as has_aux=True says.")
        return found

    def _end(self, p, leaf):
        """The Slot of what the gradient is wanted of."""
        if leaf is None or isinstance(leaf, Slot):
            return leaf
        if isinstance(leaf, Variable):
            return p.weight(leaf)
        raise ValueError(f"{self._owner._who()}: there is no gradient by {leaf!r}.")

    def is_current(self):
        """Whether the weights stand where the program reads them, and no layer was set to compute otherwise."""
        return self._changes == changes[0] and all(variable._content is held for variable, held in self._arrays)

    def run(self, arrays):
        """What the call returns, for the arrays among its arguments."""
        results = iter(self._program.run(arrays))
        value = next(results).reshape(())[()]
        others = nest.map_structure(lambda there: next(results) if there else None, self._others)
        gradients = iter([next(results) if there else np.zeros(shape, np.float32) for there, shape in self._gradients])
        told = tuple(
            nest.map_structure(lambda there: next(gradients) if there else None, part) for part in self._wanted
        )
        told = told if self._owner._several else told[0]
        return ((value, others) if self._owner._has_aux else value), told


def _collect(value, found, key):
    """Appends the arrays of the arguments to `found` and what a program depends on to `key`."""
    for leaf in nest.flatten(value):
        if isinstance(leaf, np.ndarray):
            mask = arrays.mask_of(leaf)
            found.append(leaf)
            key.append((leaf.shape, leaf.dtype.char, None if mask is None else mask.shape))
            if mask is not None:
                found.append(mask)
        else:
            key.append(id(leaf) if isinstance(leaf, Variable) else (type(leaf).__name__, leaf))
    key.append(_form(value))


def _form(value):
    """Something hashable that tells one nest from another."""
    if isinstance(value, dict):
        return ("dict", *((name, _form(value[name])) for name in sorted(value)))
    return (type(value).__name__, *map(_form, value)) if isinstance(value, (list, tuple)) else None
