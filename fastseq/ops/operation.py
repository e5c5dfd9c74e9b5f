"""One definition of an operation, three uses: on arrays, on symbolic tensors, inside a program that is being traced.

`operation` makes a public function of a body. The body computes with Traced arrays (values.py) and with other functions
of fastseq.ops; it says everything about the operation: its shape, dtype, steps, and what becomes of the timesteps.
"""

import functools
import inspect
import re

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.ops import call_errors
from fastseq.ops.shape_builder import ShapeBuilder, traced_twice
from fastseq.ops.values import MixesTimesteps, Traced, builder_of, dtype_of, is_number, lift
from fastseq.program.cache import ProgramCache
from fastseq.program.chain_steps import DoNotBroadcast
from fastseq.program.slots import Slot
from fastseq.tensors import arrays, nest
from fastseq.tensors.operation import Operation
from fastseq.tensors.symbolic import KerasTensor, is_symbolic
from fastseq.tensors.variable import Variable

#: (Keras's module, class name) -> Definition, of those that have been imported.
DEFINITIONS = {}
#: An error of an operation, which may say by which other one it came about.
_INSIDE = re.compile(r"(ops\.\w+, by )?(?P<text>ops\.(?P<name>\w+).*)", re.DOTALL)


class Definition:
    """What an operation is.

    body: the function that computes it; class_name, module: of Keras's Operation class, as files name it; options: its
    parameters that are plain data and stand in a file's config; plain: those that are plain data and stand among a
    call's arguments; several: those that are lists of tensors; keeps_numbers: whether a plain number among the tensors
    makes another operation of it, as an exponent of 2 does; integers: those of which a plain int is no float where
    others are float arrays.
    """

    def __init__(self, body, class_name, module, options, plain, several, keeps_numbers, integers):
        self.body = body
        self.name = body.__name__
        self.class_name = class_name
        self.module = module
        self.signature = inspect.signature(body)
        self.options = options
        self.plain = frozenset((*options, *plain))
        self.several = frozenset(several)
        self.keeps_numbers = keeps_numbers
        self.integers = frozenset(integers)
        self.call_signature = self.signature.replace(
            parameters=[p for p in self.signature.parameters.values() if p.name not in options]
        )
        self.node_class = type(class_name, (OpNode,), {"definition": self, "__module__": module})
        self._programs = ProgramCache()

    # ---- calls -------------------------------------------------------------------------------------------------------

    def __call__(self, *args, **kwargs):
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"ops.{self.name}: {error}.") from None
        bound.apply_defaults()
        tensors = [leaf for name, value in bound.arguments.items() if name not in self.plain or name == "key"
                   for leaf in nest.flatten(value)]  # fmt: skip
        if any(isinstance(leaf, KerasTensor) for leaf in tensors):
            options = {name: bound.arguments[name] for name in self.options}
            given = {n: v for n, v in bound.arguments.items() if n not in self.options}
            call = inspect.BoundArguments(self.call_signature, given)  # *operands among them have no name
            return self.node_class(**options)(*call.args, **call.kwargs)
        p = builder_of(*tensors) or _builder_that_reads(tensors)
        if p is not None:
            return self.on_traced(p, bound)
        return self.on_arrays(bound.arguments)

    def _bound_call(self, arguments):
        """The body's positional and keyword arguments."""
        bound = inspect.BoundArguments(self.signature, dict(arguments))
        return bound.args, bound.kwargs

    def on_traced(self, p, bound):
        """Adds the operation to the program `p`: weights and arrays among its arguments become slots of it."""
        for name, value in bound.arguments.items():
            if name not in self.plain:
                bound.arguments[name] = nest.map_structure(
                    lambda leaf: leaf if leaf is None or is_number(leaf) else lift(p, leaf),
                    value if name in self.several or not isinstance(value, (list, tuple)) else np.asarray(value),
                )
        return self._computed(bound.args, bound.kwargs)

    def on_arrays(self, arguments):
        """The result for arrays and plain numbers: an array, or a nest of them."""
        found, numbers = {}, {}
        for name, value in arguments.items():
            if name in self.plain or value is None:
                found[name] = _Plain(value)
            elif name in self.several:
                found[name] = [self._array(leaf) for leaf in value]
            elif is_number(value) and self.keeps_numbers:
                found[name] = _Plain(value)
            elif is_number(value):
                numbers[name] = value
                found[name] = None
            else:
                found[name] = self._array(value)
        if numbers:
            leaves = [leaf for leaf in nest.flatten(list(found.values())) if isinstance(leaf, np.ndarray)]
            floats = any(leaf.dtype == np.float32 for leaf in leaves)
            for name, value in numbers.items():
                as_it_is = isinstance(value, bool) or name in self.integers
                found[name] = np.array(value, np.float32 if floats and not as_it_is else dtype_of(value))
        if not any(isinstance(leaf, np.ndarray) for leaf in nest.flatten(list(found.values()))):
            # Plain numbers alone: the first one is as good as an array.
            numbers = (name for name, value in arguments.items() if name not in self.plain and is_number(value))
            name = next(numbers, None)
            if name is None:
                raise ValueError(f"ops.{self.name}() needs at least one array.")
            found[name] = np.array(arguments[name], dtype_of(arguments[name]))
        return self._programs.run(self, found)

    def _array(self, value):
        if isinstance(value, Variable):
            return value.numpy()
        array = arrays.standardize(value, f"ops.{self.name}()")
        return array.view(np.ndarray) if type(array) is not np.ndarray else array

    def trace(self, p, arguments):
        """The steps of a call, with Slots in the places of arrays, `_Plain` in those of plain data; result: Slots."""
        filled = {
            name: nest.map_structure(lambda leaf: Traced(p, leaf.with_mask(None)) if isinstance(leaf, Slot) else leaf,
                                     value.value if isinstance(value, _Plain) else value)
            for name, value in arguments.items()
        }  # fmt: skip
        args, kwargs = self._bound_call(filled)
        return slots_of_result(p, self._computed(args, kwargs))

    def _computed(self, args, kwargs):
        """The body's result. Shapes that do not broadcast are told as those of the call, not of an operation inside; an
        error of an operation inside names that which was called."""
        try:
            return self.body(*args, **kwargs)
        except DoNotBroadcast:
            leaves = nest.flatten([list(args), *kwargs.values()])
            shapes = [leaf.shape for leaf in leaves if hasattr(leaf, "shape")]
            raise DoNotBroadcast(f"ops.{self.name}", shapes) from None
        except (ValueError, TypeError) as error:
            inside = _INSIDE.match(error.args[0]) if error.args and isinstance(error.args[0], str) else None
            if inside and inside["name"] != self.name:
                error.args = (f"ops.{self.name}, by {inside['text']}", *error.args[1:])
            raise


