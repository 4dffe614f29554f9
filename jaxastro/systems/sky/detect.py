"""Where the sky needs a source: what a point would gain in likelihood, given what the diffuse sky absorbs."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.signal import fftconvolve

from jaxastro.systems.sky.data import Field

BRIGHTNESS = 4.0  # pixels over which expected counts are averaged to scale the tension
SMOOTH = 12.0  # pixels over which the scatter of residuals is measured
FEW = 30.0  # photons around a pixel that do not tell how much a fit absorbed: then it is taken to be nothing
LEAST = 0.01  # of the rate around a pixel; a sharp PSF between pixels rings, and may leave one nothing
REPLICAS = 4  # of the counts, to know the scatter of Poisson noise
EXPECTATION_STEPS = 60


class Need(NamedTuple):
    """The point that is missing at every pixel.

    Attributes:
        z: significance [sigma]; exact for few photons where it is high.
        residual: residual counts matched to a point's image, in Poisson standard deviations: what is seen without
            regard to what the diffuse sky absorbed.
        faintest: flux at the reference band of a point that Poisson noise alone would hide at one sigma.
    """

    z: Float[np.ndarray, "y x"]
    residual: Float[np.ndarray, "y x"]
    faintest: Float[np.ndarray, "y x"]


def correlate(images: Float[np.ndarray, "channel y x"], psf: Float[np.ndarray, "channel py px"]) -> np.ndarray:
    """Every image summed under its PSF centred on each pixel: the transpose of the convolution."""
    return np.array([fftconvolve(i, p[::-1, ::-1], mode="same") for i, p in zip(images, psf, strict=True)])


def local_tension(
    tension: Float[np.ndarray, "y x"], rate: Float[np.ndarray, "channel y x"], slope: float
) -> Float[np.ndarray, "y x"]:
    """Position-space tension over its standard deviation at each pixel, robustly scaled to one over the whole map.

    Where more photons fall, more modes of the diffuse sky are informed and the tension scatters more. A power spectrum
    k^slope meets Poisson noise at k ~ rate^(1 / |slope|); the variance is the share of the modes below, k^2 in two
    dimensions, so the standard deviation goes as rate^(1 / |slope|).

    Args:
        tension: of the mean excitations, see `jaxastro.fields.tension_map`.
        rate: expected counts.
        slope: of the diffuse power spectrum.
    """
    local = tension / gaussian_filter(rate.sum(0), BRIGHTNESS) ** (1 / abs(slope))
    centre = np.median(local)
    return (local - centre) / (1.4826 * np.median(np.abs(local - centre)))


def need_of_points(field: Field, rate: Float[np.ndarray, "channel y x"], spectrum: np.ndarray) -> Need:
    """Significance and flux of one more point at every pixel, given the expected counts of the fitted sky.

    The score of a point at zero flux, in Poisson standard deviations, scatters by less than one: a fitted sky absorbs
    part of the noise, and of a point's signal the same part squared. That part is measured in each neighbourhood: the
    robust scatter of the map over that of Poisson noise around the same rate. For few photons the score over-rates;
    above 3 sigma the exact likelihood gain, in the same unit, takes its place where it is lower.

    Args:
        field: the data.
        rate: expected counts.
        spectrum: flux of a point in each channel's band over that in the reference band.
    """
    rate = np.maximum(rate, LEAST * gaussian_filter(rate, (0, BRIGHTNESS, BRIGHTNESS)))
    response = spectrum[:, None, None] * field.exposure
    information = np.maximum(correlate(response**2 / rate, field.psf**2).sum(0), 1e-30)
    seen = information > 1e-3 * information.max()

    def matched(counts: np.ndarray) -> np.ndarray:
        residual = np.where(field.exposure > 0, response * (counts / rate - 1), 0)
        return np.where(seen, correlate(residual, field.psf).sum(0) / np.sqrt(information), 0)

    score = matched(field.counts)
    rng = np.random.default_rng(0)
    noise = np.mean([local_bulk(matched(rng.poisson(rate)), seen)[1] for _ in range(REPLICAS)], 0)
    level, scatter = local_bulk(score, seen)
    photons = 2 * np.pi * SMOOTH**2 * gaussian_filter(rate.sum(0), SMOOTH, mode="nearest")
    share = np.sqrt((photons * np.minimum(scatter / noise, 1.0) ** 2 + FEW) / (photons + FEW))
    z = np.where(seen, (score - level) / share, 0)
    strong = np.argwhere(z > 3)
    at = tuple(strong.T)
    z[at] = np.minimum(z[at], point_gain(field, rate, strong, spectrum)[0] / share[at])
    return Need(z, score, 1 / np.sqrt(information))


def local_bulk(
    image: Float[np.ndarray, "y x"], seen: Bool[np.ndarray, "y x"]
) -> tuple[Float[np.ndarray, "y x"], Float[np.ndarray, "y x"]]:
    """Mean and standard deviation of each pixel's neighbourhood, without pixels beyond 2.5 of the whole map's."""
    middle = np.median(image[seen])
    whole = 1.4826 * np.median(np.abs(image[seen] - middle))
    bulk = seen & (np.abs(image - middle) < 2.5 * whole)

    def smooth(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(np.where(bulk, values, 0.0), SMOOTH, mode="constant")

    weight = np.maximum(smooth(np.ones_like(image)), 1e-6)
    mean = smooth(image) / weight
    variance = smooth(image**2) / weight - mean**2
    return mean, np.sqrt(np.maximum(variance, (0.3 * whole) ** 2))


def point_gain(
    field: Field, rate: Float[np.ndarray, "channel y x"], pixels: Int[np.ndarray, "pixel 2"], spectrum: np.ndarray
) -> tuple[Float[np.ndarray, " pixel"], Float[np.ndarray, " pixel"]]:
    """Root of twice the log-likelihood that a point at each pixel gains, all else fixed, and its most likely flux.

    The flux is found by expectation-maximisation, which never leaves positive fluxes.
    """
    half = field.psf.shape[-1] // 2
    padding = ((0, 0), (half, half), (half, half))
    counts, rates, exposure = (np.pad(a, padding) for a in (field.counts, rate, field.exposure))
    kernel = spectrum[:, None, None] * field.psf
    roots, fluxes = [], []
    for y, x in pixels:
        cut = np.s_[:, y : y + 2 * half + 1, x : x + 2 * half + 1]
        response = (kernel * exposure[cut]).ravel()
        total = max(response.sum(), 1e-30)
        photons = (counts[cut].ravel() > 0) & (response > 0)
        d, s, r = counts[cut].ravel()[photons], response[photons], rates[cut].ravel()[photons]
        flux = 0.1 * d.sum() / total
        for _ in range(EXPECTATION_STEPS):
            flux = flux * np.sum(d * s / (r + flux * s)) / total
        gain = 2 * (np.sum(d * np.log1p(flux * s / r)) - flux * total)
        roots.append(np.sqrt(max(gain, 0.0)))
        fluxes.append(flux)
    return np.array(roots), np.array(fluxes)


def peak_pixels(
    image: Float[np.ndarray, "y x"], threshold: float, allowed: Bool[np.ndarray, "y x"] | None = None, width: int = 5
) -> Int[np.ndarray, "peak 2"]:
    """(y, x) of local maxima above `threshold` in a box of `width` pixels, highest first."""
    peak = (image == maximum_filter(image, width)) & (image > threshold)
    where = np.argwhere(peak if allowed is None else peak & allowed)
    return where[np.argsort(-image[tuple(where.T)])]
