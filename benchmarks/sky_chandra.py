"""Two Chandra observations of Sgr A*: does the joint reconstruction predict unseen photons better than each alone?

    JAXASTRO_DATA=... python benchmarks/sky_chandra.py [--crop 64 192 64 192]

A fifth of the photons of both observations is held out by binomial thinning. The rest is fitted jointly and one
observation at a time; each fit is scored on the held-out photons of that observation. Intervals: bootstrap over blocks
of 8 x 8 pixels.
"""

import argparse
import dataclasses
import json
import os
import time
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results"


def rates(field, options):
    """Posterior draws of the expected counts (draw, channel, y, x), and the number of sources."""
    from jaxastro.systems.sky.iterate import separate
    from jaxastro.systems.sky.model import cropped
    from jaxastro.systems.sky.slots import active

    result = separate(field, options, told=lambda done, **values: print(done, values, flush=True))
    n = len(active(result.sky.points)) + len(active(result.sky.extended))
    return cropped(result.posterior.sites["rate"], field, result.start), n


def main() -> None:
    from jaxastro.stats import interval
    from jaxastro.systems.sky.config import Train
    from jaxastro.systems.sky.data import read, thin
    from jaxastro.systems.sky.scores import log_score
    from jaxastro.systems.sky.system import keep

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crop", type=int, nargs=4, default=(), help="y0 y1 x0 x1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "sky_chandra.json")
    options = parser.parse_args()
    settings = Train(held_out=0.2, seed=options.seed, crop=tuple(options.crop), quiet=True)
    start = time.process_time()
    field = read(Path(os.environ["JAXASTRO_DATA"]) / "sky" / "chandra_pylira", settings)
    _, held = thin(field.counts, settings.held_out, seed=settings.seed)
    left = keep(field, settings)
    ratio = settings.held_out / (1 - settings.held_out)
    joint, sources = rates(left, settings)
    blocks = (np.indices(field.shape)[0] // 8) * 1000 + np.indices(field.shape)[1] // 8
    result: dict = {
        "photons": field.counts.sum((1, 2)).tolist(),
        "held_out": held.sum((1, 2)).tolist(),
        "sources": sources,
    }
    for c, name in enumerate(field.names):
        mine = slice(c, c + 1)
        part = {n: getattr(left, n)[mine] for n in ("counts", "exposure", "background", "psf", "band", "names")}
        alone, n = rates(dataclasses.replace(left, **part), settings)
        seen = field.exposure[mine] > 0
        both = [log_score(held[mine], r * ratio, seen) for r in (joint[:, mine], alone)]
        gain = interval(lambda d: float(d.sum()), both[0] - both[1], groups=blocks[seen[0]])
        result[name] = {
            "joint": float(both[0].sum()), "alone": float(both[1].sum()), "sources_alone": n,
            "gain_nat": [gain.value, gain.low, gain.high], "gain_per_photon": gain.value / int(held[mine].sum()),
        }  # fmt: skip
        print(name, result[name], flush=True)
    result["cpu_s"] = time.process_time() - start
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
