"""The sky as a NumPyro model: diffuse emission, points and extended sources in slots, seen through the instrument."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from jaxastro.fields import (
    PSF,
    Bands,
    ExtendedSources,
    LogNormal,
    MultiBandField,
    NonParametric,
    Normal,
    Observation,
    PointSources,
    padded,
    sample_latents,
    standard_normal,
)  # fmt: skip
from jaxastro.systems.sky.config import Train
from jaxastro.systems.sky.data import Field

BAND_OFFSET = 0.1  # prior std of ln flux of the whole diffuse sky in a band, beside its power law
EMPTY = -5.0  # ln flux of a slot that is off, beside the field's level


class Sky(eqx.Module):
    """All that the model is given; arrays are leaves, so other data, priors or sources recompile nothing.

    Attributes:
        diffuse: ln flux per pixel and band, on the field with its margin.
        points, extended: sources in slots, in pixels of the field with its margin.
        observation: the instrument of every channel; the exposure is zero in the margin.
        counts: photons.
        inside: 1 in the field, 0 in its margin.
        band: band of each channel.
    """

    diffuse: MultiBandField
    points: PointSources
    extended: ExtendedSources
    observation: Observation
    counts: Float[Array, "channel y x"]
    inside: Float[Array, "y x"]
    band: tuple[int, ...] = eqx.field(static=True)


def with_margin(field: Field, padding: float) -> tuple[Field, tuple[int, int]]:
    """The field inside a margin without exposure, from which flux still flows in, and the pixel where it starts.

    The whole is at least `padding` fields wide, of a size that transforms fast.
    """
    grid = padded(field.shape, padding)
    (ny, nx), (y, x) = field.shape, ((g - n) // 2 for g, n in zip(grid, field.shape, strict=True))

    def embed(image: np.ndarray) -> np.ndarray:
        return np.pad(image, ((0, 0), (y, grid[0] - ny - y), (x, grid[1] - nx - x)))

    images = {name: embed(getattr(field, name)) for name in ("counts", "exposure", "background")}
    images["inside"] = embed(np.ones((1, ny, nx), bool))[0]
    wcs = field.wcs.deepcopy() if field.wcs is not None else None
    if wcs is not None:
        wcs.wcs.crpix += (x, y)
    return dataclasses.replace(field, **images, wcs=wcs), (y, x)


def build(field: Field, options: Train) -> Sky:
    """The model of a field (see `with_margin`), all slots off.

    The data set the level of the priors only: the mean flux, and with `index` unset the mean spectral index.
    """
    bands = Bands(jnp.asarray(field.energy_keV, jnp.float32), field.reference, _as_array(field.edges_keV))
    level, index = levels(field, bands)
    index = options.index or (index, 0.5)
    source_index = options.source_index or (index[0] - 0.3, 0.7)
    diffuse = MultiBandField(
        field.shape,
        bands,
        offset=Normal(level, 0.5),
        spatial=NonParametric(
            LogNormal(*options.fluctuations), Normal(*options.slope), LogNormal(*options.flexibility)
        ),
        index=Normal(*index),
        index_std=LogNormal(*options.index_fluctuations),
        deviation_std=LogNormal(*options.deviations) if options.deviations else None,
        grid=field.shape,
    )

    def slots(n: int) -> dict:
        off, one = jnp.zeros(n), jnp.ones(n)
        return {
            "active": off, "y": Normal(off, one), "x": Normal(off, one),
            "flux": LogNormal.of_log(off + level + EMPTY, 1.5 * one), "index": Normal(*source_index),
        }  # fmt: skip

    size = jnp.full(options.extended, 3.0)
    sky = Sky(
        diffuse,
        PointSources(**slots(options.sources)),
        ExtendedSources(**slots(options.extended), size=LogNormal(size, size), profile="sersic"),
        Observation(jnp.asarray(field.exposure), PSF(field.psf, field.shape), background=jnp.asarray(field.background)),
        jnp.asarray(field.counts, jnp.float32),
        jnp.ones(field.shape) if field.inside is None else jnp.asarray(field.inside, jnp.float32),
        tuple(int(b) for b in field.band),
    )
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32) if isinstance(leaf, float) else leaf, sky)


def _as_array(values: np.ndarray | None) -> Array | None:
    return None if values is None else jnp.asarray(values, jnp.float32)


def levels(field: Field, bands: Bands) -> tuple[float, float]:
    """ln of the mean flux per pixel at the reference band, and the power-law index of the mean fluxes."""
    mean = np.empty(len(field.energy_keV))
    for b in range(len(mean)):
        mine = field.band == b
        excess = max(float((field.counts - field.background)[mine].sum()), 1.0)
        mean[b] = np.log(excess / field.exposure[mine].sum())
    trial = np.linspace(-8, 4, 241)
    factors = np.asarray(bands.log_factor(jnp.asarray(trial, jnp.float32)))
    misfit = ((mean - mean[field.reference])[:, None] - factors) ** 2
    return float(mean[field.reference]), float(trial[misfit.sum(0).argmin()])


def sky_model(sky: Sky) -> None:
    """NumPyro model of the counts.

    Deterministic sites: `ln_flux` (band, y, x) of everything but points, `rate` (channel, y, x), `index` (y, x), and of
    points and extended sources `<kind>_y`, `_x`, `_index` (slot,), `_flux` (band, slot), of extended ones also `_size`,
    `_ratio`, `_angle`, `_shape` as in `jaxastro.fields.ExtendedSources`. `inflow` is the share of the margin's flux
    that reaches the detector, uniform a priori: near 1 on the sky, near 0 where a simulation or a mask ends it.
    """
    bands = sky.diffuse.bands
    n = len(bands.energy)
    latents = sample_latents("diffuse_", sky.diffuse.shapes)
    maps = sky.diffuse.maps(latents)
    log_flux = maps.reference + bands.log_factor(maps.index) + maps.deviation
    if n > 1:
        numpyro.deterministic("index", maps.index)
    if n > 2:
        offset = BAND_OFFSET * standard_normal("band_offset", (n,)).at[bands.reference].set(0)
        log_flux = log_flux + offset[:, None, None]
    flux = jnp.exp(log_flux)
    latents = sample_latents("extended_latent_", sky.extended.shapes)
    flux = flux + sky.extended(latents, sky.diffuse.shape, bands)
    _report("extended", sky.extended, latents, bands)
    latents = sample_latents("point_latent_", sky.points.shapes)
    points = sky.points(latents, bands)
    _report("point", sky.points, latents, bands)
    numpyro.deterministic("ln_flux", jnp.log(flux))
    channel = jnp.asarray(sky.band)
    inflow = numpyro.deterministic("inflow", ndtr(standard_normal("inflow_latent")))
    flux = flux * jnp.where(sky.inside > 0, 1, inflow)
    expected = sky.observation(flux[channel], points._replace(flux=points.flux[channel]))
    numpyro.deterministic("rate", expected)
    sky.observation.observe(expected, sky.counts)


def _report(kind: str, sources: PointSources | ExtendedSources, latents: dict[str, Array], bands: Bands) -> None:
    """Physical values of all slots as deterministic sites."""
    values = {name: getattr(sources, name)(xi) for name, xi in latents.items()}
    values["flux"] = sources.active * values["flux"] * jnp.exp(bands.log_factor(values["index"]))
    for name, value in values.items():
        numpyro.deterministic(f"{kind}_{name}", value)


def cropped(image: np.ndarray | jax.Array, field: Field, start: tuple[int, int]) -> np.ndarray:
    """The pixels of the field out of an image with its margin, axes (..., y, x)."""
    (y, x), (ny, nx) = start, field.shape
    return np.asarray(image)[..., y : y + ny, x : x + nx]
