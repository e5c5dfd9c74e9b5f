"""A model as programs of few timesteps: which models that can be done with, and how their states go in and out.

A tensor is timed (axis 1 is time: it has a value at every timestep) or not (what a recurrent layer without
return_sequences leaves: its value at t is that of the sequence up to t). Every layer call is checked to make what it
makes at t out of what it got up to t, and is then traced on the timesteps of one call alone; only layers with a memory
know of what was before: recurrent ones of their states, convolutions of their last inputs.
"""

import numpy as np

from fastseq.layers import traced_calls
from fastseq.layers.time_axis import refuse
from fastseq.layers.walk import all_layers
from fastseq.native import runtime
from fastseq.program.builder import Builder
from fastseq.program.kept_programs import KeptPrograms
from fastseq.program.program import Program
from fastseq.streaming import _stream
from fastseq.tensors import nest
from fastseq.tensors.symbolic import KerasTensor

_MOST_PROGRAMS = 64  # of one model: one for each batch size of its streams and pools, and each length of chunk
# Multiply-adds in one native call of a chunk: 0.3 s in plain C, 20 ms with AVX-512. 1,000 rows of a GRU(128) then take
# 2% longer than in one call, at 0.5e9 14%.
_MOST_WORK = 1.5e9


class Memory:
    """What one call of a layer keeps from timestep to timestep, as inputs and outputs of a program: see Builder.states.

    kind: the layer's `memory`, "states" or "inputs"; timesteps: how many a stream has at most, None where nobody said;
    start: arrays of what is kept before the first timestep; first,
    last: slots of what a program starts from and leaves.
    """

    def __init__(self, name, kind, timesteps=None):
        self.name, self.kind, self.timesteps = name, kind, timesteps
        self.start = self.first = self.last = None

    def begin(self, p, start):
        """(first, last) for states that are `start` at first."""
        self.start = [np.ascontiguousarray(array, np.float32) for array in start]
        self.first = [p.input(array.shape, "float32") for array in start]
        self.last = [p.new(array.shape) for array in start]
        return self.first, self.last

    def end(self, layer_name, last):
        """Takes other slots for `last`. Raises ValueError where one has another shape than its state began with."""
        for slot, array in zip(last, self.start):
            if slot.shape != array.shape:
                raise ValueError(
                    f"Layer '{layer_name}': its cell takes a state of shape {array.shape} and gave one of {slot.shape}."
                )
        self.last = last

    def initial(self, p, count, shape):
        """`first` for states that are zeros at first."""
        return self.begin(p, [np.zeros(shape, np.float32)] * count)[0]

    def final(self, p, count, shape):
        return self.last


class Plan:
    """A program of `time` timesteps and what goes into it: the model's inputs, then the states; its results likewise.

    inputs, outputs: (shape, dtype name) as the program has them; timed: for each output, whether axis 1 is time;
    states: [(name, kind, [shape, ...])] of the layers with a memory in the order of their calls; start: arrays of what
    they all keep before the first timestep; chunks: whether one with more timesteps gives all that the single ones
    give; most_timesteps: how many take well below a second on any machine.
    """

    def __init__(self, model, plans, batch, time, timesteps=None):
        builder = Builder(plans)
        builder.use(model)
        for layer in all_layers(model):
            builder.use(layer)  # a layer that is never traced too, as a Sequential in a model
        graph = _graph(model)
        inputs = [_input_slot(builder, graph, i, batch, time) for i in range(len(graph.inputs))]
        known = [tensor.shape[1] for tensor in graph.inputs if tensor.shape[1] is not None]
        tracer = Tracer(builder, timesteps or (min(known) if known else None))
        outputs, self.timed = tracer.run(model, inputs, [True] * len(inputs), "")
        first = [slot for memory in tracer.memories for slot in memory.first]
        last = [slot for memory in tracer.memories for slot in memory.last]
        self.inputs = [(slot.shape, slot.dtype) for slot in inputs]
        self.outputs = [(slot.shape, slot.dtype) for slot in outputs]
        self.states = [(memory.name, memory.kind, [slot.shape for slot in memory.first]) for memory in tracer.memories]
        self.start = [array for memory in tracer.memories for array in memory.start]
        self.chunks = all(self.timed) and not tracer.masked
        self.program = Program(builder, inputs + first, outputs + last)
        # Steps in Python count as nothing: there Ctrl-C works without help.
        self.most_timesteps = max(1, int(_MOST_WORK * time / max(1, self.program.work())))


class Plans(KeptPrograms, _stream.Epoch):
    """The plans of one model, shared by its streams. Cleared when a weight changes, as a ProgramCache."""

    def __init__(self):
        super().__init__(_MOST_PROGRAMS)

    def plan(self, model, batch, time, timesteps=None):
        """(the Plan, the epoch it belongs to). timesteps: the most of a stream; None is what the input's shape says."""
        key = batch, time, timesteps, runtime.active_isa()
        return self.find(key, lambda: Plan(model, self, batch, time, timesteps))


def plans_of(model):
    """The model's Plans. Raises ValueError where the model is no graph of layers."""
    _graph(model)
    return model.__dict__.setdefault("_stream_plans", Plans())


def _graph(model):
    graph = model.call_graph
    if graph is None and model._is_python and hasattr(model, "_symbolic_graph"):
        return model._symbolic_graph()
    if graph is None:
        unbuilt = not model.built and not model._is_python
        raise ValueError(
            f"Model '{model.name}' ({type(model).__name__}) cannot run in a stream: "
            + ("it is not built yet." if unbuilt else "it is no Sequential or functional model.")
        )
    return graph


