"""Simulation-based calibration (Talts et al. 2018) of a field on 32 x 32 pixels: truths rank uniformly among draws.

    python benchmarks/sky_calibration.py --fields 200

Every data set is drawn from the prior and fitted by geoVI, whose draws then walk by Hamiltonian Monte Carlo. Of each
hyper-parameter, of the total flux and of the flux of nine pixels far apart the rank of the truth among the draws is
kept, and whether the central 90 % interval holds it; both engines are reported.
"""

import argparse
import json
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro

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
from jaxastro.infer import geovi, hmc
from jaxastro.infer.engines import arrays

RESULTS = Path(__file__).parent / "results"
SHAPE, DRAWS = (32, 32), 64
TRAJECTORIES, LENGTH = 40, 2.0
PIXELS = np.s_[4::12, 6::12]  # pixels far enough apart to count as separate quantities


def model(field, observation, counts):
    """The NumPyro model, with the quantities that are ranked as deterministic sites."""
    latents = sample_latents("latent_", field.shapes)
    flux = jnp.exp(field(latents))
    numpyro.deterministic("flux", flux[PIXELS].ravel())
    numpyro.deterministic("total", jnp.sum(flux))
    for name in ("fluctuations", "slope", "flexibility"):
        numpyro.deterministic(name, getattr(field.spectrum, name)(latents[name]))
    observation.observe(observation(flux[None]), counts)


def setting():
    """The field's prior and the instrument."""
    spectrum = NonParametric(LogNormal(0.8, 0.3), Normal(-4.0, 0.5), LogNormal(0.5, 0.2))
    field = CorrelatedField(SHAPE, spectrum, 1.5, LogNormal(0.5, 0.2))
    return field, Observation(jnp.ones((1, *SHAPE)), PSF(gaussian_kernel(1.2, 15), SHAPE))


@eqx.filter_jit
def simulate(key, field, observation):
    """Quantities and counts drawn from the prior, axes (1, ...)."""
    return numpyro.infer.Predictive(model, num_samples=1)(key, field, observation, None)


def ranked(key) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Engine -> quantity -> ranks of the truth among the draws, 0 to DRAWS, and whether the 90 % interval holds it."""
    truth = simulate(key, *arrays(setting()))
    data = (*setting(), truth.pop("counts")[0].astype(jnp.float32))
    first = geovi(model, *data, key=key, draws=DRAWS)
    last = hmc(model, *data, key=jax.random.fold_in(key, 1), start=first, trajectories=TRAJECTORIES, length=LENGTH)
    result = {}
    for engine, posterior in (("geovi", first), ("hmc", last)):
        result[engine] = {}
        for name, values in posterior.sites.items():
            draws, value = np.asarray(values).reshape(DRAWS, -1), np.ravel(truth[name][0])
            low, high = np.quantile(draws, [0.05, 0.95], axis=0, method="weibull")  # holds 90 % whatever the number
            result[engine][name] = (draws < value).sum(0), (low < value) & (value < high)
    return result


def summary(runs: list) -> dict:
    """Engine -> quantity -> coverage with its Wilson interval, and how flat the ranks are."""
    from scipy.stats import chisquare

    from jaxastro.stats import wilson

    result = {}
    for engine in runs[0]:
        result[engine] = {}
        for name in runs[0][engine]:
            ranks, inside = (np.concatenate([r[engine][name][i] for r in runs]) for i in (0, 1))
            histogram = np.histogram(ranks, bins=10, range=(0, DRAWS + 1))[0]
            cover = wilson(int(inside.sum()), len(inside))
            result[engine][name] = {
                "coverage_90": [cover.value, cover.low, cover.high],
                "ranks": histogram.tolist(),
                "p_flat": float(chisquare(histogram).pvalue),
            }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=int, default=200)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "sky_calibration.json")
    options = parser.parse_args()
    start, runs = time.process_time(), []
    for i in range(options.fields):
        runs.append(ranked(jax.random.fold_in(jax.random.key(options.seed), i)))
        if (i + 1) % 10 == 0 or i + 1 == options.fields:
            result = {
                "fields": i + 1,
                "draws": DRAWS,
                "trajectories": TRAJECTORIES,
                "cpu_s": time.process_time() - start,
            }
            options.output.write_text(json.dumps(result | summary(runs), indent=1) + "\n")
            print(result, {n: v["coverage_90"][0] for n, v in summary(runs)["hmc"].items()}, flush=True)


if __name__ == "__main__":
    main()
