"""Latent-space tension: where the posterior of standardised latents departs from the prior that the model gave them.

What a model cannot express pulls its latents away from N(0, 1). For a field the pull of all harmonic excitations
together, seen in position space, is a matched filter on data whitened by the model's own covariance: it shows
unmodelled sources that residual maps do not, because the field has absorbed them. Works on the latents of any posterior
of `jaxastro.infer`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxastro.fields.harmonic import hartley

MAD = 1.4826


def tension_map(excitation: Float[Array, "*batch y x"]) -> Float[Array, "*batch y x"]:
    """Position-space tension H[xi] / sqrt(n_pixels) of mean harmonic excitations: N(0, 1) where the prior holds."""
    return hartley(excitation) / np.sqrt(excitation.shape[-2] * excitation.shape[-1])


def robust_z(tension: Float[Array, "*batch y x"]) -> Float[Array, "*batch y x"]:
    """(tension - median) / (1.4826 MAD) of each map.

    Never divide by 1 instead: a posterior mean is shrunk, its variance is 1 minus the posterior variance.
    """
    centre = jnp.median(tension, (-2, -1), keepdims=True)
    spread = MAD * jnp.median(jnp.abs(tension - centre), (-2, -1), keepdims=True)
    return (tension - centre) / spread


class Tension(NamedTuple):
    """The departure of every latent group from its prior.

    Attributes:
        maps: name -> position-space tension of harmonic groups, axes (..., y, x) of the periodic grid.
        z: name -> the same as robust z.
        chi_square: name -> mean of xi^2 over elements and draws; 1 where posterior and prior agree.
        excess: name -> chi_square as number of standard deviations of the prior's chi-square distribution.
        pulls: name -> posterior mean of scalar and short latents, in prior standard deviations.
    """

    maps: dict[str, Array]
    z: dict[str, Array]
    chi_square: dict[str, float]
    excess: dict[str, float]
    pulls: dict[str, Array]


def latent_tension(latents: Mapping[str, Array], harmonic: tuple[str, ...] | None = None, short: int = 64) -> Tension:
    """Tension of standard normal latents from posterior draws.

    Args:
        latents: name -> draws (draw, ...), such as `Posterior.latents`.
        harmonic: names of harmonic excitations; default all whose name ends in "xi" and that have two axes or more.
        short: latents with at most this many elements appear in `pulls`.
    """
    if harmonic is None:
        harmonic = tuple(name for name, v in latents.items() if name.endswith("xi") and v.ndim >= 3)
    maps = {name: tension_map(jnp.mean(latents[name], 0)) for name in harmonic}
    chi = {name: float(jnp.mean(v**2)) for name, v in latents.items()}
    excess = {name: (chi[name] - 1) * np.sqrt(v[0].size / 2) for name, v in latents.items()}
    pulls = {name: jnp.mean(v, 0) for name, v in latents.items() if v[0].size <= short}
    return Tension(maps, {name: robust_z(m) for name, m in maps.items()}, chi, excess, pulls)


class Null(NamedTuple):
    """Largest tensions of simulated data sets without anything unmodelled, sorted.

    Attributes:
        maxima: shape (simulation,).
    """

    maxima: np.ndarray

    def p_value(self, z: float) -> float:
        """Share of null data sets with a larger maximum, with the usual one added: never 0."""
        return float((1 + np.sum(self.maxima >= z)) / (1 + len(self.maxima)))

    def threshold(self, rate: float = 0.05) -> float:
        """The z that a null data set's largest tension exceeds with probability `rate`."""
        return float(np.quantile(self.maxima, 1 - rate, method="higher"))


def simulate_null(
    simulate: Callable[[Array], Any], largest: Callable[[Any, Array], float | Array], key: Array, n: int
) -> Null:
    """Distribution of the largest tension when the model is right, for prior-simulated significances.

    Args:
        simulate: key -> a data set drawn from the model's prior, nothing inserted.
        largest: (data set, key) -> the largest robust z after fitting it as real data would be.
        key: a typed random key.
        n: number of data sets.
    """
    keys = jax.random.split(key, (n, 2))
    return Null(np.sort([float(largest(simulate(k[0]), k[1])) for k in keys]))


def de_excite(
    excitation: Float[Array, "y x"], y: Float[Array, " slot"], x: Float[Array, " slot"], active: Float[Array, " slot"],
    radius: float = 1.8,
) -> Float[Array, "y x"]:  # fmt: skip
    """Harmonic excitations whose tension is relaxed to its median around active positions.

    A field that has absorbed a source keeps its flux when the source gets its own slot; this hands the flux over.

    Args:
        excitation: harmonic excitations on the periodic grid.
        y, x, active: position [pixel] and switch of each slot.
        radius: standard deviation of the Gaussian around each position inside which tension is relaxed [pixel].
    """
    ny, nx = excitation.shape
    tension = tension_map(excitation)
    dy = jnp.arange(ny)[None, :, None] - y[:, None, None]
    dx = jnp.arange(nx)[None, None, :] - x[:, None, None]
    weight = jnp.max(active[:, None, None] * jnp.exp(-(dy**2 + dx**2) / (2 * radius**2)), 0)
    return tension_map(tension - weight * (tension - jnp.median(tension)))
