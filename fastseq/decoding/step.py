"""A model's step as a program that src_c/decode/ runs over and over, for any number of rows up to a capacity."""

import numpy as np

from fastseq.layers.walk import all_layers
from fastseq.native import runtime
from fastseq.native.kinds import ACTIVATION_KINDS, OPERATIONS
from fastseq.program.builder import Builder
from fastseq.program.kept_programs import KeptPrograms
from fastseq.program.program import Program
from fastseq.program.slots import Slot, same_array
from fastseq.program.steps import slots_of
from fastseq.streaming import _stream
from fastseq.tensors import nest

_MOST_PLANS = 64  # of one decoder: one for each batch size and each length of a constant input


def layer_name(tensor):
    return tensor._keras_history[0].name


def graph_of(model, who):
    """The `Calls` of a model. Raises ValueError where there is none."""
    graph = model.call_graph
    if graph is None:
        raise ValueError(f"{who} takes a built Sequential or a functional model, got {model!r}.")
    if model.stateful:
        kept = [layer.name for layer in all_layers(model) if getattr(layer, "stateful", False)]
        raise ValueError(
            f"{who}: the layers {kept} of model '{model.name}' are stateful. Rows come and go while a batch is "
            "decoded, so states are inputs and outputs of the model."
        )
    return graph


class TokenInput:
    """The input that takes the last tokens: ids (B,) or (B, window), or one-hot rows (B, depth), (B, window, depth).

    depth: None for ids. Raises ValueError for inputs of other shapes.
    """

    def __init__(self, graph, position, who, windowed):
        tensor = graph.inputs[position]
        shape, dtype = tuple(tensor.shape), graph.input_dtypes[position]
        hot_rank = 3 if windowed or len(shape) == 3 else 2
        self.position, self.depth, self.length = position, None, 1
        if dtype == "float32" and len(shape) == hot_rank and shape[-1] is not None and (shape[-1] > 1 or hot_rank == 3):
            self.depth = shape[-1]
            if self.depth == 1:
                raise ValueError(
                    f"{who}: input '{tensor.name}' of shape {shape} takes one number for each token, such as an id "
                    "that was scaled, and no ids or one-hot rows. How ids become numbers nobody says: begin the model "
                    "with an Embedding, or call predict for each token."
                )
        elif len(shape) > 2:
            raise ValueError(f"{who}: input '{tensor.name}' takes ids or one-hot rows, but its shape is {shape}.")
        self.has_time = len(shape) == (2 if self.depth is None else 3)
        if self.has_time:
            self.length = shape[1]
        if not windowed and self.length not in (1, None):
            raise ValueError(
                f"{who}: input '{tensor.name}' of shape {shape} takes {self.length} tokens at a time. A step takes "
                "one; generate() is for models that read a window."
            )

    def slot(self, p, ids, name):
        """The Slot that the model gets as its input, for `ids`, an int32 Slot (rows, window)."""
        shape = ids.shape if self.has_time else ids.shape[:1]
        if self.depth is None:
            return ids.reshaped(shape)

        def failure(position, value):
            return ValueError(f"Input '{name}' takes one-hot rows of {self.depth} tokens, got the token {value}.")

        p.step("check_ids", failure=failure, ids=ids, floats=None, count=ids.size, limit=self.depth)
        return p.rows_of(ids.reshaped(shape), None, self.depth)


class RowsPlan:
    """A program made by `trace(rows)`, and what makes it run for fewer rows.

    scaled: the arguments that follow the number of rows, [(step, byte offset, base, slope)]; exact: whether that is all
    that follows it; turned: [(step, byte offset)] of the flags `down`. See fs_rows_program in src_c/abi/fastseq.h.
    """

    def __init__(self, trace, rows):
        self.program = trace(rows)
        self.native = all(step["op"] is not None and "loop" not in step for step in self.program.steps)
        self.turned = [
            (number, OPERATIONS[step["op"]][2]["down"][1])
            for number, step in enumerate(self.program.steps)
            if step["op"] is not None and "down" in OPERATIONS[step["op"]][2]
        ]
        scaled = None
        if self.native and rows > 1:
            scaled = _scaled_arguments(self.program.steps, [trace(n).steps for n in (2 * rows + 1, 3 * rows + 2)], rows)
        self.exact, self.scaled = rows == 1 or scaled is not None, scaled or []


