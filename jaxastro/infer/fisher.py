"""The Fisher metric of an observed site, through coordinates in which it is the unit matrix.

For a distribution with parameter t and Fisher information M(t) let g(t) solve (dg/dt)^T (dg/dt) = M. A model that maps
latents x to t then has the metric J^T J with J = dg/dx, the gradient of its log-likelihood is J^T score with score =
d log p / dg (of unit variance), and geoVI's transformation is g itself. One function per distribution gives both.
"""

# NumPyro types every parameter of a distribution as a tuple or an array.
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportReturnType=false

from functools import singledispatch

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax import lax
from jaxtyping import Array

from jaxastro.errors import InputError

Coordinates = tuple[tuple[Array, ...], tuple[Array, ...]]


@singledispatch
def fisher_coordinates(distribution: dist.Distribution, value: Array) -> Coordinates:
    """Coordinates g of the distribution's parameters with unit Fisher metric, and the score d log p(value) / dg.

    Both are tuples of arrays with the shape of `value`. Register further distributions with
    ``fisher_coordinates.register(MyDistribution)``.

    Raises:
        InputError: no coordinates are known for this distribution.
    """
    known = sorted(
        c.__name__
        for c in fisher_coordinates.registry
        if issubclass(c, dist.Distribution) and c is not dist.Distribution
    )
    raise InputError(
        f"The observed site has a {type(distribution).__name__} distribution, expected one with a known Fisher metric "
        f"({', '.join(known)}); use svi or nuts, or register it with jaxastro.infer.fisher_coordinates."
    )


@fisher_coordinates.register
def _(distribution: dist.Poisson, value):
    root = jnp.sqrt(distribution.rate)
    return (2 * root,), (value / root - root,)


@fisher_coordinates.register
def _(distribution: dist.Normal, value):
    # The coordinate of loc is exact for MGVI; for geoVI only where scale does not depend on the latents.
    residual = (value - distribution.loc) / distribution.scale
    g = (distribution.loc - value) / lax.stop_gradient(distribution.scale), jnp.sqrt(2.0) * jnp.log(distribution.scale)
    return g, (residual, (residual**2 - 1) / jnp.sqrt(2.0))


@fisher_coordinates.register
def _(distribution: dist.LogNormal, value):
    return fisher_coordinates(dist.Normal(distribution.loc, distribution.scale), jnp.log(value))


@fisher_coordinates.register
def _(distribution: dist.StudentT, value):
    df, z = distribution.df, (value - distribution.loc) / distribution.scale
    scale, pull = lax.stop_gradient(distribution.scale), (df + 1) * z / (df + z**2)
    width, spread = jnp.sqrt((df + 1) / (df + 3)), jnp.sqrt(2 * df / (df + 3))
    g = width * (distribution.loc - value) / scale, spread * jnp.log(distribution.scale)
    return g, (pull / width, (pull * z - 1) / spread)


@fisher_coordinates.register
def _(distribution: dist.Exponential, value):
    return (jnp.log(distribution.rate),), (1 - distribution.rate * value,)


@fisher_coordinates.register
def _(distribution: dist.GammaPoisson, value):
    """Negative binomial counts; the concentration is taken as known."""
    shape = lax.stop_gradient(distribution.concentration)
    mean = distribution.concentration / distribution.rate
    g = 2 * jnp.sqrt(shape) * jnp.arcsinh(jnp.sqrt(mean / shape))
    return (g,), ((value - mean) / jnp.sqrt(mean + mean**2 / shape),)


@fisher_coordinates.register(dist.BernoulliLogits)
@fisher_coordinates.register(dist.BernoulliProbs)
def _(distribution, value):
    return _binomial(distribution.logits, 1.0, value)


@fisher_coordinates.register(dist.BinomialLogits)
@fisher_coordinates.register(dist.BinomialProbs)
def _(distribution, value):
    return _binomial(distribution.logits, distribution.total_count, value)


def _binomial(logits, trials, value):
    root = jnp.sqrt(jnp.asarray(trials, logits.dtype))
    score = (value - trials * jax.nn.sigmoid(logits)) * 2 * jnp.cosh(logits / 2) / root
    return (2 * root * jnp.arctan(jnp.tanh(logits / 4)),), (score,)


@fisher_coordinates.register(dist.ExpandedDistribution)
@fisher_coordinates.register(dist.Independent)
def _(distribution, value):
    return fisher_coordinates(distribution.base_dist, value)


@fisher_coordinates.register
def _(distribution: dist.MaskedDistribution, value):
    return jax.tree.map(
        lambda a: jnp.where(distribution._mask, a, 0), fisher_coordinates(distribution.base_dist, value)
    )


def log_likelihood(distribution: dist.Distribution, value: Array) -> Array:
    """Log density of every element of an observed site, event axes not summed: small differences survive in float32."""
    if isinstance(distribution, dist.Independent):
        return log_likelihood(distribution.base_dist, value)
    return distribution.log_prob(value)
