"""Out-of-fold figures of the planetary-systems models on the Bern population: benchmarks/results/planetary_*.json.

Every fold is trained once per preset and kept in the directory `--runs`, so that an interrupted benchmark continues.

Options were chosen on 120 to 300 inner systems held out of the training systems of fold 0. Those lie in folds 1 to 3,
whose rows are therefore not quite untouched by the choice; those of fold 0 are.

    python benchmarks/planetary_figures.py --runs DIR [--preset default|paper|podsim] [--fold 0]
"""

import argparse
import dataclasses
import json
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import ks_2samp

from jaxastro.io import stage_directory, write_model
from jaxastro.report import Report
from jaxastro.stats import interval
from jaxastro.stats.two_sample import c2st
from jaxastro.systems.planetary_systems import config, system
from jaxastro.systems.planetary_systems.compare import choose, compare, features, giants_by_metallicity, quantities
from jaxastro.systems.planetary_systems.examples import within_reach
from jaxastro.systems.planetary_systems.sampling import sample
from jaxastro.systems.planetary_systems.simulate import PodSim
from jaxastro.systems.planetary_systems.system import scores
from jaxastro.systems.planetary_systems.training import fold_of, train_models, without_context

BERN = Path(os.environ.get("JAXASTRO_DATA", ".")) / "planets" / "bern_ngpps"
FOLDS = 4
"""Model number 4 leaves out no fold."""


def options_of(preset: str) -> config.Train:
    """The configuration whose figures are quoted."""
    options = config.Train(preset=preset, discs=BERN / "NGPPS_variables.txt", folds=FOLDS)
    if preset == "paper":
        options = dataclasses.replace(options, members=1)  # one network, as published
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


def of_discs(systems, fold: np.ndarray, models: dict, report: Report, repeat: int = 10) -> None:
    """What the discs add: giants by metallicity of systems drawn for held-out discs, and the gain once discs are dealt
    out anew."""
    drawn, gain, number = [], np.zeros(len(fold)), np.asarray(systems.mask.sum(-1))
    for f, model in models.items():
        rows = np.flatnonzero(fold == f)
        held = choose(systems, rows)
        many = choose(held, np.repeat(np.arange(len(rows)), repeat))
        key = jax.random.fold_in(jax.random.key(1), f)
        drawn.append(sample(model, key, len(many.mask), context=many.context, has_context=many.has_context).system)
        dealt = held._replace(context=held.context[np.random.default_rng(f).permutation(len(rows))])
        gain[rows] = scores(model, dealt)["nll"] - scores(model, without_context(held))["nll"]
    made = jax.tree.map(lambda *a: jnp.concatenate(a), *drawn)
    scored = np.flatnonzero(np.isin(fold, list(models)))
    report.tables["giants"] = giants_by_metallicity(choose(systems, scored), made)
    permuted = interval(system.per_planet, gain[scored], number[scored], n=1000)
    report.tables["discs dealt out anew"] = [permuted.as_row("nll_gain_permuted", 0.0)]
    report.values["nll_gain_permuted"] = permuted.value


