"""What an example is: one planetary system, padded to a fixed length, and what may be known of it beforehand.

All quantities are base-ten logarithms of plain numbers: semi-major axis in AU, mass and radius in Earth units.
Leading axes are free: a batch of systems is the same tuple with a `system` axis in front of every array.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

PLANETS = 32
"""The longest system that fits (the axis `planet`)."""
INNER, OUTER = -2.5, 4.0
"""log10 AU between which every planet lies; the spacing of the first is counted from `INNER`."""
KNOWN = 8
"""The most planets that can be given as known (the axis `known`)."""
CONTEXT = ("log_star_mass", "metallicity", "log_disc_mass", "log_inner_edge", "log_wind")
"""Properties of star and disc: log10 solar masses, [Fe/H] in dex, log10 solar masses of gas, log10 AU, log10 of the
external photo-evaporation in solar masses a year."""


class Known(NamedTuple):
    """Planets of a system that were observed, in any order, with Gaussian errors in the logarithm.

    The axis of a known planet is always present and taken as exact (periods are); its mass and radius may be absent.
    The axis `known` may have any length, 0 included.

    Attributes:
        value: log10 of semi-major axis [AU], mass and radius [Earth], 0 where absent.
        error: standard deviation of `value` in dex, 0 where it is exact or absent.
        present: whether that quantity was measured; a row of three `False` is padding.
    """

    value: Float[Array, "*system known 3"]
    error: Float[Array, "*system known 3"]
    present: Bool[Array, "*system known 3"]


class System(NamedTuple):
    """Planetary systems in order of semi-major axis; padding follows the last planet and holds 0.

    Attributes:
        log_a: log10 semi-major axis in AU, increasing along `planet`.
        log_mass: log10 mass in Earth masses.
        log_radius: log10 radius in Earth radii, 0 where `has_radius` is false.
        mask: whether there is a planet in that place.
        has_radius: whether its radius is given.
        context: properties of star and disc named by `CONTEXT`, 0 where absent.
        has_context: which of them are given.
        known: planets that the model is told of before it writes the system (all of them are also among the planets).
    """

    log_a: Float[Array, "*system planet"]
    log_mass: Float[Array, "*system planet"]
    log_radius: Float[Array, "*system planet"]
    mask: Bool[Array, "*system planet"]
    has_radius: Bool[Array, "*system planet"]
    context: Float[Array, "*system context"]
    has_context: Bool[Array, "*system context"]
    known: Known


def nothing_known(*system: int) -> Known:
    """A `Known` without any planet, for the given leading shape."""
    shape = (*system, KNOWN, 3)
    return Known(jnp.zeros(shape), jnp.zeros(shape), jnp.zeros(shape, bool))
