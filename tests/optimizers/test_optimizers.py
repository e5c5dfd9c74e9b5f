"""Optimizers without TensorFlow: kernels against their NumPy twins, arguments, state, and what is refused."""

import itertools

import numpy as np
import pytest
from layer_check import isa
from optimizer_cases import KINDS, NAMES, SHARED, gradients, id_of, twin_of, variables, weights
from public_names import classes_of

import fastseq
from fastseq import layers, optimizers
from fastseq.native import _native, runtime
from fastseq.program.kept_programs import MOST_THAT_TRAIN

LARGE = [(5, 1), (301, 1009), (1,), (4096,), (4097,)]


def run(cls, options, shapes, steps=4):
    held, optimizer = variables(weights(shapes)), cls(**options)
    for step in gradients(shapes, steps):
        optimizer.apply(step, held)
    return [variable.numpy() for variable in held], [variable.numpy() for variable in optimizer.variables]


@pytest.mark.parametrize(("name", "options"), KINDS, ids=map(id_of, KINDS))
@pytest.mark.parametrize("shared", [{}, *SHARED[:4], SHARED[5], SHARED[9], SHARED[10]], ids=str)
def test_twin_on_every_isa(name, options, shared):
    options = {**shared, **options}
    for shapes in (LARGE[:1] + LARGE[2:], [(), (7,), (3, 33)]):
        truth = run(twin_of(name), options, shapes)
        found = {}
        for kind in runtime.available_isas():
            with isa(kind):
                found[kind] = run(getattr(optimizers, name), options, shapes)
                operation = optimizers.get(name)._native_update.__qualname__.split(".")[0].lower()
                number = fastseq.native.kinds.OPERATIONS[operation][0]
                assert _native.kernel_name(number).endswith(f"__{kind}")
            for own, other in zip(found[kind], truth):
                for a, b in zip(own, other, strict=True):
                    np.testing.assert_allclose(a, b, rtol=3e-6, atol=1e-6, err_msg=kind)
        # Instruction sets with a fused multiply-add agree to the bit.
        fused = [result for kind, result in found.items() if kind != "scalar"]
        for result in fused[1:]:
            for own, other in zip(result, fused[0]):
                for a, b in zip(own, other):
                    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("name", "options"), [*KINDS[:3], KINDS[6], KINDS[9], KINDS[12], KINDS[14]])
@pytest.mark.parametrize("shared", [{}, {"clipnorm": 0.5}, {"global_clipnorm": 0.5}], ids=str)
def test_threads_do_not_change_a_bit(name, options, shared):
    found = []
    for threads in (1, 2, 3):
        with runtime.num_threads(threads):
            found.append(run(getattr(optimizers, name), {**options, **shared}, LARGE, 2))
    for result in found[1:]:
        for own, other in zip(result, found[0]):
            for a, b in zip(own, other):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("options", [{"clipnorm": 1.0}, {"global_clipnorm": 1.0}, {"clipvalue": 1.0}, {}], ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_does_as_in_the_twin(options, bad):
    step = [np.array([1.0, bad, -2.0], "f"), np.array([0.5] * 20, "f")]
    found = []
    for cls in (optimizers.SGD, twin_of("SGD")):
        held = variables([np.ones(3), np.ones(20)])
        cls(learning_rate=0.5, **options).apply(step, held)
        found.append([variable.numpy() for variable in held])
    for own, other in zip(*found):
        np.testing.assert_allclose(own, other, rtol=1e-6)
    finite = np.isfinite(found[0][1]).all()
    assert finite == ("global_clipnorm" not in options)


def test_weights_stay_at_their_place_once_they_are_the_optimizers():
    held = variables([np.ones(4)])
    before = held[0]._value
    optimizer = optimizers.SGD(0.5)
    optimizer.apply([np.ones(4)], held)
    place = held[0]._value.ctypes.data
    assert place % 64 == 0 and (before == 1).all()
    optimizer.apply([np.ones(4)], held)
    assert held[0]._value.ctypes.data == place and (held[0].numpy() == 0).all()
    held[0].assign(np.full(4, 7.0))
    optimizer.apply([np.ones(4)], held)
    assert (held[0].numpy() == 6.5).all()
    kept = held[0]._value
    optimizer.apply([np.ones(4)], held, tell_layers=False)
    assert held[0]._value is kept and (kept == 6).all()


def test_constraints_and_averages_leave_weights_at_their_place():
    held = variables([np.ones(4)])
    held[0].constraint = fastseq.constraints.MaxNorm(1.0)
    optimizer = optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2)
    optimizer.apply([-np.ones(4)], held, tell_layers=False)
    place = held[0]._value
    np.testing.assert_allclose(place, 0.5, rtol=1e-6)
    for _ in range(3):
        optimizer.apply([-np.ones(4)], held, tell_layers=False)
        assert held[0]._value is place
    np.testing.assert_allclose(place, 0.5, rtol=1e-6)


