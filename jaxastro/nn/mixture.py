"""Mixture densities on a line: the head that makes one from a vector, and everything a generative model asks of it."""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr, ndtri
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

NO_LIMIT = -1e4
"""A lower limit that nothing reaches (finite, so that gradients are)."""


class Mixture(NamedTuple):
    """A mixture of normal distributions, each cut off below its own limit; leading axes are free.

    Attributes:
        log_weight: logarithm of the weights, which sum to one.
        mean: centres (before the cut).
        log_sd: logarithm of the standard deviations (before the cut).
        low: lower limit of each component, `NO_LIMIT` for none; `None` where no component has one.
    """

    log_weight: Float[Array, "*batch component"]
    mean: Float[Array, "*batch component"]
    log_sd: Float[Array, "*batch component"]
    low: Float[Array, "*batch component"] | None = None

    def log_prob(self, x: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """Log density at `x`."""
        each = self.log_weight - self.log_sd - 0.5 * self._z(x[..., None]) ** 2
        if self.low is not None:
            each = jnp.where(x[..., None] >= self.low, each - log_ndtr(-self._z(self.low)), -jnp.inf)
        return jax.nn.logsumexp(each, axis=-1) - 0.5 * math.log(2 * math.pi)

    def log_cdf(self, x: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """Log probability of a value below `x`."""
        return jax.nn.logsumexp(self.log_weight + self._log_below(x[..., None]), axis=-1)

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*batch"]:
        """A draw."""
        return self.draw(*jax.random.uniform(key, (2, *self.mean.shape[:-1]), self.mean.dtype))

    def draw(
        self,
        choose: Float[Array, "*batch"],
        place: Float[Array, "*batch"],
        *,
        top: Float[Array, "*batch"] | None = None,
    ) -> Float[Array, "*batch"]:
        """The draw that two uniform numbers pick: first the component, then the place in it.

        Args:
            choose: uniform in [0, 1), picks the component.
            place: uniform in [0, 1), the quantile inside the component.
            top: the mixture is cut off above it (infinite: it is not).
        """
        log_weight = self.log_weight if top is None else self.log_weight + self._log_below(top[..., None])
        i = choose_index(choose, log_weight)[..., None]
        one = jax.tree.map(lambda a: jnp.take_along_axis(a, i, -1)[..., 0], self)
        place = jnp.clip(place, 1e-7, 1 - 1e-7)
        if one.low is not None:
            place = 1 - (1 - place) * jax.scipy.special.ndtr((one.mean - one.low) * jnp.exp(-one.log_sd))
        if top is not None:
            place = place * jax.scipy.special.ndtr((top - one.mean) * jnp.exp(-one.log_sd))
        x = one.mean + jnp.exp(one.log_sd) * ndtri(jnp.clip(place, 1e-30, 1 - 1e-7))
        x = x if one.low is None else jnp.maximum(x, one.low)
        return x if top is None else jnp.minimum(x, top)

    def _z(self, x):
        return (x - self.mean) * jnp.exp(-self.log_sd)

    def _log_below(self, x):
        if self.low is None:
            return log_ndtr(self._z(x))
        cut = jax.scipy.special.ndtr(self._z(self.low))
        return jnp.log(jnp.maximum(jax.scipy.special.ndtr(self._z(x)) - cut, 1e-30)) - jnp.log1p(-cut)


def choose_index(u: Float[Array, "*batch"], log_weight: Float[Array, "*batch component"]) -> Int[Array, "*batch"]:
    """The component that a uniform number in [0, 1) picks by the (not necessarily normalised) weights."""
    sums = jnp.cumsum(jax.nn.softmax(log_weight, axis=-1), axis=-1)
    return jnp.minimum((sums <= u[..., None] * sums[..., -1:]).sum(-1), log_weight.shape[-1] - 1)


def pool(mixture: Mixture) -> Mixture:
    """One mixture of several: the leading axis `member` becomes part of the component axis, all members alike."""
    members = mixture.mean.shape[0]
    flat = jax.tree.map(lambda a: jnp.moveaxis(a, 0, -2).reshape(*a.shape[1:-1], -1), mixture)
    return flat._replace(log_weight=flat.log_weight - math.log(members))


class MixtureHead(eqx.Module):
    """A `Mixture` from a vector: weights, means and widths are linear in it.

    A component at an *anchor* keeps its place and learns only how often and (once for all inputs) how sharply it holds:
    known peaks of a density, such as period commensurabilities.

    Args:
        size: length of the input vector.
        components: how many free components.
        low, high: range over which the free components start.
        floor: smallest standard deviation.
        anchors: places of the fixed components.
        anchor_sd: standard deviation with which they start.
        edge: all free components but the last are cut off below it: a sharp lower edge of the training data that a few
            values cross.
    """

    linear: eqx.nn.Linear
    place: Float[Array, " component"]
    spread: Float[Array, " component"]
    anchor_log_sd: Float[Array, " anchor"]
    anchors: tuple[float, ...] = eqx.field(static=True)
    floor: float = eqx.field(static=True)
    edge: float | None = eqx.field(static=True)

    def __init__(
        self,
        size: int,
        components: int,
        *,
        low: float,
        high: float,
        floor: float = 0.01,
        anchors: tuple[float, ...] = (),
        anchor_sd: float = 0.01,
        edge: float | None = None,
        key: PRNGKeyArray,
    ):
        self.linear = eqx.nn.Linear(size, 3 * components + len(anchors), key=key)
        self.place = jnp.linspace(low, high, components)
        self.spread = jnp.full(components, math.log((high - low) / components))
        self.anchor_log_sd = jnp.full(len(anchors), math.log(anchor_sd))
        self.anchors, self.floor, self.edge = anchors, floor, edge

    def __call__(self, x: Float[Array, " size"], *, anchored: Bool[Array, ""] | bool = True) -> Mixture:
        """The mixture for one vector; without the anchors where `anchored` is false."""
        n = self.place.shape[0]
        weight, mean, log_sd, fixed = jnp.split(self.linear(x), (n, 2 * n, 3 * n))
        fixed = jnp.where(anchored, fixed - 3.0, -jnp.inf)
        log_sd = jnp.concatenate([self.spread + log_sd, self.anchor_log_sd])
        return Mixture(
            jax.nn.log_softmax(jnp.concatenate([weight, fixed])),
            jnp.concatenate([self.place + mean, jnp.asarray(self.anchors, mean.dtype)]),
            jnp.logaddexp(jnp.clip(log_sd, -12.0, 3.0), math.log(self.floor)),
            self._low(n, mean.dtype),
        )

    def _low(self, n: int, dtype) -> Float[Array, " component"] | None:
        if self.edge is None:
            return None
        return jnp.full(n + len(self.anchors), self.edge, dtype).at[n - 1 :].set(NO_LIMIT)
