"""Binned densities: a categorical choice of a bin, uniform inside it, and the head that makes one from a vector."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray


class Binned(NamedTuple):
    """A density on a line that is constant in every bin and zero outside of them; leading axes of the weights are free.

    Attributes:
        log_weight: log probability of each bin; they sum to one.
        edges: increasing edges of the bins.
    """

    log_weight: Float[Array, "*batch bin"]
    edges: Float[Array, " edge"]

    def bin(self, x: Float[Array, "*batch"]) -> Int[Array, "*batch"]:
        """The bin that holds `x`; the nearest one for values outside."""
        return jnp.clip(jnp.searchsorted(self.edges, x, side="right") - 1, 0, self.edges.shape[0] - 2)

    def log_prob(self, x: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """Log density at `x`, minus infinity outside of the edges."""
        i = self.bin(x)
        log_weight = jnp.take_along_axis(self.log_weight, i[..., None], -1)[..., 0]
        inside = (x >= self.edges[0]) & (x <= self.edges[-1])
        return jnp.where(inside, log_weight - jnp.log(jnp.diff(self.edges))[i], -jnp.inf)

    def cdf(self, x: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """Probability of a value below `x`."""
        i = self.bin(x)
        weight = jnp.exp(self.log_weight)
        below = jnp.take_along_axis(jnp.cumsum(weight, -1) - weight, i[..., None], -1)[..., 0]
        here = jnp.take_along_axis(weight, i[..., None], -1)[..., 0]
        part = jnp.clip((x - self.edges[i]) / jnp.diff(self.edges)[i], 0, 1)
        return below + here * part

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*batch"]:
        """A draw: first the bin, then a place in it."""
        choose, draw = jax.random.split(key)
        i = jax.random.categorical(choose, self.log_weight)
        return self.edges[i] + jnp.diff(self.edges)[i] * jax.random.uniform(draw, i.shape, self.edges.dtype)


class BinnedHead(eqx.Module):
    """A `Binned` density from a vector, with bins that stay where they are.

    Args:
        size: length of the input vector.
        edges: increasing edges of the bins.
    """

    linear: eqx.nn.Linear
    edges: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, size: int, edges: tuple[float, ...], *, key: PRNGKeyArray):
        self.linear = eqx.nn.Linear(size, len(edges) - 1, key=key)
        self.edges = tuple(edges)

    def __call__(self, x: Float[Array, " size"]) -> Binned:
        """The density for one vector."""
        return Binned(jax.nn.log_softmax(self.linear(x)), jnp.asarray(self.edges, x.dtype))
