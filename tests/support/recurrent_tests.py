"""The tests that every recurrent layer passes; test_lstm.py, test_gru.py and test_simple_rnn.py fill in the layer."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_check import EPS, check_layer, isa, leaves, random_weights

import fastseq
from fastseq.native import runtime

SIZES = [(1, 1, 1, 1), (2, 3, 4, 5), (1, 9, 40, 64), (7, 12, 37, 100), (13, 5, 15, 16), (33, 4, 20, 17)]
SIZES += [(3, 40, 130, 48)]
# Kernels take 16 units, 4 panels and 6 or 3 rows at a time: sizes around those edges.
EDGES = list(itertools.product((1, 5, 6, 7, 18, 19), (15, 16, 17, 64, 65)))
ACTIVATIONS = [
    "relu", "sigmoid", "sparse_sigmoid", "softplus", "softsign", "tanh", "silu", "gelu", "elu", "selu", "exponential",
    "hard_sigmoid", "hard_silu", "linear", "mish", "leaky_relu", "relu6", "celu", "hard_tanh", "hard_shrink",
    "tanh_shrink", "squareplus", "soft_shrink", "sparse_plus", "log_sigmoid", "softmax", "log_softmax",
    "sparsemax",
]  # fmt: skip


def mask_patterns(batch, time, rng):
    """Right- and left-padded, holes, all masked, nothing masked, and no row like another."""
    t = np.arange(time)
    lengths = rng.integers(0, time + 1, batch)[:, None]
    patterns = {
        "right": t < lengths,
        "left": t >= time - lengths,
        "inside": rng.random((batch, time)) < 0.6,
        "first only": np.broadcast_to(t == 0, (batch, time)),
        "all masked": np.zeros((batch, time), bool),
        "nothing masked": np.ones((batch, time), bool),
    }
    return {name: np.ascontiguousarray(mask) for name, mask in patterns.items()}


class RecurrentTests:
    """Subclasses set `name` and `options`: variants of the layer as lists of constructor arguments."""

    name = None
    variants = [{}]
    states = 1

    def make(self, units, **kwargs):
        return lambda layers: getattr(layers, self.name)(units, **kwargs)

    def initial_state(self, batch, units, rng):
        states = [rng.standard_normal((batch, units)).astype("f") for _ in range(self.states)]
        return states if self.states > 1 else states[0]

    @pytest.mark.tensorflow
    @pytest.mark.parametrize("size", SIZES, ids=str)
    def test_sizes(self, size, rng):
        batch, time, inputs, units = size
        x = rng.standard_normal((batch, time, inputs)).astype("f")
        for variant in self.variants:
            check_layer(self.make(units, return_sequences=True, return_state=True, **variant), x)

    @pytest.mark.tensorflow
    @pytest.mark.parametrize("sequences", [False, True])
    @pytest.mark.parametrize("backwards", [False, True])
    @pytest.mark.parametrize("state", [False, True])
    @pytest.mark.parametrize("initial", [False, True])
    def test_options(self, sequences, backwards, state, initial, rng):
        x = rng.standard_normal((4, 4, 3)).astype("f")
        call = {"initial_state": self.initial_state(4, 5, rng)} if initial else {}
        options = {"return_sequences": sequences, "go_backwards": backwards, "return_state": state}
        for variant in self.variants:
            check_layer(self.make(5, **options, **variant), x, call)

    @pytest.mark.tensorflow
    @pytest.mark.parametrize("pattern", ["right", "left", "inside", "first only", "all masked", "nothing masked"])
    @pytest.mark.parametrize("backwards", [False, True])
    @pytest.mark.parametrize("zero", [False, True])
    def test_masks(self, pattern, backwards, zero, rng):
        x = rng.standard_normal((8, 4, 3)).astype("f")
        masks = mask_patterns(8, 4, rng)
        options = {"go_backwards": backwards, "zero_output_for_mask": zero, "return_state": True}
        for variant in self.variants:
            for sequences in (True, False):
                make = self.make(5, return_sequences=sequences, **options, **variant)
                for more in ({}, {"initial_state": self.initial_state(8, 5, rng)}):
                    calls = {name: {"mask": mask, **more} for name, mask in masks.items()}
                    check_layer(make, x, calls[pattern], together=list(calls.values()))

    @pytest.mark.tensorflow
    def test_mask_attached_to_the_input(self, rng):
        keras = pytest.importorskip("keras")
        x = rng.standard_normal((3, 5, 2)).astype("f")
        x[1, 2:] = 0
        x[2, :2] = 0
        theirs = [keras.layers.Masking(), getattr(keras.layers, self.name)(4, return_sequences=True)]
        ours = [fastseq.layers.Masking(), getattr(fastseq.layers, self.name)(4, return_sequences=True)]
        expected, found = theirs[1](theirs[0](x)), ours[1](ours[0](x))
        ours[1].set_weights(theirs[1].get_weights())
        found = ours[1](ours[0](x))
        np.testing.assert_allclose(found, expected, atol=1e-6)
        np.testing.assert_array_equal(found._keras_mask, np.asarray(expected._keras_mask))

    @pytest.mark.tensorflow
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_activations(self, activation, rng):
        # Enough numbers for errors to average out, and small ones: unbounded activations feed on themselves.
        x = 0.5 * rng.standard_normal((48, 3, 4)).astype("f")
        for variant in self.variants:
            shapes = [v.shape for v in self.layer(x, 17, **variant).weights]
            weights = [0.25 * w for w in random_weights(shapes)]
            given = [{"activation": activation}]
            given += [{"recurrent_activation": activation}] if self.name != "SimpleRNN" else []
            for options in given:
                options = {**options, **variant}
                check_layer(self.make(17, **options), x, weights=weights, truth=self.truth_by_twin(17, **options))

    def truth_by_twin(self, units, **options):
        """The NumPy twin in float64: TensorFlow rounds the constants of some activations to float32."""

        def truth(x, weights, call):
            layer = getattr(fastseq.layers, self.name)(units, **options)
            layer.build(x.shape)
            weights = [w.astype("f8") for w in weights]
            outputs, _ = layer.reference(x.astype("f8"), (*weights[:2], weights[2] if len(weights) > 2 else None))
            return outputs[:, -1]

        return truth

    @pytest.mark.tensorflow
    def test_other_arguments(self, rng):
        x = rng.standard_normal((3, 4, 3)).astype("f")
        for variant in self.variants:
            check_layer(self.make(5, use_bias=False, **variant), x)
            check_layer(self.make(5, unroll=True, **variant), x)
            check_layer(self.make(5, dropout=0.3, recurrent_dropout=0.2, seed=1, **variant), x)
            # Keras 3.15's SimpleRNN drops its activity_regularizer, so their configs would differ.
            activity = {} if self.name == "SimpleRNN" else {"activity_regularizer": "l2"}
            check_layer(
                self.make(
                    5, **activity, kernel_initializer="he_normal", recurrent_initializer="glorot_normal",
                    bias_initializer="ones",
                    kernel_regularizer="l2", recurrent_regularizer="l2", bias_regularizer="l2",
                    kernel_constraint="max_norm", recurrent_constraint="non_neg",
                    bias_constraint="unit_norm", **variant,
                ),
                x,
            )  # fmt: skip

    @pytest.mark.tensorflow
    def test_stateful(self, rng):
        keras = pytest.importorskip("keras")
        x = rng.standard_normal((3, 4, 2)).astype("f")
        for variant in self.variants:
            theirs = getattr(keras.layers, self.name)(5, stateful=True, return_sequences=True, **variant)
            ours = getattr(fastseq.layers, self.name)(5, stateful=True, return_sequences=True, **variant)
            theirs(x), ours(x)
            ours.set_weights(theirs.get_weights())
            theirs.reset_state(), ours.reset_state()
            for _ in range(3):
                np.testing.assert_allclose(ours(x), theirs(x), atol=1e-6)
            np.testing.assert_allclose(ours.states[0], np.asarray(theirs.states[0]), atol=1e-6)
            ours.reset_state()
            first = ours(x)
            ours.reset_state()
            np.testing.assert_array_equal(ours(x), first)
            with pytest.raises(ValueError, match=rf"{ours.name}.*batch size 3.*batch of 2"):
                ours(x[:2])

    def test_arguments_without_meaning_here(self):
        """use_cudnn changes nothing on a CPU: it is checked, accepted and kept in the config."""
        cls = getattr(fastseq.layers, self.name)
        if self.name == "SimpleRNN":  # Keras's has no such argument
            with pytest.raises(ValueError, match="use_cudnn"):
                cls(3, use_cudnn=False)
            return
        assert "use_cudnn" not in cls(3).get_config()
        for value in (True, False):
            assert cls.from_config(cls(3, use_cudnn=value).get_config()).use_cudnn is value
        with pytest.raises(ValueError, match="use_cudnn"):
            cls(3, use_cudnn="maybe")
        with pytest.raises(ValueError, match="time_major"):
            cls(3, time_major=True)

    # ---- without TensorFlow --------------------------------------------------------------------------------------

    def layer(self, x, units, seed=0, **kwargs):
        layer = getattr(fastseq.layers, self.name)(units, **kwargs)
        layer.build(x.shape)
        layer.set_weights(random_weights([v.shape for v in layer.weights], seed))
        return layer

    def twin(self, layer, x, mask=None, states=None):
        weights = [v.numpy().astype("f8") for v in layer.weights]
        states = states if states is None else [s.astype("f8") for s in states]
        return layer.reference(x.astype("f8"), (*weights, None)[:3], mask, states)

    @pytest.mark.parametrize("edge", EDGES, ids=str)
    def test_edges_of_the_kernels(self, edge, rng):
        batch, units = edge
        x = rng.standard_normal((batch, 3, 9)).astype("f")
        mask = rng.random((batch, 3)) < 0.7
        for variant in self.variants:
            layer = self.layer(x, units, return_sequences=True, **variant)
            for m in (None, mask):
                expected, _ = self.twin(layer, x, m)
                bits = None
                for name in runtime.available_isas():
                    with isa(name):
                        found = np.asarray(layer(x, mask=m))
                    np.testing.assert_allclose(found, expected, atol=2e-6)
                    if name != "scalar":
                        bits = found if bits is None else bits
                        np.testing.assert_array_equal(found, bits)

    @given(st.data())
    def test_any_shape_mask_and_layout(self, data):
        draw = data.draw
        batch, time, inputs, units = (draw(st.integers(1, n)) for n in (20, 9, 20, 40))
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        dtype = draw(st.sampled_from(["f4", "f8", "f2", ">f4", "i4", "u1"]))
        x = rng.standard_normal((batch, time, inputs)).astype(dtype)
        variant = draw(st.sampled_from(self.variants))
        options = {key: draw(st.booleans()) for key in ("return_sequences", "go_backwards", "return_state")}
        mask = draw(st.sampled_from([None, *mask_patterns(batch, time, rng).values()]))
        layer = self.layer(x, units, **options, **variant)
        plain = leaves(layer(np.ascontiguousarray(x, "f4"), mask=mask))
        outputs, states = self.twin(layer, np.asarray(x, "f4"), mask)
        expected = [outputs if options["return_sequences"] else outputs[:, -1], *states]
        # Bounded gates: errors stay near float32's rounding of sums of `inputs + units` terms.
        bound = 8 * EPS * (inputs + units + 8) * max(1.0, np.abs(np.asarray(x, "f4")).max())
        for found, wanted in zip(plain, expected):
            np.testing.assert_allclose(found, wanted, atol=bound, rtol=1e-4)
        strided = np.empty((2 * batch, time, inputs + 3), x.dtype)[::2, ::-1, 1 : inputs + 1]
        strided[...] = x
        strided.flags.writeable = False
        for layout in (x, np.asfortranarray(x), strided):
            for found, wanted in zip(leaves(layer(layout, mask=mask)), plain):
                np.testing.assert_array_equal(found, wanted)

    @pytest.mark.parametrize("time", [1, 7, 150])
    def test_step_by_step_has_the_bits_of_the_whole(self, time, rng):
        x = rng.standard_normal((3, time, 21)).astype("f")
        for variant in self.variants:
            layer = self.layer(x, 33, return_sequences=True, return_state=True, **variant)
            whole, *final = layer(x)
            states = None
            for t in range(time):
                y, *states = layer(x[:, t : t + 1], initial_state=states)
                np.testing.assert_array_equal(y[:, 0], whole[:, t])
            for found, wanted in zip(states, final):
                np.testing.assert_array_equal(found, wanted)

    def test_no_state_has_the_bits_of_zeros(self, rng):
        """The first step from no state leaves its recurrent product out; weights that are not finite forbid that."""
        x = rng.standard_normal((7, 3, 6)).astype("f")
        x[0] = 0
        mask = np.arange(3) >= np.arange(7)[:, None] % 3
        for variant in self.variants:
            layer = self.layer(x, 21, return_sequences=True, return_state=True, **variant)
            zeros = [np.zeros((7, 21), "f")] * self.states
            for m in (None, mask):
                for found, wanted in zip(layer(x, mask=m), layer(x, mask=m, initial_state=zeros)):
                    np.testing.assert_array_equal(found.view("i4"), wanted.view("i4"))
            weights = layer.get_weights()
            weights[1][0] = np.inf
            layer.set_weights(weights)
            for found, wanted in zip(layer(x), layer(x, initial_state=zeros)):
                np.testing.assert_array_equal(found, wanted)
            assert np.isnan(layer(x)[0][:, 0]).any()

    def test_padding_does_not_change_bits(self, rng):
        x = rng.standard_normal((5, 9, 6)).astype("f")
        padded = np.concatenate([x, rng.standard_normal((5, 4, 6)).astype("f")], axis=1)
        mask = np.arange(13)[None, :].repeat(5, 0) < 9
        for variant in self.variants:
            layer = self.layer(x, 20, return_state=True, **variant)
            for found, wanted in zip(layer(padded, mask=mask), layer(x)):
                np.testing.assert_array_equal(found, wanted)

    @pytest.mark.parametrize("threads", [2, 3, 5])
    def test_large_enough_for_threads(self, threads, rng):
        """Work above the thresholds of parallel.c, so that rows, units and the barrier are really shared out."""
        for batch, time, inputs, units in ((1, 20, 300, 300), (2, 9, 64, 515), (40, 12, 64, 100)):
            x = rng.standard_normal((batch, time, inputs)).astype("f")
            mask = rng.random((batch, time)) < 0.8
            for variant in self.variants:
                layer = self.layer(x, units, return_sequences=True, return_state=True, **variant)
                for m in (None, mask):
                    with runtime.num_threads(1):
                        alone = leaves(layer(x, mask=m))
                    with runtime.num_threads(threads):
                        together = leaves(layer(x, mask=m))
                    for found, wanted in zip(together, alone):
                        np.testing.assert_array_equal(found, wanted)

    def test_nan_stays_in_its_row(self, rng):
        x = rng.standard_normal((8, 4, 3)).astype("f")
        layer = self.layer(x, 18, return_sequences=True)
        clean = layer(x)
        x[3, 2, 1] = np.nan
        found = layer(x)
        assert np.isnan(found[3, 2:]).all()
        others = [0, 1, 2, 4, 5, 6, 7]
        np.testing.assert_array_equal(found[others], clean[others])
        np.testing.assert_array_equal(found[3, :2], clean[3, :2])

    def test_training_with_dropout(self, rng):
        x = np.ones((4, 3, 50), "f")
        for variant in self.variants:
            for rates in ({"dropout": 0.5}, {"recurrent_dropout": 0.5}, {"dropout": 0.3, "recurrent_dropout": 0.3}):
                layer = self.layer(x, 12, seed=3, **rates, **variant)
                quiet = layer(x, training=False)
                np.testing.assert_array_equal(layer(x), quiet)
                first, second = layer(x, training=True), layer(x, training=True)
                assert (first != quiet).any() and (first != second).any()
            nothing = self.layer(x, 12, **variant)
            np.testing.assert_array_equal(nothing(x, training=True), nothing(x))
            # Everything dropped: as if the inputs were zeros.
            layer = self.layer(x, 12, dropout=1.0, **variant)
            np.testing.assert_array_equal(layer(x, training=True), layer(np.zeros_like(x)))

    def test_general_kernel_agrees(self, rng):
        """Per-gate dropout factors of one kind only (rate so small that all are kept) run the general kernel."""
        x = rng.standard_normal((5, 6, 7)).astype("f")
        mask = mask_patterns(5, 6, rng)["inside"]
        for variant in self.variants:
            layer = self.layer(x, 9, return_sequences=True, return_state=True, recurrent_dropout=1e-9, **variant)
            for m in (None, mask):
                for found, wanted in zip(layer(x, mask=m, training=True), layer(x, mask=m)):
                    np.testing.assert_allclose(found, wanted, atol=1e-6)

    def test_python_activation_runs_on_the_twin(self, rng):
        x = rng.standard_normal((3, 4, 2)).astype("f")
        mask = mask_patterns(3, 4, rng)["inside"]
        for variant in self.variants:
            options = {"return_sequences": True, "return_state": True, **variant}
            native = self.layer(x, 5, **options)
            python = self.layer(x, 5, activation=lambda v: np.tanh(v), **options)
            for m in (None, mask):
                for found, wanted in zip(python(x, mask=m), native(x, mask=m)):
                    np.testing.assert_allclose(found, wanted, atol=1e-6)

    def test_bad_input(self, rng):
        x = rng.standard_normal((2, 3, 4)).astype("f")
        layer = self.layer(x, 5)
        name = layer.name
        for bad, message in (
            (x[0], rf"{name}.*expected ndim=3, found ndim=2.*\(3, 4\)"),
            (x[..., :2], rf"{name}.*axis -1.*value 4.*\(2, 3, 2\)"),
            (x[:, :0], rf"{name}.*at least one timestep.*\(2, 0, 4\)"),
        ):
            with pytest.raises(ValueError, match=message):
                layer(bad)
        for bad in (x.astype(object), x.astype("c8"), np.full((2, 3, 4), "a")):
            with pytest.raises(TypeError, match=rf"{name}.*real numbers.*dtype"):
                layer(bad)
        with pytest.raises(ValueError, match=rf"{name}.*mask of shape.*\(2, 3\).*\(2, 4\)"):
            layer(x, mask=np.ones((2, 4), bool))
        with pytest.raises(ValueError, match=rf"{name}.*initial states of shape \(2, 5\), got \(2, 6\)"):
            layer(x, initial_state=[np.zeros((2, 6), "f")] * self.states)
        with pytest.raises(ValueError, match=rf"{name}.*takes {self.states} initial states, got 5"):
            layer(x, initial_state=[np.zeros((2, 5), "f")] * 5)
        for bad in (0, -1, 2.5, "8", True):
            with pytest.raises(ValueError, match="units"):
                getattr(fastseq.layers, self.name)(bad)
        with pytest.raises(ValueError, match="Unrecognized keyword"):
            getattr(fastseq.layers, self.name)(3, no_such_argument=1)
        with pytest.raises(ValueError, match="float64"):
            getattr(fastseq.layers, self.name)(3, dtype="float64")
        empty = layer(x[:0])
        assert empty.shape == (0, 5) and empty.dtype == np.float32
