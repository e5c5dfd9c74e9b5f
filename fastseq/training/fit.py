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


def fit(
    model, x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data, shuffle, class_weight,
    sample_weight, initial_epoch, steps_per_epoch, validation_steps, validation_batch_size, validation_freq,
):  # fmt: skip
    """See `Model.fit`."""
    trainer = model._trainer_for("fit")
    turn = Turn(trainer, trains=True)
    try:
        verbose = check_verbose(verbose)
        batch_size, steps_per_epoch = positive("batch_size", batch_size), positive("steps_per_epoch", steps_per_epoch)
        for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
            if not _is_whole(value) or value < 0:
                raise ValueError(f"{name} is a whole number from 0, got {value!r}.")
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = batches.split(x, y, sample_weight, validation_split)
        source = batches.source(x, y, sample_weight, batch_size, steps_per_epoch, shuffle)
        batches.check_stateful(model, source, "fit", int(epochs))
        validation = _Validation(
            model, validation_data, positive("validation_batch_size", validation_batch_size) or batch_size,
            positive("validation_steps", validation_steps), validation_freq,
        )  # fmt: skip
        return _Fit(model, trainer, source, validation, int(epochs), steps_per_epoch, class_weight, verbose).run(
            callbacks, int(initial_epoch)
        )
    finally:
        turn.over()


class _Validation:
    """The data that is evaluated after some epochs. frequency: every how many, or a list of their numbers, from 1."""

    def __init__(self, model, data, batch_size, steps, frequency):
        self._frequency = frequency if isinstance(frequency, (list, tuple)) else positive("validation_freq", frequency)
        self._steps, self._source = steps, None
        if data is not None:
            parts = batches.parts_of(data) if isinstance(data, (tuple, list)) else (data, None, None)
            self._source = batches.source(*parts, batch_size if isinstance(data, (tuple, list)) else None, steps)
            batches.check_stateful(model, self._source, "fit (for validation)")

    def after(self, epoch):
        """Whether there is one after an epoch, counted from 0."""
        if self._source is None:
            return False
        frequency = self._frequency
        return (epoch + 1) % frequency == 0 if isinstance(frequency, int) else epoch + 1 in frequency

    def numbers(self, model, trainer, listed):
        """Losses and metrics by name, "val_" before each."""
        found = evaluate_source(model, trainer, self._source, self._steps, listed)
        return {f"val_{name}": value for name, value in found.items()}


class _Fit:
    """One run of `fit`: epochs of steps, with what the callbacks are told."""

    def __init__(self, model, trainer, source, validation, epochs, steps_per_epoch, class_weight, verbose):
        self._model, self._trainer, self._source, self._validation = model, trainer, source, validation
        self._epochs, self._steps_per_epoch = epochs, steps_per_epoch
        self._class_weight, self._verbose = class_weight, verbose
        self._steps = _steps(source, steps_per_epoch)
        self._finite = True  # whether all losses were

    def run(self, callbacks, initial_epoch):
        """The model's History."""
        model, source = self._model, self._source
        listed = self._listed = callbacks
        if not isinstance(callbacks, CallbackList):
            listed = self._listed = CallbackList(
                callbacks, add_history=True, model=model, verbose=self._verbose, epochs=self._epochs, steps=self._steps
            )
        model.stop_training = False
        model._initial_epoch, model._initial_batch = initial_epoch, 0
        logs = {}
        listed.on_train_begin()
        # BackupAndRestore may have set where to begin, and what the order of the rows depends on.
        source.begin(self._trainer.seed, initial_epoch)
        with interrupts.listening():
            for epoch in range(model._initial_epoch, self._epochs):
                found = self._epoch(epoch)
                if found is None:
                    break
                logs = found
                source.epoch_ended()
                listed.on_epoch_end(epoch, logs)
                if model.stop_training:
                    break
        if self._epochs and self._trainer.optimizer.built:
            with interrupts.whole():
                self._trainer.optimizer.finalize_variable_values(model.trainable_variables)
        listed.on_train_end(logs)
        return model.history

    def _epoch(self, epoch):
        """An epoch's numbers; None where there was no data for it."""
        model, trainer, source = self._model, self._trainer, self._source
        trainer.reset_results()
        self._listed.on_epoch_begin(epoch)
        start, model._initial_batch = model._initial_batch, 0
        if start and trainer.kept_totals and not isinstance(source, batches.Iterated):
            trainer.go_on(*next(source.batches(epoch)))
        with _Bar(f"Epoch {epoch + 1}/{self._epochs}", self._steps, self._verbose, start) as bar:
            # The killed run had already been told to stop: only the end of its epoch is left to do.
            stopped = start and model.stop_training
            done = start if stopped else self._batches(epoch, start, bar)
            # No step ran, and not because a killed run had done all steps of this epoch: the data has ended.
            if done == start and not stopped and not (start and source.count(epoch) in (start, None)):
                _warn(f"Model '{model.name}': the input ran out of data in epoch {epoch + 1}.")
                return None
            wanted = self._steps_per_epoch
            if wanted is not None and done < wanted and not model.stop_training:
                _warn(f"Model '{model.name}': the input ran out of data after {done} of {wanted} steps.")
            logs = trainer.results()
            if self._validation.after(epoch):
                logs = dict(sorted((logs | self._validation.numbers(model, trainer, self._listed)).items()))
            bar.end(logs)
        return logs

    def _batches(self, epoch, start, bar):
        """Trains on the epoch's batches from number `start` on; how many are done then, of all."""
        model, trainer, done = self._model, self._trainer, start
        for batch in _limited(self._source.batches(epoch, start), self._steps_per_epoch, start):
            self._listed.on_train_batch_begin(done)
            # Ctrl-C comes before a step or after it; in long kernels at once, then the step changes nothing.
            with interrupts.whole(kernels_stop=True):
                trainer.train(*batch, class_weight=self._class_weight)
            logs = trainer.results()
            if self._finite and not math.isfinite(logs.get("loss", 0.0)):
                self._finite = False
                _warn_of_loss(model, logs["loss"], epoch, done)
            self._listed.on_train_batch_end(done, logs)
            done += 1
            bar.update(logs)
            if model.stop_training:
                break
        return done


def _warn(text):
    """A warning that names the line which called `Model.fit`."""
    warnings.warn(text, stacklevel=6)


def _warn_of_loss(model, loss, epoch, batch):
    """Once in a run; epochs and batches are counted from 1."""
    warnings.warn(
        f"Model '{model.name}': the loss is {loss} from epoch {epoch + 1}, batch {batch + 1} on. Training goes on; "
        "callbacks=[fastseq.callbacks.TerminateOnNaN()] would stop it. Look for NaN or infinity in x, y and "
        "sample_weight; if there is none, try a lower learning rate, or clipnorm=1.0 in the optimizer.",
        stacklevel=7,
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
            tqdm = requirements.load("tqdm", "The progress bar of fit(verbose=1)")
            self._bar = tqdm.tqdm(total=steps, initial=start, desc=title, unit="batch", file=sys.stderr)

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
