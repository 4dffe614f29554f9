"""From a sky to the counts that an instrument expects: PSF, exposure, effective area, mask and background."""

import equinox as eqx
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, ArrayLike, Float

from jaxastro.fields.psf import PSF, Points

RATE_FLOOR = 1e-12


class Observation(eqx.Module):
    """One exposure of the sky: its instrument arrays are leaves, so one compiled program serves every observation.

    Pass it (or a list of several, for a joint fit) to the NumPyro model as an argument; never close over it.

    Attributes:
        exposure: exposure time [s], broadcastable to (band, y, x).
        psf: the point-spread function on the sky's grid; None for a perfect instrument.
        effective_area: [cm2] or 1, broadcastable to (band, y, x).
        pixel_area: factor from the sky's surface brightness to flux per pixel.
        background: expected counts that come from no source on the sky, broadcastable to (band, y, x).
        mask: 1 (or true) where the detector sees, broadcastable to (band, y, x).
        margin: sky pixels beyond each edge of the detector, from which flux still flows in.
    """

    exposure: ArrayLike
    psf: PSF | None = None
    effective_area: ArrayLike = 1.0
    pixel_area: ArrayLike = 1.0
    background: ArrayLike = 0.0
    mask: ArrayLike = True
    margin: int = eqx.field(static=True, default=0)

    def __call__(self, sky: Float[Array, "band sky_y sky_x"], points: Points | None = None) -> Float[Array, "band y x"]:
        """Expected counts per pixel.

        Args:
            sky: surface brightness, [1 / s / pixel] unless effective and pixel area say otherwise.
            points: point sources in pixel coordinates of the sky's grid; their fluxes are totals per source [1 / s].
        """
        flux = sky * self.pixel_area
        if self.psf is not None:
            flux = self.psf(flux, points)
        elif points is not None:
            raise ValueError("Point sources between pixels need a PSF; give the observation one.")
        if self.margin:
            flux = flux[:, self.margin : -self.margin, self.margin : -self.margin]
        counts = flux * self.exposure * self.effective_area + self.background
        return jnp.maximum(counts, RATE_FLOOR)

    def observe(self, expected: Float[Array, "band y x"], counts: ArrayLike | None, name: str = "counts") -> Array:
        """The NumPyro site of the Poisson counts; pixels outside the mask or without exposure say nothing."""
        sees = jnp.broadcast_to(jnp.asarray(self.mask, bool) & (jnp.asarray(self.exposure) > 0), expected.shape)
        return numpyro.sample(name, dist.Poisson(expected).mask(sees).to_event(3), obs=counts)  # pyright: ignore
