"""The book-keeping of a vetter: completeness, effectiveness and reliability, overall and by period and depth."""

import gzip
from collections.abc import Mapping
from itertools import pairwise, product
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from jaxtyping import Bool, Float

from jaxastro.errors import InputError
from jaxastro.stats import Score, wilson

Passed = Bool[np.ndarray, "signal"]
Columns = Mapping[str, Float[np.ndarray, "signal"]]


class Vetted(NamedTuple):
    """Signals that a vetter has judged.

    Attributes:
        passed: whether it called each a planet candidate.
        columns: what is known of each, such as `period_day` and `depth_ppm`.
    """

    passed: Passed
    columns: Columns = MappingProxyType({})

    def inside(self, limits: Mapping[str, tuple[float, float]]) -> "Vetted":
        """Those whose columns lie within the limits: low <= x < high."""
        if missing := [name for name in limits if name not in self.columns]:
            raise InputError(f"Column '{missing[0]}' is not among {', '.join(self.columns) or 'no columns'}.")
        keep = np.ones(len(self.passed), bool)
        for name, (low, high) in limits.items():
            keep &= (self.columns[name] >= low) & (self.columns[name] < high)
        return Vetted(self.passed[keep], {name: values[keep] for name, values in self.columns.items()})


def completeness(injected: Vetted) -> Score:
    """The fraction of injected planets that passed, with Wilson's interval.

    Raises:
        InputError: there are none.
    """
    return wilson(injected.passed.sum(), len(injected.passed))


def effectiveness(false_alarms: Vetted) -> Score:
    """The fraction of known false alarms (inverted or scrambled light curves) that did not pass.

    Raises:
        InputError: there are none.
    """
    return wilson((~false_alarms.passed).sum(), len(false_alarms.passed))


def reliability(observed: Vetted, false_alarms: Vetted, *, draws: int = 4000, seed: int = 0) -> Score:
    """The fraction of what passed among the observed signals that is no false alarm.

    R = 1 - N_FP / N_PC (1 - E) / E with the effectiveness E of the false alarms (Thompson et al. 2018, ApJS 235, 38,
    equation 10). The interval draws both fractions from their Jeffreys posteriors.

    Raises:
        InputError: no observed signal passed, or no false alarm failed.
    """
    passed, failed = observed.passed.sum(), (~observed.passed).sum()
    through, caught = false_alarms.passed.sum(), (~false_alarms.passed).sum()
    if not passed or not caught:
        raise InputError(
            f"{passed} observed signals passed and {caught} false alarms failed; reliability needs both to be positive."
        )
    rng = np.random.default_rng(seed)
    e = rng.beta(caught + 0.5, through + 0.5, draws)
    f = rng.beta(failed + 0.5, passed + 0.5, draws)
    low, high = np.quantile(1 - f / (1 - f) * (1 - e) / e, [0.025, 0.975])
    value = 1 - failed / passed * through / caught
    return Score(float(value), float(min(low, value)), float(max(high, value)), n=len(observed.passed))


def rates(
    edges: Mapping[str, Float[np.ndarray, "edge"]],
    *,
    injected: Vetted | None = None,
    false_alarms: Vetted | None = None,
    observed: Vetted | None = None,
) -> Table:
    """Completeness, effectiveness and reliability in every cell of a grid, NaN where a cell has too few signals.

    Args:
        edges: increasing edges by column; the grid is their product.
        injected: injected planets.
        false_alarms: known false alarms.
        observed: observed signals, for the reliability (needs `false_alarms` too).

    Returns:
        One row per cell: `<column>_low`, `<column>_high`, then `<rate>`, `<rate>_low`, `<rate>_high`, `n_<sample>`.
    """
    rows = []
    for cell in product(*(pairwise(edge) for edge in edges.values())):
        limits = dict(zip(edges, cell, strict=True))
        inside = {
            name: sample.inside(limits)
            for name, sample in (("injected", injected), ("false_alarms", false_alarms), ("observed", observed))
            if sample is not None
        }
        row: dict[str, float] = {}
        for name, (low, high) in limits.items():
            row |= {f"{name}_low": low, f"{name}_high": high}
        if injected is not None:
            row |= _cells("completeness", completeness, inside["injected"])
        if false_alarms is not None:
            row |= _cells("effectiveness", effectiveness, inside["false_alarms"])
        if false_alarms is not None and observed is not None:
            row |= _cells("reliability", reliability, inside["observed"], inside["false_alarms"])
        rows.append(row | {f"n_{name}": len(sample.passed) for name, sample in inside.items()})
    return Table(rows)


def _cells(name: str, rate, *samples: Vetted) -> dict[str, float]:
    try:
        score = rate(*samples)
    except InputError:
        score = Score(np.nan, np.nan, np.nan)
    return {name: score.value, f"{name}_low": score.low, f"{name}_high": score.high}


def read_robovetter(path: Path) -> Table:
    """The verdicts of a Robovetter output file (plain or `.gz`): `tce`, `score`, `passed`, and the four flags.

    Raises:
        InputError: the file cannot be read, or a line has no verdict.
    """
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            text = str(file.read())
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a Robovetter output file, found: {error}.") from error
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 7 or words[2] not in ("PC", "FP"):
            raise InputError(f"{path}: line {number} has no verdict; expected TCE, score, PC or FP, and four flags.")
        rows.append((words[0], float(words[1]), words[2] == "PC", *(word == "1" for word in words[3:7])))
    if not rows:
        raise InputError(f"{path}: no verdict was found; expected lines of TCE, score, PC or FP, and four flags.")
    names = ("tce", "score", "passed", "not_transit_like", "stellar_eclipse", "centroid_offset", "ephemeris_match")
    return Table(rows=rows, names=names)
