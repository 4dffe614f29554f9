"""What is known of a star's planets: places, masses, minimum masses, radii and upper limits, with their errors."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxastro.errors import InputError
from jaxastro.systems.planetary_systems.columns import Measured
from jaxastro.systems.planetary_systems.layout import PLANETS
from jaxastro.systems.planetary_systems.planets import Planets, find_host

ABSENT, VALUE, MINIMUM, LIMIT, MINIMUM_LIMIT = range(5)
"""What is known of a quantity: nothing, its value, m sin i, an upper limit, an upper limit of m sin i."""
LIMIT_SIGMA = 1.96
"""An upper limit is read as 95 %: the likelihood falls as a Gaussian around zero of this many standard deviations."""


class Observation(NamedTuple):
    """The known planets of one star; errors are those of the logarithm, towards smaller and larger values.

    Attributes:
        value: log10 of semi-major axis [AU], mass (or m sin i) and radius [Earth], 0 where absent.
        error: lower and upper error in dex; 0 is exact.
        kind: what is known of mass and radius (`ABSENT`, `VALUE`, `MINIMUM`, `LIMIT`, `MINIMUM_LIMIT`).
        present: whether there is a planet in that row; padding follows.
        star_mass: in solar masses.
        context: properties of star and disc, 0 where absent.
        has_context: which of them are given.
    """

    value: Float[Array, "known 3"]
    error: Float[Array, "known 3 2"]
    kind: Int[Array, "known 2"]
    present: Bool[Array, " known"]
    star_mass: Float[Array, ""]
    context: Float[Array, " context"]
    has_context: Bool[Array, " context"]

    def only(self, keep: Bool[Array, " known"]) -> "Observation":
        """The same star with only some of its planets known."""
        return self._replace(present=self.present & keep)


def draw_split_normal(u: Float[Array, "..."], value, lower, upper) -> Float[Array, "..."]:
    """The value that uniform numbers pick of a normal distribution with another width below `value` than above.

    The density is continuous: the side is chosen in proportion to its width.
    """
    share = jnp.where(lower + upper > 0, lower / jnp.maximum(lower + upper, 1e-12), 0.5)
    below = u < share
    p = jnp.where(below, u / jnp.maximum(2 * share, 1e-12), 0.5 + 0.5 * (u - share) / jnp.maximum(1 - share, 1e-12))
    z = jax.scipy.special.ndtri(jnp.clip(p, 1e-7, 1 - 1e-7))
    return value + z * jnp.where(below, lower, upper)


def log_limit(log_value: Float[Array, "..."], log_limit: Float[Array, "..."]) -> Float[Array, "..."]:
    """Log likelihood of a 95 % upper limit on a quantity, both as log10; 0 far below it."""
    return -0.5 * (LIMIT_SIGMA * 10 ** (log_value - log_limit)) ** 2


def draw_log_sin(u: Float[Array, "..."]) -> Float[Array, "..."]:
    """log10 sin i of an orbit of random orientation (cos i is uniform)."""
    return 0.5 * jnp.log10(jnp.maximum(1 - u**2, 1e-8))


def draw_axes(observation: Observation, key: PRNGKeyArray) -> Float[Array, " known"]:
    """Semi-major axes (log10 AU) within their errors."""
    u = jax.random.uniform(key, observation.present.shape)
    return draw_split_normal(u, observation.value[:, 0], observation.error[:, 0, 0], observation.error[:, 0, 1])


def observe(planets: Planets, host: str, *, size: int | None = None, floor: float = 0.0) -> Observation:
    """The planets of one star as a table gives them.

    Args:
        planets: a table.
        host: name of the star, of one of its planets, or an alias in the table.
        size: places for known planets; the next of 2, 4, 8, 16, 31 if not given.
        floor: smallest error in dex of masses and radii that the table gives without one.

    Raises:
        InputError: no such star, or more planets than a system can hold.
    """
    mine = planets.at(np.flatnonzero(planets.system == find_host(planets, host)))
    n = len(mine)
    if n >= PLANETS:
        raise InputError(
            f"Star '{host}' has {n} known planets; a system holds {PLANETS}, so at most {PLANETS - 1} fit."
        )
    size = size or next(s for s in (2, 4, 8, 16, PLANETS - 1) if s >= n)
    value, error, kind = np.zeros((size, 3)), np.zeros((size, 3, 2)), np.zeros((size, 2), int)
    value[:n, 0], error[:n, 0] = _logarithm(mine.a, 0.0)
    transits = ~np.isnan(mine.radius.value)
    for measured, kinds, where in (
        (mine.msini, np.where(mine.msini.limit, MINIMUM_LIMIT, MINIMUM), ~transits),
        (mine.msini, np.where(mine.msini.limit, LIMIT, VALUE), transits),  # a transit shows sin i = 1
        (mine.mass, np.where(mine.mass.limit, LIMIT, VALUE), np.ones(n, bool)),
    ):
        _fill(value, error, kind, 1, measured, kinds, where, floor)
    _fill(value, error, kind, 2, mine.radius, np.where(mine.radius.limit, LIMIT, VALUE), transits, floor)
    context = mine.context[0]
    return Observation(
        jnp.asarray(value, jnp.float32),
        jnp.asarray(error, jnp.float32),
        jnp.asarray(kind),
        jnp.arange(size) < n,
        jnp.asarray(np.nan_to_num(mine.star_mass[0], nan=1.0), jnp.float32),
        jnp.asarray(np.nan_to_num(context), jnp.float32),
        jnp.asarray(~np.isnan(context)),
    )


def _logarithm(measured: Measured, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """log10 of the values, and of their lower and upper errors in dex."""
    value = measured.value
    with np.errstate(invalid="ignore", divide="ignore"):
        upper = np.log10(1 + measured.upper / value)
        lower = -np.log10(np.maximum(1 - measured.lower / value, 0.1))
    error = np.stack([np.nan_to_num(lower, nan=floor), np.nan_to_num(upper, nan=floor)], -1)
    return np.log10(value), error


def _fill(value, error, kind, quantity: int, measured: Measured, kinds, where, floor: float) -> None:
    """Write one quantity of the planets that have it."""
    rows = np.flatnonzero(where & ~np.isnan(measured.value))
    log_value, log_error = _logarithm(measured, floor)
    value[rows, quantity], error[rows, quantity] = log_value[rows], log_error[rows]
    kind[rows, quantity - 1] = kinds[rows]
