"""Completing Bern systems out of fold, and TOI-469: benchmarks/results/planetary_completion.json.

Earth-like planets are predicted from the planets that a radial-velocity survey finds
(K > 1 m/s, a < 5 AU) and from what it does not find; the model was never told the question. The baseline is a random
forest trained for it, on the same folds. TOI-469: the other planets given b, against counting in the table.

    python benchmarks/planetary_completion.py --runs DIR   # models of benchmarks/planetary_figures.py
"""

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray
from planetary_figures import BERN, FOLDS, options_of
from sklearn.ensemble import RandomForestClassifier

from jaxastro.stats import average_precision, interval, log_loss, roc_auc
from jaxastro.systems.planetary_systems import system
from jaxastro.systems.planetary_systems.complete import complete, has_planet_in
from jaxastro.systems.planetary_systems.data import read_planets
from jaxastro.systems.planetary_systems.detection import RadialVelocity, velocity_amplitude
from jaxastro.systems.planetary_systems.layout import System
from jaxastro.systems.planetary_systems.model import Generator
from jaxastro.systems.planetary_systems.observation import VALUE, Observation, observe
from jaxastro.systems.planetary_systems.stars import known_planets
from jaxastro.systems.planetary_systems.training import fold_of

SURVEY = RadialVelocity(threshold=1.0, outer=float(np.log10(5.0)), width=0.0)
TRIES = 8
LATER = {"c": (0.0439, 4.5), "d": (0.0654, 5.1)}
"""Semi-major axis [AU] and mass [Earth masses] of the planets found after b (Damasso et al. 2023)."""
B = (0.1079, 9.6)
ROUNDS = 4
"""Times that each model draws 4000 systems of TOI-469: few of them count, and one round moves by some hundredths."""


def found(systems: System) -> np.ndarray:
    """Which planets the survey finds."""
    amplitude = velocity_amplitude(systems.log_a, systems.log_mass)
    return np.asarray(systems.mask & (amplitude > SURVEY.threshold) & (systems.log_a < SURVEY.outer))


def observed(systems: System, seen: np.ndarray, i: int) -> Observation:
    """The planets of one system that the survey finds, without error; padded to one size, so to one program."""
    rows, size = np.flatnonzero(seen[i]), int(seen.sum(1).max())
    value, there = np.zeros((size, 3), np.float32), np.arange(size) < len(rows)
    value[: len(rows), 0], value[: len(rows), 1] = systems.log_a[i][rows], systems.log_mass[i][rows]
    nothing = jnp.zeros(systems.context.shape[-1])
    kind = jnp.zeros((size, 2), int).at[: len(rows), 0].set(VALUE)
    return Observation(
        jnp.asarray(value), jnp.zeros((size, 3, 2)), kind, jnp.asarray(there), jnp.float32(1), nothing, nothing > 0
    )


def features(systems: System, seen: np.ndarray) -> np.ndarray:
    """Nine numbers about the planets found, for the forest."""
    rows = []
    for a, m, s in zip(np.asarray(systems.log_a), np.asarray(systems.log_mass), seen, strict=True):
        a, m = (a[s], m[s]) if s.any() else (np.array([-3.0]), np.array([-3.0]))
        gap = np.diff(a).mean() if len(a) > 1 else -1.0
        rows.append(
            [s.sum(), np.log10((10**m).sum()), m.max(), m.mean(), a.min(), a.max(), a.mean(), gap, a[m.argmax()]]
        )
    return np.array(rows)


def earth_like_of(
    model: Generator, observation: Observation, n: int, *, key: PRNGKeyArray, repeats: int = 1
) -> tuple[float, float]:
    """Probability of an Earth-like planet, kept off 0 and 1 by half an effective draw, and the number of those."""
    keys = jax.random.split(key, repeats)
    done = [complete(model, observation, key=k, n=n, completeness=SURVEY, tries=TRIES) for k in keys]
    p, ess = float(np.mean([d.earth_like() for d in done])), float(np.sum([d.ess for d in done]))
    return (p * ess + 0.5) / (ess + 1), ess


def earth_like(runs: Path, folds: list[int], n: int) -> dict[str, Any]:
    """Scores of the conditional probabilities of an Earth-like planet, and of a forest, out of fold."""
    systems, names, _ = system.read(BERN / "bern_ngpps_systems.csv", options_of("default"))
    fold = fold_of(list(names["hostname"]), FOLDS)
    seen, truth = found(systems), np.asarray(has_planet_in(systems)).astype(int)
    x, p, forest = features(systems, seen), np.full(len(fold), np.nan), np.full(len(fold), np.nan)
    base, ess = np.full(len(fold), np.nan), np.full(len(fold), np.nan)
    for f in folds:
        model, rows = system.load(runs / f"default_{f}"), np.flatnonzero(fold == f)
        for i in rows[seen[rows].any(1)]:
            p[i], ess[i] = earth_like_of(model, observed(systems, seen, i), n, key=jax.random.key(int(i)))
        dark = rows[~seen[rows].any(1)]  # one question, asked once
        p[dark], ess[dark] = earth_like_of(
            model, observed(systems, seen, dark[0]), n, key=jax.random.key(f), repeats=10
        )
        trees = RandomForestClassifier(500, min_samples_leaf=5, random_state=0).fit(x[fold != f], truth[fold != f])
        forest[rows], base[rows] = trees.predict_proba(x[rows])[:, 1], truth[fold != f].mean()
    rows = np.flatnonzero(np.isfinite(p))
    result: dict[str, Any] = {"systems": len(rows), "folds": folds, "draws": n, "base_rate": float(truth[rows].mean())}
    for name, score in (("auc", roc_auc), ("log_loss", log_loss), ("average_precision", average_precision)):
        for label, values in (("model", p), ("forest", forest)):
            result[f"{name}_{label}"] = _numbers(interval(score, truth[rows], values[rows], n=1000))
    result["log_loss_base"] = float(log_loss(truth[rows], base[rows]))
    result["ess_below_100"] = float((ess[rows] < 100).mean())
    result["ess_median"] = float(np.median(ess[rows]))
    return result


