"""Random known planets for training, drawn so that conditioning stays exact.

How many planets are shown depends on nothing but the number of planets, and which ones on nothing at all. The
probability of a set of known planets is then the closed form `log_reveal_prob(n, k)`, and dividing by it turns what the
model has learned, p(system | these planets were shown), into p(system | it contains these planets). Selection by
detectability enters afterwards, as the likelihood of the non-detections.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxastro.systems.planetary_systems.layout import KNOWN, Known, System

NONE_SHOWN = 0.7
"""How often nothing is shown; otherwise k planets are, with probability proportional to 1/k."""


def log_count_prob(n: Int[Array, "*batch"], k: Int[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Log probability that k of n planets are shown."""
    counts = jnp.arange(1, KNOWN + 1)
    norm = jnp.sum(jnp.where(counts <= n[..., None], 1.0 / counts, 0.0), -1)
    some = jnp.log((1 - NONE_SHOWN) / jnp.maximum(k, 1)) - jnp.log(norm)
    return jnp.where(k == 0, jnp.log(NONE_SHOWN), jnp.where((k <= n) & (k <= KNOWN), some, -jnp.inf))


def log_reveal_prob(n: Int[Array, "*batch"], k: Int[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Log probability that one given set of k planets is shown of a system of n."""
    ways = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
    return log_count_prob(n, k) - ways


def reveal(system: System, key: PRNGKeyArray) -> System:
    """The same system with a random set of its planets known.

    Mass and radius are each measured for two thirds of them, with errors between 0.005 and 0.3 dex.
    """
    number, which, shown, size, scatter = jax.random.split(key, 5)
    n, counts = system.mask.sum(), jnp.arange(KNOWN + 1)
    k = jax.random.categorical(number, log_count_prob(jnp.broadcast_to(n, counts.shape), counts))
    order = jnp.where(system.mask, jax.random.uniform(which, system.mask.shape), 2.0)
    chosen = jnp.argsort(order)[:KNOWN]
    truth = jnp.stack([system.log_a, system.log_mass, system.log_radius], -1)[chosen]
    measured = jax.random.bernoulli(shown, 2 / 3, (KNOWN, 2)) & jnp.stack([chosen >= 0, system.has_radius[chosen]], -1)
    present = (jnp.arange(KNOWN) < k)[:, None] & jnp.concatenate([jnp.ones((KNOWN, 1), bool), measured], -1)
    error = 10 ** jax.random.uniform(size, (KNOWN, 3), minval=-2.3, maxval=-0.5) * jnp.array([0.0, 1.0, 1.0])
    value = truth + error * jax.random.normal(scatter, (KNOWN, 3))
    return system._replace(known=Known(jnp.where(present, value, 0.0), jnp.where(present, error, 0.0), present))
