"""The other planets of a star: posterior draws of whole systems that contain its known planets.

Systems are written from the star outwards, many at once. A draw that would pass the next known planet is replaced by
it and weighted by the ratio of the known planet's density to the probability of passing, so that weighted draws follow
the model's exact conditional density for any subset of known planets. Errors, m sin i and limits enter as likelihoods;
planets that a survey would have found and did not are discounted by its completeness. After every known planet the
draws are resampled where their weights have become uneven (sequential Monte Carlo; Del Moral, Doucet & Jasra 2006).

Every set of known planets of a system is taken as equally likely to have become known unless a completeness says
otherwise.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray

from jaxastro.systems.planetary_systems.layout import PLANETS, System, nothing_known
from jaxastro.systems.planetary_systems.observation import (
    ABSENT,
    LIMIT,
    MINIMUM,
    MINIMUM_LIMIT,
    VALUE,
    Observation,
    draw_axes,
    draw_log_sin,
    draw_split_normal,
    log_limit,
)
from jaxastro.systems.planetary_systems.outwards import Outwards, outwards

TRIES = 4
"""Candidates weighed for each hidden planet; more help where a survey excludes much."""
ENOUGH = 100
"""Effective number of draws below which an answer is flagged."""
EARTH_LIKE = ((0.95, 1.67), (0.5, 3.0))
"""Semi-major axis in AU and mass in Earth masses of an Earth-like planet."""

Completeness = Callable[[Array, Array], Array]
"""(log10 AU, Earth masses, Earth radii) of a planet, and the star's mass -> probability of having been found."""


class Completion(NamedTuple):
    """Weighted systems that contain the known planets.

    Attributes:
        system: the systems.
        which: for every planet the row of the known planet that it is, -1 for a hidden one.
        log_weight: log weights; they sum to one.
        log_evidence: log density of the known planets under the model, comparable between contexts and models.
        ess: effective number of draws where it was smallest.
    """

    system: System
    which: Int[Array, "draw planet"]
    log_weight: Float[Array, " draw"]
    log_evidence: Float[Array, ""]
    ess: Float[Array, ""]

    @property
    def weight(self) -> Float[Array, " draw"]:
        """Weights, which sum to one."""
        return jnp.exp(self.log_weight)

    @property
    def hidden(self) -> Bool[Array, "draw planet"]:
        """Which planets are not known ones."""
        return self.system.mask & (self.which < 0)

    def mean(self, values: Num[Array, " draw"] | Bool[Array, " draw"]) -> Float[Array, ""]:
        """Posterior mean of a number (or probability of a statement) per system."""
        return jnp.sum(self.weight * values.astype(self.weight.dtype))

    def near(self, log_a: float, log_mass: float, *, within: tuple[float, float] = (0.15, 0.3)) -> Float[Array, ""]:
        """Probability of a hidden planet within so many dex of a place and mass."""
        at = (jnp.abs(self.system.log_a - log_a) < within[0]) & (jnp.abs(self.system.log_mass - log_mass) < within[1])
        return self.mean((at & self.hidden).any(-1))

    def earth_like(self, box=EARTH_LIKE) -> Float[Array, ""]:
        """Probability of a hidden or known planet in a box of semi-major axis [AU] and mass [Earth]."""
        return self.mean(has_planet_in(self.system, box))

    def count(self, *, inside: Float[Array, ""] | float | None = None) -> Float[Array, " number"]:
        """Probability of 0, 1, 2, ... hidden planets, all or those inside of a place (log10 AU)."""
        where = self.hidden if inside is None else self.hidden & (self.system.log_a < inside)
        return jnp.bincount(where.sum(-1), self.weight, length=PLANETS + 1)


def has_planet_in(system: System, box=EARTH_LIKE) -> Bool[Array, "*system"]:
    """Whether a system has a planet in a box of semi-major axis [AU] and mass [Earth masses]."""
    a, m = (jnp.log10(jnp.asarray(edges)) for edges in box)
    inside = (system.log_a > a[0]) & (system.log_a < a[1]) & (system.log_mass > m[0]) & (system.log_mass < m[1])
    return (inside & system.mask).any(-1)


class _Particle(NamedTuple):
    """One system half written."""

    walk: Any
    rows: Float[Array, "planet 3"]
    which: Int[Array, " planet"]
    count: Int[Array, ""]
    open: Bool[Array, ""]
    log_weight: Float[Array, ""]
    axes: Float[Array, " known"]
    context: Float[Array, " context"]


