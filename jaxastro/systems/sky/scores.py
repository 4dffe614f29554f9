"""How good a run is: against the truth of a mock field, against a catalogue, and against photons it has not seen."""

from typing import Any

import numpy as np
from astropy.table import Table
from jaxtyping import Float, Int
from scipy.special import gammaln, logsumexp

from jaxastro.systems.sky.catalogue import match
from jaxastro.systems.sky.data import Field


def detection_scores(
    table: Table,
    points: Float[np.ndarray, "point 2"],
    extended: Float[np.ndarray, "extended 2"],
    *,
    radius: float,
    extended_radius: Float[np.ndarray, " extended"] | float,
    flux: Float[np.ndarray, " point"] | None = None,
) -> dict[str, Any]:
    """What was found of known sources, what was found besides, and how well it was measured.

    Args:
        table: the run's catalogue.
        points, extended: y, x of known sources [pixel].
        radius: largest distance of a match to a point.
        extended_radius: the same for each extended source.
        flux: of the points at the reference band; adds `flux_pulls` (in units of the posterior standard deviation of
            ln flux) and `flux_ratio`.

    Returns:
        Counts `points`, `points_found`, `extended`, `extended_found`, `extended_called_extended`, `detections`,
        `false`; `purity`; per found point `localisation` [pixel] and `position_pulls`, root mean square of the two
        coordinates' errors in posterior standard deviations.
    """
    found = np.column_stack([table["y"], table["x"]]).reshape(-1, 2)
    index, gap = match(points, found, radius)
    used = set(index[index >= 0])
    inside = (
        np.hypot(*(extended[:, None] - found[None]).transpose(2, 0, 1))
        <= np.broadcast_to(extended_radius, len(extended))[:, None]
        if len(extended) and len(found)
        else np.zeros((len(extended), len(found)), bool)
    )
    free = inside.copy()
    free[:, list(used)] = False
    explained = used | set(np.flatnonzero(inside.any(0)))
    called = np.asarray(table["extended"], bool)
    result: dict[str, Any] = {
        "points": len(points),
        "points_found": int((index >= 0).sum()),
        "extended": len(extended),
        "extended_found": int(free.any(1).sum()),
        "extended_called_extended": int((inside & called[None]).any(1).sum()) if len(found) else 0,
        "points_called_extended": int(called[index[index >= 0]].sum()) if len(found) else 0,
        "detections": len(found),
        "false": len(found) - len(explained),
        "purity": len(explained) / len(found) if len(found) else float("nan"),
        "localisation": gap[index >= 0].tolist(),
    }
    rows = table[index[index >= 0]] if len(found) else table
    missed = (np.column_stack([rows["y"], rows["x"]]) - points[index >= 0]).reshape(-1, 2)
    spreads = np.column_stack([rows["y_std"], rows["x_std"]]).reshape(-1, 2)
    result["position_pulls"] = np.sqrt(np.mean((missed / spreads) ** 2, 1)).tolist()
    if flux is not None:
        relative = np.asarray(rows["flux_std"]) / np.asarray(rows["flux"])
        ratio = np.asarray(rows["flux"]) / flux[index >= 0]
        spread = np.sqrt(np.log1p(relative**2))
        result["flux_ratio"] = ratio.tolist()
        result["flux_pulls"] = ((np.log(ratio) - spread**2 / 2) / spread).tolist()
    return result


def field_scores(truth: Float[np.ndarray, "..."], draws: Float[np.ndarray, "draw ..."]) -> dict[str, float]:
    """Root mean square error of the posterior mean, its pull, and the coverage of mean ± 1 and 1.96 sd."""
    mean, std = draws.mean(0), draws.std(0, ddof=1)
    pull = (truth - mean) / std
    return {
        "rmse": float(np.sqrt(np.mean((truth - mean) ** 2))),
        "pull_rms": float(np.sqrt(np.mean(pull**2))),
        "cover68": float(np.mean(np.abs(pull) < 1)),
        "cover95": float(np.mean(np.abs(pull) < 1.96)),
    }


def log_score(
    counts: Int[np.ndarray, "channel y x"], rates: Float[np.ndarray, "draw channel y x"], seen: np.ndarray
) -> Float[np.ndarray, " pixel"]:
    """Log predictive probability of each observed pixel's counts, the draws averaged [nat]."""
    d, r = counts[seen], np.maximum(rates[:, seen], 1e-12)
    return logsumexp(d * np.log(r) - r, axis=0) - np.log(len(r)) - gammaln(d + 1)


def flat_rates(field: Field, counts: Int[np.ndarray, "channel y x"]) -> Float[np.ndarray, "1 channel y x"]:
    """The baseline: background plus one flux per channel that fits `counts` best."""
    excess = np.maximum(counts.sum((1, 2)) - field.background.sum((1, 2)), 1.0)
    return (field.background + field.exposure * (excess / field.exposure.sum((1, 2)))[:, None, None])[None]


def predictive_checks(
    field: Field, counts: Int[np.ndarray, "channel y x"], rates: Float[np.ndarray, "draw channel y x"], *, seed: int
) -> dict[str, float]:
    """Posterior predictive p-values: how often replicated counts exceed the observed ones in each statistic.

    Statistics: chi-square against the draw's rate, the largest pixel's counts, the total, and the number of empty
    pixels. Values near 0 or 1 say that the model does not make such data.
    """
    rng = np.random.default_rng(seed)
    seen = field.exposure > 0
    larger = []
    for rate in rates:
        again = rng.poisson(rate)
        pairs = [(((d - rate) ** 2 / rate)[seen].mean(), d[seen].max(), d[seen].sum(), (d[seen] == 0).sum())
                 for d in (again, counts)]  # fmt: skip
        larger.append([(a > b) + 0.5 * (a == b) for a, b in zip(*pairs, strict=True)])
    names = ("p_chi2", "p_brightest_pixel", "p_total", "p_empty_pixels")
    return dict(zip(names, np.mean(larger, 0).tolist(), strict=True))


def residuals(
    counts: Int[np.ndarray, "channel y x"], rate: Float[np.ndarray, "channel y x"], field: Field
) -> tuple[Float[np.ndarray, "channel y x"], Float[np.ndarray, "y x"]]:
    """Residuals in Poisson standard deviations per channel, and matched to the PSF over all channels [sigma]."""
    from jaxastro.systems.sky.detect import correlate

    seen = field.exposure > 0
    plain = np.where(seen, (counts - rate) / np.sqrt(rate), 0)
    signal = correlate(np.where(seen, field.exposure * (counts / rate - 1), 0), field.psf).sum(0)
    noise = correlate(np.where(seen, field.exposure**2 / rate, 0), field.psf**2).sum(0)
    return plain, signal / np.sqrt(np.maximum(noise, 1e-6 * noise.max()))
