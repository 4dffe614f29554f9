"""The disc that a star's planets came from: p(disc | known planets), by the model that writes systems from discs."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from jaxastro.systems.planetary_systems.complete import Completeness, Completion, complete
from jaxastro.systems.planetary_systems.observation import Observation


class Discs(NamedTuple):
    """Weighted draws of star and disc.

    Attributes:
        context: the properties named by `CONTEXT`.
        log_weight: log weights; they sum to one.
        ess: effective number of draws where it was smallest.
        completion: the systems drawn with them.
    """

    context: Float[Array, "draw context"]
    log_weight: Float[Array, " draw"]
    ess: Float[Array, ""]
    completion: Completion

    def mean(self) -> Float[Array, " context"]:
        """Posterior mean of each property."""
        return jnp.exp(self.log_weight) @ self.context

    def sd(self) -> Float[Array, " context"]:
        """Posterior standard deviation of each property."""
        return jnp.sqrt(jnp.exp(self.log_weight) @ (self.context - self.mean()) ** 2)


def infer_disc(
    model: Any,
    observation: Observation,
    prior: Float[Array, "disc context"],
    *,
    key: PRNGKeyArray,
    n: int = 4000,
    given: Bool[Array, " context"] | None = None,
    completeness: Completeness | None = None,
) -> Discs:
    """Posterior of the disc properties given a star's known planets.

    Every draw starts from a disc of the prior; the weights of the systems that then grow around the known planets are
    those of the discs.

    Args:
        model: a density trained with discs.
        observation: the known planets; properties of its star that are given (and vary in the prior) stay as they are.
        prior: discs drawn from the prior, such as those of the population that the model was trained on.
        key: of all draws.
        n: how many systems are drawn.
        given: which properties of the prior the model is told; all by default.
        completeness: probability that a planet would have been found.
    """
    pick, draw = jax.random.split(key)
    discs = prior[jax.random.randint(pick, (n,), 0, len(prior))]
    given = jnp.ones(prior.shape[1], bool) if given is None else given
    completion = complete(
        model, observation, key=draw, n=n, completeness=completeness, context=discs, has_context=given
    )
    return Discs(completion.system.context, completion.log_weight, completion.ess, completion)
