"""Panels that several systems draw: each adds to axes that the caller made inside `style()`."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from jaxastro.plots.figure import PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
else:  # matplotlib is imported when a figure is drawn, not before
    Axes = Any

_GUIDE = {"color": "#9A9A9A", "linewidth": 1.0, "linestyle": (0, (4, 3)), "zorder": 0}


def reliability(
    ax: Axes,
    forecast: Float[np.ndarray, "bin"],
    frequency: Float[np.ndarray, "bin"],
    low: Float[np.ndarray, "bin"] | None = None,
    high: Float[np.ndarray, "bin"] | None = None,
    *,
    label: str | None = None,
    color: str = PALETTE[0],
) -> None:
    """Observed frequency over mean forecast (`stats.reliability`), beside the diagonal of perfect forecasts."""
    ax.plot([0, 1], [0, 1], **_GUIDE)
    if low is not None and high is not None:
        ax.vlines(forecast, low, high, color=color, alpha=0.45, linewidth=2.6)
    ax.plot(forecast, frequency, "o-", color=color, label=label, markeredgecolor="white", markersize=6, linewidth=1.4)
    ax.set(xlabel="forecast probability", ylabel="observed frequency", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    ax.set_aspect("equal")


def precision_recall(
    ax: Axes,
    recall: Float[np.ndarray, "threshold"],
    precision: Float[np.ndarray, "threshold"],
    *,
    prevalence: float | None = None,
    label: str | None = None,
    color: str | None = None,
) -> None:
    """Precision over recall as steps, with the prevalence, which guessing reaches, as a guide."""
    if prevalence is not None:
        ax.axhline(prevalence, **_GUIDE)
        ax.annotate("prevalence", (0.01, prevalence), va="bottom", fontsize=8, color="#777777")
    ax.step(np.append(0, recall), np.append(precision[0], precision), where="pre", label=label, color=color)
    ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1.005), ylim=(0, 1.02))
