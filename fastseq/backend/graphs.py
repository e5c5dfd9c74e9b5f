"""K.function of symbolic tensors."""

import importlib

from fastseq.tensors import nest


def function(inputs, outputs, updates=None, name=None):
    """A function of arrays that computes symbolic tensors from others.

    Args:
        inputs (list of KerasTensor): What the arrays stand for: inputs of a graph, or any of its tensors.
        outputs (KerasTensor, or list of them): What is computed.
        updates (list, default None): Keras 2 refuses any as well.
        name (str, default None): The name of the model that computes it.

    Returns:
        A function of a list of arrays. It returns a list of arrays, or an array where `outputs` is no list.

    Raises:
        ValueError: Updates, or outputs that do not follow from the inputs.

    Example:
        >>> x = layers.Input((3,))
        >>> f = backend.function([x], [backend.sum(x, axis=-1)])
        >>> f([np.ones((2, 3))])
        [array([3., 3.], dtype=float32)]
    """
    if updates:
        raise ValueError(f"`updates` argument is not supported during eager execution. You passed: {updates}")
    # The models stand above the backend, which only here has anything to do with them.
    model = importlib.import_module("fastseq.models").Model(inputs, outputs, name=name)

    def call(model_inputs):
        found = model(model_inputs)
        is_listed = isinstance(outputs, (list, tuple)) and not nest.is_nested(found)
        return [found] if is_listed else found

    return call
