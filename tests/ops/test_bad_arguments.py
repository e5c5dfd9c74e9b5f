"""Every function of fastseq.ops, called with arguments that are none: each error names it, and none writes beyond."""

import inspect
import re

import numpy as np
import pytest

from fastseq import ops

_X = np.arange(6, dtype="f").reshape(2, 3) + 1
_IDS = np.array([[0, 1, 2], [1, 1, 0]])
_IMAGE = np.ones((1, 4, 4, 2), "f")
#: A call of each function that a 2 x 3 array in each place of a required argument is none of.
_CALLS = {
    "arange": (0, 3), "full": ((2, 2), 1.0), "zeros": ((2, 2),), "ones": ((2, 2),), "empty": ((2, 2),), "eye": (3,),
    "identity": (3,), "tri": (3,), "linspace": (0.0, 1.0, 5), "logspace": (0.0, 1.0, 5), "geomspace": (1.0, 2.0, 5),
    "one_hot": (_IDS, 3), "multi_hot": (_IDS, 3), "take": (_X, _IDS, 1), "take_along_axis": (_X, _IDS, 1),
    "hanning": (5,), "hamming": (5,), "bartlett": (5,), "blackman": (5,), "kaiser": (5, 1.0), "top_k": (_X, 2),
    "in_top_k": (np.array([0, 1]), _X, 1), "reshape": (_X, (3, 2)), "repeat": (_X, 2, 1), "tile": (_X, (1, 2)),
    "roll": (_X, 1, 1), "pad": (_X, ((1, 1), (0, 0))), "split": (_X, 3, 1), "array_split": (_X, 2, 1),
    "expand_dims": (_X, 0), "moveaxis": (_X, 0, 1), "swapaxes": (_X, 0, 1), "broadcast_to": (_X, (2, 2, 3)),
    "quantile": (_X, 0.5), "percentile": (_X, 50.0), "nanquantile": (_X, 0.5), "nanpercentile": (_X, 50.0),
    "cast": (_X, "int32"), "view": (_X, "int32"), "saturate_cast": (_X, "int32"), "get_item": (_X, 0),
    **dict.fromkeys(("segment_sum", "segment_max", "segment_min", "segment_prod"), (_X, np.array([0, 1]))),
    "bincount": (_IDS[0],), "digitize": (_X, np.array([1.0, 2.0])), "searchsorted": (np.array([1.0, 2.0]), _X),
    "argpartition": (_X, 1), "extract_sequences": (_X, 2, 1), "unravel_index": (_IDS, (2, 3)), "vander": (_X[0],),
    "max_pool": (_X[..., None], 2), "average_pool": (_X[..., None], 2), "moments": (_X, 1), "clip": (_X, 0.0, 1.0),
    "stft": (np.ones((2, 16), "f"), 8, 4, 8), "einsum": ("ij,kj->ik", _X, _X), "correlate": (_X[0], _X[0]),
    "matmul": (_X, _X.T), "dot": (_X, _X.T), "select": ([_X > 1], [_X]), "concatenate": ([_X, _X],),
    "stack": ([_X, _X],), "meshgrid": (_X[0], _X[0]), "unfold": (_IMAGE, 2), "diag": (_X[0],), "diagflat": (_X[0],),
}  # fmt: skip
_WRONG = ["a", None, 1.5, -3, 99, (5, 1.5), [[0]], object()]
# Another name of a function, whose name the errors have.
_ALIASES = {"swish": "silu", "hard_swish": "hard_silu", "abs": "absolute", "conj": "conjugate"}


def _calls(name):
    """Calls with one wrong argument each: (parameter, positional arguments, keyword arguments)."""
    parameters = list(inspect.signature(getattr(ops, name)).parameters.values())
    given = list(_CALLS.get(name, ())) or [
        _X for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD
    ]
    for at, parameter in enumerate(parameters):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        arrays = [np.array(["x"]), np.array([1j])] if at < len(given) and isinstance(given[at], np.ndarray) else []
        for value in _WRONG + arrays:
            if at < len(given):
                yield parameter.name, [*given[:at], value, *given[at + 1 :]], {}
            else:
                yield parameter.name, given, {parameter.name: value}


@pytest.mark.slow("7,000 wrong calls, 15 s")
@pytest.mark.parametrize("name", sorted(ops.__all__))
@pytest.mark.filterwarnings("ignore")
def test_an_error_names_the_function(name):
    raised = 0
    for parameter, args, kwargs in _calls(name):
        try:
            getattr(ops, name)(*args, **kwargs)
        except Exception as error:
            raised += 1
            shown = str(error)
            wanted = rf"ops\.{_ALIASES.get(name, name)}\b"
            assert re.search(wanted, shown), f"{parameter}: {args} {kwargs} -> {type(error).__name__}: {shown}"
            assert len(shown) < 1500
    assert raised or name in _TAKE_ALL, "an argument that is none is taken"


_TAKE_ALL = {"convert_to_numpy", "custom_gradient", "is_tensor", "ndim", "shape"}


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: ops.sum(_X, axis="a"), TypeError, r"^ops\.sum: an axis is an integer, got 'a' of type str\.$"),
    (lambda: ops.max(_X, axis=(0, 1.5)), TypeError, r"^ops\.max: an axis is an integer, got 1\.5 of type float\.$"),
    (lambda: ops.one_hot([1], None), TypeError, r"^ops\.one_hot: num_classes is an integer, got None of type NoneType"),
    (lambda: ops.one_hot([1], 2.5), TypeError, r"^ops\.one_hot: num_classes is an integer, got 2\.5"),
    (lambda: ops.logspace(0, 2, -3), ValueError, r"^ops\.logspace, by ops\.linspace: .*non-negative integer.*num=-3"),
    (lambda: ops.add(_X, "a"), TypeError, r"^ops\.add\(\) takes arrays of real numbers, got dtype <U1"),
    (lambda: ops.expand_dims(_X, "a"), TypeError, r"^ops\.expand_dims: "),
    (lambda: ops.quantile(_X, 0.5, method="foo"), ValueError, r"^ops\.quantile: .*foo"),
    (lambda: ops.zeros((2, 2), "foo"), ValueError, r"^ops\.zeros: Invalid dtype: foo\. It got .*dtype='foo', where"),
    (lambda: ops.kaiser(5, None), TypeError, r"^ops\.kaiser: .*beta=None, where it takes float\.$"),
])  # fmt: skip
def test_messages(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_errors_of_users_functions_stay_theirs():
    def fails(*args):
        raise ValueError("mine")

    for call in (
        lambda: ops.map(fails, _X), lambda: ops.scan(fails, 0, _X), lambda: ops.vectorize(fails)(_X),
        lambda: ops.associative_scan(fails, _X), lambda: ops.cond(True, fails, fails),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"^mine$"):
            call()


@pytest.mark.parametrize("function", [ops.diag, ops.diagflat, ops.eye, ops.tri, ops.tril, ops.triu, ops.rot90])
def test_half_a_diagonal_is_none(function):
    """`ops.diag(x, 1.5)` made an array of 4.5 x 4.5, beyond whose memory the kernel wrote."""
    args = (3,) if function in (ops.eye, ops.tri) else (_X[0] if function in (ops.diag, ops.diagflat) else _X,)
    with pytest.raises(TypeError, match=r"k is an integer, got 1\.5"):
        function(*args, k=1.5)
