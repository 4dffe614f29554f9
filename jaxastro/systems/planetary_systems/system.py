"""The verbs of the planetary-systems system: one plain function each."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy.table import Table

from jaxastro.errors import InputError
from jaxastro.io import partial, read_card, read_model, refuse_existing, stage_directory, write_model
from jaxastro.options import build
from jaxastro.plots import save
from jaxastro.report import Report
from jaxastro.stats import interval
from jaxastro.systems.planetary_systems import config
from jaxastro.systems.planetary_systems.compare import choose, compare, giants_by_metallicity
from jaxastro.systems.planetary_systems.complete import complete as complete_star
from jaxastro.systems.planetary_systems.complete import has_planet_in
from jaxastro.systems.planetary_systems.data import read_planets
from jaxastro.systems.planetary_systems.examples import left_out, to_systems, within_reach
from jaxastro.systems.planetary_systems.figures import completion_figure, shapley_figure
from jaxastro.systems.planetary_systems.interpret import attention, gradients, shapley
from jaxastro.systems.planetary_systems.layout import CONTEXT, PLANETS, System
from jaxastro.systems.planetary_systems.model import Generator
from jaxastro.systems.planetary_systems.null import null_nll
from jaxastro.systems.planetary_systems.observation import observe
from jaxastro.systems.planetary_systems.planets import Planets, find_host
from jaxastro.systems.planetary_systems.sampling import sample as draw
from jaxastro.systems.planetary_systems.simulate import PodSim, as_table
from jaxastro.systems.planetary_systems.stars import complete_stars, known_planets, write_draws
from jaxastro.systems.planetary_systems.training import alone, fold_of, pooled, template, train_models, without_context

NAME = "planetary_systems"


def simulate(out: Path, options: config.Simulate) -> Report:
    """Systems of PodSim as one row per planet in `out/planets.csv`."""
    systems = PodSim().sample(jax.random.key(options.seed), options.n)
    nll = -float(jax.jit(jax.vmap(PodSim().log_prob))(systems).sum() / systems.mask.sum())
    with stage_directory(out, overwrite=options.overwrite) as folder:
        as_table(systems).write(folder / "planets.csv", format="ascii.csv")
    return Report(
        f"{options.n} systems of PodSim (seed {options.seed})",
        values={"systems": options.n, "planets": int(systems.mask.sum()), "exact_nll": nll},
        notes=[f"The exact density of these systems is {nll:.4f} nats per planet; no model can do better on average."],
        files=[Path(out) / "planets.csv"],
    )


def read(data: Path, options: config.Data) -> tuple[System, Table, list[str]]:
    """The systems of a table, their identities, and notes on what was understood."""
    planets = _planets(data, options)
    systems, names = to_systems(planets)
    notes, absent = list(planets.notes), left_out(planets)
    if absent:
        notes.append(f"{absent} systems with a planet of unknown mass were left out.")
    return systems, names, notes


def train(data: Path | None, out: Path, options: config.Train) -> Report:
    """A trained model in the directory `out`, with its out-of-fold scores and predictions."""
    refuse_existing(out, overwrite=options.overwrite)
    if data is None:
        systems = within_reach(PodSim().sample(jax.random.key(options.seed), options.simulated))
        names, notes = Table({"hostname": np.arange(1, len(systems.mask) + 1)}), ["Trained on PodSim systems."]
    else:
        systems, names, notes = read(data, options)
    if len(systems.mask) < 20:
        raise InputError(f"{data}: found {len(systems.mask)} complete systems; training needs 20 at least.")
    k = options.folds
    fold = fold_of(list(names["hostname"]), k) if k else np.full(len(systems.mask), -1)
    models, history = train_models(systems, fold, range(k + 1), options, checkpoint=partial(out))
    report = Report(f"Trained on {len(systems.mask)} systems with {int(systems.mask.sum())} planets", notes=notes)
    rows = names
    if options.folds:
        rows = out_of_fold(systems, names, fold, dict(enumerate(models[:-1])), options, report)
    with stage_directory(out, overwrite=options.overwrite) as folder:
        write_model(
            folder,
            system=NAME,
            model=models[-1],
            config=options,
            data_files=[] if data is None else [data, *([options.discs] if options.discs else [])],
            metrics=report.as_json(),
            preprocessing=preprocessing(models[-1]),
            history=history,
            citation=config.CITATION,
        )
        if options.folds:
            rows.write(folder / "predictions.ecsv", format="ascii.ecsv")
    report.files.append(Path(out))
    return report


def out_of_fold(
    systems: System, names: Table, fold: np.ndarray, models: dict[int, Any], options: config.Train, report: Report
) -> Table:
    """Scores every system by the model that has not seen it; fills the report and gives the predictions.

    Args:
        systems: all systems.
        names: their identities.
        fold: the fold of each.
        models: the model of each fold; systems of other folds are left out.
        options: the configuration.
        report: gets the table and the values.
    """
    total, each = len(systems.mask), -(-options.compare // len(models))
    sums = {name: np.zeros(total) for name in ("nll", "nll_single", "nll_radius", "nll_conditional", "null")}
    drawn = []
    for f, model in models.items():
        here = np.flatnonzero(fold == f)
        held = choose(systems, here)
        hidden, shown = scores(model, without_context(held)), scores(model, held)
        for name, source in (("nll", "nll"), ("nll_single", "nll_single"), ("nll_radius", "radius")):
            sums[name][here] = hidden[source]
        sums["nll_conditional"][here] = shown["nll"]
        sums["null"][here] = null_nll(choose(systems, np.flatnonzero(fold != f)), held)
        drawn.append(draw(model, jax.random.fold_in(jax.random.key(options.seed), f), each))
    made = jax.tree.map(lambda *a: jnp.concatenate(a), *drawn)
    scored = np.flatnonzero(np.isin(fold, list(models)))
    real, sums = choose(systems, scored), {name: values[scored] for name, values in sums.items()}
    number = np.asarray(real.mask.sum(-1))
    rows, values = [], {}

    def add(name: str, total: np.ndarray, baseline: float | None) -> None:
        score = interval(per_planet, total, number, n=1000)
        rows.append(score.as_row(name, baseline))
        values.update({name: score.value, f"{name}_low": score.low, f"{name}_high": score.high})

    add("nll", sums["nll"], per_planet(sums["null"], number))
    add("nll_single", sums["nll_single"], per_planet(sums["null"], number))
    add("nll_radius", sums["nll_radius"], None)
    if np.asarray(systems.has_context).any():
        add("nll_conditional", sums["nll_conditional"], values["nll"])
        add("nll_gain", sums["nll_conditional"] - sums["nll"], 0.0)
    table, more = compare(real, made.system, n=options.compare, seed=options.seed)
    report.tables["out of fold"] = rows + table
    report.values.update(values | more | {"truncated": int(np.asarray(made.truncated).sum()), "systems": len(number)})
    out = names[scored]
    out["fold"], out["log_density"] = fold[scored], -sums["nll"]
    out["log_density_per_planet"] = -sums["nll"] / number
    out["flag"] = np.full(len(number), "", dtype="U1")
    return out


def per_planet(nll: np.ndarray, number: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Summed over systems, divided by planets."""
    weight = np.ones(len(nll)) if weight is None else weight
    return float((weight * nll).sum() / (weight * number).sum())


