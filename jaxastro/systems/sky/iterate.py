"""Diffuse sky first; then sources where its latents are in tension, until none is left."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxastro.fields import tension_map
from jaxastro.infer import Posterior, geovi, mgvi
from jaxastro.systems.sky.config import Train
from jaxastro.systems.sky.data import Field
from jaxastro.systems.sky.detect import local_tension, need_of_points, peak_pixels
from jaxastro.systems.sky.model import Sky, build, cropped, sky_model, with_margin
from jaxastro.systems.sky.slots import active, free, gains, insert, places, remove

NEAR = 2.5  # pixels within which a second source is no new point
HALO = 7.0  # pixels around a point in which tension calls for an extended source
HALO_TENSION = 0.5  # of the threshold, how much of it
WIDTH_DRAWS = 16  # that tell an extended source from a point
DRAW_STEPS = 300  # conjugate-gradient steps of the draws that are kept; a third of them in the iterations
SMALLEST = 1.0  # pixels; an extended source must be larger, or it is a point

KINDS = {"points": "point", "extended": "extended"}
SITES = tuple(
    ["ln_flux", "rate", *(f"{k}_{n}" for k in KINDS.values() for n in ("y", "x", "flux", "index"))]
    + [f"extended_{n}" for n in ("size", "ratio", "angle", "shape")]
)


class Seen(NamedTuple):
    """What a fit left to be explained, maps of the field.

    Attributes:
        tension: z of the diffuse excitations in position space (`local_tension`).
        need: significance of a missing point.
        residual: residual counts matched to a point's image [Poisson sigma].
        faintest: flux at the reference band of a point at one Poisson sigma.
    """

    tension: Float[np.ndarray, "y x"]
    need: Float[np.ndarray, "y x"]
    residual: Float[np.ndarray, "y x"]
    faintest: Float[np.ndarray, "y x"]


class Round(NamedTuple):
    """What one round saw, and the (y, x) of what it then inserted [pixel]."""

    seen: Seen
    inserted: Float[np.ndarray, "source 2"]


class Separation(NamedTuple):
    """A sky taken apart.

    Attributes:
        posterior: of the final model, in pixels of the field with its margin.
        sky: the final model.
        start: pixel of the margin's grid at which the field starts.
        rounds: what was seen and inserted.
        z: kind -> significance at which the source of each slot was found.
    """

    posterior: Posterior
    sky: Sky
    start: tuple[int, int]
    rounds: list[Round]
    z: dict[str, Float[np.ndarray, " slot"]]


def separate(
    field: Field,
    options: Train,
    *,
    told: Callable[..., None] = lambda done, **values: None,
    known: Float[np.ndarray, "source 2"] | None = None,
    resume: tuple[Sky, dict[str, Array], dict[str, np.ndarray]] | None = None,
) -> Separation:
    """Points, extended sources and diffuse emission of a field.

    Args:
        field: the data.
        options: priors, thresholds, effort.
        told: called with the number of rounds done and their numbers, for a progress bar; the draws are one more.
        known: (y, x) of sources to start with [pixel].
        resume: sky, latents and slot significances to go on from.
    """
    big, start = with_margin(field, options.padding)
    sky, key, mean = build(big, options), jax.random.key(options.seed), None
    z = {"points": np.zeros(options.sources), "extended": np.zeros(options.extended)}
    if resume is not None:
        old, mean, z = resume
        sky = eqx.tree_at(lambda s: (s.points, s.extended), sky, (old.points, old.extended))
    rounds: list[Round] = []
    tried: set[int] = set()
    for i in range(options.rounds + 1):
        posterior = fit(sky, jax.random.fold_in(key, i), mean, options)
        mean, seen = posterior.mean, look(field, sky, posterior, start)
        found = new_points(seen, sky, start, options) if i < options.rounds else np.empty((0, 2))
        if i == 0 and known is not None:
            far = [p for p in found if not len(known) or np.hypot(*(known - p).T).min() > NEAR]
            found = np.concatenate([known, np.array(far).reshape(-1, 2)])
        found = found[: len(free(sky.points))]
        rounds.append(Round(seen, found))
        told(i + 1, tension=float(seen.tension.max()), sources=len(active(sky.points)), new=len(found))
        if len(found):
            at = pixels(found, field)
            sky, mean, slots = insert(sky, mean, "points", found + np.array(start), seen.faintest[at])
            z["points"][slots] = np.maximum(seen.tension, seen.need)[at]
        else:
            sky, mean, widened = widen(field, sky, mean, seen, z, tried, options, jax.random.fold_in(key, 500 + i))
            if not widened:
                break
    key = jax.random.fold_in(key, 1000)
    posterior = draw(sky, key, mean, options, draws=options.draws, iterations=2 * options.iterations)  # pyright: ignore
    kept = prune(sky, posterior, options)
    if kept is not sky:
        sky, key = kept, jax.random.fold_in(key, 1000)
        posterior = draw(sky, key, posterior.mean, options, draws=options.draws, iterations=options.iterations)
    told(options.rounds + 2, sources=len(active(sky.points)) + len(active(sky.extended)))
    return Separation(posterior, sky, start, rounds, z)


def pixels(where: Float[np.ndarray, "source 2"], field: Field) -> tuple[np.ndarray, np.ndarray]:
    """Index of the nearest pixels of the field."""
    y, x = np.clip(np.round(where).astype(int), 0, np.array(field.shape) - 1).T
    return y, x


def fit(
    sky: Sky,
    key: Array,
    mean: dict[str, Array] | None,
    options: Train,
    *,
    iterations: int | None = None,
    draw_steps: int = DRAW_STEPS // 3,
) -> Posterior:
    """The posterior of the sky with the sources it has, with as many draws as the iterations use.

    From scratch where `mean` is None; from there otherwise, for which half as many iterations do.
    """
    sites = SITES if len(sky.diffuse.bands.energy) == 1 else (*SITES, "index")
    if iterations is None:
        iterations = options.iterations if mean is None else -(-options.iterations // 2)
    engine = {"mgvi": mgvi, "geovi": geovi}[options.engine]
    return engine(
        sky_model, sky, key=key, draws=2 * options.pairs, pairs=options.pairs, start=mean, sites=sites,
        iterations=iterations, draw_steps=draw_steps, newton_steps=6, bends=2,
    )  # fmt: skip


def draw(sky: Sky, key: Array, mean: dict[str, Array], options: Train, *, draws: int, iterations: int) -> Posterior:
    """`draws` draws at a mean that first settles for some iterations, by the program that `fit` compiled."""
    settled = fit(sky, key, mean, options, iterations=iterations)
    parts = [
        fit(sky, jax.random.fold_in(key, 1 + b), settled.mean, options, iterations=0, draw_steps=DRAW_STEPS)
        for b in range(-(-draws // (2 * options.pairs)))
    ]
    latents, sites, likelihood = jax.tree.map(
        lambda *a: jnp.concatenate(a)[:draws], *[(p.latents, p.sites, p.log_likelihood) for p in parts]
    )
    return Posterior(latents, sites, settled.mean, likelihood, settled.info, engine=settled.engine)


def look(field: Field, sky: Sky, posterior: Posterior, start: tuple[int, int]) -> Seen:
    """What the fit left to be explained."""
    rate = np.exp(np.log(cropped(posterior.sites["rate"], field, start).astype(float)).mean(0))
    raw = cropped(tension_map(posterior.mean["diffuse_xi"]), field, start).astype(float)
    tension = local_tension(raw, rate, float(np.asarray(sky.diffuse.spatial.slope.mean)))
    need = need_of_points(field, rate, point_spectrum(sky)[field.band])
    return Seen(tension, *need)


def point_spectrum(sky: Sky) -> Float[np.ndarray, " band"]:
    """Flux of a source of the prior's mean index in each band over that in the reference band."""
    return np.exp(np.asarray(sky.diffuse.bands.log_factor(jnp.asarray(sky.points.index.mean))))


