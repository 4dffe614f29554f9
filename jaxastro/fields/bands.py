"""Energy bands, and how the flux of a power law is shared between them."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float


class Bands(eqx.Module):
    """The energy bands of an observation, in increasing order.

    Attributes:
        energy: representative energy of each band, any unit, shape (band,).
        reference: index of the band in which fluxes and brightnesses are given.
        edges: lower and upper energy of each band, shape (band, 2). With them power laws are integrated over each
            band; without, they are taken at `energy`.
    """

    energy: Float[Array, " band"]
    reference: int = eqx.field(static=True, default=0)
    edges: Float[Array, "band 2"] | None = None

    @property
    def mu(self) -> Float[Array, " band"]:
        """ln(energy / reference energy)."""
        return jnp.log(self.energy / self.energy[self.reference])

    def log_factor(self, index: Float[Array, "*shape"]) -> Float[Array, "band *shape"]:
        """ln of a power law's flux in each band over that in the reference band, for photons dN/dE ~ E^index."""
        across = (-1, *(1,) * jnp.ndim(index))
        if self.edges is None:
            return jnp.asarray(self.mu.reshape(across) * index)
        low, high = (edge.reshape(across) for edge in self.edges.T)
        flux = jnp.log(power_law_integral(index, low, high, self.energy[self.reference]))
        return jnp.subtract(flux, flux[self.reference])


def power_law_integral(index: Array, low: ArrayLike, high: ArrayLike, reference: ArrayLike) -> Array:
    """Integral of (E / reference)^index dE from `low` to `high` [unit of energy], smooth through index = -1."""
    ln_low, ln_high = jnp.log(low / reference), jnp.log(high / reference)
    slope, width = index + 1, ln_high - ln_low
    half = slope * width / 2
    small = jnp.abs(half) < 1e-2
    safe = jnp.where(small, 1, half)
    sinhc = jnp.where(small, 1 + half**2 / 6 + half**4 / 120, jnp.sinh(safe) / safe)
    return reference * width * jnp.exp(slope * (ln_low + ln_high) / 2) * sinhc  # pyright: ignore
