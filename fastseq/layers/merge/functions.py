"""The merging layers as functions; see https://keras.io/api/layers/merging_layers/."""

from fastseq.layers.merge.merging import Add, Average, Maximum, Minimum, Multiply, Subtract


def add(inputs, **kwargs):
    """`Add(**kwargs)(inputs)`: the sum of the inputs.

    Args:
        inputs (list): Arrays or KerasTensors, as the layer takes them.
        **kwargs: Those of the layer.

    Returns:
        What the layer gives: an array, or a KerasTensor.

    Raises:
        ValueError: As `Add`.

    Example:
        >>> layers.add([np.ones((1, 2)), np.ones((1, 2))])
        array([[2., 2.]], dtype=float32)
    """
    return Add(**kwargs)(inputs)


def subtract(inputs, **kwargs):
    """`Subtract(**kwargs)(inputs)`: the first input less the second.

    Args:
        inputs (list): Arrays or KerasTensors, as the layer takes them.
        **kwargs: Those of the layer.

    Returns:
        What the layer gives: an array, or a KerasTensor.

    Raises:
        ValueError: As `Subtract`.

    Example:
        >>> layers.subtract([np.ones((1, 2)), np.ones((1, 2))])
        array([[0., 0.]], dtype=float32)
    """
    return Subtract(**kwargs)(inputs)


def multiply(inputs, **kwargs):
    """`Multiply(**kwargs)(inputs)`: the product of the inputs.

    Args:
        inputs (list): Arrays or KerasTensors, as the layer takes them.
        **kwargs: Those of the layer.

    Returns:
        What the layer gives: an array, or a KerasTensor.

    Raises:
        ValueError: As `Multiply`.

    Example:
        >>> layers.multiply([np.full((1, 2), 3.0), np.full((1, 2), 2.0)])
        array([[6., 6.]], dtype=float32)
    """
    return Multiply(**kwargs)(inputs)


def average(inputs, **kwargs):
    """`Average(**kwargs)(inputs)`: the mean of the inputs.

    Args:
        inputs (list): Arrays or KerasTensors, as the layer takes them.
        **kwargs: Those of the layer.

    Returns:
        What the layer gives: an array, or a KerasTensor.

    Raises:
        ValueError: As `Average`.

    Example:
        >>> layers.average([np.full((1, 2), 3.0), np.full((1, 2), 2.0)])
        array([[2.5, 2.5]], dtype=float32)
    """
    return Average(**kwargs)(inputs)


def maximum(inputs, **kwargs):
    """`Maximum(**kwargs)(inputs)`: the largest of the inputs, element by element.

    Args:
        inputs (list): Arrays or KerasTensors, as the layer takes them.
        **kwargs: Those of the layer.

    Returns:
        What the layer gives: an array, or a KerasTensor.

    Raises:
        ValueError: As `Maximum`.

    Example:
        >>> layers.maximum([np.full((1, 2), 3.0), np.full((1, 2), 2.0)])
        array([[3., 3.]], dtype=float32)
    """
    return Maximum(**kwargs)(inputs)


def minimum(inputs, **kwargs):
    """`Minimum(**kwargs)(inputs)`: the smallest of the inputs, element by element.

    Args:
        inputs (list): Arrays or KerasTensors, as the layer takes them.
        **kwargs: Those of the layer.

    Returns:
        What the layer gives: an array, or a KerasTensor.

    Raises:
        ValueError: As `Minimum`.

    Example:
        >>> layers.minimum([np.full((1, 2), 3.0), np.full((1, 2), 2.0)])
        array([[2., 2.]], dtype=float32)
    """
    return Minimum(**kwargs)(inputs)
