"""Which planets a survey would have found: completeness as a smooth function of orbit, mass and radius."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

EARTH_VELOCITY = 0.0894
"""Radial-velocity semi-amplitude in m/s of an Earth at 1 AU of the Sun, seen edge-on."""
EARTH_DEPTH = 84.1
"""Transit depth in ppm of an Earth before the Sun."""


def velocity_amplitude(
    log_a: Float[Array, "..."], log_mass: Float[Array, "..."], star_mass: Float[Array, "..."] | float = 1.0
) -> Float[Array, "..."]:
    """Radial-velocity semi-amplitude in m/s of a planet on a circular orbit seen edge-on.

    Args:
        log_a: log10 AU.
        log_mass: log10 Earth masses.
        star_mass: in solar masses.
    """
    return EARTH_VELOCITY * 10 ** (log_mass - 0.5 * log_a) / jnp.sqrt(star_mass)


class RadialVelocity(eqx.Module):
    """Completeness of a radial-velocity survey: a threshold in amplitude and an outer limit.

    Attributes:
        threshold: amplitude in m/s at which half of the planets are found.
        outer: log10 AU beyond which none is found.
        width: dex over which the completeness rises from 0.12 to 0.88 on either side; 0 is a sharp edge.
    """

    threshold: float = 1.0
    outer: float = 0.7
    width: float = 0.0

    def __call__(self, planet: Float[Array, " 3"], star_mass: Float[Array, ""]) -> Float[Array, ""]:
        """Probability that a planet (log10 AU, Earth masses, Earth radii) is found."""
        amplitude = velocity_amplitude(planet[0], planet[1], star_mass)
        return jnp.where(planet[0] < self.outer, _rise(jnp.log10(amplitude / self.threshold), self.width), 0.0)


class Transit(eqx.Module):
    """Completeness of a transit survey of a star whose known planets transit: geometry, then signal to noise.

    Attributes:
        noise_ppm: combined noise in ppm in one hour.
        days: time observed.
        star_radius: in solar radii.
        threshold: signal-to-noise ratio at which half of the planets are found.
        spread: mutual inclination in degrees; 90 makes orbits random.
        width: dex over which the completeness rises; 0 is a sharp edge.
    """

    noise_ppm: float = 60.0
    days: float = 27.0
    star_radius: float = 1.0
    threshold: float = 7.1
    spread: float = 2.0
    width: float = 0.1

    def __call__(self, planet: Float[Array, " 3"], star_mass: Float[Array, ""]) -> Float[Array, ""]:
        """Probability that a planet (log10 AU, Earth masses, Earth radii) is found."""
        period = 365.25 * 10 ** (1.5 * planet[0]) / jnp.sqrt(star_mass)
        impact = 0.00465 * self.star_radius / 10 ** planet[0]  # R*/a
        seen = jnp.minimum(impact / jnp.sin(jnp.deg2rad(self.spread)), 1.0)
        hours = 13.0 * self.star_radius * jnp.sqrt(10 ** planet[0] / star_mass) * jnp.pi / 4
        depth = EARTH_DEPTH * 10 ** (2 * planet[2]) / self.star_radius**2
        snr = depth / self.noise_ppm * jnp.sqrt(hours * self.days / period)
        return seen * jnp.where(period < self.days / 2, _rise(jnp.log10(snr / self.threshold), self.width), 0.0)


def _rise(dex: Float[Array, ""], width: float) -> Float[Array, ""]:
    return jnp.where(dex > 0, 1.0, 0.0) if width == 0 else jax.nn.sigmoid(2 * dex / width)
