"""value_and_grad: the value and the gradients of a user's own function, as one program. As jax.value_and_grad."""

import inspect

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.gradients import append_backward
from fastseq.layers.weights import changes
from fastseq.native import runtime
from fastseq.native._native import current_training
from fastseq.ops import functions
from fastseq.ops.operation import slots_of_result
from fastseq.ops.tracing import is_tracing
from fastseq.program.added_losses import collecting
from fastseq.program.builder import Builder
from fastseq.program.kept_programs import KeptPrograms
from fastseq.program.program import Program
from fastseq.program.slots import Slot
from fastseq.tensors import arrays, nest
from fastseq.tensors.variable import Variable

_MOST_PROGRAMS = 32


def value_and_grad(function, argnums=0, has_aux=False):
    """A function that gives the value of `function` and its gradients, computed by native steps.

    It is what takes the place of `tf.GradientTape` and of `jax.value_and_grad`: in a model's own `train_step`, or
    wherever gradients are wanted. `function` is traced once for the shapes it is called with, so make the result once
    and keep it, as an attribute of the model for one: each new one is traced anew. It computes with layers, models,
    `fastseq.ops`, NumPy's functions and operators; what it reads beside its arguments is read at the trace, but weights,
    which are read in every call.

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
        >>> square = fastseq.value_and_grad(lambda w, x: ops.sum(ops.square(w * x)))
        >>> value, gradient = square(np.array([1.0, 2.0]), np.array([3.0, 1.0]))
        >>> float(value), gradient
        (13.0, array([18.,  4.], dtype=float32))
    """
    return _ValueAndGrad(function, argnums, has_aux)


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
        self._programs = KeptPrograms(_MOST_PROGRAMS)

    def __call__(self, *args, **kwargs):
        if is_tracing():
            raise UnsupportedError("value_and_grad inside of what is traced: gradients of gradients are not computed.")
        args, kwargs = self._converted(args, kwargs)
        found, key = [], [runtime.active_isa(), current_training()]
        _collect([args, kwargs], found, key)
        program, _ = self._programs.find(tuple(key), lambda: self._make(args, kwargs))
        if not program.is_current():
            program = self._make(args, kwargs)
            self._programs.replace(tuple(key), program)
        return program.run(found)

    def _make(self, args, kwargs):
        return _Program(self, args, kwargs)

    def _converted(self, args, kwargs):
        """The arguments with arrays in the dtypes of programs."""
        count = len(args)
        wanted = [number + count if number < 0 else number for number in self._argnums]
        if any(not 0 <= number < count for number in wanted):
            raise ValueError(f"value_and_grad: argnums={self._argnums} of {count} arguments without a name.")

        def convert(leaf, differentiated=False):
            if leaf is None or isinstance(leaf, (Variable, str, bool)):
                return leaf
            if isinstance(leaf, (int, float)) and not isinstance(leaf, np.generic) and not differentiated:
                return leaf
            mask = arrays.mask_of(leaf)
            found = arrays.standardize(leaf, f"value_and_grad({self.__name__})")
            found = found if mask is None else arrays.with_mask(found, mask)
            if differentiated and found.dtype != np.float32:
                raise ValueError(f"value_and_grad({self.__name__}): there is no gradient by an array of {found.dtype}.")
            return found

        args = [
            nest.map_structure(lambda leaf, number=number: convert(leaf, number in wanted), value)
            for number, value in enumerate(args)
        ]
        return args, {name: nest.map_structure(convert, value) for name, value in kwargs.items()}

    def told(self, gradients):
        """The gradients in the form in which they are returned: those of each of argnums."""
        return tuple(gradients) if self._several else gradients[0]


