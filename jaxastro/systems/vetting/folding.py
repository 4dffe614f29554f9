"""Light curves and ephemerides on the host become padded batches for the compiled view builder, and views come back."""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxastro.systems.vetting.ephemeris import Ephemeris, fold, in_transit
from jaxastro.systems.vetting.lightcurve import LightCurve
from jaxastro.systems.vetting.recipe import Recipe
from jaxastro.systems.vetting.views import Folded, Views, build_views

SHORTEST, BATCH_CADENCES, WORKERS = 1024, 1 << 18, 2


def folded(
    curve: LightCurve, ephemeris: Ephemeris, recipe: Recipe | None = None, *, others: Sequence[Ephemeris] = ()
) -> Folded:
    """The cadences of one signal, folded in float64, as float32 host arrays.

    Args:
        curve: the star's light curve.
        ephemeris: of the signal.
        recipe: gives the detrending window (default: the default recipe).
        others: the star's other signals, whose transits (one duration to either side) are left out; not those of a
            signal in transit for a quarter of its period or more, which would leave too little.
    """
    recipe = recipe or Recipe()
    tau, number = fold(curve.time, ephemeris)
    keep = np.ones(len(curve), dtype=bool)
    for other in others:
        if 4 * other.duration_day < other.period_day:
            keep &= ~in_transit(curve.time, other, durations=2.0)
    centroid = curve.centroid
    if centroid is not None and not np.isfinite(centroid).all(axis=1).any():
        centroid = None
    single = partial(np.asarray, dtype=np.float32)
    return Folded(
        time=single(curve.time - curve.time[0]),
        tau=single(tau),
        number=number.astype(np.int32),
        flux=single(curve.flux - 1),
        keep=keep,
        segment=curve.segment.astype(np.int32),
        centroid=None if centroid is None else single(centroid - np.nanmean(centroid, axis=0)),
        ghost=None if curve.ghost is None else single(curve.ghost),
        period=single(ephemeris.period_day),
        duration=single(ephemeris.duration_day),
        window=single(max(recipe.window_durations * ephemeris.duration_day, recipe.window_day)),
    )


def padded(signal: Folded, length: int) -> Folded:
    """The same signal with cadences added that do not count, up to `length`."""
    extra = length - len(signal.time)

    def pad(array: Any) -> Any:
        if array is None or array.ndim == 0:
            return array
        return np.concatenate(
            [array, np.full((extra, *array.shape[1:]), array[-1] if array.ndim == 1 else 0, array.dtype)]
        )

    return Folded(*(pad(array) for array in signal))._replace(
        keep=np.concatenate([signal.keep, np.zeros(extra, dtype=bool)])
    )


def views_of_signals(signals: Sequence[Folded], recipe: Recipe | None = None, *, detrend: bool = True) -> list[Views]:
    """The views of every signal, NumPy arrays, in input order.

    Signals of one power-of-two length and window are stacked and built by one compiled program, so that thousands of
    light curves of any length cost a handful of compilations.

    Args:
        signals: from `folded`.
        recipe: how to make the views.
        detrend: whether the light curves still hold slow variation.
    """
    recipe = recipe or Recipe()
    groups = defaultdict(list)
    for row, signal in enumerate(signals):
        kind = (signal.centroid is None, signal.ghost is None)
        groups[(power_of_two(len(signal.time), SHORTEST), window_cadences(signal) if detrend else 16, kind)].append(row)
    chunks = []
    for (length, width, _), rows in groups.items():
        size = max(1, BATCH_CADENCES // length)
        size = min(size, power_of_two(len(rows), 1))
        chunks += [(rows[i : i + size], length, width, size) for i in range(0, len(rows), size)]

    def build(chunk) -> list[tuple[int, Views]]:
        rows, length, width, size = chunk
        filled = [*rows, *[rows[0]] * (size - len(rows))]
        batch = jax.tree.map(lambda *leaves: np.stack(leaves), *(padded(signals[row], length) for row in filled))
        views = jax.device_get(_build_batch(batch, recipe, width=width, detrend=detrend))
        return [(row, jax.tree.map(lambda leaf, i=i: leaf[i], views)) for i, row in enumerate(rows)]

    with ThreadPoolExecutor(WORKERS) as pool:
        built = dict(pair for pairs in pool.map(build, chunks) for pair in pairs)
    return [built[row] for row in range(len(signals))]


@partial(jax.jit, static_argnames=("recipe", "width", "detrend"))
def _build_batch(batch: Folded, recipe: Recipe, *, width: int, detrend: bool) -> Views:
    return jax.lax.map(partial(build_views, recipe=recipe, width=width, detrend=detrend), batch)  # stays in the cache


def window_cadences(signal: Folded) -> int:
    """The most cadences that one detrending window holds, rounded up to a power of four: each costs a compilation."""
    time = np.asarray(signal.time)
    ends = np.searchsorted(time, time + float(signal.window), side="right")
    most = int((ends - np.arange(len(time))).max()) + 1
    return next(width for width in (16 * 4**k for k in range(20)) if width >= most)


def power_of_two(n: int, least: int) -> int:
    """The least power of two that is not below `n` or `least` (itself a power of two)."""
    return max(least, 1 << (int(n) - 1).bit_length())
