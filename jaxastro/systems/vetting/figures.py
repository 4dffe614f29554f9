"""What a training run looks like: precision and recall beside the baseline, reliability, history."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxastro import stats
from jaxastro.plots import PALETTE, save, style
from jaxastro.systems.vetting.training import Trained

MODEL, TREES = PALETTE[0], PALETTE[-1]


def training_figures(folder: Path, trained: Trained, truth: np.ndarray, baseline: np.ndarray | None) -> list[Path]:
    """The figures of a run, written into `folder`."""
    import matplotlib.pyplot as plt

    paths = []
    with style():
        for name, draw in (
            ("precision_recall.png", lambda ax: precision_recall(ax, truth, trained.probability, baseline)),
            ("reliability.png", lambda ax: reliability(ax, truth, trained.probability)),
            ("history.png", lambda ax: history(ax, trained.history)),
        ):
            fig, ax = plt.subplots()
            draw(ax)
            paths.append(save(fig, folder / name))
    return paths


def precision_recall(ax: Any, truth: np.ndarray, probability: np.ndarray, baseline: np.ndarray | None) -> None:
    """Precision against recall of held-out rows, with the average precision in the legend."""
    for p, label, colour in ((baseline, "boosted trees", TREES), (probability, "ensemble", MODEL)):
        if p is not None:
            curve = stats.curve(truth, p)
            ap = stats.average_precision(truth, p)
            ax.step(curve.recall, curve.precision, where="post", color=colour, label=f"{label}, AP {ap:.3f}")
    ax.axhline(truth.mean(), color="#999999", lw=0.8, ls=":")
    ax.annotate("prevalence", (0.01, truth.mean()), va="bottom", fontsize=8, color="#777777")
    ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1.005), ylim=(0, 1.02), title="Held-out signals")
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 0.08))


def reliability(ax: Any, truth: np.ndarray, probability: np.ndarray) -> None:
    """Observed fraction of positives against calibrated probability, ten bins of equal numbers, Wilson intervals."""
    bins = stats.equal_mass_bins(truth, probability)
    fractions = [stats.wilson(round(f * n), int(n)) for f, n in zip(bins.frequency, bins.count, strict=True)]
    low = [s.value - s.low for s in fractions]
    high = [s.high - s.value for s in fractions]
    ax.plot([0, 1], [0, 1], color="#999999", lw=0.8, ls=":")
    ax.errorbar(bins.forecast, [s.value for s in fractions], yerr=[low, high], fmt="o", color=MODEL)
    ece = stats.ece(truth, probability)
    ax.set(
        xlabel="calibrated probability", ylabel="observed fraction", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02),
        title=f"Reliability, ECE {ece:.3f}", aspect="equal",
    )  # fmt: skip


def history(ax: Any, columns: dict[str, np.ndarray]) -> None:
    """Loss of training and held-out rows by epoch, mean over members."""
    for name, label, colour in (
        ("loss", "training", TREES),
        ("validation_loss", "held out", MODEL),
        ("validation_decision", "held out, decision", PALETTE[1]),
    ):
        if name in columns:
            ax.plot(columns["epoch"], columns[name], label=label, color=colour)
    ax.set(xlabel="epoch", ylabel="cross-entropy", title="Training")
    ax.legend()
