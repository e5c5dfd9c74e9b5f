"""Loops and choices over functions. https://keras.io/api/ops/core/

On arrays they are plain Python. Where they are traced, a body is traced once and runs as a native loop, in training
too, where gradients go back through it (gradients/loops.py). A loop in a loop is traced once for each time.
"""

import numpy as np

from fastseq.ops import elementwise as e
from fastseq.ops import joining, loop_checks, repeating, shapes
from fastseq.ops.documented import ARRAY, documented
from fastseq.ops.operation import operation
from fastseq.ops.values import MixesTimesteps, Traced, builder_of, lift, view
from fastseq.program.hoisting import take_out_constants
from fastseq.program.loops import Carried, carry_over, entry_of, is_of_its_time
from fastseq.program.slots import product, strides_of
from fastseq.tensors import arrays, nest

# So often a loop that nothing else bounds may run.
_ENDLESS = 1 << 62


def _array(value, name):
    return value if isinstance(value, Traced) else arrays.standardize(value, f"ops.{name}()")


def _entry(x, i):
    """Entry i of the first axis of an array."""
    if not isinstance(x, Traced):
        return x[i]
    if x.time == 0:
        raise MixesTimesteps("it goes over the timesteps")
    size = x.size // x.shape[0]
    time = None if x.time is None else x.time - 1
    return Traced(x.p, x.slot.at(i * size).reshaped(x.shape[1:]), time)


def _stacked(values):
    if any(isinstance(value, Traced) for value in values):
        return joining.stack(values, axis=0)
    return np.stack([np.asarray(value) for value in values])


def scan(f, init, xs=None, length=None, reverse=False, unroll=1):
    """Carries a value along the first axis of arrays.

    Args:
        f (callable): `f(carry, x)` -> `(carry, y)`, where `x` is an entry of `xs` along the first axis.
        init (array or nest): The carry before the first entry.
        xs (array or nest, default None): What is gone over; None needs `length`.
        length (int, default None): How many entries; None is the size of the first axis.
        reverse (bool, default False): Whether the last entry comes first.
        unroll (int or bool, default 1): Changes nothing; the numbers are the same.

    Returns:
        tuple of the last carry, and of all `y` along a new first axis.

    Raises:
        ValueError: Neither `xs` nor `length`, sizes that differ, and a carry that changes its structure or shape.
        TypeError: An `f` that cannot be called.

    Example:
        >>> last, sums = ops.scan(lambda total, x: (total + x, total + x), np.float32(0), np.arange(4, dtype="float32"))
        >>> float(last), sums
        (6.0, array([0., 1., 3., 6.], dtype=float32))
    """
    loop_checks.functions("scan", f=f)
    if not isinstance(unroll, bool) and (not isinstance(unroll, int) or unroll < 1):
        raise ValueError(f"ops.scan: `unroll` must be a positive integer or boolean. Received: unroll={unroll!r}")
    loop_checks.no_symbols("scan", init, xs)
    xs = nest.map_structure(lambda x: None if x is None else _array(x, "scan"), xs)
    count = loop_checks.entries(xs, length)
    p = builder_of(*nest.flatten(init), *nest.flatten(xs))
    if p is not None and not p.in_loop and count > 2 and not hasattr(p, "unknown"):
        found = _looped(p, f, init, xs, count, reverse)
        if found is not None:
            return found
    if not count:
        return init, _nothing_of(f, init, xs)
    carry, ys = init, []
    for i in range(count)[:: -1 if reverse else 1]:
        before = carry
        carry, y = loop_checks.pair(
            f(carry, nest.map_structure(lambda x, i=i: None if x is None else _entry(x, i), xs))
        )
        loop_checks.shapes_stay("scan", carry, before)
        ys.append(y)
    if reverse:
        ys.reverse()
    return carry, _columns(ys)


def _columns(ys):
    """The values of all times along a new first axis, in the structure of those of one time."""
    columns = zip(*(nest.flatten(y) for y in ys))
    stacked = [None if column[0] is None else _stacked(list(column)) for column in columns]
    return nest.pack_like(ys[0], stacked) if nest.is_nested(ys[0]) else stacked[0]


