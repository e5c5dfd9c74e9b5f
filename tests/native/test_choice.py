"""The native choice of tokens: the best one, the best few, and draws, on every instruction set."""

import decoding_reference
import numpy as np
import pytest
from layer_check import isa as forced_isa

from fastseq.native import runtime
from fastseq.program.builder import Builder
from fastseq.program.program import Program

SIZES = [1, 2, 7, 8, 15, 16, 17, 31, 90, 255, 256, 257, 465, 3000]
BEST, DRAW = 0, 1


def choose(x, best=1, kind=BEST, keys=None, scored=True, **options):
    """(ids, log-probabilities) of the rows of x (rows, n)."""
    rows, n = x.shape
    p = Builder()
    values, ids, logs = p.input(x.shape, "float32"), p.new((rows, best), "int32"), p.new((rows, best))
    options = {"probabilities": 0, "top_k": 0, "temperature": 1.0, "top_p": 1.0, **options}

    def failure(position, value):
        return ValueError(f"row {position}")

    p.step(
        "choice", failure=failure, x=values, keys=None if keys is None else p.constant(np.asarray(keys, np.uint64)),
        ids=ids, log_probs=logs if scored else None, scratch=p.new((rows, 3 * n)), rows=rows, n=n, best=best, kind=kind,
        scratch_row=3 * n, **options,
    )  # fmt: skip
    ids, logs = Program(p, [values], [ids, logs]).run([np.ascontiguousarray(x, np.float32)])
    return ids, logs


def log_softmax(x):
    x = x.astype("f8") - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def values(n, rows=5, spread=3.0):
    return np.random.default_rng(n).normal(0, spread, (rows, n)).astype("f")


@pytest.mark.parametrize("isa", runtime.available_isas())
@pytest.mark.parametrize("n", SIZES)
def test_best(n, isa):
    x = values(n)
    with forced_isa(isa):
        for best in sorted({1, min(2, n), min(5, n), min(64, n), n if n < 500 else 70}):
            ids, logs = choose(x, best)
            np.testing.assert_array_equal(ids, np.argsort(-x, axis=-1, kind="stable")[:, :best])
            np.testing.assert_allclose(logs, np.take_along_axis(log_softmax(x), ids, -1), rtol=1e-6, atol=2e-6)
            np.testing.assert_array_equal(ids, choose(x, best, scored=False)[0])


@pytest.mark.parametrize("isa", runtime.available_isas())
def test_of_equals_the_first(isa):
    with forced_isa(isa):
        for n in (3, 16, 40, 300):
            x = np.random.default_rng(n).integers(-2, 3, (20, n)).astype("f")
            ids, _ = choose(x)
            np.testing.assert_array_equal(ids[:, 0], x.argmax(-1))
            best = min(n, 9)
            np.testing.assert_array_equal(choose(x, best)[0], np.argsort(-x, axis=-1, kind="stable")[:, :best])
        np.testing.assert_array_equal(choose(np.full((2, 50), -7, "f"), 4)[0], [[0, 1, 2, 3]] * 2)


@pytest.mark.parametrize("isa", runtime.available_isas())
@pytest.mark.parametrize("n", [1, 5, 16, 90, 700])
def test_what_allows_no_choice(n, isa):
    with forced_isa(isa):
        for value in (np.nan, np.inf):
            for place in {0, n // 2, n - 1}:
                x = values(n)
                x[3, place] = value
                for scored in (False, True):
                    with pytest.raises(ValueError, match="row 3"):
                        choose(x, scored=scored)
        with pytest.raises(ValueError, match="row 0"):
            choose(np.full((1, n), -np.inf, "f"))
        x = values(n)
        x[:, 1:] = -np.inf
        ids, logs = choose(x)
        np.testing.assert_array_equal(ids, 0)
        np.testing.assert_array_equal(logs, 0)


def test_probabilities():
    p = np.exp(log_softmax(values(33))).astype("f")
    p[2, 5] = 0
    ids, logs = choose(p, 4, probabilities=1)
    np.testing.assert_array_equal(ids, np.argsort(-p, axis=-1, kind="stable")[:, :4])
    np.testing.assert_allclose(logs, np.log(np.take_along_axis(p, ids, -1)), atol=1e-5)
    with pytest.raises(ValueError, match="row 4"):
        p[4, 0] = -1e-3
        choose(p, probabilities=1)


def uniform(keys):
    """The random number of each key, as the kernel makes it: SplitMix64's finalizer, 53 bits."""
    z = np.asarray(keys, np.uint64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype("f8") * 2.0**-53


FILTERS = [{}, {"top_k": 1}, {"top_k": 3}, {"top_k": 70}, {"top_p": 0.5}, {"top_p": 0.97}, {"top_k": 5, "top_p": 0.8}]
FILTERS += [{"top_k": 80, "top_p": 0.9}, {"top_k": 10**6, "top_p": 0.6}, {"temperature": 0.3}, {"temperature": 2.5}]


@pytest.mark.parametrize("options", FILTERS, ids=str)
@pytest.mark.parametrize("n", [2, 17, 90, 700])
def test_draws_follow_the_distribution(n, options):
    """Each draw is where its random number falls on the sums of the probabilities, by rank where there is a filter."""
    x, rows = values(n, rows=1), 400
    keys = np.random.default_rng(1).integers(0, 2**63, rows)
    ids, logs = choose(np.repeat(x, rows, 0), kind=DRAW, keys=keys, **options)
    np.testing.assert_allclose(logs[:, 0], log_softmax(x)[0, ids[:, 0]], atol=2e-6)
    expected = decoding_reference.distribution(
        np.exp(log_softmax(x[0])), options.get("temperature", 1.0), options.get("top_k"), options.get("top_p")
    )
    assert (expected[ids] > 0).all()
    ranked = "top_p" in options or options.get("top_k", n) < n
    order = np.argsort(-x[0], kind="stable") if ranked else np.arange(n)
    sums, drawn = np.cumsum(expected[order]), uniform(keys)
    place = np.argsort(order)[ids[:, 0]]
    below = np.where(place > 0, sums[place - 1], 0)
    assert (drawn >= below - 1e-5).all() and (drawn <= sums[place] + 1e-5).all()


def test_same_draws_on_every_instruction_set():
    x, keys = values(465, rows=50), np.arange(50)
    for options in FILTERS:
        results = []
        for name in runtime.available_isas():
            with forced_isa(name):
                results.append(choose(x, kind=DRAW, keys=keys, **options))
        for ids, logs in results[1:]:
            np.testing.assert_array_equal(ids, results[0][0])
            if name != "scalar":  # without FMA the exponential rounds differently
                np.testing.assert_array_equal(logs, results[0][1])