@pytest.mark.parametrize("hold", [lambda array: array, lambda array: array.reshape(2, 2), lambda array: array[1:]])
def test_an_array_that_somebody_holds_is_left_alone(hold):
    held = variables([np.ones(4)])
    optimizer = optimizers.SGD(0.5)
    optimizer.apply([np.ones(4)], held)
    kept = hold(held[0]._value)
    optimizer.apply([np.ones(4)], held)
    assert (kept == 0.5).all() and (held[0].numpy() == 0).all()
    del kept
    own = held[0]._value.ctypes.data
    optimizer.apply([np.ones(4)], held)
    assert held[0]._value.ctypes.data == own and (held[0].numpy() == -0.5).all()


def test_a_program_keeps_its_weights():
    layer, ids = layers.Embedding(5, 3), np.array([[1, 2]], np.int32)
    layer(ids)
    optimizer = optimizers.SGD(1.0)
    optimizer.apply([np.ones((5, 3))], layer.trainable_variables)
    before = layer(ids)
    program = layer._programs.program(layer, {"inputs": ids})
    optimizer.apply([np.ones((5, 3))], layer.trainable_variables)
    np.testing.assert_array_equal(program.run([ids])[0], before)
    np.testing.assert_allclose(layer(ids), before - 1, atol=1e-6)


