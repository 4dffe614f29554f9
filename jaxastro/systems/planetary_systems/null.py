"""The null model: planets drawn one by one from one density, as many as systems have; no system knows its planets."""

import numpy as np
from jaxtyping import Float
from scipy.special import gammaln

from jaxastro.systems.planetary_systems.layout import PLANETS, System
from jaxastro.systems.planetary_systems.tokens import Grid

SMOOTHING = 0.3
"""Planets added to every cell and to every number of planets."""


def null_nll(train: System, test: System, grid: Grid | None = None) -> Float[np.ndarray, " system"]:
    """Negative log density of each test system in (log10 a, log10 M), in nats, under the null fitted to others.

    The density of one planet is constant in the cells of a grid, and the number of planets is as often as seen.
    """
    grid = grid or Grid()
    cells = lambda s: np.asarray(grid.encode(s.log_a, s.log_mass))  # noqa: E731
    mask, held = np.asarray(train.mask), np.asarray(test.mask)
    counts = np.bincount(cells(train)[mask], minlength=grid.end) + SMOOTHING
    numbers = np.bincount(mask.sum(1), minlength=PLANETS + 1)[1 : PLANETS + 1] + SMOOTHING
    per_planet = np.log(counts / counts.sum()) - np.log(grid.cell[0] * grid.cell[1])
    n = held.sum(1)
    order = gammaln(n + 1)  # n planets drawn in any order are one sorted system
    return -(np.where(held, per_planet[cells(test)], 0.0).sum(1) + order + np.log(numbers / numbers.sum())[n - 1])
