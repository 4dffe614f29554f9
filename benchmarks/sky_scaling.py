"""How time and memory of MGVI grow with the size of the image, on fields drawn from the prior.

    python benchmarks/sky_scaling.py [--sizes 64,128,256,512] [--bands 1] [--iterations 8]

Each size runs in a process of its own: seconds to compile, CPU-seconds of the fit, and the largest resident memory.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np


def fit(size, n_bands, iterations, pairs):
    """Draw a sky and its counts from the prior, reconstruct it, and return what that cost."""
    import jax
    import jax.numpy as jnp
    import numpyro

    from jaxastro.fields import PSF, Bands, MultiBandField, Normal, Observation, gaussian_kernel, sample_latents
    from jaxastro.infer import mgvi

    shape = (size, size)
    field = MultiBandField(shape, Bands(jnp.geomspace(0.5, 4.0, n_bands)), Normal(1.5, 0.1))
    observation = Observation(jnp.ones((n_bands, *shape)), PSF(gaussian_kernel(1.5, 33), shape))

    def model(field, observation, counts):
        sky = jnp.exp(numpyro.deterministic("log_flux", field(sample_latents("diffuse_", field.shapes))))
        return observation.observe(observation(sky), counts)

    with numpyro.handlers.seed(rng_seed=7):
        counts = jax.jit(lambda: model(field, observation, None))().astype(jnp.float32)
    options = {"key": jax.random.key(0), "draws": 2 * pairs, "pairs": pairs}
    start = time.perf_counter()
    mgvi(model, field, observation, counts, iterations=0, draw_steps=1, **options).log_likelihood.block_until_ready()
    compiled = time.perf_counter() - start
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    posterior = mgvi(model, field, observation, counts, iterations=iterations, **options)
    posterior.log_likelihood.block_until_ready()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "size": size,
        "bands": n_bands,
        "latents": int(sum(np.prod(s) for s in field.shapes.values())),
        "first_call_s": round(compiled, 2),
        "fit_wall_s": round(time.perf_counter() - start, 2),
        "fit_cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "peak_memory_GB": round(after.ru_maxrss / 1e6, 2),
    }


def main():
    """Print one line of JSON per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="64,128,256,512")
    parser.add_argument("--bands", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("-o", "--output", type=Path, help="write the lines as JSON")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(fit(options.one, options.bands, options.iterations, options.pairs)), flush=True)
        return
    rows = []
    for size in options.sizes.split(","):
        done = subprocess.run([sys.executable, *sys.argv, "--one", size], check=True, stdout=subprocess.PIPE, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
        if options.output:
            options.output.write_text(json.dumps({"iterations": options.iterations, "each": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
