"""Optimizer state in damaged and hostile files: refused with the file's name or left alone, never half taken."""

import shutil
import tracemalloc

import h5py
import numpy as np
import pytest
from hang_guard import must_end
from saving_files import ADAM, damaged, keras_file, refuse, sequential, weights

import fastseq
from fastseq.errors import FileFormatError

COMPILED = {**sequential(), "compile_config": {"optimizer": ADAM, "loss": "mse"}}
KERNEL_SHAPE, BIAS_SHAPE = (3, 2), (2,)


def state(group, **changes):
    """The state of an Adam for one Dense(2) on 3 inputs; a change replaces a dataset, None takes it away."""
    values = {"0": np.int64(7), "1": np.float32(0.5)}
    shapes = (KERNEL_SHAPE, KERNEL_SHAPE, BIAS_SHAPE, BIAS_SHAPE)
    values |= {str(2 + i): np.full(shape, 0.25, "f") for i, shape in enumerate(shapes)}
    for name, value in {**values, **{key.strip("_"): value for key, value in changes.items()}}.items():
        if callable(value):
            value(group, name)
        elif value is not None:
            group[name] = value


def file_with(path, **changes):
    def fill(group):
        group["0"], group["1"] = np.ones(KERNEL_SHAPE, "f"), np.ones(BIAS_SHAPE, "f")
        state(group.file.create_group("optimizer/vars"), **changes)

    return keras_file(path, COMPILED, h5=weights(fill))


def test_the_sound_file(tmp_path):
    model = fastseq.load_model(file_with(tmp_path / "m.keras"))
    assert int(model.optimizer.iterations) == 7 and float(model.optimizer.learning_rate) == 0.5
    assert all((variable.numpy() == 0.25).all() for variable in model.optimizer.variables[2:])


def compressed(shape, dtype="f4"):
    return lambda group, name: group.create_dataset(name, shape, dtype, compression="gzip", chunks=True, fillvalue=0)


def compressed_zeros(size):
    return lambda group, name: group.create_dataset(
        name, data=np.zeros(size, "f"), compression="gzip", chunks=(min(size, 1 << 20),)
    )


NOT_ITS_STATE = {
    "another shape": ({"_2": np.zeros((7, 7), "f")}, r"momentum.*\(3, 2\).*\(7, 7\)"),
    "a rank more": ({"_0": np.zeros(1, np.int64)}, r"iteration.*\(\).*\(1,\)"),
    "misnumbered": ({"_5": None, "_9": np.zeros(BIAS_SHAPE, "f")}, "'5'"),
    "NaN as the step": ({"_0": np.float32(np.nan)}, "iteration.*int64.*float32"),
    "NaN in float64": ({"_0": np.float64(np.nan)}, "iteration.*int64.*float64"),
    "a negative step": ({"_0": np.int64(-1)}, "counts steps.*-1"),
    "a huge step": ({"_0": np.int64(2**62)}, "counts steps"),
    "an unsigned step": ({"_0": np.uint64(2**64 - 1)}, "counts steps"),
}
NOT_READABLE = {
    "text": ({"_1": "fast"}, "numbers"),
    "a group": ({"_3": lambda group, name: group.create_group(name)}, "is a group"),
    "a soft link": ({"_3": h5py.SoftLink("/layers/dense/vars/0")}, "soft link"),
    "another file": ({"_3": h5py.ExternalLink("/etc/passwd", "/x")}, "external link"),
    "declared, not written": ({"_2": lambda group, name: group.create_dataset(name, KERNEL_SHAPE, "f4")}, "written"),
    "a bomb": ({"_2": compressed((1 << 20, 1 << 12))}, "larger than the whole file|chunks"),
    "a filled bomb": ({"_2": compressed_zeros(1 << 25)}, "larger than the whole file"),
    "2^62 values": ({"_2": compressed((2**31, 2**31))}, "larger than the whole file|chunks"),
}


