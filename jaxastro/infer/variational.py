"""Metric Gaussian and geometric variational inference (MGVI, geoVI) as one compiled program.

The posterior of standard normal latents x is approximated by draws m + s, where s has the inverse Fisher metric at m as
covariance (MGVI; Knollmueller and Ensslin 2019, arXiv:1901.11033), bent for geoVI so that the metric is flat along them
(Frank, Leike and Ensslin 2021, Entropy 23, 853). Alternately new draws are taken at the mean m, and m is moved to where
the mean energy of the draws is least.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from jaxastro.infer.conjugate import conjugate_gradient
from jaxastro.infer.fisher import fisher_coordinates, log_likelihood
from jaxastro.infer.standard import is_observed, trace_sites

LOG_LENGTH = 128


class Limits(NamedTuple):
    """How long each part runs; traced, so changing one recompiles nothing.

    Attributes:
        iterations: alternations of drawing and moving the mean.
        newton_steps: Newton steps of the mean per iteration.
        bends: Newton steps that bend each draw (geoVI only; 0 gives MGVI's, shortened where it runs away).
        draw_steps: conjugate-gradient iterations per draw.
        move_steps: conjugate-gradient iterations per Newton step.
        gain: energy gain below which draws and means count as converged [nat per latent].
    """

    iterations: int | Array = 8
    newton_steps: int | Array = 12
    bends: int | Array = 3
    draw_steps: int | Array = 200
    move_steps: int | Array = 100
    gain: float | Array = 1e-6


class Aside(NamedTuple):
    """What a model yields besides its Fisher coordinates: scores and log-likelihoods per observation, named sites."""

    score: Any
    log_likelihood: Any
    sites: dict[str, Array]


class Linear(NamedTuple):
    """A model linearised at a batch of latents: Fisher coordinates, their Jacobian and its transpose, and the rest."""

    coordinates: Any
    forward: Callable
    backward: Callable
    aside: Aside


def observed_coordinates(model: Callable, args: tuple, names: Sequence[str], unravel: Callable, x: Array):
    """Fisher coordinates of all observed sites at the flat latents x, and what is computed with them (`Aside`)."""
    coordinates, scores, densities, kept = {}, {}, {}, {}
    for name, site in trace_sites(model, unravel(x), args).items():
        if name in names:
            kept[name] = jnp.asarray(site["value"])
        if is_observed(site):
            g, score = fisher_coordinates(site["fn"], jnp.asarray(site["value"], x.dtype))
            pair = jax.tree.map(lambda a, b: jnp.broadcast_to(a, b.shape), g, score), score
            if site["scale"] is not None:
                root = jnp.sqrt(jnp.asarray(site["scale"], x.dtype))
                pair = jax.tree.map(lambda a, root=root: root * a, pair)
            coordinates[name], scores[name] = pair
            densities[name] = site_log_likelihood(site)
    return coordinates, Aside(scores, densities, kept)


def site_log_likelihood(site: dict[str, Any]) -> Array:
    """Log density of every element of an observed site, weighted by the site's scale."""
    density = log_likelihood(site["fn"], site["value"])
    return density if site["scale"] is None else site["scale"] * density


def linearise(function: Callable, points: Array) -> Linear:
    """The function, mapped over a batch of points, linearised at each of them."""
    g, forward, aside = jax.linearize(jax.vmap(function), points, has_aux=True)
    transpose = jax.linear_transpose(forward, points)
    return Linear(g, forward, lambda v: transpose(v)[0], aside)


def draw(function: Callable, mean: Array, key: Array, pairs: int, limits: Limits, geometric: bool):
    """Deviations of antithetic pairs of draws from the mean, axes (draw, latent), and the iterations spent."""
    at_mean = linearise(function, jnp.broadcast_to(mean, (pairs, mean.size)))
    leaves, tree = jax.tree.flatten(at_mean.coordinates)
    sizes = [mean.size, *(a[0].size for a in leaves)]
    prior, *noise = jnp.split(jax.random.normal(key, (pairs, sum(sizes)), mean.dtype), np.cumsum(sizes)[:-1], 1)
    noise = jax.tree.unflatten(tree, [v.reshape(a.shape) for v, a in zip(noise, leaves, strict=True)])
    straight = conjugate_gradient(
        lambda v, w: v + at_mean.backward(_minus(at_mean.forward(v), w)),
        noise, prior, prior, steps=limits.draw_steps, gain=limits.gain * mean.size,
    )  # fmt: skip
    both = partial(jax.tree.map, lambda v: jnp.stack([v, -v], 1).reshape(-1, *v.shape[1:]))
    if geometric:
        twice = jax.tree.map(lambda g: jnp.repeat(g, 2, 0), at_mean.coordinates)
        target = jax.tree.map(jnp.add, twice, both(at_mean.forward(straight.x)))
        return bend(function, mean, both(straight.x), target, limits)
    return both(straight.x), straight.steps


def bend(function: Callable, mean: Array, deviations: Array, target: Any, limits: Limits):
    """geoVI's draws from MGVI's, which lie in the tangent plane: the nearest point of the model, row by row.

    Latents and Fisher coordinates together, (x, g(x)), are a surface whose induced metric is 1 + J^T J. MGVI draws
    (m + s, g(m) + J(m) s) from the plane that touches it at the mean. geoVI returns to the surface with J(m) (x solves
    x - m - s + J(m)^T (g(x) - g(m) - J(m) s) = 0); with J(x) in its place, as here, x is the least-squares solution,
    and every step of Gauss and Newton has an error to judge it by: where the model is far from linear, the step is
    halved, so that no draw runs away.

    Args:
        function, mean, limits: as for `draw`.
        deviations: MGVI's draws s.
        target: g(m) + J(m) s.
    """

    def one(state):
        i, bent, step, error, solves = state
        trial = bent + step
        here = linearise(function, mean + trial)
        misfit = _minus(here.coordinates, target)
        new = _squares(trial - deviations) + sum(map(_squares, jax.tree.leaves(misfit)))
        better = new < error
        slope = trial - deviations + here.backward(misfit)
        solution = conjugate_gradient(
            lambda v, _: v + here.backward(here.forward(v)),
            (), jnp.where(better, -slope, 0), jnp.zeros_like(slope), steps=limits.draw_steps, share=0.5,
        )  # fmt: skip
        step = jnp.where(better, solution.x, step / 2)
        bent, error = jnp.where(better, trial, bent), jnp.where(better, new, error)
        return i + 1, bent, step, error, solves + solution.steps

    at_mean = _minus(jax.vmap(function)(mean[None])[0], target)
    error = _squares(deviations) + sum(map(_squares, jax.tree.leaves(at_mean)))
    state = (jnp.asarray(0), jnp.zeros_like(deviations), deviations, error, jnp.asarray(0))
    _, bent, step, _, solves = lax.while_loop(lambda s: s[0] <= limits.bends, one, state)
    never = jnp.all(bent == 0, -1, keepdims=True)
    return jnp.where(never, step, bent), solves


def _squares(rows: Array) -> Array:
    """Sum of squares of each row, axes (row, 1)."""
    return jnp.sum(rows.reshape(len(rows), -1) ** 2, -1, keepdims=True)


def _minus(a, b):
    return jax.tree.map(jnp.subtract, a, b)


class Moved(NamedTuple):
    """The mean after `move`, what the model yields at each draw there, and the effort spent."""

    mean: Array
    aside: Aside
    energy: Array
    newton_steps: Array
    solve_steps: Array


def move(function: Callable, mean: Array, deviations: Array, limits: Limits, newton_steps: int | Array) -> Moved:
    """Minimise the mean energy of ``mean + deviations`` over the mean by Newton's method with the averaged metric.

    A step that raises the energy is halved and tried again. One Newton step only evaluates the draws.
    """
    gain = limits.gain * mean.size

    def one(state):
        i, mean, step, aside, solves, _ = state
        trial = mean + step
        here = linearise(function, trial + deviations)
        change = jnp.sum(step * (mean + trial)) / 2  # summed differences: float32 cannot hold the energies themselves
        for new, old in _pairs(here.aside.log_likelihood, aside.log_likelihood):
            change = change - jnp.sum(new - old) / len(deviations)
        better = (i == 0) | (change <= 0)

        def gradient(v, score):
            v = jnp.broadcast_to(v, deviations.shape)
            return v[:1] + jnp.mean(here.backward(_minus(here.forward(v), score)), 0)

        done = (i > 0) & better & (change > -gain) | (i + 1 >= newton_steps)
        limit = jnp.where(better & ~done, limits.move_steps, 0)
        nowhere = jnp.zeros_like(mean)[None]
        solution = conjugate_gradient(gradient, here.aside.score, -trial[None], nowhere, steps=limit, share=0.5)
        mean = jnp.where(better, trial, mean)
        step = jnp.where(better, solution.x[0], step / 2)
        aside = jax.tree.map(lambda new, old: jnp.where(better, new, old), here.aside, aside)
        return i + 1, mean, step, aside, solves + solution.steps, done

    empty = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(jax.vmap(function), deviations)[1])
    start = (jnp.asarray(0), mean, jnp.zeros_like(mean), empty, jnp.asarray(0), jnp.asarray(False))
    i, mean, _, aside, solves, _ = lax.while_loop(lambda s: ~s[-1], one, start)
    energy = jnp.mean(jnp.sum((mean + deviations) ** 2, -1)) / 2
    for density in jax.tree.leaves(aside.log_likelihood):
        energy -= jnp.sum(density) / len(deviations)
    return Moved(mean, aside, energy, i, solves)