def _builder_that_reads(tensors):
    """The Builder of the call that this thread traces, where one of `tensors` is a weight; else None."""
    read = Variable.read_as.found
    weight = None if read is None else next((leaf for leaf in tensors if isinstance(leaf, Variable)), None)
    return None if weight is None else read(weight).p


class _Plain:
    """Plain data in a program's key: compared by what it says."""

    __slots__ = ("key", "value")

    def __init__(self, value):
        self.value = value
        self.key = frozen(value)

    def __eq__(self, other):
        return type(other) is _Plain and self.key == other.key

    def __hash__(self):
        return hash(self.key)


def frozen(value):
    """Something hashable that says the same as plain data: nests, slices, arrays, numbers, strings."""
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, *map(frozen, value))
    if isinstance(value, dict):
        return ("dict", *((name, frozen(value[name])) for name in sorted(value)))
    if isinstance(value, slice):
        return ("slice", frozen(value.start), frozen(value.stop), frozen(value.step))
    if isinstance(value, np.ndarray):
        return ("array", value.shape, value.dtype.str, value.tobytes())
    return (type(value).__name__, repr(value) if isinstance(value, float) else value)


def slots_of_result(p, result):
    """The Slots of what a body returned: Traced, arrays that it made of constants alone, nests of them."""

    def slot(leaf):
        if leaf is None:
            return None
        return lift(p, np.asarray(leaf) if is_number(leaf) else leaf).slot.with_mask(None)

    return nest.map_structure(slot, result)


# Where TensorFlow has nothing to do, it gives the tensor itself, on which Keras finds the mask.
_HAND_ON = ("cast", "convert_to_tensor")