def toi469(runs: Path, models: list[int], catalogue: Path, n: int) -> dict[str, Any]:
    """The other planets of TOI-469 given b, by the model and by counting analogues of b in the table."""
    systems, _, _ = system.read(BERN / "bern_ngpps_systems.csv", options_of("default"))
    planets = read_planets(catalogue)
    seen = observe(known_planets(planets, "HIP 29442", "b"), "HIP 29442")
    # as wide as the boxes in which the table counts: +-0.15 dex in place, +-0.2 dex in mass
    width = jnp.zeros_like(seen.error).at[0, 0].set(0.15 / 3**0.5).at[0, 1].set(0.2 / 3**0.5)
    wide = seen._replace(error=width, has_context=jnp.zeros_like(seen.has_context), kind=seen.kind.at[:, 1].set(0))
    inside = []
    densities = {f: system.load(runs / f"default_{f}") for f in models}
    for f, r in itertools.product(models, range(ROUNDS)):
        done = complete(densities[f], wide, key=jax.random.fold_in(jax.random.key(f), r), n=n)
        count = np.bincount(
            np.minimum((np.asarray(done.hidden) & _inside(done)).sum(1), 3), np.asarray(done.weight), minlength=4
        )
        near = [float(done.near(*np.log10(LATER[k]))) for k in "cd"]
        inside.append([*near, *count, float(done.earth_like()), float(done.ess)])
    names = ["p_near_c", "p_near_d", "inside_0", "inside_1", "inside_2", "inside_3+", "p_earth_like", "ess"]
    model = dict(zip(names, np.mean(inside, 0).tolist(), strict=True))
    error = np.std(inside, 0, ddof=1) / len(inside) ** 0.5
    spread = dict(zip(names, error.tolist(), strict=True))
    return {"models": models, "rounds": ROUNDS, "model": model, "model_error": spread, "table": _counted(systems)}


def _inside(done: Any) -> np.ndarray:
    """Which planets lie inside of the known one."""
    place = np.asarray((done.which == 0).argmax(1))
    return np.arange(done.which.shape[1]) < place[:, None]


def _counted(systems: System) -> dict[str, Any]:
    """The same numbers by counting around every analogue of b in the table, with intervals by system."""
    a, m, mask = (np.asarray(v) for v in (systems.log_a, systems.log_mass, systems.mask))
    near = lambda at, box: (abs(a - np.log10(at[0])) < box[0]) & (abs(m - np.log10(at[1])) < box[1]) & mask  # noqa: E731
    s, j = np.nonzero(near(B, (0.15, 0.2)))
    result: dict[str, Any] = {"analogues": len(s)}
    for letter, at in LATER.items():
        box = near(at, (0.15, 0.3))[s]
        box[np.arange(len(s)), j] = False  # itself not counted
        result[f"p_near_{letter}"] = _numbers(interval(_mean, box.any(1).astype(float), groups=s, n=1000))
    for k in range(4):
        hit = ((j == k) if k < 3 else (j >= 3)).astype(float)
        result[f"inside_{k}{'+' if k == 3 else ''}"] = _numbers(interval(_mean, hit, groups=s, n=1000))
    return result


def _mean(values: np.ndarray, weight: np.ndarray | None = None) -> float:
    return float(np.average(values, weights=weight))


def _numbers(score: Any) -> list[float]:
    return [round(float(v), 4) for v in (score.value, score.low, score.high)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--folds", type=int, nargs="*", default=list(range(FOLDS)))
    parser.add_argument("-n", type=int, default=600, help="systems drawn per star")
    parser.add_argument("--only", choices=("earth", "toi"), default=None)
    arguments = parser.parse_args()
    path = Path(__file__).parent / "results" / "planetary_completion.json"
    result = json.loads(path.read_text()) if path.exists() else {}
    if arguments.only != "earth":
        catalogue = BERN.parent / "observed" / "open_exoplanet_catalogue.csv"
        result["toi469"] = toi469(arguments.runs, arguments.folds, catalogue, 4000)
        print(json.dumps(result["toi469"], indent=1))
    if arguments.only != "toi":
        result["earth_like"] = earth_like(arguments.runs, arguments.folds, arguments.n)
        print(json.dumps(result["earth_like"], indent=1))
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**result, "jax": jax.__version__}, indent=1) + "\n")


if __name__ == "__main__":
    main()
