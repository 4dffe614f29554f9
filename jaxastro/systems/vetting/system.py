"""The verbs of the vetting system."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy.table import Table

from jaxastro import stats
from jaxastro.errors import InputError
from jaxastro.io import partial, read_card, read_model, stage_directory, write_model
from jaxastro.options import build as build_options
from jaxastro.report import Report
from jaxastro.systems.vetting import config, figures, pages, scores, training
from jaxastro.systems.vetting.columns import OFFSETS, offset
from jaxastro.systems.vetting.data import Signals
from jaxastro.systems.vetting.ephemeris import Ephemeris
from jaxastro.systems.vetting.from_curves import signals_from_curves
from jaxastro.systems.vetting.inputs import Inputs
from jaxastro.systems.vetting.light_curve_score import score_of_change, scores_of_samples
from jaxastro.systems.vetting.lightcurve import LightCurve, read_light_curve
from jaxastro.systems.vetting.readers import read
from jaxastro.systems.vetting.recipe import Recipe
from jaxastro.systems.vetting.scaler import Scaler
from jaxastro.systems.vetting.simulate import simulate_curves, simulated_signals, write_curves
from jaxastro.systems.vetting.training import Trained, train_ensemble
from jaxastro.systems.vetting.vetter import JOINED, OTHER, Meaning, Scored, Vetter, decide

SYSTEM, PREDICTIONS, ROWS = "vetting", "predictions.ecsv", "training_rows.npz"


def simulate(out: Path, options: config.Simulate) -> Report:
    """Write simulated light curves and the table of their candidates, with the truth, into the directory `out`."""
    with stage_directory(out, overwrite=options.overwrite) as folder:
        write_curves(folder, simulate_curves(options.signals, options.seed))
        names = sorted(path.name for path in folder.iterdir())
    return Report(
        f"{options.signals} simulated signals, seed {options.seed}", values={"rows": options.signals},
        files=[out / name for name in names],
    )  # fmt: skip


def train(data: Path | None, out: Path, options: config.Train) -> Report:
    """Train and calibrate an ensemble on `data`, or on simulated signals, and write the run directory `out`."""
    with stage_directory(out, overwrite=options.overwrite) as folder:
        signals = simulated_signals(options.signals, options.seed) if data is None else load(data, options)
        signals = labelled(signals, views=options.use != "scalars")
        trained = train_ensemble(signals, options, checkpoint=partial(out))
        truth = np.isin(signals.labels, trained.vetter.meaning.positive_labels)
        baseline = None
        if options.baseline:
            features = scores.tree_features(signals, trained.vetter.meaning.inputs)
            baseline = scores.trees_out_of_fold(features, truth, trained.folds.quoted)
        report = _training_report(
            signals, trained, truth, baseline, options, "simulated" if data is None else data.name
        )
        paths = figures.training_figures(folder, trained, truth, baseline)
        _predictions(signals, trained, baseline).write(folder / PREDICTIONS, format="ascii.ecsv")
        np.savez_compressed(folder / ROWS, star=signals.groups.astype(str), digest=row_digests(signals))
        names = [PREDICTIONS, ROWS, *(path.name for path in paths)]
        write_model(
            folder,
            system=SYSTEM,
            model=trained.vetter,
            config=options,
            data_files=_files(data, options),
            metrics=report.as_json(),
            preprocessing=_card_of(trained),
            history=trained.history,
            citation=config.CITATION,
        )
        report.files = [out / name for name in ("model.safetensors", "card.json", "history.csv", *names)]
    return report


def evaluate(run: Path, data: Path, options: config.Evaluate) -> Report:
    """Score a run on labelled `data`: all rows, and those on stars that the run was not trained on."""
    vetter, everything = _restored(run), load(data, dataclasses.replace(options, split=None))
    positive = options.positive or vetter.meaning.positive_labels
    vetter = _with_positive(run, vetter, positive)
    signals = labelled(_in_split(everything, options.split))
    truth = np.isin(signals.labels, positive)
    p = _for_population(run, vetter, options.planet_fraction).score(signals).p
    rows = np.load(run / ROWS, allow_pickle=False)
    baseline = _refitted_trees(vetter, everything, signals, rows["digest"], positive) if options.baseline else None
    new = ~np.isin(signals.groups.astype(str), rows["star"])
    subsets = {"all rows": np.ones(len(signals), bool)}
    if 0 < new.sum() < len(new) and 0 < truth[new].sum() < new.sum():
        subsets["new stars"] = new
    report = Report(f"{run.name} on {data.name}{f', split {options.split}' if options.split else ''}: "
                    f"{'+'.join(positive)} among {len(signals)} rows")  # fmt: skip
    for name, chosen in subsets.items():
        table = scores.score_table(
            truth[chosen], p[chosen], signals.groups[chosen], None if baseline is None else baseline[chosen],
            resamples=options.resamples,
        )  # fmt: skip
        title = f"{name}: {chosen.sum()} rows, {truth[chosen].sum()} positive, {len(set(signals.groups[chosen]))} stars"
        report.tables[title] = table
        report.values |= scores.score_values("" if name == "all rows" else "new_", table)
    report.values |= {"rows": len(signals), "positive": "+".join(positive)}
    if len(subsets) == 1:
        seen = "no" if new.all() else "every"
        report.notes.append(f"{seen.capitalize()} star was among the training stars.")
    if options.baseline and baseline is None:
        report.notes.append("DATA holds none of the training rows, so no baseline was fitted.")
    return report


def predict(run: Path, data: Path, options: config.Predict) -> Table:
    """Probability, spread, class and flag of every row of `data`, after its identities."""
    vetter = _for_population(run, _restored(run), options.planet_fraction)
    signals = _seen_by(vetter, load(data, options, vetter.meaning.inputs))
    return _scored(run, vetter, data, signals, options)


def _scored(run: Path, vetter: Vetter, data: Path, signals: Signals, options: config.Predict) -> Table:
    scored = vetter.score(signals)
    table = prediction_table(vetter, signals, scored)
    at = table.index_column("class") + 1
    if options.coverage is not None:
        sets = stats.label_sets(*_calibration_rows(run), level=options.coverage)(scored.labels)
        table.add_column(["|".join(np.array(vetter.meaning.classes)[s]) for s in np.asarray(sets)], at, "labels")
    if options.period_error or options.t0_error:
        table.add_column(_spread_of_ephemeris(vetter, data, options, signals), at - 1, "p_ephemeris_std")
    return table


def explain(run: Path, data: Path, out: Path, options: config.Explain) -> Report:
    """A ranked table with every branch's contribution, and report pages of the first rows, in the directory `out`."""
    vetter = _for_population(run, _restored(run), options.planet_fraction)
    signals = _seen_by(vetter, load(data, options, vetter.meaning.inputs))
    table = _scored(run, vetter, data, signals, options)
    contributions = pages.contributions(vetter, signals)
    for i, branch in enumerate(vetter.members.branches):
        table[f"from_{branch}"] = contributions[:, i]
    p = np.asarray(table["p_" + "+".join(vetter.meaning.positive)])
    order = np.argsort(-np.nan_to_num(p, nan=-1.0), kind="stable")
    with stage_directory(out, overwrite=options.overwrite) as folder:
        table[order].write(folder / "ranked.ecsv", format="ascii.ecsv")
        names = ["ranked.ecsv"]
        for rank, row in enumerate(order[: options.pages], start=1):
            name = f"page_{rank:03d}.{options.format}"
            if signals.flags[row] == "":
                pages.write_page(folder / name, vetter, signals, int(row), table[row], contributions[row])
                names.append(name)
    return Report(
        f"{len(signals)} signals explained", files=[out / name for name in names],
        values={"rows": len(signals), "pages": len(names) - 1},
    )  # fmt: skip