@pytest.mark.parametrize(("changes", "match"), NOT_ITS_STATE.values(), ids=NOT_ITS_STATE)
def test_state_of_another_optimizer_is_left_alone(tmp_path, changes, match):
    path = file_with(tmp_path / "m.keras", **changes)
    with pytest.warns(UserWarning, match=f"was not taken over.*{match}"):
        model = fastseq.load_model(path)
    assert int(model.optimizer.iterations) == 0 and float(model.optimizer.learning_rate) == np.float32(0.1)
    assert not any(variable.numpy().any() for variable in model.optimizer.variables[2:])
    model = fastseq.load_model(file_with(tmp_path / "sound.keras"))
    model.set_weights([w + 1 for w in model.get_weights()])
    before = [variable.numpy() for variable in model.optimizer.variables]
    with pytest.warns(UserWarning, match=f"was not taken over.*{match}"):
        model.load_weights(path)
    for variable, value in zip(model.optimizer.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert (model.get_weights()[0] == 1).all()


@pytest.mark.parametrize(("changes", "match"), NOT_READABLE.values(), ids=NOT_READABLE)
def test_state_that_cannot_be_read_is_refused(tmp_path, changes, match):
    path = file_with(tmp_path / "m.keras", **changes)
    refuse(path, match)
    # It says what to do, and that helps.
    assert fastseq.load_model(path, compile=False).get_weights()[0].sum() == 6
    model = fastseq.load_model(file_with(tmp_path / "sound.keras"))
    model.set_weights([w + 1 for w in model.get_weights()])
    before = [variable.numpy() for variable in (*model.weights, *model.optimizer.variables)]
    with pytest.raises(FileFormatError, match=match):
        model.load_weights(path)
    with pytest.warns(UserWarning, match="was not taken over"):
        model.load_weights(path, skip_mismatch=True)
    found = [variable.numpy() for variable in (*model.weights, *model.optimizer.variables)]
    assert (before[0] == 2).all() and (found[0] == 1).all()
    for a, b in zip(found[2:], before[2:], strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_number_of_variables_warns(tmp_path):
    many = {f"_{number}": np.zeros(1, "f") for number in range(6, 3000)}
    for changes in ({"_5": None}, {"_6": np.zeros(1, "f")}, many):
        with must_end(), pytest.warns(UserWarning, match="starts anew: it has"):
            model = fastseq.load_model(file_with(tmp_path / "m.keras", **changes))
        assert int(model.optimizer.iterations) == 0 and float(model.optimizer.learning_rate) == np.float32(0.1)


def test_not_finite_state_is_taken_as_it_is(tmp_path):
    """As NaN in weights: a run that diverged was saved so."""
    model = fastseq.load_model(file_with(tmp_path / "m.keras", _2=np.full(KERNEL_SHAPE, np.nan, "f")))
    assert np.isnan(model.optimizer.variables[2].numpy()).all()


def test_an_optimizer_takes_no_more_memory_than_its_file_accounts_for(tmp_path):
    """65 MB of weights out of a file of 64 KB are let through, but not five times that for its optimizer."""
    model = sequential()
    model["config"]["layers"][0]["config"]["batch_shape"] = [None, 7 << 20]

    def fill(group):
        group.create_dataset("0", data=np.zeros((7 << 20, 2), "f"), compression="gzip", chunks=(1 << 18, 2))
        group["1"] = np.zeros(2, "f")

    compile_config = {"optimizer": {**ADAM, "config": {"learning_rate": 0.1, "amsgrad": True}}, "loss": "mse"}
    path = keras_file(tmp_path / "m.keras", {**model, "compile_config": compile_config}, h5=weights(fill))
    tracemalloc.start()
    try:
        with pytest.warns(UserWarning, match="not compiled: .*larger than the whole file"):
            fastseq.load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 300 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_damaged_files(tmp_path, ending):
    """Every outcome is a model that predicts, and trains if it is compiled, or an error that names the file."""
    model = fastseq.load_model(file_with(tmp_path / "sound.keras"))
    path = tmp_path / f"m{ending}"
    model.save(path)
    data = path.read_bytes()
    x = np.ones((1, 3), np.float32)
    outcomes = {"compiled": 0, "loaded": 0, "refused": 0}
    for copy in damaged(data, seed=5, count=200):
        path.write_bytes(copy)
        with must_end():
            try:
                model = fastseq.load_model(path)
                if model.compiled and model.input_shape == (None, 3):
                    model.train_on_batch(x, np.ones((1, *model.output_shape[1:]), np.float32))
                    outcomes["compiled"] += 1
                else:
                    outcomes["loaded"] += 1
            except FileFormatError as error:
                assert str(path) in str(error)
                outcomes["refused"] += 1
    assert outcomes["refused"] > 60 and outcomes["compiled"] > 5, outcomes
    shutil.rmtree(tmp_path)
