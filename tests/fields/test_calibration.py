"""Simulation-based calibration (Talts et al. 2018): truths from the prior rank uniformly among posterior draws."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from scipy.stats import chisquare

from jaxastro.fields import (
    PSF,
    CorrelatedField,
    LogNormal,
    NonParametric,
    Normal,
    Observation,
    gaussian_kernel,
    sample_latents,
)
from jaxastro.infer import geovi
from jaxastro.infer.engines import arrays

SHAPE, N, DRAWS = (32, 32), 200, 64
PIXELS = np.s_[4::12, 6::12]  # pixels far enough apart to count as separate quantities


def model(field, observation, counts):
    latents = sample_latents("latent_", field.shapes)
    log_flux = field(latents)
    numpyro.deterministic("flux", jnp.exp(log_flux))
    numpyro.deterministic("total", jnp.sum(jnp.exp(log_flux)))
    spectrum = field.spectrum
    for name in ("fluctuations", "slope", "flexibility"):
        numpyro.deterministic(name, getattr(spectrum, name)(latents[name]))
    observation.observe(observation(jnp.exp(log_flux)[None]), counts)


def setting():
    spectrum = NonParametric(LogNormal(0.8, 0.3), Normal(-4.0, 0.5), LogNormal(0.5, 0.2))
    field = CorrelatedField(SHAPE, spectrum, 1.5, LogNormal(0.5, 0.2))
    return field, Observation(jnp.ones((1, *SHAPE)), PSF(gaussian_kernel(1.2, 15), SHAPE))


@eqx.filter_jit
def simulate(key, field, observation):
    return numpyro.infer.Predictive(model, num_samples=1)(key, field, observation, None)


def truth_and_posterior(key, engine=geovi, **options):
    field, observation = setting()
    prior = simulate(key, *arrays(setting()))
    counts = prior.pop("counts")[0]
    posterior = engine(model, field, observation, counts.astype(jnp.float32), key=key, draws=DRAWS, **options)
    return jax.tree.map(lambda v: np.asarray(v[0]), prior), jax.tree.map(np.asarray, posterior.sites)


def ranks_and_coverage(pairs):
    """Rank of each truth among the draws, 0 to DRAWS, and whether the central 90 % interval holds it, by quantity."""
    ranks, inside = {}, {}
    for truth, sites in pairs:
        for name, draws in sites.items():
            value = truth[name]
            if value.ndim:
                value, draws = value[PIXELS].ravel(), draws[(slice(None), *PIXELS)].reshape(len(draws), -1)
            low, high = np.quantile(draws, [0.05, 0.95], axis=0)
            ranks.setdefault(name, []).append(np.ravel((draws < value).sum(0)))
            inside.setdefault(name, []).append(np.ravel((low < value) & (value < high)))
    return {n: np.concatenate(v) for n, v in ranks.items()}, {n: np.concatenate(v) for n, v in inside.items()}


@pytest.mark.slow
def test_ranks_are_flat_and_intervals_cover():
    pairs = [truth_and_posterior(jax.random.fold_in(jax.random.key(11), i)) for i in range(N)]
    ranks, inside = ranks_and_coverage(pairs)
    for name in ranks:
        histogram = np.histogram(ranks[name], bins=10, range=(0, DRAWS + 1))[0]
        assert 0.86 <= inside[name].mean() <= 0.94, (name, inside[name].mean())
        assert chisquare(histogram).pvalue > 1e-3, (name, histogram)
