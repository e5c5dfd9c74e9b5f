"""A model that reads a window, in two parts: recurrent layers, in which windows advance side by side, and the rest.

See src_c/decode/slide.c. The first part is what streams run: recurrent layers and what stands before them, timestep by
timestep. The rest gets the whole window's tokens, and what the recurrent layers gave at each of its timesteps.
"""

from fastseq.decoding.step import RowsPlan, builder_for, last_values
from fastseq.layers.walk import all_layers
from fastseq.program.program import Program
from fastseq.streaming.plan import Tracer, given_masks, output_is_timed, timed_tensors
from fastseq.tensors import nest
from fastseq.tensors.symbolic import KerasTensor

# What recurrent layers gave at all timesteps of all windows, which the rest wants to read.
_MOST_BYTES = 32 << 20


def sliding_plan(plans, model, graph, tokens, window):
    """The plan of the rest, with that of the first part in `sliding`; None for models that run as a whole."""
    cut = _Cut(graph)
    if not cut.fits:
        return None
    first = _FirstPart(plans, model, graph, cut, tokens, window)
    if first.masked or not (first.native and first.exact):
        return None
    if sum(size * window**2 for size, timed, _, _ in first.passed if timed) > _MOST_BYTES:
        return None
    return _Rest(plans, model, graph, cut, tokens, window, first)


class _Cut:
    """Which of a graph's calls are in the first part, and which of their results the rest reads.

    fits: whether all recurrent layers are in the first part, and there are some; timed: by id of a tensor, whether it
    has a value at every timestep.
    """

    def __init__(self, graph):
        (source,) = graph.inputs
        self.timed = timed = {id(source): True}
        recurrent = []
        for node in graph.steps:
            tensors = _tensors(node.arguments)
            if not all(id(tensor) in timed for tensor in tensors) or node.layer.call_graph is not None:
                continue
            if given_masks(node):
                continue
            try:
                made = output_is_timed(node, [timed[id(tensor)] for tensor in timed_tensors(node)])
            except ValueError:  # the call needs later timesteps, or all of them
                continue
            kinds = made if isinstance(made, list) else [made, *[False] * (len(node.output_tensors) - 1)]
            timed.update((id(tensor), kind) for tensor, kind in zip(node.output_tensors, kinds))
            if node.layer.memory == "states":  # what keeps inputs alone reads a window at once as well as in steps
                recurrent.append(node)
        self.first = _needed(graph.steps, [tensor for node in recurrent for tensor in node.output_tensors])
        made = {id(tensor): tensor for node in recurrent for tensor in node.output_tensors}
        self.rest = _needed(graph.steps, graph.outputs, made)
        read = [id(tensor) for node in self.rest for tensor in _tensors(node.arguments)]
        read += [id(tensor) for tensor in graph.outputs]
        self.passed = [(tensor, timed[number]) for number, tensor in made.items() if number in read]
        self.fits = bool(recurrent) and not any(_walks(node.layer) for node in self.rest)


def _tensors(arguments):
    return [leaf for leaf in nest.flatten(list(arguments.values())) if isinstance(leaf, KerasTensor)]


def _walks(layer):
    return any(part.memory == "states" for part in (layer, *all_layers(layer)))


def _needed(nodes, tensors, given=()):
    """The calls, in order, that make `tensors` out of those in `given`."""
    wanted, found = {id(tensor) for tensor in tensors} - set(given), []
    for node in reversed(nodes):
        if any(id(tensor) in wanted for tensor in node.output_tensors):
            found.append(node)
            wanted.update({id(tensor) for tensor in _tensors(node.arguments)} - set(given))
    return found[::-1]


class _FirstPart(RowsPlan):
    """`window` rows of one timestep. states: [(bytes of a row, input, result)], passed: [(bytes of a row, whether each
    timestep's counts, result, input of the rest)], by numbers of arrays; shapes: of what is passed, a row's."""

    def __init__(self, plans, model, graph, cut, tokens, window):
        def trace(rows):
            p = builder_for(plans, model)
            ids = p.input((rows, 1), "int32")
            tracer = Tracer(p)
            slots = {id(graph.inputs[0]): tokens.slot(p, ids, graph.inputs[0].name)}
            for node in cut.first:
                timed = [cut.timed[id(tensor)] for tensor in _tensors(node.arguments)]
                outputs = nest.flatten(tracer.call(node, graph.arguments(node, slots), "", timed))
                slots.update((id(tensor), slot) for tensor, slot in zip(node.output_tensors, outputs))
            before = [slot for memory in tracer.memories for slot in memory.first]
            after = [slot for memory in tracer.memories for slot in memory.last]
            passed = [p.float32(slots[id(tensor)]) for tensor, _ in cut.passed]
            self.masked = tracer.masked
            self.states = [(4 * slot.size // rows, 1 + i, 1 + len(before) + i) for i, slot in enumerate(before)]
            self.shapes = [slot.shape[-1:] for slot in passed]
            self.passed = [
                (4 * slot.size // rows, timed, 1 + 2 * len(before) + i, 1 + i)
                for i, (slot, (_, timed)) in enumerate(zip(passed, cut.passed))
            ]
            return Program(p, [ids, *before], [*after, *passed])

        super().__init__(trace, window)


class _Rest(RowsPlan):
    """The rest for one window: inputs (tokens, what is passed ...), one result, the values. See StepPlan."""

    def __init__(self, plans, model, graph, cut, tokens, window, first):
        def trace(rows):
            p = builder_for(plans, model)
            ids = p.input((rows, window), "int32")
            slots = {
                id(tensor): p.input((rows, *((window,) if timed else ()), *shape), "float32")
                for (tensor, timed), shape in zip(cut.passed, first.shapes)
            }
            inputs = [ids, *slots.values()]
            slots[id(graph.inputs[0])] = tokens.slot(p, ids, graph.inputs[0].name)
            for node in cut.rest:
                outputs = nest.flatten(node.trace(p, graph.arguments(node, slots)))
                slots.update((id(tensor), slot) for tensor, slot in zip(node.output_tensors, outputs))
            values, self.probabilities = last_values(p, [slots[id(graph.outputs[0])]], 0)
            self.vocabulary = values.shape[-1]
            return Program(p, inputs, [values])

        super().__init__(trace, 1)
        self.sliding = first
