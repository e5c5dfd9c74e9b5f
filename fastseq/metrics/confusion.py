"""Precision and Recall. https://keras.io/api/metrics/classification_metrics/"""

import numpy as np

from fastseq.losses.base import squeeze_or_expand_to_same_rank
from fastseq.metrics.base import Metric
from fastseq.tensors import settings

_LOWEST = -1e10  # what Keras gives predictions outside the top k


class _Ratio(Metric):
    """True positives divided by the sum of them and another count, for each threshold."""

    _direction = "up"
    _other = None

    def __init__(self, thresholds=None, top_k=None, class_id=None, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        if thresholds is None:
            thresholds = 0.5 if top_k is None else _LOWEST
        elif any(t is None or t < 0 or t > 1 for t in np.ravel(np.array(thresholds, object))):
            raise ValueError(f"Threshold values must be in [0, 1]. Received: {thresholds}")
        self.thresholds = list(thresholds) if isinstance(thresholds, (list, tuple)) else [thresholds]
        self.true_positives = self.add_variable((len(self.thresholds),), "zeros", name="true_positives")
        setattr(self, self._other, self.add_variable((len(self.thresholds),), "zeros", name=self._other))

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch.

        Args:
            y_true (array): Labels, 0 or not.
            y_pred (array): Predictions, of the labels' shape.
            sample_weight (array, default None): Broadcasts to that shape.

        Raises:
            ValueError: Labels and predictions of different shapes, and class_id where there are no classes.
        """
        y_pred, y_true = squeeze_or_expand_to_same_rank(np.asarray(y_pred, np.float32), np.asarray(y_true))
        if y_true.shape != y_pred.shape:
            raise ValueError(
                f"Metric '{self.name}': labels of shape {y_true.shape} do not go with predictions of {y_pred.shape}."
            )
        weights = np.ones(())
        if sample_weight is not None:
            weights = np.asarray(sample_weight, np.float64)[..., None]
            weights = squeeze_or_expand_to_same_rank(y_true, weights, expand_rank_1=False)[1]
        if self.top_k is not None:
            y_pred = _only_top(y_pred, self.top_k)
        if self.class_id is not None:
            if y_pred.ndim == 1:
                raise ValueError(
                    "When class_id is provided, y_pred must be a 2D array with shape (num_samples, num_classes), found "
                    f"shape: {y_pred.shape}"
                )
            y_true, y_pred = y_true[..., self.class_id, None], y_pred[..., self.class_id, None]
        weights = np.broadcast_to(weights, y_pred.shape)
        if _is_even(self.thresholds):
            y_pred = np.clip(y_pred, 0, 1)
        positive, counts = y_true.astype(bool), {self._other: [], "true_positives": []}
        for threshold in self.thresholds:
            predicted = y_pred > np.float32(threshold)
            counts["true_positives"].append(weights[positive & predicted].sum())
            counts[self._other].append(weights[self._missed(positive, predicted)].sum())
        for name, values in counts.items():
            getattr(self, name).assign_add(values)

    def result(self):
        """The ratio; 0 where there is nothing to divide.

        Returns:
            float, or for several thresholds a float32 array of them.
        """
        hits = self.true_positives.numpy()
        total = hits + getattr(self, self._other).numpy()
        ratio = np.divide(hits, total, out=np.zeros_like(hits), where=total != 0)
        return float(ratio[0]) if len(ratio) == 1 else ratio.astype(np.float32)

    def get_config(self):
        config = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **config}


class Precision(_Ratio):
    """How many of what was predicted positive is so: true positives / (true positives + false positives).

    Args:
        thresholds (float or list of float, default None): A prediction above it, from 0 to 1, is positive; None is 0.5,
            or without a bound where top_k is given. A list gives a result for each.
        top_k (int, default None): Only the k largest predictions of each sample may be positive; None is all.
        class_id (int, default None): The one class that counts; None is all.
        name (str, default None): Of the metric; None makes one from the class's name.
        dtype (str, default None): Kept in the config; the state is float64 whatever it says.

    Raises:
        ValueError: Thresholds out of range; when it is updated, labels of another shape than the predictions.

    Example:
        >>> metrics.Precision()([0, 1, 1, 1], [1.0, 0.0, 1.0, 1.0])
        0.6666666666666666
    """

    _other = "false_positives"

    def _missed(self, positive, predicted):
        return ~positive & predicted


class Recall(_Ratio):
    """How many of what is positive was predicted so: true positives / (true positives + false negatives).

    Args:
        thresholds (float or list of float, default None): A prediction above it, from 0 to 1, is positive; None is 0.5,
            or without a bound where top_k is given. A list gives a result for each.
        top_k (int, default None): Only the k largest predictions of each sample may be positive; None is all.
        class_id (int, default None): The one class that counts; None is all.
        name (str, default None): Of the metric; None makes one from the class's name.
        dtype (str, default None): Kept in the config; the state is float64 whatever it says.

    Raises:
        ValueError: Thresholds out of range; when it is updated, labels of another shape than the predictions.

    Example:
        >>> metrics.Recall()([0, 1, 1, 1], [1.0, 0.0, 1.0, 1.0])
        0.6666666666666666
    """

    _other = "false_negatives"

    def _missed(self, positive, predicted):
        return positive & ~predicted


def _only_top(y_pred, k):
    order = np.argsort(-y_pred, axis=-1, kind="stable")[..., :k]
    kept = np.full_like(y_pred, _LOWEST)
    np.put_along_axis(kept, order, np.take_along_axis(y_pred, order, -1), -1)
    return kept


def _is_even(thresholds):
    """Whether they divide [0, 1] evenly; Keras then counts by them, and predictions outside of it as its ends."""
    count = len(thresholds)
    return count > 2 and np.allclose(thresholds, np.arange(count) / (count - 1), atol=settings.epsilon())
