"""One planet farther out: the closed-form conditional densities that completing a system needs."""

import math
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxastro.nn.mixture import choose_index
from jaxastro.systems.planetary_systems.layout import OUTER, Known, nothing_known
from jaxastro.systems.planetary_systems.model import HIDDEN, STOP, Generator, Writing, pooled_kind, pooled_mixture
from jaxastro.systems.planetary_systems.sampling import Condition
from jaxastro.systems.planetary_systems.simulate import LONGEST, PodSim, log_normal_pdf
from jaxastro.systems.planetary_systems.walk import log_spacing

NODES, WEIGHTS = (x.astype(np.float32) for x in np.polynomial.hermite_e.hermegauss(24))


def nothing() -> Known:
    """No known planets, with no room for any."""
    return Known(*(a[:0] for a in nothing_known()))


@runtime_checkable
class Outwards(Protocol):
    """A density over systems that can be walked planet by planet, from the star outwards; places are log10 AU."""

    def start(self, context: Array, has_context: Array, planets: int) -> Any:
        """The state before the first planet."""
        ...

    def draw(self, state: Any, u: Array) -> tuple[Array, Array]:
        """Whether the system ends, and the next planet (log a, log M, log R), as seven uniform numbers pick it."""
        ...

    def log_beyond(self, state: Any, log_a: Array) -> Array:
        """Log probability that the system ends or that its next planet lies beyond `log_a`."""
        ...

    def log_planet(self, state: Any, log_a: Array, log_mass: Array) -> Array:
        """Log density per dex squared that there is a next planet, with this place and mass."""
        ...

    def propose_mass(self, state: Any, log_a: Array, u: Array) -> tuple[Array, Array]:
        """A mass for a planet at `log_a` that two uniform numbers pick, and the log density it was drawn from."""
        ...

    def propose_radius(self, state: Any, log_a: Array, log_mass: Array, u: Array) -> Array:
        """A radius drawn from the density of `log_radius`."""
        ...

    def log_radius(self, state: Any, log_a: Array, log_mass: Array, log_radius: Array) -> Array:
        """Log density of the radius of a planet of this place and mass."""
        ...

    def push(self, state: Any, planet: Array) -> Any:
        """The state once this planet is written."""
        ...


class ModelOutwards(eqx.Module):
    """The trained model, told of no planet beforehand, so that its chain is the joint density over systems."""

    model: Generator

    def start(self, context, has_context, planets: int) -> Writing:
        return self.model.begin(Condition(context, has_context, nothing()), planets)

    def _kind(self, state: Writing) -> Float[Array, " 3"]:
        left = jnp.asarray(0)
        return pooled_kind([m.next_kind(h, state.behind.index, left) for m, h in self._pairs(state)])

    def _spacing(self, state: Writing):
        return pooled_mixture([m.next_spacing(h, state.behind.index) for m, h in self._pairs(state)])

    def _mass(self, state: Writing, log_a):
        return pooled_mixture([m.next_mass(h, state.behind, log_a, jnp.zeros(8)) for m, h in self._pairs(state)])

    def _radius(self, state: Writing, log_a, log_mass):
        return pooled_mixture([m.next_radius(h, log_a, log_mass, jnp.zeros(8)) for m, h in self._pairs(state)])

    def _pairs(self, state: Writing):
        return list(zip(self.model.members, state.hidden, strict=True))

    def draw(self, state: Writing, u: Float[Array, " 7"]) -> tuple[Bool[Array, ""], Float[Array, " 3"]]:
        stop = choose_index(u[0], self._kind(state)) == STOP
        top = log_spacing(state.behind.log_a, jnp.asarray(OUTER))
        log_a = jnp.minimum(state.behind.log_a + 10 ** self._spacing(state).draw(u[1], u[2], top=top), OUTER)
        log_mass, _ = self.propose_mass(state, log_a, u[3:5])
        return stop, jnp.stack([log_a, log_mass, self.propose_radius(state, log_a, log_mass, u[5:7])])

    def log_beyond(self, state: Writing, log_a) -> Float[Array, ""]:
        kind, spacing, behind = self._kind(state), self._spacing(state), state.behind.log_a
        inside = spacing.log_cdf(log_spacing(behind, log_a)) - spacing.log_cdf(log_spacing(behind, jnp.asarray(OUTER)))
        return jnp.logaddexp(kind[STOP], kind[HIDDEN] + jnp.log1p(-jnp.exp(jnp.minimum(inside, -1e-6))))

    def log_planet(self, state: Writing, log_a, log_mass) -> Float[Array, ""]:
        spacing, behind = self._spacing(state), state.behind.log_a
        step = log_spacing(behind, log_a)
        room = spacing.log_cdf(log_spacing(behind, jnp.asarray(OUTER)))
        per_dex = -step * math.log(10) - math.log(math.log(10))
        place = self._kind(state)[HIDDEN] + spacing.log_prob(step) - room + per_dex
        return place + self._mass(state, log_a).log_prob(log_mass)

    def propose_mass(self, state: Writing, log_a, u) -> tuple[Float[Array, ""], Float[Array, ""]]:
        mass = self._mass(state, log_a)
        log_mass = mass.draw(u[0], u[1])
        return log_mass, mass.log_prob(log_mass)

    def propose_radius(self, state: Writing, log_a, log_mass, u) -> Float[Array, ""]:
        return self._radius(state, log_a, log_mass).draw(u[0], u[1])

    def log_radius(self, state: Writing, log_a, log_mass, log_radius) -> Float[Array, ""]:
        return self._radius(state, log_a, log_mass).log_prob(log_radius)

    def push(self, state: Writing, planet: Float[Array, " 3"]) -> Writing:
        return self.model.push(state, planet[0], planet[1], nothing())