def repeated(systems, fold: np.ndarray, models: dict, report: Report, draws: int = 11, n: int = 200) -> None:
    """Distances of `n` generated from `n` real systems, and of real from real ones: medians over draws of both.

    The classifier's AUC is the mean over draws, with the standard deviation of one draw.
    """
    rng, scored = np.random.default_rng(0), np.flatnonzero(np.isin(fold, list(models)))
    each = -(-draws * n // len(models))
    made = [sample(m, jax.random.fold_in(jax.random.key(2), f), each).system for f, m in models.items()]
    made = choose(jax.tree.map(lambda *a: np.concatenate(a), *made), rng.permutation(each * len(models)))
    found: dict[str, list[tuple[float, float]]] = {}
    for i in range(draws):
        rows = rng.permutation(scored)
        real, other = (choose(systems, rows[j * n : (j + 1) * n]) for j in range(2))
        drawn = choose(made, np.arange(i * n, (i + 1) * n))
        x, y, z = (quantities(s) for s in (real, other, drawn))
        for name in x:
            gap = lambda u, v, name=name: float(ks_2samp(u[name][0], v[name][0])[0])  # noqa: E731  # pyright: ignore
            found.setdefault(f"ks_{name}", []).append((gap(x, z), gap(x, y)))
        if i < 5:  # forests are slow
            a, b, c = (features(s) for s in (real, other, drawn))
            found.setdefault("c2st", []).append((float(c2st(a, c, n=2)), float(c2st(a, b, n=2))))
    middle = lambda name: np.mean if name == "c2st" else np.median  # noqa: E731
    report.tables[f"{draws} draws of {n}"] = [
        {"score": name, "draws": len(v), "sd": float(np.std(v, 0)[0])}
        | dict(zip(("value", "control"), middle(name)(v, 0).tolist(), strict=True))
        for name, v in found.items()
    ]


def podsim(n: int = 20_000) -> None:
    """Gap to the exact density of PodSim after training on n systems."""
    truth = PodSim()
    train, test = (within_reach(truth.sample(jax.random.key(i), size)) for i, size in ((0, n), (1, 2000)))
    options = config.Train(
        members=1, folds=0, epochs=8, batch_size=128, learning_rate=3e-3, dropout=0.0, ema=0.999, weight_decay=0.01,
        mass_edge=0.0,
    )  # fmt: skip
    (model,), _ = train_models(train, np.full(len(train.mask), -1), [0], options)
    number, exact = np.asarray(test.mask.sum(-1)), -np.asarray(jax.jit(jax.vmap(truth.log_prob))(test))
    gap = interval(system.per_planet, scores(model, test)["nll"] - exact, number, n=1000)
    rows, values = compare(test, sample(model, jax.random.key(2), 1000).system, n=1000)
    report = Report(
        f"PodSim, {n} systems",
        {"podsim": [gap.as_row("gap", 0.0), *rows]},
        {"gap": gap.value, "gap_low": gap.low, "gap_high": gap.high, **values},
    )
    write("podsim", report, options)


def write(name: str, report: Report, options: config.Train) -> None:
    """The report as JSON, and its rows on the screen."""
    result = {"jax": jax.__version__, "config": {**dataclasses.asdict(options), "discs": None}}
    path = Path(__file__).parent / "results" / f"planetary_{name}.json"
    path.write_text(json.dumps({**report.as_json(), **result}, indent=1, default=np.ndarray.tolist) + "\n")
    for row in (row for table in report.tables.values() for row in table):
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})


def main() -> None:
    """Train what is missing, then score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--preset", default="default", choices=("default", "paper", "podsim"))
    parser.add_argument("--fold", type=int, default=None, help="train this fold only (4: the model of all systems)")
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(FOLDS)), help="score only these folds")
    arguments = parser.parse_args()
    if arguments.preset == "podsim":
        podsim()
        return
    options = options_of(arguments.preset)
    if arguments.fold is not None:
        print(run_of(arguments.runs, options, arguments.fold))
    else:
        bern(arguments.runs, options, arguments.folds)


def bern(runs: Path, options: config.Train, folds: list[int]) -> None:
    """Out-of-fold figures of a preset on the Bern population, over the given folds."""
    models = {f: system.load(run_of(runs, options, f)) for f in folds}
    systems, names, _ = system.read(BERN / "bern_ngpps_systems.csv", options)
    fold = fold_of(list(names["hostname"]), FOLDS)
    scored = int(np.isin(fold, folds).sum())
    report = Report(f"planetary_systems, preset {options.preset}, out of fold over {scored} of {len(fold)} systems")
    system.out_of_fold(systems, names, fold, models, options, report)
    repeated(systems, fold, models, report)
    if options.preset == "default":
        of_discs(systems, fold, models, report)
    write(options.preset, report, options)


if __name__ == "__main__":
    main()
