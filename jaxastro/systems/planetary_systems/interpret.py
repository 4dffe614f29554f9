"""Which known planet drives what is expected of the others: Shapley values, exact gradients, attention."""

from collections.abc import Callable
from itertools import combinations
from math import factorial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxastro.errors import InputError
from jaxastro.systems.planetary_systems.complete import Completion, complete
from jaxastro.systems.planetary_systems.layout import System
from jaxastro.systems.planetary_systems.model import Generator
from jaxastro.systems.planetary_systems.observation import Observation
from jaxastro.systems.planetary_systems.walk import all_behind, look_ahead

MOST = 8
"""Known planets whose Shapley values are computed; every subset of them is completed once."""


def earth_like(completion: Completion) -> Float[Array, ""]:
    """Probability of an Earth-like planet."""
    return completion.earth_like()


def shapley(
    model: Any,
    observation: Observation,
    *,
    key: PRNGKeyArray,
    n: int = 1000,
    value: Callable[[Completion], Float[Array, ""]] = earth_like,
) -> tuple[Float[np.ndarray, " known"], float, float]:
    """How much each known planet moves an expectation, the expectation with nothing known, and with all known.

    The moves are exact Shapley values over all subsets of the known planets: they add up to the difference. Every
    subset uses the same random numbers, which keeps the noise of the differences small.

    Raises:
        InputError: there are more than `MOST` known planets.
    """
    rows = np.flatnonzero(np.asarray(observation.present))
    if len(rows) > MOST:
        raise InputError(f"The star has {len(rows)} known planets; Shapley values are computed for at most {MOST}.")
    worth = {}
    for size in range(len(rows) + 1):
        for subset in combinations(range(len(rows)), size):
            keep = np.isin(np.arange(len(observation.present)), rows[list(subset)])
            worth[subset] = float(value(complete(model, observation.only(jnp.asarray(keep)), key=key, n=n)))
    total = np.zeros(len(rows))
    k = len(rows)
    for subset, v in worth.items():
        for i in set(range(k)) - set(subset):
            weight = factorial(len(subset)) * factorial(k - len(subset) - 1) / factorial(k)
            total[i] += weight * (worth[tuple(sorted((*subset, i)))] - v)
    return total, worth[()], worth[tuple(range(k))]


@eqx.filter_jit
def gradients(
    model: Any, completion: Completion, values: Float[Array, " draw"], known: int
) -> Float[Array, "known quantity"]:
    """Derivatives of a posterior mean with respect to log10 a and log10 M of every known planet.

    Uses d E[f] / dx = Cov(f, d log p(system) / dx), exact for planets known without error: nothing is differenced.

    Args:
        model: the density; `log_prob` of one system.
        completion: the draws.
        values: the number per draw whose mean is asked about.
        known: how many known planets there are.
    """

    def slopes(system: System, which) -> Float[Array, "known 2"]:
        def log_prob(log_a, log_mass):
            return model.log_prob(system._replace(log_a=log_a, log_mass=log_mass))

        slope = jnp.stack(jax.grad(log_prob, (0, 1))(system.log_a, system.log_mass), -1)
        mine = which[None] == jnp.arange(known)[:, None]
        return jnp.einsum("kp,pq->kq", mine.astype(slope.dtype), slope)

    bare = completion.system._replace(known=jax.tree.map(lambda a: a[..., :0, :], completion.system.known))
    slope = jax.lax.map(lambda row: slopes(*row), (bare, completion.which), batch_size=100)
    weight = completion.weight[:, None, None]
    centred = values.astype(slope.dtype) - completion.mean(values)
    return jnp.sum(weight * centred[:, None, None] * (slope - jnp.sum(weight * slope, 0)), 0)


@eqx.filter_jit
def attention(model: Generator, completion: Completion, known: int) -> Float[Array, " known"]:
    """How much of its attention the model gives each known planet at a step farther out: mean over draws and steps.

    Mean over networks, layers and heads too. It shows where the model looks; Shapley values show what comes of it.

    Args:
        model: the trained density.
        completion: draws of the systems that contain the known planets.
        known: how many known planets there are.
    """

    def one(system: System, which: Int[Array, " planet"]) -> tuple[Float[Array, " known"], Float[Array, " known"]]:
        behind = all_behind(system)
        ahead = jax.vmap(look_ahead, (None, 0))(system.known, behind.log_a)
        said = [m.decoder.attention(*m.tokens(system, behind, ahead)) for m in model.members]
        weight = jnp.stack(said).mean((0, 1, 2))[:, 1:]  # the token of a step is of the planet before it
        step, place = jnp.arange(len(weight))[:, None], jnp.arange(len(which))
        later = (step > place) & (step <= system.mask.sum())
        mine = (which == jnp.arange(known)[:, None]).astype(weight.dtype)
        return mine @ jnp.where(later, weight, 0.0).sum(0), mine @ later.sum(0).astype(weight.dtype)

    bare = completion.system._replace(known=jax.tree.map(lambda a: a[..., :0, :], completion.system.known))
    given, steps = jax.lax.map(lambda row: one(*row), (bare, completion.which), batch_size=100)
    return (completion.weight @ given) / jnp.maximum(completion.weight @ steps, 1e-9)