def _nothing_of(f, init, xs):
    """What `scan` gives of no entries: empty arrays, of the shapes and dtypes that `f` gives for an entry of zeros."""
    entry = nest.map_structure(lambda x: None if x is None else np.zeros(x.shape[1:], x.dtype), xs)
    whole = _columns([loop_checks.pair(f(init, entry))[1]])
    return nest.map_structure(lambda y: None if y is None else y[:0], whole)


class _OfItsTime(Exception):
    """Each time of a loop would be another one."""


def _looped(p, f, init, xs, count, reverse):
    """`scan` as a native loop, or None where a time of it is not like the others."""
    flat = [lift(p, loop_checks.plain_array(value)) for value in nest.flatten(init)]
    sources = [None if x is None else lift(p, x) for x in nest.flatten(xs)]
    for x in (*flat, *(x for x in sources if x is not None)):
        if x.time is not None:
            raise MixesTimesteps("it is a loop of its own")
    turns = p.trains and reverse  # gradients go through the times in the order of memory
    if turns:
        sources = [None if x is None else repeating.flip(x, 0) for x in sources]
    kept = [Carried(p, value.slot, count) for value in flat]
    backwards = reverse and not turns
    effects, losses = p.effects(), len(p.penalties)
    try:
        with p.undone_on_error(), p.loop(count) as loop:
            given = [None if x is None else Traced(p, entry_of(x.slot, backwards)) for x in sources]
            before = nest.pack_like(init, [Traced(p, each.before) for each in kept])
            carry, y = loop_checks.pair(f(before, None if xs is None else nest.pack_like(xs, given)))
            if len(p.penalties) != losses or (p.trains and (p.effects() != effects or is_of_its_time(p, loop.first))):
                raise _OfItsTime
            made = [lift(p, loop_checks.plain_array(leaf)) for leaf in nest.flatten(y) if leaf is not None]
            outputs = [p.new((count, *leaf.shape), leaf.dtype) for leaf in made]
            for leaf, whole in zip(made, outputs):
                p.write(leaf.slot, entry_of(whole, backwards))
            carry_over(p, _same_as(p, "scan", carry, flat), kept)
            loop.first += take_out_constants(p, loop.first)
    except _OfItsTime:
        return None
    results = iter(Traced(p, slot) for slot in outputs)
    if turns:
        results = iter([repeating.flip(x, 0) for x in results])
    ys = None if y is None else nest.map_structure(lambda leaf: None if leaf is None else next(results), y)
    return nest.pack_like(init, [Traced(p, each.end) for each in kept]), ys


def _same_as(p, name, values, before):
    """The Slots of what a body gives, in the dtypes of what it got. Raises ValueError for other shapes."""
    found = [lift(p, loop_checks.plain_array(value)) for value in nest.flatten(values)]
    loop_checks.shapes_stay(name, found, before)
    return [e.cast(value, old.dtype).slot for value, old in zip(found, before)]


def while_loop(cond, body, loop_vars, maximum_iterations=None):
    """Runs a body as long as a condition holds.

    Args:
        cond (callable): `cond(*loop_vars)` -> a bool of one element.
        body (callable): `body(*loop_vars)` -> the next ones, of the same shapes and dtypes.
        loop_vars (tuple, list, or array): What the two get.
        maximum_iterations (int, default None): How often the body runs at most; None is without bound.

    Returns:
        As `loop_vars`, after the last time.

    Raises:
        ValueError: A body that gives other shapes, and training through a traced loop without a known end.

    Example:
        >>> ops.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x * 2), (0, 1))
        (3, 8)
    """
    loop_checks.functions("while_loop", cond=cond, body=body)
    if maximum_iterations is not None:
        maximum_iterations = loop_checks.count_of("while_loop", "maximum_iterations", maximum_iterations)
    loop_checks.no_symbols("while_loop", loop_vars)
    single = not isinstance(loop_vars, (list, tuple))
    variables = (loop_vars,) if single else tuple(loop_vars)

    def run(*values):
        found = body(*values)
        return (found,) if single else tuple(found)

    p = builder_of(*nest.flatten(variables))
    if p is None:
        count = 0
        while (maximum_iterations is None or count < maximum_iterations) and bool(np.all(cond(*variables))):
            before, variables = variables, run(*variables)
            loop_checks.shapes_stay("while_loop", variables, before)
            count += 1
        return variables[0] if single else variables
    variables = _traced_while(p, cond, run, variables, maximum_iterations)
    return variables[0] if single else variables