def _pairs(a, b):
    return zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)


class Run(NamedTuple):
    """Everything that `alternate` computed."""

    mean: dict[str, Array]
    draws: dict[str, Array]
    aside: Aside
    log: Array


def alternate(model, args, start, key, limits: Limits, *, names, pairs: int, batches: int, geometric: bool) -> Run:
    """Alternate `draw` and `move` from the latents `start`, then take ``2 * pairs * batches`` draws at the final mean.

    A mean is the best for the few draws it was moved with, not for all: the final mean averages those of the second
    half of the iterations (Polyak and Juditsky 1992), as if all their draws had been one larger set. The last draws are
    further turns of the same loop, in which the mean does not move: one compiled body does it all.
    """
    flat, unravel = ravel_pytree(start)
    function = partial(observed_coordinates, model, args, names, unravel)

    def one(state):
        i, mean, average, draws, aside, log = state
        final = i >= limits.iterations
        deviations, draw_steps = draw(function, mean, jax.random.fold_in(key, i), pairs, limits, geometric)
        moved = move(function, mean, deviations, limits, jnp.where(final, 1, limits.newton_steps + 1))
        slot = jnp.maximum(i - limits.iterations, 0)
        draws, aside = jax.tree.map(
            lambda all, new: lax.dynamic_update_index_in_dim(all, new, slot, 0),
            (draws, aside), (moved.mean + deviations, moved.aside._replace(score=None)),
        )  # fmt: skip
        entry = jnp.stack([jnp.asarray(v, flat.dtype) for v in (*moved[2:], draw_steps)])
        share = jnp.where(final, 0, 1 / jnp.maximum(i + 1 - limits.iterations // 2, 1).astype(flat.dtype))
        average = average + share * (moved.mean - average)
        mean = jnp.where(i + 1 < limits.iterations, moved.mean, average)
        return i + 1, mean, average, draws, aside, log.at[jnp.minimum(i, LOG_LENGTH - 1)].set(entry)

    draws = jnp.zeros((2 * pairs, flat.size), flat.dtype)
    aside = jax.eval_shape(jax.vmap(function), draws)[1]._replace(score=None)
    draws, aside = jax.tree.map(lambda s: jnp.zeros((batches, *s.shape), s.dtype), (draws, aside))
    state = (jnp.asarray(0), flat, flat, draws, aside, jnp.zeros((LOG_LENGTH, 4), flat.dtype))
    _, mean, _, draws, aside, log = lax.while_loop(lambda s: s[0] < limits.iterations + batches, one, state)
    draws, aside = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), (draws, aside))
    return Run(unravel(mean), jax.vmap(unravel)(draws), aside, log)


def maximise(model, args, start, limits: Limits, *, names) -> Run:
    """The latents of largest posterior density: `move` with the single deviation 0."""
    flat, unravel = ravel_pytree(start)
    function = partial(observed_coordinates, model, args, names, unravel)
    moved = move(function, flat, jnp.zeros((1, flat.size), flat.dtype), limits, limits.newton_steps + 1)
    draws = jax.tree.map(lambda a: a[None], unravel(moved.mean))
    log = jnp.stack([jnp.asarray(v, flat.dtype) for v in moved[2:]])
    return Run(unravel(moved.mean), draws, moved.aside, log)
