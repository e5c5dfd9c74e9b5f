"""Functions of functions: scans that take pairs together, functions of elements, gradients of the user's own.

https://keras.io/api/ops/core/
"""

import functools
import re

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.ops import control_flow, joining, shapes
from fastseq.ops.call_errors import names_its_errors
from fastseq.ops.documented import documented
from fastseq.ops.values import Traced, builder_of, cast, dtype_of, lift, view
from fastseq.program.slots import strides_of
from fastseq.program.steps import ends_of
from fastseq.tensors import arrays, nest, settings
from fastseq.tensors.symbolic import KerasTensor


def _array(value, name):
    return value if isinstance(value, Traced) else arrays.standardize(value, f"ops.{name}()")


def _no_symbols(name, structure):
    if any(isinstance(leaf, KerasTensor) for leaf in nest.flatten(structure)):
        raise TypeError(
            f"ops.{name} of symbolic tensors is not recorded, as its functions could not be saved: call it inside of a "
            "layer of your own."
        )


# ---- scans by pairs --------------------------------------------------------------------------------------------------


def associative_scan(f, elems, reverse=False, axis=0):
    """What an associative function gives of all entries up to each, by pairs: in Keras's order, of log2(n) levels.

    Args:
        f (callable): `f(a, b)` of two nests as `elems`, with as many entries each, -> one such nest; f(a, f(b, c)) is
            f(f(a, b), c).
        elems (array or nest): The entries along an axis.
        reverse (bool, default False): Whether the last entry comes first.
        axis (int, default 0): The axis.

    Returns:
        As `elems`.

    Raises:
        TypeError: An `f` that cannot be called, and symbolic tensors.
        ValueError: Arrays of several lengths.

    Example:
        >>> ops.associative_scan(lambda a, b: a + b, np.arange(1, 5, dtype="float32"))
        array([ 1.,  3.,  6., 10.], dtype=float32)
    """
    if not callable(f):
        raise TypeError(f"ops.associative_scan: `f` should be a callable. Received: f={f}")
    _no_symbols("associative_scan", elems)
    flat = [_array(leaf, "associative_scan") for leaf in nest.flatten(elems)]
    axis = shapes.whole_axis(axis, "associative_scan")
    if any(not -leaf.ndim <= axis < leaf.ndim for leaf in flat):
        raise ValueError(f"ops.associative_scan: axis {axis} is not one of {[leaf.shape for leaf in flat]}.")
    axes = [axis % leaf.ndim for leaf in flat]
    if len({leaf.shape[at] for leaf, at in zip(flat, axes)}) != 1:
        raise ValueError(f"ops.associative_scan: arrays of one length are wanted, got {[leaf.shape for leaf in flat]}.")

    def combined(a, b):
        return [_array(leaf, "associative_scan") for leaf in nest.flatten(f(_packed(elems, a), _packed(elems, b)))]

    def cut(several, *bounds):
        return [leaf[(slice(None),) * at + (slice(*bounds),)] for leaf, at in zip(several, axes)]

    def scanned(several):
        count = several[0].shape[axes[0]]
        if count < 2:
            return several
        pairs = combined(cut(several, 0, count - 1, 2), cut(several, 1, None, 2))
        odd = scanned(pairs)
        even = cut(several, 0, 1)
        if count > 2:
            before = odd if count % 2 else cut(odd, 0, count // 2 - 1)
            rest = combined(before, cut(several, 2, None, 2))
            even = [joining.concatenate([a, b], at) for a, b, at in zip(even, rest, axes)]
        return [_interleaved(a, b, at) for a, b, at in zip(even, odd, axes)]

    turn = [(slice(None),) * at + (slice(None, None, -1),) for at in axes]
    flat = [leaf[at] for leaf, at in zip(flat, turn)] if reverse else flat
    flat = scanned(flat)
    return _packed(elems, [leaf[at] for leaf, at in zip(flat, turn)] if reverse else flat)


def _packed(structure, leaves):
    return nest.pack_like(structure, leaves) if nest.is_nested(structure) else leaves[0]


def _interleaved(a, b, axis):
    """a[0], b[0], a[1], b[1] ... along an axis; a may have one more."""
    count = b.shape[axis]
    head = a[(slice(None),) * axis + (slice(0, count),)]
    both = joining.stack([head, b], axis + 1)
    both = shapes.reshape(both, (*b.shape[:axis], 2 * count, *b.shape[axis + 1 :]))
    if a.shape[axis] == count:
        return both
    return joining.concatenate([both, a[(slice(None),) * axis + (slice(count, None),)]], axis)


# ---- functions of elements -------------------------------------------------------------------------------------------


def _core_dims(signature, count):
    """Names of the last axes that each argument of a signature such as "(n),(n)->()" keeps."""
    if signature is None:
        return [()] * count
    if not re.fullmatch(r"\([\w,\s]*\)(,\([\w,\s]*\))*->.*", signature.replace(" ", "")):
        raise ValueError(f"ops.vectorize: {signature!r} is no signature such as '(n),(n)->()'.")
    groups = re.findall(r"\(([\w,\s]*)\)", signature.split("->")[0])
    if len(groups) != count:
        raise ValueError(f"ops.vectorize: {signature!r} is of {len(groups)} arguments, {count} were given.")
    return [tuple(re.findall(r"\w+", group)) for group in groups]


def vectorize(pyfunc, *, excluded=None, signature=None):
    """A function of arrays out of one of their elements, which runs for each: on traced arrays it is a native loop.

    Args:
        pyfunc (callable): A function of elements, or of the last axes that `signature` names.
        excluded (set, default None): Positions and names of arguments that are handed on as they are.
        signature (str, default None): The last axes of each argument that stay together, as in "(n),(n)->()"; None is
            none of them.

    Returns:
        A function of arrays, whose other axes broadcast.

    Raises:
        ValueError: A `pyfunc` that cannot be called, a signature that does not fit, and arrays without elements.

    Example:
        >>> ops.vectorize(lambda a, b: a if a > b else a + b)(np.arange(4.0), 2.0)
        array([2., 3., 4., 3.], dtype=float32)
    """
    if not callable(pyfunc):
        raise ValueError(f"ops.vectorize: Expected argument `pyfunc` to be a callable. Received: pyfunc={pyfunc}")
    excluded = frozenset(excluded or ())

    @functools.wraps(pyfunc)
    def wrapped(*args, **kwargs):
        _no_symbols("vectorize", [args, kwargs])
        given = {key: value for key, value in (*enumerate(args), *kwargs.items()) if key not in excluded}
        values = {key: _array(value, "vectorize") for key, value in given.items()}
        dims = dict(zip(values, _core_dims(signature, len(values))))

        def call(found):
            filled = {**dict(enumerate(args)), **kwargs, **found}
            return pyfunc(*(filled[i] for i in range(len(args))), **{name: filled[name] for name in kwargs})

        def loop_shape(key):
            return values[key].shape[: values[key].ndim - len(dims[key])]

        sizes = {}
        for key, value in values.items():
            own = value.shape[len(loop_shape(key)) :]
            if len(own) != len(dims[key]) or any(sizes.setdefault(d, n) != n for d, n in zip(dims[key], own)):
                raise ValueError(
                    f"ops.vectorize: shapes {[v.shape for v in values.values()]} do not fit {signature!r}."
                )
        shape = np.broadcast_shapes(*map(loop_shape, values))
        if not shape:
            return call(values)
        count = int(np.prod(shape, dtype=np.int64))
        if not count:
            raise ValueError(f"ops.vectorize: no elements in arrays of shapes {[v.shape for v in values.values()]}.")
        rows = {}
        for key, value in values.items():
            own = value.shape[len(loop_shape(key)) :]
            rows[key] = shapes.reshape(shapes.broadcast_to(value, (*shape, *own)), (count, *own))
        keys = list(rows)
        found = control_flow.map(lambda row: call(dict(zip(keys, row))), tuple(rows[key] for key in keys))
        return nest.map_structure(lambda leaf: shapes.reshape(leaf, (*shape, *leaf.shape[1:])), found)

    return wrapped


# ---- gradients -------------------------------------------------------------------------------------------------------


def custom_gradient(f):
    """A function whose gradient the user says.

    Args:
        f (callable): `f(*args)` -> (output, grad), where `grad(upstream)` gives the gradient of each argument, one or a
            tuple of them, by that of the output; of several outputs it gets so many. What `f` reads beside its
            arguments, weights say, has no gradient by it.

    Returns:
        A function that gives the output.

    Raises:
        TypeError: Symbolic tensors; call it inside of a layer of your own.
        ValueError: A `grad` that gives another number of gradients, or of other shapes.

    Example:
        >>> @ops.custom_gradient
        ... def rounded(x):
        ...     return ops.round(x), lambda upstream: upstream
        >>> fastseq.value_and_grad(lambda x: ops.sum(rounded(x)))(np.array([0.4, 1.7], np.float32))[1]
        array([1., 1.], dtype=float32)
    """

    @functools.wraps(f)
    def wrapped(*args):
        _no_symbols("custom_gradient", args)
        given = nest.flatten(list(args))
        p = builder_of(*given)
        if p is None:
            return f(*args)[0]
        first = len(p.steps)
        output, grad = f(*args)
        for step in p.steps[first:]:
            step["flat"] = True
        flat = [lift(p, np.asarray(leaf) if np.isscalar(leaf) else leaf) for leaf in nest.flatten(output)]
        found = []
        for number, leaf in enumerate(flat):
            result = view(leaf, leaf.shape, strides_of(leaf.shape), time=leaf.time)
            if p.steps:  # none are kept where only shapes are asked for
                rule = functools.partial(_by_the_user, grad, given, flat, number)
                p.steps[-1]["own_gradient"] = [leaf.slot for leaf in given if isinstance(leaf, Traced)], rule
            found.append(result)
        return _packed(output, found)

    return wrapped


def _by_the_user(grad, given, outputs, number, b, step):
    """The rule of output `number`: what `grad` gives where the other outputs have no gradient."""
    (written,) = ends_of(step)[1]
    own = Traced(b.p, b.of(written).reshaped(outputs[number].shape))
    upstream = [own if i == number else lift(b.p, np.zeros(out.shape, np.float32)) for i, out in enumerate(outputs)]
    found = grad(*upstream)
    found = list(found) if isinstance(found, (list, tuple)) else [found]
    if len(found) != len(given):
        raise ValueError(f"ops.custom_gradient: {len(found)} gradients for {len(given)} arguments.")
    for argument, gradient in zip(given, found):
        if gradient is None or not isinstance(argument, Traced) or argument.dtype != "float32":
            continue
        gradient = cast(lift(b.p, gradient), "float32")
        if gradient.shape != argument.shape:
            raise ValueError(
                f"ops.custom_gradient: a gradient of shape {gradient.shape} for an argument of shape {argument.shape}."
            )
        b.add(argument.slot, gradient.slot)


@documented(
    "Refused: fastseq takes gradients backwards alone. `fastseq.value_and_grad` gives those.",
    {"fun": "(callable): A function.", "primals": "(tuple): Its arguments.", "tangents": "(tuple): Where to.",
     "has_aux": "(bool, default False): Whether it gives more."},
    "Nothing.",
    "ops.jvp(ops.sin, (1.0,), (1.0,))\nTraceback (most recent call last):\n    ...\n"
    "fastseq.UnsupportedError: ops.jvp: fastseq takes gradients backwards alone; take fastseq.value_and_grad.",
    {"UnsupportedError": "Always."},
)  # fmt: skip
def jvp(fun, primals, tangents, has_aux=False):
    raise UnsupportedError("ops.jvp: fastseq takes gradients backwards alone; take fastseq.value_and_grad.")


# ---- dtypes ----------------------------------------------------------------------------------------------------------


@names_its_errors
@documented(
    "The name of the dtype of an array.",
    {"x": "(array): An array, a symbolic tensor, a weight, or what is traced."},
    "str.",
    "ops.dtype(np.zeros(2, 'float32'))\n'float32'",
    {"ValueError": "A dtype that Keras does not know."},
)
def dtype(x):
    return settings.standardize_dtype(x.dtype) if hasattr(x, "dtype") else dtype_of(x)