def check(data: Path, options: config.Check) -> Report:
    """What `data` was understood to be, and the rows that cannot be scored."""
    signals = load(data, options)
    labels, counts = np.unique(signals.labels, return_counts=True)
    examples, known = signals.examples, signals.examples.scalar_present
    views = [
        {
            "view": name,
            "bins": view.shape[1],
            "channels": view.shape[2],
            "present": int(examples.view_present[name].sum()),
        }
        for name, view in examples.views.items()
    ]
    scalars = [
        {"scalar": name, "known": int(known[:, i].sum()), "median": float(np.median(examples.scalars[known[:, i], i]))}
        for i, name in enumerate(signals.scalar_names)
        if known[:, i].any()
    ]
    bad = [{"row": int(i), "flag": str(signals.flags[i])} for i in np.flatnonzero(signals.flags != "")]
    odd = [{"row": int(i), "remark": str(signals.remarks[i])} for i in np.flatnonzero(signals.remarks != "")]
    return Report(
        f"{data}: {len(signals)} signals on {len(set(signals.groups))} stars, views '{signals.recipe.kind}'",
        tables={
            "labels": [{"label": str(x) or "(none)", "rows": int(n)} for x, n in zip(labels, counts, strict=True)],
            "views": views, "scalars": scalars, "rows that cannot be scored": bad, "odd rows": odd,
        },
        values={"rows": len(signals), "flagged": len(bad), "recipe": signals.recipe.kind},
        notes=list(signals.notes),
    )  # fmt: skip


