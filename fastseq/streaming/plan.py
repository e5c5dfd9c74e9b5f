"""A model as programs of few timesteps: which models that can be done with, and how their states go in and out.

A tensor is timed (axis 1 is time: it has a value at every timestep) or not (what a recurrent layer without
return_sequences leaves: its value at t is that of the sequence up to t). Every layer call is checked to make what it
makes at t out of what it got up to t, and is then traced on the timesteps of one call alone; only recurrent layers know
of what was before.
"""

import threading

import numpy as np

from fastseq import layers
from fastseq.layers.core.einsum_dense import _Terms
from fastseq.layers.mask_operations import MaskOperation
from fastseq.layers.merge.merging import Merge
from fastseq.layers.noise.dropout import Noise
from fastseq.layers.recurrent.over_time import OverTime, Recurrent
from fastseq.models.functional import Functional
from fastseq.models.model import all_layers
from fastseq.models.sequential import Sequential
from fastseq.native import runtime
from fastseq.program.builder import Builder
from fastseq.program.program import Program
from fastseq.program.slots import Slot
from fastseq.streaming import _stream
from fastseq.tensors import nest
from fastseq.tensors.symbolic import KerasTensor

_MOST_PROGRAMS = 64  # of one model, those used last: batch sizes of its streams and pools, lengths of chunks
# Operations in one native call of a chunk: 0.3 s in plain C, 20 ms with AVX-512. 1,000 rows of a GRU(128) then take 2%
# longer than in one call, at 1e9 14%.
_MOST_WORK = 3e9

# Layers that treat every value by itself, and those that work along the last axis.
_BY_VALUE = (Noise, layers.ActivityRegularization, layers.ELU, layers.Identity, layers.LeakyReLU, layers.ReLU)
_BY_ROW = (
    layers.Activation, layers.Dense, layers.EinsumDense, layers.Masking, layers.PReLU, layers.Softmax
)  # fmt: skip
_WHOLE_SEQUENCE = {
    "Bidirectional": "its backward half starts at the last timestep",
    "Dot": "it multiplies over the timesteps",
    "Flatten": "it puts all timesteps into one row",
    "LocallyConnected1D": "it has weights of its own for every timestep",
    "Permute": "it moves the time axis",
    "Reshape": "it may mix timesteps",
}


class Memory:
    """The states of one call of a recurrent layer, as inputs and outputs of a program: see Builder.states.

    start: arrays of what they are before the first timestep; first, last: slots of what a program starts from and
    leaves.
    """

    def __init__(self, name):
        self.name = name
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
    states: [(name, [shape, ...])] of the recurrent layers in the order of their calls; start: arrays of what they all
    are before the first timestep; chunks: whether one with more timesteps gives all that the single ones give;
    most_timesteps: how many take well below a second on any machine.
    """

    def __init__(self, model, plans, batch, time):
        builder = Builder(plans)
        builder.use(model)
        for layer in all_layers(model):
            builder.use(layer)  # also one that is never traced, as a Sequential in a model
        graph = _graph(model)
        inputs = [_input_slot(builder, graph, i, batch, time) for i in range(len(graph.inputs))]
        tracer = Tracer(builder)
        outputs, self.timed = tracer.run(model, inputs, [True] * len(inputs), "")
        first = [slot for memory in tracer.memories for slot in memory.first]
        last = [slot for memory in tracer.memories for slot in memory.last]
        self.inputs = [(slot.shape, slot.dtype) for slot in inputs]
        self.outputs = [(slot.shape, slot.dtype) for slot in outputs]
        self.states = [(memory.name, [slot.shape for slot in memory.first]) for memory in tracer.memories]
        self.start = [array for memory in tracer.memories for array in memory.start]
        self.chunks = all(self.timed) and not tracer.masked
        self.most_timesteps = max(1, int(_MOST_WORK * time / max(1, sum(map(_work, builder.steps)))))
        self.program = Program(builder, inputs + first, outputs + last)


def _work(step):
    """About how many operations a step of a Builder does; none in Python, where Ctrl-C works without help."""
    fields = step.get("fields", {})
    if "timesteps" in fields:
        rows = fields["batch"] * fields["timesteps"]
        return 8 * rows * fields["units"] * (fields["inputs"] + fields["units"] + 10)
    if "units" in fields:
        return 2 * fields["rows"] * fields["units"] * (fields["inputs"] + 10)
    return 20 * sum(slot.size for slot in fields.values() if isinstance(slot, Slot) and slot.buffer.kind != "constant")


class Plans(_stream.Epoch):
    """The plans of one model, shared by its streams. Cleared when a weight changes, as a ProgramCache."""

    def __init__(self):
        self._plans = {}
        self._lock = threading.Lock()

    def clear(self):
        with self._lock:
            self.epoch += 1
            self._plans.clear()

    def find(self, model, batch, time):
        """(the Plan, the epoch it belongs to)."""
        key = (batch, time, runtime.active_isa())
        with self._lock:
            plan, epoch = self._plans.pop(key, None), self.epoch
            if plan is not None:
                self._plans[key] = plan  # behind the others: the first is the one that was not used for longest
        if plan is None:
            plan = Plan(model, self, batch, time)
            with self._lock:
                # A weight that changed meanwhile makes it right for now and no longer.
                if epoch == self.epoch:
                    self._plans[key] = plan
                    if len(self._plans) > _MOST_PROGRAMS:
                        del self._plans[next(iter(self._plans))]
        return plan, epoch


def plans_of(model):
    """The model's Plans. Raises ValueError where the model is no graph of layers."""
    _graph(model)
    return model.__dict__.setdefault("_stream_plans", Plans())


