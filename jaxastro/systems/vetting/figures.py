"""What a training run looks like: precision and recall beside the baseline, reliability, history."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxastro import plots, stats
from jaxastro.plots import PALETTE, save, style
from jaxastro.systems.vetting.training import Trained

MODEL, TREES = PALETTE[0], PALETTE[-1]


def training_figures(folder: Path, trained: Trained, truth: np.ndarray, baseline: np.ndarray | None) -> list[Path]:
    """The figures of a run, written into `folder`."""
    import matplotlib.pyplot as plt

    paths = []
    with style():
        for name, draw, size in (
            ("precision_recall.png", lambda ax: precision_recall(ax, truth, trained.probability, baseline), (5.2, 3.8)),
            ("reliability.png", lambda ax: reliability(ax, truth, trained.probability), (4.2, 4.2)),
            ("history.png", lambda ax: history(ax, trained.history), (5.2, 3.8)),
        ):
            fig, ax = plt.subplots(figsize=size)
            draw(ax)
            paths.append(save(fig, folder / name))
    return paths


def precision_recall(ax: Any, truth: np.ndarray, probability: np.ndarray, baseline: np.ndarray | None) -> None:
    """Precision against recall of held-out rows, with the average precision in the legend."""
    for p, label, colour in ((baseline, "boosted trees", TREES), (probability, "ensemble", MODEL)):
        if p is not None:
            curve, ap = stats.curve(truth, p), stats.average_precision(truth, p)
            prevalence = float(truth.mean()) if p is probability else None
            plots.precision_recall(
                ax, curve.recall, curve.precision, prevalence=prevalence, label=f"{label}, AP {ap:.3f}", color=colour
            )
    ax.set_title("Held-out signals")
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 0.08))


def reliability(ax: Any, truth: np.ndarray, probability: np.ndarray) -> None:
    """Observed fraction of positives against calibrated probability, ten bins of equal numbers, Wilson intervals."""
    plots.reliability(ax, *stats.reliability(truth, probability), color=MODEL)
    ax.set(
        xlabel="calibrated probability",
        ylabel="observed fraction",
        title=f"Reliability, ECE {stats.ece(truth, probability):.3f}",
    )


def history(ax: Any, columns: dict[str, np.ndarray]) -> None:
    """Loss of training and held-out rows by epoch, mean over members."""
    single = len(columns["epoch"]) == 1  # a line needs two points
    for name, label, colour in (
        ("loss", "training", TREES),
        ("validation_loss", "held out", MODEL),
        ("validation_decision", "held out, decision", PALETTE[1]),
    ):
        if name in columns:
            ax.plot(columns["epoch"], columns[name], marker="o" if single else "", label=label, color=colour)
    ax.set(xlabel="epoch", ylabel="cross-entropy", title="Training")
    if single:
        ax.set_xticks(columns["epoch"])
    ax.legend()