class PodState(eqx.Module):
    """PodSim half written: number of planets, sum of their log masses, and the last of them."""

    index: Array
    total: Array
    log_a: Array
    log_mass: Array


class PodOutwards(eqx.Module):
    """PodSim, whose answers are exact (the mass of the next planet is integrated by Gauss-Hermite quadrature)."""

    pod: PodSim

    def start(self, context, has_context, planets: int) -> PodState:
        return PodState(jnp.asarray(0), *(jnp.zeros(()) for _ in range(3)))

    def draw(self, state: PodState, u):
        log_mass, _ = self.propose_mass(state, None, u[3:5])
        first = self.pod.first + self.pod.first_sd * jax.scipy.special.ndtri(jnp.clip(u[1], 1e-7, 1 - 1e-7))
        later = self.pod.draw_a(u[1], log_mass, state.log_a, state.log_mass)
        log_a = jnp.where(state.index == 0, first, later)
        return u[0] < jnp.exp(self.pod.log_stop(state.index)), jnp.stack([log_a, log_mass, 0.0])

    def log_beyond(self, state: PodState, log_a):
        mean, sd = self.pod.next_mass(state.index, state.total)
        above = lambda m: self._log_above(state, log_a, m)  # noqa: E731
        weights = jnp.log(WEIGHTS / WEIGHTS.sum())
        above = jax.nn.logsumexp(jax.vmap(above)(mean + sd * NODES) + weights)
        stop = self.pod.log_stop(state.index)
        return jnp.logaddexp(stop, self._log_more(stop) + above)

    def log_planet(self, state: PodState, log_a, log_mass):
        later = self.pod.log_prob_a(log_a, log_mass, state.log_a, state.log_mass)
        place = jnp.where(state.index == 0, log_normal_pdf(log_a, self.pod.first, self.pod.first_sd), later)
        mass = log_normal_pdf(log_mass, *self.pod.next_mass(state.index, state.total))
        return self._log_more(self.pod.log_stop(state.index)) + mass + place

    def propose_mass(self, state: PodState, log_a, u):
        mean, sd = self.pod.next_mass(state.index, state.total)
        log_mass = mean + sd * jax.scipy.special.ndtri(jnp.clip(u[0], 1e-7, 1 - 1e-7))
        return log_mass, log_normal_pdf(log_mass, mean, sd)

    def propose_radius(self, state: PodState, log_a, log_mass, u):
        return jnp.zeros_like(log_mass)

    def log_radius(self, state: PodState, log_a, log_mass, log_radius):
        return jnp.zeros_like(log_mass)

    def push(self, state: PodState, planet) -> PodState:
        return PodState(state.index + 1, state.total + planet[1], planet[0], planet[1])

    def _log_more(self, stop):
        return jnp.where(stop < -1e-6, jnp.log1p(-jnp.exp(jnp.minimum(stop, -1e-6))), -jnp.inf)

    def _log_above(self, state: PodState, log_a, log_mass):
        z = (log_a - self.pod.first) / self.pod.first_sd
        first = jax.scipy.special.log_ndtr(-z)
        return jnp.where(state.index == 0, first, self.pod.log_above(log_a, log_mass, state.log_a, state.log_mass))


def outwards(model: Any) -> Outwards:
    """The walk of a model or simulator, for completing systems under it."""
    return PodOutwards(model) if isinstance(model, PodSim) else ModelOutwards(model)


__all__ = ["LONGEST", "ModelOutwards", "Outwards", "PodOutwards", "outwards"]
