"""The loops of `fit` and `evaluate`: epochs, batches, callbacks, validation, and what is shown."""

import math
import sys
import warnings

import numpy as np

from fastseq import requirements
from fastseq.callbacks.base import CallbackList
from fastseq.data import batches
from fastseq.native import interrupts
from fastseq.native.kept_states import apart_each
from fastseq.training.turns import Turn


def check_verbose(verbose):
    if verbose not in (0, 1, 2, "auto"):
        raise ValueError(f"verbose is 0, 1, 2 or 'auto', got {verbose!r}.")
    return 1 if verbose == "auto" else int(verbose)


def positive(name, value):
    """`value` as an int, or None. Raises ValueError for another."""
    if value is None:
        return None
    if not _is_whole(value) or value < 1:
        raise ValueError(f"{name} is a positive integer or None, got {value!r}.")
    return int(value)


def _is_whole(value):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _validated(epoch, frequency):
    """Whether there is a validation after an epoch. frequency: every how many, or a list of their numbers, from 1."""
    return (epoch + 1) % frequency == 0 if isinstance(frequency, int) else epoch + 1 in frequency


def fit(
    model, x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data, shuffle, class_weight,
    sample_weight, initial_epoch, steps_per_epoch, validation_steps, validation_batch_size, validation_freq,
):  # fmt: skip
    """See `Model.fit`."""
    trainer = model._trainer_for("fit")
    turn = Turn(trainer, trains=True)
    try:
        return _fit(
            model, trainer, x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data, shuffle,
            class_weight, sample_weight, initial_epoch, steps_per_epoch, validation_steps, validation_batch_size,
            validation_freq,
        )  # fmt: skip
    finally:
        turn.over()


def _fit(
    model, trainer, x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data, shuffle,
    class_weight, sample_weight, initial_epoch, steps_per_epoch, validation_steps, validation_batch_size,
    validation_freq,
):  # fmt: skip
    verbose = check_verbose(verbose)
    batch_size, steps_per_epoch = positive("batch_size", batch_size), positive("steps_per_epoch", steps_per_epoch)
    validation_steps = positive("validation_steps", validation_steps)
    validation_batch_size = positive("validation_batch_size", validation_batch_size)
    for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
        if not _is_whole(value) or value < 0:
            raise ValueError(f"{name} is a whole number from 0, got {value!r}.")
    epochs, initial_epoch = int(epochs), int(initial_epoch)
    if not isinstance(validation_freq, (list, tuple)):
        validation_freq = positive("validation_freq", validation_freq)
    if validation_split and validation_data is None:
        (x, y, sample_weight), validation_data = batches.split(x, y, sample_weight, validation_split)
    source = batches.source(x, y, sample_weight, batch_size, steps_per_epoch, shuffle)
    batches.check_stateful(model, source, "fit", epochs)
    validation = None
    if validation_data is not None:
        if isinstance(validation_data, (tuple, list)):
            parts = batches.parts_of(validation_data)
            validation = batches.source(*parts, validation_batch_size or batch_size, validation_steps)
        else:
            validation = batches.source(validation_data, None, None, None, validation_steps)
        batches.check_stateful(model, validation, "fit (for validation)")
    steps = _steps(source, steps_per_epoch)
    listed = callbacks
    if not isinstance(callbacks, CallbackList):
        listed = CallbackList(
            callbacks, add_history=True, model=model, verbose=verbose, epochs=epochs, steps=steps
        )  # fmt: skip
    model.stop_training = False
    model._initial_epoch, model._initial_batch = initial_epoch, 0
    logs = {}
    listed.on_train_begin()
    # BackupAndRestore may have set where to begin, and what the order of the rows depends on.
    source.begin(trainer.seed, initial_epoch)
    with interrupts.listening():
        finite = True
        for epoch in range(model._initial_epoch, epochs):
            trainer.reset_results()
            listed.on_epoch_begin(epoch)
            start, model._initial_batch = model._initial_batch, 0
            if start and trainer.kept_totals and not isinstance(source, batches.Iterated):
                trainer.go_on(*next(source.batches(epoch)))
            with _Bar(f"Epoch {epoch + 1}/{epochs}", steps, verbose, start) as bar:
                done = start
                # The killed run had already been told to stop: only the end of its epoch is left to do.
                stopped = start and model.stop_training
                for batch in () if stopped else _limited(source.batches(epoch, start), steps_per_epoch, start):
                    listed.on_train_batch_begin(done)
                    # Ctrl-C comes before a step or after it; in long kernels at once, then the step changes nothing.
                    with interrupts.whole(kernels_stop=True):
                        trainer.train(*batch, class_weight=class_weight)
                    logs = trainer.results()
                    if finite and not math.isfinite(logs["loss"]):
                        finite = False
                        _warn_of_loss(model, logs["loss"], epoch, done)
                    listed.on_train_batch_end(done, logs)
                    done += 1
                    bar.update(logs)
                    if model.stop_training:
                        break
                # No step ran, and not because a killed run had done all steps of this epoch: the data has ended.
                if done == start and not stopped and not (start and source.count(epoch) in (start, None)):
                    warnings.warn(
                        f"Model '{model.name}': the input ran out of data in epoch {epoch + 1}.", stacklevel=4
                    )
                    break
                if steps_per_epoch is not None and done < steps_per_epoch and not model.stop_training:
                    warnings.warn(
                        f"Model '{model.name}': the input ran out of data after {done} of {steps_per_epoch} steps.",
                        stacklevel=4,
                    )
                logs = trainer.results()
                if validation is not None and _validated(epoch, validation_freq):
                    found = evaluate_source(model, trainer, validation, validation_steps, listed)
                    logs = dict(sorted((logs | {f"val_{name}": value for name, value in found.items()}).items()))
                bar.end(logs)
            source.epoch_ended()
            listed.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
    if epochs and trainer.optimizer.built:
        with interrupts.whole():
            trainer.optimizer.finalize_variable_values(model.trainable_variables)
    listed.on_train_end(logs)
    return model.history


