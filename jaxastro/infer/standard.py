"""Any NumPyro model as a function of independent standard normal latents."""

from collections.abc import Callable
from functools import singledispatch
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import ndtr
from jaxtyping import Array
from numpyro.primitives import Messenger

from jaxastro.errors import InputError

Latents = dict[str, Array]
Site = dict[str, Any]


@singledispatch
def from_standard(distribution: dist.Distribution, xi: Array) -> Array:
    """The value of a distribution at standard normal latents: its quantile at the normal's probability, or shorter.

    Register further distributions with ``from_standard.register(MyDistribution)``.

    Raises:
        InputError: the distribution has no quantile function.
    """
    smallest = jnp.finfo(xi.dtype)
    try:
        return distribution.icdf(jnp.clip(ndtr(xi), smallest.tiny, 1 - smallest.epsneg))
    except NotImplementedError:
        raise InputError(
            f"A {type(distribution).__name__} latent has no quantile function, expected a distribution that a standard "
            "normal can be mapped to; reparametrise it, or register a map with jaxastro.infer.from_standard."
        ) from None


@from_standard.register
def _(distribution: dist.Normal, xi):
    return distribution.loc + distribution.scale * xi


@from_standard.register(dist.MultivariateNormal)
def _(distribution, xi):
    return distribution.loc + jnp.einsum("...ij,...j->...i", distribution.scale_tril, xi)


@from_standard.register(dist.ExpandedDistribution)
@from_standard.register(dist.MaskedDistribution)
@from_standard.register(dist.Independent)
def _(distribution, xi):
    return from_standard(distribution.base_dist, xi)


@from_standard.register(dist.TransformedDistribution)
def _(distribution, xi):
    value = from_standard(distribution.base_dist, xi)
    for transform in distribution.transforms:
        value = transform(value)
    return value


class standardise(Messenger):
    """Handler under which every latent site of a model takes its value from standard normal `latents` of the same name.

    The site's distribution is looked up when the site is met, so hierarchies are non-centred throughout.
    """

    def __init__(self, fn: Callable | None = None, *, latents: Latents):
        self.latents = latents
        super().__init__(fn)

    def process_message(self, msg: Site) -> None:
        """Give an unobserved sample site its value."""
        if msg["type"] == "sample" and not msg["is_observed"] and msg["name"] in self.latents:
            msg["value"] = from_standard(msg["fn"], self.latents[msg["name"]])


def trace_sites(model: Callable, latents: Latents, args: tuple) -> dict[str, Site]:
    """All sites of the model at these standard normal latents: values, distributions, scales."""
    with numpyro.handlers.block(), numpyro.handlers.trace() as sites, standardise(latents=latents):
        model(*args)
    return sites


class Sites(NamedTuple):
    """The latents of a model, and the names of deterministic sites and of latents that are not standard normal."""

    latents: dict[str, jax.ShapeDtypeStruct]
    derived: tuple[str, ...]


def latent_sites(model: Callable, args: tuple) -> Sites:
    """What a model is a function of and what it names, found without computing anything.

    Raises:
        InputError: a latent is discrete, a `numpyro.param` occurs, or nothing is observed.
    """
    derived = []

    def sample():
        with numpyro.handlers.block(), numpyro.handlers.trace() as sites, numpyro.handlers.seed(rng_seed=0):
            model(*args)
        check_sites(sites)
        derived.extend(
            name
            for name, site in sites.items()
            if site["type"] == "deterministic" or (is_latent(site) and not is_standard_normal(site["fn"]))
        )
        return {n: jnp.asarray(s["value"]) for n, s in sites.items() if is_latent(s)}

    return Sites(jax.eval_shape(sample), tuple(derived))


def is_standard_normal(distribution: dist.Distribution) -> bool:
    """Whether the distribution was written as Normal(0, 1), expanded or not."""
    while isinstance(distribution, dist.Independent | dist.ExpandedDistribution):
        distribution = distribution.base_dist
    return (
        type(distribution) is dist.Normal
        and isinstance(distribution.loc, int | float)
        and isinstance(distribution.scale, int | float)
        and (distribution.loc, distribution.scale) == (0, 1)
    )


def is_latent(site: Site) -> bool:
    """Whether this is a sample site without an observation."""
    return site["type"] == "sample" and not site["is_observed"]


def is_observed(site: Site) -> bool:
    """Whether this is an observed sample site."""
    return site["type"] == "sample" and site["is_observed"]


def check_sites(sites: dict[str, Site]) -> None:
    """Raise an InputError for a model that no engine here can fit."""
    for name, site in sites.items():
        if is_latent(site) and site["fn"].is_discrete:
            raise InputError(f"Latent '{name}' is discrete, expected continuous latents; sum it out of the model.")
        if site["type"] == "param":
            raise InputError(f"The model holds the parameter '{name}', expected sample sites only; give it a prior.")
    if not any(is_observed(site) for site in sites.values()):
        raise InputError("The model has no observed site, expected at least one `numpyro.sample(..., obs=data)`.")


def standard_model(model: Callable) -> Callable:
    """The same NumPyro model with a standard normal site for each latent; the original sites become deterministic.

    Names gain the suffix ``_standard``. For NumPyro's own engines and guides, which then meet a well scaled posterior.
    """

    def wrapped(*args):
        latents = {
            name: numpyro.sample(f"{name}_standard", dist.Normal(0, 1).expand(s.shape).to_event(len(s.shape)))  # pyright: ignore
            for name, s in latent_sites(model, args).latents.items()
        }
        with numpyro.handlers.block(hide_fn=is_latent), standardise(latents=latents):  # pyright: ignore
            model(*args)

    return wrapped
