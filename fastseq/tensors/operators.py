"""Python's operators and indexing on symbolic tensors and traced arrays: the functions of fastseq.ops."""

import importlib


def _function(name):
    # By its name: `ops` stands on a floor above, and a program without an operator does not pay for its import.
    return getattr(importlib.import_module("fastseq.ops"), name)


def _binary(name):
    def forward(self, other):
        return _function(name)(self, other)

    def backward(self, other):
        return _function(name)(other, self)

    return forward, backward


def _unary(name):
    def call(self):
        return _function(name)(self)

    return call


class Operators:
    """The operators that arrays have, as functions of fastseq.ops."""

    __slots__ = ()

    __add__, __radd__ = _binary("add")
    __sub__, __rsub__ = _binary("subtract")
    __mul__, __rmul__ = _binary("multiply")
    __truediv__, __rtruediv__ = _binary("true_divide")
    __floordiv__, __rfloordiv__ = _binary("floor_divide")
    __mod__, __rmod__ = _binary("mod")
    __pow__, __rpow__ = _binary("power")
    __matmul__, __rmatmul__ = _binary("matmul")
    __and__, __rand__ = _binary("logical_and")
    __or__, __ror__ = _binary("logical_or")
    __xor__, __rxor__ = _binary("logical_xor")
    __lt__, _ = _binary("less")
    __le__, _ = _binary("less_equal")
    __gt__, _ = _binary("greater")
    __ge__, _ = _binary("greater_equal")
    __ne__, _ = _binary("not_equal")
    __neg__ = _unary("negative")
    __abs__ = _unary("absolute")
    __invert__ = _unary("logical_not")
    __hash__ = object.__hash__

    def __getitem__(self, key):
        return _function("get_item")(self, key)

    def __round__(self, ndigits=None):
        return _function("round")(self, decimals=ndigits or 0)
