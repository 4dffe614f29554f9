"""A diffuse sky in several energy bands: reference map, spectral-index map and deviations from the power law.

Reference: Guardiani et al. 2025, A&A 703, A203 (its spatio-spectral diffuse model).
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxastro.fields.bands import Bands
from jaxastro.fields.harmonic import Modes, crop, hartley, modes, padded
from jaxastro.fields.priors import LogNormal, Normal
from jaxastro.fields.spectra import Latents, NonParametric, Spectrum


class Maps(NamedTuple):
    """The parts of a multi-band sky, natural logarithms.

    Attributes:
        reference: log brightness in the reference band, axes (y, x).
        index: spectral index (photon index of dN/dE ~ E^index), axes (y, x).
        deviation: log deviation from the power law without a slope over ln energy, axes (band, y, x).
    """

    reference: Array
    index: Array
    deviation: Array


class MultiBandField(eqx.Module):
    """ln I(x, band) = reference(x) + ln factor_band(index(x)) + deviation(x, band).

    All three are correlated fields. The deviations are Wiener processes over ln energy, mode by mode, that start at the
    reference band; the part that another spectral index would explain is removed. Latents whose names end in ``xi`` are
    harmonic excitations.

    Attributes:
        shape: pixels (y, x).
        bands: energies; one band leaves the reference map alone, two leave no deviations.
        offset: prior of the mean log brightness in the reference band.
        spatial: power spectrum of the reference map.
        spectral: shape of the power spectrum of index and deviations (its own fluctuations are not used); None takes
            that of `spatial`.
        index: prior of the mean spectral index.
        index_std: prior of the standard deviation of the index over the map.
        deviation_std: prior of the deviations' standard deviation per unit of ln energy; None for exact power laws.
        pixel: side of a pixel, in the unit in which wave numbers are meant.
        grid: pixels of the periodic grid, by default `padded(shape)`.
    """

    shape: tuple[int, int] = eqx.field(static=True)
    bands: Bands
    offset: Normal
    spatial: Spectrum = NonParametric()
    spectral: Spectrum | None = NonParametric(fluctuations=None, slope=Normal(-3.0, 0.5), flexibility=None)
    index: Normal = Normal(-1.0, 0.5)
    index_std: LogNormal = LogNormal(0.3, 0.2)
    deviation_std: LogNormal | None = LogNormal(0.2, 0.1)
    pixel: float = eqx.field(static=True, default=1.0)
    grid: tuple[int, int] = eqx.field(static=True, default=(0, 0))

    def __check_init__(self):
        if self.grid == (0, 0):
            object.__setattr__(self, "grid", padded(self.shape))

    @property
    def modes(self) -> Modes:
        """The distinct modes of the padded grid."""
        return modes(self.grid, self.pixel)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every standard normal latent that the sky is a function of."""
        n = len(self.bands.energy)
        latents: dict[str, tuple[int, ...]] = {"xi": self.grid, "offset": ()}
        latents |= {f"spatial_{k}": v for k, v in self.spatial.shapes(self.modes).items()}
        if n > 1:
            latents |= {"index_xi": self.grid, "index": (), "index_std": ()}
            if self.spectral is not None:
                latents |= {f"spectral_{k}": v for k, v in self.spectral.shapes(self.modes).items()}
        if n > 2 and self.deviation_std is not None:
            latents |= {"deviation_xi": (n - 1, *self.grid), "deviation_std": ()}
        return latents

    def __call__(self, latents: Latents) -> Float[Array, "band y x"]:
        """Log brightness in every band."""
        maps = self.maps(latents)
        return maps.reference + self.bands.log_factor(maps.index) + maps.deviation

    def maps(self, latents: Latents) -> Maps:
        """Reference map, index map and deviations at these latents."""
        distribute = self.modes.index
        spatial = self.spatial(_part(latents, "spatial_"), self.modes)
        layers = [(spatial[distribute] * latents["xi"])[None]]
        if "index_xi" in latents:
            spectral = spatial if self.spectral is None else self.spectral(_part(latents, "spectral_"), self.modes)
            unit = spectral / jnp.sqrt(jnp.sum(jnp.asarray(self.modes.count, spectral.dtype) * spectral**2))
            unit = unit[distribute]
            layers.append((self.index_std(latents["index_std"]) * unit * latents["index_xi"])[None])
            if "deviation_xi" in latents:
                layers.append(unit * self._wiener(latents)[:-1])
        reference, *rest = crop(hartley(jnp.concatenate(layers)), self.shape)
        reference = reference + self.offset(latents["offset"])
        if not rest:
            return Maps(reference, jnp.zeros_like(reference), jnp.zeros_like(reference[None]))
        index = rest[0] + self.index(latents["index"])
        return Maps(reference, index, self._complete(jnp.stack(rest[1:])) if rest[1:] else jnp.zeros_like(index[None]))

    def _others(self) -> Float[Array, " others"]:
        """mu of all bands but the reference."""
        mu, r = self.bands.mu, self.bands.reference
        return jnp.concatenate([mu[:r], mu[r + 1 :]])

    def _wiener(self, latents: Latents) -> Float[Array, "others y x"]:
        """Wiener processes per mode away from the reference band, without their slope over mu."""
        mu, r = self.bands.mu, self.bands.reference
        step = jnp.sqrt(jnp.abs(jnp.diff(mu)))[:, None, None] * latents["deviation_xi"]
        below, above = jnp.cumsum(step[:r][::-1], 0)[::-1], jnp.cumsum(step[r:], 0)
        walk = self.deviation_std(latents["deviation_std"]) * jnp.concatenate([below, above])  # pyright: ignore
        others = self._others()
        slope = jnp.einsum("b,byx->yx", others, walk) / jnp.sum(others**2)
        return walk - others[:, None, None] * slope

    def _complete(self, deviation: Float[Array, "some y x"]) -> Float[Array, "band y x"]:
        """Deviations of all bands: the reference has none, and having no slope fixes the last of the others."""
        others = self._others()
        last = -jnp.einsum("b,byx->yx", others[:-1], deviation) / others[-1]
        r = self.bands.reference
        every = jnp.concatenate([deviation, last[None]])
        return jnp.concatenate([every[:r], jnp.zeros_like(last)[None], every[r:]])


def _part(latents: Latents, prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): v for name, v in latents.items() if name.startswith(prefix)}