def _input_slot(builder, graph, position, batch, time):
    """A slot for `time` timesteps of an input of the model."""
    tensor = graph.inputs[position]
    if len(tensor.shape) < 2 or None in tensor.shape[2:]:
        raise ValueError(
            f"Input '{tensor.name}' cannot be streamed: it needs a time axis and known sizes behind it, its shape is "
            f"{tensor.shape}."
        )
    return builder.input((batch, time, *tensor.shape[2:]), graph.input_dtypes[position])


class Tracer:
    """Adds a model's layer calls to a builder. timesteps: of the whole stream, at most; memories: of the layers that
    have one; masked: whether one that keeps states had a mask."""

    def __init__(self, builder, timesteps=None):
        self.builder, self.timesteps = builder, timesteps
        self.memories = []
        self.masked = False

    def run(self, model, inputs, timed, path):
        """(Slots of the outputs, whether each is timed), flat lists, for those of the inputs."""
        graph = _graph(model)
        slots, kinds = {}, {}
        for tensor, slot, dtype, kind in zip(graph.inputs, inputs, graph.input_dtypes, timed):
            slots[id(tensor)], kinds[id(tensor)] = self.builder.cast(slot, dtype), kind
        for node in graph.steps:
            layer = node.layer
            first = next(iter(node.arguments.values()))
            if layer.call_graph is not None:
                given = [id(t) for t in nest.flatten(layer.call_graph.arrange(first, layer.name))]
                if not all(number in slots for number in given):
                    refuse(layer, "its inputs have other ranks than it was made for")
                path_inside = f"{path}{layer.name}/"
                tensors = [slots[n] for n in given]
                if node.mask_rules.refuse_mask(node.arguments):
                    tensors = [slot.with_mask(None) for slot in tensors]
                outputs, made = self.run(layer, tensors, [kinds[n] for n in given], path_inside)
            else:
                if given_masks(node, graph.implied.get(node)):
                    refuse(layer, "a mask is given to its call; streams follow the masks that layers hand on")
                timed = [kinds[id(t)] for t in timed_tensors(node)]
                made = output_is_timed(node, timed)
                outputs = nest.flatten(self.call(node, graph.arguments(node, slots), path, timed))
                made = made if isinstance(made, list) else [made, *[False] * (len(outputs) - 1)]
            for tensor, slot, kind in zip(node.output_tensors, outputs, made):
                slots[id(tensor)], kinds[id(tensor)] = slot, kind
        return [slots[id(t)] for t in graph.outputs], [kinds[id(t)] for t in graph.outputs]

    def call(self, node, arguments, path, timed):
        """The outputs of one layer call, for arguments with Slots; timed: of each tensor of the first argument."""
        p, layer = self.builder, node.layer
        if layer.memory is None or not any(timed):  # what has no time axis any more is whole in each call
            return node.trace(p, arguments)
        name, calls = path + layer.name, sum(memory.name.split("#")[0] == path + layer.name for memory in self.memories)
        if calls and getattr(layer, "stateful", False):
            refuse(layer, "it keeps states and is called again, which goes on from where its whole first call ended")
        memory = p.states = Memory(f"{name}#{calls + 1}" if calls else name, layer.memory, self.timesteps)
        self.memories.append(memory)
        # A masked timestep keeps the states and repeats the last output. What is kept of the inputs goes on through it.
        masks = layer.memory == "states" and not node.mask_rules.refuse_mask(node.arguments)
        mask = next(iter(arguments.values())).mask if masks else None
        if mask is not None and mask.shape[2:] not in ((), (1,)):
            refuse(layer, f"its mask of shape {mask.shape} has more than one value for a timestep")
        try:
            outputs = node.trace(p, arguments)
        finally:
            p.states = None
        if mask is None:
            return outputs
        self.masked = True
        last = layer.last_output(memory)
        if last is None:
            return outputs
        # A masked step repeats the last output, where the layer's first step would give zeros.
        y, *rest = nest.flatten(outputs)
        tail = (1,) * (len(y.shape) - 1)
        kept = p.select(mask.reshaped((y.shape[0], *tail)), y, last.reshaped(y.shape))
        return [kept.with_mask(y.mask), *rest]


def given_masks(node, implied=None):
    """Names of the masks that a symbolic call was given, but for `implied`, which the layers hand on themselves."""
    return [
        name
        for name, value in node.arguments.items()
        if value is not None
        and not isinstance(value, bool)  # as use_causal_mask is
        and name != implied
        and (name == "mask" or name.endswith("_mask"))
    ]


def timed_tensors(node):
    """The tensors of a call whose time axes decide over that of its output."""
    given = [value for name, value in node.arguments.items() if name != "mask" and not name.endswith("_mask")]
    given = given if node.layer.reads_all_alike or node.layer._is_python else given[:1]
    return [leaf for leaf in nest.flatten(given) if isinstance(leaf, KerasTensor)]


def output_is_timed(node, timed):
    """Whether the first output of a call is timed, where its `timed_tensors` are as `timed` says; or a list of it for
    all outputs.

    Raises ValueError where a timestep of it depends on later ones.
    """
    layer = node.layer
    shapes = [tuple(tensor.shape) for tensor in timed_tensors(node)]
    if layer._is_python:
        made = traced_calls.keeps_time(layer, timed, shapes, node.arguments)
        if made is not None:
            return made
        refuse(layer, "what a class of your own does with the timesteps is not known; TimeDistributed runs it on each")
    return layer.keeps_time(timed, shapes, node.arguments)
