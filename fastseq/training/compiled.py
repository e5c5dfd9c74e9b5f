"""What `compile` was told: losses, metrics and weights for each output, and the numbers of an epoch."""

import numpy as np

from fastseq import losses
from fastseq import metrics as all_metrics
from fastseq.tensors import nest


def output_names(model):
    """What `compile`, labels and logs call the outputs, in the order of `outputs`, and the order they were given in.

    The keys of a dict of outputs; else the names of the layers they come from.
    """
    names = list(getattr(model, "output_names", None) or ["output"])
    outputs = getattr(model, "output", None)
    if isinstance(outputs, dict) and not any(nest.is_nested(output) for output in outputs.values()):
        return sorted(outputs), list(outputs)
    return names, names


class Compiled:
    """Losses and metrics of a model, made for its outputs at the first batch.

    names: of the model's outputs; given: the same in the order that their losses are listed in, where it is another;
    the other arguments as `Model.compile` takes them.
    """

    def __init__(self, names, loss, metrics, loss_weights, weighted_metrics, given=None):
        self.names = names
        given = names if given is None else given
        # In Keras a dict of losses has its own order, but only where the outputs are a dict too.
        self._listed = list(loss) if isinstance(loss, dict) and given is not names else given
        self.loss = per_output(loss, names, "loss", spread=True)
        self.loss_weights = per_output(loss_weights, names, "loss_weights")
        self._wanted = (_lists(metrics, names, "metrics"), _lists(weighted_metrics, names, "weighted_metrics"))
        self.losses = None
        self._metrics = []  # (output number, weighted, name in the logs, Metric)
        self._total = all_metrics.Mean(name="loss")
        self._each = []  # (name of an output, Mean of its loss)
        self._shown = [("loss", self._total)]  # (name in the logs, Metric) in the order that `evaluate` lists them

    @property
    def metrics(self):
        """The mean of the loss, those of the outputs' losses where there are several, then the metrics."""
        return [*self._means(), *(metric for *_, metric in self._metrics)]

    def _means(self):
        return [self._total, *(mean for _, mean in sorted(self._each, key=lambda pair: self._listed.index(pair[0])))]

    def needs_labels(self):
        """Whether there is a loss or a metric, for each output."""
        return [loss is not None or any(wanted) for loss, *wanted in zip(self.loss, *self._wanted)]

    def prepare(self, y_true, y_pred):
        """Makes the losses and metrics; some of them depend on shapes.

        y_true, y_pred: a list each, one entry per output; y_pred gives shapes alone.
        """
        if self.losses is not None:
            return
        # All are made before one is kept: a wrong name leaves nothing half done.
        pairs = list(zip(self.loss, y_true, y_pred))
        found = [None if loss is None else losses.for_output(loss, y, predicted) for loss, y, predicted in pairs]
        made, counts = [], {}
        for wanted, weighted in zip(self._wanted, (False, True)):
            for number, identifiers in enumerate(wanted):
                for identifier in identifiers:
                    metric = all_metrics.for_output(identifier, y_true[number], y_pred[number])
                    prefix = "" if len(self.names) == 1 else f"{self.names[number]}_"
                    made.append((number, weighted, _own_name(prefix, metric.name, weighted, counts), metric))
        told = [name for name, loss in zip(self.names, found) if loss is not None]
        # One loss alone is the total.
        self._each = [(name, all_metrics.Mean(name=f"{name}_loss")) for name in told] if len(told) > 1 else []
        self._metrics, self.losses = made, found
        # With several outputs, metrics are listed by their names.
        named = [(name, metric) for *_, name, metric in made]
        named = named if len(self.names) == 1 else sorted(named, key=lambda pair: pair[0])
        self._shown = [*((mean.name, mean) for mean in self._means()), *named]

    def metrics_of(self, number):
        """[(weighted, Metric)] of an output."""
        return [(weighted, metric) for own, weighted, _, metric in self._metrics if own == number]

    def all_metrics(self):
        """(output number, weighted, name in the logs, Metric) each, without the means of losses."""
        return self._metrics

    def update(self, results, penalties, rows, y_true, weights):
        """Adds a batch of so many rows to the epoch's numbers. penalties: what weights add to the loss."""
        self._total.add((results.loss + (results.added or 0.0) + penalties) * rows, rows)
        for (_, mean), value in zip(self._each, results.each):
            mean.add(value * rows, rows)
        done = [metric for metric, *_ in results.hits]
        for metric, total, count in results.hits:
            metric.add(total, count)
        for number, weighted, _, metric in self._metrics:
            if metric not in done:
                weight = weights[number] if weighted else None
                metric.update_state(y_true[number], results.values[number], sample_weight=weight)

    def reset(self):
        for metric in self.metrics:
            metric.reset_state()

    def results(self):
        """dict name -> number, in the order that `evaluate` lists them."""
        found = {}
        for name, metric in self._shown:
            value = metric.result()
            # One number, or one for each threshold.
            found[name] = value if type(value) is float or np.ndim(value) else float(value)
        return found


def _own_name(prefix, name, weighted, counts):
    """Keras's name in the logs where several metrics have one: "name_1", of weighted ones "weighted_name"."""
    found = f"{prefix}{name}"
    if weighted and found in counts:
        found = f"{prefix}weighted_{name}"
    count = counts.get(found, 0)
    counts[found] = count + 1
    return f"{found}_{count}" if count else found


def per_output(value, names, what, spread=False):
    """A list of one entry for each output of a list, a dict by output name, or one value.

    spread: one value is for every output. Raises ValueError for another number of entries and unknown names.
    """
    if isinstance(value, dict):
        unknown = sorted(set(value) - set(names))
        if unknown:
            raise ValueError(f"{what} names the outputs {unknown}; the model's outputs are {list(names)}.")
        return [value.get(name) for name in names]
    if isinstance(value, (list, tuple)):
        if len(value) != len(names):
            raise ValueError(f"{what} has {len(value)} entries, the model has {len(names)} outputs.")
        return list(value)
    if value is None or spread or len(names) == 1:
        return [value] * len(names)
    raise ValueError(f"{what} must be a list or dict with an entry for each of the model's outputs {list(names)}.")


def _lists(value, names, what):
    """A list of metrics for each output."""
    if value is None:
        return [[] for _ in names]
    if isinstance(value, dict):
        value = per_output(value, names, what)
    elif len(names) == 1 and isinstance(value, (list, tuple)) and not any(isinstance(v, (list, tuple)) for v in value):
        value = [value]
    elif not isinstance(value, (list, tuple)):
        raise ValueError(
            f"Expected {what} to be a list or dict. Received instead: {what}={value} of type {type(value)}"
        )
    elif len(names) > 1 and not any(isinstance(v, (list, tuple)) for v in value) and len(value) != len(names):
        raise ValueError(f"{what} has {len(value)} entries, the model has {len(names)} outputs.")
    found = per_output(list(value), names, what)
    return [[] if v is None else list(v) if isinstance(v, (list, tuple)) else [v] for v in found]
