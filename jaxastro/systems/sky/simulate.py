"""Skies with known truth: log-normal diffuse emission, sub-pixel points and an extended source, in several bands."""

import numpy as np
from jaxtyping import Float

from jaxastro.systems.sky.config import Simulate
from jaxastro.systems.sky.data import Field, assemble

KERNEL = 33  # pixels of the simulated PSF
OVERSAMPLE = 5
DIFFUSE_STD, INDEX_MEAN, INDEX_STD = 0.8, -1.0, 0.3
EXTENDED_FLUX, EXTENDED_INDEX = 400.0, -0.5  # flux in diffuse levels


def simulate_field(options: Simulate | None = None) -> tuple[Field, dict[str, np.ndarray]]:
    """A simulated field and its truth.

    The diffuse ln flux has the power spectrum (k^2 + 1)^-2 (k in waves per field) on a torus 1.125 fields wide, so it
    is not periodic; its spectral index is another such field. Exposure is vignetted, with a chip gap at a quarter of
    the exposure. The PSF is a Gaussian core with King wings that widens with energy; points are seen through it at
    their sub-pixel position. Flux outside the field is zero.

    Returns:
        The field, and `diffuse`, `extended` (band, y, x) flux per pixel, `log_diffuse_ref`, `alpha` (y, x),
        `catalog` (source, 4) of y, x [pixel], flux at the reference band [1/s] and spectral index, with
        `catalog_extended` (source, 5) adding the core radius [pixel], and `expected` (channel, y, x) counts.
    """
    options = options or Simulate()
    rng = np.random.default_rng(options.seed)
    n, energy = options.size, np.asarray(options.energies, float)
    reference = len(energy) // 2
    mu = np.log(energy / energy[reference])
    log_diffuse = np.log(options.level) + DIFFUSE_STD * _field(rng, n)
    alpha = INDEX_MEAN + INDEX_STD * _field(rng, n)
    diffuse = np.exp(log_diffuse + alpha * mu[:, None, None])
    extended, extended_table = np.zeros_like(diffuse), []
    for _ in range(options.extended):
        image, row = _beta_model(rng, n, EXTENDED_FLUX * options.level)
        extended += image * np.exp(EXTENDED_INDEX * mu)[:, None, None]
        extended_table.append(row)
    catalog = _points(rng, options, extended_table)
    psf = np.array([_psf(KERNEL, e / energy[reference]) for e in energy])
    psf /= psf.sum((1, 2), keepdims=True)
    seen = _convolve(diffuse + extended, psf)
    for y, x, flux, slope in catalog:
        for b, m in enumerate(mu):
            _stamp(seen[b], y, x, flux * np.exp(slope * m), energy[b] / energy[reference])
    exposure = _exposure(n, len(energy), reference)
    expected = exposure * seen
    counts = rng.poisson(expected)
    field = assemble(f"simulated field {options.seed}", counts, exposure, 0.0, psf, energy)
    truth = {
        "diffuse": diffuse, "extended": extended, "log_diffuse_ref": log_diffuse, "alpha": alpha, "catalog": catalog,
        "catalog_extended": np.array(extended_table).reshape(-1, 5), "expected": expected,
        "level": np.array(options.level), "seed": np.array(options.seed),
    }  # fmt: skip
    return field, truth


def save_field(path, field: Field, truth: dict[str, np.ndarray]) -> None:
    """Write field and truth as an npz that `read` understands."""
    np.savez_compressed(  # pyright: ignore[reportArgumentType]
        path,
        counts=field.counts,
        exposure=field.exposure,
        psf=field.psf,
        energy_keV=field.energy_keV,
        **truth,  # pyright: ignore
    )


def _field(rng: np.random.Generator, n: int) -> Float[np.ndarray, "y x"]:
    """A Gaussian field of unit variance, cut from a larger torus."""
    m = int(round(1.125 * n))
    k = np.fft.fftfreq(m, 1 / m)
    power = (k[:, None] ** 2 + k**2 + 1) ** -2.0
    power[0, 0] = 0
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(m, m))) * np.sqrt(power / power.mean())).real
    return field[:n, :n]


