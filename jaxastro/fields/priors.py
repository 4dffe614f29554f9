"""Standard normal numbers turned into physical ones: the prior of every parameter is such a function."""

from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, ArrayLike, Float


class Normal(eqx.Module):
    """A normal prior; calling it turns a standard normal latent into the parameter."""

    mean: ArrayLike
    std: ArrayLike

    def __call__(self, xi: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """mean + std * xi."""
        return jnp.add(self.mean, self.std * xi)


class LogNormal(eqx.Module):
    """A log-normal prior given by the mean and standard deviation of the parameter itself, not of its logarithm."""

    mean: ArrayLike
    std: ArrayLike

    @classmethod
    def of_log(cls, log_mean: ArrayLike, log_std: ArrayLike) -> "LogNormal":
        """The prior whose logarithm has this mean and standard deviation."""
        variance = jnp.asarray(log_std) ** 2
        mean = jnp.exp(log_mean + variance / 2)
        return cls(mean, mean * jnp.sqrt(jnp.expm1(variance)))

    def log(self, xi: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """ln of the parameter at the standard normal latent."""
        variance = jnp.log1p((self.std / self.mean) ** 2)
        return jnp.log(self.mean) - variance / 2 + jnp.sqrt(variance) * xi

    def __call__(self, xi: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The parameter at the standard normal latent."""
        return jnp.exp(self.log(xi))


class InverseGamma(eqx.Module):
    """An inverse-gamma prior of fluxes, p(f) ~ f^-(alpha + 1) exp(-scale / f), tabulated in ln f to 8.2 sigma.

    Between the nodes a cubic Hermite polynomial keeps the derivative continuous; beyond them ln f goes on linearly.
    """

    log_flux: np.ndarray
    slope: np.ndarray
    scale: ArrayLike
    alpha: float = eqx.field(static=True)
    reach = 8.2

    def __init__(self, alpha: float, scale: ArrayLike, nodes: int = 821):
        from scipy.stats import invgamma, norm

        xi = np.linspace(-self.reach, self.reach, nodes)
        flux = np.where(xi < 0, invgamma.ppf(norm.cdf(xi), alpha), invgamma.isf(norm.sf(xi), alpha))
        self.log_flux = np.log(flux)
        density = invgamma.logpdf(flux, alpha) + self.log_flux
        self.slope = np.exp(norm.logpdf(xi) - density)
        self.scale, self.alpha = scale, alpha

    def log(self, xi: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """ln of the flux at the standard normal latent."""
        xi = jnp.asarray(xi)
        values, slopes = jnp.asarray(self.log_flux, xi.dtype), jnp.asarray(self.slope, xi.dtype)
        step = 2 * self.reach / (len(self.log_flux) - 1)
        inside = jnp.clip(xi, -self.reach, self.reach)
        i = jnp.clip(((inside + self.reach) / step).astype(int), 0, len(self.log_flux) - 2)
        t = (inside + self.reach) / step - i
        cubic = (
            values[i] * (1 + 2 * t) * (1 - t) ** 2
            + values[i + 1] * t**2 * (3 - 2 * t)
            + step * t * (1 - t) * (slopes[i] * (1 - t) - slopes[i + 1] * t)
        )
        edge = jnp.where(xi < 0, slopes[0], slopes[-1])
        return jnp.log(self.scale) + cubic + edge * (xi - inside)

    def __call__(self, xi: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The flux at the standard normal latent."""
        return jnp.exp(self.log(xi))


def standard_normal(name: str, shape: tuple[int, ...] = ()) -> Array:
    """A NumPyro sample site of independent standard normal latents of this shape."""
    return numpyro.sample(name, dist.Normal(0, 1).expand(shape).to_event(len(shape)))  # pyright: ignore


def sample_latents(prefix: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """One standard normal site ``prefix + name`` per entry of `shapes`; the values are returned under their bare names.

    Example:
        >>> field = CorrelatedField((64, 64), NonParametric())          # doctest: +SKIP
        >>> log_sky = field(sample_latents("diffuse_", field.shapes))   # inside a NumPyro model
    """
    return {name: standard_normal(prefix + name, shape) for name, shape in shapes.items()}
