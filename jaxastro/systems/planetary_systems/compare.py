"""Are generated systems like real ones? Summaries of a system, and distances between two populations of them."""

import itertools
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from scipy.stats import ks_2samp

from jaxastro.stats import Score, interval, wilson
from jaxastro.stats.two_sample import c2st, earth_mover, ks
from jaxastro.systems.planetary_systems.layout import System

EARTH_IN_SUN = 3.003e-6
GIANT = np.log10(300.0)
"""log10 Earth masses from which a planet counts as a giant."""


def planets_of(system: System) -> list[tuple[np.ndarray, np.ndarray]]:
    """log10 a and log10 M of the planets of each system of a batch."""
    log_a, log_mass, mask = (np.asarray(a, float) for a in (system.log_a, system.log_mass, system.mask))
    return [(a[m > 0], b[m > 0]) for a, b, m in zip(log_a, log_mass, mask, strict=True)]


def hill_spacing(log_a: Float[np.ndarray, " planet"], log_mass: Float[np.ndarray, " planet"]) -> np.ndarray:
    """Distance of adjacent planets in mutual Hill radii around a star of one solar mass."""
    a, mass = 10**log_a, 10**log_mass
    radius = ((mass[1:] + mass[:-1]) * EARTH_IN_SUN / 3) ** (1 / 3) * (a[1:] + a[:-1]) / 2
    return np.diff(a) / radius


def features(system: System) -> Float[np.ndarray, "system 19"]:
    """Nineteen summaries of each system, those of pairs being 0 where there is only one planet."""
    rows = []
    for log_a, log_mass in planets_of(system):
        spacing = np.log10(np.maximum(np.diff(log_a), 1e-7)) if len(log_a) > 1 else np.zeros(1)
        hill = hill_spacing(log_a, log_mass) if len(log_a) > 1 else np.zeros(1)
        varies = len(log_a) > 2 and log_mass.std() > 0 and log_a.std() > 0
        mass = 10**log_mass
        rows.append([
            len(log_a), np.log10(mass.sum()), log_mass.max(), log_mass.mean(), log_mass.std(), log_mass.min(),
            log_a.min(), log_a.max(), log_a.mean(), log_a.std(), spacing.mean(), spacing.std(), spacing.min(),
            hill.min(), np.median(hill), np.abs(np.diff(log_mass)).mean() if len(log_a) > 1 else 0.0,
            np.corrcoef(log_a, log_mass)[0, 1] if varies else 0.0, log_a[log_mass.argmax()], mass.max() / mass.sum(),
        ])  # fmt: skip
    return np.array(rows)