def new_points(seen: Seen, sky: Sky, start: tuple[int, int], options: Train) -> Float[np.ndarray, "source 2"]:
    """Pixels (y, x) of tension or need above the threshold that are not near a source, strongest first."""
    strength = np.maximum(seen.tension / options.threshold, seen.need / options.point_threshold)
    taken = np.concatenate([places(sky.points, start), places(sky.extended, start)])
    peaks = peak_pixels(strength, 1.0)
    return np.array([p for p in peaks if not len(taken) or np.hypot(*(taken - p).T).min() > NEAR], float).reshape(-1, 2)


def widen(
    field: Field,
    sky: Sky,
    mean: dict[str, Array],
    seen: Seen,
    z: dict[str, np.ndarray],
    tried: set[int],
    options: Train,
    key: Array,
) -> tuple[Sky, dict[str, Array], bool]:
    """Points that keep tension around them are tried as extended sources, all in one fit.

    Where the tension lies on one side, farther than `NEAR` in the mean, the extended source is tried there, beside the
    point. Those stay extended whose half-light radius exceeds `SMALLEST` by two standard deviations and whose flux is
    told from the diffuse sky's by 2.5; the others are points again and are not tried again (`tried` holds their slots).
    `z` moves with the source.
    """
    start = with_margin(field, options.padding)[1]
    slots, where = active(sky.points), places(sky.points, start)
    if not len(slots):
        return sky, mean, False
    distance = np.hypot(*(np.indices(field.shape)[:, None] - where.T[:, :, None, None]))
    halo = np.where((distance < HALO) & (distance == distance.min(0)), seen.tension, 0)
    around, least = halo.max((1, 2)), HALO_TENSION * options.threshold
    room = len(free(sky.extended))
    likely = [k for k in np.argsort(-around) if around[k] > least and slots[k] not in tried]
    chosen = np.array(likely[:room], int)
    if not len(chosen):
        return sky, mean, False
    tried.update(slots[chosen].tolist())
    middle = np.array([np.average(np.argwhere(h > least), axis=0, weights=h[h > least]) for h in halo[chosen]])
    beside = np.hypot(*(middle - where[chosen]).T) > NEAR
    middle[~beside] = where[chosen[~beside]]
    trial, latents, taken = insert(
        remove(sky, "points", slots[chosen[~beside]]), mean, "extended", middle + np.array(start),
        seen.faintest[pixels(middle, field)],
    )  # fmt: skip
    fitted = draw(trial, key, latents, options, draws=WIDTH_DRAWS, iterations=options.iterations)
    size = np.asarray(fitted.sites["extended_size"])[:, taken]
    flux = np.asarray(fitted.sites["extended_flux"])[:, field.reference, taken]
    wide = (size.mean(0) - 2 * size.std(0) > SMALLEST) & (flux.mean(0) > 2.5 * flux.std(0))
    z["extended"][taken[wide]] = np.maximum(np.where(beside, 0, z["points"][slots[chosen]]), around[chosen])[wide]
    if not wide.any():
        return sky, mean, False
    trial = remove(trial, "extended", taken[~wide])
    points = trial.points.active.at[slots[chosen[~wide & ~beside]]].set(1.0)
    return eqx.tree_at(lambda s: s.points.active, trial, points), fitted.mean, True


def prune(sky: Sky, posterior: Posterior, options: Train) -> Sky:
    """The sky without the sources that the data do not ask for; the same object where they ask for all.

    Those are sources whose likelihood gain, all else as it is, is below `options.keep` sigma, or whose flux is less
    than that many of its posterior standard deviations: it may as well be the diffuse sky's, or a neighbour's.
    """
    for kind, name in KINDS.items():
        slots = active(getattr(sky, kind))
        if len(slots):
            flux = np.asarray(posterior.sites[f"{name}_flux"])[:, sky.diffuse.bands.reference, slots]
            weak = np.minimum(gains(sky, posterior.mean, kind), flux.mean(0) / flux.std(0)) < options.keep
            sky = remove(sky, kind, slots[weak]) if weak.any() else sky
    return sky
