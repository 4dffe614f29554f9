"""Diffuse sky first; then sources where its latents are in tension, until none is left."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxastro.fields import LogNormal, MultiBandField, Normal, de_excite, robust_z, tension_map
from jaxastro.infer import Posterior, mgvi
from jaxastro.systems.sky.config import Train
from jaxastro.systems.sky.data import Field
from jaxastro.systems.sky.detect import need_of_points, peak_pixels
from jaxastro.systems.sky.model import Sky, build, cropped, sky_model, with_margin

NEAR = 2.5  # pixels within which a second source is no new point
POSITION_STD, FLUX_STD = 1.0, 1.5  # prior of an inserted source: pixels, and ln flux


class Round(NamedTuple):
    """What one round saw before it inserted anything.

    Attributes:
        tension: robust z of the diffuse excitations in position space.
        need: significance of a missing point.
        inserted: (y, x) of what it inserted [pixel].
        z: significance at which each was inserted.
    """

    tension: Float[np.ndarray, "y x"]
    need: Float[np.ndarray, "y x"]
    inserted: Float[np.ndarray, "source 2"]
    z: Float[np.ndarray, " source"]


class Separation(NamedTuple):
    """A sky taken apart.

    Attributes:
        posterior: of the final model, in pixels of the field with its margin.
        sky: the final model.
        start: pixel of the margin's grid at which the field starts.
        rounds: what was seen and inserted, the last one inserted nothing.
        z: significance at which the source of each point slot, then each extended slot, was inserted.
    """

    posterior: Posterior
    sky: Sky
    start: tuple[int, int]
    rounds: list[Round]
    z: Float[np.ndarray, " slot"]


def separate(
    field: Field,
    options: Train,
    *,
    told: Callable[..., None] = lambda done, **values: None,
    known: Float[np.ndarray, "source 2"] | None = None,
    resume: tuple[Sky, dict[str, Array], np.ndarray] | None = None,
) -> Separation:
    """Points, extended sources and diffuse emission of a field.

    Args:
        field: the data.
        options: priors, thresholds, effort.
        told: called with the number of rounds done and their numbers, for a progress bar.
        known: (y, x) of sources to start with [pixel].
        resume: sky, latents and slot significances to go on from.
    """
    big, start = with_margin(field, options.padding)
    sky, key, mean = build(big, options), jax.random.key(options.seed), None
    z = np.zeros(options.sources + options.extended)
    if resume is not None:
        old, mean, z = resume
        sky = eqx.tree_at(lambda s: (s.points, s.extended), sky, (old.points, old.extended))
    rounds = []
    for i in range(options.rounds + 1):
        posterior = fit(sky, jax.random.fold_in(key, i), mean, options)
        mean = posterior.mean
        seen = look(field, sky, posterior, start)
        found = new_points(seen, sky, start, options) if i < options.rounds else np.empty((0, 2), int)
        if i == 0 and known is not None:
            found = np.concatenate([known, [p for p in found if np.hypot(*(known - p).T).min() > NEAR]])
        at = tuple(np.clip(np.round(found).astype(int), 0, np.array(field.shape) - 1).T)
        best = np.maximum(seen.tension, seen.need)[at]
        rounds.append(Round(seen.tension, seen.need, found.astype(float), best))
        told(i + 1, tension=float(seen.tension.max()), sources=float(sky.points.active.sum()), new=float(len(found)))
        if not len(found):
            break
        sky, mean, slots = insert_points(sky, mean, found + np.array(start), seen.faintest[at])
        z[slots] = best[: len(slots)]
    return Separation(draw(sky, key, mean, options), sky, start, rounds, z)


SITES = tuple(
    ["ln_flux", "rate", *(f"{k}_{n}" for k in ("point", "extended") for n in ("y", "x", "flux", "index"))]
    + [f"extended_{n}" for n in ("size", "ratio", "angle", "shape")]
)


def fit(sky: Sky, key: Array, mean: dict[str, Array] | None, options: Train, iterations: int | None = None) -> Posterior:
    """The posterior of the sky with the sources it has, from `mean`, with as many draws as the iterations use."""
    sites = SITES if len(sky.diffuse.bands.energy) == 1 else (*SITES, "index")
    return mgvi(
        sky_model, sky, key=key, draws=2 * options.pairs, pairs=options.pairs, start=mean, sites=sites,
        iterations=options.iterations if iterations is None else iterations, draw_steps=100, newton_steps=6,
    )  # fmt: skip


def draw(sky: Sky, key: Array, mean: dict[str, Array], options: Train) -> Posterior:
    """`options.draws` draws at `mean`, by the program that `fit` compiled."""
    batches = -(-options.draws // (2 * options.pairs))
    parts = [fit(sky, jax.random.fold_in(key, 1000 + b), mean, options, iterations=0) for b in range(batches)]
    joined = jax.tree.map(lambda *a: jnp.concatenate(a)[: options.draws], *[p.latents | {} for p in parts])
    sites = jax.tree.map(lambda *a: jnp.concatenate(a)[: options.draws], *[p.sites for p in parts])
    likelihood = jnp.concatenate([p.log_likelihood for p in parts])[: options.draws]
    return Posterior(joined, sites, mean, likelihood, parts[0].info, engine=parts[0].engine)


class Seen(NamedTuple):
    """Maps of one fit: tension of the diffuse sky, need of a point, and the flux of a point at one Poisson sigma."""

    tension: Float[np.ndarray, "y x"]
    need: Float[np.ndarray, "y x"]
    faintest: Float[np.ndarray, "y x"]


def look(field: Field, sky: Sky, posterior: Posterior, start: tuple[int, int]) -> Seen:
    """What the fit left to be explained."""
    tension = np.asarray(robust_z(jnp.asarray(cropped(tension_map(posterior.mean["diffuse_xi"]), field, start))))
    rate = cropped(posterior.sites["rate"].mean(0), field, start).astype(float)
    band = np.asarray(sky.diffuse.bands.log_factor(jnp.asarray(sky.points.index.mean)))
    need = need_of_points(field, rate, np.exp(band)[field.band])
    return Seen(tension, need.z, need.faintest)


def new_points(seen: Seen, sky: Sky, start: tuple[int, int], options: Train) -> np.ndarray:
    """Pixels (y, x) of tension or need above the threshold that are not near a source, strongest first."""
    strength = np.maximum(seen.tension / options.threshold, seen.need / options.threshold)
    peaks = peak_pixels(strength, 1.0)
    taken = np.stack([sky.points.y.mean, sky.points.x.mean], 1)[np.asarray(sky.points.active) > 0] - np.array(start)
    free = [p for p in peaks if not len(taken) or np.hypot(*(taken - p).T).min() > NEAR]
    room = int((np.asarray(sky.points.active) == 0).sum())
    return np.array(free[:room], int).reshape(-1, 2)


def insert_points(
    sky: Sky, mean: dict[str, Array], places: Float[np.ndarray, "source 2"], least: Float[np.ndarray, " source"]
) -> tuple[Sky, dict[str, Array], np.ndarray]:
    """The sky with points switched on at `places` (y, x), latents to fit it from, and the slots they took.

    The diffuse excitations are relaxed there, and each point starts with the flux that the diffuse sky hands over, but
    no less than `least`.
    """
    slots = np.flatnonzero(np.asarray(sky.points.active) == 0)[: len(places)]
    fresh = jnp.zeros(len(sky.points.active)).at[slots].set(1.0)
    y, x = (old.mean.at[slots].set(new) for old, new in zip((sky.points.y, sky.points.x), places.T, strict=True))
    relaxed = {
        name: de_excite(v, y, x, fresh) if name in EXCITATIONS else v * (1 - fresh) if name.startswith(POINT) else v
        for name, v in mean.items()
    }
    flux = np.maximum(handed_over(sky, mean, relaxed, places), least)
    one = jnp.ones_like(y)
    points = dataclasses.replace(
        sky.points,
        active=jnp.maximum(sky.points.active, fresh),
        y=Normal(y, POSITION_STD * one),
        x=Normal(x, POSITION_STD * one),
        flux=LogNormal.of_log(sky.points.flux.log(0 * one).at[slots].set(np.log(flux)), FLUX_STD * one),
    )
    return eqx.tree_at(lambda s: s.points, sky, points), relaxed, slots


EXCITATIONS, POINT = ("diffuse_xi", "diffuse_index_xi"), "point_latent_"


def handed_over(
    sky: Sky, before: dict[str, Array], after: dict[str, Array], places: Float[np.ndarray, "source 2"]
) -> Float[np.ndarray, " source"]:
    """Diffuse flux at the reference band that `before` has and `after` lacks within `REACH` of each place."""
    change = np.asarray(reference_flux(sky.diffuse, before) - reference_flux(sky.diffuse, after))
    distance = np.hypot(*(np.indices(change.shape)[:, None] - places.T[:, :, None, None]))
    nearest = (distance == distance.min(0)) & (distance < REACH)
    return (nearest * change).sum((1, 2))


REACH = 5.0  # pixels


@eqx.filter_jit
def reference_flux(diffuse: MultiBandField, latents: dict[str, Array]) -> Array:
    """Diffuse flux per pixel at the reference band."""
    return jnp.exp(diffuse.maps({n.removeprefix("diffuse_"): v for n, v in latents.items()}).reference)
