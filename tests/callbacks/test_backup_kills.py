"""BackupAndRestore: a process is killed, another one goes on, and the weights are those of an unbroken run."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL"),
    pytest.mark.slow("kills 30 processes"),
]

# Shuffled rows, dropout, an optimizer with moments, and callbacks that count epochs.
_RUN = """
    import os, random, signal, sys
    import numpy as np
    import fastseq
    from fastseq import callbacks, layers
    from fastseq.saving import write

    folder, result, how, at, save_freq = sys.argv[1:]
    at, save_freq = int(at), save_freq if save_freq == "epoch" else int(save_freq)
    # An unbroken run and the one that is killed first draw the same seeds; later ones draw others, which do not count.
    random.seed(1 if how == "first" or at else 2)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((50, 6, 3)).astype("f"), rng.standard_normal((50, 2)).astype("f")

    model = fastseq.Sequential([
        layers.Input((6, 3)), layers.Dropout(0.2), layers.GRU(5, return_sequences=True), layers.SpatialDropout1D(0.3),
        layers.LSTM(4), layers.GaussianNoise(0.1), layers.Dense(2),
    ])
    model.set_weights([rng.standard_normal(weight.shape) / 2 for weight in model.get_weights()])
    model.compile(fastseq.optimizers.Adam(0.01), "mse", metrics=["mae"])

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    class Killed(callbacks.Callback):
        steps = epochs = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1
            if how == "step" and self.steps == at:
                die()

        def on_epoch_begin(self, epoch, logs=None):
            self.epochs += 1
            if how == "epoch" and self.epochs == at:
                die()

    if how in ("writing", "renaming"):
        saves = 0
        savez, replace = np.savez, os.replace

        def half(file, **arrays):
            global saves
            saves += 1
            if saves != at or how != "writing":
                return savez(file, **arrays)
            file.write(b"PK" + bytes(1000))
            file.flush()
            die()

        def not_renamed(*names):
            if saves == at and how == "renaming":
                die()
            replace(*names)

        np.savez, os.replace = half, not_renamed

    history = model.fit(
        x, y, batch_size=8, epochs=4, verbose=0, validation_split=0.2,
        callbacks=[
            Killed(), callbacks.ReduceLROnPlateau("loss", patience=1, factor=0.5, min_delta=0.12),
            callbacks.BackupAndRestore(folder, save_freq=save_freq),
        ],
    )
    state = [*model.get_weights(), *(np.asarray(variable) for variable in model.optimizer.variables)]
    np.savez(result, *state, **{name: values[-1] for name, values in history.history.items()})
"""


def run(folder, result, how="first", at=0, save_freq="epoch"):
    arguments = [str(folder), str(result), how, str(at), str(save_freq)]
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_RUN), *arguments], capture_output=True, text=True, timeout=120,
        env={**os.environ, "FASTSEQ_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    found = run(folder / "backup", folder / "whole.npz")
    assert found.returncode == 0, found.stderr
    assert not (folder / "backup").exists()
    return dict(np.load(folder / "whole.npz"))


@pytest.mark.parametrize(("kills", "save_freq"), [
    ([("step", 8)], "epoch"),  # in the middle of the second epoch
    ([("step", 5)], "epoch"),  # after the last batch of the first, before its validation
    ([("epoch", 3)], "epoch"),  # between two epochs
    ([("step", 8)], 3),
    ([("step", 2)], 3),  # before anything was saved
    ([("step", 11)], 1),  # after the last batch of the second epoch, of which all steps are saved
    ([("step", 12), ("epoch", 2)], 1),
    ([("writing", 2)], "epoch"),
    ([("writing", 1)], "epoch"),
    ([("renaming", 3)], "epoch"),
    ([("writing", 4), ("renaming", 2), ("step", 3)], 2),
], ids=str)  # fmt: skip
def test_weights_are_those_of_an_unbroken_run(unbroken, tmp_path, kills, save_freq):
    backup, result = tmp_path / "backup", tmp_path / "end.npz"
    for how, at in kills:
        found = run(backup, result, how, at, save_freq)
        assert found.returncode == -signal.SIGKILL and not result.exists(), (how, at, found.stderr)
    # As the first run where nothing was saved, for then there are no seeds to take over.
    how = "step" if (backup / "latest.npz").exists() else "first"
    found = run(backup, result, how, 0, save_freq)
    assert found.returncode == 0, found.stderr
    ended = dict(np.load(result))
    assert ended.keys() == unbroken.keys()
    for name, value in unbroken.items():
        np.testing.assert_array_equal(ended[name], value, err_msg=name)
    assert not backup.exists()