def restore(card: dict[str, Any]) -> Vetter:
    """The ensemble that a model card describes, with shapes where the weights will be."""
    options = build_options(config.Train, card["config"])
    meaning = _meaning_of(card["preprocessing"])
    layout = meaning.inputs.layout
    count = card["preprocessing"]["members"]
    scaler = Scaler.plain(layout.scalars)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), count))
    members = eqx.filter_eval_shape(
        eqx.filter_vmap(lambda key: training.build(layout, len(meaning.classes), options, scaler, key)), keys
    )
    kind = {"temperature": stats.Temperature, "platt": stats.Platt, "beta": stats.Beta, "isotonic": stats.Isotonic}
    shape = (card["preprocessing"]["knots"],) if options.calibration == "isotonic" else ()
    fields = dataclasses.fields(kind[options.calibration])
    calibrator = kind[options.calibration](*(jnp.zeros(shape, jnp.float32) for _ in fields))
    return Vetter(eqx.nn.inference_mode(members), calibrator, meaning)


def load(data: Path, options: config.Data, inputs: Inputs | None = None) -> Signals:
    """The signals of `data` in the split that the options name; with `period`, the one signal of a light curve.

    Raises:
        InputError: `data` cannot be read, or has no such split.
    """
    recipe = None if inputs is None else inputs.recipe
    if isinstance(options, config.Predict) and any(
        x is not None for x in (options.period, options.t0, options.duration)
    ):
        return one_signal(data, options, recipe)
    optional = {"table": options.table, "light_curves": options.light_curves, "recipe": recipe}
    signals = read(
        data,
        label_column=options.label_column,
        group_column=options.group_column,
        duration_unit=options.duration_unit,
        time_system=options.time_system,
        **{name: value for name, value in optional.items() if value is not None},
    )
    return _in_split(signals, options.split)


def one_signal(data: Path, options: config.Predict, recipe: Recipe | None) -> Signals:
    """The signal in the light curve `data` that the ephemeris of the options describes.

    Raises:
        InputError: a part of the ephemeris is missing or not positive.
    """
    curve, ephemeris = _curve_and_ephemeris(data, options)
    return signals_from_curves([curve], [ephemeris], recipe=recipe, table=Table({"object": [data.name]}))


def _curve_and_ephemeris(data: Path, options: config.Predict) -> tuple[LightCurve, Ephemeris]:
    missing = [f"--{name}" for name in ("period", "t0", "duration") if getattr(options, name) is None]
    if missing or options.period is None or options.t0 is None or options.duration is None:
        raise InputError(f"A signal in a light curve needs {', '.join(missing)} as well.")
    curve = read_light_curve(data, time_system=options.time_system)
    hours = options.duration * {"auto": 1.0, "hours": 1.0, "days": 24.0, "minutes": 1 / 60}[options.duration_unit]
    return curve, Ephemeris(options.period, _bjd(options.t0, curve, options.time_system), hours / 24)


def _spread_of_ephemeris(vetter: Vetter, data: Path, options: config.Predict, signals: Signals) -> list[float]:
    """The standard deviation of the score over 200 ephemerides within their errors; NaN for a row with a flag."""
    if options.period is None:
        raise InputError("--period-error and --t0-error are for one light curve; give --period, --t0 and --duration.")
    if signals.flags[0]:
        return [np.nan]
    score = score_of_change(vetter, *_curve_and_ephemeris(data, options), signals)
    draws = np.random.default_rng(0).normal(size=(2, 200))
    return [float(scores_of_samples(score, options.period_error * draws[0], options.t0_error * draws[1]).std())]


def _bjd(t0: float, curve: LightCurve, time_system: str) -> float:
    """An epoch in BJD; `auto` takes the light curve's own system, else the only one that puts it within ten years."""
    if time_system == "auto" and curve.offset and t0 < curve.offset:
        return t0 + curve.offset
    near = [days for days in OFFSETS.values() if abs(t0 + days - np.median(curve.time)) < 3650]
    guess = near[0] if time_system == "auto" and len(near) == 1 else None
    return t0 + offset(np.array([t0]), time_system, guess, f"--t0 {t0}")