def test_layers_hear_of_it():
    layer = layers.Dense(2)
    x = np.ones((1, 3), "f")
    first = layer(x)
    optimizer = optimizers.SGD(1.0)
    for _ in range(3):
        optimizer.apply([np.ones((3, 2)), np.ones(2)], layer.trainable_variables)
        np.testing.assert_allclose(layer(x), first - 4, rtol=1e-5, atol=1e-5)
        first = layer(x)
    optimizer.apply([np.ones((3, 2)), np.ones(2)], tell_layers=False)
    np.testing.assert_array_equal(layer(x), first)
    layer._weights_changed()
    np.testing.assert_allclose(layer(x), first - 4, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_programs_for_many_sets_of_weights_are_no_more_than_so_many():
    """Every call updates other weights: those that are made anew step as the first ones did."""
    held, optimizer = variables([np.full(2, 8.0)] * 8), optimizers.SGD(1.0)
    sets = [numbers for count in (1, 2) for numbers in itertools.combinations(range(8), count)]
    assert len(sets) > MOST_THAT_TRAIN
    expected = np.full(8, 8.0)
    for numbers in [*sets, *sets]:
        optimizer.apply([np.full(2, 0.25) if index in numbers else None for index in range(8)], held)
        expected[list(numbers)] -= 0.25
    assert [list(variable.numpy()) for variable in held] == [[value, value] for value in expected]
    assert len(optimizer._updates._programs) == MOST_THAT_TRAIN


def test_missing_gradients():
    held = variables([np.ones(2), np.ones(3)], ["a", "b"])
    optimizer = optimizers.Adam(0.5)
    with pytest.warns(UserWarning, match=r"\['b'\]"):
        optimizer.apply([np.ones(2), None], held)
    assert held[0].numpy()[0] == pytest.approx(0.5, rel=1e-4) and held[1].numpy()[0] == 1
    optimizer.apply([np.ones(2), np.ones(3)])
    assert held[1].numpy()[0] != 1
    with pytest.raises(ValueError, match="No gradients"):
        optimizer.apply([None, None])
    optimizer.apply([])
    assert int(optimizer.iterations) == 2


def test_refusals():
    held = variables([np.ones(2)])
    optimizer = optimizers.SGD()
    with pytest.raises(ValueError, match="was built"):
        optimizer.apply([np.ones(2)])
    with pytest.raises(ValueError, match="was built"):
        optimizer.set_weights([])
    optimizer.build(held)
    with pytest.raises(ValueError, match=r"\(3,\).*\(2,\)"):
        optimizer.apply([np.ones(3)])
    with pytest.raises(ValueError, match="2 gradients were given for 1"):
        optimizer.apply([np.ones(2)] * 2)
    with pytest.raises(ValueError, match="Unknown variable: other"):
        optimizer.apply([np.ones(2)], variables([np.ones(2)], ["other"]))
    with pytest.raises(ValueError, match="momentum"):
        optimizers.SGD(momentum=1.5)
    with pytest.raises(ValueError, match="Only one of"):
        optimizers.Adam(clipnorm=1.0, clipvalue=1.0)
    with pytest.raises(ValueError, match="ema_momentum"):
        optimizers.Adam(use_ema=True, ema_momentum=2)
    with pytest.raises(ValueError, match="ema_overwrite_frequency"):
        optimizers.Adam(use_ema=True, ema_overwrite_frequency=0.5)
    with pytest.raises(ValueError, match="gradient_accumulation_steps"):
        optimizers.Adam(gradient_accumulation_steps=1)
    with pytest.raises(ValueError, match="weight_decay"):
        optimizers.AdamW(weight_decay=None)
    with pytest.raises(ValueError, match="not recognized"):
        optimizers.Adam(beta_3=1)
    with pytest.raises(ValueError, match="should be float"):
        optimizers.Adam(1)


def test_old_spellings():
    assert float(optimizers.RMSprop(lr=0.25).learning_rate) == 0.25
    assert optimizers.SGD(lr=0.25, decay=0.0).get_config()["learning_rate"] == 0.25
    with pytest.raises(ValueError, match="InverseTimeDecay"):
        optimizers.SGD(decay=1e-6)


def test_names():
    for name in NAMES:
        for spelling in (name, name.lower(), name.upper()):
            assert type(optimizers.get(spelling)) is getattr(optimizers, name)
        again = optimizers.get(optimizers.serialize(getattr(optimizers, name)(0.25)))
        assert again.get_config()["learning_rate"] == 0.25
    assert optimizers.get(None) is None
    assert type(optimizers.get(optimizers.SGD)) is optimizers.SGD
    for wrong in ("Lion", "lion", 5):
        with pytest.raises(ValueError, match="RMSprop"):
            optimizers.get(wrong)
    with pytest.raises(AttributeError, match="RMSprop"):
        _ = optimizers.Muon
    with pytest.raises(AttributeError, match="CosineDecay"):
        _ = optimizers.schedules.Warmup


def test_the_learning_rate_can_be_set():
    optimizer = optimizers.SGD(0.5)
    held = variables([np.ones(1)])
    optimizer.apply([np.ones(1)], held)
    optimizer.learning_rate = 0.25
    optimizer.apply([np.ones(1)], held)
    optimizer.learning_rate.assign(0.125)
    optimizer.apply([np.ones(1)], held)
    assert held[0].numpy()[0] == 0.125
    assert optimizer.learning_rate * 2 == 0.25 and f"{optimizer.learning_rate:.3f}" == "0.125"
    optimizer.learning_rate = optimizers.schedules.PiecewiseConstantDecay([3], [0.5, 0.0625])
    assert [variable.name for variable in optimizer.variables] == ["iteration"]
    assert optimizer.learning_rate == 0.5
    optimizer.apply([np.ones(1)], held)
    assert optimizer.learning_rate == 0.0625
    with pytest.raises(TypeError, match="cannot be set"):
        optimizer.learning_rate = 0.1
    assert optimizers.SGD(lambda: 0.5).learning_rate == 0.5


def test_state_is_saved_and_restored():
    steps = gradients()
    for name in NAMES:
        held, other = variables(weights()), variables(weights())
        optimizer, again = optimizers.get(name), optimizers.get(name)
        for step in steps[:5]:
            optimizer.apply(step, held)
        store = {}
        optimizer.save_own_variables(store)
        assert list(store) == [str(index) for index in range(len(optimizer.variables))]
        if len(store) > 2:
            with pytest.warns(UserWarning, match="is not built yet"):
                again.load_own_variables(store)
        again.build(other)
        again.load_own_variables(store)
        for own, value in zip(other, held):
            own.assign(value.numpy())
        for step in steps[5:]:
            optimizer.apply(step)
            again.apply(step)
        for own, value in zip(other, held):
            np.testing.assert_array_equal(own.numpy(), value.numpy())
        store["1"] = np.ones(3)
        with pytest.raises(ValueError, match="learning_rate"):
            again.load_own_variables(store)
        again.set_weights(variable.numpy() for variable in optimizer.variables)


def test_a_users_own_optimizer():
    class Sign(optimizers.Optimizer):
        def update_step(self, gradient, variable, learning_rate):
            self.assign_sub(variable, learning_rate * np.sign(gradient))

    held = variables([np.ones(3)])
    Sign(learning_rate=0.5, clipnorm=1.0, weight_decay=0.5).apply([np.array([3, -4, 0])], held)
    np.testing.assert_allclose(held[0].numpy(), [0.25, 1.25, 0.75])

    class Half(optimizers.Adam):
        def update_step(self, gradient, variable, learning_rate):
            self.assign(variable, variable.numpy() / 2)

    Half().apply([np.ones(3)], held)
    np.testing.assert_allclose(held[0].numpy(), [0.125, 0.625, 0.375])
    with pytest.raises(NotImplementedError, match="update_step"):
        optimizers.Optimizer(0.1).apply([np.ones(3)], held)


def test_schedules_refuse():
    for make in (
        lambda: optimizers.schedules.ExponentialDecay(0.1, 0, 0.5),
        lambda: optimizers.schedules.CosineDecayRestarts(0.1, -1),
    ):
        with pytest.raises(ValueError, match="must be > 0"):
            make()
    with pytest.raises(ValueError, match="1 less"):
        optimizers.schedules.PiecewiseConstantDecay([1], [1.0])
    with pytest.raises(NotImplementedError):
        optimizers.schedules.LearningRateSchedule()(0)


def test_every_optimizer_has_a_case():
    assert set(NAMES) == classes_of(optimizers.ALL_OBJECTS_DICT, "Optimizer")