class OpNode(Operation):
    """An operation in a graph of symbolic calls, with the options that Keras writes into a file.

    Each Definition has a subclass, of the name of Keras's class. options: by name; those that are missing have their
    defaults.
    """

    #: The Definition of the subclass.
    definition = None
    reads_all_alike = True

    def __init__(self, name=None, **options):
        definition = self.definition
        unknown = set(options) - set(definition.options)
        if unknown:
            raise UnsupportedError(f"Operation {definition.class_name} has options that are not known: {unknown}.")
        super().__init__(name)
        parameters = definition.signature.parameters
        missing = [n for n in definition.options if n not in options and parameters[n].default is inspect._empty]
        if missing:
            raise UnsupportedError(f"Operation '{self.name}' ({definition.class_name}) has no {', '.join(missing)}.")
        self.values = {n: options.get(n, parameters[n].default) for n in definition.options}
        self._signature = definition.call_signature
        self._is_python = False

    def __call__(self, *args, **kwargs):
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"Operation '{self.name}' ({self.definition.class_name}): {error}.") from None
        bound.apply_defaults()
        if is_symbolic(list(bound.arguments.values())):
            return self._record(bound.arguments).outputs
        given = {**bound.arguments, **self.values}
        signature = self.definition.signature
        whole = inspect.BoundArguments(signature, {n: given[n] for n in signature.parameters if n in given})
        return self.definition(*whole.args, **whole.kwargs)

    def compute_output_spec(self, *args, **kwargs):
        arguments = self._signature.bind(*args, **kwargs).arguments if args else kwargs
        tensors = [leaf for leaf in nest.flatten(list(arguments.values())) if isinstance(leaf, KerasTensor)]
        structure = []

        def trace(p, slots):
            given = iter(slots)
            # One argument after the other, as `tensors` has them: a dict's entries would come in the order of names.
            result = self.trace(p, {
                name: nest.map_structure(lambda leaf: next(given) if isinstance(leaf, KerasTensor) else leaf, value)
                for name, value in arguments.items()
            })  # fmt: skip
            structure[:] = [result]
            return nest.flatten(result)

        found = traced_twice(trace, tensors)
        return nest.pack_like(structure[0], found) if nest.is_nested(structure[0]) else found[0]

    def trace(self, p, arguments):
        """Adds the operation to the program `p`; arguments: Slots in the places of tensors, and plain data."""
        result = self._on_traced(p, arguments, {})
        if self.definition.name in _HAND_ON and any(result.slot is leaf for leaf in arguments.values()):
            return result.slot  # with its mask
        return slots_of_result(p, result)

    def _on_traced(self, p, arguments, times):
        """The body's result; times: the axis of time by the id of a Slot."""
        filled = {
            name: nest.map_structure(
                lambda leaf: Traced(p, leaf, times.get(id(leaf))) if isinstance(leaf, Slot) else leaf, value
            )
            for name, value in arguments.items()
        }
        given = {**filled, **self.values}
        signature = self.definition.signature
        bound = inspect.BoundArguments(signature, {n: given[n] for n in signature.parameters if n in given})
        outer, p.layer_name = p.layer_name, self.name
        try:
            return self.definition.on_traced(p, bound)
        finally:
            p.layer_name = outer

    def keeps_time(self, timed, shapes, arguments):
        """See layers/time_axis.py: the operation is traced with its timesteps marked."""
        p, times, flags = ShapeBuilder(), {}, iter(zip(timed, shapes))

        def slot(leaf):
            if not isinstance(leaf, KerasTensor):
                return leaf
            is_timed, shape = next(flags, (False, leaf.shape))
            sizes = [7 if axis == 1 and is_timed else 5 if size is None else size for axis, size in enumerate(shape)]
            found = p.new(sizes, leaf.dtype)
            if is_timed:
                times[id(found)] = 1
            return found

        # Held, as they are known by their ids; one argument after the other, in the order of `timed`.
        slots = {name: nest.map_structure(slot, value) for name, value in arguments.items()}
        try:
            result = nest.flatten(self._on_traced(p, slots, times))
        except MixesTimesteps as error:
            raise ValueError(
                f"Operation '{self.name}' ({self.definition.class_name}) cannot run in a stream: {error}."
            ) from None
        found = [leaf.time if isinstance(leaf, Traced) else None for leaf in result]
        if set(found) - {None, 1}:
            raise ValueError(
                f"Operation '{self.name}' ({self.definition.class_name}) cannot run in a stream: it moves the "
                "timesteps to another axis."
            )
        return [time == 1 for time in found]

    def get_config(self):
        return {**super().get_config(), **self.values}


def operation(class_name, module="numpy", options=(), plain=(), several=(), keeps_numbers=False, integers=()):
    """A decorator: makes a public function of the body of an operation.

    Args:
        class_name (str): Keras's class of it.
        module (str): The last part of Keras's module, below keras.src.ops; or a whole module path.
        options, plain, several, keeps_numbers, integers: See Definition.

    Returns:
        The decorator. The function has the Definition as its attribute `definition`.
    """
    path = module if module.startswith("keras.") else f"keras.src.ops.{module}"

    def decorate(body):
        definition = Definition(body, class_name, path, tuple(options), plain, several, keeps_numbers, integers)
        DEFINITIONS[path, class_name] = definition

        @functools.wraps(body)
        def function(*args, **kwargs):
            try:
                return definition(*args, **kwargs)
            except Exception as error:
                found = call_errors.named(definition.name, body, definition.signature, args, kwargs, error)
                if found is error:
                    raise
                raise found from error

        function.definition = definition
        return function

    return decorate
