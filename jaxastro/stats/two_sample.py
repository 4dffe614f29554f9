"""Do two samples come from one population? A classifier's AUC, and distances between distributions."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from sklearn.ensemble import RandomForestClassifier

from jaxastro.errors import InputError
from jaxastro.stats.folds import grouped_folds
from jaxastro.stats.intervals import Score, draw_counts, interval, object_numbers
from jaxastro.stats.scores import Rows, roc_auc

Features = Float[np.ndarray, "_ _"]


def c2st(
    a: Features,
    b: Features,
    *,
    groups_a: Rows | None = None,
    groups_b: Rows | None = None,
    folds: int = 5,
    seeds: tuple[int, ...] = (0, 1),
    n: int = 1000,
    level: float = 0.95,
) -> Score:
    """ROC AUC with which a random forest tells the rows of `a` from those of `b`; 0.5 where it cannot.

    150 trees with at least 3 rows in a leaf; every row is scored by a forest that saw no row of its object; the AUC is
    the mean over seeds (Lopez-Paz & Oquab 2017, arXiv:1610.06545).

    Args:
        a: features per row, first sample.
        b: features per row, second sample.
        groups_a: object of each row of `a`; default: every row its own.
        groups_b: likewise for `b`; the objects of the two samples are taken as different.
        folds: of the cross-validation, objects whole.
        seeds: of folds and forests.
        n: bootstrap resamples of objects.
        level: coverage.

    Raises:
        InputError: features differ in number, or a sample has fewer objects than folds.
    """
    if a.shape[1] != b.shape[1]:
        raise InputError(f"Expected the same features in both samples, found {a.shape[1]} and {b.shape[1]}.")
    x, truth = np.concatenate([a, b]), np.repeat([0, 1], [len(a), len(b)])
    objects_a, objects_b = object_numbers((a,), groups_a), object_numbers((b,), groups_b)
    objects = np.concatenate([objects_a, objects_b + objects_a.max() + 1])
    scores = np.empty((len(x), len(seeds)))
    for column, seed in enumerate(seeds):
        held_out = grouped_folds(objects, truth, k=folds, seed=seed)
        for fold in range(folds):
            forest = RandomForestClassifier(150, min_samples_leaf=3, random_state=seed)
            forest.fit(x[held_out != fold], truth[held_out != fold])
            scores[held_out == fold, column] = np.asarray(forest.predict_proba(x[held_out == fold]))[:, 1]

    def mean_auc(truth: np.ndarray, scores: np.ndarray, weight: np.ndarray | None = None) -> float:
        return float(np.mean([roc_auc(truth, column, weight) for column in scores.T]))

    return interval(mean_auc, truth, scores, groups=objects, n=n, level=level)


def ks(
    a: Rows,
    b: Rows,
    *,
    groups_a: Rows | None = None,
    groups_b: Rows | None = None,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Score:
    """Kolmogorov-Smirnov distance: the largest gap between the two cumulative distributions, 0 to 1.

    The interval is distance -+ r, cut at 0, where r is the `level` quantile of the distance by which resampling the
    objects moves the difference of the distributions. It covers conservatively, and lies above 0 exactly where a
    bootstrap test at this level finds that the samples differ.

    Args:
        a: one quantity, first sample.
        b: the same quantity, second sample.
        groups_a: object of each row of `a`; default: every row its own.
        groups_b: likewise for `b`.
        n: resamples.
        seed: of the resampling.
        level: coverage.

    Raises:
        InputError: a sample is empty or holds values that are not finite.
    """
    return _distance(_largest, a, b, groups_a, groups_b, n, seed, level)


def earth_mover(
    a: Rows,
    b: Rows,
    *,
    groups_a: Rows | None = None,
    groups_b: Rows | None = None,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Score:
    """Earth mover's (first Wasserstein) distance in the unit of the quantity; arguments, interval, errors as `ks`."""
    return _distance(_area, a, b, groups_a, groups_b, n, seed, level)


def _largest(gap: np.ndarray, step: np.ndarray) -> float:
    return float(np.max(np.abs(gap), where=step > 0, initial=0.0))


def _area(gap: np.ndarray, step: np.ndarray) -> float:
    return float(np.abs(gap) @ step)


def _distance(
    norm: Callable[[np.ndarray, np.ndarray], float],
    a: Rows,
    b: Rows,
    groups_a: Rows | None,
    groups_b: Rows | None,
    n: int,
    seed: int,
    level: float,
) -> Score:
    """The norm of the gap between the cumulative distributions, a function that is constant on each step."""
    pooled = np.concatenate([np.asarray(a, float), np.asarray(b, float)])
    if len(a) == 0 or len(b) == 0 or not np.isfinite(pooled).all():
        raise InputError(
            f"Expected two samples of finite values, found {len(a)} and {len(b)} values, "
            f"{np.sum(~np.isfinite(pooled))} of them not finite."
        )
    order = np.argsort(pooled)
    step = np.diff(pooled[order])
    objects_a, objects_b = object_numbers((a,), groups_a), object_numbers((b,), groups_b)

    def gap(count_a: np.ndarray, count_b: np.ndarray) -> np.ndarray:
        mass = np.concatenate([count_a / count_a.sum(), -count_b / count_b.sum()])
        return np.cumsum(mass[order])[:-1]

    found = gap(np.ones(len(a)), np.ones(len(b)))
    draws = zip(draw_counts(objects_a, n, seed), draw_counts(objects_b, n, seed + 1), strict=True)
    value = norm(found, step)
    reach = float(np.quantile([norm(gap(*draw) - found, step) for draw in draws], level))
    n_objects = int(objects_a.max() + objects_b.max()) + 2
    return Score(value, max(0.0, value - reach), value + reach, level, n_objects)
