"""Decoding: whole loops of a model that writes token after token, in one native call each.

`Decoder` is for a one-step model with its states as inputs and outputs, as Keras's tutorials build it around an
encoder-decoder (https://keras.io/examples/nlp/lstm_seq2seq/); `generate` for a model that reads the last `window`
tokens each time. decoding_plan.py makes the model's step, decoding_loop.py and src_c/decode.c are the loop.
"""

import threading
import weakref

import numpy as np

from fastseq import arrays
from fastseq.decoding_loop import Decoded, Loop
from fastseq.decoding_plan import TokenInput, graph_of, layer_name
from fastseq.graph import KerasTensor
from fastseq.kept_states import all_or_nothing
from fastseq.layers.calling import is_ready
from fastseq.seeds import default_seed

__all__ = ["Decoded", "Decoder", "generate"]


class Decoder:
    """Greedy, sampled and beam decoding with a one-step model: the last token and states to probabilities and states.

    model: a Sequential or functional model. token_input: its input for the last token, ids of shape (B, 1) or (B,) or
    one-hot rows (B, 1, V) or (B, V), which are never made; token_output: its probabilities (B, 1, V) or (B, V).
    states: [(input, output), ...], what is carried from step to step; (input, None) is an input that stays as it is
    given. Without `states` the other inputs and outputs belong together in their order. Inputs and outputs are named
    by layer name, index or KerasTensor. start_id: the first token read, an integer or one for each row, (B,); end_id:
    the token that ends a row, or None; max_length: tokens of a row at most. from_logits: the output is logits. A
    softmax at the model's end is recognised and left out.

    The methods take the states before the first step: a list of arrays (B, ...) float32, one for each pair, a dict by
    input name, or the one array alone. They return a `Decoded`: ids and lengths count the end token where there is one;
    scores are sums of the tokens' log-probabilities. A row's result does not depend on the other rows nor on the
    number of threads. A layer in Python makes the loop take the GIL in every step. Tokens whose probabilities round to
    the same float32 number are told apart by their logits.
    Raises ValueError, with names and both shapes, where model and arguments do not fit, for states that hold NaN, for
    ids that a layer does not take, and where the model gives NaN.
    """

    def __init__(
        self, model, *, token_input=0, token_output=0, states=None, start_id, end_id=None, max_length,
        from_logits=False,
    ):  # fmt: skip
        self._who = f"The decoder of model '{model.name}'"
        graph = graph_of(model, self._who)
        self.model, self.max_length = model, _at_least_one(max_length, "max_length")
        self.end_id = _token(end_id, "end_id", optional=True)
        token = _find(graph.inputs, token_input, self._who, "input")
        output = _find(graph.outputs, token_output, self._who, "output")
        tokens = TokenInput(graph, token, self._who, windowed=False)
        self._vocabulary = self._checked_output(graph.outputs[output])
        if tokens.depth is not None and tokens.depth < self._vocabulary:
            raise ValueError(
                f"{self._who} would read one-hot rows of {tokens.depth} tokens and write {self._vocabulary}: input "
                f"'{graph.inputs[token].name}' has the shape {graph.inputs[token].shape}, output "
                f"'{graph.outputs[output].name}' the shape {graph.outputs[output].shape}."
            )
        self._start = self._checked_start(np.asarray(start_id), tokens.depth or 2**31)
        carried = self._pairs(graph, token, output, states)
        self._tensors = [graph.inputs[position] for position, _, _ in carried]
        self._names = [layer_name(tensor) for tensor in self._tensors]
        self._shapes = [tuple(tensor.shape)[1:] for tensor in self._tensors]
        self._loop = Loop(self._who, model, graph, tokens, output, carried, bool(from_logits))
        # By position: tensors of a copy of the model are others.
        self._arguments = {
            "token_input": token, "token_output": output, "states": [(i, out) for i, _, out in carried],
            "start_id": self._start, "end_id": self.end_id, "max_length": self.max_length, "from_logits": from_logits,
        }  # fmt: skip

    def __reduce__(self):
        return _restored, (self.model, self._arguments)

    def _checked_start(self, start, limit):
        if start.dtype.kind not in "iu" or start.ndim > 1:
            raise ValueError(
                f"{self._who}: start_id is an integer, or one for each row, got {start.dtype} of shape {start.shape}."
            )
        if start.size and (start.min() < 0 or start.max() >= limit):
            raise ValueError(f"{self._who}: start_id={start} is no token in [0, {limit}).")
        return start.astype(np.int32)

    def _checked_output(self, tensor):
        shape = tuple(tensor.shape)
        if len(shape) not in (2, 3) or shape[-1] is None or (len(shape) == 3 and shape[1] not in (1, None)):
            raise ValueError(
                f"{self._who} wants probabilities of shape (batch, tokens) or (batch, 1, tokens), output "
                f"'{tensor.name}' of layer '{layer_name(tensor)}' has the shape {shape}."
            )
        return shape[-1]

    def _pairs(self, graph, token, output, states):
        """[(input position, symbolic shape without the batch, output position or None)] of what is carried."""
        others = [i for i in range(len(graph.inputs)) if i != token]
        if states is None:
            left = [i for i in range(len(graph.outputs)) if i != output]
            if len(others) != len(left):
                raise ValueError(
                    f"{self._who}: model '{self.model.name}' has {len(others)} inputs and {len(left)} outputs beside "
                    "those of the tokens; name those that belong together with states=[(input, output), ...], and an "
                    "input that stays as it is with (input, None)."
                )
            states = list(zip(others, left))
        pairs = []
        for pair in states:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise ValueError(f"{self._who}: states=[(input, output), ...], got {pair!r} among them.")
            position = _find(graph.inputs, pair[0], self._who, "input")
            out = None if pair[1] is None else _find(graph.outputs, pair[1], self._who, "output")
            if position not in others or position in [p for p, _, _ in pairs]:
                raise ValueError(f"{self._who}: input {pair[0]!r} is named twice, or takes the tokens.")
            shape, left = tuple(graph.inputs[position].shape), None if out is None else tuple(graph.outputs[out].shape)
            if left is not None and not _may_equal(shape, left):
                raise ValueError(
                    f"{self._who}: the state that input '{graph.inputs[position].name}' takes has the shape {shape}, "
                    f"but layer '{layer_name(graph.outputs[out])}' leaves one of shape {left}."
                )
            pairs.append((position, shape[1:], out))
        missing = [graph.inputs[i].name for i in others if i not in [p for p, _, _ in pairs]]
        if missing:
            raise ValueError(
                f"{self._who}: nothing is said of the inputs {missing}; states=[..., (input, None)] for one that stays "
                "as it is given."
            )
        return pairs

    # ---- loops ---------------------------------------------------------------------------------------------------

    @all_or_nothing
    def greedy(self, states=(), scores=True):
        """The most probable token at every step, the lower of two alike. scores=False: no exponential is computed."""
        prompts, states = self._given(states)
        return self._loop.run(prompts, states, self.max_length, self.end_id, scored=bool(scores))

    @all_or_nothing
    def sample(self, states=(), temperature=1.0, top_k=None, top_p=None, seed=None):
        """Tokens drawn at random.

        temperature: above 0, divides the logits; top_k: only the k most probable tokens; top_p: of these only the
        fewest that together have this share of their probability (Holtzman et al. 2020, arXiv:1904.09751). seed: an
        integer, from which each row gets a sequence of its own, or (B,) of them, one for each row; None draws one from
        Python's random. The same seed gives the same tokens, whatever the threads. scores are of the model, at
        temperature 1.
        """
        prompts, states = self._given(states)
        draw = _draw(len(prompts), temperature, top_k, top_p, seed)
        return self._loop.run(prompts, states, self.max_length, self.end_id, draw=draw)

    @all_or_nothing
    def beam(self, states=(), width=4, length_penalty=0.0):
        """The `width` best sequences that a beam search finds, best first.

        At every step each hypothesis that goes on offers all tokens, each that has ended itself; the best `width` of
        all stay, by score, then in the order of their hypotheses, then of tokens. scores (B, width): the sum of
        log-probabilities / ((5 + length) / 6) ** length_penalty (Wu et al. 2016, arXiv:1609.08144). Where there are
        fewer sequences than `width`, the rest have length 0 and score -inf.
        """
        width = _at_least_one(width, "width")
        penalty = _number(length_penalty, "length_penalty", lambda value: value >= 0, "at least 0")
        prompts, states = self._given(states)
        return self._loop.run(prompts, states, self.max_length, self.end_id, width=width, length_penalty=penalty)

    def _given(self, states):
        """(prompts (B, 1), the states as float32 arrays). Raises ValueError where they do not fit."""
        if isinstance(states, dict):
            known = [name if name in states else tensor.name for name, tensor in zip(self._names, self._tensors)]
            if sorted(states) != sorted(known):
                raise ValueError(f"{self._who} takes states named {self._names}, got {sorted(states)}.")
            states = [states[name] for name in known]
        elif not isinstance(states, (list, tuple)):
            states = [states]
        if len(states) != len(self._names):
            raise ValueError(f"{self._who} takes {len(self._names)} states, for {self._names}; got {len(states)}.")
        found = [
            state if is_ready(state, "float32") else arrays.standardize(state, self._who, "float32") for state in states
        ]
        start = self._start
        batch = len(found[0]) if found and found[0].ndim else start.size
        for name, shape, array in zip(self._names, self._shapes, found):
            wanted = (batch, *shape)
            if array.shape != wanted and (array.ndim == 0 or not _may_equal(wanted, array.shape)):
                raise ValueError(f"{self._who}: input '{name}' takes states of shape {wanted}, got {array.shape}.")
            if array.size and np.isnan(array.min()):
                raise ValueError(f"{self._who}: the states for input '{name}', of shape {array.shape}, hold NaN.")
        if start.ndim and start.shape != (batch,):
            raise ValueError(
                f"{self._who}: start_id is an integer, or one for each of {batch} rows of shape ({batch},), got "
                f"{start.shape}."
            )
        prompts = np.empty((batch, 1), np.int32)
        prompts[:, 0] = start
        return prompts, found