def quantities(system: System) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Distributions by name, each with the system that every value belongs to.

    Planets: `log_a`, `log_mass`. Pairs: `spacing` (log10 of the distance in dex), `period_ratio` (log10). Systems:
    `number`, `hill` (median of the mutual Hill spacings).
    """
    pairs = planets_of(system)
    number = np.array([len(a) for a, _ in pairs])
    planet, pair = np.repeat(np.arange(len(pairs)), number), np.repeat(np.arange(len(pairs)), number - 1)
    step = np.concatenate([np.diff(a) for a, _ in pairs])
    several = np.flatnonzero(number > 1)
    return {
        "log_a": (np.concatenate([a for a, _ in pairs]), planet),
        "log_mass": (np.concatenate([m for _, m in pairs]), planet),
        "spacing": (np.log10(np.maximum(step, 1e-7)), pair),
        "period_ratio": (1.5 * step, pair),
        "number": (number.astype(float), np.arange(len(pairs))),
        "hill": (np.array([np.median(hill_spacing(*pairs[i])) for i in several]), several),
    }


def adjacent_correlation(system: System, n: int = 200) -> Score:
    """Pearson correlation of the log masses of neighbours, with its bootstrap interval over systems."""
    pairs = [m for _, m in planets_of(system)]
    inner, outer = (np.concatenate([m[cut] for m in pairs]) for cut in (slice(None, -1), slice(1, None)))
    groups = np.repeat(np.arange(len(pairs)), [len(m) - 1 for m in pairs])
    return interval(lambda a, b: float(np.corrcoef(a, b)[0, 1]), inner, outer, groups=groups, n=n)


def shuffled(system: System, seed: int = 0) -> System:
    """The null: the numbers of planets stay, the planets themselves are dealt out anew over all systems."""
    mask = np.asarray(system.mask)
    deal = np.random.default_rng(seed).permutation(int(mask.sum()))
    log_a, log_mass = np.zeros(mask.shape, np.float32), np.zeros(mask.shape, np.float32)
    log_a[mask], log_mass[mask] = np.asarray(system.log_a)[mask][deal], np.asarray(system.log_mass)[mask][deal]
    order = np.argsort(np.where(mask, log_a, np.inf), axis=1)
    log_a, log_mass = np.take_along_axis(log_a, order, 1), np.take_along_axis(log_mass, order, 1)
    return system._replace(log_a=log_a, log_mass=log_mass)


def choose(system: System, rows: np.ndarray) -> System:
    """The systems of a batch with the given numbers."""
    return jax.tree.map(lambda a: a[rows], system)


def compare(
    real: System, generated: System, *, n: int = 200, seed: int = 0
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of a table of distances between real and generated systems, and the same by name for programs.

    The column `baseline` holds what the shuffled null gets, `control` what real systems get against real ones with as
    many systems on either side.

    Args:
        real: systems that the model has not seen.
        generated: systems of the model.
        n: systems on each side, at most.
        seed: which ones.
    """
    rng = np.random.default_rng(seed)
    n = min(n, len(real.mask), len(generated.mask))
    some = lambda s, m: choose(s, rng.permutation(len(s.mask))[:m])  # noqa: E731
    left, right, null = some(real, n), some(generated, n), some(shuffled(real, seed), n)
    half = min(n, len(real.mask) // 2)
    splits = [rng.permutation(len(real.mask))[: 2 * half].reshape(2, half) for _ in range(11)]
    rows, values = [], {}

    def add(name: str, score: Score, baseline: float | None, control: float | None) -> None:
        rows.append({**score.as_row(name, baseline), "control": control})
        values.update({name: score.value, f"{name}_low": score.low, f"{name}_high": score.high})
        values.update({f"{name}_{kind}": v for kind, v in (("null", baseline), ("control", control)) if v is not None})

    f = {name: features(s) for name, s in (("real", left), ("generated", right), ("null", null))}
    a, b = (features(choose(real, rows)) for rows in splits[0])
    add("c2st", c2st(f["real"], f["generated"]), float(c2st(f["real"], f["null"], n=2)), float(c2st(a, b, n=2)))
    new, fake = quantities(right), quantities(null)
    halves = [[quantities(choose(real, rows)) for rows in split] for split in splits]
    reference = quantities(left)
    for name, (x, group) in reference.items():
        y, group_y = new[name]
        distance = lambda u, v: float(ks_2samp(u, v)[0])  # pyright: ignore[reportArgumentType]  # noqa: E731
        control = float(np.median([distance(p[name][0], q[name][0]) for p, q in halves]))
        score = ks(x, y, groups_a=group, groups_b=group_y, n=200)
        add(f"ks_{name}", score, distance(x, fake[name][0]), control)
        if name in ("log_a", "log_mass", "period_ratio"):
            moved = earth_mover(x, y, groups_a=group, groups_b=group_y, n=200)
            add(f"emd_{name}", moved, float(earth_mover(x, fake[name][0], n=2)), None)
    real_corr = adjacent_correlation(real)
    add("adjacent_mass_correlation", adjacent_correlation(right), adjacent_correlation(null).value, real_corr.value)
    return rows, values


def giants_by_metallicity(real: System, generated: System, edges: tuple[float, ...] = (-0.7, -0.2, 0.0, 0.2, 0.6)):
    """Fraction of systems with a giant in bins of [Fe/H] that have any, generated and real, with Wilson's intervals."""

    def fraction(system: System, low: float, high: float) -> Score | None:
        metal, given = np.asarray(system.context)[:, 1], np.asarray(system.has_context)[:, 1]
        inside = given & (metal > low) & (metal <= high)
        heavy = np.where(np.asarray(system.mask), np.asarray(system.log_mass), -9).max(1) > GIANT
        return wilson(int(heavy[inside].sum()), int(inside.sum())) if inside.any() else None

    rows = []
    for low, high in itertools.pairwise(edges):
        truth, made = fraction(real, low, high), fraction(generated, low, high)
        if truth and made:
            row = made.as_row(f"giants, [Fe/H] {low:g} to {high:g}", truth.value)
            rows.append(row | {"baseline_low": truth.low, "baseline_high": truth.high, "n": truth.n, "drawn": made.n})
    return rows
