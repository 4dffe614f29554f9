"""Scores of a classifier or a regression, on the host in float64.

Every score is a plain function `score(truth, prediction, ..., weight=None)`. An integer weight counts a row that many
times, which is how `jaxastro.stats.interval` resamples. Thresholds are exact: only the predicted values themselves are
candidates, tied predictions are accepted or rejected together.
"""

from typing import NamedTuple, TypeAlias

import jax
import numpy as np
from jaxtyping import Float, Shaped

from jaxastro.errors import InputError

Rows: TypeAlias = Shaped[np.ndarray | jax.Array, "_"]
Predictions: TypeAlias = Shaped[np.ndarray | jax.Array, "_"] | Float[np.ndarray | jax.Array, "_ _"]


class Curve(NamedTuple):
    """What is accepted (`score >= threshold`) at every distinct score, from the strictest threshold down."""

    threshold: Float[np.ndarray, "threshold"]
    true_positive: Float[np.ndarray, "threshold"]
    false_positive: Float[np.ndarray, "threshold"]

    @property
    def precision(self) -> Float[np.ndarray, "threshold"]:
        return self.true_positive / (self.true_positive + self.false_positive)

    @property
    def recall(self) -> Float[np.ndarray, "threshold"]:
        return self.true_positive / self.true_positive[-1]

    @property
    def false_alarm(self) -> Float[np.ndarray, "threshold"]:
        """False-positive rate, the abscissa of the ROC curve."""
        return self.false_positive / self.false_positive[-1]


def curve(truth: Rows, score: Rows, weight: Rows | None = None) -> Curve:
    """True and false positives at every distinct score.

    Args:
        truth: 0 or 1 (or bool) per row.
        score: larger means more likely positive; any real scale.
        weight: how often each row counts; default once.

    Raises:
        InputError: unequal lengths, labels other than 0 and 1, non-finite scores, or one class only.
    """
    truth, score, weight = _rows(truth, score, weight)
    _require_binary(truth)
    seen = weight > 0
    if not (truth[seen].any() and (truth[seen] == 0).any()):
        raise InputError("The labels hold one class only; this score needs at least one positive and one negative row.")
    order = np.flatnonzero(seen)[np.argsort(-score[seen], kind="stable")]
    ordered, truth, weight = score[order], truth[order], weight[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), ordered.size - 1)  # the last row of each run of ties
    return Curve(ordered[last], np.cumsum(weight * truth)[last], np.cumsum(weight * (1 - truth))[last])


def average_precision(truth: Rows, score: Rows, weight: Rows | None = None) -> float:
    """Area under the precision-recall steps, sum of (R_n - R_(n-1)) P_n; see `curve` for arguments and errors."""
    c = curve(truth, score, weight)
    return float(np.sum(np.diff(c.recall, prepend=0.0) * c.precision))


def roc_auc(truth: Rows, score: Rows, weight: Rows | None = None) -> float:
    """Probability that a positive scores above a negative, ties counting half; see `curve` for arguments and errors."""
    c = curve(truth, score, weight)
    return float(np.trapezoid(np.append(0.0, c.recall), np.append(0.0, c.false_alarm)))


def recall_at_precision(truth: Rows, score: Rows, precision: float = 0.99, weight: Rows | None = None) -> float:
    """Largest recall at any threshold whose precision reaches `precision`; 0 where none does."""
    return _at_precision(truth, score, precision, weight)[0]


def threshold_at_precision(truth: Rows, score: Rows, precision: float = 0.99, weight: Rows | None = None) -> float:
    """Threshold of `recall_at_precision` (accept `score >= threshold`); inf, which accepts nothing, if none does."""
    return _at_precision(truth, score, precision, weight)[1]


def specificity_at_npv(truth: Rows, score: Rows, npv: float = 0.99, weight: Rows | None = None) -> float:
    """Largest true-negative rate where rejecting `score <= threshold` has negative predictive value `npv`; else 0."""
    return _at_precision(1 - np.asarray(truth, int), -np.asarray(score, float), npv, weight)[0]


