"""Where the sky needs a source: what a point would gain in likelihood, measured against what the diffuse sky absorbs."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.signal import fftconvolve

from jaxastro.systems.sky.data import Field

SMOOTH = 12.0  # pixels over which the scatter of residuals is measured
EXPECTATION_STEPS = 60


class Need(NamedTuple):
    """The point that is missing at every pixel.

    Attributes:
        z: significance [sigma]; exact for few photons at local maxima.
        faintest: flux at the reference band of a point that Poisson noise alone would hide at one sigma.
    """

    z: Float[np.ndarray, "y x"]
    faintest: Float[np.ndarray, "y x"]


def correlate(images: Float[np.ndarray, "channel y x"], psf: Float[np.ndarray, "channel py px"]) -> np.ndarray:
    """Every image summed under its PSF centred on each pixel: the transpose of the convolution."""
    return np.array([fftconvolve(i, p[::-1, ::-1], mode="same") for i, p in zip(images, psf, strict=True)])


def need_of_points(field: Field, rate: Float[np.ndarray, "channel y x"], spectrum: np.ndarray) -> Need:
    """Significance and flux of one more point at every pixel, given the expected counts of the fitted sky.

    The score of a point at zero flux, in Poisson standard deviations, scatters by less than one: a fitted sky absorbs
    part of the noise, and of a point's signal the same part squared. The scatter is measured from the map itself,
    robustly and in each neighbourhood. For few photons the score over-rates; at its maxima the exact likelihood gain,
    in the same unit, takes its place where it is lower.

    Args:
        field: the data.
        rate: expected counts.
        spectrum: flux of a point in each channel's band over that in the reference band.
    """
    response = spectrum[:, None, None] * field.exposure
    information = np.maximum(correlate(response**2 / rate, field.psf**2).sum(0), 1e-30)
    seen = information > 1e-3 * information.max()
    residual = np.where(field.exposure > 0, response * (field.counts / rate - 1), 0)
    score = np.where(seen, correlate(residual, field.psf).sum(0) / np.sqrt(information), 0)
    share = local_scatter(score, seen)
    z = score / share
    peaks = peak_pixels(z, 3.0)
    gain, _ = point_gain(field, rate, peaks, spectrum)
    for (y, x), exact in zip(peaks, gain / share[tuple(peaks.T)], strict=True):
        cut = np.s_[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
        z[cut] *= min(exact / z[y, x], 1.0)
    return Need(z, 1 / np.sqrt(information))


def local_scatter(image: Float[np.ndarray, "y x"], seen: Bool[np.ndarray, "y x"]) -> Float[np.ndarray, "y x"]:
    """Robust standard deviation of the neighbourhood of each pixel, pixels beyond 2.5 of the whole map's left out."""
    whole = 1.4826 * np.median(np.abs(image[seen]))
    bulk = seen & (np.abs(image) < 2.5 * whole)
    weight = gaussian_filter(bulk * 1.0, SMOOTH, mode="constant")
    square = gaussian_filter(np.where(bulk, image**2, 0), SMOOTH, mode="constant") / np.maximum(weight, 1e-6)
    truncation = 0.913  # variance of a normal cut at 2.5 sigma
    return np.sqrt(np.maximum(square / truncation, (0.3 * whole) ** 2))


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