BLOCK = 64
"""Systems scored by one call of one compiled program."""


@eqx.filter_jit
def _terms(model: Any, systems: System):
    """Terms of the pooled density and of each member alone."""

    def one(system: System):
        say = [member.predictions(system) for member in model.members]
        return model.score(system, say), [model.score(system, [s]) for s in say]

    return jax.vmap(one)(systems)


def scores(model: Any, systems: System) -> dict[str, np.ndarray]:
    """Negative log density of each system in (log10 a, log10 M), of its radii apart, of each planet, and by member."""
    systems, n = alone(systems), len(systems.mask)
    padded = jax.tree.map(lambda a: jnp.concatenate([a, jnp.repeat(a[:1], -n % BLOCK, axis=0)]), systems)
    blocks = [_terms(model, choose(padded, np.arange(i, i + BLOCK))) for i in range(0, n, BLOCK)]
    pooled, single = jax.tree.map(lambda *a: np.concatenate(a)[:n], *blocks)
    total = lambda terms: -(terms.kind.sum(-1) + terms.log_a.sum(-1) + terms.log_mass.sum(-1))  # noqa: E731
    return {
        "nll": total(pooled),
        "nll_single": np.mean([total(terms) for terms in single], axis=0),
        "radius": -pooled.log_radius.sum(-1),
        "planet": -(pooled.kind[:, :-1] + pooled.log_a + pooled.log_mass),
    }


