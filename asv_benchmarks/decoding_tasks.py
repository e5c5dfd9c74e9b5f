"""What decoding_peers.py measures: tokens that a model writes, each chosen from what it made of those before."""

from dataclasses import dataclass

import numpy as np
from cells import Cell, Step, all_cells
from reference import float64

from fastseq.layers.recurrent.lstm import reference_lstm

START = 0  # the token that a decoder begins with


class _Clear(Cell):
    """A cell whose choices are clear and differ from row to row."""

    def weights(self):
        first, *others, (kernel, bias) = super().weights()
        if not self.ids:  # a one-hot row is as long as one value, not as all of them
            first = [first[0] * np.float32(np.sqrt(self.shape[-1])), *first[1:]]
        return [first, *others, [8 * kernel, bias]]


@dataclass(frozen=True)
class Task:
    """A row of the table.

    cell: a model that reads (B, window) ids, or one step of an LSTM decoder over one-hot rows (B, 1, V). tokens: how
    many every row writes; none ends earlier, so that all engines take as many steps.
    """

    name: str
    cell: Cell
    tokens: int

    @property
    def rows(self):
        return self.cell.shape[0]

    @property
    def window(self):
        """How many tokens the model reads each time; 0 for a decoder with states."""
        return self.cell.shape[1] if self.cell.ids else 0

    @property
    def vocabulary(self):
        return self.cell.steps[-1].units

    @property
    def flops(self):
        """Of all tokens: a multiply-add counts two, a product with a one-hot row none, for it is a look-up."""
        looked_up = 0 if self.window else 8.0 * self.rows * self.vocabulary * self.cell.steps[0].units
        return self.tokens * (self.cell.flops - looked_up)

    @property
    def weight_bytes(self):
        """What a decoder reads for every token, its recurrent and its Dense kernel.

        0 for a text model: its windows overlap, so that one reading may serve many of them.
        """
        if self.window:
            return 0
        return 4 * sum(own[i].size for own, i in zip(self.cell.weights(), (1, 0)))

    def start(self):
        """[(B, window) ids], or the states [h (B, units), c] as an encoder gives them."""
        if self.window:
            return self.cell.inputs()
        rng, shape = np.random.default_rng(4), (self.rows, self.cell.steps[0].units)
        return [rng.uniform(-1, 1, shape).astype(np.float32) for _ in range(2)]

    def written(self):
        """(B, tokens) int64: the most probable token each time, in NumPy float64. No choice hangs on less than 1e-4."""
        step = self._window_step() if self.window else self._state_step()
        found, token = np.empty((self.rows, self.tokens), np.int64), np.full(self.rows, START)
        for position in range(self.tokens):
            probabilities = step(token)
            found[:, position] = token = probabilities.argmax(-1)
            second, first = np.sort(probabilities, axis=-1)[:, -2:].T
            if (first - second).min() < 1e-4:
                raise ValueError(f"{self.name}: token {position} hangs on {(first - second).min():.2g}.")
        return found

    def _window_step(self):
        [recent] = self.start()

        def step(token):
            nonlocal recent
            [probabilities] = float64(self.cell, [recent])
            recent = np.concatenate([recent[:, 1:], probabilities.argmax(-1)[:, None].astype(recent.dtype)], axis=1)
            return probabilities

        return step

    def _state_step(self):
        lstm, (kernel, bias) = [[w.astype("f8") for w in own] for own in self.cell.weights()]
        states = [state.astype("f8") for state in self.start()]

        def step(token):
            nonlocal states
            y, states = reference_lstm(np.eye(self.vocabulary)[token][:, None], *lstm, states=states)
            logits = y[:, 0] @ kernel + bias
            shares = np.exp(logits - logits.max(-1, keepdims=True))
            return shares / shares.sum(-1, keepdims=True)

        return step


def all_tasks():
    tasks = []
    for rows, name in ((1, "one sentence"), (64, "64 sentences")):
        steps = (Step("LSTM", 256), Step("Dense", 90, activation="softmax"))
        cell = _Clear("LSTM(256)-Dense(90)", (rows, 1, 90), steps)
        tasks.append(Task(f"LSTM(256), 90 characters, 30 steps, {name}", cell, 30))
    text = next(cell for cell in all_cells() if cell.ids and cell.shape[0] == 1)
    tasks.append(Task(f"{text.name}, 120 characters", _Clear(text.name, text.shape, text.steps), 120))
    return tasks
