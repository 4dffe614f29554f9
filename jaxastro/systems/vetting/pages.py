"""Why a signal got its probability: the part of every branch, and one page per candidate."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy.table import Row
from jaxtyping import Array, Float

from jaxastro.explain import integrated_gradients, shapley_values
from jaxastro.plots import DIVERGING, PALETTE, save, style
from jaxastro.systems.vetting.data import Example, Signals
from jaxastro.systems.vetting.vetter import Vetter

NAMES = {
    "global": "whole orbit", "main": "transit", "secondary": "secondary", "odd_even": "odd and even", "odd": "odd",
    "even": "even", "centroid": "centroid", "ghost": "optical ghost", "scalars": "scalars",
}  # fmt: skip
COLOURS = {
    "validated": "#1b7837",
    "likely": "#5aae61",
    "undecided": "#8c8c8c",
    "unlikely": "#c2707a",
    "rejected": "#9c2a3a",
}


def contributions(vetter: Vetter, signals: Signals) -> Float[np.ndarray, "object branch"]:
    """How much every branch adds to the calibrated probability: exact Shapley values; NaN for rows with a flag.

    A branch left out is hidden behind its learned token, as in training. The parts of a row add up to its probability
    less that of a signal of which nothing is known.
    """
    good = np.flatnonzero(signals.flags == "")
    examples = jax.tree.map(lambda x: jnp.asarray(x[good]), vetter.meaning.inputs(signals))
    found = np.full((len(signals), len(vetter.members.branches)), np.nan)
    if len(good):
        found[good] = np.asarray(_contributions(vetter, examples))
    return found


@eqx.filter_jit
def _contributions(vetter: Vetter, examples: Example) -> Float[Array, "object branch"]:
    def one(example: Example) -> Float[Array, "branch"]:
        return shapley_values(lambda keep: vetter(example, keep=keep), len(vetter.members.branches))

    return jax.lax.map(one, examples, batch_size=64)


@eqx.filter_jit
def attribution(vetter: Vetter, example: Example) -> dict[str, Float[Array, "bin channel"]]:
    """Which bins of every view the calibrated probability comes from: gradients integrated from a flat view."""
    flat = jax.tree.map(jnp.zeros_like, example.views)
    return integrated_gradients(lambda views: vetter(example._replace(views=views)), example.views, flat)


def write_page(
    path: Path, vetter: Vetter, signals: Signals, row: int, result: Row, parts: Float[np.ndarray, "branch"]
) -> None:
    """One candidate on one page: its views coloured by what they add to the probability, branch by branch, the verdict.

    Args:
        path: file to write; the suffix chooses the format.
        vetter: the ensemble.
        signals: what the row stands in.
        row: which one.
        result: its row of the prediction table.
        parts: its branch contributions.
    """
    import matplotlib.pyplot as plt

    example = jax.tree.map(lambda x: jnp.asarray(x[row]), vetter.meaning.inputs(signals))
    gained = jax.tree.map(np.asarray, attribution(vetter, example))
    with style():
        fig = plt.figure(figsize=(8.3, 10.2))
        fig.get_layout_engine().set(rect=(0.0, 0.0, 0.985, 1.0))  # pyright: ignore
        grid = fig.add_gridspec(4, 1, height_ratios=(0.62, 1.15, 1.0, 1.0))
        upper, lower = (grid[i].subgridspec(1, 3) for i in (2, 3))
        _verdict(fig.add_subplot(grid[0]), vetter, example, result)
        _view(fig.add_subplot(grid[1]), "global", signals, row, gained)
        _view(fig.add_subplot(upper[0]), "main", signals, row, gained)
        _odd_even(fig.add_subplot(upper[1]), signals, row)
        _view(fig.add_subplot(upper[2]), "secondary", signals, row, gained)
        _centroid(fig.add_subplot(lower[0]), signals, row)
        _view(fig.add_subplot(lower[1]), "ghost", signals, row, gained)
        _contribution_bars(fig.add_subplot(lower[2]), vetter.members.branches, parts)
        save(fig, path)


def _verdict(ax: Any, vetter: Vetter, example: Example, result: Row) -> None:
    ax.set_axis_off()
    shown = [f"{n.replace('_', ' ')} {_text(result[n])}" for n in result.colnames if not _is_result(n)]
    head, rest = shown[0], shown[1:]
    ax.text(0, 0.98, head, fontsize=16, fontweight="bold", va="top", transform=ax.transAxes)
    lines = ["   ".join(rest[i : i + 3]) for i in range(0, len(rest), 3)]
    ax.text(0, 0.66, "\n".join(lines), fontsize=9, va="top", color="#444444", transform=ax.transAxes, linespacing=1.5)
    members = np.asarray(vetter.calibrator(vetter._positive(vetter.labels(example))))
    low, high = np.quantile(members, [0.16, 0.84])
    label = "p_" + "+".join(vetter.meaning.positive)
    name = str(result["class"]) or "not scored"
    ax.text(1, 0.98, f"{result[label]:.3f}", fontsize=28, fontweight="bold", ha="right", va="top",
            color=COLOURS.get(name, "#8c8c8c"), transform=ax.transAxes)  # fmt: skip
    ax.text(1, 0.42, f"P({'+'.join(vetter.meaning.positive)}), calibrated\n68 % of members {low:.3f} to {high:.3f}",
            fontsize=9, ha="right", va="top", color="#444444", transform=ax.transAxes)  # fmt: skip
    box = {"boxstyle": "round,pad=0.4", "facecolor": COLOURS.get(name, "#8c8c8c"), "edgecolor": "none"}
    ax.text(0.8, 0.86, name, fontsize=12, fontweight="bold", ha="right", va="top", color="white", bbox=box,
            transform=ax.transAxes)  # fmt: skip


def _view(ax: Any, name: str, signals: Signals, row: int, gained: dict[str, np.ndarray]) -> None:
    title = NAMES[name].capitalize()
    if not _has(signals, name, row):
        return _absent(ax, title)
    x, y, valid = _points(signals, name, row)
    colour = gained[name].sum(-1) if name in gained and len(gained[name]) == len(x) else np.zeros(len(x))
    limit = max(np.abs(colour).max(), 1e-6)
    ax.plot(x, y, color="#c8c8c8", lw=0.8, zorder=1)
    size = 16 if name == "global" else 20
    ax.scatter(x[valid], y[valid], c=colour[valid], cmap=DIVERGING.removesuffix("_r"), vmin=-limit, vmax=limit, s=size,
               edgecolors="#555555", linewidths=0.35, zorder=2)  # fmt: skip
    ax.set(title=title, xlabel=_axis(name), ylabel="flux [depth]", ylim=_limits(y))
    if name == "global":
        ax.set_title(
            "colour: towards positive (blue), away from it (red)", loc="right", fontsize=8, fontweight="normal"
        )
    return None


def _odd_even(ax: Any, signals: Signals, row: int) -> None:
    if not (_has(signals, "odd", row) and _has(signals, "even", row)):
        return _absent(ax, "Odd and even")
    both = []
    for name, colour in (("odd", PALETTE[0]), ("even", PALETTE[1])):
        x, y, valid = _points(signals, name, row)
        ax.plot(x, y, color=colour, lw=0.8, alpha=0.4)
        ax.scatter(x[valid], y[valid], color=colour, s=12)
        both.append(y)
    ax.set(xlabel=_axis("odd"), ylim=_limits(np.concatenate(both)))
    _coloured_title(ax, ("Odd", PALETTE[0]), (" and ", "black"), ("even", PALETTE[1]))
    return None


def _centroid(ax: Any, signals: Signals, row: int) -> None:
    if not _has(signals, "centroid", row):
        return _absent(ax, "Centroid")
    view = signals.examples.views["centroid"][row]
    x = _axis_values(signals, "centroid", len(view))
    for channel, colour in enumerate(PALETTE[2:4]):
        ax.plot(x, view[:, channel], color=colour, lw=1.2)
    ax.set(xlabel=_axis("centroid"), ylabel="shift [σ]")
    _coloured_title(ax, ("Centroid in ", "black"), ("RA", PALETTE[2]), (" and ", "black"), ("Dec", PALETTE[3]))
    return None


def _coloured_title(ax: Any, first: tuple[str, str], *rest: tuple[str, str]) -> None:
    """A title whose words have the colours of what they name, so that no legend covers a point."""
    before = ax.set_title(first[0], color=first[1])
    for text, colour in rest:
        before = ax.annotate(
            text, (1, 0), xycoords=before, va="bottom", color=colour, fontsize=before.get_fontsize(), fontweight="bold"
        )


def _contribution_bars(ax: Any, branches: tuple[str, ...], parts: Float[np.ndarray, "branch"]) -> None:
    place = np.arange(len(branches))[::-1]
    ax.barh(place, parts, color=[PALETTE[0] if part >= 0 else PALETTE[1] for part in parts], height=0.62)
    ax.axvline(0, color="#444444", lw=0.8)
    reach = max(np.abs(parts).max() * 1.45, 0.02)
    for y, part in zip(place, parts, strict=True):
        ax.text(part, y, f" {_signed(part)} ", ha="left" if part >= 0 else "right", va="center", fontsize=8)
    ax.set_yticks(place, [NAMES.get(b, b) for b in branches])
    ax.set(title="Contributions", xlim=(-reach, reach), xlabel="to the probability (Shapley)")
    ax.locator_params(axis="x", nbins=3)


def _absent(ax: Any, title: str) -> None:
    ax.set(title=title, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_facecolor("#f4f4f4")
    ax.text(0.5, 0.5, "not available", ha="center", va="center", color="#999999", transform=ax.transAxes)


def _has(signals: Signals, name: str, row: int) -> bool:
    return name in signals.examples.views and bool(signals.examples.view_present[name][row])


def _points(signals: Signals, name: str, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    view = signals.examples.views[name][row]
    valid = view[:, -1] > 0.5 if view.shape[1] > 1 else np.ones(len(view), bool)
    return _axis_values(signals, name, len(view)), view[:, 0], valid


def _axis_values(signals: Signals, name: str, bins: int) -> np.ndarray:
    centres = (np.arange(bins) + 0.5) / bins
    if name == "global":
        return centres - (0.75 if signals.recipe.kind == "watson" else 0.5)
    reach = {"watson": signals.recipe.focus_durations, "astronet-kepler": 4.0, "astronet-tess": 2.0}
    return (2 * centres - 1) * reach.get(signals.recipe.kind, 1.0)


def _axis(name: str) -> str:
    return "orbital phase from mid-transit [period]" if name == "global" else "time [transit durations]"


def _limits(y: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(y, [0.004, 0.996])
    pad = 0.12 * max(high - low, 0.5)
    return min(low, -1.0) - pad, high + pad


def _is_result(name: str) -> bool:
    return name.startswith(("p_", "from_")) or name in ("class", "flag", "labels", "label", "guilty", "kind")


def _signed(value: float) -> str:
    """A signed number with two significant digits."""
    text = f"{value:+.1e}" if 0 < abs(value) < 1e-3 else f"{value:+#.2g}"
    return text.removesuffix(".")


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)
