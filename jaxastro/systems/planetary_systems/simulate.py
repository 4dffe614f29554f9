"""PodSim: planets alike in mass and evenly spaced ("peas in a pod"), with a closed-form density over whole systems.

The number of planets follows a Poisson distribution cut off at one and `LONGEST`; the masses of a system share a mean;
neighbours lie a truncated log-normal number of mutual Hill radii apart. It follows Weiss et al. (2018, AJ 155, 48), and
every conditional has a closed form, so that a trained model and a completion can be judged against the truth.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy.table import Table
from jax.scipy.special import gammaln, log_ndtr, logsumexp, ndtri
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxastro.systems.planetary_systems.layout import CONTEXT, PLANETS, System, nothing_known

LONGEST = 20
EARTH_IN_SUN = 3.003e-6
CLOSEST = 2 * math.sqrt(3)
"""Mutual Hill radii below which two planets are unstable (Gladman 1993)."""


def log_normal_pdf(x: Float[Array, "*batch"], mean: Float[Array, "*batch"] | float, sd: Float[Array, "*batch"] | float):
    """Log density of a normal distribution."""
    return -0.5 * ((x - mean) / sd) ** 2 - jnp.log(sd) - 0.5 * math.log(2 * math.pi)


class PodSim(eqx.Module):
    """The simulator and its density; all widths and means are in dex.

    Attributes:
        planets: mean of the Poisson distribution before it is cut off.
        mean_mass, between, within: mean log10 Earth mass, its scatter between systems, and within one.
        first, first_sd: log10 AU of the innermost planet and its scatter.
        spacing, spacing_sd: log10 of the distance of neighbours in mutual Hill radii and its scatter.
    """

    planets: float = 5.0
    mean_mass: float = 0.6
    between: float = 0.45
    within: float = 0.3
    first: float = -1.1
    first_sd: float = 0.25
    spacing: float = math.log10(20)
    spacing_sd: float = 0.18

    def log_number(self) -> Float[Array, " number"]:
        """Log probability of 0, 1, ... `LONGEST` planets."""
        n = jnp.arange(LONGEST + 1)
        return jax.nn.log_softmax(jnp.where(n > 0, n * jnp.log(self.planets) - gammaln(n + 1.0), -jnp.inf))

    def log_stop(self, index: Int[Array, ""]) -> Float[Array, ""]:
        """Log probability that a system with `index` planets so far has no more."""
        log_p = self.log_number()
        left = jnp.where(jnp.arange(LONGEST + 1) >= index, log_p, -jnp.inf)
        return log_p[jnp.minimum(index, LONGEST)] - logsumexp(left)

    def next_mass(self, index: Int[Array, ""], total: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Mean and standard deviation of the next log mass after `index` planets whose log masses sum to `total`."""
        shrink = self.between**2 / (index * self.between**2 + self.within**2)
        mean = self.mean_mass + shrink * (total - index * self.mean_mass)
        return mean, jnp.sqrt(self.within**2 * (1 + shrink))

    def log_prob_a(self, log_a, log_mass, before_a, before_mass) -> Float[Array, ""]:
        """Log density per dex of the place of a planet of `log_mass`, after one of `before_mass` at `before_a`."""
        step = jnp.maximum(log_a - before_a, 1e-9)
        h, low, high = self._limits(log_mass, before_mass)
        half = jnp.tanh(0.5 * step * math.log(10))  # (1 + x) / (1 - x) = a_(i+1) / a_i
        delta = jnp.log10(2 * half / h)
        inside = (log_a > before_a) & (delta > low) & (delta < high)
        per_dex = (1 - half**2) / (2 * half)  # d log10(delta) / d log10(a)
        pdf = log_normal_pdf(delta, self.spacing, self.spacing_sd) - self._log_room(low, high) + jnp.log(per_dex)
        return jnp.where(inside, pdf, -jnp.inf)

    def log_above(self, log_a, log_mass, before_a, before_mass) -> Float[Array, ""]:
        """Log probability that a planet of `log_mass` after one of `before_mass` at `before_a` lies beyond `log_a`."""
        h, low, high = self._limits(log_mass, before_mass)
        half = jnp.tanh(0.5 * jnp.maximum(log_a - before_a, 1e-9) * math.log(10))
        cdf = lambda x: jax.scipy.special.ndtr((x - self.spacing) / self.spacing_sd)  # noqa: E731
        delta = jnp.clip(jnp.log10(2 * half / h), low, high)
        return jnp.log(jnp.maximum(cdf(high) - cdf(delta), 1e-30)) - self._log_room(low, high)

    def log_prob(self, system: System) -> Float[Array, ""]:
        """Log density of one whole system in (log10 a, log10 M), in nats, the number of planets included."""
        n, mask = system.mask.sum(), system.mask
        index = jnp.arange(mask.shape[0])
        mass = jnp.where(mask, system.log_mass, 0.0)
        mean, sd = jax.vmap(self.next_mass)(index, jnp.cumsum(mass) - mass)
        places = jnp.concatenate(
            [
                log_normal_pdf(system.log_a[:1], self.first, self.first_sd),
                jax.vmap(self.log_prob_a)(system.log_a[1:], mass[1:], system.log_a[:-1], mass[:-1]),
            ]
        )
        terms = jnp.where(mask, log_normal_pdf(mass, mean, sd) + places, 0.0)
        return jnp.where(n <= LONGEST, self.log_number()[jnp.minimum(n, LONGEST)] + terms.sum(), -jnp.inf)

    def __call__(self, system: System) -> Float[Array, ""]:
        """`log_prob`."""
        return self.log_prob(system)

    @eqx.filter_jit
    def sample(self, key: PRNGKeyArray, n: int) -> System:
        """`n` systems, each from its own key."""
        return jax.vmap(self._one)(jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(n)))

    def draw_a(self, u, log_mass, before_a, before_mass) -> Float[Array, ""]:
        """The place of a planet of `log_mass` that a uniform number picks."""
        h, low, high = self._limits(log_mass, before_mass)
        bottom, top = (jax.scipy.special.ndtr((edge - self.spacing) / self.spacing_sd) for edge in (low, high))
        delta = 10 ** (self.spacing + self.spacing_sd * ndtri(jnp.clip(bottom + u * (top - bottom), 1e-7, 1 - 1e-7)))
        return before_a + 2 * jnp.arctanh(h * delta / 2) / math.log(10)

    def _one(self, key: PRNGKeyArray) -> System:
        number, mean, masses, places = jax.random.split(key, 4)
        count = jax.random.categorical(number, self.log_number())
        centre = self.mean_mass + self.between * jax.random.normal(mean)
        mass = centre + self.within * jax.random.normal(masses, (PLANETS,))
        u = jax.random.uniform(places, (PLANETS,))
        first = self.first + self.first_sd * ndtri(jnp.clip(u[0], 1e-7, 1 - 1e-7))

        def outwards(a, row):
            a = self.draw_a(row[0], row[1], a, row[2])
            return a, a

        rest = jax.lax.scan(outwards, first, (u[1:], mass[1:], mass[:-1]))[1]
        mask = jnp.arange(PLANETS) < count
        hide = lambda x: jnp.where(mask, x, 0.0)  # noqa: E731
        nothing, context = jnp.zeros(PLANETS, bool), jnp.zeros(len(CONTEXT))
        log_a = hide(jnp.append(first, rest))
        return System(log_a, hide(mass), jnp.zeros(PLANETS), mask, nothing, context, context > 0, nothing_known())

    def _limits(self, log_mass, before_mass):
        """Hill factor, and log10 of the smallest and largest distance in mutual Hill radii."""
        h = ((10**log_mass + 10**before_mass) * EARTH_IN_SUN / 3) ** (1 / 3)
        return h, math.log10(CLOSEST), jnp.log10(1.8 / h)

    def _log_room(self, low, high) -> Float[Array, ""]:
        """Log probability between the limits before the cut."""
        z = lambda edge: (edge - self.spacing) / self.spacing_sd  # noqa: E731
        return log_ndtr(z(high)) + jnp.log1p(-jnp.minimum(jnp.exp(log_ndtr(z(low)) - log_ndtr(z(high))), 1 - 1e-6))


