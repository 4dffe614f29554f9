"""Scores with intervals by star beside boosted trees on the same rows, as tables for people and values for programs."""

from functools import partial
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from jaxastro import stats
from jaxastro.systems.vetting.data import Signals
from jaxastro.systems.vetting.inputs import Inputs

SCORES = {
    "average precision": stats.average_precision,
    "accuracy": stats.accuracy,
    "recall at precision .99": partial(stats.recall_at_precision, precision=0.99),
    "ROC AUC": stats.roc_auc,
    "Brier": stats.brier,
    "log loss": stats.log_loss,
    "ECE": stats.ece,
}
_KEYS = ("ap", "accuracy", "recall_at_p99", "roc_auc", "brier", "log_loss", "ece")


def score_table(
    truth: np.ndarray,
    probability: np.ndarray,
    groups: np.ndarray,
    baseline: np.ndarray | None = None,
    *,
    resamples: int = 1000,
) -> list[dict[str, Any]]:
    """One row per score: value and interval, the baseline's value, and their paired difference with its interval."""
    rows = []
    for name, score in SCORES.items():
        value = stats.interval(score, truth, probability, groups=groups, n=resamples)
        row = value.as_row(name)
        if baseline is not None:
            difference = stats.paired(score, truth, probability, baseline, groups=groups, n=resamples)
            row["baseline"] = float(score(truth, baseline))
            row |= {"difference": difference.value, "diff_low": difference.low, "diff_high": difference.high}
        rows.append(row)
    return rows


def score_values(prefix: str, rows: list[dict[str, Any]]) -> dict[str, float]:
    """The numbers of a score table by flat names such as `all_ap`, `all_ap_low`, `all_ap_baseline`."""
    values = {}
    for key, row in zip(_KEYS, rows, strict=True):
        values[f"{prefix}{key}"] = row["value"]
        values |= {f"{prefix}{key}_{k}": v for k, v in row.items() if k not in ("score", "value") and v is not None}
    return values


def tree_features(signals: Signals, inputs: Inputs) -> np.ndarray:
    """What boosted trees see of the same inputs: clipped bins of all views and unscaled scalars, NaN where missing."""
    examples = inputs(signals)
    limits = {"global": (-1.5, 3.0)}
    columns = [
        np.clip(view[..., 0], *limits.get(name, (-2.0, 5.0))) for name, view in examples.views.items()
    ]  # fmt: skip
    pick = [signals.scalar_names.index(name) for name in inputs.scalar_names if name in signals.scalar_names]
    known = signals.examples.scalar_present[:, pick]
    return np.concatenate([*columns, np.where(known, signals.examples.scalars[:, pick], np.nan)], axis=1)


def boosted_trees(features: np.ndarray, truth: np.ndarray, seed: int = 0) -> HistGradientBoostingClassifier:
    """The strongest simple baseline of the field, fitted: 150 small trees."""
    trees = HistGradientBoostingClassifier(
        learning_rate=0.08, max_leaf_nodes=15, max_iter=150, l2_regularization=1.0, random_state=seed
    )
    return trees.fit(features, truth)


def trees_out_of_fold(features: np.ndarray, truth: np.ndarray, quoted: np.ndarray) -> np.ndarray:
    """The baseline's probability of every row, from trees fitted on the other folds."""
    probability = np.empty(len(truth))
    for fold in np.unique(quoted):
        held_out = quoted == fold
        probability[held_out] = boosted_trees(features[~held_out], truth[~held_out]).predict_proba(features[held_out])[
            :, 1
        ]
    return probability
