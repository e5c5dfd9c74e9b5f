"""Decoding: whole loops of a model that writes token after token, in one native call each.

`Decoder` is for a one-step model with its states as inputs and outputs, as Keras's tutorials build it around an
encoder-decoder (https://keras.io/examples/nlp/lstm_seq2seq/). step.py makes the model's step, loop.py and
src_c/decode/decode.c are the loop; generation.py has the models that read a window of tokens.
"""

import numpy as np

from fastseq.decoding.arguments import at_least_one, checked_number, checked_token, draw_of, find, may_equal
from fastseq.decoding.loop import Loop
from fastseq.decoding.step import TokenInput, graph_of, layer_name
from fastseq.layers.binding import is_ready
from fastseq.native.kept_states import all_or_nothing
from fastseq.tensors import arrays


class Decoder:
    """Greedy, sampled and beam decoding with a one-step model: the last token and states to probabilities and states.

    A softmax at the model's end is recognised and left out. The methods take the states before the first step: a list
    of arrays (B, ...) float32, one for each pair, a dict by input name, or the one array alone. They return a
    `Decoded`. A row's result does not depend on the other rows nor on the number of threads. A layer in Python makes
    the loop take the GIL in every step. Tokens whose probabilities round to the same float32 number are told apart by
    their logits.

    Args:
        model (Model): A Sequential or functional model. Its inputs and outputs are named by layer name, index or
            KerasTensor.
        token_input (int, str or KerasTensor, default 0): The input for the last token: ids of shape (B, 1) or (B,), or
            one-hot rows (B, 1, V) or (B, V), which are never made.
        token_output (int, str or KerasTensor, default 0): The output of probabilities, (B, 1, V) or (B, V).
        states (list of pairs, default None): [(input, output), ...], what is carried from step to step; (input, None)
            is an input that stays as it is given. None: the other inputs and outputs belong together in their order.
        start_id (int or array): The first token read, one for all rows or (B,) of them.
        end_id (int, default None): The token that ends a row; None is none.
        max_length (int): Tokens of a row at most.
        from_logits (bool, default False): Whether the output is logits.

    Raises:
        ValueError: With names and both shapes, where model and arguments do not fit; in a call, for states that hold
            NaN, for ids that a layer does not take, and where the model gives NaN.

    Example:
        >>> token, h = layers.Input((1,)), layers.Input((4,), name="h")
        >>> y, h_next = layers.GRU(4, return_state=True)(layers.Embedding(6, 3)(token), initial_state=h)
        >>> model = fastseq.Model([token, h], [layers.Dense(6, activation="softmax")(y), h_next])
        >>> decoder = decoding.Decoder(model, states=[("h", 1)], start_id=0, max_length=5)
        >>> decoder.greedy(np.zeros((2, 4))).ids.shape
        (2, 5)
        >>> decoder.sample(np.zeros((2, 4)), temperature=0.5, seed=7).lengths.tolist()
        [5, 5]
        >>> decoder.beam(np.zeros((2, 4)), width=3).scores.shape
        (2, 3)
    """

    def __init__(
        self, model, *, token_input=0, token_output=0, states=None, start_id, end_id=None, max_length,
        from_logits=False,
    ):  # fmt: skip
        self._who = f"The decoder of model '{model.name}'"
        graph = graph_of(model, self._who)
        self.model, self.max_length = model, at_least_one(max_length, "max_length")
        self.end_id = checked_token(end_id, "end_id", optional=True)
        token = find(graph.inputs, token_input, self._who, "input")
        output = find(graph.outputs, token_output, self._who, "output")
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
            position = find(graph.inputs, pair[0], self._who, "input")
            out = None if pair[1] is None else find(graph.outputs, pair[1], self._who, "output")
            if position not in others or position in [p for p, _, _ in pairs]:
                raise ValueError(f"{self._who}: input {pair[0]!r} is named twice, or takes the tokens.")
            shape, left = tuple(graph.inputs[position].shape), None if out is None else tuple(graph.outputs[out].shape)
            if left is not None and not may_equal(shape, left):
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
        """The most probable token at every step, the lower of two alike.

        Args:
            states (list, dict or array, default ()): The states before the first step, float32 (B, ...) each.
            scores (bool, default True): Whether scores are summed; without, no exponential is computed.

        Returns:
            A `Decoded` with ids int32 (B, max_length), lengths (B,) and scores (B,) or None.

        Raises:
            ValueError: States that do not fit or hold NaN, and a model that gives NaN.
        """
        prompts, states = self._given(states)
        return self._loop.run(prompts, states, self.max_length, self.end_id, scored=bool(scores))

    @all_or_nothing
    def sample(self, states=(), temperature=1.0, top_k=None, top_p=None, seed=None):
        """Tokens drawn at random. The same seed gives the same tokens, whatever the threads.

        Args:
            states (list, dict or array, default ()): The states before the first step, float32 (B, ...) each.
            temperature (float, default 1.0): Divides the logits; above 0.
            top_k (int, default None): Only the k most probable tokens are drawn; None is all.
            top_p (float, default None): Of these only the fewest that together have this share of their probability;
                None is all. Source: Holtzman et al. 2020, https://arxiv.org/abs/1904.09751.
            seed (int or array, default None): From which each row gets a sequence of its own, or (B,) of them, one for
                each row; None draws one from Python's random.

        Returns:
            A `Decoded` with ids int32 (B, max_length), lengths (B,) and scores (B,), which are of the model, at
            temperature 1.

        Raises:
            ValueError: As `greedy`, and numbers out of range.
        """
        prompts, states = self._given(states)
        draw = draw_of(len(prompts), temperature, top_k, top_p, seed)
        return self._loop.run(prompts, states, self.max_length, self.end_id, draw=draw)

    @all_or_nothing
    def beam(self, states=(), width=4, length_penalty=0.0):
        """The `width` best sequences that a beam search finds, best first.

        At every step each hypothesis that goes on offers all tokens, each that has ended itself; the best `width` of
        all stay, by score, then in the order of their hypotheses, then of tokens. Where there are fewer sequences than
        `width`, the rest have length 0 and score -inf.

        Args:
            states (list, dict or array, default ()): The states before the first step, float32 (B, ...) each.
            width (int, default 4): Number of hypotheses of a row, at least 1.
            length_penalty (float, default 0.0): Scores are divided by ((5 + length) / 6) ** length_penalty; at least 0.
                Source: Wu et al. 2016, https://arxiv.org/abs/1609.08144.

        Returns:
            A `Decoded` with ids int32 (B, width, max_length), lengths and scores (B, width).

        Raises:
            ValueError: As `greedy`, and numbers out of range.
        """
        width = at_least_one(width, "width")
        penalty = checked_number(length_penalty, "length_penalty", lambda value: value >= 0, "at least 0")
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
            if array.shape != wanted and (array.ndim == 0 or not may_equal(wanted, array.shape)):
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
