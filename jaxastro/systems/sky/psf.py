"""Point-spread functions as kernels on the pixel grid: odd, centred, of unit sum."""

import numpy as np
from jaxtyping import Float

from jaxastro.errors import InputError

CORE = 4  # pixels around the peak that define where a PSF image points


def gtpsf_kernels(
    table_energy: Float[np.ndarray, " energy"],
    theta_deg: Float[np.ndarray, " theta"],
    density: Float[np.ndarray, "energy theta"],
    energy: Float[np.ndarray, " band"],
    pixel_deg: float,
    *,
    radius_deg: float = 1.0,
    oversample: int = 9,
) -> tuple[Float[np.ndarray, "band y x"], Float[np.ndarray, " band"]]:
    """Kernels at `energy` from a Fermi gtpsf table, and the fraction of the flux inside each before normalisation.

    Args:
        table_energy: energies of the table, in the unit of `energy`.
        theta_deg: angles of the table [deg].
        density: PSF [1/sr].
        energy: where kernels are wanted; interpolated in its logarithm.
        pixel_deg: pixel size [deg].
        radius_deg: half width of the kernels [deg].
        oversample: sub-pixels per pixel and axis over which the density is integrated.
    """
    half = max(int(round(radius_deg / pixel_deg)), 1)
    fine = (np.arange((2 * half + 1) * oversample) - ((2 * half + 1) * oversample - 1) / 2) / oversample
    distance = np.hypot(fine[:, None], fine[None]) * pixel_deg
    kernels = []
    for e in energy:
        row = np.array([np.interp(np.log(e), np.log(table_energy), column) for column in density.T])
        values = np.interp(distance, theta_deg, row) * np.deg2rad(pixel_deg / oversample) ** 2
        kernels.append(values.reshape(2 * half + 1, oversample, 2 * half + 1, oversample).sum((1, 3)))
    kernels = np.array(kernels)
    inside = kernels.sum((1, 2))
    return kernels / inside[:, None, None], inside


def image_kernel(
    image: Float[np.ndarray, "y x"], name: str, *, largest: tuple[int, int], shift: tuple[float, float] = (0.0, 0.0)
) -> tuple[Float[np.ndarray, "k k"], list[str]]:
    """A centred kernel of unit sum from a PSF image, and a note of everything that was repaired.

    The PSF points where the centroid of its core is (the pixels within 4 of the peak); sub-pixel parts are moved
    by a Fourier shift. The kernel is square, odd, and no larger than `largest`.

    Args:
        image: the PSF; not negative but for rounding, any sum.
        name: how messages call it.
        largest: (y, x) size of the field in pixels.
        shift: (dy, dx) added to the position [pixel]: how an observation is registered to the reference grid.

    Raises:
        InputError: the image has NaN, is negative beyond rounding, or is empty.
    """
    if not np.isfinite(image).all() or image.sum() <= 0 or image.min() < -1e-3 * image.max():
        raise InputError(
            f"{name}: expected a PSF of finite, non-negative pixels, found a minimum of {np.min(image):g} "
            f"and a sum of {np.sum(image):g}; give the PSF image before any background subtraction."
        )
    notes = []
    image = np.clip(np.asarray(image, float), 0, None)
    total = image.sum()
    if abs(total - 1) > 1e-3:
        notes.append(f"{name}: the PSF summed to {total:.4g} and was normalised to 1.")
    peak = np.unravel_index(image.argmax(), image.shape)
    half = int(min(max(image.shape) // 2, (min(largest) - 1) // 2))
    padded = np.pad(image, half)
    kernel = padded[tuple(slice(p, p + 2 * half + 1) for p in peak)]
    lost = 1 - kernel.sum() / total
    if lost > 1e-3:
        notes.append(f"{name}: the PSF was cropped to {2 * half + 1} pixels; {lost:.2%} of its flux was lost.")
    for _ in range(5):
        kernel = move(kernel, -_core_centroid(kernel))
    kernel = move(kernel, np.asarray(shift))
    return kernel / kernel.sum(), notes


def _core_centroid(kernel: np.ndarray) -> np.ndarray:
    """(y, x) of the flux within `CORE` pixels of the middle, from the middle [pixel]."""
    middle, reach = kernel.shape[0] // 2, min(CORE, kernel.shape[0] // 2)
    core = kernel[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    steps = np.arange(-reach, reach + 1)
    return np.array([steps @ core.sum(1), core.sum(0) @ steps]) / core.sum()


def move(image: Float[np.ndarray, "... y x"], shift: Float[np.ndarray, " 2"]) -> Float[np.ndarray, "... y x"]:
    """`image` moved by a fraction of a pixel through its Fourier phases; ringing below zero is cut."""
    if np.abs(shift).max() < 1e-3:
        return image
    ny, nx = image.shape[-2:]
    phase = np.fft.fftfreq(ny)[:, None] * shift[0] + np.fft.rfftfreq(nx)[None] * shift[1]
    return np.clip(np.fft.irfft2(np.fft.rfft2(image) * np.exp(-2j * np.pi * phase), s=(ny, nx)), 0, None)