def evaluate(run: Path, data: Path, options: config.Evaluate) -> Report:
    """Exact density and two-sample tests of a model on DATA, without and with star and disc."""
    model, (systems, _, notes) = load(run), read(data, options)
    number = np.asarray(systems.mask.sum(-1))
    hidden = scores(model, without_context(systems))
    null = per_planet(null_nll(systems, systems), number)
    rows, values = [], {}
    kinds = {"nll": hidden["nll"], "nll_radius": hidden["radius"]}
    if np.asarray(systems.has_context).any():
        kinds["nll_conditional"] = scores(model, systems)["nll"]
    for name, sums in kinds.items():
        score = interval(per_planet, sums, number, n=1000)
        rows.append(score.as_row(name, null if name == "nll" else None))
        values.update({name: score.value, f"{name}_low": score.low, f"{name}_high": score.high})
    made = draw(model, jax.random.key(options.seed), max(options.compare, 200))
    table, more = compare(systems, made.system, n=options.compare, seed=options.seed)
    values |= more | {"systems": len(number), "truncated": int(np.asarray(made.truncated).sum())}
    tables = {"scores": rows + table}
    if np.asarray(systems.has_context[:, 1]).any():
        repeat = -(-2000 // len(number))
        many = jax.tree.map(lambda a: jnp.repeat(a, repeat, axis=0), (systems.context, systems.has_context))
        conditional = draw(model, jax.random.key(options.seed + 1), len(many[0]), context=many[0], has_context=many[1])
        tables["giants"] = giants_by_metallicity(systems, conditional.system)
    notes.append("Systems that the model was trained on score too well; out-of-fold scores stand in the model's card.")
    return Report(f"{run} on {data}: {len(number)} systems", tables=tables, values=values, notes=notes)


def predict(run: Path, data: Path, options: config.Predict) -> Table:
    """One row per system: its log density, also per planet, and its most surprising planet (counted from the star)."""
    model, (systems, names, _) = load(run), read(data, options)
    score, number = scores(model, systems), np.asarray(systems.mask.sum(-1))
    table = names.copy()
    table["log_density"] = -score["nll"]
    table["log_density_per_planet"] = -score["nll"] / number
    table["surprising_planet"] = 1 + np.where(np.asarray(systems.mask), score["planet"], -np.inf).argmax(-1)
    table["flag"] = np.where(np.isfinite(score["nll"]), "", "outside the model's range")
    return table


def sample(run: Path, options: config.Sample) -> Table:
    """Systems drawn from a model, one row per planet under the names of the NASA Exoplanet Archive."""
    given = [options.star_mass, options.metallicity, options.disc_mass, options.inner_edge, options.wind]
    for name, value in zip(CONTEXT, given, strict=True):
        if name != "metallicity" and value is not None and value <= 0:
            raise InputError(f"{name.removeprefix('log_')} is {value:g}; expected a positive number.")
    if options.temperature <= 0:
        raise InputError(f"temperature is {options.temperature:g}; expected a positive number.")
    if not 0 < options.top_p <= 1:
        raise InputError(f"top_p is {options.top_p:g}; expected a probability above 0 and at most 1.")
    log = [
        math.log10(v) if v is not None and name != "metallicity" else v for name, v in zip(CONTEXT, given, strict=True)
    ]
    draws = draw(
        load(run),
        jax.random.key(options.seed),
        options.n,
        context=jnp.array([v or 0.0 for v in log]),
        has_context=jnp.array([v is not None for v in log]),
        temperature=options.temperature,
        top_p=options.top_p,
    )
    table = as_table(draws.system)
    table.meta.update(truncated=int(np.asarray(draws.truncated).sum()), seed=options.seed)  # pyright: ignore
    return table


def complete(run: Path, data: Path, options: config.Complete) -> Table:
    """One row per star of DATA: how many other planets it has, where, how heavy, and whether one is Earth-like."""
    card, planets = read_card(run, system=NAME), _planets(data, options)
    model, varying = _continuous(run), np.asarray(card["preprocessing"]["context_sd"])
    population = draw(model, jax.random.key(options.seed), 1000).system
    table, draws = complete_stars(model, planets, options, population=population, varying=varying)
    if options.draws:
        write_draws(options.draws, planets, draws, options)
    if options.figure:
        host, (observation, completion) = next(iter(draws.items()))
        letters = list(known_planets(planets, host, options.known).letter)
        save(completion_figure(host, observation, letters, completion), options.figure)
    table.meta.update(seed=options.seed, draws=options.n, notes=list(planets.notes))  # pyright: ignore
    return table


def explain(run: Path, data: Path, out: Path, options: config.Explain) -> Report:
    """Shapley values, gradients, attention: which known planet says that an Earth-like one or others are there."""
    planets, model = _planets(data, options), _continuous(run)
    hosts = planets.hosts()
    several = (host for host in hosts if (planets.system == host).sum() > 1)
    host = find_host(planets, options.host) if options.host else next(several, hosts[0])
    mine = known_planets(planets, host, "")
    observation = observe(mine, host)
    observation = observation._replace(has_context=jnp.zeros_like(observation.has_context))
    key = jax.random.key(options.seed)
    completion = complete_star(model, observation, key=key, n=options.n)
    questions = {
        "Earth-like planet": (lambda c: c.earth_like(), has_planet_in(completion.system)),
        "number of other planets": (lambda c: c.mean(c.hidden.sum(-1)), completion.hidden.sum(-1)),
    }
    size = len(observation.present)
    looks = np.asarray(attention(model, completion, size))
    rows, report = [], Report(f"{run} on {host}: what its {len(mine)} known planets say of the others")
    with stage_directory(out, overwrite=options.overwrite) as folder:
        for name, (value, per_draw) in questions.items():
            moves, base, full = shapley(model, observation, key=key, n=options.n, value=value)
            slope = np.asarray(gradients(model, completion, per_draw.astype(float), size))
            for i, letter in enumerate(mine.letter):
                row = {"question": name, "planet": letter, "shapley": float(moves[i])}
                row |= {"per_dex_a": float(slope[i, 0]), "per_dex_mass": float(slope[i, 1])}
                rows.append(row | {"attention": float(looks[i])})
            report.values[name] = {"nothing known": base, "all known": full}
            file = f"{name.lower().replace(' ', '_').replace('-', '_')}.png"
            save(shapley_figure(list(mine.letter), moves, base, name), folder / file)
            report.files.append(Path(out) / file)
        save(completion_figure(host, observation, list(mine.letter), completion), folder / "others.png")
    report.files.append(Path(out) / "others.png")
    report.tables["known planets"] = rows
    report.notes.append(f"{float(completion.ess):.0f} effective draws of {options.n}.")
    return report


def _planets(data: Path, options: config.Data) -> Planets:
    units = {name: getattr(options, f"{name}_unit") for name in ("a", "period", "mass", "radius")}
    given = {name: value for name, value in units.items() if value}
    return read_planets(data, units=given, discs=options.discs, split=options.split)


def _continuous(run: Path) -> Any:
    """The model of a run that can complete systems."""
    model = load(run)
    if not isinstance(model, Generator):
        raise InputError(f"{run}: a model of the 'paper' preset cannot be conditioned; train the default preset.")
    return model


def check(data: Path, options: config.Check) -> Report:
    """What was understood of a table of planets."""
    planets = _planets(data, options)
    hosts, notes, absent = planets.hosts(), list(planets.notes), left_out(planets)
    if absent:
        notes.append(f"{absent} systems have a planet of unknown true mass: they can be completed, not trained on.")
    longest, size = Counter(planets.system).most_common(1)[0]
    if size > PLANETS:
        notes.append(f"System '{longest}' has {size} planets; {PLANETS} fit.")
    known = {name: int(np.isfinite(getattr(planets, name).value).sum()) for name in ("a", "mass", "msini", "radius")}
    rows = [{"quantity": name, "planets": n, "column": planets.used.get(name, "")} for name, n in known.items()]
    values = {"systems": len(hosts), "planets": len(planets), "incomplete": absent}
    return Report(f"{data}: {len(planets)} planets of {len(hosts)} stars", {"understood": rows}, values, notes)


def load(run: Path) -> Any:
    """The model of a run, ready for use."""
    return read_model(run, restore(read_card(run, system=NAME)))


def restore(card: dict) -> Any:
    """The model that a card describes, its arrays still to be filled."""
    options, prep = build(config.Train, card["config"]), card["preprocessing"]
    scale = tuple(prep["context_mean"]), tuple(prep["context_sd"])
    make = lambda key: template(options, scale, key)  # noqa: E731
    member = eqx.filter_eval_shape(make, jax.random.key(0))
    return pooled([member] * options.members)


def preprocessing(model: Any) -> dict[str, Any]:
    """Constants that a model needs besides its weights."""
    member = model.members[0]
    names = ("context_mean", "context_sd")
    return {"context": CONTEXT, **{name: getattr(member, name, (0.0,) * len(CONTEXT)) for name in names}}
