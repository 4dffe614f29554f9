"""Completing the stars of a table: summaries, posterior draws in the archive's columns, and when not to trust them."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from astropy.table import Table, vstack
from jaxtyping import Float

from jaxastro.errors import InputError
from jaxastro.io import atomic_path
from jaxastro.systems.planetary_systems.complete import ENOUGH, Completeness, Completion, complete
from jaxastro.systems.planetary_systems.config import Complete
from jaxastro.systems.planetary_systems.detection import RadialVelocity, Transit
from jaxastro.systems.planetary_systems.layout import System
from jaxastro.systems.planetary_systems.observation import ABSENT, Observation, observe
from jaxastro.systems.planetary_systems.planets import Planets, find_host
from jaxastro.train.progress import progress

RARE = 0.02
"""A known planet is rare if fewer systems of the population have one within 0.15 dex in place and 0.3 dex in mass."""


def survey(options: Complete) -> Completeness | None:
    """The completeness map that the options describe."""
    if options.survey == "rv":
        return RadialVelocity(options.threshold, float(np.log10(options.outer)), options.width)
    if options.survey == "transit":
        return Transit(options.noise_ppm, options.days, width=options.width)
    return None


def complete_stars(
    model: Any, planets: Planets, options: Complete, *, population: System, varying: Float[np.ndarray, " context"]
) -> tuple[Table, dict[str, tuple[Observation, Completion]]]:
    """One row per star that says what else it has, and the posterior draws behind it (of the first star only, where
    they are not to be written).

    Args:
        model: the trained density.
        planets: a table of known planets.
        options: which star, which of its planets are known, which survey looked.
        population: systems drawn from the model, to tell which known planets are rare in it.
        varying: standard deviation of each property of star and disc in the training data; what did not vary is
        ignored.

    Raises:
        InputError: no such star or planet.
    """
    hosts = [find_host(planets, options.host)] if options.host else planets.hosts()
    rows, draws = [], {}
    with progress(len(hosts), "completing", enabled=len(hosts) > 1 and not options.quiet) as told:
        for number, host in enumerate(hosts):
            mine = known_planets(planets, host, options.known)
            observation = observe(mine, host)
            use = observation.has_context & jnp.asarray(varying > 1e-3) & options.use_star
            observation = observation._replace(has_context=use, context=jnp.where(use, observation.context, 0.0))
            key = jax.random.fold_in(jax.random.key(options.seed), number)
            completion = complete(model, observation, key=key, n=options.n, completeness=survey(options))
            flags = doubts(observation, completion, mine, population, varying)
            rows.append({"hostname": str(host), **summary(observation, completion), "flag": "; ".join(flags)})
            if options.draws or not draws:
                draws[host] = (observation, completion)
            told(number + 1)
    table = Table(rows=rows)
    for quantity, unit in (("pl_orbsmax", "AU"), ("pl_bmasse", "earthMass")):
        for name in (name for name in table.colnames if quantity in name):
            table[name].unit = unit
    return table, draws


def known_planets(planets: Planets, host: str, letters: str) -> Planets:
    """The planets of a star that are taken as known: all, or those whose letters are given.

    Raises:
        InputError: the star has no planet of that letter.
    """
    mine = planets.at(np.flatnonzero(planets.system == host))
    wanted = letters.replace(",", " ").split() or list(mine.letter)
    missing = [letter for letter in wanted if letter not in mine.letter]
    if missing:
        raise InputError(f"Star '{host}' has no planet '{missing[0]}'; its planets are {', '.join(mine.letter)}.")
    return mine.at(np.flatnonzero(np.isin(mine.letter.astype(str), wanted)))


def summary(observation: Observation, completion: Completion) -> dict[str, Any]:
    """Numbers about the hidden planets: how many, where, how heavy, how likely an Earth-like one."""
    there = np.asarray(observation.present)
    axes = np.asarray(observation.value[:, 0])[there]
    system, hidden, weight = completion.system, np.asarray(completion.hidden), np.asarray(completion.weight)
    log_a = np.asarray(system.log_a)
    inside, outside = hidden & (log_a < axes.min()), hidden & (log_a > axes.max())
    count = hidden.sum(1)
    low, middle, high = weighted_quantiles(count.astype(float), weight)
    p = min(float(completion.earth_like()), 1.0)  # weights sum to one within rounding
    row: dict[str, Any] = {"known": int(there.sum()), "others": float((weight * count).sum())}
    row |= {"others_lower": low, "others_median": middle, "others_upper": high}
    row |= {"p_earth_like": p, "p_std": float(np.sqrt(p * (1 - p) / max(float(completion.ess), 1.0)))}
    between = hidden & ~inside & ~outside
    for name, where in (("inside", inside), ("between", between), ("outside", outside)):
        row[f"p_{name}"] = float((weight * where.any(1)).sum())
    for name, where, last in (("inside", inside, True), ("outside", outside, False)):
        row |= _nearest(name, system, where, weight, last)
    row["ess"] = float(completion.ess)
    return row


def _nearest(name: str, system: System, where: np.ndarray, weight: np.ndarray, last: bool) -> dict[str, float]:
    """Place and mass of the hidden planet next to the known ones, with 16 % and 84 % quantiles."""
    place = where.shape[1] - 1 - where[:, ::-1].argmax(1) if last else where.argmax(1)
    has = where.any(1)
    row = {}
    for column, values in (("pl_orbsmax", system.log_a), ("pl_bmasse", system.log_mass)):
        chosen = np.asarray(values)[np.arange(len(place)), place][has]
        quantiles = 10 ** weighted_quantiles(chosen, weight[has]) if has.any() else np.full(3, np.nan)
        low, middle, high = map(float, quantiles)
        row |= {f"next_{name}_{column}": middle, f"next_{name}_{column}_16": low, f"next_{name}_{column}_84": high}
    return row


def weighted_quantiles(values: np.ndarray, weight: np.ndarray, q=(0.16, 0.5, 0.84)) -> np.ndarray:
    """Quantiles of weighted values."""
    order = np.argsort(values)
    total = np.cumsum(weight[order])
    return values[order][np.minimum(np.searchsorted(total, np.asarray(q) * total[-1]), len(values) - 1)]


def doubts(
    observation: Observation, completion: Completion, planets: Planets, population: System, varying: np.ndarray
) -> list[str]:
    """Why an answer should be read with care: few effective draws, rare planets, a star unlike the training's."""
    said = []
    if float(completion.ess) < ENOUGH:
        said.append(f"only {float(completion.ess):.0f} effective draws, raise --n")
    for i in np.flatnonzero(np.asarray(observation.present)):
        near = jnp.abs(population.log_a - observation.value[i, 0]) < 0.15
        if int(observation.kind[i, 0]) != ABSENT:
            near &= jnp.abs(population.log_mass - observation.value[i, 1]) < 0.3
        share = float((near & population.mask).any(-1).mean())
        if share < RARE:
            said.append(f"planet {planets.letter[i] or i + 1} is rare: {100 * share:.1f} % of systems have one like it")
    if varying[0] < 1e-3 and abs(np.log10(float(observation.star_mass))) > 0.1:
        said.append(f"star of {float(observation.star_mass):.2f} solar masses, all of the training have 1")
    return said


