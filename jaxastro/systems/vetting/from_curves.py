"""Signals from raw light curves: views by the recipe, scalars that the curve itself tells, or the reason why not."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy.table import Table

from jaxastro.errors import InputError
from jaxastro.systems.vetting.astronet import astronet_views
from jaxastro.systems.vetting.data import Example, Signals
from jaxastro.systems.vetting.ephemeris import Ephemeris, fold, transits_seen
from jaxastro.systems.vetting.folding import folded, views_of_signals
from jaxastro.systems.vetting.lightcurve import LightCurve
from jaxastro.systems.vetting.recipe import Recipe

NO_CURVE = "no light curve"
MEASURED = ("depth_ppm", "snr", "odd_even_sigma", "secondary_sigma", "transits", "transits_full")


def signals_from_curves(
    curves: Sequence[LightCurve | str | None],
    ephemerides: Sequence[Ephemeris | str],
    *,
    recipe: Recipe | None = None,
    others: Sequence[Sequence[Ephemeris]] | None = None,
    scalars: Mapping[str, np.ndarray] | None = None,
    labels: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    split: np.ndarray | None = None,
    table: Table | None = None,
    notes: Sequence[str] = (),
) -> Signals:
    """The signals of light curves, one per ephemeris, in input order.

    Args:
        curves: the light curve of each signal; None where it has none, so that it is known by its scalars alone; or
            the reason why it cannot be used.
        ephemerides: when each transits, or the reason why that is not known; unused where there is no light curve.
        recipe: how to make the views (default: WATSON-Net's).
        others: the other signals of each star, whose transits are left out.
        scalars: known quantities by name, NaN where missing; measured ones fill the gaps.
        labels: label of each signal.
        groups: star of each signal (default: every signal its own).
        split: split of each signal.
        table: identities.
        notes: sentences to keep.

    Raises:
        InputError: the recipe is of views that cannot be made from a light curve.
    """
    recipe, rows = recipe or Recipe(), len(curves)
    views = {n: np.zeros((rows, bins, recipe.channels[n]), np.float32) for n, bins in recipe.bins.items()}
    present = {n: np.zeros(rows, bool) for n in recipe.bins}
    known = {name: np.array(column, np.float64) for name, column in (scalars or {}).items()}
    bare = np.array([curve is None for curve in curves], bool)
    described = np.any([np.isfinite(column) for column in known.values()], axis=0) if known else np.zeros(rows, bool)
    flags = np.array(
        [
            (NO_CURVE if not some else "") if curve is None else next((x for x in (curve, e) if isinstance(x, str)), "")
            for curve, e, some in zip(curves, ephemerides, described, strict=True)
        ],
        object,
    )
    usable = [row for row in range(rows) if not flags[row] and not bare[row]]
    if recipe.kind == "unknown" and usable:
        bins = ", ".join(f"{name} {n}" for name, n in recipe.bins.items())
        raise InputError(
            f"The model's views ({bins} bins) are of no known pipeline; give it ready-made views of that kind."
        )
    others = others or [()] * rows
    inputs: list[tuple[Any, Any, Any]] = [(curves[row], ephemerides[row], others[row]) for row in usable]
    if recipe.kind == "watson":
        built = views_of_signals([folded(c, e, recipe, others=o) for c, e, o in inputs], recipe)
    else:
        built = [astronet_views(c, e, recipe, others=o) for c, e, o in inputs]
    for name in ("period_day", "duration_hour", *MEASURED):
        known.setdefault(name, np.full(rows, np.nan))
    for row, made, (curve, ephemeris, _) in zip(usable, built, inputs, strict=True):
        for name in set(made.views) & set(views):
            views[name][row], present[name][row] = made.views[name], made.present[name]
        tau, number = fold(curve.time, ephemeris)
        full, seen = transits_seen(
            tau, number, ephemeris, float(np.median(np.diff(curve.time))) if len(curve) > 1 else 1.0
        )
        facts = {
            **made.measured, "period_day": ephemeris.period_day, "duration_hour": 24 * ephemeris.duration_day,
            "transits": seen, "transits_full": full,
        }  # fmt: skip
        for name, column in known.items():
            if np.isnan(column[row]) and name in facts and np.isfinite(facts[name]):
                column[row] = float(facts[name])
        if not present["main"][row]:
            flags[row] = "no cadence in transit" if seen == 0 else "too few cadences around the transit"
    matrix = np.stack(list(known.values()), axis=1) if known else np.zeros((rows, 0))
    table = Table() if table is None else table
    for name in ("period_day", "duration_hour", "depth_ppm"):
        table[name] = known[name]  # pyright: ignore
    return Signals(
        examples=Example(views, present, np.nan_to_num(matrix), np.isfinite(matrix)),
        scalar_names=tuple(known),
        labels=np.full(rows, "") if labels is None else labels,
        groups=np.arange(rows) if groups is None else groups,
        split=np.full(rows, "") if split is None else split,
        table=table,
        flags=flags,
        remarks=np.where(bare & (flags == ""), f"{NO_CURVE}: scored from its scalars alone", "").astype(object),
        recipe=recipe,
        notes=tuple(notes),
    )
