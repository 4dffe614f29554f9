"""Sources switched on, changed in kind and switched off; the flux moves between them and the diffuse sky."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxastro.fields import ExtendedSources, LogNormal, MultiBandField, Normal, PointSources, de_excite
from jaxastro.infer.standard import trace_sites
from jaxastro.systems.sky.model import Sky, sky_model

POSITION_STD, FLUX_STD = 1.0, 1.5  # prior of an inserted source: pixels, and ln flux
REACH = 5.0  # pixels from which a new point takes flux of the diffuse sky, and twice that an extended source
RADIUS = 1.8  # pixels around a new point in which the diffuse sky is relaxed
EXCITATIONS = ("diffuse_xi", "diffuse_index_xi")

Latents = dict[str, Array]


def active(sources: PointSources | ExtendedSources) -> Int[np.ndarray, " source"]:
    """Slots in use."""
    return np.flatnonzero(np.asarray(sources.active) > 0)


def free(sources: PointSources | ExtendedSources) -> Int[np.ndarray, " slot"]:
    """Slots that are off."""
    return np.flatnonzero(np.asarray(sources.active) == 0)


def places(sources: PointSources | ExtendedSources, start: tuple[int, int]) -> Float[np.ndarray, "source 2"]:
    """(y, x) at which the sources in use were inserted [pixel of the field]."""
    return (np.stack([sources.y.mean, sources.x.mean], 1) - np.array(start))[active(sources)]


def insert(
    sky: Sky,
    mean: Latents,
    kind: str,
    where: Float[np.ndarray, "source 2"],
    least: Float[np.ndarray, " source"],
    *,
    size: float = 3.0,
) -> tuple[Sky, Latents, Int[np.ndarray, " source"]]:
    """The sky with sources switched on, latents to fit it from, and the slots they took (fewer where all are in use).

    The diffuse excitations are relaxed there, and each source starts with the flux that the diffuse sky hands over.

    Args:
        sky: the model.
        mean: its latents.
        kind: "points" or "extended".
        where: (y, x) [pixel of the margin's grid].
        least: smallest flux at the reference band to start from.
        size: prior median of the half-light radius of extended sources [pixel].
    """
    old = getattr(sky, kind)
    slots = free(old)[: len(where)]
    where, least = where[: len(slots)], least[: len(slots)]
    fresh = jnp.zeros(len(old.active)).at[slots].set(1.0)
    one = jnp.ones_like(fresh)
    y, x = (prior.mean.at[slots].set(new) for prior, new in zip((old.y, old.x), where.T, strict=True))
    wide = kind == "extended"
    relaxed = {
        name: de_excite(v, y, x, fresh, radius=size if wide else RADIUS)
        if name in EXCITATIONS
        else v * (1 - fresh)
        if name.startswith(prefix(kind))
        else v
        for name, v in mean.items()
    }
    flux = np.maximum(handed_over(sky, mean, relaxed, where, REACH * (2 if wide else 1)), least)
    new = dataclasses.replace(
        old,
        active=jnp.maximum(old.active, fresh),
        y=Normal(y, POSITION_STD * one),
        x=Normal(x, POSITION_STD * one),
        flux=LogNormal.of_log(old.flux.log(0 * one).at[slots].set(np.log(flux)), FLUX_STD * one),
    )
    return eqx.tree_at(lambda s: getattr(s, kind), sky, new), relaxed, slots


def prefix(kind: str) -> str:
    """What the names of the latents of a kind of sources begin with."""
    return "point_latent_" if kind == "points" else "extended_latent_"


def remove(sky: Sky, kind: str, slots: Int[np.ndarray, " source"]) -> Sky:
    """The sky with these slots switched off."""
    return eqx.tree_at(lambda s: getattr(s, kind).active, sky, getattr(sky, kind).active.at[slots].set(0.0))


def handed_over(
    sky: Sky, before: Latents, after: Latents, where: Float[np.ndarray, "source 2"], reach: float
) -> Float[np.ndarray, " source"]:
    """Diffuse flux at the reference band that `before` has and `after` lacks, to the nearest place within `reach`."""
    change = np.asarray(_reference_flux(sky.diffuse, before) - _reference_flux(sky.diffuse, after))
    distance = np.hypot(*(np.indices(change.shape)[:, None] - where.T[:, :, None, None]))
    nearest = (distance == distance.min(0)) & (distance < reach)
    return (nearest * change).sum((1, 2))


@eqx.filter_jit
def _reference_flux(diffuse: MultiBandField, latents: Latents) -> Array:
    """Diffuse flux per pixel at the reference band."""
    return jnp.exp(diffuse.maps({n.removeprefix("diffuse_"): v for n, v in latents.items()}).reference)


@eqx.filter_jit
def expected(sky: Sky, latents: Latents) -> Float[Array, "channel y x"]:
    """Expected counts at these latents."""
    return trace_sites(sky_model, latents, (sky,))["rate"]["value"]


def gains(sky: Sky, mean: Latents, kind: str) -> Float[np.ndarray, " source"]:
    """Root of twice the log-likelihood that each source in use gains, all else as it is."""
    counts, seen = np.asarray(sky.counts), np.asarray(sky.observation.exposure) > 0
    with_it = np.asarray(expected(sky, mean), float)[seen]
    result = []
    for slot in active(getattr(sky, kind)):
        without = np.asarray(expected(remove(sky, kind, np.array([slot])), mean), float)[seen]
        result.append(2 * np.sum(counts[seen] * np.log(with_it / without) - (with_it - without)))
    return np.sqrt(np.maximum(np.array(result), 0.0))