def _restored(model, arguments):
    return Decoder(model, **arguments)


# ---- models that read a window ---------------------------------------------------------------------------------------

_generators = weakref.WeakKeyDictionary()  # model -> its Loops, by whether they take logits
_generators_lock = threading.Lock()


@all_or_nothing
def generate(
    model, ids, n, window=None, *, end_id=None, pad_id=0, temperature=None, top_k=None, top_p=None, seed=None,
    from_logits=False,
):  # fmt: skip
    """Writes `n` tokens behind those of `ids`, with a model that reads the last `window` tokens each time.

    model: one input, ids (B, window) or one-hot rows (B, window, V), which are not made where the first layer can take
    ids; one output, probabilities (B, V), or (B, window, V), of which the last counts. ids: (B, L) or (L,) integers, or
    a list of rows of different lengths; where fewer than `window`, `pad_id` stands before them. window: None for the
    length that the model's input has. Greedy without temperature, top_k, top_p and seed, otherwise as `Decoder.sample`.
    end_id: a token that ends a row. Returns a `Decoded` with ids (B, n), for ids (L,) of one row as well.
    Raises ValueError where the arguments do not fit.
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
    window = tokens.length if window is None else _at_least_one(window, "window")
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
    draw = _draw(len(prompts), 1.0 if temperature is None else temperature, top_k, top_p, seed) if drawn else None
    return loop.run(prompts, [], _at_least_one(n, "n"), _token(end_id, "end_id", optional=True), draw=draw)


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
    prompts = np.full((len(rows), window), _token(pad_id, "pad_id"), np.int32)
    for prompt, row in zip(prompts, rows):
        if row.size and (row.dtype.kind not in "iu" or row.min() < 0 or row.max() >= 2**31):
            raise ValueError(f"{who} takes ids that are integers in [0, 2**31), got {row.dtype} {row[:10]}.")
        kept = row[-window:]
        prompt[window - len(kept) :] = kept
    return prompts


# ---- arguments -------------------------------------------------------------------------------------------------------


def _may_equal(a, b):
    return len(a) == len(b) and all(None in pair or pair[0] == pair[1] for pair in zip(a, b))


def _find(tensors, wanted, who, kind):
    """Position of the tensor that `wanted` names: an index, a layer's or tensor's name, or the KerasTensor itself."""
    if isinstance(wanted, KerasTensor):
        found = [i for i, tensor in enumerate(tensors) if tensor is wanted]
    elif isinstance(wanted, str):
        found = [i for i, tensor in enumerate(tensors) if wanted in (layer_name(tensor), tensor.name)]
    elif isinstance(wanted, (int, np.integer)) and not isinstance(wanted, bool):
        found = list(range(len(tensors)))[wanted : wanted + 1 or None]
    else:
        found = []
    if len(found) != 1:
        names = [layer_name(tensor) for tensor in tensors]
        raise ValueError(
            f"{who}: {wanted!r} names {len(found) or 'no'} {kind}{'s' if len(found) > 1 else ''} of the model, which "
            f"has {names}; an index, a name or the KerasTensor itself says which."
        )
    return found[0]


def _at_least_one(value, name):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} is a positive integer, got {value!r}.")
    return int(value)


def _token(value, name, optional=False):
    if optional and value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 0 <= value < 2**31:
        raise ValueError(f"{name} is a token, an integer from 0 on{', or None' if optional else ''}, got {value!r}.")
    return int(value)


def _number(value, name, fits, what):
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
        raise ValueError(f"{name} is a number, got {value!r}.")
    if not np.isfinite(value) or not fits(value):
        raise ValueError(f"{name} is {what}, got {value!r}.")
    return float(value)


def _draw(batch, temperature, top_k, top_p, seed):
    """(a seed for each row (B,) uint64, temperature, top_k, top_p) for src_c/decode.c."""
    # The kernels divide by it in float32, of which this is the smallest number that is not denormal.
    smallest = float(np.finfo(np.float32).tiny)
    hint = f"at least {smallest:.3g} (the limit 0 is greedy)"
    temperature = _number(temperature, "temperature", lambda value: value >= smallest, hint)
    top_p = 1.0 if top_p is None else _number(top_p, "top_p", lambda value: 0 < value <= 1, "above 0 and at most 1")
    top_k = 0 if top_k is None else min(_at_least_one(top_k, "top_k"), 2**31 - 1)  # more tokens than there are
    seeds = np.asarray(default_seed() if seed is None else seed)
    if seeds.dtype.kind not in "iu" or seeds.shape not in ((), (batch,)):
        raise ValueError(
            f"seed is an integer, or one for each of {batch} rows, of shape ({batch},); got {seeds.dtype} of shape "
            f"{seeds.shape}."
        )
    # Rows of one seed are told apart by their number; a seed given for a row alone is that of row 0.
    numbers = np.arange(batch, dtype=np.uint64) if seeds.ndim == 0 else np.zeros(batch, np.uint64)
    mixed = _mixed(np.broadcast_to(seeds, (batch,)).astype(np.uint64)) + numbers
    return _mixed(mixed), temperature, top_k, top_p


def _mixed(z):
    """The finalizer of SplitMix64 on uint64 (B,), as fs_mix in src_c/internal.h."""
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