def labelled(signals: Signals, *, views: bool = False) -> Signals:
    """The signals that have a label and can be scored.

    Args:
        signals: as read.
        views: leave out rows without any view where others have some: who has no light curve tells the label.

    Raises:
        InputError: none is left.
    """
    good = (signals.labels != "") & (signals.flags == "")
    seen = np.any([np.zeros(len(signals), bool), *signals.examples.view_present.values()], axis=0)
    if views and (good & seen).any() and (lost := int((good & ~seen).sum())):
        good &= seen
        note = f"{lost} rows without any view are not trained on; --use scalars takes them all."
        signals = dataclasses.replace(signals, notes=(*signals.notes, note))
    if not good.any():
        raise InputError("No row has both a label and a usable view; name the column with --label-column.")
    return signals.take(good)


def _seen_by(vetter: Vetter, signals: Signals) -> Signals:
    """The signals, flagged where the ensemble knows nothing of them: neither a view nor a scalar that it uses."""
    inputs, example = vetter.meaning.inputs, signals.examples
    views = [present for name, present in example.view_present.items() if name in inputs.views]
    scalars = example.scalar_present[:, np.isin(signals.scalar_names, inputs.scalar_names)]
    known = np.any([*views, scalars.any(1)], axis=0)
    unknown = (signals.flags == "") & ~known
    return dataclasses.replace(signals, flags=np.where(unknown, "nothing that the model uses is known", signals.flags))


def row_digests(signals: Signals) -> np.ndarray:
    """64 bits of every row's star, views and scalars, by which a row is known again."""
    parts = [np.asarray(view, np.float32).reshape(len(signals), -1) for view in signals.examples.views.values()]
    numbers = np.concatenate([*parts, signals.examples.scalars.astype(np.float32)], axis=1)
    words = [str(star).encode() + row.tobytes() for star, row in zip(signals.groups, numbers, strict=True)]
    return np.array([int.from_bytes(hashlib.blake2b(w, digest_size=8).digest()) for w in words], np.uint64)


def _in_split(signals: Signals, split: str | None) -> Signals:
    if split is None:
        return signals
    there = sorted(set(signals.split))
    if split not in there:
        found = ", ".join(name for name in there if name) or "none"
        raise InputError(f"Split '{split}' is not in the data; its splits are: {found}.")
    return signals.take(signals.split == split)


def _restored(run: Path) -> Vetter:
    card = read_card(run, system=SYSTEM)
    return read_model(run, restore(card))


def _with_positive(run: Path, vetter: Vetter, positive: tuple[str, ...]) -> Vetter:
    """The ensemble asked another question than it was trained for, calibrated for it on the run's held-out rows."""
    meaning = vetter.meaning
    if set(positive) == set(meaning.positive_labels):
        return vetter
    if unknown := [name for name in positive if name not in meaning.classes]:
        raise InputError(f"Label '{unknown[0]}' is unknown to the run; it has {', '.join(meaning.classes)}.")
    labels, number = _calibration_rows(run)
    chosen = np.isin(meaning.classes, positive)
    method = getattr(stats, type(vetter.calibrator).__name__.lower())
    calibrator = jax.tree.map(jnp.float32, method(labels[:, chosen].sum(1), chosen[number]))
    changed = dataclasses.replace(meaning, positive=positive, fraction=float(chosen[number].mean()))
    return Vetter(vetter.members, calibrator, changed)


def _for_population(run: Path, vetter: Vetter, fraction: float | None) -> Vetter:
    """The ensemble for a population with that fraction of positives: its probabilities and its decision thresholds.

    Raises:
        InputError: the fraction does not lie between 0 and 1.
    """
    if fraction is None:
        return vetter
    if not 0 < fraction < 1:
        raise InputError(f"--planet-fraction is {fraction}; it must lie between 0 and 1.")
    meaning, (labels, number) = vetter.meaning, _calibration_rows(run)
    chosen = np.isin(meaning.classes, meaning.positive)
    truth, old = chosen[number], meaning.fraction
    calibrator = stats.Shifted(vetter.calibrator, old, fraction)
    p = np.asarray(calibrator(labels[:, chosen].sum(1)), float)
    weight = np.where(truth, fraction / old, (1 - fraction) / (1 - old))
    limits = training.thresholds(truth, p, weight)
    return Vetter(vetter.members, calibrator, dataclasses.replace(meaning, fraction=fraction, thresholds=limits))


