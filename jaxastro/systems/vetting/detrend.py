"""The slow variation of a light curve by a sliding Tukey biweight, with the transits left out of it."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

BISECTIONS, STEPS, TUNING = 20, 4, 5.0


@partial(jax.jit, static_argnames="width")
def biweight_trend(
    time: Float[Array, "cadence"],
    values: Float[Array, "cadence"],
    use: Bool[Array, "cadence"],
    segment: Int[Array, "cadence"],
    window_day: Float[Array, ""],
    *,
    width: int,
) -> tuple[Float[Array, "cadence"], Bool[Array, "cadence"]]:
    """The trend at every cadence, and whether there is one (a cadence of the same segment to fit lies in the window).

    The location of each window is Tukey's biweight (tuning 5 median absolute deviations, started at the median), taken
    at sixteen places per window and interpolated. The weights are constants to differentiation: the trend is linear in
    `values`, so gradients with respect to the flux exist. Method: Hippke et al. 2019 (wotan), AJ 158, 143.

    Args:
        time: days, increasing.
        values: what to smooth.
        use: cadences that the trend is fitted to (neither in transit nor padding).
        segment: uninterrupted stretches; a window never reaches across.
        window_day: length of the window, days.
        width: most cadences that fall into one window (static; a power of two keeps compilations few).
    """
    stride = max(1, width // 16)
    centre = jnp.arange(stride // 2, len(time), stride)
    index = centre[:, None] + jnp.arange(-width // 2, width // 2 + 1)
    near = (index >= 0) & (index < len(time))
    index = jnp.clip(index, 0, len(time) - 1)
    near &= use[index] & (segment[index] == segment[centre, None])
    near &= jnp.abs(time[index] - time[centre, None]) <= window_day / 2
    x = values[index]
    knots = _biweight(x, near)
    there = near.any(axis=1)
    left = jnp.clip((jnp.arange(len(time)) - stride // 2) // stride, 0, len(centre) - 1)
    right = jnp.minimum(left + 1, len(centre) - 1)
    share = jnp.clip((time - time[centre[left]]) / jnp.maximum(time[centre[right]] - time[centre[left]], 1e-9), 0, 1)
    a, b = (w * (there[k] & (segment[centre[k]] == segment)) for w, k in ((1 - share, left), (share, right)))
    total = a + b
    return (a * knots[left] + b * knots[right]) / jnp.where(total > 0, total, 1), total > 0


def _biweight(x: Float[Array, "knot cadence"], near: Bool[Array, "knot cadence"]) -> Float[Array, "knot"]:
    fixed = lax.stop_gradient(x)
    location = _median(fixed, near)
    scale = TUNING * _median(jnp.abs(fixed - location[:, None]), near) + 1e-12

    def weights(location):
        u = (fixed - location[:, None]) / scale[:, None]
        return jnp.where(near & (jnp.abs(u) < 1), (1 - u**2) ** 2, 0)

    def mean(w, x):
        return (w * x).sum(axis=1) / jnp.maximum(w.sum(axis=1), 1e-12)

    location = lax.fori_loop(0, STEPS - 1, lambda _, m: mean(weights(m), fixed), location)
    return mean(weights(location), x)


def _median(x: Float[Array, "knot cadence"], near: Bool[Array, "knot cadence"]) -> Float[Array, "knot"]:
    """The median of each row's `near` values, by bisection: a sort would cost ten times as much."""
    low = jnp.where(near, x, jnp.inf).min(axis=1)
    high = jnp.where(near, x, -jnp.inf).max(axis=1)
    low, high = (jnp.where(jnp.isfinite(v), v, 0) for v in (low, high))
    count = near.sum(axis=1)

    def halve(_, bounds):
        low, high = bounds
        middle = (low + high) / 2
        below = 2 * (near & (x < middle[:, None])).sum(axis=1) < count
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = lax.fori_loop(0, BISECTIONS, halve, (low, high))
    return (low + high) / 2
