"""Streams: their states, threads, and pools of them."""

import threading

import numpy as np
import pytest
from stream_models import LAST, MAKERS, STEPS, inputs_of, nested, plain, residual, sequential, shared, stepped

from fastseq import layers, models


class TestState:
    def test_names_and_shapes(self):
        model = nested()
        state = model.stream(2).state
        assert list(state) == [f"{model.layers[0].name}/{model.layers[0].layers[0].name}", model.layers[1].name]
        assert [[a.shape for a in arrays] for arrays in state.values()] == [[(2, 4), (2, 4)], [(2, 2)]]
        twice = shared()
        assert list(twice.stream().state) == [twice.layers[1].name, f"{twice.layers[1].name}#2"]

    def test_a_copy_and_set_as_initial_state(self):
        layer = layers.LSTM(4, return_sequences=True, name="it")
        model = sequential(layer)
        x = inputs_of(model, 2)
        given = [np.random.default_rng(1).standard_normal((2, 4)).astype("f") for _ in range(2)]
        stream = model.stream(2)
        stream.state = {"it": given}
        np.testing.assert_array_equal(stream.steps(x), layer(x, initial_state=given))
        stream.state["it"][0][...] = 7
        assert not (stream.state["it"][0] == 7).any()
        nan = [given[0], np.full((2, 4), np.nan, "f")]
        before = stream.state_bytes()
        for bad, message in (
            ({}, r"dict of \['it'\], got \[\]"),
            ({"it": given[:1]}, r"'it' has states of shapes \[\(2, 4\), \(2, 4\)\], got \[\(2, 4\)\]"),
            ({"it": [given[0], given[1][:1]]}, r"got \[\(2, 4\), \(1, 4\)\]"),
            ({"it": nan}, r"'it'.*\[\(2, 4\), \(2, 4\)\] hold NaN"),
            ([given], "got a list"),
            ({1: given}, r"dict of \['it'\], got \[1\]"),
            ({"it": None}, r"'it' has states of shapes \[\(2, 4\), \(2, 4\)\], got None"),
            ({"it": [[[0.0], [1.0, 2.0]], given[1]]}, r"'it' has states of shapes \[\(2, 4\), \(2, 4\)\], got \["),
            ({"it": [given[0] > 0, given[1]]}, r"'it' has states .* of \['bool', 'float32'\]"),
        ):
            with pytest.raises(ValueError, match=message):
                stream.state = bad
        assert stream.state_bytes() == before

    def test_nan_in_saved_bytes(self):
        """A NaN in the input goes through the states, as in the whole sequence; it can be saved, not restored."""
        model = sequential(layers.GRU(4, return_sequences=True, name="it"))
        x = inputs_of(model, 1)
        x[0, 1, 2] = np.nan
        first, second = model.stream(), model.stream()
        np.testing.assert_array_equal(first.steps(x), model(x))
        second.steps(x[:, :1])
        before = second.state_bytes()
        with pytest.raises(ValueError, match=r"Layer 'it': its states of shapes \[\(1, 4\)\] hold NaN"):
            second.restore(first.state_bytes())
        assert second.state_bytes() == before
        first.reset()
        np.testing.assert_array_equal(first.steps(x[:, :1]), model(x[:, :1]))

    def test_reset_of_rows(self):
        model = MAKERS["lstm"]()
        x = inputs_of(model, 3)
        stream = model.stream(3)
        whole = stream.steps(x)
        stream.reset(rows=[1])
        again = stream.steps(x)
        np.testing.assert_array_equal(again[1], whole[1])
        assert (again[[0, 2]] != whole[[0, 2]]).any()
        with pytest.raises(IndexError, match="3 rows"):
            stream.reset(rows=[3])

    def test_damaged_bytes(self):
        model = MAKERS["gru"]()
        stream = model.stream(2)
        stream.steps(inputs_of(model, 2))
        saved = stream.state_bytes()
        pool = model.stream_pool(2)
        handle = pool.open()
        for n in range(0, len(saved), 7):
            with pytest.raises(ValueError, match="restore"):
                stream.restore(saved[:n])
            with pytest.raises(ValueError, match="restore"):
                pool.restore(handle, saved[:n])
            changed = bytearray(saved)
            changed[n] ^= 64
            with pytest.raises(ValueError, match="restore"):
                stream.restore(bytes(changed))
        with pytest.raises(ValueError, match="restore"):
            stream.restore(saved + b"1234")
        with pytest.raises(ValueError, match=r"restore.*\(2, 16\).*\(3, 16\)"):
            model.stream(3).restore(saved)
        with pytest.raises(ValueError, match=r"restore.*\(2, 16\).*\(1, 16\)"):
            pool.restore(handle, saved)
        with pytest.raises(ValueError, match=r"restore.*lstm.*gru"):
            stream.restore(MAKERS["lstm"]().stream(2).state_bytes())
        assert stream.state_bytes() == saved and pool.state_bytes(handle) == model.stream().state_bytes()


