"""Copies of layers and models: copy.copy, copy.deepcopy and pickle. saving/copying.py says what they carry."""

import functools
import inspect

from fastseq.configs.lazy_names import at_home
from fastseq.tensors.copyable import Copyable

_UNNAMED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Copied(Copyable):
    """Mixed into `Layer`."""

    _build_builds = True  # whether a `build` that returns has always built

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        at_home(cls)  # here, since a base or an inner layer is made without a look-up of its name
        if "build" in vars(cls):
            cls.build = _noting(vars(cls)["build"])


def _noting(build):
    """`build`, which notes its shapes where nobody else does: a copy of a layer that was built by hand is built too.

    As in Keras the layer is `built` then, whether `build` says so or not: else the first call would build it again.
    """

    @functools.wraps(build)
    def noting(self, *args, **kwargs):
        unknown = getattr(self, "_build_shape", None) is None
        build(self, *args, **kwargs)
        if unknown:  # of a class and its base the class, which ends last
            self._build_shape = _shapes_of(build, self, *args, **kwargs)
        if self._build_builds and type(self).build is noting:  # not that of a base: the class may go on
            self._after_build()

    return noting


def _shapes_of(build, *args, **kwargs):
    """The shape that `build` got, or a dict of them by the arguments' names."""
    signature = inspect.signature(build)
    if any(parameter.kind in _UNNAMED for parameter in signature.parameters.values()):
        return None
    _, *shapes = signature.bind(*args, **kwargs).arguments.items()
    shapes = {name: shape for name, shape in shapes if shape is not None}
    return shapes if len(shapes) > 1 else next(iter(shapes.values()), None)
