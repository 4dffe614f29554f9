"""Out-of-fold figures of the planetary-systems models on the Bern population: benchmarks/results/planetary_*.json.

Every fold is trained once per preset and kept in the directory `--runs`, so that an interrupted benchmark continues.

    python benchmarks/planetary_figures.py --runs DIR [--preset default|paper] [--fold 0]
"""

import argparse
import dataclasses
import json
import os
from pathlib import Path

import jax
import numpy as np

from jaxastro.io import stage_directory, write_model
from jaxastro.report import Report
from jaxastro.systems.planetary_systems import config, system
from jaxastro.systems.planetary_systems.training import fold_of, train_models

BERN = Path(os.environ.get("JAXASTRO_DATA", "../shared/data")) / "planets" / "bern_ngpps"
FOLDS = 4
"""Model number 4 leaves out no fold."""


def options_of(preset: str) -> config.Train:
    """The configuration whose figures are quoted."""
    options = config.Train(preset=preset, discs=BERN / "NGPPS_variables.txt", folds=FOLDS)
    if preset == "paper":
        options = dataclasses.replace(options, epochs=30, patience=8, dropout=0.2)
    return options


def run_of(runs: Path, options: config.Train, fold: int) -> Path:
    """The directory of one fold's model, trained now if it is not there."""
    run = runs / f"{options.preset}_{fold}"
    if not run.exists():
        systems, names, _ = system.read(BERN / "bern_ngpps_systems.csv", options)
        models, history = train_models(systems, fold_of(list(names["hostname"]), FOLDS), [fold], options)
        with stage_directory(run) as folder:
            write_model(
                folder, system=system.NAME, model=models[0], config=options, history=history,
                preprocessing=system.preprocessing(models[0]),
            )  # fmt: skip
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--fold", type=int, default=None, help="train this fold only (4: the model of all systems)")
    arguments = parser.parse_args()
    options = options_of(arguments.preset)
    if arguments.fold is not None:
        print(run_of(arguments.runs, options, arguments.fold))
        return
    models = [system.load(run_of(arguments.runs, options, f)) for f in range(FOLDS)]
    systems, names, _ = system.read(BERN / "bern_ngpps_systems.csv", options)
    fold = fold_of(list(names["hostname"]), FOLDS)
    report = Report(f"planetary_systems, preset {options.preset}, out of fold over {len(fold)} systems")
    system.out_of_fold(systems, names, fold, models, options, report)
    result = {"jax": jax.__version__, "config": {k: str(v) for k, v in dataclasses.asdict(options).items()}}
    path = Path(__file__).parent / "results" / f"planetary_{options.preset}.json"
    path.write_text(json.dumps({**report.as_json(), **result}, indent=1, default=np.ndarray.tolist) + "\n")
    for row in report.tables["out of fold"]:
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})


if __name__ == "__main__":
    main()
