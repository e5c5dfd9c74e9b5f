"""What decoders share: a model's step, and one call of src_c/decode.c for all tokens of all rows."""

from typing import NamedTuple

import numpy as np

from fastseq.decoding import _decode
from fastseq.decoding.step import StepPlan, StepPlans, layer_name
from fastseq.decoding.windows import sliding_plan
from fastseq.native import runtime

# Rows that one thread has in hand: they bound its memory, and hardly its time. 64 rows of LSTM(256) and 20 tokens take
# 11.3 to 11.6 ms with 6, 12, 16, 24 or 64 rows at a time (one core of Zen 4, best of 12 to 15 rounds).
_MOST_ROWS = 48
# Multiply-adds that make a second thread worth it (as FS_MIN_WORK_PER_THREAD in src_c/plan.c). With more bytes of
# weights than the second number few rows run one after the other, by all threads together, not side by side.
_LEAST_WORK, _LARGE_WEIGHTS = 1.2e6, 4 << 20
_MOST_TOKENS = 1 << 24  # the kernels count in float32
# Windows that may advance side by side. LSTM(128), 40 tokens, one core of Zen 4, best of 5 rounds, ms row by row ->
# side by side: 1 row, windows of 8: 0.78 -> 0.51, of 16: 1.73 -> 0.97; 2 rows of 16: 1.95 -> 2.02, of 40: 8.8 -> 9.1; 8
# rows of 40 (320 windows): 30 -> 35. A single row gains; from 2 rows on the rows fill a batch by themselves.
_FEWEST_WINDOWS, _MOST_WINDOWS = 8, 320


class Decoded(NamedTuple):
    """What a loop wrote.

    Args:
        ids (array): Tokens, int32 (B, n), a beam's (B, width, n). Behind `lengths` they are the end token, or 0 where
            there is none.
        lengths (array): Tokens of each row with the end token, int32 (B,), a beam's (B, width).
        scores (array): Sums of the tokens' log-probabilities, float32 (B,), a beam's (B, width); None where none were
            asked for.

    Example:
        >>> found = decoding.Decoded(np.array([[3, 1]]), np.array([2]), None)
        >>> found.lengths.tolist()
        [2]
    """

    ids: np.ndarray
    lengths: np.ndarray
    scores: np.ndarray | None


class Loop:
    """A model's step and the loop around it. who: begins errors; carried: see StepPlan."""

    def __init__(self, who, model, graph, tokens, output, carried, from_logits):
        self.who, self.model, self.graph, self.tokens, self.output = who, model, graph, tokens, output
        self.carried, self.from_logits = carried, from_logits
        self.weights = model.count_params()
        self.plans = StepPlans()

    def _plan(self, batch, beam, window, steps, states):
        """(a plan, rows that a worker has room for, workers, threads of each step)."""
        threads = runtime.get_num_threads()
        if min(window, steps) >= _FEWEST_WINDOWS and batch * window <= _MOST_WINDOWS:
            plan = self.plans.find(
                ("sliding", window), lambda: sliding_plan(self.plans, self.model, self.graph, self.tokens, window)
            )
            if plan is not None:
                workers = min(threads, batch) if plan.native else 1
                return plan, 1, workers, threads if workers == 1 else 1
        few = batch < 4 * threads and self.weights * 4 > _LARGE_WEIGHTS
        work = self.weights * steps * window * batch * beam
        workers = 1 if few or work < _LEAST_WORK else min(threads, batch)
        rows = min(-(-batch // workers), max(1, _MOST_ROWS // beam)) * beam
        carried = [(position, state.shape[1:], out) for (position, _, out), state in zip(self.carried, states)]
        plan = self.plans.find(
            (rows, window, tuple(shape for _, shape, _ in carried)),
            lambda: StepPlan(self.plans, self.model, self.graph, self.tokens, window, self.output, carried, rows),
        )
        if not (plan.exact and plan.native):
            workers = 1  # steps in Python, or steps that cannot leave rows out
        return plan, rows, workers, threads if workers == 1 else 1

    def run(self, prompts, states, steps, end_id, *, width=0, length_penalty=0.0, scored=True, draw=None):
        """prompts (B, window) int32; states: float32 arrays; draw: None, or (seeds (B,), temperature, top_k, top_p)."""
        batch, window = prompts.shape
        beam = max(width, 1)
        ids = np.full((batch, beam, steps), 0 if end_id is None else end_id, np.int32)
        lengths, scores = np.zeros((batch, beam), np.int32), np.zeros((batch, beam), np.float32) if scored else None
        if batch:
            plan, capacity, workers, step_threads = self._plan(batch, beam, window, steps, states)
            if plan.vocabulary > _MOST_TOKENS:
                raise ValueError(f"{self.who}: {plan.vocabulary} tokens are more than the {_MOST_TOKENS} supported.")
            if end_id is not None and not end_id < plan.vocabulary:
                raise ValueError(f"{self.who}: end_id={end_id}, but it writes tokens in [0, {plan.vocabulary}).")
            seeds, temperature, top_k, top_p = draw or (None, 1.0, 0, 1.0)
            wanted = {
                "rows": batch, "width": width, "max_length": steps, "end": -1 if end_id is None else end_id,
                "draw": draw is not None, "probabilities": plan.probabilities and not self.from_logits,
                "temperature": temperature, "top_k": top_k, "top_p": top_p, "length_penalty": length_penalty,
            }  # fmt: skip
            results = iter(range(2 + len(states), 2 + 2 * len(states)))
            carried = [
                (state, 1 + i, -1 if out is None else next(results))
                for i, (state, (_, _, out)) in enumerate(zip(states, self.carried))
            ]
            failed = _decode.run(
                plan, carried, wanted, capacity, workers, step_threads, prompts, seeds, ids, lengths, scores
            )
            if failed is not None:
                raise self._no_choice(*failed, wanted["probabilities"])
        if width:
            return Decoded(ids, lengths, scores)
        return Decoded(ids[:, 0], lengths[:, 0], None if scores is None else scores[:, 0])

    def _no_choice(self, row, step, probabilities):
        name = layer_name(self.graph.outputs[self.output])
        hint = " Values that are logits, not probabilities, want from_logits=True." if probabilities else ""
        return ValueError(
            f"{self.who}: at step {step} of row {row} the output of layer '{name}' is NaN, infinite or no "
            f"probability.{hint}"
        )
