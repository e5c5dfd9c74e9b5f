"""What layers make of the time axis, which decides whether a model can run timestep by timestep.

`Layer.keeps_time(timed, shapes, arguments)` says it; a class takes one of the functions here, or has its own.

Args:
    timed (list of bool): For each tensor of the call's first argument, whether its axis 1 is time.
    shapes (list of tuple): Their shapes, batch first; None stands for an unknown size.
    arguments (dict): The arguments of the symbolic call.

Returns:
    bool: Whether axis 1 of the first output is time: then a timestep of it depends on that timestep of the inputs, and
    on earlier ones where the layer has a memory.

Raises:
    ValueError: From `refuse`, where a timestep of the output depends on later ones.
"""


def refuse(layer, reason):
    """Raises the ValueError for a layer that cannot run timestep by timestep."""
    raise ValueError(f"Layer '{layer.name}' ({type(layer).__name__}) cannot run in a stream: {reason}.")


def by_value(layer, timed, shapes, arguments):
    """Each value is computed from one value."""
    return timed[0]


def by_row(layer, timed, shapes, arguments):
    """Each row along the last axis is computed from one row."""
    if timed[0] and len(shapes[0]) < 3:
        refuse(layer, f"it works along the last axis of its input of shape {shapes[0]}, which is time")
    return timed[0]


def whole_sequence(reason):
    """A function for layers that need all timesteps for one; `reason` says what they do with them."""

    def keeps_time(layer, timed, shapes, arguments):
        if timed[0]:
            refuse(layer, reason)
        return False

    return keeps_time


def needs_time(layer, timed, shapes):
    """Raises ValueError where the input has no time axis any more."""
    if not timed[0]:
        refuse(layer, f"its input of shape {shapes[0]} has no time axis any more")