@eqx.filter_jit
def complete(
    model: Any,
    observation: Observation,
    *,
    key: PRNGKeyArray,
    n: int = 2000,
    completeness: Completeness | None = None,
    context: Float[Array, "draw context"] | None = None,
    has_context: Bool[Array, " context"] | None = None,
    tries: int = TRIES,
    planets: int = PLANETS,
) -> Completion:
    """Posterior draws of the systems of a star whose known planets are given.

    Args:
        model: a trained `Generator`, or `PodSim`.
        observation: the known planets, with errors, limits and context.
        key: of all draws.
        n: how many systems are drawn.
        completeness: probability that a planet would have been found; without it nothing is concluded from what was
        not found.
        context: one context per draw in place of the star's own, such as discs drawn from a prior.
        has_context: which of them are given.
        tries: candidates weighed for each hidden planet.
        planets: longest system.
    """
    steps = outwards(model)
    start_key, walk_key = jax.random.split(key)
    has_context = observation.has_context if has_context is None else has_context
    contexts = jnp.broadcast_to(observation.context, (n, len(observation.context))) if context is None else context
    axes = jax.vmap(lambda k: draw_axes(observation, k))(jax.random.split(start_key, n))
    particles = jax.vmap(
        lambda c, a: _Particle(
            steps.start(c, has_context, planets), jnp.zeros((planets, 3)), jnp.full(planets, -1), jnp.asarray(0),
            jnp.asarray(True), jnp.asarray(0.0), jnp.where(observation.present, a, jnp.inf), c,
        )
    )(contexts, axes)  # fmt: skip
    stage = _Stage(steps, observation, completeness, tries, planets)

    def one_known(carry, i):
        particles, log_z, ess, key = carry
        key, walk, insert, pick = jax.random.split(key, 4)
        particles = stage.walk(particles, i, walk)
        particles = stage.insert(particles, i, insert)
        particles, log_z, ess = _resampled(particles, log_z, ess, pick)
        return (particles, log_z, ess, key), None

    known = observation.present.shape[0]
    carry = (particles, jnp.asarray(0.0), jnp.asarray(float(n)), walk_key)
    (particles, log_z, ess, key), _ = jax.lax.scan(one_known, carry, jnp.arange(known))
    particles = stage.walk(particles, jnp.asarray(known), key)
    total = jax.nn.logsumexp(particles.log_weight)
    log_weight = particles.log_weight - total
    mask = jnp.arange(planets) < particles.count[:, None]
    log_a, log_mass, log_radius = jnp.moveaxis(jnp.where(mask[..., None], particles.rows, 0.0), -1, 0)
    given = jnp.broadcast_to(has_context, (n, len(has_context)))
    radii = mask & (log_radius != 0.0)
    system = System(log_a, log_mass, log_radius, mask, radii, particles.context, given, nothing_known(n))
    return Completion(
        system, particles.which, log_weight, log_z + total - jnp.log(n), jnp.minimum(ess, _effective(log_weight))
    )


