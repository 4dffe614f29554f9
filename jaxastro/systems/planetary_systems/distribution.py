"""The density over systems as a NumPyro distribution: a prior for any model with planets in it."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.distributions import Distribution, constraints

from jaxastro.systems.planetary_systems.layout import CONTEXT, PLANETS, System, nothing_known
from jaxastro.systems.planetary_systems.sampling import sample


class Systems(Distribution):
    """Distribution of whole planetary systems.

    A value has one row per place for a planet, in any order: log10 a [AU], log10 M [Earth masses], and 1 where there
    is a planet or 0 where there is none. Its log density is exact and differentiable by places and masses; for a fixed
    number of planets it is the joint density of that number and of the planets.

    Args:
        model: a trained density.
        context: properties of star and disc in the units of `CONTEXT`, where they condition the systems.
        planets: places for planets.
    """

    support = constraints.real_matrix  # pyright: ignore[reportAssignmentType]
    pytree_data_fields = ("model", "context")
    pytree_aux_fields = ("planets",)

    def __init__(self, model: Any, context: Float[Array, " context"] | None = None, *, planets: int = PLANETS):
        self.model, self.context, self.planets = model, context, planets
        super().__init__(batch_shape=(), event_shape=(planets, 3))

    def sample(self, key: PRNGKeyArray, sample_shape: tuple[int, ...] = ()) -> Float[Array, "*shape planet 3"]:
        """Systems drawn from the model, planets from the star outwards."""
        n = math.prod(sample_shape)
        drawn = sample(self.model, key, n, context=self.context, planets=self.planets).system
        value = jnp.stack([drawn.log_a, drawn.log_mass, drawn.mask.astype(drawn.log_a.dtype)], -1)
        return value.reshape(*sample_shape, self.planets, 3)

    def log_prob(self, value: Float[Array, "*shape planet 3"]) -> Float[Array, "*shape"]:
        """Exact log density in nats, per dex of every place and mass."""
        flat = value.reshape(-1, *self.event_shape)
        return jax.vmap(lambda v: self.model.log_prob(self._system(v)))(flat).reshape(value.shape[:-2])

    def _system(self, value: Float[Array, "planet 3"]) -> System:
        there = value[:, 2] > 0.5
        log_a, log_mass, mask = (a[jnp.argsort(jnp.where(there, value[:, 0], jnp.inf))] for a in (*value.T[:2], there))
        context = jnp.zeros(len(CONTEXT)) if self.context is None else self.context
        known = jax.tree.map(lambda a: a[:0], nothing_known())
        hide = lambda a: jnp.where(mask, a, 0.0)  # noqa: E731
        none, given = jnp.zeros_like(mask), jnp.full(len(CONTEXT), self.context is not None)
        return System(hide(log_a), hide(log_mass), jnp.zeros_like(log_a), mask, none, context, given, known)
