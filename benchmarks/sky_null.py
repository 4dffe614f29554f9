"""How often the sky system sees a source where there is none: diffuse-only simulations at 64 x 64 pixels.

    python benchmarks/sky_null.py --maps 200

Every map is fitted with the diffuse model alone and searched exactly as `train` does before its first insertion. The
largest tension and the largest significance of a missing point of every map are kept, so that other thresholds can be
read off. Work can be shared: `--first 100 --maps 100` in a second process, then `--join` the files.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results"


def null_map(seed: int) -> dict[str, float]:
    """Largest tension and need of one diffuse-only map, and how many sources would be inserted."""
    import jax

    from jaxastro.systems.sky.config import Simulate, Train
    from jaxastro.systems.sky.iterate import fit, look, new_points
    from jaxastro.systems.sky.model import build, with_margin
    from jaxastro.systems.sky.simulate import simulate_field

    field, _ = simulate_field(Simulate(points=0, extended=0, seed=seed))
    options = Train(sources=1, extended=1, seed=seed)
    big, start = with_margin(field, options.padding)
    sky = build(big, options)
    posterior = fit(sky, jax.random.fold_in(jax.random.key(seed), 0), None, options)
    seen = look(field, sky, posterior, start)
    return {
        "seed": seed,
        "tension": float(seen.tension.max()),
        "need": float(seen.need.max()),
        "alarms": len(new_points(seen, sky, start, options)),
    }


def summary(maps: list[dict[str, float]]) -> dict:
    """False alarms per map with the exact 95 % Poisson interval, and the thresholds that 5 % of maps exceed."""
    from scipy.stats import chi2

    from jaxastro.systems.sky.config import Train

    alarms, n = int(sum(m["alarms"] for m in maps)), len(maps)
    low = chi2.ppf(0.025, 2 * alarms) / 2 / n if alarms else 0.0
    options = Train()
    return {
        "maps": n,
        "threshold": options.threshold,
        "point_threshold": options.point_threshold,
        "false_alarms": alarms,
        "rate": alarms / n,
        "rate_low": low,
        "rate_high": chi2.ppf(0.975, 2 * alarms + 2) / 2 / n,
        "tension_95": float(np.quantile([m["tension"] for m in maps], 0.95)),
        "need_95": float(np.quantile([m["need"] for m in maps], 0.95)),
        "tension_largest": max(m["tension"] for m in maps),
        "need_largest": max(m["need"] for m in maps),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="seed of the first map")
    parser.add_argument("--join", nargs="*", type=Path, help="files of earlier parts, instead of computing")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "sky_null.json")
    options = parser.parse_args()
    start, maps = time.process_time(), []
    if options.join:
        parts = [json.loads(part.read_text()) for part in options.join]
        maps = [m for part in parts for m in part["each"]]
        start -= sum(part["cpu_s"] for part in parts)
    else:
        for seed in range(10_000 + options.first, 10_000 + options.first + options.maps):
            maps.append(null_map(seed))
            print(maps[-1], flush=True)
            result = summary(maps) | {"cpu_s": time.process_time() - start, "each": maps}
            options.output.write_text(json.dumps(result, indent=1) + "\n")
    result = summary(maps) | {"cpu_s": time.process_time() - start, "each": maps}
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    print({k: v for k, v in result.items() if k != "each"})


if __name__ == "__main__":
    main()
