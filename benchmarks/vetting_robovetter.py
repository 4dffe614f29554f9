"""Completeness, effectiveness and reliability of the Kepler Robovetter from its published verdicts, and by period.

    JAXASTRO_DATA=... python benchmarks/vetting_robovetter.py

Overall from the injected, inverted and scrambled tables; by period and depth for the supplemental table, the only one
of them whose metrics are there, and for this library's own ensemble on simulated signals. Writes
results/vetting_robovetter.json.
"""

import json
import os
from pathlib import Path

import numpy as np

from jaxastro.io.archive_table import read_archive_table
from jaxastro.systems.vetting import config
from jaxastro.systems.vetting.bookkeeping import (
    Vetted,
    completeness,
    effectiveness,
    rates,
    read_robovetter,
    reliability,
)
from jaxastro.systems.vetting.columns import numbers
from jaxastro.systems.vetting.simulate import simulated_signals
from jaxastro.systems.vetting.training import train_ensemble

RESULTS = Path(__file__).parent / "results"
FOLDER = Path(os.environ.get("JAXASTRO_DATA", ".")) / "vetting/kepler_dr25_robovetter"
PUBLISHED = {"completeness": 0.852, "effectiveness inv": 0.9951, "effectiveness scr1": 0.9716, "reliability inv": 0.965}


def verdicts(name: str) -> Vetted:
    """The verdicts of one table."""
    return Vetted(np.asarray(read_robovetter(FOLDER / f"kplr_dr25_{name}_robovetter_output.txt.gz")["passed"]))


def supplemental() -> Vetted:
    """The supplemental table with the period and depth of every signal."""
    table = read_robovetter(FOLDER / "kplr_dr25_sup_robovetter_output.txt.gz")
    metrics = read_archive_table(FOLDER / "kplr_dr25_sup_robovetter_input.txt.gz")
    row = {str(tce).strip(): i for i, tce in enumerate(metrics["TCE_ID"])}
    rows = [row[str(tce)] for tce in table["tce"]]
    columns = {}
    for name, column in (("period_day", "period"), ("depth_ppm", "depth")):
        values = numbers(np.asarray(metrics[column]))
        assert values is not None
        columns[name] = values[rows]
    return Vetted(np.asarray(table["passed"]), columns)


def simulated() -> tuple[Vetted, Vetted, Vetted]:
    """Planets, false positives, and both, judged at a probability of .5 by members that held their stars out."""
    signals = simulated_signals(4000, seed=3)
    trained = train_ensemble(signals, config.Train(members=3, epochs=20, seed=3))
    columns = {n: signals.examples.scalars[:, signals.scalar_names.index(n)] for n in ("period_day", "depth_ppm")}
    every = Vetted(trained.probability > 0.5, columns)
    planet = signals.labels == "PC"
    pick = lambda keep: Vetted(every.passed[keep], {n: c[keep] for n, c in columns.items()})  # noqa: E731
    return pick(planet), pick(~planet), every


def main() -> None:
    observed = verdicts("obs")
    rows = [completeness(verdicts("inj1")).as_row("completeness", PUBLISHED["completeness"])]
    for name in ("inv", "scr1", "scr2", "scr3"):
        alarms = verdicts(name)
        rows.append(effectiveness(alarms).as_row(f"effectiveness {name}", PUBLISHED.get(f"effectiveness {name}")))
        rows.append(
            reliability(observed, alarms).as_row(f"reliability {name}", PUBLISHED.get(f"reliability {name}"))
        )  # fmt: skip
    sup = supplemental()
    edges = {"period_day": np.array([0.5, 10, 100, 1000]), "depth_ppm": np.array([0, 500, 1e9])}
    by_period = rates(edges, injected=sup)
    by_period.rename_columns(by_period.colnames, [n.replace("completeness", "passed") for n in by_period.colnames])
    planets, others, every = simulated()
    edges = {"period_day": np.array([1.0, 2, 4, 8]), "depth_ppm": np.array([0, 2500, 1e9])}
    ours = rates(edges, injected=planets, false_alarms=others, observed=every)
    for table in (by_period, ours):
        for name in table.colnames:
            table[name] = np.round(np.asarray(table[name], float), 4)
        print(table)
    record = {
        "rows": rows,
        "supplemental": [dict(zip(by_period.colnames, map(float, row), strict=True)) for row in by_period],
        "simulator": [dict(zip(ours.colnames, map(float, row), strict=True)) for row in ours],
    }
    for row in rows:
        print("{score:20} {value:.4f} [{low:.4f}, {high:.4f}], published {baseline}".format(**row))
    (RESULTS / "vetting_robovetter.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
