"""What a layer accepts as input; see https://keras.io/api/layers/base_layer/ (InputSpec)."""

from fastseq.tensors import nest


class InputSpec:
    """What a layer wants of an input; a layer puts one into its attribute `input_spec`. One spec stands for one tensor.

    Args:
        dtype (str, default None): Kept, and not checked.
        shape (tuple, default None): The whole shape, with None for any size; None checks none.
        ndim (int, default None): Number of dimensions; None is any.
        max_ndim (int, default None): Most dimensions; None is any.
        min_ndim (int, default None): Fewest dimensions; None is any.
        axes (dict, default None): Axis -> size. A size of None is any.
        name (str, default None): Kept, and not checked.

    Example:
        >>> layers.InputSpec(ndim=3, axes={-1: 8}).ndim
        3
    """

    def __init__(self, dtype=None, shape=None, ndim=None, max_ndim=None, min_ndim=None, axes=None, name=None):
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)
        self.ndim = len(shape) if shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        self.name = name

    def check(self, layer_name, inputs):
        """Whether inputs are as the layer wants them.

        Args:
            layer_name (str): What errors name.
            inputs (array, KerasTensor or nest): Of one array.

        Raises:
            ValueError: Another number of inputs, or one of another shape: it names the layer, what it got and wants.
        """
        leaves = nest.flatten(inputs)
        if len(leaves) != 1:
            raise ValueError(f"Layer '{layer_name}' takes 1 input, got {len(leaves)}.")
        if not hasattr(leaves[0], "shape"):
            raise ValueError(f"Layer '{layer_name}' takes an array, got {leaves[0]!r}.")
        shape = tuple(leaves[0].shape)
        ndim = len(shape)
        got = f"of layer '{layer_name}' is incompatible with the layer"
        if self.ndim is not None and ndim != self.ndim:
            raise ValueError(f"Input {got}: expected ndim={self.ndim}, found ndim={ndim}. Full shape received: {shape}")
        if self.min_ndim is not None and ndim < self.min_ndim:
            raise ValueError(
                f"Input {got}: expected min_ndim={self.min_ndim}, found ndim={ndim}. Full shape received: {shape}"
            )
        if self.max_ndim is not None and ndim > self.max_ndim:
            raise ValueError(
                f"Input {got}: expected max_ndim={self.max_ndim}, found ndim={ndim}. Full shape received: {shape}"
            )
        for axis, size in self.axes.items():
            if size is not None and shape[axis] not in (size, None):
                raise ValueError(
                    f"Input {got}: expected axis {axis} of input shape to have value {size}, "
                    f"but received input with shape {shape}"
                )
        for expected, size in zip(self.shape or (), shape):
            if None not in (expected, size) and expected != size:
                raise ValueError(f"Input {got}: expected shape={self.shape}, found shape={shape}")
