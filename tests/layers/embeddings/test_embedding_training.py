"""The gradient of an Embedding goes to the optimizer by the rows that were looked up: the same numbers as dense."""

import numpy as np
import pytest

from fastseq import layers, losses
from fastseq.gradients.backward import Rows
from fastseq.models import Sequential
from fastseq.optimizers import fused

ROWS = 50
OPTIMIZERS = {
    "sgd": {},
    "SGD with momentum": {"momentum": 0.9, "nesterov": True},
    "SGD with decay": {"weight_decay": 0.1},
    "rmsprop": {"centered": True, "momentum": 0.5},
    "adam": {"amsgrad": True},
    "adamw": {},
    "nadam": {},
    "adadelta": {},
    "adagrad": {},
    "SGD clipped": {"clipnorm": 0.01},
    "Adam clipped together": {"global_clipnorm": 0.01},
    "RMSprop clipped": {"clipvalue": 1e-4},
}


def model(name, options, width=20):
    from fastseq import optimizers

    kind = {"rmsprop": "RMSprop", "sgd": "SGD"}.get(name, name.split()[0].capitalize().replace("Sgd", "SGD"))
    kind = {"Adamw": "AdamW", "Rmsprop": "RMSprop"}.get(kind, kind)
    made = Sequential(
        [layers.Input((7,), dtype="int32"), layers.Embedding(ROWS, width), layers.LSTM(6), layers.Dense(1)]
    )
    rng = np.random.default_rng(0)
    made.set_weights([rng.standard_normal(weight.shape) for weight in made.get_weights()])
    made.compile(getattr(optimizers, kind)(learning_rate=0.01, **options), loss=losses.MeanSquaredError())
    return made


def batches(count=6):
    rng = np.random.default_rng(1)
    for _ in range(count):
        # Some ids twice, others in no batch at all; batches of two sizes, so of two programs.
        rows = int(rng.choice([5, 9]))
        yield rng.integers(0, 30, (rows, 7)).astype("i4"), rng.standard_normal((rows, 1)).astype("f")


@pytest.mark.parametrize("width", [1, 20, 64])
@pytest.mark.parametrize("name, options", OPTIMIZERS.items(), ids=list(OPTIMIZERS))
def test_same_weights_as_with_a_dense_gradient(name, options, width, monkeypatch):
    found = []
    for dense in (False, True):
        made = model(name, options, width)
        if dense:
            monkeypatch.setattr(fused, "possible", lambda optimizer, variables: False)
        for x, y in batches():
            made.train_on_batch(x, y)
        programs = list(made._trainer.train_step._programs.values())
        assert len(programs) == 2 and all((program.updates is None) == dense for program in programs)
        found.append(made.get_weights() + [variable.numpy() for variable in made.optimizer.variables])
    exact = "clipped" not in name or name == "RMSprop clipped"
    for by_rows, whole in zip(*found):
        if exact:
            np.testing.assert_array_equal(by_rows, whole)
        else:  # a norm is summed in another order
            np.testing.assert_allclose(by_rows, whole, rtol=2e-5, atol=1e-6)
    untouched = slice(30, None)
    start = model(name, options, width).get_weights()[0]
    if "decay" not in name and name != "adamw":
        np.testing.assert_array_equal(found[0][0][untouched], start[untouched])


def test_which_tables_go_by_rows():
    """One that a look-up alone reads does; one that two layers look up has both their gradients added."""
    made = model("adam", {})
    assert steps_of(made).count("embedding_places") == 1
    inputs = [layers.Input((3,), dtype="int32"), layers.Input((3,), dtype="int32")]
    shared = layers.Embedding(ROWS, 4)
    from fastseq.models import Model

    both = Model(inputs, layers.Dense(1)(layers.Flatten()(layers.Add()([shared(x) for x in inputs]))))
    both.compile("adam", "mse")
    x = np.arange(6, dtype="i4").reshape(2, 3)
    assert "embedding_places" not in steps_of(both, [x, x], np.ones((2, 1), "f"))


def steps_of(made, x=None, y=None):
    x, y = next(batches()) if x is None else (x, y)
    made.train_on_batch(x, y)
    return [step["op"] for step in next(iter(made._trainer.train_step._programs.values()))._program.steps]


def test_gradients_that_leave_the_program_are_dense():
    made = model("adam", {})
    from fastseq.training.program import gradients_of

    x, y = next(batches())
    _, gradients = gradients_of(made, x, y, "mse")
    assert gradients[0].shape == (ROWS, 20) and not isinstance(gradients[0], Rows)
    looked_up = np.unique(x)
    assert (gradients[0][looked_up] != 0).any(-1).all()
    assert not gradients[0][np.setdiff1d(np.arange(ROWS), looked_up)].any()


def test_ids_outside_raise_and_change_nothing():
    made = model("adam", {})
    x, y = next(batches())
    made.train_on_batch(x, y)
    before = made.get_weights()
    wrong = x.copy()
    wrong[1, 2] = ROWS
    with pytest.raises(ValueError, match=str(ROWS)):
        made.train_on_batch(wrong, y)
    for weight, old in zip(made.get_weights(), before):
        np.testing.assert_array_equal(weight, old)
    made.train_on_batch(x, y)
