"""The steps of a Builder that are chains, each of one instruction until it is fused (chains.py, fusing.py)."""

import numpy as np

from fastseq.program import chains, gradient_rules
from fastseq.program.slots import Slot, strides_of

gradient_rules.register("elementwise", "gradients.chains:elementwise_rule")
gradient_rules.register("reduce", "gradients.chains:reduce_rule")


class DoNotBroadcast(ValueError):
    """Arrays whose shapes do not broadcast. name: what got them, the subject of the sentence."""

    def __init__(self, name, shapes):
        super().__init__(name, shapes)

    def __str__(self):
        name, shapes = self.args
        return f"{name} takes arrays that broadcast to one shape, got shapes {', '.join(map(str, shapes))}."


class ChainSteps:
    """Mixed into Builder."""

    def broadcast_shapes(self, *shapes):
        """NumPy's. Raises DoNotBroadcast."""
        try:
            return np.broadcast_shapes(*shapes)
        except ValueError:
            raise DoNotBroadcast("An operation", shapes) from None

    def elementwise(self, kind, *operands, dtype="float32"):
        """One operation of `CHAIN_KINDS` on each element, with NumPy's broadcasting: a new slot of `dtype`.

        operands: Slots, and plain numbers of the kind that the operation takes.
        """
        shape = self.broadcast_shapes(*(operand.shape for operand in operands if isinstance(operand, Slot)))
        inputs, numbers, places = chains.operands_of(shape, operands)
        result = self.new(shape, dtype)
        chain = chains.Chain(shape, inputs, numbers, [(kind, places)], [(0, result)])
        self.steps.append(chains.entry(chain, self.layer_name))
        return result

    def chain_activation(self, kind, x, parameters):
        """`x` through an activation of single elements, by its number, as an instruction of a chain: a new slot.

        parameters: its three numbers, floats.
        """
        result = self.new(x.shape)
        inputs = [(x, tuple(strides_of(x.shape)))]
        code = [("activation", (("x", 0), kind, ("p", 0)))]
        chain = chains.Chain(x.shape, inputs, list(parameters), code, [(0, result)])
        self.steps.append(chains.entry(chain, self.layer_name))
        return result

    def reduce(self, kind, x, axes, dtype="float32"):
        """The elements of `x` along `axes`, counted from 0, taken together by one of `REDUCE_KINDS`: a new slot."""
        result = self.new([size for axis, size in enumerate(x.shape) if axis not in axes], dtype)
        inputs = [(x, tuple(strides_of(x.shape)))]
        chain = chains.Chain(x.shape, inputs, [], [("copy", (("x", 0),))], [(0, result)], (kind, tuple(axes)))
        self.steps.append(chains.entry(chain, self.layer_name))
        return result

    def view(self, x, shape, strides, offset=0):
        """A new slot of `shape`, read from `x` at `strides` and from an element on, as a step that may be fused.

        Raises ValueError where it would read beyond the memory that `x` is in.
        """
        if 0 not in shape:
            reach = [(size - 1) * stride for size, stride in zip(shape, strides)]
            first = x.offset // x.itemsize + offset + sum(step for step in reach if step < 0)
            last = x.offset // x.itemsize + offset + sum(step for step in reach if step > 0)
            if first < 0 or (last + 1) * x.itemsize > x.buffer.nbytes:
                raise ValueError(
                    f"Shape {tuple(shape)} at strides {tuple(strides)} reaches beyond an array of {x.shape}."
                )
        result = self.new(shape, x.dtype)
        inputs = [(x.at(offset) if offset else x, tuple(strides))]
        chain = chains.Chain(shape, inputs, [], [("copy", (("x", 0),))], [(0, result)])
        self.steps.append(chains.entry(chain, self.layer_name))
        return result

    def write(self, x, target):
        """target = x, arrays of one shape; the step may be fused with the one that makes `x`."""
        chain = chains.Chain(x.shape, [(x, tuple(strides_of(x.shape)))], [], [("copy", (("x", 0),))], [(0, target)])
        self.steps.append(chains.entry(chain, self.layer_name))
