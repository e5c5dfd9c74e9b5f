"""`Model.summary`: the table that Keras prints, with the same rows and numbers."""

import math
import re
import shutil
import sys
import textwrap

from fastseq.tensors import nest

_HEADERS = ["Layer (type)", "Output Shape", "Param #", "Connected to"]
_ASCII = {ord(sign): "-" if sign in "━─" else "|" if sign in "┃│" else "+" for sign in "┏━┳┓┡╇┩├─┼┤└┴┘┃│"}
_BOX = {"top": "┏━┳┓", "under header": "┡━╇┩", "between": "├─┼┤", "bottom": "└─┴┘"}


def print_summary(model, line_length, positions, print_fn, expand_nested, show_trainable, layer_range):
    """See `Model.summary`."""
    text = summary_text(model, line_length, positions, expand_nested, show_trainable, layer_range)
    if print_fn is None:
        text = _printable(text, getattr(sys.stdout, "encoding", None))
    (print_fn or print)(text)


def _printable(text, encoding):
    """The text with boxes of signs that the encoding of a stream has; None is any."""
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        text = text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    return text


def summary_text(model, line_length=None, positions=None, expand_nested=False, show_trainable=False, layer_range=None):
    functional = isinstance(model, model.functional_class)
    layers = model._graph.layers if functional else model.layers
    connected = functional and not _is_a_line(model)
    headers = _HEADERS if connected else _HEADERS[:3]
    positions = positions or ([0.3, 0.56, 0.74, 1.0] if connected else [0.45, 0.80, 1.0])
    default_length = 108 if connected else 88
    if show_trainable:
        default_length += 12
        positions = [position * 0.9 for position in positions] + [1.0]
        headers = [*headers, "Trainable"]
    if len(positions) != len(headers):
        raise ValueError(f"positions needs a number for each column but 'Trainable', got {positions}.")
    line_length = line_length or min(default_length, shutil.get_terminal_size().columns - 4)
    widths = _widths(positions, line_length - len(positions) - 1)
    if show_trainable and widths[-1] < len("Trainable") + 2 < line_length // 4:
        others = _widths(positions[:-1], line_length - len(positions) - len("Trainable") - 3)
        widths = [*others, len("Trainable") + 2]
    if min(widths) < 4:
        raise ValueError("Insufficient console width to print summary.")

    rows = []
    first, end = _range(layers, layer_range)
    for layer in layers[first:end]:
        _add_rows(rows, layer, 0, model if connected else None, expand_nested, show_trainable)
    lines = [f'Model: "{model.name}"', *_table(headers, rows, widths)]
    trainable, frozen = model.trainable_weights, model.non_trainable_weights
    for title, weights in (
        ("Total", [*trainable, *frozen]),
        ("Trainable", trainable),
        ("Non-trainable", frozen),
    ):
        count = sum(math.prod(weight.shape) for weight in weights)
        lines.append(f" {title} params: {count:,} ({_memory(4 * count)})")
    return "\n".join(lines)


def _widths(positions, room):
    """Columns of whole characters that end at these fractions of the last one's end."""
    ends = [int(position / positions[-1] * room) for position in positions]
    return [end - start for start, end in zip([0, *ends], ends)]


def _memory(size):
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} PB"


def _is_a_line(model):
    """True where the graph is a chain of calls of different layers, which needs no column of connections."""
    graph = model._graph
    for nodes in graph.nodes_by_depth.values():
        if len(nodes) > 1 or len(nodes[0].input_tensors) > 1:
            return False
    calls = [node.layer for node in graph.nodes]
    return len(set(map(id, calls))) == len(calls)


def _range(layers, layer_range):
    if layer_range is None:
        return 0, len(layers)
    if len(layer_range) != 2 or not all(isinstance(word, str) for word in layer_range):
        raise ValueError(f"layer_range is two names or regular expressions, got {layer_range!r}.")
    found = [[i for i, layer in enumerate(layers) if re.match(word, layer.name)] for word in layer_range]
    if not all(found):
        raise ValueError(f"No layer's name matches in layer_range={layer_range!r}.")
    lower, upper = found
    if min(lower) > max(upper):
        return min(upper), max(lower) + 1
    return min(lower), max(upper) + 1


def _add_rows(rows, layer, level, model, expand_nested, show_trainable):
    prefix = "   " * level + "└ " if level else ""
    row = [f"{prefix}{layer.name} ({type(layer).__name__})", _shape_text(layer)]
    row.append(f"{layer.count_params():,}" if layer.built else "0 (unbuilt)")
    if model is not None:
        row.append(_connections(layer, model))
    if show_trainable:
        row.append(("Y" if layer.trainable else "N") if layer.weights else "-")
    rows.append(row)
    if expand_nested:
        for inner in getattr(layer, "layers", []):
            _add_rows(rows, inner, level + 1, model, expand_nested, show_trainable)


def _connections(layer, model):
    found = []
    for node in layer._inbound_nodes:
        if node in model._graph.node_set:
            for tensor in node.input_tensors:
                inbound, call, position = tensor._keras_history
                found.append(f"{inbound.name}[{call}][{position}]")
    return ", ".join(found) or "-"


def _shape_text(layer):
    """The output shape of the layer's last call, or of its build shape where it was built by hand."""
    if layer._inbound_nodes:
        shapes = [f"({', '.join(map(str, tensor.shape))})" for tensor in layer._inbound_nodes[-1].output_tensors]
        return shapes[0] if len(shapes) == 1 else f"[{', '.join(shapes)}]"
    try:
        shape = layer.output_shape if hasattr(layer, "output_shape") else _built_output_shape(layer)
    except NotImplementedError:
        return "?"
    if shape is None:
        return "?"
    shapes = []
    nest.map_shapes(shapes.append, shape)
    shapes = [f"({', '.join(map(str, sizes))})" for sizes in shapes]
    return shapes[0] if len(shapes) == 1 else f"[{', '.join(shapes)}]"


def _built_output_shape(layer):
    shape = layer._build_shape
    if shape is None:
        return None
    return layer.compute_output_shape(**shape) if isinstance(shape, dict) else layer.compute_output_shape(shape)


def _table(headers, rows, widths):
    """Lines of a table in boxes; what does not fit into a cell goes on in the next line of the cell."""
    right = [header == "Param #" for header in headers]
    lines = [_rule("top", widths)]
    lines += _cells(headers, widths, right, "┃")
    lines.append(_rule("under header", widths))
    for index, row in enumerate(rows):
        if index:
            lines.append(_rule("between", widths))
        lines += _cells(row, widths, right, "│")
    lines.append(_rule("bottom", widths))
    return lines


def _rule(kind, widths):
    left, line, cross, right = _BOX[kind]
    return left + cross.join(line * width for width in widths) + right


def _cells(texts, widths, right, border):
    columns = []
    for text, width in zip(texts, widths):
        # The indent of nested layers is kept; words longer than a cell are broken.
        columns.append(textwrap.wrap(text, width - 2, drop_whitespace=True, break_long_words=True) or [""])
        if text.startswith(" "):
            indent = text[: len(text) - len(text.lstrip())]
            columns[-1] = textwrap.wrap(text.lstrip(), width - 2, initial_indent=indent) or [""]
    height = max(map(len, columns))
    lines = []
    for index in range(height):
        parts = []
        for column, width, to_right in zip(columns, widths, right):
            text = column[index] if index < len(column) else ""
            text = text.rjust(width - 2) if to_right else text.ljust(width - 2)
            parts.append(f" {text} ")
        lines.append(border + border.join(parts) + border)
    return lines
