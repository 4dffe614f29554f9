"""One NumPyro model, many engines: each takes the model and its arguments and returns a `Posterior`."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray
from numpyro.infer import MCMC, NUTS, SVI, Trace_ELBO, init_to_value
from numpyro.infer.autoguide import AutoGuide, AutoNormal

from jaxastro.infer.posterior import Posterior
from jaxastro.infer.standard import is_observed, latent_sites, standard_model, trace_sites
from jaxastro.infer.variational import LOG_LENGTH, Limits, Run, alternate, maximise, site_log_likelihood


def mgvi(
    model: Callable,
    *args: Any,
    key: PRNGKeyArray,
    draws: int = 32,
    pairs: int = 4,
    start: Mapping[str, Array] | None = None,
    sites: tuple[str, ...] | None = None,
    **limits: Any,
) -> Posterior:
    """Draws from metric Gaussian variational inference (Knollmueller and Ensslin 2019), one compiled program.

    For models whose observed sites have a known Fisher metric (`fisher_coordinates`). The program is compiled once for
    a model function and the shapes of its arguments; values of arguments (data, masks, instrument), iterations and all
    other limits may change without compiling again.

    Args:
        model: a NumPyro model, called as ``model(*args)``. Pass arrays as arguments: what it closes over is a constant.
        args: pytrees of arrays, modules and static values.
        key: a typed random key.
        draws: draws at the end, in antithetic pairs.
        pairs: antithetic pairs of draws over which the energy is averaged in each iteration, and drawn at a time.
        start: latents to start from, such as another posterior's `mean`; default a tenth of a prior draw.
        sites: deterministic or latent sites whose values are kept; default all that are not standard normal latents.
        limits: see `Limits`: iterations, newton_steps, draw_steps, move_steps, gain.

    Returns:
        A posterior whose `info` holds per iteration `energy` [nat], `newton_steps`, `move_steps` and `draw_steps`.

    Raises:
        InputError: a latent is discrete or has no quantile function, or nothing with a known metric is observed.
    """
    return _variational(model, args, key, draws, pairs, start, sites, limits, geometric=False)


def geovi(
    model: Callable,
    *args: Any,
    key: PRNGKeyArray,
    draws: int = 32,
    pairs: int = 4,
    start: Mapping[str, Array] | None = None,
    sites: tuple[str, ...] | None = None,
    **limits: Any,
) -> Posterior:
    """Draws from geometric variational inference (Frank, Leike and Ensslin 2021): MGVI's, bent along the metric.

    Arguments, result and errors as for `mgvi`; ``bends`` sets the Newton steps per draw, 0 gives MGVI.
    """
    return _variational(model, args, key, draws, pairs, start, sites, limits, geometric=True)


def _variational(model, args, key, draws, pairs, start, sites, limits, geometric) -> Posterior:
    args = arrays(args)
    start, sites = prepare(model, args, key, start, sites)
    limited = jax.tree.map(jnp.asarray, Limits(**limits))
    batches = -(-draws // (2 * pairs))
    run: Run = _alternate(
        model, args, start, key, limited, names=sites, pairs=pairs, batches=batches, geometric=geometric
    )
    taken = min(int(limited.iterations), LOG_LENGTH - batches)
    info = _named(("energy", "newton_steps", "move_steps", "draw_steps"), np.asarray(run.log)[:taken].T)
    aside, latents = jax.tree.map(lambda a: a[:draws], (run.aside, run.draws))
    engine = "geovi" if geometric else "mgvi"
    return Posterior(latents, aside.sites, run.mean, total(aside.log_likelihood), info, engine=engine)


def map_estimate(
    model: Callable,
    *args: Any,
    key: PRNGKeyArray,
    start: Mapping[str, Array] | None = None,
    sites: tuple[str, ...] | None = None,
    **limits: Any,
) -> Posterior:
    """The single most probable point of the standardised latents, as a posterior of one draw without any spread.

    A joint maximum over a field and its power spectrum over-fits: the amplitude grows, the excitations shrink, and the
    map turns spiky. Take it as a start for another engine. Arguments as for `mgvi`; newton_steps defaults to 50.

    Warns:
        UserWarning: a latent has more elements than there are data, or more than 1000.
    """
    args = arrays(args)
    start, sites = prepare(model, args, key, start, sites)
    largest = max(start, key=lambda n: start[n].size)
    if start[largest].size > 1000:
        warnings.warn(
            f"The maximum over '{largest}' ({start[largest].size} elements) and its hyper-parameters over-fits; "
            "use mgvi or svi for results, this point only to start from.",
            stacklevel=2,
        )
    limited = jax.tree.map(jnp.asarray, Limits(**{"newton_steps": 50, "gain": 1e-7} | limits))
    run: Run = _maximise(model, args, start, limited, names=sites)
    info = _named(("energy", "newton_steps", "move_steps"), run.log[:, None])
    return Posterior(run.draws, run.aside.sites, run.mean, total(run.aside.log_likelihood), info, engine="map")


def svi(
    model: Callable,
    *args: Any,
    key: PRNGKeyArray,
    draws: int = 32,
    steps: int = 2500,
    learning_rate: float = 0.01,
    guide: type[AutoGuide] | Callable[[Callable], AutoGuide] = AutoNormal,
    start: Mapping[str, Array] | None = None,
    sites: tuple[str, ...] | None = None,
    particles: int = 1,
) -> Posterior:
    """Draws from one of NumPyro's guides fitted to the standardised model by stochastic gradients.

    Args:
        model, args, key, draws, start, sites: as for `mgvi`; any observed distribution will do.
        steps: gradient steps, with a cosine decay of the Adam learning rate to zero.
        learning_rate: the largest learning rate.
        guide: a NumPyro guide class, or a function that makes the guide of a model.
        particles: draws per gradient step.

    Returns:
        A posterior whose `info` holds the negative `elbo` of every step as `loss` [nat].
    """
    args = arrays(args)
    start, sites = prepare(model, args, key, start, sites)
    latents, losses = _svi(model, args, start, key, learning_rate, draws, steps, guide, particles)
    return finish(model, args, latents, sites, {"loss": losses}, "svi")


@eqx.filter_jit  # also of NumPyro's set-up of the guide, which otherwise compiles every operation by itself
def _svi(model, args, start, key, learning_rate, draws, steps, guide, particles):
    import optax

    standard = standard_model(model)
    unknown = {f"{name}_standard": value for name, value in start.items()}
    kwargs = {"init_loc_fn": init_to_value(values=unknown)} if isinstance(guide, type) else {}
    made: AutoGuide = guide(standard, **kwargs)  # pyright: ignore[reportArgumentType]
    optimiser = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))
    engine = SVI(standard, made, optimiser, Trace_ELBO(particles))
    fit, take = jax.random.split(key)
    result = engine.run(fit, steps, *args, progress_bar=False)
    sample = made.sample_posterior(take, result.params, sample_shape=(draws,))
    return {name: sample[f"{name}_standard"] for name in start}, result.losses


def nuts(
    model: Callable,
    *args: Any,
    key: PRNGKeyArray,
    draws: int = 1000,
    warmup: int = 1000,
    chains: int = 4,
    start: Mapping[str, Array] | None = None,
    sites: tuple[str, ...] | None = None,
    **options: Any,
) -> Posterior:
    """Draws from the exact posterior by NumPyro's No-U-Turn sampler on the standardised model, all chains vectorised.

    Args:
        model, args, key, sites: as for `mgvi`; any observed distribution will do.
        draws: draws per chain.
        warmup: adaptation steps per chain, not kept.
        chains: independent chains.
        start: latents at which all chains start; default NumPyro's own initialisation.
        options: further options of `numpyro.infer.NUTS`, e.g. target_accept_prob, max_tree_depth.

    Returns:
        A posterior with `chains` chains; `info` holds `diverging` and `num_steps` per draw.
    """
    args = arrays(args)
    known, sites = prepare(model, args, key, start, sites)
    if start is not None:
        options["init_strategy"] = init_to_value(values={f"{n}_standard": v for n, v in known.items()})
    kernel = NUTS(standard_model(model), **options)
    chain = MCMC(
        kernel, num_warmup=warmup, num_samples=draws, num_chains=chains, chain_method="vectorized", progress_bar=False
    )
    chain.run(key, *args, extra_fields=("diverging", "num_steps"))
    sample = chain.get_samples()
    latents = {name: sample[f"{name}_standard"] for name in known}
    return finish(model, args, latents, sites, chain.get_extra_fields(), "nuts", chains)


def _named(names: tuple[str, ...], values: np.ndarray | Array) -> dict[str, np.ndarray]:
    return dict(zip(names, np.asarray(values), strict=True))


def finish(model, args, latents, sites, info, engine, chains=1) -> Posterior:
    """Evaluate the sites and the likelihood of draws that an engine of NumPyro's took."""
    values, density = _evaluate(model, args, latents, names=sites)
    mean = jax.tree.map(lambda v: jnp.mean(v, 0), latents)
    return Posterior(latents, values, mean, density, info, chains, engine)


