"""Images of a run as FITS with the field's celestial coordinates, and where an unseen point could hide."""

from pathlib import Path

import numpy as np
from astropy.io import fits
from jaxtyping import Float

from jaxastro.systems.sky.data import Field
from jaxastro.systems.sky.detect import correlate


def write_maps(path: Path, field: Field, images: dict[str, Float[np.ndarray, "..."]], units: dict[str, str]) -> None:
    """Write each image (y, x) or (band, y, x) as an HDU with the WCS of the field; the first is the primary one."""
    header = field.wcs.to_header() if field.wcs is not None else fits.Header()
    units_out = []
    for i, (name, image) in enumerate(images.items()):
        hdu = (fits.PrimaryHDU if i == 0 else fits.ImageHDU)(np.asarray(image, np.float32), header.copy())
        hdu.name = name
        hdu.header["BUNIT"] = units.get(name, "")
        units_out.append(hdu)
    fits.HDUList(units_out).writeto(path)


def point_flux(
    field: Field,
    rates: Float[np.ndarray, "draw channel y x"],
    spectrum: Float[np.ndarray, " channel"],
    level: float = 0.95,
) -> tuple[Float[np.ndarray, "y x"], Float[np.ndarray, "y x"], Float[np.ndarray, "y x"]]:
    """Flux at the reference band of one more point at each pixel: estimate, standard deviation, and upper limit.

    The estimate is one scoring step from zero flux; its variance is that of the counts plus the spread over the
    posterior draws of the sky beneath. Pixels without exposure are NaN.

    Args:
        field: the data.
        rates: expected counts of posterior draws of everything already in the model.
        spectrum: flux of the point in each channel's band over that in the reference band.
        level: probability of the upper limit.
    """
    from scipy.stats import norm

    response = spectrum[:, None, None] * field.exposure
    mean = rates.mean(0)
    information = correlate(response**2 / mean, field.psf**2).sum(0)
    seen = information > 1e-3 * information.max()
    information = np.where(seen, information, np.nan)
    estimates = np.array([correlate(response * (field.counts - rate) / mean, field.psf).sum(0) for rate in rates])
    estimate, spread = estimates.mean(0) / information, estimates.std(0) / information
    std = np.sqrt(1 / information + spread**2)
    tail = norm.sf(0, loc=estimate, scale=std)  # the flux is positive
    return estimate, std, estimate + std * norm.isf((1 - level) * tail)
