"""The best sequence of tags by Viterbi's algorithm, as a layer of a user's that is traced; beside NumPy and Keras.

The layer of a conditional random field: scores of tags at each timestep, learnt scores of transitions, the best path
forwards with `ops.scan`, and back along the pointers.
"""

import itertools

import numpy as np
import pytest

import fastseq
from fastseq.layers.traced_calls import untraced

B, T, TAGS = 4, 7, 5


def viterbi_of(library):
    """The layer with the `ops` and `layers` of one library."""
    layers, ops = library.layers, library.ops

    class Viterbi(layers.Layer):
        """(B, T, tags) scores, mask (B, T) of leading steps -> (B, T) int32 tags; the last one goes on behind a row."""

        supports_masking = True

        def build(self, input_shape):
            self.transitions = self.add_weight(shape=(input_shape[-1],) * 2, name="transitions")

        def compute_output_shape(self, input_shape):
            return input_shape[:2]

        def compute_mask(self, inputs, mask=None):
            return mask

        def call(self, scores, mask=None):
            if mask is None:
                mask = ops.ones(ops.shape(scores)[:2], dtype="bool")
            steps = ops.swapaxes(scores, 0, 1)[1:], ops.swapaxes(mask, 0, 1)[1:]
            here = ops.broadcast_to(ops.arange(scores.shape[-1], dtype="int32"), scores[:, 0].shape)

            def forward(best, step):
                score, there = step
                ways = ops.expand_dims(best, 2) + self.transitions
                pointers = ops.cast(ops.argmax(ways, axis=1), "int32")
                there = ops.expand_dims(there, -1)
                following = ops.where(there, ops.max(ways, axis=1) + score, best)
                # In floats, as Keras on TensorFlow wants what a scan gives to have the carry's dtype.
                return following, ops.cast(ops.where(there, pointers, here), "float32")

            best, pointers = ops.scan(forward, scores[:, 0], steps)
            last = ops.cast(ops.argmax(best, axis=-1), "int32")

            def back(tag, pointer):
                pointer = ops.cast(pointer, "int32")
                before = ops.squeeze(ops.take_along_axis(pointer, ops.expand_dims(tag, 1), axis=1), 1)
                return ops.cast(before, "int32"), tag

            first, others = ops.scan(back, last, pointers, reverse=True)
            return ops.swapaxes(ops.concatenate([ops.expand_dims(first, 0), others], axis=0), 0, 1)

    return Viterbi


def best_by_all_paths(scores, transitions, length):
    """The best of all sequences of `length` tags, in float64; the last tag is repeated behind it."""
    scores, transitions = scores.astype(np.float64), transitions.astype(np.float64)
    paths = np.array(list(itertools.product(range(scores.shape[1]), repeat=length)))
    value = scores[np.arange(length), paths].sum(1) + transitions[paths[:, :-1], paths[:, 1:]].sum(1)
    best = list(paths[value.argmax()])
    return best + best[-1:] * (len(scores) - length)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


LENGTHS = np.array([7, 4, 1, 6])
MASK = np.arange(T) < LENGTHS[:, None]


def test_paths_are_the_best_of_all_and_no_step_is_python():
    layer = viterbi_of(fastseq)()
    scores = draw(B, T, TAGS)
    layer(scores)
    layer.set_weights([draw(TAGS, TAGS, seed=1)])
    (transitions,) = layer.get_weights()
    for mask, lengths in ((None, [T] * B), (MASK, LENGTHS)):
        found = layer(scores, mask=mask)
        assert untraced(layer) is None
        wanted = [best_by_all_paths(row, transitions, n) for row, n in zip(scores, lengths)]
        np.testing.assert_array_equal(found, wanted)
        alone = layer(scores[1:2], mask=None if mask is None else mask[1:2])
        np.testing.assert_array_equal(alone[0], found[1])


@pytest.mark.tensorflow
def test_in_a_tagger_beside_keras():
    keras = pytest.importorskip("keras")
    models = []
    for library, model in ((keras, keras.Model), (fastseq, fastseq.Model)):
        layers = library.layers
        ids = layers.Input((T,), dtype="int32")
        h = layers.Embedding(9, 6, mask_zero=True)(ids)
        h = layers.SimpleRNN(4, return_sequences=True)(h)
        models.append(model(ids, viterbi_of(library)()(layers.Dense(TAGS)(h))))
    theirs, own = models
    own.set_weights([draw(*w.shape, seed=i) for i, w in enumerate(own.get_weights())])
    theirs.set_weights(own.get_weights())
    ids = np.random.default_rng(2).integers(1, 9, (B, T)).astype("i4") * MASK
    np.testing.assert_array_equal(own.predict(ids, verbose=0), theirs(ids))
    assert not own._programs.program(own, {"inputs": ids}).has_python
    np.testing.assert_array_equal(own(ids[1:2])[0], own(ids)[1])
    with pytest.raises(ValueError, match="cannot run in a stream"):
        own.stream()
