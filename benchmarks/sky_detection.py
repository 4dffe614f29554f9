"""Detection, localisation and photometry of the sky system on fields with known truth.

    JAXASTRO_DATA=... python benchmarks/sky_detection.py            # both mock files and ten fresh simulated fields
    python benchmarks/sky_detection.py --seeds 3 --no-files         # three simulated fields only

Work can be shared: `--first 6 --seeds 5` in a second process, then `--join` the files.
Every field is taken apart by the same call, with default options.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results"
KEPT = (
    "points", "points_found", "extended", "extended_found", "extended_called_extended", "points_called_extended",
    "false", "localisation_median", "localisation_largest", "position_pull_rms", "flux_pull_rms",
    "flux_pull_largest", "flux_pulls", "ln_flux_rmse", "ln_flux_cover68", "ln_flux_cover95", "p_chi2",
)  # fmt: skip


def take_apart(data: Path, seed: int) -> dict:
    """Train on `data`, evaluate against its truth."""
    from jaxastro.systems.sky.config import Evaluate, Train
    from jaxastro.systems.sky.data import read
    from jaxastro.systems.sky.system import evaluate, read_truth, train

    with tempfile.TemporaryDirectory() as folder:
        start, run = time.process_time(), Path(folder) / "run"
        trained = train(data, run, Train(seed=seed, quiet=True, figures=False)).values
        cpu = time.process_time() - start
        scores = evaluate(run, data, Evaluate()).values
        with np.load(run / "posterior.npz") as file:
            tension = file["tension"]
        shape = read(data).shape
    places = np.round(read_truth(data)["catalog"][:, :2]).astype(int)
    y, x = np.clip(places, 0, np.array(shape) - 1).T
    box = [(slice(max(a - 1, 0), a + 2), slice(max(b - 1, 0), b + 2)) for a, b in zip(y, x, strict=True)]
    return {k: scores[k] for k in KEPT} | {
        "tension_first": [float(tension[0][b].max()) for b in box],
        "tension_at_points_after": float(max(tension[-1][b].max() for b in box)),
        "residual_first_largest": trained["residual_first"],
        "residual_largest": trained["residual_largest"],
        "cpu_s": cpu,
    }


def simulated(seed: int) -> dict:
    """A fresh 64 x 64 field."""
    from jaxastro.systems.sky.config import Simulate
    from jaxastro.systems.sky.simulate import save_field, simulate_field

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "field.npz"
        save_field(path, *simulate_field(Simulate(seed=seed)))
        return take_apart(path, seed)


def summary(each: list[dict]) -> dict:
    """The ten fields together."""
    from jaxastro.stats import interval, wilson

    pulls = np.concatenate([e["flux_pulls"] for e in each])
    groups = np.concatenate([[i] * len(e["flux_pulls"]) for i, e in enumerate(each)])
    rms = interval(lambda p: float(np.sqrt(np.mean(p**2))), pulls, groups=groups)
    found = wilson(sum(e["points_found"] for e in each), sum(e["points"] for e in each))
    return {
        "fields": len(each),
        "points_found": [found.value, found.low, found.high],
        "extended_found": sum(e["extended_found"] for e in each),
        "extended_called_extended": sum(e["extended_called_extended"] for e in each),
        "false": sum(e["false"] for e in each),
        "fields_with_all": sum(e["points_found"] == e["points"] and e["extended_found"] == e["extended"] for e in each),
        "flux_pull_rms": [rms.value, rms.low, rms.high],
        "flux_pull_largest": float(np.abs(pulls).max()),
        "localisation_median": float(np.median([e["localisation_median"] for e in each])),
        "position_pull_rms": float(np.sqrt(np.mean([e["position_pull_rms"] ** 2 for e in each]))),
        "tension_at_points_after": max(e["tension_at_points_after"] for e in each),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=1, help="seed of the first simulated field")
    parser.add_argument("--no-files", action="store_true", help="leave the mock files away")
    parser.add_argument("--join", nargs="*", type=Path, help="files of earlier parts, instead of computing")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "sky_detection.json")
    options = parser.parse_args()
    result: dict = {"each": []}
    for part in (json.loads(p.read_text()) for p in options.join or []):
        result |= part | {"each": result["each"] + part["each"]}
        result["simulated"] = summary(result["each"])
    if not (options.no_files or options.join):
        for name in ("mockB_64_3band_points_ext", "mockB_128_3band_points_ext"):
            result[name] = take_apart(Path(os.environ["JAXASTRO_DATA"]) / "sky" / "mock" / f"{name}.npz", 0)
            print(name, result[name], flush=True)
    for seed in range(options.first, options.first + options.seeds) if not options.join else ():
        result["each"].append({"seed": seed} | simulated(seed))
        print(result["each"][-1], flush=True)
        result["simulated"] = summary(result["each"])
        options.output.write_text(json.dumps(result, indent=1) + "\n")
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({k: v for k, v in result.items() if k != "each"}, indent=1))


if __name__ == "__main__":
    main()