@eqx.filter_jit
def _evaluate(model, args, latents, *, names):
    def one(draw):
        found = trace_sites(model, draw, args)
        density = [jnp.sum(site_log_likelihood(s)) for s in found.values() if is_observed(s)]
        return {n: jnp.asarray(found[n]["value"]) for n in names}, sum(density, start=jnp.asarray(0.0))

    return jax.lax.map(one, latents)


def log_score(posterior: Posterior, model: Callable, *args: Any) -> Array:
    """Log predictive density of the data in `args` under the posterior, summed over their elements [nat].

    Each element's density is averaged over the draws: log mean_draw p(datum | draw). Use held-out data.
    """
    args = arrays(args)
    return _log_score(model, args, posterior.latents)


@eqx.filter_jit
def _log_score(model, args, latents):
    def one(carry, draw):
        found = trace_sites(model, draw, args)
        density = {n: site_log_likelihood(s) for n, s in found.items() if is_observed(s)}
        return jax.tree.map(jnp.logaddexp, carry, density), None

    first = {n: site_log_likelihood(s) for n, s in trace_sites(model, _row(latents, 0), args).items() if is_observed(s)}
    summed, _ = jax.lax.scan(one, jax.tree.map(lambda d: jnp.full_like(d, -jnp.inf), first), latents)
    count = len(jax.tree.leaves(latents)[0])
    observed = [jnp.sum(jnp.where(jnp.isfinite(d), d - jnp.log(count), d)) for d in jax.tree.leaves(summed)]
    return sum(observed, start=jnp.asarray(0.0))


def _row(tree, i):
    return jax.tree.map(lambda v: v[i], tree)


_alternate = eqx.filter_jit(alternate)
_maximise = eqx.filter_jit(maximise)


def arrays(tree: Any) -> Any:
    """The same pytree with every float and NumPy leaf as a JAX array, so that its value is no part of the program."""
    return jax.tree.map(lambda x: jnp.asarray(x) if isinstance(x, float | np.ndarray) else x, tree)


def prepare(model, args, key, start, sites) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Latents to start from and names of the sites to keep."""
    found = latent_sites(model, args)
    if start is None:
        start = {
            name: 0.1 * jax.random.normal(jax.random.fold_in(key, i), s.shape, s.dtype)
            for i, (name, s) in enumerate(sorted(found.latents.items()))
        }
    return dict(start), found.derived if sites is None else tuple(sites)


def total(log_likelihood: Any) -> Array:
    """Log-likelihood of each draw: the sum over everything but the leading axis of every leaf."""
    return sum((jnp.sum(v.reshape(len(v), -1), 1) for v in jax.tree.leaves(log_likelihood)), start=jnp.asarray(0.0))
