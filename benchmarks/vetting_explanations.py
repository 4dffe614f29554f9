"""Whether the guilty branch is the one that speaks against a planet, and what single scalars tell, on the simulator.

    python benchmarks/vetting_explanations.py

An ensemble is trained on simulated signals with the default options; 200 fresh signals of each kind whose guilt sits in
one branch are then explained by exact Shapley values. The baseline is chance: one branch of those that there are.
Writes results/vetting_explanations.json.
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxastro import stats
from jaxastro.systems.vetting import config
from jaxastro.systems.vetting.data import Signals
from jaxastro.systems.vetting.pages import contributions
from jaxastro.systems.vetting.simulate import KINDS, simulated_signals
from jaxastro.systems.vetting.training import train_ensemble
from jaxastro.systems.vetting.vetter import Vetter

RESULTS = Path(__file__).parent / "results"
SIGNALS, EACH = 4000, 200


def best_scalar(signals) -> dict[str, float]:
    """Average precision of every scalar by itself, taken in the better direction."""
    truth = signals.labels == "PC"
    found = {}
    for i, name in enumerate(signals.scalar_names):
        known = signals.examples.scalar_present[:, i]
        rank = np.argsort(np.argsort(signals.examples.scalars[known, i])) / known.sum()
        found[name] = max(stats.average_precision(truth[known], p) for p in (rank, 1 - rank))
    return found


def rise_when_hidden(vetter: Vetter, signals: Signals) -> np.ndarray:
    """(object, branch): by how much the log odds of a planet rise when that branch alone is hidden."""
    examples = jax.tree.map(jnp.asarray, vetter.meaning.inputs(signals))
    count = len(vetter.members.branches)
    masks = jnp.concatenate([jnp.ones((1, count), bool), ~jnp.eye(count, dtype=bool)])

    @jax.jit
    def log_odds(example):
        return stats.logit(jax.lax.map(lambda keep: vetter(example, keep=keep), masks))

    found = np.asarray(jax.lax.map(log_odds, examples, batch_size=50))
    return found[:, 1:] - found[:, :1]


def main() -> None:
    train = simulated_signals(SIGNALS, seed=1)
    trained = train_ensemble(train, config.Train(members=3, epochs=30))
    truth = train.labels == "PC"
    ap = stats.interval(stats.average_precision, truth, trained.probability)
    rows = []
    for kind in ("secondary", "odd_even", "blend"):
        signals = simulated_signals(EACH, seed=99, kinds=(kind,))
        branches = np.array(trained.vetter.members.branches)
        for what, parts in (
            ("speaks loudest against a planet (Shapley)", contributions(trained.vetter, signals)),
            ("hidden raises the probability most", -rise_when_hidden(trained.vetter, signals)),
        ):
            loudest = branches[np.argmin(parts, axis=1)]
            score = stats.wilson((loudest == KINDS[kind][2]).sum(), EACH)
            rows.append(score.as_row(f"{kind}: {KINDS[kind][2]} {what}", 1 / len(branches)))
            print(f"{rows[-1]['score']}: {score:.3f}")
    rows.append(ap.as_row("average precision, held out", float(truth.mean())))
    record = {"rows": rows, "single_scalar_ap": best_scalar(train), "jax": jax.__version__}
    print(f"held-out average precision {ap:.3f}; single scalars {record['single_scalar_ap']}")
    (RESULTS / "vetting_explanations.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
