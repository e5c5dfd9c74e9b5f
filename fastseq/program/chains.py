"""Chains: elementwise operations over one shape as one step, and what is reduced of them (src_c/kernels/chain_inl.h).

An operation is emitted as a chain of one instruction, which has a gradient rule. When the program is complete,
`fuse` makes chains of several where one reads what another gives (program/fusing.py), and `finish` writes the step's
arguments.
"""

import numpy as np

from fastseq.native.kinds import CHAIN_INPUTS, CHAIN_KINDS, CHAIN_REGISTERS, REDUCE_KINDS
from fastseq.program.slots import Slot, padded, strides_over


class Chain:
    """What one step computes.

    shape: sizes that it runs over; inputs: pairs (Slot, strides in elements over `shape`); numbers: float32 or int32
    values that every element meets; code: pairs (name of the operation, operands), an operand being ("x", i) for an
    input, ("n", i) for a number, ("t", i) for the result of an instruction, ("p", i) for the place of a number, or a
    plain int for what an activation is told; results: pairs (index of an instruction, Slot that it is written to).
    reduction: None, or (kind, the axes of `shape` that it takes together), and then `results` has one pair, with the
    Slot of what is left.
    """

    __slots__ = ("code", "inputs", "numbers", "reduction", "results", "shape")

    def __init__(self, shape, inputs, numbers, code, results, reduction=None):
        self.shape = tuple(shape)
        self.inputs = inputs
        self.numbers = numbers
        self.code = code
        self.results = results
        self.reduction = reduction

    def registers(self):
        """(how many registers it takes, the register of every instruction): one is used again once nobody reads it.

        That of a result is its memory, which may be an input's too, so nothing else is written to it.
        """
        last, results = {}, {index for index, _ in self.results}
        for at, (_, operands) in enumerate(self.code):
            for operand in operands:
                if type(operand) is tuple and operand[0] == "t":
                    last[operand[1]] = at
        for index in results:
            last[index] = len(self.code)
        first = len(self.inputs) + len(self.numbers)
        free, count, found = [], first, []
        for at, (_, operands) in enumerate(self.code):
            if free and at not in results:
                found.append(free.pop())
            else:
                found.append(count)
                count += 1
            ended = {operand[1] for operand in operands if type(operand) is tuple and operand[0] == "t"}
            free += [found[index] for index in ended if last[index] == at]
            if last.get(at, at) == at and at not in ended:
                free.append(found[at])
        return count, found

    def fits(self):
        """Whether the kernel takes it."""
        return (
            len(self.inputs) <= CHAIN_INPUTS and self.registers()[0] <= CHAIN_REGISTERS and len(self._merged()[0]) <= 5
        )

    def _merged(self):
        """(sizes, strides of each input, bits of the sizes that are reduced), with dimensions that belong together
        merged. Where something is reduced, the last axis stays what it is, even if its size is 1."""
        reduced = () if self.reduction is None else self.reduction[1]
        sizes, strides, bits = [], [], []
        last = len(self.shape) - 1
        all_strides = list(zip(*[own for _, own in self.inputs])) if self.inputs else [()] * len(self.shape)
        for axis, (size, own) in enumerate(zip(self.shape, all_strides)):
            kept_for_order = self.reduction is not None and axis == last
            if size == 1 and not kept_for_order:
                continue
            bit = axis in reduced
            joins = sizes and bits[-1] == bit and all(b == a * size for b, a in zip(strides[-1], own))
            if joins and not (kept_for_order and size == 1):
                sizes[-1] *= size
                strides[-1] = own
            elif sizes and kept_for_order and size == 1 and bits[-1] == bit:
                continue  # beside another axis of its kind it changes nothing
            else:
                sizes.append(size)
                strides.append(own)
                bits.append(bit)
        return sizes, strides, bits

    def _numbers(self):
        """The numbers as float32, the bits of integers among them."""
        values = np.zeros(max(len(self.numbers), 1), np.float32)
        for i, number in enumerate(self.numbers):
            if isinstance(number, (bool, int, np.integer, np.bool_)):
                values.view(np.int32)[i] = number
            else:
                values[i] = number
        return values

    def _code(self, registers):
        first = len(self.inputs)
        places = {"x": lambda i: i, "n": lambda i: first + i, "t": lambda i: registers[i], "p": lambda i: i}
        rows = []
        for at, (name, operands) in enumerate(self.code):
            found = [places[o[0]](o[1]) if type(o) is tuple else o for o in operands]
            rows.append([CHAIN_KINDS[name], registers[at], *found, 0, 0, 0][:5])
        rows += [[0, registers[index], 0, 0, 0] for index, _ in self.results]
        return np.array(rows, np.int32)

    def fields(self):
        """The arguments of the step, by the names of src_c/abi/ops_chains.h, as `Builder.step` takes them."""
        sizes, strides, bits = self._merged()
        if len(sizes) > 5:
            raise ValueError(
                f"An operation over {self.shape} takes {len(sizes)} dimensions in this order, 5 are known."
            )
        _, registers = self.registers()
        found = {
            "code": self._code(registers), "numbers": self._numbers(), "instructions": len(self.code),
            "inputs": len(self.inputs), "number_count": len(self.numbers),
            "bytes_in": sum(1 << i for i, (slot, _) in enumerate(self.inputs) if slot.dtype == "bool"),
        }  # fmt: skip
        for d, size in enumerate(padded(sizes, 1)):
            found[f"n{d}"] = size
        for i in range(CHAIN_INPUTS):
            own = [s[i] for s in strides] if i < len(self.inputs) else []
            found[f"x{i}"] = self.inputs[i][0] if i < len(self.inputs) else None
            for d, stride in enumerate(padded(own, 0)):
                found[f"s{i}{d}"] = stride
        if self.reduction is None:
            for i in range(4):
                found[f"y{i}"] = self.results[i][1] if i < len(self.results) else None
            found["outputs"] = len(self.results)
            found["bytes_out"] = sum(1 << i for i, (_, slot) in enumerate(self.results) if slot.dtype == "bool")
            return found
        kind, axes = self.reduction
        ((_, y),) = self.results
        found["y"], found["kind"] = y, REDUCE_KINDS[kind]
        found["reduced"] = sum(1 << d for d, bit in enumerate([False] * (5 - len(bits)) + bits) if bit)
        found["last"] = int(len(self.shape) - 1 in axes)
        found["bool_out"] = int(y.dtype == "bool")
        return found

    def slots(self):
        """The fields that hold Slots."""
        found = {f"x{i}": slot for i, (slot, _) in enumerate(self.inputs)}
        names = ("y0", "y1", "y2", "y3") if self.reduction is None else ("y",)
        return found | dict(zip(names, (slot for _, slot in self.results)))


def operands_of(shape, values):
    """(inputs, numbers, operands) of a chain over `shape` that reads `values`, Slots and plain numbers."""
    inputs, numbers, operands = [], [], []
    for value in values:
        if isinstance(value, Slot):
            own = (1,) * (len(shape) - len(value.shape)) + value.shape
            strides = strides_over(own)
            operands.append(("x", len(inputs)))
            inputs.append((value, tuple(strides)))
        else:
            operands.append(("n", len(numbers)))
            numbers.append(value)
    return inputs, numbers, tuple(operands)


def entry(chain, name):
    """The step of a chain, its arguments still to be finished."""
    op = "elementwise" if chain.reduction is None else "reduce"
    return {"op": op, "fields": chain.slots(), "failure": None, "with_next": False, "name": name, "chain": chain}


def finish(steps):
    """Writes the arguments of all chains among `steps`."""
    for step in steps:
        if "chain" in step:
            step["fields"] = step["chain"].fields()