class TestThreads:
    def test_one_stream_in_two_threads_raises(self):
        model = models.Sequential([layers.Input((None, 5)), layers.LSTM(4), layers.Activation(lambda x: wait(x))])
        inside, go = threading.Event(), threading.Event()
        go.set()

        def wait(x):
            inside.set()
            assert go.wait(60)
            return np.asarray(x)  # not traced

        stream = model.stream()
        x = np.ones((1, 5), "f")
        stream.step(x)
        inside.clear(), go.clear()
        thread = threading.Thread(target=stream.step, args=(x,))
        thread.start()
        assert inside.wait(60)
        for call in (
            lambda: stream.step(x), lambda: stream.steps(x[:, None]), stream.reset, lambda: stream.state,
            lambda: stream.restore(b""),
        ):  # fmt: skip
            with pytest.raises((RuntimeError, ValueError), match=r"another thread|restore"):
                call()
        go.set()
        thread.join()
        stream.step(x)

    def test_many_streams_of_one_model(self):
        model = residual()
        xs = [inputs_of(model, 1, seed) for seed in range(6)]
        wanted, found = [plain(model(x)) for x in xs], [None] * 6

        def run(i):
            for _ in range(30):
                found[i] = stepped(model.stream(), xs[i])

        threads = [threading.Thread(target=run, args=(i,)) for i in range(6)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        for y, whole in zip(found, wanted):
            np.testing.assert_array_equal(y, whole)


class TestPool:
    @pytest.mark.parametrize("name", ["gru", "masked ids", "residual", "last of masked", "masked stack", "einsum"])
    def test_streams_that_come_and_go(self, name):
        model = {**MAKERS, **LAST}[name]()
        pool, rng = model.stream_pool(25), np.random.default_rng(0)
        sources = [inputs_of(model, 1, seed) for seed in range(40)]
        singles, at = {}, {}
        for _ in range(60):
            if len(pool) < 25 and rng.random() < 0.8:
                handle = pool.open()
                singles[handle], at[handle] = model.stream(), 0
            chosen = [h for h in singles if rng.random() < 0.7]
            inputs = {h: sources[h % 40][0, at[h]] for h in chosen}
            found = pool.step(inputs)
            assert list(found) == chosen
            for h in chosen:
                np.testing.assert_array_equal(found[h], singles[h].step(sources[h % 40][:, at[h]])[0])
                at[h] += 1
                if at[h] == STEPS:
                    pool.close(h)
                    del singles[h]
        assert len(pool) == len(singles)

    def test_errors(self):
        model = MAKERS["gru"]()
        pool = model.stream_pool(2)
        a, b = pool.open(), pool.open()
        with pytest.raises(RuntimeError, match="full: 2"):
            pool.open()
        x = np.ones(5, "f")
        first = pool.step({a: x, b: x.tolist()})
        pool.close(b)
        for call in (
            lambda: pool.step({a: x, b: x}), lambda: pool.close(b), lambda: pool.reset(b), lambda: pool.state(b),
            lambda: pool.set_state(b, pool.state(a)), lambda: pool.state_bytes(b),
            lambda: pool.restore(b, pool.state_bytes(a)),
        ):  # fmt: skip
            with pytest.raises(KeyError, match=f"no open stream {b}"):
                call()
        with pytest.raises(ValueError, match=r"shape \(5,\).*got \(4,\)"):
            pool.step({a: x[:4]})
        pool.reset(a)
        c = pool.open()
        assert c not in (a, b)
        again = pool.step({c: x, a: x})
        np.testing.assert_array_equal([again[c], again[a]], [first[a], first[b]])
        assert pool.step({}) == {}

    @pytest.mark.parametrize("name", ["gru", "residual", "masked stack", "own cell", "last of masked", "dense"])
    def test_states_move_between_pools_and_streams(self, name):
        """Half of a sequence here, the other half there, by bytes and by dicts: the bits of the whole."""
        model = {**MAKERS, **LAST}[name]()
        x = inputs_of(model, 1)
        alone = model.stream()
        wanted = stepped(alone, x)[0]
        one, other = model.stream_pool(3), model.stream_pool(2)
        other.open()

        def advance(pool, handle, steps):
            for t in steps:
                np.testing.assert_array_equal(pool.step({handle: x[0, t]})[handle], wanted[t])

        first, second, stream = one.open(), other.open(), model.stream()
        advance(one, first, range(3))
        second_before = other.state_bytes(0)
        other.restore(second, one.state_bytes(first))
        advance(other, second, range(3, 5))
        stream.restore(other.state_bytes(second))
        np.testing.assert_array_equal(stepped(stream, x[:, 5:6])[0], wanted[5:6])
        one.set_state(first, stream.state)
        advance(one, first, range(6, 7))
        stream.state = one.state(first)
        np.testing.assert_array_equal(stepped(stream, x[:, 7:])[0], wanted[7:])
        assert stream.state_bytes() == alone.state_bytes() and other.state_bytes(0) == second_before

    def test_states_are_copies_and_are_checked(self):
        model = sequential(layers.LSTM(4, return_sequences=True, name="it"))
        pool = model.stream_pool(3)
        a, b = pool.open(), pool.open()
        given = [np.random.default_rng(1).standard_normal((1, 4)).astype("f") for _ in range(2)]
        pool.set_state(b, {"it": given})
        pool.state(b)["it"][0][...] = 7
        for found, wanted in zip(pool.state(b)["it"], given):
            np.testing.assert_array_equal(found, wanted)
        assert not any(array.any() for array in pool.state(a)["it"])
        x = inputs_of(model, 1)[:, :1]
        np.testing.assert_array_equal(pool.step({b: x[0, 0]})[b], model.layers[0](x, initial_state=given)[0, 0])
        before = pool.state_bytes(b)
        for bad, message in (
            ({}, r"dict of \['it'\], got \[\]"),
            ({"it": [given[0], given[1][0]]}, r"'it' has states of shapes \[\(1, 4\), \(1, 4\)\], got .*\(4,\)\]"),
            ({"it": [given[0], given[1] * np.nan]}, r"'it'.*\[\(1, 4\), \(1, 4\)\] hold NaN"),
        ):
            with pytest.raises(ValueError, match=message):
                pool.set_state(b, bad)
        assert pool.state_bytes(b) == before
        # Strides as they come: of a transposed, a broadcast and a float64 array.
        for odd in (np.asfortranarray(given[0]), np.broadcast_to(np.float32(3), (1, 4)), given[0].astype("f8")):
            pool.set_state(a, {"it": [odd, given[1]]})
            np.testing.assert_array_equal(pool.state(a)["it"][0], odd)

    def test_a_wrong_id_stops_no_stream(self):
        model = MAKERS["embedded"]()
        pool = model.stream_pool(3)
        a, b = pool.open(), pool.open()
        ids = np.array(3, "i4")
        with pytest.raises(ValueError, match="got 7"):
            pool.step({a: ids, b: 7})
        wanted = model.stream().step(ids[None])[0]
        np.testing.assert_array_equal(pool.step({a: ids, b: 3})[b], wanted)

    def test_many_threads(self):
        model = MAKERS["gru"]()
        pool = model.stream_pool(8)
        x = inputs_of(model, 1)
        whole, wrong = model(x), []

        def run():
            for _ in range(20):
                handle = pool.open()
                for t in range(STEPS):
                    if not np.array_equal(pool.step({handle: x[0, t]})[handle], whole[0, t]):
                        wrong.append(t)
                pool.close(handle)

        threads = [threading.Thread(target=run) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert wrong == [] and len(pool) == 0