def _traced_while(p, cond, run, variables, most):
    flat = [lift(p, loop_checks.plain_array(value)) for value in nest.flatten(variables)]
    if any(value.time is not None for value in flat):
        raise MixesTimesteps("it is a loop of its own")
    if hasattr(p, "unknown"):
        _same_as(p, "while_loop", run(*nest.pack_like(variables, flat)), flat)
        return nest.pack_like(variables, flat)
    if p.trains or p.in_loop:
        raise ValueError("ops.while_loop has no gradient, and runs in no other loop: use ops.scan or ops.fori_loop.")
    kept = [Carried(p, value.slot, 0) for value in flat]
    traced = nest.pack_like(variables, [Traced(p, each.end) for each in kept])
    goes_on, losses = p.new((), "bool"), len(p.penalties)
    p.write(_truth(p, cond(*traced)), goes_on)
    with p.loop(_ENDLESS if most is None else int(most)) as loop:
        carry_over(p, _same_as(p, "while_loop", run(*traced), flat), kept)
        if len(p.penalties) != losses:
            raise ValueError("ops.while_loop: its body adds losses, and the number of times is open.")
        p.write(_truth(p, cond(*traced)), goes_on)
        loop.condition = goes_on
    return traced


def _truth(p, value):
    found = e.cast(lift(p, loop_checks.plain_array(value)), "bool")
    if found.size != 1:
        raise ValueError(f"ops.while_loop: the condition is of one element, got shape {found.shape}.")
    return found.slot.reshaped(())


def fori_loop(lower, upper, body_fun, init_val):
    """Runs a body for each integer of a range.

    Args:
        lower (int): The first one.
        upper (int): The one behind the last.
        body_fun (callable): `body_fun(i, value)` -> the next value, of the same shape.
        init_val (array or nest): The value before the first time.

    Returns:
        The value after the last time.

    Raises:
        ValueError: A body that gives other shapes.

    Example:
        >>> ops.fori_loop(0, 4, lambda i, x: x + i, 0)
        6
    """
    loop_checks.functions("fori_loop", body_fun=body_fun)
    loop_checks.no_symbols("fori_loop", lower, upper, init_val)
    if isinstance(lower, Traced) or isinstance(upper, Traced):
        return while_loop(lambda i, value: i < upper, lambda i, value: (i + 1, body_fun(i, value)), (lower, init_val))[
            1
        ]
    ends = loop_checks.count_of("fori_loop", "lower", lower), loop_checks.count_of("fori_loop", "upper", upper)
    numbers = np.arange(*ends, dtype=np.int32)
    p = builder_of(*nest.flatten(init_val))
    if p is not None and not p.in_loop and len(numbers):
        try:
            return scan(lambda value, i: (body_fun(i, value), None), init_val, lift(p, numbers))[0]
        except Exception:
            if not p.trains:
                raise  # in training a body may take its number from Python, where it must not at other times
    for i in numbers.tolist():
        before, init_val = init_val, body_fun(i, init_val)
        loop_checks.shapes_stay("fori_loop", init_val, before)
    return init_val


