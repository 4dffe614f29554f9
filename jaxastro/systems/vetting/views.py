"""From a folded light curve to WATSON-Net's views: detrended, clipped, binned and scaled by the transit depth."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from jaxastro.systems.vetting.detrend import biweight_trend
from jaxastro.systems.vetting.recipe import Recipe


class Folded(NamedTuple):
    """One signal's cadences, folded in float64 on the host; padded cadences have `keep` false.

    Attributes:
        time: days since the first cadence, increasing.
        tau: days from the nearest transit centre, in [-P/2, P/2).
        number: which transit that is, counted from the first one seen.
        flux: relative flux minus 1.
        keep: whether the cadence counts (neither padding nor in transit of another signal of the star).
        segment: uninterrupted stretch of the cadence.
        centroid: centroid offsets (cadence, 2) in any unit, NaN where unknown, or None.
        ghost: halo minus core flux, relative, NaN where unknown, or None.
        period: days.
        duration: days.
        window: of the detrending, days.
    """

    time: Float[Any, "*signal cadence"]
    tau: Float[Any, "*signal cadence"]
    number: Int[Any, "*signal cadence"]
    flux: Float[Any, "*signal cadence"]
    keep: Bool[Any, "*signal cadence"]
    segment: Int[Any, "*signal cadence"]
    centroid: Float[Any, "*signal cadence 2"] | None
    ghost: Float[Any, "*signal cadence"] | None
    period: Float[Any, "*signal"]
    duration: Float[Any, "*signal"]
    window: Float[Any, "*signal"]


class Views(NamedTuple):
    """What one signal looks like.

    Attributes:
        views: (bin, channel) by name; see `Example`.
        present: whether each view holds data, by name.
        measured: scalars by name, in units that the names give.
    """

    views: dict[str, Float[Any, "*signal bin channel"]]
    present: dict[str, Bool[Any, "*signal"]]
    measured: dict[str, Float[Any, "*signal"]]


@partial(jax.jit, static_argnames=("recipe", "width", "soft", "detrend"))
def build_views(
    folded: Folded,
    recipe: Recipe,
    *,
    width: int = 64,
    detrend: bool = True,
    soft: bool = False,
    period_shift: Float[Array, ""] | float = 0.0,
    epoch_shift: Float[Array, ""] | float = 0.0,
) -> Views:
    """The views of one signal, on the common scale of its main depth. `jax.vmap` builds those of many.

    Differentiable with respect to the flux; with `soft`, also with respect to the shifts of period and epoch.

    Args:
        folded: the signal's cadences.
        recipe: bins of each view and what to clip (`kind` must be `watson`).
        width: most cadences in one detrending window (static).
        detrend: divide by the biweight trend first.
        soft: share each cadence between the two nearest bins in proportion (instead of giving it to one bin), and let
            the cadences that a depth is measured on fade out over a bin.
        period_shift: days to add to the period; only with `soft` does it have a gradient.
        epoch_shift: days to add to the epoch.
    """
    tau = folded.tau - epoch_shift - folded.number.astype(folded.tau.dtype) * period_shift
    period = folded.period + period_shift
    half = jnp.minimum(recipe.focus_durations * folded.duration, period / 4)
    from_secondary = jnp.where(tau > 0, tau - period / 2, tau + period / 2)
    bins, focus = recipe.bins["global"], recipe.bins["main"]
    reach = half * (1 + 1 / focus) if soft else half  # softly, a cadence beyond the edge still shares in the last bin
    in_main, in_secondary = jnp.abs(tau) < reach, jnp.abs(from_secondary) < reach
    # From the reported ephemeris: a shift of it must not move cadences in and out of the trend.
    from_middle = jnp.minimum(jnp.abs(folded.tau), folded.period / 2 - jnp.abs(folded.tau))
    protected = (from_middle < 0.75 * folded.duration) & (6 * folded.duration < folded.period)  # else no trend is left

    series = [folded.flux]
    if folded.centroid is not None:
        series += [folded.centroid[:, 0], folded.centroid[:, 1]]
    if folded.ghost is not None:
        series += [folded.ghost]
    values = jnp.stack(series)
    good = folded.keep & jnp.isfinite(values)
    values = jnp.where(good, values, 0)
    if detrend:
        trends, known = lax.map(
            lambda v: biweight_trend(folded.time, *v, folded.segment, folded.window, width=width),
            (values, good & ~protected),
        )
        values, good = (values - trends).at[0].divide(1 + trends[0]), good & known
    flat, *others = values
    keep, *other_keeps = good
    sigma, keep = _clip(flat, keep, protected, recipe.clip_sigma)

    phase = tau / period + 0.75
    whole = _bin(phase - jnp.floor(phase), flat, keep, bins, soft, cyclic=True)
    x = jnp.where(in_main, tau, from_secondary) / (2 * half) + 0.5
    slot = jnp.where(in_main, folded.number % 2, 2)  # even, odd, secondary
    focused = _bin(x, flat, keep & (in_main | in_secondary), focus, soft, slot)
    even, odd, secondary = focused
    main = even + odd

    def middle(offset):  # the inner half of a transit; softly, its edges are as wide as a bin
        inner = folded.duration / 4 - jnp.abs(offset)
        return keep * (jnp.clip(inner * focus / (2 * half) + 0.5, 0, 1) if soft else inner > 0)

    centre = middle(tau)
    depth, depth_error = _depth(flat, centre, sigma)
    scale = jnp.maximum(depth, jnp.maximum(depth_error, 1e-7))
    views, present = {}, {}
    sums = {"global": whole[0], "main": main, "secondary": secondary, "odd": odd, "even": even}
    for name, parts in sums.items():
        views[name], present[name] = _view(parts, scale)
    if folded.centroid is not None:
        goods = [keep & known for known in other_keeps[:2]]
        views["centroid"], present["centroid"] = _centroid_view(others[:2], goods, protected, in_main, x, focus, soft)
    if folded.ghost is not None:
        good = _clip(others[-1], keep & other_keeps[-1], protected, recipe.clip_sigma, signed=True)[1]
        views["ghost"], present["ghost"] = _view(_bin(x, others[-1], good & in_main, focus, soft)[0], scale)

    odd_transit = folded.number % 2 == 1
    odd_depth, odd_error = _depth(flat, centre * odd_transit, sigma)
    even_depth, even_error = _depth(flat, centre * ~odd_transit, sigma)
    second, second_error = _depth(flat, middle(from_secondary), sigma)
    measured = {
        "depth_ppm": 1e6 * depth,
        "snr": depth / depth_error,
        "noise_ppm": 1e6 * sigma,
        "odd_even_sigma": jnp.abs(odd_depth - even_depth) / jnp.hypot(odd_error, even_error),
        "secondary_sigma": second / second_error,
    }
    return Views(views, present, measured)


def _clip(
    flat: Float[Array, "cadence"],
    keep: Bool[Array, "cadence"],
    protected: Bool[Array, "cadence"],
    limit: float,
    *,
    signed: bool = False,
) -> tuple[Float[Array, ""], Bool[Array, "cadence"]]:
    """Standard deviation out of transit, and `keep` without outliers: dips within transits are no outliers.

    Of `signed` series, whose shifts go either way, rises within transits are none either.
    """
    fixed = lax.stop_gradient(flat)
    sigma = jnp.asarray(jnp.inf, flat.dtype)
    for _ in range(4):
        used = keep & ~protected & (jnp.abs(fixed) < limit * sigma)
        n = jnp.maximum(used.sum().astype(flat.dtype), 1)
        mean = jnp.where(used, fixed, 0).sum() / n
        sigma = jnp.maximum(jnp.sqrt(jnp.where(used, (fixed - mean) ** 2, 0).sum() / n), 1e-9)
    keep = keep & (protected | (jnp.abs(fixed) < limit * sigma))
    return sigma, keep if signed else keep & (fixed < limit * sigma)


def _bin(x, values, keep, bins: int, soft: bool, slot=None, *, cyclic: bool = False) -> Float[Array, "slot bin 2"]:
    """Sum of values and of cadences in each bin of x in [0, 1), in each slot (one slot, or three)."""
    slots = 1 if slot is None else 3
    place = x * bins - (0.5 if soft else 0.0)
    first = jnp.floor(place)
    row = 0 if slot is None else slot.astype(jnp.int32) * bins
    pair = jnp.stack([values, jnp.ones_like(values)], axis=1) * keep[:, None]

    def add(bin, weights):
        bin = bin.astype(jnp.int32)
        bin = bin % bins if cyclic else bin
        inside = (bin >= 0) & (bin < bins)
        number = jnp.where(inside, jnp.clip(bin, 0, bins - 1) + row, slots * bins)  # beyond the last: dropped
        return jax.ops.segment_sum(weights, number, num_segments=slots * bins)

    if soft:
        share = (place - first)[:, None]
        total = add(first, pair * (1 - share)) + add(first + 1, pair * share)
    else:
        total = add(first, pair)
    return total.reshape(slots, bins, 2)


def _view(sums: Float[Array, "bin 2"], scale) -> tuple[Float[Array, "bin 2"], Bool[Array, ""]]:
    """Means of the bins over `scale` with empty bins interpolated, and validity; and whether the view holds data."""
    valid = sums[:, 1] > 1e-3
    mean = jnp.where(valid, sums[:, 0] / jnp.where(valid, sums[:, 1], 1), 0)
    middle = valid[len(valid) // 2 - len(valid) // 8 : len(valid) // 2 + len(valid) // 8 + 1]
    present = (valid.sum() * 4 >= len(valid)) & middle.any()
    view = jnp.stack([_filled(mean, valid) / scale, valid.astype(mean.dtype)], axis=1)
    return jnp.where(present, view, 0), present


def _filled(values: Float[Array, "bin"], valid: Bool[Array, "bin"]) -> Float[Array, "bin"]:
    """Empty bins by linear interpolation between the nearest bins that are not; the ends repeat."""
    place = jnp.arange(len(values))
    left = lax.cummax(jnp.where(valid, place, -1))
    right = lax.cummin(jnp.where(valid, place, len(values)), reverse=True)
    left, right = jnp.where(left < 0, right, left), jnp.where(right >= len(values), left, right)
    left, right = (jnp.clip(side, 0, len(values) - 1) for side in (left, right))
    share = (place - left).astype(values.dtype) / jnp.maximum(right - left, 1).astype(values.dtype)
    return values[left] * (1 - share) + values[right] * share


def _depth(flat, weight, sigma) -> tuple[Float[Array, ""], Float[Array, ""]]:
    n = weight.sum().astype(flat.dtype)
    return -(weight * flat).sum() / jnp.maximum(n, 1), sigma / jnp.sqrt(jnp.maximum(n, 0.25))


def _centroid_view(shifts, goods, protected, in_main, x, bins: int, soft: bool):
    """Centroid shift of both axes in units of the scatter of the bins out of transit, and validity."""
    columns = []
    for shift, good in zip(shifts, goods, strict=True):
        good = _clip(shift, good, protected, 3.0, signed=True)[1]
        view, present = _view(_bin(x, shift, good & in_main, bins, soft)[0], 1.0)
        outer = jnp.abs(jnp.arange(bins) - (bins - 1) / 2) > bins / 8  # beyond 0.75 durations
        outer &= view[:, 1] > 0
        n = jnp.maximum(outer.sum().astype(view.dtype), 1)
        mean = jnp.where(outer, view[:, 0], 0).sum() / n
        spread = jnp.sqrt(jnp.where(outer, (view[:, 0] - mean) ** 2, 0).sum() / n)
        columns.append((view[:, 0] - mean) / jnp.maximum(spread, 1e-12))
    both = jnp.stack([*columns, view[:, 1]], axis=1)
    return jnp.where(present, both, 0), present