def draws_table(host: str, letters: np.ndarray, completion: Completion, n: int, seed: int) -> Table:
    """`n` systems of equal weight, one row per planet, under the names of the NASA Exoplanet Archive.

    Hidden planets have an empty `pl_letter`; `draw` numbers the systems.
    """
    weight = np.asarray(completion.weight, float)
    chosen = np.random.default_rng(seed).choice(len(weight), n, p=weight / weight.sum())
    take = lambda a: np.asarray(a)[chosen]  # noqa: E731
    mask, which = take(completion.system.mask), take(completion.which)
    draw, place = np.nonzero(mask)
    which = which[draw, place]
    table = Table(
        {
            "hostname": np.full(len(draw), host),
            "draw": draw,
            "pl_letter": np.where(which < 0, "", letters.astype(str)[np.maximum(which, 0)]),
            "pl_orbsmax": 10 ** take(completion.system.log_a)[draw, place].astype(float),
            "pl_bmasse": 10 ** take(completion.system.log_mass)[draw, place].astype(float),
        }
    )
    if np.asarray(completion.system.has_radius).any():
        table["pl_rade"] = 10 ** take(completion.system.log_radius)[draw, place].astype(float)
        table["pl_rade"].unit = "earthRad"
    table["pl_orbsmax"].unit, table["pl_bmasse"].unit = "AU", "earthMass"
    return table


def write_draws(path: Path, planets: Planets, draws: dict, options: Complete) -> None:
    """Posterior draws of all stars in one ECSV table."""
    tables = []
    for host, (_, completion) in draws.items():
        letters = known_planets(planets, host, options.known).letter
        tables.append(draws_table(host, letters, completion, options.n, options.seed))
    with atomic_path(path) as temporary:
        vstack(tables).write(temporary, format="ascii.ecsv", overwrite=True)


__all__ = ["complete_stars", "doubts", "draws_table", "known_planets", "summary", "survey", "write_draws"]
