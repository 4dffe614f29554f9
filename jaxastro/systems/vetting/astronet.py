"""AstroNet's views (median bins that overlap, minimum scaled to -1), rebuilt from a raw light curve.

Conventions: Shallue & Vanderburg 2018, AJ 155, 94 (Kepler, 2001 + 201 bins); Yu et al. 2019, AJ 158, 25 (TESS,
201 + 61 bins).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxastro.systems.vetting.detrend import biweight_trend
from jaxastro.systems.vetting.ephemeris import Ephemeris, fold
from jaxastro.systems.vetting.folding import SHORTEST, folded, padded, power_of_two, window_cadences
from jaxastro.systems.vetting.lightcurve import LightCurve
from jaxastro.systems.vetting.ready_made import cut_secondary
from jaxastro.systems.vetting.recipe import Recipe
from jaxastro.systems.vetting.views import Views


class Convention(NamedTuple):
    """How one pipeline bins: width of a global bin over the period times its number, of a local bin in durations."""

    global_width: float
    local_width: float
    local_durations: float
    cadence_day: float


CONVENTIONS = {
    "astronet-kepler": Convention(1.0, 0.16, 4.0, 29.4 / 1440),
    "astronet-tess": Convention(1.2, 0.16, 2.0, 30 / 1440),
}


def astronet_views(
    curve: LightCurve, ephemeris: Ephemeris, recipe: Recipe, *, others: Sequence[Ephemeris] = ()
) -> Views:
    """The views AstroNet would have made of a light curve: averaged to 30 minutes, flattened, folded, median-binned.

    Args:
        curve: of the star, at any cadence; one faster than the pipeline's is averaged to it first.
        ephemeris: of the signal.
        recipe: of the ready-made views (`astronet-kepler` or `astronet-tess`).
        others: the star's other signals, whose transits are left out.
    """
    convention = CONVENTIONS[recipe.kind]
    signal = folded(curve, ephemeris, recipe, others=others)
    flux, good = _flattened(signal)
    time, flux = averaged(curve.time[good], flux[good], convention.cadence_day)
    tau = fold(time, ephemeris)[0] if len(time) else time
    period, reach = ephemeris.period_day, convention.local_durations * ephemeris.duration_day
    reach = min(reach, period / 2)
    bins = {name: recipe.native_bins(name) for name in ("global", "main")}
    raw = {
        "global": median_bins(tau, flux, bins["global"], convention.global_width * period / bins["global"], period / 2),
        "main": median_bins(
            tau, flux, bins["main"], min(convention.local_width * ephemeris.duration_day, reach), reach
        ),
    }
    present = {name: np.array(len(time) > 5 and np.isfinite(view).any()) for name, view in raw.items()}
    views = {name: scaled(filled(view))[:, None] for name, view in raw.items()}
    if recipe.secondary_cut:
        views["secondary"] = cut_secondary(views["global"][None], recipe.secondary_cut)[0]
        present["secondary"] = present["global"]
    inside = np.abs(tau) < ephemeris.duration_day / 4
    sigma = np.std(flux[np.abs(tau) > ephemeris.duration_day]) if len(flux) else np.nan
    depth = 1 - flux[inside].mean() if inside.any() else np.nan
    measured = {"depth_ppm": 1e6 * depth, "snr": depth / sigma * np.sqrt(inside.sum())}
    return Views(views, present, measured)


def _flattened(signal) -> tuple[np.ndarray, np.ndarray]:
    n = len(signal.time)
    length = padded(signal, power_of_two(n, SHORTEST))
    use = (
        length.keep & (np.abs(length.tau) > 0.75 * length.duration)
        if 6 * length.duration < length.period
        else length.keep
    )
    trend, known = jax.device_get(
        biweight_trend(length.time, length.flux, use, length.segment, length.window, width=window_cadences(signal))
    )
    flux = (1 + signal.flux) / (1 + trend[:n])
    spread = 1.4826 * np.median(np.abs(flux - np.median(flux)))
    return flux, signal.keep & known[:n] & (flux < np.median(flux) + 5 * spread)


def averaged(time: np.ndarray, flux: np.ndarray, cadence_day: float) -> tuple[np.ndarray, np.ndarray]:
    """The light curve in means over so many days, where it is faster than that; times are means too."""
    if len(time) < 2 or np.median(np.diff(time)) > 0.75 * cadence_day:
        return time, flux
    slot = np.floor((time - time[0]) / cadence_day).astype(int)
    count = np.bincount(slot)
    there = count > count.max() / 2
    return tuple(np.bincount(slot, column)[there] / count[there] for column in (time, flux))  # pyright: ignore


def median_bins(x: np.ndarray, y: np.ndarray, bins: int, width: float, reach: float) -> Float[np.ndarray, "bin"]:
    """Medians of y in `bins` equally spaced windows of x, which may overlap, from -reach to reach; NaN if empty."""
    order = np.argsort(x)
    x, y = x[order], y[order]
    starts = -reach + np.arange(bins) * (2 * reach - width) / (bins - 1)
    low, high = np.searchsorted(x, starts), np.searchsorted(x, starts + width)
    return np.array([np.median(y[a:b]) if b > a else np.nan for a, b in zip(low, high, strict=True)])


def filled(view: Float[np.ndarray, "bin"]) -> Float[np.ndarray, "bin"]:
    """The view with empty bins interpolated between their neighbours; zero where all are empty."""
    there = np.flatnonzero(np.isfinite(view))
    return np.interp(np.arange(len(view)), there, view[there]) if there.size else np.zeros_like(view)


def scaled(view: Float[np.ndarray, "bin"]) -> Float[np.ndarray, "bin"]:
    """The view with median 0 and minimum -1 (a flat view stays 0)."""
    view = view - np.median(view)
    return (view / max(abs(view.min()), 1e-12)).astype(np.float32)