def as_table(system: System, hosts: np.ndarray | None = None) -> Table:
    """Systems as one row per planet under the names of the NASA Exoplanet Archive.

    Args:
        system: a batch of systems.
        hosts: name of each star; numbers from 1 if not given.
    """
    arrays = {f: np.asarray(getattr(system, f)) for f in ("log_a", "log_mass", "log_radius", "mask", "has_radius")}
    s, place = np.nonzero(arrays["mask"])
    names = np.arange(1, len(arrays["mask"]) + 1) if hosts is None else np.asarray(hosts)
    rows = Table({"hostname": names[s], "pl_letter": letters(place)})
    rows["pl_orbsmax"] = 10 ** arrays["log_a"][s, place].astype(float)
    rows["pl_bmasse"] = 10 ** arrays["log_mass"][s, place].astype(float)
    rows["pl_bmassprov"] = "Mass"
    if arrays["has_radius"].any():
        rows["pl_rade"] = np.where(
            arrays["has_radius"][s, place], 10 ** arrays["log_radius"][s, place].astype(float), np.nan
        )
        rows["pl_rade"].unit = "earthRad"
    rows["pl_orbsmax"].unit, rows["pl_bmasse"].unit = "AU", "earthMass"
    for name in ("pl_orbsmax", "pl_bmasse", "pl_rade"):
        if name in rows.colnames:
            rows[name].info.format = ".8g"
    return rows


def letters(place: np.ndarray) -> np.ndarray:
    """The letter of a planet by its place from the star: b, c, ... z, then aa, ab, ..."""
    name = lambda i: chr(98 + i) if i < 25 else "a" + chr(97 + i - 25)  # noqa: E731
    return np.array([name(int(i)) for i in place], dtype="U2")