class _Program:
    """The program of one function for arguments of some shapes."""

    def __init__(self, owner, args, kwargs):
        self._owner, self._changes = owner, changes[0]
        function = owner.__wrapped__
        p = Builder(training=current_training(), trains=True)
        inputs = []

        def slot(leaf):
            if not isinstance(leaf, np.ndarray):
                return leaf
            inputs.append(p.input(leaf.shape, leaf.dtype.name))
            mask, made = arrays.mask_of(leaf), inputs[-1]
            if mask is None:
                return made
            inputs.append(p.input(mask.shape, "bool"))
            return made.with_mask(inputs[-1])

        given = [nest.map_structure(slot, value) for value in args], {
            name: nest.map_structure(slot, value) for name, value in kwargs.items()
        }
        result = self._traced(p, function, given)
        value, aux = self._parts(result)
        self._plain = nest.map_structure(lambda leaf: None if _is_array(leaf) else leaf, aux)
        aux_slots = slots_of_result(p, [leaf for leaf in nest.flatten(aux) if _is_array(leaf)])
        self._is_slot = [_is_array(leaf) for leaf in nest.flatten(aux)]
        total = functions.ops_cast(p, value).slot
        if total.size != 1:
            raise ValueError(f"{self._who()} gives an array of shape {total.shape}, and only one number has gradients.")
        wanted = [
            nest.map_structure(lambda leaf: self._end(p, leaf), given[0][number]) for number in owner._argnums
        ]
        self._wanted = wanted
        ends = [leaf for leaf in nest.flatten(wanted) if leaf is not None]
        found = append_backward(p, [(total, p.constant(np.ones(total.shape, np.float32)))], ends)
        self._has_gradient = [slot is not None for slot in found]
        self._shapes = [end.shape for end in ends]
        self._aux_count = len(aux_slots)
        self._layers = [layer for layer in p.used if layer is not None]
        results = [total, *aux_slots, *(slot for slot in found if slot is not None)]
        self._arrays = [(variable, variable._held()) for variable, _ in p.weights.values()]
        self._program = Program(p, inputs, results)

    def _who(self):
        return f"value_and_grad: {self._owner.__name__}"

    def _traced(self, p, function, given):
        def call(filled):
            return function(*filled[0], **filled[1])

        try:
            functions.check(call, list(given), p, owner=getattr(function, "__self__", None), results=functions.ANY)
            return functions.run(p, call, list(given), results=functions.ANY)
        except functions.CannotTrace as error:
            raise self._refused(str(error)) from error
        except functions.NeedsValues as error:
            raise self._refused(functions.reason_of(error)) from error

    def _refused(self, why):
        return UnsupportedError(
            f"{self._who()} cannot be differentiated: {why}. Compute with layers, fastseq.ops, NumPy's functions and "
            "operators alone."
        )

    def _parts(self, result):
        """(value, others) of what the function gave."""
        if not self._owner._has_aux:
            return result, None
        if not isinstance(result, tuple) or len(result) != 2:
            raise ValueError(f"{self._who()} gives no pair of a value and other results, as has_aux=True says.")
        return result

    def _end(self, p, leaf):
        if isinstance(leaf, Slot):
            return leaf
        if isinstance(leaf, Variable):
            return p.weight(leaf)
        if leaf is None:
            return None
        raise ValueError(f"{self._who()}: there is no gradient by {leaf!r}.")

    def is_current(self):
        """Whether the weights stand where the program reads them, and no layer was set to compute otherwise."""
        return self._changes == changes[0] and all(variable._content is held for variable, held in self._arrays)

    def run(self, found):
        """What the call returns."""
        if self._program.has_python and self._layers:
            with collecting(self._layers[0]):
                results = self._program.run(found)
        else:
            results = self._program.run(found)
        results = iter(results)
        value = next(results).reshape(())[()]
        others = iter([next(results) for _ in range(self._aux_count)])
        gradients = [
            next(results) if there else np.zeros(shape, np.float32)
            for there, shape in zip(self._has_gradient, self._shapes)
        ]
        gradients = iter(gradients)
        told = self._owner.told([
            nest.map_structure(lambda leaf: None if leaf is None else next(gradients), wanted) for wanted in self._wanted
        ])  # fmt: skip
        if not self._owner._has_aux:
            return value, told
        flags = iter(self._is_slot)
        aux = nest.map_structure(lambda leaf: next(others) if next(flags) else leaf, self._plain)
        return (value, aux), told


def _is_array(leaf):
    return isinstance(leaf, (np.ndarray, np.generic)) or hasattr(leaf, "slot")


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
