"""Decoding in plain NumPy over any step function: what fastseq.decoding computes, written to be read.

A step function takes the last tokens, (B,) int32, and a list of states, each (B, ...), and returns the probabilities of
the next token, (B, V), and the list of new states. Scores are sums of log-probabilities in float64.
"""

from typing import NamedTuple

import numpy as np


class Decoded(NamedTuple):
    """ids, lengths and scores as fastseq.decoding has them.

    margins: (B,), the smallest gap that a choice of the row hung on: of two probabilities in a greedy choice, of two
    scores in a beam. Engines whose errors are smaller must choose alike.
    """

    ids: np.ndarray
    lengths: np.ndarray
    scores: np.ndarray
    margins: np.ndarray


def filled(rows, end_id, max_length):
    """ids of results before anything is chosen: (rows, max_length) of end_id, of 0 where there is none."""
    return np.full((rows, max_length), 0 if end_id is None else end_id, np.int32)


def greedy(step, states, *, start_id, end_id=None, max_length):
    """The most probable token each time, of equals the lower one; start_id an int or (B,)."""
    rows = len(states[0])
    tokens = np.broadcast_to(start_id, rows).astype(np.int32)
    ids, lengths, scores = filled(rows, end_id, max_length), np.zeros(rows, np.int32), np.zeros(rows)
    live, margins = np.ones(rows, bool), np.full(rows, np.inf)
    for position in range(max_length):
        probabilities, states = step(tokens, states)
        tokens = probabilities.argmax(-1).astype(np.int32)
        ids[live, position] = tokens[live]
        lengths[live] += 1
        scores[live] += np.log(probabilities.max(-1)[live].astype("f8"))
        second, first = np.sort(probabilities[live], axis=-1)[:, -2:].T.astype("f8")
        margins[live] = np.minimum(margins[live], first - second)
        live &= tokens != end_id
        if not live.any():
            break
    return Decoded(ids, lengths, scores, margins)


class Hypothesis(NamedTuple):
    """The beginning of a sentence. states: those after its last token but one, each (1, ...)."""

    tokens: tuple
    total: float  # sum of the tokens' log-probabilities
    states: list

    def finished(self, end_id):
        return self.tokens[-1:] == (end_id,)

    def score(self, length_penalty):
        """Wu et al. 2016, https://arxiv.org/abs/1609.08144, section 7, without coverage."""
        return self.total / ((5 + len(self.tokens)) / 6) ** length_penalty


def beam(step, states, *, start_id, end_id=None, max_length, width=4, length_penalty=0.0):
    """The best `width` sentences of a beam search, best first: ids (B, width, max_length), lengths, scores (B, width).

    Every live hypothesis offers all tokens, every finished one itself; the best `width` stay, of equals those of the
    earlier hypothesis, then the lower token. Where the search finds fewer, the rest has length 0 and score -inf.
    """
    rows = len(states[0])
    starts = np.broadcast_to(start_id, rows)
    ids = filled(rows * width, end_id, max_length).reshape(rows, width, max_length)
    lengths, scores = np.zeros((rows, width), np.int32), np.full((rows, width), -np.inf)
    margins = np.full(rows, np.inf)
    for row in range(rows):
        begin = Hypothesis((), 0.0, [state[row : row + 1] for state in states])
        kept, margins[row] = _beam_of_one(step, begin, int(starts[row]), end_id, max_length, width, length_penalty)
        for place, hypothesis in enumerate(kept):
            lengths[row, place] = len(hypothesis.tokens)
            ids[row, place, : lengths[row, place]] = hypothesis.tokens
            scores[row, place] = hypothesis.score(length_penalty)
    return Decoded(ids, lengths, scores, margins)


def _beam_of_one(step, begin, start_id, end_id, max_length, width, length_penalty):
    """(hypotheses, best first; margin)."""
    kept, margin = [begin], np.inf
    for _ in range(max_length):
        live = [hypothesis for hypothesis in kept if not hypothesis.finished(end_id)]
        if not live:
            break
        last = np.array([hypothesis.tokens[-1] if hypothesis.tokens else start_id for hypothesis in live], np.int32)
        probabilities, after = step(last, [np.concatenate(parts) for parts in zip(*(h.states for h in live))])
        with np.errstate(divide="ignore"):
            logs = np.log(probabilities.astype("f8"))
        offered, rows = [], iter(range(len(live)))
        for hypothesis in kept:
            if hypothesis.finished(end_id):
                offered.append(hypothesis)
                continue
            row = next(rows)
            new = [state[row : row + 1] for state in after]
            offered += [
                Hypothesis((*hypothesis.tokens, token), hypothesis.total + float(log), new)
                for token, log in enumerate(logs[row])
            ]
        offered.sort(key=lambda hypothesis: -hypothesis.score(length_penalty))  # stable: equals stay in their order
        best = np.array([hypothesis.score(length_penalty) for hypothesis in offered[: width + 1]])
        gaps = -np.diff(best[np.isfinite(best)])
        margin = min(margin, float(gaps.min(initial=np.inf)))
        kept = offered[:width]
    return kept, margin


def distribution(probabilities, temperature=1.0, top_k=None, top_p=None):
    """What a sampled token is drawn from: (V,) probabilities -> (V,), zeros for tokens that cannot be chosen.

    logits / temperature; then the top_k most probable tokens; then the fewest of these, most probable first, whose
    share of what is left reaches top_p. Of equals the lower token comes first.
    """
    with np.errstate(divide="ignore"):
        logits = np.log(np.asarray(probabilities, np.float64)) / temperature
    shares = np.exp(logits - logits.max())
    order = np.argsort(-shares, kind="stable")[:top_k]
    if top_p is not None:
        sums = np.cumsum(shares[order]) / shares[order].sum()
        order = order[: 1 + int((sums < top_p).sum())]
    result = np.zeros_like(shares)
    result[order] = shares[order] / shares[order].sum()
    return result


def generate(predict, rows, n, window, *, end_id=None, pad_id=0):
    """n more tokens for each row of ids, with predict: (B, window) int32 -> (B, V) probabilities."""
    padded = np.array([([pad_id] * window + list(row))[-window:] for row in rows], np.int32)

    def step(tokens, states):
        recent = np.concatenate([states[0], tokens[:, None]], axis=1)
        return predict(recent), [recent[:, 1:]]

    return greedy(step, [padded[:, :-1]], start_id=padded[:, -1], end_id=end_id, max_length=n)
