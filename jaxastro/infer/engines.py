"""One NumPyro model, many engines: each takes the model and its arguments and returns a `Posterior`."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from jaxastro.infer.posterior import Posterior
from jaxastro.infer.standard import latent_sites
from jaxastro.infer.variational import Limits, Run, alternate

LOG_LENGTH = 128


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
    args = arrays(args)
    start, sites = prepare(model, args, key, start, sites)
    limited = jax.tree.map(jnp.asarray, Limits(**limits))
    batches = -(-draws // (2 * pairs))
    run: Run = _alternate(
        model, args, start, key, limited, names=sites, pairs=pairs, batches=batches, log_length=LOG_LENGTH
    )
    taken = min(int(limited.iterations), LOG_LENGTH - batches)
    info = dict(zip(("energy", "newton_steps", "move_steps", "draw_steps"), run.log[:taken].T, strict=True))
    kept, latents = jax.tree.map(lambda a: a[:draws], (run.aside, run.draws))
    return Posterior(latents, kept.sites, run.mean, total(kept.log_likelihood), info, engine="mgvi")


_alternate = eqx.filter_jit(alternate)


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
