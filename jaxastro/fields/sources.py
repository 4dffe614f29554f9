"""Point-like and extended sources in slots: a fixed number of places, each switched on by a mask.

The number of slots is part of the compiled program; which are on, where they are and what their priors are is data.
"""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import gammaln
from jaxtyping import Array, ArrayLike, Float

from jaxastro.fields.bands import Bands
from jaxastro.fields.correlated import CorrelatedField
from jaxastro.fields.priors import InverseGamma, LogNormal, Normal
from jaxastro.fields.psf import Points
from jaxastro.fields.spectra import Latents


class PointSources(eqx.Module):
    """Power-law point sources; a slot that is off has flux 0 and keeps its prior.

    Attributes:
        active: 1 for slots in use, shape (slot,).
        y, x: priors of the position [pixel of the sky's grid, centres at integers], arrays of shape (slot,) within.
        flux: prior of the flux in the reference band, `LogNormal` (per slot: `LogNormal.of_log`) or `InverseGamma`.
        index: prior of the spectral index.
    """

    active: Float[Array, " slot"]
    y: Normal
    x: Normal
    flux: LogNormal | InverseGamma
    index: Normal = Normal(-1.2, 0.7)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every standard normal latent."""
        return dict.fromkeys(("y", "x", "flux", "index"), self.active.shape)

    def __call__(self, latents: Latents, bands: Bands | None = None) -> Points:
        """Positions and fluxes (band, slot); without bands there is one, and no spectral index."""
        flux = (self.active * self.flux(latents["flux"]))[None]
        if bands is not None:
            flux = flux * jnp.exp(bands.log_factor(self.index(latents["index"])))
        return Points(self.y(latents["y"]), self.x(latents["x"]), flux)


class ExtendedSources(eqx.Module):
    """Elliptical sources of known total flux: Gaussian, Sersic or beta profile.

    Attributes:
        active: 1 for slots in use, shape (slot,).
        y, x: priors of the centre [pixel].
        flux: prior of the total flux in the reference band.
        size: prior of the size along the major axis [pixel]: standard deviation, half-light radius or core radius.
        ratio: prior of ln(major / minor axis), its absolute value is taken.
        angle: prior of the position angle of the major axis from the y towards the x axis [radian].
        shape: prior of the Sersic index n, or of beta (brightness ~ (1 + r^2/core^2)^(1/2 - 3 beta), above 1/2).
        index: prior of the spectral index.
        profile: "gaussian", "sersic" or "beta".
    """

    active: Float[Array, " slot"]
    y: Normal
    x: Normal
    flux: LogNormal | InverseGamma
    size: LogNormal = LogNormal(3.0, 2.0)
    ratio: Normal = Normal(0.0, 0.4)
    angle: Normal = Normal(0.0, 2.0)
    shape: LogNormal = LogNormal(1.0, 0.3)
    index: Normal = Normal(-1.2, 0.7)
    profile: Literal["gaussian", "sersic", "beta"] = eqx.field(static=True, default="gaussian")

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every standard normal latent."""
        names = ["y", "x", "flux", "size", "ratio", "angle", "index"] + ["shape"] * (self.profile != "gaussian")
        return dict.fromkeys(names, self.active.shape)

    def __call__(
        self, latents: Latents, image_shape: tuple[int, int], bands: Bands | None = None
    ) -> Float[Array, "band y x"]:
        """Flux per pixel of all active sources together, before the PSF."""
        values = {name: getattr(self, name)(latents[name]) for name in self.shapes}
        each = jax.vmap(lambda v: profile_image(self.profile, v, image_shape))(values)
        flux = (self.active * values["flux"])[None]
        if bands is not None:
            flux = flux * jnp.exp(bands.log_factor(values["index"]))
        return jnp.einsum("bs,syx->byx", flux, each)


def profile_image(profile: str, values: dict[str, Array], image_shape: tuple[int, int]) -> Float[Array, "y x"]:
    """Share of a source's flux that falls on each pixel; the share beyond the image is missing.

    The profile is taken at pixel centres, with the second moment of a pixel (1/12) added to the squared axes.
    """
    rows, columns = jnp.arange(image_shape[0]), jnp.arange(image_shape[1])
    dy, dx = rows[:, None] - values["y"], columns[None] - values["x"]
    sin, cos = jnp.sin(values["angle"]), jnp.cos(values["angle"])
    along, across = dy * cos + dx * sin, dx * cos - dy * sin
    # A pixel widens a profile by its second moment; for a Sersic or beta profile this is the leading correction.
    major = jnp.sqrt(values["size"] ** 2 + 1 / 12)
    minor = jnp.sqrt((values["size"] * jnp.exp(-jnp.abs(values["ratio"]))) ** 2 + 1 / 12)
    squared = (along / major) ** 2 + (across / minor) ** 2
    area = jnp.pi * major * minor
    if profile == "gaussian":
        return jnp.exp(-squared / 2) / (2 * area)
    if profile == "beta":
        slope = 3 * (0.5 + values["shape"]) - 0.5
        return (slope - 1) / area * (1 + squared) ** -slope
    n = values["shape"]
    b = 2 * n - 1 / 3 + 4 / (405 * n) + 46 / (25515 * n**2)  # Ciotti and Bertin 1999
    radius = jnp.sqrt(squared + 1 / (12 * major * minor))
    log_total = jnp.log(2 * n) + gammaln(2 * n) - 2 * n * jnp.log(b)
    return jnp.exp(-b * radius ** (1 / n) - log_total) / area


class LocalFields(eqx.Module):
    """Extended sources without a given shape: in a box, an exponentiated correlated field under a soft window.

    Attributes:
        active: 1 for slots in use, shape (slot,).
        y, x: pixel of the box's centre, integers as floats, shape (slot,).
        flux: prior of the total flux in the reference band.
        field: texture; its shape is the box.
        size: standard deviation of the Gaussian window [pixel].
        index: prior of the spectral index.
    """

    active: Float[Array, " slot"]
    y: Float[Array, " slot"]
    x: Float[Array, " slot"]
    flux: LogNormal | InverseGamma
    field: CorrelatedField
    size: ArrayLike = 4.0
    index: Normal = Normal(-1.2, 0.7)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every standard normal latent."""
        texture = {f"texture_{n}": (*self.active.shape, *s) for n, s in self.field.shapes.items()}
        return {"flux": self.active.shape, "index": self.active.shape} | texture

    def __call__(
        self, latents: Latents, image_shape: tuple[int, int], bands: Bands | None = None
    ) -> Float[Array, "band y x"]:
        """Flux per pixel of all active sources together, before the PSF; a box must fit into the image."""
        box = self.field.shape
        texture = jax.vmap(self.field)({n: latents[f"texture_{n}"] for n in self.field.shapes})
        rows, columns = (jnp.arange(n) - (n - 1) / 2 for n in box)
        window = -(rows[:, None] ** 2 + columns**2) / (2 * self.size**2)
        share = jax.nn.softmax((texture + window).reshape(len(texture), -1)).reshape(texture.shape)

        def place(patch, y, x):
            corner = jnp.round(y).astype(int) - box[0] // 2, jnp.round(x).astype(int) - box[1] // 2
            return lax.dynamic_update_slice(jnp.zeros(image_shape, patch.dtype), patch, corner)

        flux = (self.active * self.flux(latents["flux"]))[None]
        if bands is not None:
            flux = flux * jnp.exp(bands.log_factor(self.index(latents["index"])))
        return jnp.einsum("bs,syx->byx", flux, jax.vmap(place)(share, self.y, self.x))