def threshold_at_npv(truth: Rows, score: Rows, npv: float = 0.99, weight: Rows | None = None) -> float:
    """Threshold of `specificity_at_npv` (reject `score <= threshold`); -inf, which rejects nothing, if none does."""
    return -_at_precision(1 - np.asarray(truth, int), -np.asarray(score, float), npv, weight)[1]


def confusion(
    truth: Rows, prediction: Predictions, threshold: float = 0.5, weight: Rows | None = None
) -> Float[np.ndarray, "truth decision"]:
    """Weighted counts of (true class, decided class).

    Args:
        truth: class number of each row.
        prediction: probability of class 1 per row, decided by `>= threshold`; or one column per class, decided by the
            largest.
        threshold: for one probability per row only.
        weight: how often each row counts; default once.
    """
    truth, prediction, weight = _rows(truth, prediction, weight)
    decision = prediction.argmax(1) if prediction.ndim == 2 else (prediction >= threshold).astype(int)
    n = prediction.shape[1] if prediction.ndim == 2 else 2
    if truth.size == 0 or not np.isin(truth, range(n)).all():
        raise InputError(f"Expected class numbers 0 to {n - 1} as labels, found {np.unique(truth)[:5].tolist()}.")
    return np.bincount(truth.astype(int) * n + decision, weight, n * n).reshape(n, n)


def accuracy(truth: Rows, prediction: Predictions, threshold: float = 0.5, weight: Rows | None = None) -> float:
    """Fraction of rows decided correctly; see `confusion` for arguments."""
    table = confusion(truth, prediction, threshold, weight)
    return float(np.trace(table) / table.sum())


def balanced_accuracy(
    truth: Rows, prediction: Predictions, threshold: float = 0.5, weight: Rows | None = None
) -> float:
    """Mean over the classes present of the fraction decided correctly; see `confusion` for arguments."""
    table = confusion(truth, prediction, threshold, weight)
    there = table.sum(1) > 0
    return float(np.mean(np.diag(table)[there] / table.sum(1)[there]))


def f1(truth: Rows, prediction: Predictions, threshold: float = 0.5, weight: Rows | None = None) -> float:
    """2 TP / (2 TP + FP + FN) of class 1; with columns, its mean over classes. See `confusion` for arguments."""
    table = confusion(truth, prediction, threshold, weight)
    hit, total = 2 * np.diag(table), table.sum(0) + table.sum(1)
    each = np.divide(hit, total, out=np.zeros_like(hit), where=total > 0)
    return float(each[total > 0].mean() if np.ndim(prediction) == 2 else each[1])


def brier(truth: Rows, probability: Rows, weight: Rows | None = None) -> float:
    """Mean squared difference between the probability of class 1 and the label."""
    truth, probability, weight = checked_probabilities(truth, probability, weight)
    return float(np.average((probability - truth) ** 2, weights=weight))


def log_loss(truth: Rows, probability: Predictions, weight: Rows | None = None) -> float:
    """Mean of -ln(probability given to the true class) in nats, probabilities held away from 0 by 2.2e-16.

    Args:
        truth: class number of each row.
        probability: of class 1, or one column per class.
        weight: how often each row counts; default once.
    """
    truth, probability, weight = _rows(truth, probability, weight)
    if probability.ndim == 1:
        truth, probability, weight = checked_probabilities(truth, probability, weight)
        given = np.where(truth == 1, probability, 1 - probability)
    else:
        given = np.take_along_axis(probability, truth.astype(int)[:, None], 1)[:, 0] / probability.sum(1)
    tiny = np.finfo(float).eps
    return float(-np.average(np.log(np.clip(given, tiny, 1 - tiny)), weights=weight))


class Bins(NamedTuple):
    """Rows in bins of equally many, by rising probability; empty bins are left out, tied rows share one bin."""

    forecast: Float[np.ndarray, "bin"]
    """Mean probability."""
    frequency: Float[np.ndarray, "bin"]
    """Fraction of positives."""
    count: Float[np.ndarray, "bin"]