def _warn_of_loss(model, loss, epoch, batch):
    """Once in a run; epochs and batches are counted from 1."""
    warnings.warn(
        f"Model '{model.name}': the loss is {loss} from epoch {epoch + 1}, batch {batch + 1} on. Training goes on; "
        "callbacks=[fastseq.callbacks.TerminateOnNaN()] would stop it. Look for NaN or infinity in x, y and "
        "sample_weight; if there is none, try a lower learning rate, or clipnorm=1.0 in the optimizer.",
        stacklevel=5,
    )


def evaluate(model, x, y, batch_size, verbose, sample_weight, steps, callbacks, return_dict):
    """See `Model.evaluate`."""
    trainer = model._trainer_for("evaluate")
    turn = Turn(trainer, trains=False)
    try:
        return _evaluate(model, trainer, x, y, batch_size, verbose, sample_weight, steps, callbacks, return_dict)
    finally:
        turn.over()


def _evaluate(model, trainer, x, y, batch_size, verbose, sample_weight, steps, callbacks, return_dict):
    verbose = check_verbose(verbose)
    batch_size, steps = positive("batch_size", batch_size), positive("steps", steps)
    source = batches.source(x, y, sample_weight, batch_size, steps)
    batches.check_stateful(model, source, "evaluate")
    count = _steps(source, steps)
    listed = callbacks
    if not isinstance(callbacks, CallbackList):
        listed = CallbackList(callbacks, model=model, verbose=verbose, epochs=1, steps=count)
    with _Bar("Evaluate", count, verbose) as bar:
        logs = evaluate_source(model, trainer, source, steps, listed, bar)
        bar.end(logs)
    if return_dict:
        return logs
    found = list(trainer.results(in_order=True).values())
    return found[0] if len(found) == 1 else found


def evaluate_source(model, trainer, source, steps, listed, bar=None):
    trainer.reset_results()
    listed.on_test_begin()
    logs, done = {}, 0
    for batch in _limited(apart_each(source.batches(0)), steps, 0):
        listed.on_test_batch_begin(done)
        trainer.test(*batch)
        logs = trainer.results()
        listed.on_test_batch_end(done, logs)
        done += 1
        if bar is not None:
            bar.update(logs)
    source.epoch_ended()
    if not done:
        raise ValueError(f"Model '{model.name}': there was no batch to evaluate.")
    if steps is not None and done < steps:
        warnings.warn(
            f"Model '{model.name}': the input ran out of data after {done} of {steps} steps.", stacklevel=5
        )  # fmt: skip
    listed.on_test_end(logs)
    return logs


def _steps(source, steps):
    if steps is not None:
        return steps
    try:
        return len(source)
    except TypeError:
        return None


def _limited(batches, steps, start):
    """At most `steps` batches, of which `start` are done; the generator is not asked for one more."""
    if steps is None:
        yield from batches
        return
    left = steps - start
    while left > 0:
        batch = next(batches, None)
        if batch is None:
            return
        yield batch
        left -= 1


class _Bar:
    """A tqdm bar on stderr with loss and metrics for verbose=1, a line at the end for 2."""

    def __init__(self, title, steps, verbose, start=0):
        self._title, self._verbose = title, verbose
        self._bar = None
        if verbose == 1:
            # Only here: importing tqdm takes longer than training a small model.
            import tqdm

            self._bar = requirements.check(tqdm).tqdm(
                total=steps, initial=start, desc=title, unit="batch", file=sys.stderr
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._bar is not None:
            self._bar.close()

    def update(self, logs):
        if self._bar is not None:
            self._bar.set_postfix_str(_shown(logs), refresh=False)
            self._bar.update(1)

    def end(self, logs):
        if self._bar is not None:
            self._bar.set_postfix_str(_shown(logs))
        if self._verbose == 2:
            print(f"{self._title} - {_shown(logs)}", file=sys.stderr)


def _shown(logs):
    # Metrics of several thresholds are arrays.
    return ", ".join(f"{name}={value if np.ndim(value) else format(value, '.4g')}" for name, value in logs.items())
