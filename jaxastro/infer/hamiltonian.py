"""Hamiltonian Monte Carlo from the draws of another engine: what a variational family cannot follow is walked to.

Every draw is a chain of its own, all advance at once, and their spread gives the mass: a field's excitations, whose
scales differ a hundredfold, are walked on nearly one scale. Reference: Neal 2011, Handbook of MCMC, ch. 5.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray

from jaxastro.infer.engines import arrays, finish, prepare
from jaxastro.infer.posterior import Posterior
from jaxastro.infer.standard import is_observed, trace_sites
from jaxastro.infer.variational import site_log_likelihood

TARGET = 0.8  # acceptance for which the step is tuned (Beskos et al. 2013 and later practice)


def hmc(
    model: Callable,
    *args: Any,
    key: PRNGKeyArray,
    start: Posterior,
    trajectories: int = 20,
    length: float = 1.6,
    step: float = 0.1,
    sites: tuple[str, ...] | None = None,
) -> Posterior:
    """Draws of another engine's posterior, each moved by Hamiltonian Monte Carlo towards the exact one.

    Args:
        model, args, key, sites: as for `mgvi`; any observed distribution will do.
        start: of the same model, at least 16 draws; the more it resembles the posterior, the fewer trajectories do.
        trajectories: per draw; the common step is tuned in the first half of them.
        length: of a trajectory, in standard deviations of the posterior.
        step: of the integrator at first, in the same unit.

    Returns:
        A posterior with as many draws; `info` holds `acceptance` and `step` of each trajectory.
    """
    args = arrays(args)
    _, sites = prepare(model, args, key, start.mean, sites)
    latents, acceptance, steps = _walk(model, args, start.latents, key, jnp.asarray(step), length, trajectories)
    return finish(model, args, latents, sites, {"acceptance": acceptance, "step": steps}, "hmc")


class _Chains(NamedTuple):
    """Positions of all chains in units of the draws' spread, their log densities and the gradients of these."""

    x: Float[Array, "draw latent"]
    density: Float[Array, " draw"]
    slope: Float[Array, "draw latent"]


@eqx.filter_jit
def _walk(model, args, latents, key, step, length, trajectories):
    flat = jax.vmap(lambda v: ravel_pytree(v)[0])(latents)
    unravel = ravel_pytree(jax.tree.map(lambda v: v[0], latents))[1]
    middle, scale = jnp.mean(flat, 0), jnp.std(flat, 0)

    def log_density(x):
        values = middle + scale * x
        sites = trace_sites(model, unravel(values), args).values()
        return sum((jnp.sum(site_log_likelihood(s)) for s in sites if is_observed(s)), -jnp.sum(values**2) / 2)

    evaluate = jax.vmap(jax.value_and_grad(log_density))

    def trajectory(state, i):
        chains, log_step = state
        push, accept, jitter = jax.random.split(jax.random.fold_in(key, i), 3)
        momentum = jax.random.normal(push, chains.x.shape, chains.x.dtype)
        h = jnp.exp(log_step) * jax.random.uniform(jitter, minval=0.8, maxval=1.2)
        after, moved = _leapfrog(evaluate, chains, momentum, h, jnp.ceil(length / jnp.exp(log_step)).astype(int))
        gain = after.density - chains.density - (jnp.sum(moved**2, 1) - jnp.sum(momentum**2, 1)) / 2
        chance = jnp.where(jnp.isfinite(gain), jnp.exp(jnp.minimum(gain, 0)), 0)
        taken = jax.random.uniform(accept, chance.shape) < chance
        chains = jax.tree.map(
            lambda new, old: jnp.where(taken.reshape(-1, *(1,) * (new.ndim - 1)), new, old), after, chains
        )
        tuned = jnp.minimum(log_step + jnp.mean(chance) - TARGET, jnp.log(length / 2))
        log_step = jnp.where(i < trajectories // 2, tuned, log_step)
        return (chains, log_step), (jnp.mean(chance), h)

    x = (flat - middle) / scale
    start = (_Chains(x, *evaluate(x)), jnp.log(step).astype(x.dtype))
    (chains, _), (acceptance, steps) = lax.scan(trajectory, start, jnp.arange(trajectories))
    return jax.vmap(lambda v: unravel(middle + scale * v))(chains.x), acceptance, steps


def _leapfrog(evaluate: Callable, chains: _Chains, momentum: Array, h: Array, steps: Array):
    """The chains after some steps of Hamilton's equations, and their momenta."""

    def one(_, state):
        chains, momentum = state
        momentum = momentum + h / 2 * chains.slope
        x = chains.x + h * momentum
        chains = _Chains(x, *evaluate(x))
        return chains, momentum + h / 2 * chains.slope

    return lax.fori_loop(0, steps, one, (chains, momentum))
