"""Figures of a completed star: where its other planets may be, how many there are, and which known planet says so."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxastro.plots import PALETTE, style
from jaxastro.systems.planetary_systems.complete import EARTH_LIKE, Completion
from jaxastro.systems.planetary_systems.observation import Observation


def completion_figure(
    title: str, observation: Observation, letters: Sequence[str], completion: Completion, *, marked: dict | None = None
) -> Any:
    """Density of the hidden planets in semi-major axis and mass around the known ones, and how many there are.

    Args:
        title: name of the star.
        observation: the known planets.
        letters: their letters.
        completion: the posterior draws.
        marked: further planets to mark, letter -> (AU, Earth masses), such as those found later.
    """
    import matplotlib.pyplot as plt
    from matplotlib.colors import PowerNorm
    from matplotlib.patches import Rectangle

    with style():
        figure, (plane, count) = plt.subplots(1, 2, figsize=(9.2, 4.0), width_ratios=(2.4, 1))
        hidden, weight = np.asarray(completion.hidden), np.asarray(completion.weight)
        draw, place = np.nonzero(hidden)
        x, y = (np.asarray(v)[draw, place] for v in (completion.system.log_a, completion.system.log_mass))
        density, xe, ye = smooth_density(x, y, weight[draw])
        shades = PowerNorm(0.5, vmin=0)  # rare planets show beside the swarm far out
        mesh = plane.pcolormesh(10**xe, 10**ye, density.T, cmap="Blues", rasterized=True, norm=shades)
        figure.colorbar(mesh, ax=plane, label="hidden planets per dex²", pad=0.02)
        there = np.flatnonzero(np.asarray(observation.present))
        value, error = np.asarray(observation.value), np.asarray(observation.error)
        for i in there:
            mass = 10 ** value[i, 1] if int(observation.kind[i, 0]) else np.nan
            span = [[mass - 10 ** (value[i, 1] - error[i, 1, 0])], [10 ** (value[i, 1] + error[i, 1, 1]) - mass]]
            plane.errorbar(10 ** value[i, 0], mass, yerr=span, fmt="o", ms=8, color=PALETTE[1], mec="white", zorder=3)
            plane.annotate(letters[i], (10 ** value[i, 0], mass), (6, 6), textcoords="offset points", color=PALETTE[1])  # pyright: ignore
        for letter, (a, mass) in (marked or {}).items():
            plane.plot(a, mass, "D", ms=7, mfc="none", mec=PALETTE[2], mew=1.8, zorder=3)
            plane.annotate(letter, (a, mass), (6, -13), textcoords="offset points", color=PALETTE[2])
        (a0, a1), (m0, m1) = EARTH_LIKE
        plane.add_patch(Rectangle((a0, m0), a1 - a0, m1 - m0, fill=False, ec=PALETTE[6], lw=1.2, ls="--"))
        plane.annotate("Earth-like", (a1, m0), (3, -11), textcoords="offset points", fontsize=8, color=PALETTE[6])
        plane.set(xscale="log", yscale="log", xlim=(0.015, 60), ylim=(0.08, 4000))
        plane.set(xlabel="semi-major axis [AU]", ylabel="mass [Earth masses]", title=title)
        _bars(count, observation, completion)
        return figure


def _bars(axes: Any, observation: Observation, completion: Completion) -> None:
    """How many hidden planets there are inside and outside of the outermost known one."""
    edge = float(np.max(np.asarray(observation.value)[np.asarray(observation.present), 0]))
    inside = np.asarray(completion.count(inside=edge))[:7]
    p = np.asarray(completion.count())[:26]
    axes.bar(np.arange(len(p)), p, color=PALETTE[5], width=0.9, label="all hidden")
    axes.step(np.arange(len(inside)), inside, where="mid", color=PALETTE[1], label="inside of the\noutermost known")
    axes.set(
        xlabel="number of hidden planets", ylabel="probability", title=f"{float(completion.ess):.0f} effective draws"
    )
    axes.legend(loc="upper right")


def smooth_density(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray, *, bins: int = 70, sigma: float = 1.6
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A smoothed two-dimensional histogram per unit area, with its edges."""
    from scipy.ndimage import gaussian_filter

    xe, ye = np.linspace(-1.9, 1.9, bins + 1), np.linspace(-1.2, 3.7, bins + 1)
    counts, *_ = np.histogram2d(x, y, (xe, ye), weights=weight)
    return gaussian_filter(counts, sigma) / ((xe[1] - xe[0]) * (ye[1] - ye[0])), xe, ye


def shapley_figure(letters: Sequence[str], moves: np.ndarray, base: float, label: str) -> Any:
    """Horizontal bars: how each known planet moves an expectation away from that of an unknown star."""
    import matplotlib.pyplot as plt

    with style():
        figure, axes = plt.subplots(figsize=(5.4, 0.6 * len(letters) + 1.6))
        colours = [PALETTE[1] if move < 0 else PALETTE[0] for move in moves]
        axes.barh(np.arange(len(letters)), moves, color=colours, height=0.6)
        axes.axvline(0, color="#444444", lw=0.8)
        axes.set_yticks(np.arange(len(letters)), [f"planet {letter}" for letter in letters])
        axes.invert_yaxis()
        axes.set(xlabel=f"change of {label}", title=f"nothing known: {base:.2f}; all known: {base + moves.sum():.2f}")
        return figure
