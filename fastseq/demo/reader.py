"""Greedy decoding with the demo's model: the text is read once, then every step feeds the last character back in."""

import numpy as np

import fastseq
from fastseq.decoding import Decoder
from fastseq.demo import dates


class StepReader:
    """Texts to ISO dates with a loop in Python around the trained model's layers, as Keras's tutorials have it.

    Parameters
    ----------
    engine : module
        `fastseq`, or `keras` to run the same code there: both have ``Input``, ``Model`` and the methods used here.
    model : engine.Model
        The model of ``dates.keras``, loaded with that engine.
    call : str
        The model method of every step: ``"predict_on_batch"``, or ``"predict"`` as the tutorials have it.
    """

    def __init__(self, engine, model, call="predict_on_batch"):
        layer = model.get_layer
        texts = engine.Input((None,), dtype="int32")
        _, state = layer("encoder")(layer("text_embedding")(texts))
        self.encoder = engine.Model(texts, state)

        last = engine.Input((1,), dtype="int32")
        before = engine.Input((layer("decoder").units,))
        # A GRU's output is its state, so one step's output is all that the next step needs.
        after = layer("decoder")(layer("answer_embedding")(last), initial_state=before)
        state = engine.layers.Reshape((layer("decoder").units,))(after)
        self.step = engine.Model([last, before], [layer("characters")(after), state])
        self._options = {"verbose": 0} if call == "predict" else {}
        self._call = call

    def _run(self, model, inputs):
        return getattr(model, self._call)(inputs, **self._options)

    def read_ids(self, text_ids):
        """Ids ``(B, T)`` of texts to ids ``(B, 10)`` of answers: one encoder call and ten decoder calls."""
        state = self._run(self.encoder, text_ids)
        last = np.zeros((len(text_ids), 1), np.int32)
        written = np.empty((len(text_ids), dates.ISO_LENGTH), np.int32)
        for column in range(dates.ISO_LENGTH):
            characters, state = self._run(self.step, [last, state])
            last = characters.argmax(-1).astype(np.int32)
            written[:, column] = last[:, 0]
        return written

    def read(self, texts):
        """A list of texts to a list of ISO dates. Raises `ValueError` for a text that `dates.encode` refuses."""
        return dates.decode(self.read_ids(dates.encode(texts))) if len(texts) else []


class DateReader(StepReader):
    """The same with `fastseq.decoding`: one encoder call and one call for the ten characters of all texts."""

    def __init__(self, model):
        super().__init__(fastseq, model)
        self._decoder = Decoder(self.step, start_id=0, max_length=dates.ISO_LENGTH)

    def read_ids(self, text_ids):
        """Ids ``(B, T)`` of texts to ids ``(B, 10)`` of answers."""
        return self._decoder.greedy(self.encoder(text_ids), scores=False).ids