def _graph(model):
    graph = model._functional if isinstance(model, Sequential) else model
    if not isinstance(graph, Functional) or model._is_python:
        raise ValueError(
            f"Model '{model.name}' ({type(model).__name__}) cannot run in a stream: "
            + ("it is not built yet." if isinstance(model, Sequential) else "it is no Sequential or functional model.")
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
    return builder.input((batch, time, *tensor.shape[2:]), graph._plan.input_dtypes[position])


class Tracer:
    """Adds a model's layer calls to a builder. memories: of the recurrent ones; masked: whether one had a mask."""

    def __init__(self, builder):
        self.builder = builder
        self.memories = []
        self.masked = False

    def run(self, model, inputs, timed, path):
        """(Slots of the outputs, whether each is timed), flat lists, for those of the inputs."""
        graph = _graph(model)
        slots, kinds = {}, {}
        for tensor, slot, dtype, kind in zip(graph.inputs, inputs, graph._plan.input_dtypes, timed):
            slots[id(tensor)], kinds[id(tensor)] = self.builder.cast(slot, dtype), kind
        for node in graph._plan.steps:
            layer = node.layer
            first = next(iter(node.arguments.values()))
            if isinstance(layer, (Functional, Sequential)) and not layer._is_python:
                given = [id(t) for t in nest.flatten(_graph(layer).arrange(first, layer))]
                if not all(number in slots for number in given):
                    refuse(layer, "its inputs have other ranks than it was made for")
                path_inside = f"{path}{layer.name}/"
                outputs, made = self.run(layer, [slots[n] for n in given], [kinds[n] for n in given], path_inside)
            else:
                if given_masks(node, graph._plan.implied.get(node)):
                    refuse(layer, "a mask is given to its call; streams follow the masks that layers hand on")
                tensors = [leaf for leaf in nest.flatten(first) if isinstance(leaf, KerasTensor)]
                made = output_is_timed(layer, node.arguments, [kinds[id(t)] for t in tensors])
                outputs = nest.flatten(self.call(node, graph._arguments(node, slots), path))
                made = [made, *[False] * (len(outputs) - 1)]
            for tensor, slot, kind in zip(node.output_tensors, outputs, made):
                slots[id(tensor)], kinds[id(tensor)] = slot, kind
        return [slots[id(t)] for t in graph.outputs], [kinds[id(t)] for t in graph.outputs]

    def call(self, node, arguments, path):
        p, layer = self.builder, node.layer
        if not isinstance(layer, OverTime):
            return node.trace(p, arguments)
        name, calls = path + layer.name, sum(memory.name.split("#")[0] == path + layer.name for memory in self.memories)
        if calls and layer.stateful:
            refuse(layer, "it keeps states and is called again, which goes on from where its whole first call ended")
        memory = p.states = Memory(f"{name}#{calls + 1}" if calls else name)
        self.memories.append(memory)
        mask = next(iter(arguments.values())).mask
        if mask is not None and mask.shape[2:] not in ((), (1,)):
            refuse(layer, f"its mask of shape {mask.shape} has more than one value for a timestep")
        try:
            outputs = node.trace(p, arguments)
        finally:
            p.states = None
        if mask is None:
            return outputs
        self.masked = True
        if layer.zero_output_for_mask:
            return outputs
        # A masked step repeats the last output: the first state of the (topmost) cell, where the layer's first step
        # would give zeros.
        cell = layer if isinstance(layer, Recurrent) else layer.cell_of_output()
        if cell is None:
            refuse(
                layer, "a masked timestep repeats the last output, which a cell of your own need not keep among its "
                "states; with zero_output_for_mask=True it gives zeros",
            )  # fmt: skip
        y, *rest = nest.flatten(outputs)
        tail = (1,) * (len(y.shape) - 1)
        last = memory.first[-cell.state_count].reshaped(y.shape)
        kept = p.select(mask.reshaped((y.shape[0], *tail)), y, last)
        return [kept.with_mask(y.mask), *rest]


def given_masks(node, implied=None):
    """Names of the masks that a symbolic call was given, but for `implied`, which the layers hand on themselves."""
    return [
        name
        for name, value in node.arguments.items()
        if value is not None and name != implied and (name == "mask" or name.endswith("_mask"))
    ]


# ---- what a layer makes of time --------------------------------------------------------------------------------------


def refuse(layer, reason):
    raise ValueError(f"Layer '{layer.name}' ({type(layer).__name__}) cannot run in a stream: {reason}.")


def output_is_timed(layer, arguments, timed):
    """Whether the first output of a call is timed, where its inputs are as `timed` says. Raises ValueError (`refuse`).

    arguments: those of the symbolic call.
    """
    first = next(iter(arguments.values()))
    shapes = [tuple(tensor.shape) for tensor in nest.flatten(first) if isinstance(tensor, KerasTensor)]
    if isinstance(layer, MaskOperation):
        refuse(layer, "it computes a mask by itself; streams follow the masks that layers hand on")
    if layer._is_python:
        refuse(layer, "what a class of your own does with the timesteps is not known; TimeDistributed runs it on each")
    if isinstance(layer, layers.RepeatVector):
        refuse(layer, "it makes a new sequence out of each timestep")
    if isinstance(layer, Merge):
        return _merge_is_timed(layer, shapes, timed)
    if isinstance(layer, OverTime):
        if arguments.get("initial_state") is not None:
            refuse(layer, "its initial state comes from another layer")
        if layer.go_backwards:
            refuse(layer, "it goes backwards, from the last timestep")
        if not timed[0]:
            refuse(layer, f"its input of shape {shapes[0]} has no time axis any more")
        return layer.return_sequences
    name = type(layer).__name__
    if name in _WHOLE_SEQUENCE:
        if timed[0] or name == "Bidirectional":
            refuse(layer, _WHOLE_SEQUENCE[name])
        return False
    if isinstance(layer, layers.TimeDistributed):
        if not timed[0]:
            refuse(layer, f"its input of shape {shapes[0]} has no time axis any more")
        if any(getattr(inner, "stateful", False) for inner in (layer.layer, *all_layers(layer.layer))):
            refuse(layer, "the layer inside is stateful")
        return True
    if isinstance(layer, _BY_ROW):
        _check_rows(layer, shapes[0], timed[0])
    elif not isinstance(layer, (*_BY_VALUE, layers.Embedding)):
        refuse(layer, "what it does with the timesteps is not known")
    return timed[0]


def _check_rows(layer, shape, timed):
    if not timed:
        return
    if isinstance(layer, layers.PReLU):
        if 1 not in (layer.shared_axes or ()):
            refuse(layer, "it has a weight for every timestep; shared_axes=[1] shares them")
    elif isinstance(layer, layers.EinsumDense):
        _check_einsum(layer, _Terms.of(layer.equation, len(shape)))
    elif len(shape) < 3:
        refuse(layer, f"it works along the last axis of its input of shape {shape}, which is time")
    elif isinstance(layer, layers.Softmax) and 1 in layer._axes(len(shape)):
        refuse(layer, "its axis is time")


def _check_einsum(layer, terms):
    time = terms.input[1]
    if time in terms.kernel:
        refuse(layer, f"its equation '{layer.equation}' has weights for every timestep, '{time}'")
    if (
        terms.result[:2] != terms.input[:2]
        or time in terms.input[2:] + terms.result[2:]
        or terms.input[0] in terms.kernel + terms.input[2:]
    ):
        refuse(layer, f"its equation '{layer.equation}' does not leave batch and time as they are")
    if layer.bias is not None:
        axis = 1 - len(terms.result)  # the bias has the result's last axes
        if -axis <= len(layer.bias.shape) and layer.bias.shape[axis] > 1:
            refuse(layer, f"its bias of shape {tuple(layer.bias.shape)} has values for every timestep")


def _merge_is_timed(layer, shapes, timed):
    if not any(timed):
        return False
    if isinstance(layer, layers.Dot):
        refuse(layer, _WHOLE_SEQUENCE["Dot"])
    if not all(timed):
        refuse(layer, f"of its inputs of shapes {shapes} some have a time axis and some do not")
    if len({len(shape) for shape in shapes}) > 1 or len({shape[1] for shape in shapes} - {None}) > 1:
        refuse(layer, f"the time axes of its inputs of shapes {shapes} are not one")
    if isinstance(layer, layers.Concatenate) and layer.axis % len(shapes[0]) == 1:
        refuse(layer, "its axis is time")
    return True
