"""Every number with its error: bootstrap over objects, paired differences, binomial proportions."""

import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import jax
import numpy as np
from scipy.stats import binomtest

from jaxastro.errors import InputError
from jaxastro.stats.scores import Rows


@dataclass(frozen=True)
class Score:
    """A number with its interval; `f"{score:.2f}"` gives "0.97 [0.96, 0.98]"."""

    value: float
    low: float
    high: float
    level: float = 0.95
    """Nominal coverage of low to high."""
    n: int = 0
    """Objects that were resampled, or trials of a proportion."""

    def __format__(self, spec: str) -> str:
        spec = spec or ".3f"
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __str__(self) -> str:
        return format(self, "")

    def __float__(self) -> float:
        return self.value

    def as_row(self, name: str, baseline: float | None = None) -> dict[str, str | float | None]:
        """A row of a report's table: score, value, low, high, baseline."""
        return {"score": name, "value": self.value, "low": self.low, "high": self.high, "baseline": baseline}


def interval(
    score: Callable[..., float],
    *arrays: np.ndarray,
    groups: Rows | None = None,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Score:
    """A score of all rows, with the bootstrap percentile interval over objects.

    Objects are drawn with replacement, each with all its rows. A score that takes `weight` gets the number of draws of
    each row (fast); any other gets the drawn rows themselves. Resamples for which the score raises InputError (for
    instance one class only) are left out.

    Args:
        score: called as `score(*arrays)`; fix further arguments with `functools.partial`.
        arrays: share their leading axis, one entry per row.
        groups: object of each row (star, source, system); default: every row is its own object.
        n: resamples.
        seed: of the resampling.
        level: coverage.

    Raises:
        InputError: unequal lengths, or fewer than half of the resamples can be scored.
    """
    arrays = tuple(np.asarray(a) for a in arrays)
    objects = object_numbers(arrays, groups)
    draws = draw_counts(objects, n, seed)
    return _percentiles(
        score(*arrays), lambda draw: _resampled(score, arrays, draw), draws, level, n_objects=int(objects.max()) + 1
    )


def paired(
    score: Callable[..., float],
    truth: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    *,
    groups: Rows | None = None,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Score:
    """score(truth, a) - score(truth, b), with both scored on the same resampled objects; arguments as `interval`."""
    truth, a, b = np.asarray(truth), np.asarray(a), np.asarray(b)
    objects = object_numbers((truth, a, b), groups)
    return _percentiles(
        score(truth, a) - score(truth, b),
        lambda draw: _resampled(score, (truth, a), draw) - _resampled(score, (truth, b), draw),
        draw_counts(objects, n, seed),
        level,
        n_objects=int(objects.max()) + 1,
    )


def wilson(k: int | np.integer, n: int | np.integer, level: float = 0.95) -> Score:
    """k successes in n trials as a fraction with Wilson's score interval (scipy.stats.binomtest).

    Raises:
        InputError: n is not positive, or k is outside 0 to n.
    """
    if not 0 <= k <= n or n == 0:
        raise InputError(f"Expected 0 <= k <= n and n > 0 for a proportion, found k = {k} and n = {n}.")
    bounds = binomtest(int(k), int(n)).proportion_ci(level, method="wilson")
    return Score(float(k / n), float(bounds.low), float(bounds.high), level, int(n))


def object_numbers(arrays: Sequence[np.ndarray | jax.Array], groups: Rows | None) -> np.ndarray:
    """The number of the object of each row; InputError where the arrays and groups differ in length or are empty."""
    rows = np.arange(len(arrays[0])) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if len({len(rows), *map(len, arrays)}) > 1:
        raise InputError(
            f"Expected arrays of equal length, found {[len(a) for a in arrays]} with {len(rows)} rows in groups."
        )
    if len(rows) == 0:
        raise InputError("Expected at least one row to score, found none.")
    return rows


def draw_counts(objects: np.ndarray, n: int, seed: int) -> Iterator[np.ndarray]:
    """How often each row is drawn, one array per resample."""
    rng, size = np.random.default_rng(seed), int(objects.max()) + 1
    for _ in range(n):
        yield np.bincount(rng.integers(size, size=size), minlength=size)[objects]


def _resampled(score: Callable[..., float], arrays: tuple[np.ndarray, ...], count: np.ndarray) -> float:
    if "weight" in inspect.signature(score).parameters:
        return score(*arrays, weight=count.astype(float))
    rows = np.repeat(np.arange(len(count)), count)
    return score(*(a[rows] for a in arrays))


def _percentiles(
    value: float, score: Callable[..., float], draws: Iterable, level: float = 0.95, *, n_objects: int
) -> Score:
    """`value` with the percentile interval of `score(draw)` over draws, leaving out those that raise InputError."""
    found, tried = [], 0
    for draw in draws:
        tried += 1
        with contextlib.suppress(InputError):
            found.append(score(draw))
    if 2 * len(found) < tried or not found:
        raise InputError(
            f"Only {len(found)} of {tried} bootstrap resamples of {n_objects} objects could be scored; "
            "an interval needs more objects of the rarer class."
        )
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Score(float(value), float(low), float(high), level, n_objects)