class _Stage(NamedTuple):
    """What happens to all draws between two known planets."""

    steps: Outwards
    observation: Observation
    completeness: Completeness | None
    tries: int
    planets: int

    def walk(self, particles: _Particle, i: Int[Array, ""], key: PRNGKeyArray) -> _Particle:
        """Write hidden planets until every draw would pass its i-th known planet, or ends after the last."""
        left = jnp.maximum(self.observation.present.sum() - i, 0)
        last = i >= self.observation.present.shape[0]
        particles = particles._replace(open=jnp.full_like(particles.open, last | (left > 0)))

        def step(carry):
            t, particles = carry
            keys = jax.random.split(jax.random.fold_in(key, t), particles.count.shape[0])
            return t + 1, jax.vmap(lambda p, k: self._step(p, i, left, k))(particles, keys)

        again = lambda carry: carry[1].open.any() & (carry[0] < self.planets)  # noqa: E731
        return jax.lax.while_loop(again, step, (0, particles))[1]

    def _step(self, p: _Particle, i, left, key) -> _Particle:
        limit = jnp.sort(jnp.append(p.axes, jnp.inf))[i]
        u = jax.random.uniform(key, (self.tries + 1, 7))
        stop, planet = jax.vmap(lambda row: self.steps.draw(p.walk, row))(u[1:])
        beyond = stop | (planet[:, 0] >= limit)
        unseen = jnp.where(beyond, 1.0, 1.0 - self._found(planet))
        chosen = _pick(u[0, 0], unseen)
        log_a, log_mass = planet[chosen, 0], planet[chosen, 1]  # radii of the others are then never computed
        log_radius = self.steps.propose_radius(p.walk, log_a, log_mass, u[1:][chosen, 5:7])
        writes = p.open & ~beyond[chosen]
        full = writes & (p.count >= self.planets - left)
        log_weight = p.log_weight + jnp.where(p.open, _log(unseen.mean()), 0.0)
        weighed = p._replace(log_weight=jnp.where(full, -jnp.inf, log_weight))
        grown = self._write(weighed, jnp.stack([log_a, log_mass, log_radius]), -1)
        kept = weighed._replace(open=p.open & writes & ~full)
        return jax.tree.map(lambda a, b: jnp.where(writes & ~full, a, b), grown, kept)

    def insert(self, particles: _Particle, i: Int[Array, ""], key: PRNGKeyArray) -> _Particle:
        """Write the i-th known planet of every draw."""
        keys = jax.random.split(key, particles.count.shape[0])
        written = jax.vmap(lambda p, k: self._insert(p, i, k))(particles, keys)
        there = i < self.observation.present.sum()
        return jax.tree.map(lambda a, b: jnp.where(there, a, b), written, particles)

    def _insert(self, p: _Particle, i, key) -> _Particle:
        row = jnp.argsort(p.axes)[i]
        log_a = p.axes[row]
        seen = jax.tree.map(lambda a: a[row], (self.observation.value, self.observation.error, self.observation.kind))
        u = jax.random.uniform(key, (self.tries + 1, 7))
        planet, log_weight = jax.vmap(lambda v: self._known_planet(p.walk, log_a, seen, v))(u[1:])
        log_weight = log_weight + _log(self._found(planet) if self.completeness else jnp.ones(self.tries))
        best = jnp.maximum(log_weight.max(), -1e30)
        chosen = _pick(u[0, 0], jnp.exp(log_weight - best))
        gain = best + _log(jnp.exp(log_weight - best).mean()) - self.steps.log_beyond(p.walk, log_a)
        return self._write(p._replace(log_weight=p.log_weight + gain), planet[chosen], row)

    def _known_planet(self, walk, log_a, seen, u):
        """Mass and radius of a known planet as measurements or model propose them, and the log weight of that."""
        value, error, kind = seen
        measured = draw_split_normal(u[0], value[1], error[1, 0], error[1, 1])
        tilt = draw_log_sin(u[1])
        proposed, log_q = self.steps.propose_mass(walk, log_a, u[2:4])
        log_mass = jnp.select([kind[0] == VALUE, kind[0] == MINIMUM], [measured, measured - tilt], proposed)
        log_weight = self.steps.log_planet(walk, log_a, log_mass)
        log_weight -= jnp.where((kind[0] == VALUE) | (kind[0] == MINIMUM), 0.0, log_q)
        log_weight += jnp.where(kind[0] == LIMIT, log_limit(log_mass, value[1]), 0.0)
        log_weight += jnp.where(kind[0] == MINIMUM_LIMIT, log_limit(log_mass + tilt, value[1]), 0.0)
        drawn = draw_split_normal(u[4], value[2], error[2, 0], error[2, 1])
        log_radius = jnp.where(kind[1] == VALUE, drawn, self.steps.propose_radius(walk, log_a, log_mass, u[5:7]))
        log_weight += jnp.where(kind[1] == VALUE, self.steps.log_radius(walk, log_a, log_mass, log_radius), 0.0)
        log_weight += jnp.where(kind[1] == LIMIT, log_limit(log_radius, value[2]), 0.0)
        return jnp.stack([log_a, log_mass, log_radius]), log_weight

    def _write(self, p: _Particle, planet: Float[Array, " 3"], row: Int[Array, ""] | int) -> _Particle:
        return p._replace(
            walk=self.steps.push(p.walk, planet),
            rows=jax.lax.dynamic_update_slice(p.rows, planet[None], (p.count, 0)),
            which=p.which.at[p.count].set(row),
            count=p.count + 1,
        )

    def _found(self, planet: Float[Array, "try 3"]) -> Float[Array, " try"]:
        if self.completeness is None:
            return jnp.zeros(planet.shape[0])
        find = self.completeness
        return jax.vmap(lambda one: find(one, self.observation.star_mass))(planet)


def _resampled(particles: _Particle, log_z, ess, key):
    """Draws of equal weight (systematic resampling) where fewer than half of them count."""
    n = particles.count.shape[0]
    now = _effective(particles.log_weight)
    total = jax.nn.logsumexp(particles.log_weight)
    edges = jnp.cumsum(jax.nn.softmax(particles.log_weight))
    index = jnp.searchsorted(edges / edges[-1], (jnp.arange(n) + jax.random.uniform(key)) / n)
    due = now < 0.5 * n
    index = jnp.where(due, jnp.minimum(index, n - 1), jnp.arange(n))
    moved = jax.tree.map(lambda a: a[index], particles)
    log_weight = jnp.where(due, 0.0, particles.log_weight)
    return (
        moved._replace(log_weight=log_weight),
        log_z + jnp.where(due, total - jnp.log(n), 0.0),
        jnp.minimum(ess, now),
    )


def _effective(log_weight: Float[Array, " draw"]) -> Float[Array, ""]:
    w = jax.nn.softmax(log_weight)
    return jnp.nan_to_num(1 / jnp.sum(w**2))


def _pick(u: Float[Array, ""], weight: Float[Array, " try"]) -> Int[Array, ""]:
    sums = jnp.cumsum(weight)
    return jnp.minimum((sums <= u * sums[-1]).sum(), weight.shape[0] - 1)


def _log(x):
    return jnp.log(jnp.maximum(x, 1e-30))


__all__ = ["ABSENT", "Completion", "complete", "has_planet_in"]
