"""`generate`: for a model that reads the last `window` tokens each time."""

import threading
import weakref

import numpy as np

from fastseq.decoding.arguments import at_least_one, checked_token, draw_of
from fastseq.decoding.loop import Loop
from fastseq.decoding.step import TokenInput, graph_of
from fastseq.native.kept_states import all_or_nothing
from fastseq.tensors import arrays

_generators = weakref.WeakKeyDictionary()  # model -> its Loops, by whether they take logits


_generators_lock = threading.Lock()


@all_or_nothing
def generate(
    model, ids, n, window=None, *, end_id=None, pad_id=0, temperature=None, top_k=None, top_p=None, seed=None,
    from_logits=False,
):  # fmt: skip
    """Writes `n` tokens behind those of `ids`, with a model that reads the last `window` tokens each time.

    Greedy without temperature, top_k, top_p and seed, otherwise as `Decoder.sample`.

    Args:
        model (Model): One input, ids (B, window) or one-hot rows (B, window, V), which are not made where the first
            layer can take ids; one output, probabilities (B, V), or (B, window, V), of which the last counts.
        ids (array or list): Integers (B, L) or (L,), or a list of rows of different lengths.
        n (int): Tokens to write.
        window (int, default None): Tokens that the model reads; None is the length that its input has.
        end_id (int, default None): The token that ends a row; None is none.
        pad_id (int, default 0): Stands before a row of fewer than `window` tokens.
        temperature (float, default None): As `Decoder.sample` has it.
        top_k (int, default None): As `Decoder.sample` has it.
        top_p (float, default None): As `Decoder.sample` has it.
        seed (int or array, default None): As `Decoder.sample` has it.
        from_logits (bool, default False): Whether the output is logits.

    Returns:
        A `Decoded` with ids int32 (B, n), for ids (L,) of one row as well.

    Raises:
        ValueError: Arguments that do not fit.

    Example:
        >>> model = fastseq.Sequential([layers.Input((8,)), layers.Embedding(6, 3), layers.GRU(4), layers.Dense(6)])
        >>> decoding.generate(model, [1, 2, 3], 5, from_logits=True).ids.shape
        (1, 5)
    """
    who = f"generate() with model '{model.name}'"
    graph = graph_of(model, who)
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ValueError(f"{who} takes a model of one input and one output; Decoder is for others.")
    tokens = TokenInput(graph, 0, who, windowed=True)
    if not tokens.has_time:
        raise ValueError(f"{who}: input '{graph.inputs[0].name}' of shape {graph.inputs[0].shape} reads no window.")
    if window is None and tokens.length is None:
        raise ValueError(f"{who}: its input takes any number of tokens, so say how many it shall read: window=...")
    window = tokens.length if window is None else at_least_one(window, "window")
    if tokens.length not in (None, window):
        raise ValueError(f"{who}: window={window}, but its input has the shape {tuple(graph.inputs[0].shape)}.")
    shape = tuple(graph.outputs[0].shape)
    if len(shape) not in (2, 3) or shape[-1] is None:
        raise ValueError(f"{who}: its output has the shape {shape}, not (batch, tokens).")
    with _generators_lock:
        loop = _generators.setdefault(model, {}).get(bool(from_logits))
        if loop is None or loop.graph is not graph:
            loop = Loop(who, model, graph, tokens, 0, [], bool(from_logits))
            _generators[model][bool(from_logits)] = loop
    prompts = _windows(ids, window, pad_id, who)
    drawn = any(value is not None for value in (temperature, top_k, top_p, seed))
    draw = draw_of(len(prompts), 1.0 if temperature is None else temperature, top_k, top_p, seed) if drawn else None
    return loop.run(prompts, [], at_least_one(n, "n"), checked_token(end_id, "end_id", optional=True), draw=draw)


def _windows(ids, window, pad_id, who):
    """(B, window) int32: the last tokens of every row, behind as many `pad_id` as are missing."""
    if not isinstance(ids, np.ndarray):
        arrays.refuse_uneven(ids, who)
        ids = list(ids)
        nested = bool(ids) and all(np.ndim(row) == 1 for row in ids)
        ids = [np.asarray(row) for row in ids] if nested else np.asarray(ids, np.int64 if not ids else None)
    rows = ids if isinstance(ids, list) else ids[np.newaxis] if ids.ndim == 1 else ids
    if not isinstance(rows, list) and rows.ndim != 2:
        raise ValueError(f"{who} takes ids of shape (rows, tokens), got {rows.shape}.")
    prompts = np.full((len(rows), window), checked_token(pad_id, "pad_id"), np.int32)
    for prompt, row in zip(prompts, rows):
        if row.size and (row.dtype.kind not in "iu" or row.min() < 0 or row.max() >= 2**31):
            raise ValueError(f"{who} takes ids that are integers in [0, 2**31), got {row.dtype} {row[:10]}.")
        kept = row[-window:]
        prompt[window - len(kept) :] = kept
    return prompts