def equal_mass_bins(truth: Rows, probability: Rows, bins: int = 10) -> Bins:
    """Forecast and frequency in quantile bins of the probability (scikit-learn's `calibration_curve`, plus counts)."""
    truth, probability, _ = checked_probabilities(truth, probability, None)
    edges = np.percentile(probability, np.linspace(0, 100, bins + 1)[1:-1])
    which = np.searchsorted(edges, probability)
    count = np.bincount(which, minlength=bins)
    there = count > 0
    forecast, frequency = (np.bincount(which, of, bins)[there] / count[there] for of in (probability, truth))
    return Bins(forecast, frequency, count[there].astype(float))


def ece(truth: Rows, probability: Rows, bins: int = 10) -> float:
    """Expected calibration error: mean over rows of |forecast - frequency| of the row's equal-mass bin."""
    b = equal_mass_bins(truth, probability, bins)
    return float(np.average(np.abs(b.forecast - b.frequency), weights=b.count))


def mce(truth: Rows, probability: Rows, bins: int = 10) -> float:
    """Maximum calibration error: largest |forecast - frequency| among the equal-mass bins."""
    b = equal_mass_bins(truth, probability, bins)
    return float(np.max(np.abs(b.forecast - b.frequency)))


def r2(truth: Rows, prediction: Rows, weight: Rows | None = None) -> float:
    """Fraction of the truth's variance that the prediction explains; negative where its mean predicts better."""
    truth, prediction, weight = _rows(truth, prediction, weight)
    spread = np.average((truth - np.average(truth, weights=weight)) ** 2, weights=weight)
    if spread == 0:
        raise InputError("The true values are all equal, so no fraction of their variance exists; use rmse instead.")
    return float(1 - np.average((truth - prediction) ** 2, weights=weight) / spread)


def rmse(truth: Rows, prediction: Rows, weight: Rows | None = None) -> float:
    """Root of the mean squared difference, in the unit of the truth."""
    truth, prediction, weight = _rows(truth, prediction, weight)
    return float(np.sqrt(np.average((truth - prediction) ** 2, weights=weight)))


def _at_precision(truth: Rows, score: Rows, precision: float, weight: Rows | None) -> tuple[float, float]:
    c = curve(truth, score, weight)
    reached = np.flatnonzero((c.precision >= precision) & (c.true_positive > 0))
    return (float(c.recall[reached[-1]]), float(c.threshold[reached[-1]])) if reached.size else (0.0, np.inf)


def _rows(truth: Rows, prediction: Predictions, weight: Rows | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth, prediction = np.asarray(truth, float), np.asarray(prediction, float)
    weight = np.ones(len(truth)) if weight is None else np.asarray(weight, float)
    if not len(truth) == len(prediction) == len(weight):
        raise InputError(
            f"Expected one prediction and one weight per label, found {len(truth)} labels, {len(prediction)} "
            f"predictions and {len(weight)} weights."
        )
    for name, values in (("label", truth), ("prediction", prediction)):
        if not np.isfinite(values).all():
            row = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(1))[0]
            raise InputError(f"Row {row} has {name} {values[row]}; leave out the rows that could not be scored.")
    return truth, prediction, weight


def _require_binary(truth: np.ndarray) -> None:
    if truth.size == 0 or not np.isin(truth, (0, 1)).all():
        raise InputError(f"Expected labels 0 and 1, found {np.unique(truth)[:5].tolist()}.")


def checked_probabilities(
    truth: Rows, probability: Rows, weight: Rows | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth, probability, weight = _rows(truth, probability, weight)
    _require_binary(truth)
    outside = np.flatnonzero((probability < 0) | (probability > 1))
    if outside.size:
        raise InputError(
            f"Row {outside[0]} has probability {probability[outside[0]]}; expected 0 to 1 (apply a sigmoid to logits)."
        )
    return truth, probability, weight