def cond(pred, true_fn, false_fn):
    """What one of two functions gives.

    Args:
        pred (bool): Which; of one element. Where it is traced both functions run, and its values choose.
        true_fn (callable): A function without arguments.
        false_fn (callable): The same; the results of both are alike in structure, shapes and dtypes.

    Returns:
        What the chosen one returned.

    Raises:
        ValueError: A condition of more elements, and results of two structures.

    Example:
        >>> ops.cond(2 > 1, lambda: 1.0, lambda: 2.0)
        1.0
    """
    loop_checks.functions("cond", true_fn=true_fn, false_fn=false_fn)
    loop_checks.no_symbols("cond", pred)
    shape = pred.shape if isinstance(pred, Traced) else np.shape(pred)
    if product(shape) != 1:
        raise ValueError(f"ops.cond: the condition is of one element, got shape {tuple(shape)}.")
    if not isinstance(pred, Traced):
        return true_fn() if bool(np.all(pred)) else false_fn()
    return _chosen("cond", [e.logical_not(pred), pred], [false_fn(), true_fn()])


def _chosen(name, conditions, results):
    """The last of the results whose condition, of one element, holds; the first where none does."""
    flat = [nest.flatten(result) for result in results]
    if len({len(leaves) for leaves in flat}) != 1:
        raise ValueError(f"ops.{name}: the functions give results of other structures.")
    found = flat[0]
    for condition, leaves in zip(conditions[1:], flat[1:]):
        condition = shapes.reshape(condition, ())
        found = [None if b is None else e.where(condition, b, a) for a, b in zip(found, leaves)]
    return nest.pack_like(results[0], found) if nest.is_nested(results[0]) else found[0]


def switch(index, branches, *operands):
    """What one of several functions gives.

    Args:
        index (int): Which; below 0 is the first, past the end the last. Where it is traced all of them run.
        branches (list of callable): Functions of the operands, with results alike in structure, shapes and dtypes.
        *operands (array): What they get.

    Returns:
        What the chosen one returned.

    Raises:
        ValueError: Results of other structures.

    Example:
        >>> ops.switch(1, [lambda x: x + 1, lambda x: x * 10], 3)
        30
    """
    if not isinstance(branches, (list, tuple)) or not branches:
        raise ValueError(f"ops.switch: `branches` must be a list of functions, got {branches!r}.")
    loop_checks.functions("switch", **{f"branches[{at}]": branch for at, branch in enumerate(branches)})
    loop_checks.no_symbols("switch", index, operands)
    if not isinstance(index, Traced):
        return branches[min(max(loop_checks.count_of("switch", "index", index), 0), len(branches) - 1)](*operands)
    results = [branch(*operands) for branch in branches]
    first = e.less_equal(index, 0)
    return _chosen("switch", [first, *(e.greater_equal(index, i) for i in range(1, len(branches)))], results)


def map(f, xs):
    """What a function gives for each entry of the first axis, along a new first axis.

    Args:
        f (callable): A function of one entry.
        xs (array or nest): What is gone over.

    Returns:
        An array, or a nest of them.

    Raises:
        ValueError: First axes of other sizes.

    Example:
        >>> ops.map(lambda x: x * x, np.arange(3, dtype="float32"))
        array([0., 1., 4.], dtype=float32)
    """
    loop_checks.functions("map", f=f)
    return scan(lambda carry, x: (carry, f(x)), (), xs)[1]


def vectorized_map(function, elements):
    """As `map`: here a loop too, with the numbers of one.

    Args:
        function (callable): A function of one entry.
        elements (array or nest): What is gone over.

    Returns:
        An array, or a nest of them.

    Raises:
        ValueError: First axes of other sizes.

    Example:
        >>> ops.vectorized_map(lambda x: x * x, np.arange(3, dtype="float32"))
        array([0., 1., 4.], dtype=float32)
    """
    loop_checks.functions("vectorized_map", function=function)
    return map(function, elements)


@operation("StopGradient", "core")
@documented(
    "The values, through which no gradient goes.", {"variable": ARRAY}, "An array of the same values.",
    "ops.stop_gradient([1.0, 2.0])\n"
    "array([1., 2.], dtype=float32)",
)  # fmt: skip
def stop_gradient(variable):
    result = view(variable, variable.shape, strides_of(variable.shape), time=variable.time)
    if variable.p.steps:
        variable.p.steps[-1]["flat"] = True
    return result
