"""Dense products of parts of an array, side by side in the result: what layers with several kernels are made of."""

from fastseq import activations
from fastseq.native.kinds import ACTIVATION_KINDS
from fastseq.program import gradient_rules

gradient_rules.register("dense", "gradients.products:dense_rule")


def dense_steps(p, x, y, products, rows, units, activation, softmax=False):
    """Adds a dense step for each of `products` and returns whether `activation` is done in them.

    x: (rows, n) float32, in any shape; y: room for (rows, len(products), units). products: (first, inputs, packed)
    each, the product of columns first ... first + inputs of x with weights as packing.pack_dense gives them.
    activation: one of single elements happens in the product's registers. softmax: so may one over the units, while a
    block of rows is in the caches, where they are the last axis of the result; any other row-wise one, and a user's
    function, is left to the caller.
    """
    spec = activations.native_spec(activation)
    over_units = softmax and spec is not None and spec[0] == "softmax"
    elementwise = spec is not None and ACTIVATION_KINDS[spec[0]] < ACTIVATION_KINDS["softmax"]
    if p.trains:
        # The backward pass needs the input of every activation except these; a loss may want the input of a softmax.
        over_units = False
        elementwise = spec in (("linear", ()), ("tanh", ()), ("exponential", ())) and len(products) == 1
    name, parameters = spec if elementwise else ("linear", ())
    p0, p1, p2 = [*parameters, 0.0, 0.0, 0.0][:3]
    for position, (first, inputs, packed) in enumerate(products):
        p.step(
            "dense", x=x.at(first), y=y.at(position * units), **packed, rows=rows, inputs=inputs, units=units,
            x_stride=x.size // rows if rows else 0, y_stride=len(products) * units,
            activation=ACTIVATION_KINDS[name], p0=p0, p1=p1, p2=p2, softmax=int(over_units),
        )  # fmt: skip
    return elementwise or over_units