class StepPlan(RowsPlan):
    """The model for `rows` rows: inputs (tokens, what is carried ...), results (values, the new states ...).

    carried: [(input position, shape without the batch, output position or None)]. vocabulary: values for each row;
    probabilities: False where they are logits, for a softmax at the end is left out. sliding: None, or what comes
    before it (windows.py).
    """

    sliding = None

    def __init__(self, plans, model, graph, tokens, window, output, carried, rows):
        def trace(rows):
            p = builder_for(plans, model)
            ids = p.input((rows, window), "int32")
            given = {position: p.input((rows, *shape), "float32") for position, shape, _ in carried}
            inputs = [ids, *given.values()]
            given[tokens.position] = tokens.slot(p, ids, graph.inputs[tokens.position].name)
            outputs = nest.flatten(graph.emit(p, [given[i] for i in range(len(graph.inputs))]))
            values, self.probabilities = last_values(p, outputs, output)
            self.vocabulary = values.shape[-1]
            left = [p.float32(outputs[position]) for _, _, position in carried if position is not None]
            return Program(p, inputs, [values, *left])

        super().__init__(trace, rows)


class StepPlans(KeptPrograms, _stream.Epoch):
    """The StepPlans of one decoder. Cleared when a weight changes, as a ProgramCache."""

    def __init__(self):
        super().__init__(_MOST_PLANS)

    def plan(self, key, make):
        """What `make()` gave for `key` and the active instruction set, which it is asked once."""
        return self.find((key, runtime.active_isa()), make)[0]


def builder_for(plans, model):
    """A builder of a program for a varying number of rows, which falls when a weight of the model changes."""
    p = Builder(plans)
    p.fewer_rows = True
    p.use(model)
    for layer in all_layers(model):
        p.use(layer)
    return p


def last_values(p, outputs, position):
    """(the values of the last timestep (rows, vocabulary), whether they are probabilities) of an output."""
    values, probabilities = _logits(p, p.float32(outputs[position]), outputs)
    if len(values.shape) == 2:
        return values, probabilities
    rows, time, width = values.shape
    if time == 1:
        return values.reshaped((rows, width)), probabilities
    return p.contiguous_copy(values.at((time - 1) * width), (rows, width), (time * width, 1)), probabilities


def _logits(p, values, outputs):
    """(values before a softmax at the end, False); (values, True) where there is none that can be left out."""
    reads = sum(slot.buffer is values.buffer for step in p.steps for slot in slots_of(step)) + sum(
        slot.buffer is values.buffer for slot in outputs
    )
    for i, step in reversed(list(enumerate(p.steps))):
        fields = step.get("fields", {})
        if not isinstance(fields.get("y"), Slot) or fields["y"].buffer is not values.buffer:
            continue
        if reads > 2:  # once by its own step, once as this output
            break
        if step["op"] == "dense" and fields["softmax"]:
            p.steps[i] = {**step, "fields": {**fields, "softmax": 0}}
            return values, False
        softmax = ACTIVATION_KINDS["softmax"]
        if step["op"] == "row_activation" and fields["kind"] == softmax and fields["n"] == values.shape[-1]:
            del p.steps[i]
            return fields["x"].reshaped(values.shape), False
        break
    return values, True


def _scaled_arguments(steps, others, rows):
    """The arguments that are base + slope * rows, from the same steps for 2 rows + 1 and 3 rows + 2.

    None where the steps differ in any other way.
    """
    scaled = []
    for number, same in enumerate(zip(steps, *others)):
        if len({len(other) for other in (steps, *others)}) > 1 or len({step["op"] for step in same}) > 1:
            return None
        known = OPERATIONS[same[0]["op"]][2]
        for name, (kind, offset, _) in known.items():
            values = [step["fields"][name] for step in same]
            if kind == "int" and len(set(values)) > 1:
                slope, rest = divmod(values[1] - values[0], rows + 1)
                if rest or values[2] - values[0] != slope * (2 * rows + 2):
                    return None
                scaled.append((number, offset, values[0] - slope * rows, slope))
            elif kind == "num" and len(set(values)) > 1:
                return None
            elif len({value.offset if isinstance(value, Slot) else None for value in values}) > 1:
                return None
            elif not all(_is_same_constant(values[0], value) for value in values[1:]):
                return None
    return scaled


def _is_same_constant(first, second):
    """False for constants of other values: numbers made of how many rows there are."""
    first, second = (value.buffer.array if isinstance(value, Slot) else value for value in (first, second))
    return not isinstance(first, np.ndarray) or same_array(first, second)
