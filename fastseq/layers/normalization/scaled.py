"""What layers that normalize share: gamma and beta, and which axes of an input they take."""

from fastseq import constraints, initializers, regularizers
from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.ops.values import Traced


class Normalizes(Layer):
    """Base of the layers that normalize over `axis`, an int or a list of them."""

    supports_masking = True

    def _axes(self):
        """The axes as a list."""
        return list(self.axis) if isinstance(self.axis, (list, tuple)) else [self.axis]

    def _check_axes(self, input_shape):
        """Raises ValueError for an axis that the input does not have."""
        for axis in self._axes():
            if not -len(input_shape) <= axis < len(input_shape):
                raise ValueError(
                    f"Layer '{self.name}' ({type(self).__name__}): axis {axis} is out of bounds for an input of shape "
                    f"{tuple(input_shape)}."
                )

    def _sizes(self, input_shape):
        """The sizes along the axes. Raises ValueError for one that is not there, or not known."""
        self._check_axes(input_shape)
        sizes = tuple(input_shape[axis] for axis in self._axes())
        if None in sizes:
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) has a weight for each place along axis {self.axis}, "
                f"whose size is not known in an input of shape {tuple(input_shape)}."
            )
        return sizes

    def compute_output_shape(self, input_shape):
        input_shape = super().compute_output_shape(input_shape)
        self._check_axes(input_shape)
        return input_shape

    def keeps_time(self, timed, shapes, arguments):
        if timed[0]:
            axes = {axis % len(shapes[0]) for axis in self._axes()}
            if 1 in axes:
                time_axis.refuse(self, f"it normalizes over the timesteps (axis={self.axis})")
            if 0 in axes:
                time_axis.refuse(self, f"it normalizes over the rows of the batch (axis={self.axis})")
        return timed[0]


class Scaled(Normalizes):
    """Base of those with a `gamma` and a `beta` that are learned."""

    def __init__(
        self, center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint,
        gamma_constraint, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma = self.beta = None
        self.autocast = False

    def _add_gamma_and_beta(self, shape, gamma, beta):
        """Makes them where `gamma` and `beta` say so."""
        if gamma:
            self.gamma = self.add_weight(
                shape, self.gamma_initializer, name="gamma", regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )  # fmt: skip
        if beta:
            self.beta = self.add_weight(
                shape, self.beta_initializer, name="beta", regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )  # fmt: skip

    def _config_of_weights(self, behind_scale=None, behind_initializers=None):
        """The entries of a config from `center` on, with what a layer has between them, as Keras orders them."""
        return {
            "center": self.center,
            "scale": self.scale,
            **(behind_scale or {}),
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            **(behind_initializers or {}),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }


def traced_weight(p, variable):
    """A weight as an array that operations take, None for none."""
    return None if variable is None else Traced(p, p.weight(variable))


def last_axes(axes, shape):
    """Whether the axes are the last ones of an array that holds something, in their order: then a row is one piece of
    memory, and its weights are laid out as it is."""
    found = [axis % len(shape) for axis in axes]
    return 0 not in shape and found == list(range(len(shape) - len(axes), len(shape)))


def checked_axis(who, axis):
    """An axis= argument, an int or a list of them. Raises TypeError for anything else."""
    several = isinstance(axis, (list, tuple))
    if not all(isinstance(one, int) for one in (axis if several else [axis])):
        raise TypeError(f"{who}: `axis` must be an int or a list of ints, got {axis!r}.")
    return list(axis) if several else axis
