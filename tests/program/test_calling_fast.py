"""When a call takes the short way (fastseq/native/_call.pyx), when it must not, and that it changes nothing."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from calling_tests import MAKERS, count_long_way, every_second, misaligned, same, values

import fastseq
from fastseq import layers, models
from fastseq.native import runtime
from fastseq.tensors import arrays


@pytest.fixture
def long_way(monkeypatch):
    return count_long_way(monkeypatch)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
class TestTaken:
    def test_second_call_has_the_same_bits_in_a_new_array(self, make, long_way):
        layer, x = make(), values((2, 3, 4))
        first = layer(x)
        long_way.clear()
        second = layer(x)
        assert long_way == []
        same(first, second)
        assert type(second) is np.ndarray and second.flags.owndata and second.flags.writeable
        second[...] = 7
        same(layer(x), first)

    def test_shapes_do_not_mix(self, make, long_way):
        layer = make()
        inputs = [values((batch, 3, 4), batch) for batch in (1, 2, 3, 70)]
        wanted = [layer(x) for x in inputs]
        long_way.clear()
        for _ in range(2):
            for x, y in zip(inputs, wanted):
                same(layer(x), y)
        assert long_way == []

    def test_weights_change_between_calls(self, make, long_way):
        layer, x = make(), values((2, 3, 4))
        for step in range(3):
            layer(x)
            layer.set_weights([values(w.shape, step) for w in layer.get_weights()])
            long_way.clear()
            changed = layer(x)
            assert len(long_way) == 1, "the program made from the old weights ran"
            fresh = make()
            fresh(x)
            fresh.set_weights(layer.get_weights())
            same(changed, fresh(x))
            assert layer(x).tobytes() == changed.tobytes()

    def test_a_single_weight_of_an_inner_layer_changes(self, make):
        layer, x = make(), values((2, 3, 4))
        before = [layer(x) for _ in range(2)][1]
        for weight in layer.weights:
            weight.assign(weight.numpy() + 0.5)
            after = layer(x)
            assert not np.array_equal(after, before)
            before = layer(x)
            same(after, before)


OTHERS = {
    "float64": lambda x: x.astype(np.float64),
    "float16": lambda x: x.astype(np.float16),
    "integers": lambda x: x.astype(np.int32),
    "big-endian": lambda x: x.astype(">f4"),
    "strided": every_second,
    "Fortran order": np.asfortranarray,
    "misaligned": misaligned,
    "subclass": lambda x: x.view(np.matrix) if x.ndim == 2 else x.view(np.recarray),
    "masked": lambda x: arrays.with_mask(x, np.ones(x.shape[:2], bool)),
}


@pytest.mark.parametrize("convert", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("make", [MAKERS["lstm"], MAKERS["sequential"]], ids=["lstm", "sequential"])
def test_other_arrays_take_the_long_way(make, convert, long_way):
    layer, x = make(), np.round(values((2, 3, 4)))  # whole numbers are the same in all these types
    wanted = [layer(x) for _ in range(2)][1]
    long_way.clear()
    np.testing.assert_array_equal(layer(convert(x)), wanted)
    assert len(long_way) == 1
    same(layer(x), wanted)


def test_other_arguments_take_the_long_way(long_way):
    layer, x = layers.LSTM(5), values((2, 3, 4))
    plain = [layer(x) for _ in range(2)][1]
    state = [values((2, 5), 1), values((2, 5), 2)]
    long_way.clear()
    for _ in range(2):
        assert not np.array_equal(layer(x, state), plain)
        assert not np.array_equal(layer(x, initial_state=state), plain)
        same(layer(x, training=1), plain)
    assert len(long_way) == 6
    same(layer(x), plain)
    for wrong in ((), (x, state, None, False, 1)):
        with pytest.raises(TypeError):
            layer(*wrong)
    with pytest.raises(TypeError):
        layer(x, unknown=1)
    with pytest.raises(ValueError, match="4"):
        layer(values((2, 3, 5)))


def test_read_only_inputs_are_plain(long_way):
    layer, x = layers.Dense(3), values((2, 4))
    wanted = layer(x)
    x.flags.writeable = False
    long_way.clear()
    same(layer(x), wanted)
    assert long_way == []


def test_masks_still_travel():
    x = values((2, 3, 4))
    x[0, 1:] = 0
    masking = layers.Masking()
    for _ in range(3):
        result = masking(x)
        np.testing.assert_array_equal(result._keras_mask, [[True, False, False], [True, True, True]])
    lstm = layers.LSTM(5)
    wanted = lstm(masking(x))
    same(lstm(x[1:]), wanted[1:])
    assert not np.array_equal(lstm(x)[0], wanted[0])
    same(lstm(masking(x)), wanted)


def test_several_results(long_way):
    x = values((2, 3, 4))
    layer = layers.LSTM(5, return_sequences=True, return_state=True)
    first = layer(x)
    long_way.clear()
    second = layer(x)
    assert long_way == [] and type(first) is type(second) and len(second) == 3
    for a, b in zip(first, second):
        same(a, b)
        assert not np.shares_memory(a, b)
    inputs = layers.Input((3, 4))
    tensors = [layers.LSTM(2)(inputs), layers.Dense(3)(inputs)]
    for structure, short in (
        (tensors, True),
        (tuple(tensors), True),
        (tensors[:1], True),
        ({"a": tensors[0], "b": tensors[1]}, False),
        ([tensors[0], [tensors[1]]], False),
    ):
        model = models.Model(inputs, structure)
        first = model(x)
        long_way.clear()
        second = model(x)
        assert type(first) is type(second) and (long_way == []) == short
        for a, b in zip(fastseq.tensors.nest.flatten(first), fastseq.tensors.nest.flatten(second)):
            same(a, b)


def test_integer_inputs_and_what_they_may_hold(long_way):
    model = models.Sequential([layers.Input((3,), dtype="int32"), layers.Embedding(5, 4), layers.LSTM(2)])
    x = np.array([[0, 1, 4]], np.int32)
    wanted = model(x)
    long_way.clear()
    same(model(x), wanted)
    assert long_way == []
    for _ in range(2):
        with pytest.raises(ValueError, match="5"):
            model(np.array([[0, 5, 1]], np.int32))
    same(model(x), wanted)
    same(model(x.astype(np.int64)), wanted)


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (0, 0, 4)])
def test_empty_inputs(shape):
    layer = layers.Dense(5)
    layer(values((2, 3, 4)))
    for _ in range(3):
        assert layer(np.zeros(shape, np.float32)).shape == (*shape[:2], 5)


def test_instruction_sets(long_way):
    layer, x = layers.LSTM(5), values((2, 3, 4))
    before = runtime.active_isa()
    wanted = {}
    for isa in runtime.available_isas():
        runtime.force_isa(isa)
        long_way.clear()
        wanted[isa] = layer(x)
        assert len(long_way) == 1, "another instruction set's program ran"
        assert layer._programs.program(layer, {"sequences": x}).describe()[0][1].endswith(f"__{isa}")
    for isa in (before, *wanted):
        runtime.force_isa(isa)
        long_way.clear()
        same(layer(x), wanted[isa])
        assert long_way == []


def in_a_process(code):
    env = {key: value for key, value in os.environ.items() if key not in ("FASTSEQ_NUM_THREADS", "OMP_NUM_THREADS")}
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120, env=env
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.split()


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted in /proc")
@pytest.mark.skipif(not fastseq.native._native.has_openmp(), reason="built for one thread")
def test_threads_are_those_set_last():
    """The pool grows with the first call that uses more threads, and only then."""
    assert in_a_process(
        """
        import os, threading, time, numpy, fastseq
        def count():
            print(len(os.listdir("/proc/self/task")) - alone)
        alone = len(os.listdir("/proc/self/task"))
        fastseq.set_num_threads(1)
        layer, x = fastseq.layers.Dense(512), numpy.ones((4096, 512), "f")
        layer(x), layer(x)
        count()
        with fastseq.num_threads(2):
            # Counts itself, and no thread of a pool of its own.
            other = threading.Thread(target=lambda: (layer(x), count()))
            other.start(), other.join()
            while len(os.listdir("/proc/self/task")) > alone:
                time.sleep(0.01)
            layer(x)
            count()
        fastseq.set_num_threads(3)
        with fastseq.num_threads(1):
            layer(x)
        count()
        layer(x)
        count()
        """
    ) == ["0", "1", "1", "1", "2"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_child():
    assert in_a_process(
        """
        import os, numpy, fastseq
        layer, x = fastseq.layers.LSTM(5), numpy.ones((2, 3, 4), "f")
        wanted = layer(x)
        layer(x)
        child = os.fork()
        if child == 0:
            os._exit(0 if (layer(x) == wanted).all() else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), (layer(x) == wanted).all())
        """
    ) == ["0", "True"]
