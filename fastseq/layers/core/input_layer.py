"""Input: where a functional model starts. https://keras.io/api/layers/core_layers/input/"""

import numpy as np

from fastseq.configs import policies
from fastseq.layers.base import Layer
from fastseq.tensors.symbolic import KerasTensor, Node


class InputLayer(Layer):
    """The layer behind an `Input`. It computes nothing and holds the shape and dtype of one input.

    Args:
        shape (tuple, default None): Sizes without the batch; None in it stands for an unknown size.
        batch_size (int, default None): The batch's size; None where it is unknown.
        dtype (str, default None): None is float32. Floats are computed in float32, integers in int32, booleans stay.
        sparse (bool, default None): True raises.
        ragged (bool, default None): True raises.
        batch_shape (tuple, default None): Sizes with the batch, in the place of `shape` and `batch_size`.
        input_tensor (KerasTensor, default None): A tensor that is there already, whose shape and dtype it has.
        optional (bool, default False): True raises.
        name (str, default None): The layer's and the tensor's name; None makes one.
        **kwargs: `input_shape` and `batch_input_shape`, which mean shape and batch_shape in Keras 2, and `trainable`.

    Raises:
        ValueError: A missing or doubled shape, sizes that are no positive integers, a tensor that contradicts the
            arguments, sparse, ragged or optional inputs, and dtypes that are no numbers.

    Example:
        >>> layers.InputLayer((None, 8), name="x").batch_shape
        (None, None, 8)
    """

    def __init__(
        self, shape=None, batch_size=None, dtype=None, sparse=None, ragged=None, batch_shape=None, input_tensor=None,
        optional=False, name=None, **kwargs,
    ):  # fmt: skip
        shape = kwargs.pop("input_shape", shape)
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
        super().__init__(name=name, trainable=kwargs.pop("trainable", True), **kwargs)
        who = f"Input '{self.name}'"
        for option, value in (("sparse", sparse), ("ragged", ragged), ("optional", optional)):
            if value:
                raise ValueError(f"{who}: {option}={value!r} is not supported, fastseq takes dense arrays.")
        if input_tensor is not None:
            shape, batch_shape, dtype = self._of_tensor(input_tensor, who, shape, batch_size, batch_shape, dtype)
            batch_size = None
        if shape is not None and batch_shape is not None:
            raise ValueError(f"{who}: you cannot pass both `shape` and `batch_shape` at the same time.")
        if batch_size is not None and batch_shape is not None:
            raise ValueError(f"{who}: you cannot pass both `batch_size` and `batch_shape` at the same time.")
        if shape is None and batch_shape is None:
            raise ValueError(f"{who}: you must pass a `shape` argument.")
        self.batch_shape = (
            (_size(batch_size, who), *_shape(shape, who)) if batch_shape is None else _shape(batch_shape, who)
        )
        self._given_dtype, self._kind = _dtype(dtype, who)
        policies.note_input(self._given_dtype)
        self.optional = False
        self.built = True
        Node(self, {}, KerasTensor(self.batch_shape, self._kind, name=name) if input_tensor is None else input_tensor)

    @staticmethod
    def _of_tensor(tensor, who, shape, batch_size, batch_shape, dtype):
        if not isinstance(tensor, KerasTensor):
            raise ValueError(f"{who}: `tensor` must be a KerasTensor, got a {type(tensor).__name__}.")
        given = {
            "shape": (shape, tensor.shape[1:]),
            "batch_size": (batch_size, tensor.shape[0] if tensor.shape else None),
            "batch_shape": (batch_shape, tensor.shape),
            "dtype": (dtype, tensor.dtype),
        }
        for name, (wanted, found) in given.items():
            if wanted is not None and (tuple(wanted) if isinstance(wanted, list) else wanted) != found:
                raise ValueError(f"{who}: `{name}`={wanted} does not go with the given `tensor`, which has {found}.")
        return None, tensor.shape, tensor.dtype

    @property
    def dtype(self):
        return self._kind

    def emit(self, p, inputs):
        """An input given to the layer itself passes through."""
        return inputs

    def get_config(self):
        return {
            "batch_shape": self.batch_shape,
            "dtype": self._given_dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
            "optional": False,
        }


def _size(size, who):
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 0:
        raise ValueError(f"{who}: a shape holds sizes (integers from 0) and None, got {size!r}.")
    return int(size)


def _shape(shape, who):
    if not isinstance(shape, (list, tuple)):
        raise ValueError(f"{who}: a shape is a tuple of sizes, got {shape!r}.")
    return tuple(_size(size, who) for size in shape)


def _dtype(dtype, who):
    """(the name as given, the type of the values here: float32, int32 or bool)."""
    if isinstance(dtype, dict):
        dtype = dtype.get("config", {}).get("name")
    dtype = getattr(dtype, "name", dtype)
    if dtype is None:
        return "float32", "float32"
    if dtype == "bfloat16":
        return dtype, "float32"
    try:
        dtype = np.dtype(dtype)
    except TypeError:
        dtype = np.dtype(object)
    kind = {"f": "float32", "i": "int32", "u": "int32", "b": "bool"}.get(dtype.kind)
    if kind is None:
        raise ValueError(f"{who}: inputs are real numbers or booleans, got dtype={dtype}.")
    return dtype.name, kind


def Input(
    shape=None, batch_size=None, dtype=None, sparse=None, ragged=None, batch_shape=None, name=None, tensor=None,
    optional=False,
):  # fmt: skip
    """A symbolic tensor to build a functional model from.

    Args:
        shape (tuple, default None): Sizes without the batch; None in it stands for an unknown size.
        batch_size (int, default None): The batch's size; None where it is unknown.
        dtype (str, default None): None is float32. Floats are computed in float32, integers in int32, booleans stay.
        sparse (bool, default None): True raises.
        ragged (bool, default None): True raises.
        batch_shape (tuple, default None): Sizes with the batch, in the place of `shape` and `batch_size`.
        name (str, default None): The tensor's name, which a dict of inputs has as key; None makes one.
        tensor (KerasTensor, default None): A tensor that is there already, whose shape and dtype the input has.
        optional (bool, default False): True raises.

    Returns:
        A KerasTensor of shape (batch_size, *shape), or `tensor` itself as the output of a new InputLayer.

    Raises:
        ValueError: As `InputLayer`.

    Example:
        >>> x = fastseq.Input((None, 8))
        >>> fastseq.Model(x, layers.GRU(4)(x)).output_shape
        (None, 4)
    """
    layer = InputLayer(
        shape=shape, batch_size=batch_size, dtype=dtype, sparse=sparse, ragged=ragged, batch_shape=batch_shape,
        input_tensor=tensor, optional=optional, name=name,
    )  # fmt: skip
    return layer._inbound_nodes[0].outputs
