"""Every quality figure of vetting on real Kepler and TESS signals, by the command line, with intervals and baselines.

    python benchmarks/vetting_figures.py [tess] [planets] [kepler] [kepler_views] [watson] [scoring]

Needs JAXASTRO_DATA. Each part writes results/vetting_PART.json; runs are kept in the folder that --runs names. Rows of
the TESS split `val` are only ever scored; Kepler is scored in five outer star-grouped folds.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
DATA = Path(os.environ.get("JAXASTRO_DATA", ".")) / "vetting"
TESS = DATA / "tess_triage/tess_triage_views.npz"
KEPLER = DATA / "kepler_dr24_astronet/kepler_dr24_views.npz"
TABLE = DATA / "kepler_dr24_astronet/tce_1058-471-734.csv.gz"
OUTER = ("--positive", "PC", "--outer-folds", "5", "--members", "3", "--epochs", "20")
TRAIN = {
    "tess": (TESS, "--split", "train", "--positive", "PC,EB", "--epochs", "12", "--no-baseline"),
    "kepler": (KEPLER, "--table", TABLE, *OUTER),
    "kepler_views": (KEPLER, "--use", "views", *OUTER),
    "watson": (TESS, "--split", "train", "--positive", "PC,EB", "--no-baseline", "--preset", "watson",
               "--members", "2", "--epochs", "8", "--learning-rate", "3e-4"),
}  # fmt: skip
EVALUATE = {
    "tess": ("tess", TESS, "--split", "val"),
    "planets": ("tess", TESS, "--split", "val", "--positive", "PC"),
    "watson": ("watson", TESS, "--split", "val"),
}


def run(*words: object) -> tuple[dict, float]:
    """The JSON that a command prints, and the seconds it took."""
    start = time.monotonic()
    command = [sys.executable, "-m", "jaxastro.cli.main", *map(str, words), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout), time.monotonic() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["tess", "planets", "kepler", "kepler_views"])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    options = parser.parse_args()
    options.runs.mkdir(exist_ok=True)
    for part in options.parts:
        name = EVALUATE[part][0] if part in EVALUATE else part
        folder = options.runs / name
        record: dict = {"command": ["jaxastro", "train", "vetting", *(Path(w).name for w in map(str, TRAIN[name]))]}
        if not folder.exists():
            _, record["training_s"] = run("train", "vetting", *TRAIN[name], "-o", folder)
        if part in EVALUATE:
            _, data, *rest = EVALUATE[part]
            record["evaluate"] = [data.name, *rest]
            result, _ = run("evaluate", folder, data, *rest)
        else:
            result = json.loads((folder / "card.json").read_text())["metrics"]
        record |= {"values": {k: v for k, v in result.items() if k != "files"}, "load": os.getloadavg()}
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"vetting_{part}.json").write_text(json.dumps(record, indent=1) + "\n")
        print(part, {k: v for k, v in result.items() if k.endswith(("ap", "ap_low", "ap_high", "ap_baseline"))})


if __name__ == "__main__":
    main()