def _points(rng: np.random.Generator, options: Simulate, avoid: list) -> Float[np.ndarray, "source 4"]:
    """Rows of y, x, flux, index; at least 5 pixels from each other and 3 from the edge."""
    flux = options.level * np.geomspace(options.faintest, options.brightest, options.points)
    index = rng.normal(-1.5, 0.3, options.points)
    places = [row[:2] for row in avoid]
    for _ in range(options.points):
        while True:
            place = rng.uniform(3, options.size - 4, 2)
            if all(np.hypot(*(place - p)) > 5 for p in places):
                break
        places.append(place)
    yx = np.array(places[len(avoid) :]).reshape(-1, 2)
    return np.column_stack([yx, flux, index])


def _beta_model(rng: np.random.Generator, n: int, flux: float) -> tuple[np.ndarray, list[float]]:
    """An elliptical beta model of total `flux`, and its y, x, flux, index and core radius [pixel]."""
    cy, cx = rng.uniform(0.25 * n, 0.75 * n, 2)
    core, ratio = 3.744, 1 / 1.3
    y, x = np.indices((n, n))
    image = (1 + ((x - cx) ** 2 + (y - cy) ** 2 / ratio**2) / core**2) ** -2.2
    return flux * image / image.sum(), [cy, cx, flux, EXTENDED_INDEX, core * np.sqrt(ratio)]


def _profile(r2: np.ndarray, scale: float) -> np.ndarray:
    """Gaussian core that widens with energy (`scale` is in reference energies), and 15 % in King wings."""
    sigma = 1.05 + 0.28 * scale
    core = np.exp(-0.5 * r2 / sigma**2) / (2 * np.pi * sigma**2)
    return 0.85 * core + 0.15 * 0.9 / (np.pi * 9) * (1 + r2 / 9) ** -1.9


def _psf(size: int, scale: float, dy: float = 0.0, dx: float = 0.0) -> np.ndarray:
    """The PSF integrated over pixels, for a source (dy, dx) off the central pixel; not normalised."""
    fine = (np.arange(size * OVERSAMPLE) - (size * OVERSAMPLE - 1) / 2) / OVERSAMPLE
    values = _profile((fine[:, None] - dy) ** 2 + (fine[None] - dx) ** 2, scale)
    return values.reshape(size, OVERSAMPLE, size, OVERSAMPLE).mean((1, 3))


def _stamp(image: np.ndarray, y: float, x: float, flux: float, scale: float) -> None:
    """Add a point of `flux` at (y, x) to `image`."""
    cy, cx, half = round(y), round(x), KERNEL // 2
    stamp = _psf(KERNEL, scale, y - cy, x - cx)
    padded = np.pad(np.zeros_like(image), half)
    padded[cy : cy + KERNEL, cx : cx + KERNEL] = flux * stamp / stamp.sum()
    image += padded[half:-half, half:-half]


def _convolve(images: np.ndarray, psf: np.ndarray) -> np.ndarray:
    from scipy.signal import fftconvolve

    return np.array([fftconvolve(i, p, mode="same") for i, p in zip(images, psf, strict=True)])


def _exposure(n: int, bands: int, reference: int) -> Float[np.ndarray, "band y x"]:
    """Exposure [s]: vignetting to 20 % in the corners and a chip gap at a quarter of it."""
    y, x = np.indices((n, n)) - (n - 1) / 2
    image = 1 - 0.4 * (x**2 + y**2) / (n / 2) ** 2
    image[:, round(0.61 * n) : round(0.61 * n) + max(n // 64, 1)] *= 0.25
    return 1e4 * image * (0.7 ** np.abs(np.arange(bands) - reference))[:, None, None]
