"""Reconstruct a simulated diffuse field with NIFTy and with jaxastro, in alternation, from the same file.

    python benchmarks/sky_mock.py MOCK.npz [--rounds 2] [--engines nifty,mgvi,geovi,svi] [-o FILE]

The file holds `counts`, `exposure`, `psf` and the truth `log_diffuse_ref`. Every run is a process of its own, with a
cold compile cache; CPU-seconds count everything from the start of the interpreter to the last draw, children included.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

PRIOR = {"fluctuations": (0.8, 0.4), "slope": (-4.0, 0.5), "flexibility": (0.5, 0.2), "offset_std": (0.5, 0.2)}
DRAWS, ITERATIONS, PAIRS = 32, 8, 4


def read(path):
    """Counts, exposure, PSF kernel, prior mean of the log flux; the truth is not read here."""
    with np.load(path) as file:
        counts, exposure, psf = file["counts"], file["exposure"], file["psf"]
    return counts, exposure, psf, float(np.log(counts.sum() / exposure.sum()))


def run_jaxastro(path, engine, seed):
    """Draws of the log flux by MGVI, geoVI or stochastic variational inference."""
    import jax
    import jax.numpy as jnp
    import numpyro

    from jaxastro.fields import PSF, CorrelatedField, LogNormal, NonParametric, Normal, Observation, sample_latents
    from jaxastro.infer import geovi, mgvi, svi

    counts, exposure, psf, offset = read(path)
    shape = counts.shape[-2:]
    spectrum = NonParametric(
        LogNormal(*PRIOR["fluctuations"]), Normal(*PRIOR["slope"]), LogNormal(*PRIOR["flexibility"])
    )
    field = CorrelatedField(shape, spectrum, offset, LogNormal(*PRIOR["offset_std"]))
    observation = Observation(jnp.asarray(exposure), PSF(psf, shape))

    def model(field, observation, counts):
        log_flux = numpyro.deterministic("log_flux", field(sample_latents("diffuse_", field.shapes)))
        observation.observe(observation(jnp.exp(log_flux)[None]), counts)

    arguments = (model, field, observation, jnp.asarray(counts, jnp.float32))
    if engine != "svi":
        run = {"mgvi": mgvi, "geovi": geovi}[engine]
        posterior = run(*arguments, key=jax.random.key(seed), draws=DRAWS, pairs=PAIRS, iterations=ITERATIONS)
    else:
        posterior = svi(*arguments, key=jax.random.key(seed), draws=8 * DRAWS)  # independent draws cost nothing here
    return np.asarray(posterior.sites["log_flux"])


def run_nifty(path, seed):
    """Draws of the log flux by NIFTy's own optimiser with its demonstrations' settings, in float64 as it requires."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp
    import nifty.re as jft

    counts, exposure, psf, offset = read(path)
    n = counts.shape[-1]
    grid = int(np.ceil(1.125 * n / 2) * 2)
    maker = jft.CorrelatedFieldMaker("cf")
    maker.set_amplitude_total_offset(offset, PRIOR["offset_std"])
    maker.add_fluctuations(
        (grid, grid), 1.0, PRIOR["fluctuations"], PRIOR["slope"], PRIOR["flexibility"], non_parametric_kind="power"
    )
    field = maker.finalize()
    size = n + psf.shape[-1] - 1
    transfer, centre = jnp.fft.rfft2(psf[0], (size, size)), psf.shape[-1] // 2

    def expected(latents):
        flux = jnp.fft.rfft2(jnp.exp(field(latents)[:n, :n]), (size, size))
        spread = jnp.fft.irfft2(flux * transfer, (size, size))[centre : centre + n, centre : centre + n]
        return jnp.maximum(spread * exposure[0], 1e-12)

    likelihood = jft.Poissonian(jnp.asarray(counts[0])).amend(jft.Model(expected, domain=field.domain))
    key, start, final = jax.random.split(jax.random.PRNGKey(seed), 3)
    unknowns = sum(v.size for v in jax.tree.leaves(field.domain))
    linear = {"cg_name": None, "cg_kwargs": {"absdelta": 1e-4 * unknowns / 10.0, "maxiter": 100}}
    samples, _ = jft.optimize_kl(
        likelihood,
        jft.Vector(jft.random_like(start, field.domain)) * 0.1,
        key=key,
        n_total_iterations=ITERATIONS,
        n_samples=PAIRS,
        draw_linear_kwargs=linear,
        kl_kwargs={"minimize_kwargs": {"name": None, "xtol": 1e-4, "maxiter": 20}},
        sample_mode="linear_resample",
        odir=None,
    )
    draws = [
        jft.draw_linear_residual(likelihood, samples.pos, k, **linear)[0] for k in jax.random.split(final, DRAWS // 2)
    ]
    return np.stack([np.asarray(field(samples.pos + sign * d))[:n, :n] for d in draws for sign in (1, -1)])


def score(path, draws):
    """Error and coverage of the draws against the truth."""
    with np.load(path) as file:
        truth = file["log_diffuse_ref"]
    z = (draws.mean(0) - truth) / draws.std(0, ddof=1)
    rmse = float(np.sqrt(np.mean((draws.mean(0) - truth) ** 2)))
    return {"rmse": rmse, "cover_68": float(np.mean(abs(z) < 1)), "cover_95": float(np.mean(abs(z) < 1.96))}


def measure(path, engine, seed):
    """Run one engine in a process of its own; its scores and the CPU-seconds it took."""
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, __file__, path, "--one", engine, "--seed", str(seed)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout.splitlines()[-1]) | {"cpu_s": cpu, "wall_s": time.perf_counter() - start}


def main():
    """Print one line per run, then the ratio of CPU-seconds to NIFTy's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mock")
    parser.add_argument("--rounds", type=int, default=2, help="how often each engine runs")
    parser.add_argument("--engines", default="nifty,mgvi,svi", help="comma-separated")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("-o", "--output", type=Path, help="write every run as JSON")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        run = run_nifty if options.one == "nifty" else lambda p, s: run_jaxastro(p, options.one, s)
        print(json.dumps(score(options.mock, run(options.mock, options.seed))))
        return
    engines = options.engines.split(",")
    cpu, runs = {engine: [] for engine in engines}, []
    for turn in range(options.rounds):
        for engine in engines:
            result = measure(options.mock, engine, options.seed + turn)
            cpu[engine].append(result["cpu_s"])
            runs.append({"engine": engine, "seed": options.seed + turn} | result)
            print(f"{engine:6s}", "  ".join(f"{k} {v:.4g}" for k, v in result.items()), flush=True)
            if options.output:
                report = {"mock": Path(options.mock).name, "cpu_of_nifty": ratios(cpu), "runs": runs}
                options.output.write_text(json.dumps(report, indent=1) + "\n")
    for engine, ratio in ratios(cpu).items():
        print(f"{engine}: {ratio:.2f} of NIFTy's CPU-seconds")


def ratios(cpu):
    """Median CPU-seconds of each engine over NIFTy's, where both have run."""
    nifty = cpu.get("nifty")
    return {e: float(np.median(v) / np.median(nifty)) for e, v in cpu.items() if nifty and v and e != "nifty"}


if __name__ == "__main__":
    main()