def prediction_table(vetter: Vetter, signals: Signals, scored: Scored) -> Table:
    """Identities, calibrated probability, spread, class and flag of every signal, as `predict` gives them."""
    table = signals.table.copy()
    table["p_" + "+".join(vetter.meaning.positive)] = scored.p
    table["p_std"] = scored.std
    table["class"] = decide(scored.p, vetter.meaning.thresholds)
    table["flag"] = signals.flags.astype(str)
    return table


def _calibration_rows(run: Path) -> tuple[np.ndarray, np.ndarray]:
    """Held-out probabilities of every label and the number of the true one, from a run's own predictions."""
    table = Table.read(run / PREDICTIONS, format="ascii.ecsv")
    names = [name.removeprefix("label_") for name in table.colnames if name.startswith("label_")]
    number = {part: i for i, name in enumerate(names) for part in name.split(JOINED)}
    truth = np.array([number.get(str(label), number.get(OTHER, -1)) for label in table["label"]])
    return np.stack([table[f"label_{name}"] for name in names], axis=1), truth


def _refitted_trees(vetter, everything: Signals, signals: Signals, digests: np.ndarray, positive) -> np.ndarray | None:
    """Boosted trees fitted on those rows that the run was trained on, applied to `signals`."""
    seen = np.isin(row_digests(everything), digests) & (everything.labels != "")
    rows = everything.take(seen)
    truth = np.isin(rows.labels, positive)
    if not seen.any() or truth.all() or not truth.any():
        return None
    inputs = vetter.meaning.inputs
    trees = scores.boosted_trees(scores.tree_features(rows, inputs), truth)
    return trees.predict_proba(scores.tree_features(signals, inputs))[:, 1]


def _training_report(signals, trained: Trained, truth, baseline, options: config.Train, source: str) -> Report:
    table = scores.score_table(truth, trained.probability, signals.groups, baseline, resamples=400)
    meaning = trained.vetter.meaning
    outer = f"{options.outer_folds} outer folds x " if options.outer_folds else ""
    title = f"held-out rows of {outer}{options.members} star-grouped folds, beside boosted trees on the same folds"
    return Report(
        f"{'+'.join(meaning.positive)} among {len(signals)} {source} signals on {len(set(signals.groups))} stars, "
        f"seed {options.seed}",
        tables={title if baseline is not None else title.split(",")[0]: table},
        values=scores.score_values("", table) | {"rows": len(signals), "positive": "+".join(meaning.positive)},
        notes=list(signals.notes),
    )


def _predictions(signals: Signals, trained: Trained, baseline: np.ndarray | None) -> Table:
    """Every training row as it was scored by members that never saw it."""
    meaning = trained.vetter.meaning
    table = signals.table.copy()
    table["label"] = signals.labels
    table["fold"] = trained.folds.quoted
    table["p_" + "+".join(meaning.positive)] = trained.probability
    table["class"] = decide(trained.probability, meaning.thresholds)
    for i, label in enumerate(meaning.classes):
        table[f"label_{label}"] = trained.labels[:, i]
    if baseline is not None:
        table["p_trees"] = baseline
    table["flag"] = signals.flags.astype(str)
    return table


def _card_of(trained: Trained) -> dict[str, Any]:
    meaning = trained.vetter.meaning
    calibrator = trained.vetter.calibrator
    return {
        "inputs": meaning.inputs.as_dict(),
        "classes": list(meaning.classes),
        "positive": list(meaning.positive),
        "fraction": meaning.fraction,
        "thresholds": meaning.thresholds,
        "members": len(trained.folds.rows),
        "knots": len(calibrator.probability) if isinstance(calibrator, stats.Isotonic) else 0,
        "folds": {"count": int(trained.folds.quoted.max()) + 1, "grouped_by": "star and exact copies"},
    }


def _meaning_of(card: dict[str, Any]) -> Meaning:
    never = {"validated": np.inf, "likely": np.inf, "unlikely": -np.inf, "rejected": -np.inf}
    limits = {name: never[name] if value is None else value for name, value in card["thresholds"].items()}
    inputs = Inputs.from_dict(card["inputs"])
    return Meaning(inputs, tuple(card["classes"]), tuple(card["positive"]), card["fraction"], limits)


def _files(data: Path | None, options: config.Train) -> list[Path]:
    files = [] if data is None else sorted(data.iterdir()) if data.is_dir() else [data]
    return [path for path in [*files, *([options.table] if options.table else [])] if path.is_file()]
